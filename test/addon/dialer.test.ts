import {execFile} from 'node:child_process';
import {once} from 'node:events';
import {readdirSync} from 'node:fs';
import {promisify} from 'node:util';
import {Worker} from 'node:worker_threads';
import test from 'ava';
import {Dialer, NetError, sockaddrIn, sockaddrIn6} from 'libbpf-ts/net';
import {waitFor} from '../../lab/wait.js';
import {closedPort, listen} from '../check/servers.js';

const LOCALHOST = Uint8Array.of(127, 0, 0, 1);
/** 192.0.2.1, which nobody has (RFC 5737). */
const NOT_OURS = Uint8Array.of(192, 0, 2, 1);
const NET = import.meta.resolve('libbpf-ts/net');

function dial(dialer: Dialer, port: number, from: Uint8Array | null = null): Promise<NetError | null> {
	return new Promise(resolve => dialer.dial(sockaddrIn(LOCALHOST, port), from, resolve));
}

test('a connection that can be made is, and is ended by RST', async t => {
	const {server, port} = await listen(t);
	const ended = once(server, 'connection').then(([socket]) => once(socket, 'error'));
	t.is(await dial(new Dialer(), port), null);
	t.like(await ended, [{code: 'ECONNRESET'}]);
});

test('one that is refused says so, also from an address and port that another has just had', async t => {
	const dialer = new Dialer();
	const port = await closedPort(t);
	const from = sockaddrIn(Uint8Array.of(127, 0, 0, 9), 40_021);
	for (const source of [null, from, from]) {
		const error = await dial(dialer, port, source);
		t.true(error instanceof NetError);
		t.like(error, {operation: 'connect', code: 'ECONNREFUSED', message: 'connect: TCP socket: ECONNREFUSED'});
	}
	const {port: open} = await listen(t);
	for (const source of [from, from]) t.is(await dial(dialer, open, source), null);
});

test('what is refused at once is thrown, by its step, and leaves no descriptor', t => {
	const dialer = new Dialer();
	const before = readdirSync('/proc/self/fd').length;
	const to = sockaddrIn(LOCALHOST, 80);
	const refused = (operation: string, code: string, at: Uint8Array, from: Uint8Array | null) =>
		t.like(
			t.throws(() => dialer.dial(at, from, () => t.fail())),
			{name: 'NetError', operation, code},
		);
	refused('bind', 'EADDRNOTAVAIL', to, sockaddrIn(NOT_OURS));
	refused('bind', 'EINVAL', to, LOCALHOST);
	refused('connect', 'EINVAL', to.subarray(0, 4), null);
	refused(
		'connect',
		'EINVAL',
		sockaddrIn6(Uint8Array.from({length: 16}, (_, n) => (n === 0 ? 0xfe : n === 1 ? 0x80 : 1))),
		null,
	);
	refused('socket', 'EAFNOSUPPORT', Uint8Array.of(255, 0), null);
	t.is(readdirSync('/proc/self/fd').length, before);
});

test('one that is broken off is not heard of, not even for the next one with its descriptor', async t => {
	const dialer = new Dialer();
	const [{port}, closed] = [await listen(t), await closedPort(t)];
	const to = sockaddrIn(LOCALHOST, port);
	const next = await new Promise<Promise<NetError | null>>(resolve => {
		// Both are there before either is heard of.
		const drop = new Map<string, () => void>();
		const first = (name: string, other: string) => () => {
			drop.get(other)?.();
			drop.get(name)?.();
			resolve(dial(dialer, closed));
		};
		drop.set('a', dialer.dial(to, null, first('a', 'b')));
		drop.set('b', dialer.dial(to, null, first('b', 'a')));
	});
	t.like(await next, {code: 'ECONNREFUSED'});
});

test('what a listener throws is an uncaught exception and ends no other connection; with the last one the process ends', async t => {
	const {port} = await listen(t);
	const script = `
		import {Dialer, sockaddrIn} from ${JSON.stringify(NET)};
		process.on('uncaughtException', error => console.log('uncaught: ' + error.message));
		const dialer = new Dialer();
		const to = sockaddrIn(Uint8Array.of(127, 0, 0, 1), ${port});
		dialer.dial(to, null, () => {
			throw new Error('first');
		});
		dialer.dial(to, null, async error => {
			await null;
			console.log('second: ' + error);
		});
		dialer.dial(to, null, () => console.log('third'))();`;
	const {stdout} = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script]);
	t.deepEqual(stdout.trim().split('\n').sort(), ['second: null', 'uncaught: first']);
});

test('a worker that ends in the middle of it leaves nothing behind', async t => {
	const {port} = await listen(t, socket => void socket.resume());
	const before = readdirSync('/proc/self/fd').length;
	const script = `
		const {parentPort} = require('node:worker_threads');
		import(${JSON.stringify(NET)}).then(({Dialer, sockaddrIn}) => {
			const dialer = new Dialer();
			for (let count = 0; count < 8; count++)
				dialer.dial(sockaddrIn(Uint8Array.of(127, 0, 0, 1), ${port}), null, () => {});
			parentPort.postMessage('dialing');
			for (;;);
		});`;
	const worker = new Worker(script, {eval: true});
	await once(worker, 'message');
	await worker.terminate();
	await waitFor('no descriptor is left', () => readdirSync('/proc/self/fd').length <= before);
	t.pass();
});
