/** In real time, on the real scheduler. */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import test from 'ava';
import {REAL_TIME} from '../../src/host/real/vrrp-process.js';

const ENDLESS_MS = 30_000;

/** What ends a real-time program; it ends itself should nobody else. */
async function endOf(program: string): Promise<NodeJS.Signals | null> {
	const [command, ...args] = REAL_TIME;
	const child = spawn(command, [...args, process.execPath, '-e', program], {stdio: 'ignore'});
	const [, signal] = await once(child, 'exit');
	return signal;
}

test('a real-time process that computes without end is ended, before it takes the machine with it', async t => {
	t.is(await endOf(`for (const end = Date.now() + ${ENDLESS_MS}; Date.now() < end; );`), 'SIGXCPU');
});

test('one that sleeps in between is left alone, however much it computes', async t => {
	const busyMs = 500;
	const program = `let rounds = 6; setInterval(() => {
		for (const end = Date.now() + ${busyMs}; Date.now() < end; );
		if (--rounds === 0) process.exit();
	}, ${busyMs + 10})`;
	t.is(await endOf(program), null);
});
