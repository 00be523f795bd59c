import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {connect, type Socket} from 'node:net';
import {networkInterfaces} from 'node:os';
import test, {type ExecutionContext} from 'ava';
import type {Result} from '../../src/check/checker.js';
import {tcpChecker} from '../../src/check/tcp.js';
import {check, lookFor, patient} from './model.js';
import {closedPort, listen} from './servers.js';

/** Where the kernel has no IPv6, its tests say so and are skipped. */
const hasIpv6 = networkInterfaces().lo?.some(({address}) => address === '::1') === true;
if (!hasIpv6) process.stderr.write('checks of IPv6 backends are skipped: no ::1 on lo\n');
const ipv6Test = hasIpv6 ? test : test.skip;

function look(port: number, signal: AbortSignal, bindAddress: string | null = null): Promise<Result> {
	return tcpChecker(check({connectAddress: '127.0.0.1', connectPort: port, bindAddress})).check(lookFor(signal));
}

test('passes when the handshake completes', async t => {
	const {port} = await listen(t);
	t.deepEqual(await look(port, patient()), {ok: true});
});

test('ends the connection by RST, so that nothing stays in TIME_WAIT', async t => {
	const {server, port} = await listen(t);
	const ended = new Promise<string>(resolve => {
		server.once('connection', (socket: Socket) => {
			socket.once('error', error => resolve((error as NodeJS.ErrnoException).code ?? ''));
			socket.once('end', () => resolve('FIN'));
			socket.resume();
		});
	});
	await look(port, patient());
	t.is(await ended, 'ECONNRESET');
});

test('a closed port is refused', async t => {
	t.like(await look(await closedPort(t), patient()), {ok: false, reason: 'refused'});
});

test('checks from the address it is told to', async t => {
	const {server, port} = await listen(t);
	const from = new Promise(resolve => {
		server.once('connection', (socket: Socket) => {
			resolve(socket.remoteAddress);
		});
	});
	t.deepEqual(await look(port, patient(), '127.0.0.9'), {ok: true});
	t.is(await from, '127.0.0.9');
});

ipv6Test('checks an IPv6 backend, from the IPv6 address it is told to', async t => {
	const {server, port} = await listen(t, undefined, '::1');
	const from = new Promise(resolve => {
		server.once('connection', (socket: Socket) => {
			resolve(socket.remoteAddress);
		});
	});
	const lookFrom = (bindAddress: string | null, connectPort = port) =>
		tcpChecker(check({connectAddress: '::1', connectPort, bindAddress})).check(lookFor());
	t.deepEqual(await lookFrom('::1'), {ok: true});
	t.is(await from, '::1');
	t.like(await lookFrom('2001:db8::1'), {ok: false, reason: 'bind-failed'});
	t.like(await lookFrom(null, await closedPort(t, '::1')), {ok: false, reason: 'refused'});
});

test('says so when that address is not ours', async t => {
	const {port} = await listen(t);
	t.like(await look(port, patient(), '192.0.2.1'), {ok: false, reason: 'bind-failed'});
});

test('gives up when told to, though the backend neither answers nor refuses', async t => {
	const port = await deafPort(t);
	t.like(await look(port, AbortSignal.timeout(50)), {ok: false, reason: 'timeout'});
});

test('does not even begin when it is too late', async t => {
	const {port} = await listen(t);
	t.like(await look(port, AbortSignal.abort()), {ok: false, reason: 'timeout'});
});

/**
 * A listener whose accept queue is full, in a process that is stopped: the kernel drops further SYNs, so that they
 * meet neither an answer nor a refusal, as in a black hole.
 */
async function deafPort(t: ExecutionContext): Promise<number> {
	const listener = `
		const server = require('node:net').createServer();
		server.listen({host: '127.0.0.1', port: 0, backlog: 1}, () => console.log(server.address().port));`;
	const child = spawn(process.execPath, ['-e', listener], {stdio: ['ignore', 'pipe', 'ignore']});
	t.teardown(() => void child.kill('SIGKILL'));
	const [line] = await once(child.stdout, 'data');
	child.kill('SIGSTOP');
	const port = Number(line);
	// A queue of `backlog` holds one more than its name says.
	for (let queued = 0; queued < 2; queued++) {
		const filler = connect({host: '127.0.0.1', port}).on('error', () => {});
		t.teardown(() => void filler.destroy());
		await once(filler, 'connect');
	}
	return port;
}
