import {spawn} from 'node:child_process';
import {once} from 'node:events';
import test from 'ava';
import {lockName} from '../../src/control/lock.js';
import {ExitCode} from '../../src/errors.js';
import {runDirectory} from './scene.js';

const LOCK_MODULE = new URL('../../src/control/lock.js', import.meta.url).href;

test('a second daemon of the same name is told who has it', t => {
	const directory = runDirectory(t);
	const first = lockName('default', directory);
	t.throws(() => lockName('default', directory), {
		code: 'already-running',
		message: `a daemon named "default" already runs with pid ${process.pid} (stop it first, or choose another --name)`,
	});
	const other = lockName('other', directory);
	first.release();
	lockName('default', directory).release();
	other.release();
});

test('a place that is not ours to write is said as it is', t => {
	t.throws(() => lockName('default', '/dev/null/lbd'), {
		code: 'ENOTDIR',
		message: /^lock: \/dev\/null\/lbd\/default.lock: ENOTDIR/,
	});
});

test('the lock of a killed daemon is free at once', async t => {
	const directory = runDirectory(t);
	const script = `
		const {lockName} = await import(${JSON.stringify(LOCK_MODULE)});
		lockName('default', ${JSON.stringify(directory)});
		console.log('locked');
		setInterval(() => {}, 60_000);`;
	const child = spawn(process.execPath, ['--input-type=module', '-e', script], {stdio: ['ignore', 'pipe', 'inherit']});
	await once(child.stdout, 'data');
	const refusal = t.throws(() => lockName('default', directory), {code: 'already-running'});
	t.is((refusal as unknown as {exitCode: ExitCode}).exitCode, ExitCode.alreadyRunning);
	child.kill('SIGKILL');
	await once(child, 'close');
	t.notThrows(() => lockName('default', directory).release());
});
