/** Real processes: in real time, on the real scheduler, and those that were there before. */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import test from 'ava';
import {REAL_TIME, realSubprocesses, vrrpTitle} from '../../src/host/real/vrrp-process.js';

const ENDLESS_MS = 30_000;

/** What ends a real-time program; it ends itself should nobody else. */
async function endOf(program: string): Promise<NodeJS.Signals | null> {
	const [command, ...args] = REAL_TIME;
	const child = spawn(command, [...args, process.execPath, '-e', program], {stdio: 'ignore'});
	const [, signal] = await once(child, 'exit');
	return signal;
}

// One after the other: two that compute at once leave a machine of two CPUs nothing for anybody else.
test.serial('a real-time process that computes without end is ended, before it takes the machine with it', async t => {
	t.is(await endOf(`for (const end = Date.now() + ${ENDLESS_MS}; Date.now() < end; );`), 'SIGXCPU');
});

test.serial('one that sleeps in between is left alone, however much it computes', async t => {
	const program = `const still = new Int32Array(new SharedArrayBuffer(4));
	for (let rounds = 6; rounds > 0; rounds--) {
		for (const end = Date.now() + 500; Date.now() < end; );
		Atomics.wait(still, 0, 0, 10);
	}`;
	t.is(await endOf(program), null);
});

test('a process of an earlier lbd that does not let us in is ended: it would advertise beside the next one', async t => {
	const directory = mkdtempSync(join(tmpdir(), 'lbd-'));
	t.teardown(() => rmSync(directory, {recursive: true}));
	const socket = join(directory, 'test.vrrp');
	const program = `process.title = ${JSON.stringify(vrrpTitle(socket))};
		require('node:net').createServer(visitor => visitor.destroy()).listen(${JSON.stringify(socket)}, () => console.log());
		setTimeout(() => process.exit(), ${ENDLESS_MS});`;
	const child = spawn(process.execPath, ['-e', program], {stdio: ['ignore', 'pipe', 'ignore']});
	t.teardown(() => child.kill('SIGKILL'));
	const ended = once(child, 'exit');
	await once(child.stdout, 'data');
	await new Promise<string>(resolve => {
		realSubprocesses().findVrrp({socket, onMessage: () => t.fail('it has nothing to say'), onExit: resolve});
	});
	t.deepEqual(await ended, [null, 'SIGKILL']);
});
