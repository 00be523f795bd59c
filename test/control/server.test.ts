import {once} from 'node:events';
import {existsSync, statSync, writeFileSync} from 'node:fs';
import test from 'ava';
import {REQUEST_BYTES_MAX, socketPath} from '../../src/control/protocol.js';
import {serveControl} from '../../src/control/server.js';
import {ControlError, ExitCode} from '../../src/errors.js';
import {FakeClock, seconds} from '../fake/clock.js';
import {FakeLog} from '../fake/log.js';
import {HANDLERS, runDirectory, scene} from './scene.js';

const ASK = '{"id":1,"call":"metrics"}\n';
const ANSWER = {id: 1, result: '# metrics\n'};

test('answers requests in order, however they are cut into pieces', async t => {
	const {client} = await scene(t);
	const {socket, line} = await client();
	socket.write(`${ASK}{"id":2,"call":"hea`);
	t.deepEqual(await line(), ANSWER);
	socket.write('lth"}\n');
	t.deepEqual(await line(), {id: 2, result: {services: []}});
});

test('only root may open the socket', async t => {
	const {path} = await scene(t);
	t.is(statSync(path).mode & 0o777, 0o600);
});

test('what is no request is answered as such, and the next one is served', async t => {
	const {client} = await scene(t);
	const {socket, line} = await client();
	const nonsense = ['', 'GET / HTTP/1.1', '[]', 'null', '"status"', '{"call":"metrics"}', '{"id":1}', '\u0000\u00ff'];
	for (const words of nonsense) {
		socket.write(`${words}\n`);
		t.like(await line(), {id: null, error: {code: 'bad-request'}}, words);
	}
	socket.write(ASK);
	t.deepEqual(await line(), ANSWER);
});

test('unknown calls and inherited names are refused with what there is', async t => {
	const {client} = await scene(t);
	const {socket, line} = await client();
	for (const call of ['sttaus', 'toString', '__proto__', 'constructor']) {
		socket.write(`${JSON.stringify({id: 7, call})}\n`);
		t.like(await line(), {id: 7, error: {code: 'unknown-call'}}, call);
	}
});

test('params where none are taken are refused', async t => {
	const {client} = await scene(t);
	const {socket, line} = await client();
	socket.write('{"id":1,"call":"stop","params":{"force":true}}\n');
	t.like(await line(), {id: 1, error: {code: 'bad-request', text: '"stop" takes no params'}});
});

test('a request that never ends is cut off', async t => {
	const {client} = await scene(t);
	const {socket, said} = await client();
	socket.end('x'.repeat(REQUEST_BYTES_MAX + 1));
	t.regex(await said, /"too-long"/);
});

test('a client that says half a line and no more is sent away', async t => {
	const {client, clock} = await scene(t);
	const {socket, said, line} = await client();
	socket.write(ASK);
	await line();
	socket.write('{"id":1,');
	clock.advance(seconds(10));
	t.like(await line(), {error: {code: 'timeout'}});
	clock.advance(seconds(1));
	await said;
});

test('a client that asks and does not read is sent away', async t => {
	const {client, clock} = await scene(t, {metrics: () => 'x'.repeat(8_000_000)});
	const {socket, said} = await client();
	socket.pause();
	socket.write(ASK.repeat(4));
	while (!clock.timers().includes('control client')) await new Promise(setImmediate);
	clock.advance(seconds(10));
	clock.advance(seconds(1));
	socket.resume();
	t.true((await said).length < 8_000_000);
	t.deepEqual(clock.timers(), []);
});

test('clients beyond the limit are turned away; the others are still served', async t => {
	const {client} = await scene(t);
	const clients = await Promise.all(Array.from({length: 32}, client));
	const extra = await client();
	t.is(await extra.said, '');
	const [first] = clients;
	first?.socket.write(ASK);
	t.deepEqual(await first?.line(), ANSWER);
	for (const {socket} of clients) socket.destroy();
});

test('a refusal keeps its code and exit code; any other failure is named and logged', async t => {
	const refuse = () => {
		throw new ControlError('no-file', 'lb.conf is gone', {exitCode: ExitCode.noConfiguration});
	};
	const fail = async () => Promise.reject(new Error('boom'));
	const {client, log} = await scene(t, {reload: refuse, health: fail});
	const {socket, line} = await client();
	socket.write('{"id":1,"call":"reload"}\n{"id":2,"call":"health"}\n');
	t.deepEqual(await line(), {id: 1, error: {code: 'no-file', text: 'lb.conf is gone', exitCode: 6}});
	t.like(await line(), {id: 2, error: {code: 'failed'}});
	t.deepEqual(log.take(), ['error control call failed']);
});

test('takes the place of a socket that a dead daemon left', async t => {
	const directory = runDirectory(t);
	const path = socketPath('default', directory);
	writeFileSync(path, '');
	const server = await serveControl({path, clock: new FakeClock(), log: new FakeLog(), handlers: HANDLERS});
	t.true(statSync(path).isSocket());
	await server.close();
	t.false(existsSync(path));
});

test('closing ends the connections too', async t => {
	const {client, server, clock} = await scene(t);
	const {socket} = await client();
	const closed = once(socket, 'close');
	await server.close();
	await closed;
	t.deepEqual(clock.timers(), []);
});

test('a plan is asked for with an absolute path, and with nothing else', async t => {
	const {client} = await scene(t);
	const {socket, line} = await client();
	for (const params of [null, {}, {file: 'new.conf'}, {file: 7}, '/etc/new.conf', {file: '/etc/\u0000'}]) {
		socket.write(`${JSON.stringify({id: 1, call: 'plan', params})}\n`);
		t.like(await line(), {error: {code: 'bad-request'}}, JSON.stringify(params));
	}
	socket.write('{"id":2,"call":"plan","params":{"file":"/etc/new.conf"}}\n');
	t.like(await line(), {id: 2, result: {accepted: true, file: '/etc/new.conf'}});
});
