/** Nothing is left behind by ten thousand checks, whatever became of them. */
import {createSocket} from 'node:dgram';
import {once} from 'node:events';
import {readdirSync, readFileSync} from 'node:fs';
import test, {type ExecutionContext} from 'ava';
import {waitFor} from '../../lab/wait.js';
import type {Checker} from '../../src/check/checker.js';
import {checkerFor} from '../../src/check/checkers.js';
import type {Check} from '../../src/conf/model.js';
import {realScripts} from '../../src/host/real/scripts.js';
import {realSmallFiles} from '../../src/host/real/small-files.js';
import {lookFor, loopback, rhythm} from './model.js';
import {closedPort, listen} from './servers.js';

const CHECKS = 10_000;
const AT_ONCE = 100;
/** Each is a process. */
const SCRIPTS = 500;

const means = {scripts: realScripts(), smallFiles: realSmallFiles};

function descriptors(): number {
	return readdirSync('/proc/self/fd').length;
}

/** Processes whose parent we are: the fourth field of proc_pid_stat(5). */
function children(): number {
	const pids = readdirSync('/proc').filter(name => /^\d+$/.test(name));
	return pids.filter(pid => parentOf(pid) === process.pid).length;
}

function parentOf(pid: string): number | null {
	try {
		return Number(
			readFileSync(`/proc/${pid}/stat`, 'utf8')
				.replace(/^.*\) \S /s, '')
				.split(' ')[0],
		);
	} catch {
		return null;
	}
}

/** Every second look is broken off somewhere. */
async function run(checker: Checker, count: number): Promise<void> {
	for (let done = 0; done < count; done += AT_ONCE) {
		const looks = Array.from({length: Math.min(AT_ONCE, count - done)}, async (_, index) => {
			const abort = new AbortController();
			const result = checker.check(lookFor(abort.signal));
			if (index % 2 === 0) setTimeout(() => abort.abort(), index % 10);
			await result;
		});
		await Promise.all(looks);
	}
}

/** Sends back what comes, marked as a response of DNS. */
async function datagramPort(t: ExecutionContext): Promise<number> {
	const socket = createSocket('udp4', (bytes, from) => {
		bytes[2] = (bytes[2] ?? 0) | 0x80;
		socket.send(bytes, from.port, from.address);
	});
	socket.bind(0, '127.0.0.1');
	await once(socket, 'listening');
	t.teardown(() => void socket.close());
	return socket.address().port;
}

/** One of each kind, and what it is asked of. */
async function kinds(t: ExecutionContext): Promise<readonly Check[]> {
	const {port} = await listen(t, socket => {
		socket.write('220 mx\r\n');
		socket.once('data', () => socket.end('250 mx\r\n'));
	});
	const web = await listen(t, socket => void socket.once('data', () => socket.end('HTTP/1.0 200 OK\r\n\r\n')));
	const udp = await datagramPort(t);
	const url = {path: '/', host: 'x', serverName: null, statusCodes: [], digest: null, pattern: null};
	const http = {version: '1.0', close: false, fastRecovery: false, urls: [url]} as const;
	const reply = {pattern: '', minLength: 0, maxLength: 65_535};
	return [
		{kind: 'tcp', ...loopback(port)},
		{kind: 'tcp', ...loopback(await closedPort(t))},
		{kind: 'http', ...loopback(web.port), ...http},
		{kind: 'https', ...loopback(web.port), ...http},
		{kind: 'smtp', ...loopback(port), heloName: 'x'},
		{kind: 'udp', ...loopback(udp), payload: null, reply},
		{kind: 'dns', ...loopback(udp), type: 'A', name: 'x'},
		{kind: 'ping', ...loopback(0)},
		{kind: 'file', ...rhythm(), path: '/proc/self/stat', weight: 1},
	];
}

// One after the other: each counts what this process has.
test.serial('no descriptor is left of ten thousand checks', async t => {
	const all = await kinds(t);
	// Once for what is opened for good.
	for (const check of all) await run(checkerFor(check, means), 1);
	await settled();
	const before = descriptors();
	for (const check of all) await run(checkerFor(check, means), Math.ceil(CHECKS / all.length));
	await waitFor('no descriptor is left', () => descriptors() <= before);
	t.pass();
});

test.serial('nor a process of scripts, also of those that do not heed', async t => {
	const script = (text: string) => ({argv: ['/bin/sh', '-c', text], user: null, group: null, secured: false}) as const;
	const misc = {kind: 'misc', ...rhythm(), timeoutUs: 200_000, dynamic: false} as const;
	await run(checkerFor({...misc, script: script('exit 0')}, means), SCRIPTS);
	await run(checkerFor({...misc, script: script('sleep 600 & wait')}, means), AT_ONCE);
	await run(checkerFor({...misc, script: script(`trap '' TERM; sleep 5 & wait; wait`)}, means), 10);
	await waitFor('no process is left', () => children() === 0);
	t.pass();
});

/** The kernel's side of connections that were ended is gone when the servers of the test have heard of it. */
async function settled(): Promise<void> {
	let last = -1;
	for (let now = descriptors(); now !== last; now = descriptors()) {
		last = now;
		await new Promise(resolve => setTimeout(resolve, 200));
	}
}
