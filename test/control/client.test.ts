import {once} from 'node:events';
import {writeFileSync} from 'node:fs';
import {createServer, type Socket} from 'node:net';
import test, {type ExecutionContext} from 'ava';
import {ControlClient} from '../../src/control/client.js';
import {socketPath} from '../../src/control/protocol.js';
import {ControlError, ExitCode} from '../../src/errors.js';
import {runDirectory, scene} from './scene.js';

/** Something that listens where a daemon should. */
async function impostor(
	t: ExecutionContext,
	answer: (socket: Socket) => void,
	timeoutMs = 20_000,
): Promise<ControlClient> {
	const directory = runDirectory(t);
	const sockets: Socket[] = [];
	const server = createServer(socket => {
		sockets.push(socket);
		socket.on('error', () => {});
		socket.once('data', () => answer(socket));
	});
	server.listen(socketPath('default', directory));
	await once(server, 'listening');
	t.teardown(() => {
		for (const socket of sockets) socket.destroy();
		server.close();
	});
	return new ControlClient('default', {directory, timeoutMs});
}

test('returns what the daemon answers', async t => {
	const {directory} = await scene(t);
	const client = new ControlClient('default', {directory});
	t.is(await client.call('metrics', null), '# metrics\n');
});

test('passes a refusal on, with its exit code', async t => {
	const refuse = () => {
		throw new ControlError('busy', 'a reload is under way', {exitCode: ExitCode.badValue});
	};
	const {directory} = await scene(t, {reload: refuse});
	const client = new ControlClient('default', {directory});
	await t.throwsAsync(client.call('reload', null), {
		instanceOf: ControlError,
		code: 'busy',
		message: 'a reload is under way',
	});
});

test('no socket, or one that nobody listens on: no daemon', async t => {
	const directory = runDirectory(t);
	const client = new ControlClient('east', {directory});
	const expected = {
		code: 'no-daemon',
		message: `no daemon named "east" answers at ${directory}/east.sock (is it running? systemctl status lbd)`,
	};
	await t.throwsAsync(client.call('status', null), expected);
	writeFileSync(socketPath('east', directory), '');
	await t.throwsAsync(client.call('status', null), expected);
});

test('a daemon that says nothing hangs', async t => {
	const client = await impostor(t, () => {}, 100);
	await t.throwsAsync(client.call('status', null), {code: 'timeout', message: /said nothing for 0.1 s/});
});

test('a daemon that hangs up, or talks of other things, is broken', async t => {
	const rude = await impostor(t, socket => void socket.end());
	await t.throwsAsync(rude.call('status', null), {code: 'broken'});
	const odd = await impostor(t, socket => void socket.write('HTTP/1.1 400 Bad Request\r\n'));
	await t.throwsAsync(odd.call('status', null), {code: 'broken'});
});

test('names that could leave the directory are refused', t => {
	for (const name of ['', '..', '../x', 'a/b', '.hidden', 'a b', 'x'.repeat(49)]) {
		t.throws(() => new ControlClient(name), {instanceOf: ControlError, code: 'bad-name'}, name);
	}
});
