import {once} from 'node:events';
import {type AddressInfo, createServer, type Socket} from 'node:net';
import {text} from 'node:stream/consumers';
import {setImmediate} from 'node:timers/promises';
import test, {type ExecutionContext} from 'ava';
import {SMTPServer, type SMTPServerOptions} from 'smtp-server';
import type {Mail} from '../../src/host/host.js';
import {realMailer} from '../../src/host/real/mailer.js';

const never = new AbortController().signal;

function mail(port: number, changes: Partial<Mail> = {}): Mail {
	return {
		server: {host: '127.0.0.1', port},
		heloName: 'lb1.example.com',
		from: 'lb@example.com',
		to: ['a@example.com', 'b@example.com'],
		subject: '[lb1] VRRP Instance VI_1 - Entering MASTER state',
		text: '=> VRRP Instance is now owning VRRP VIPs <=',
		timeoutUs: 10_000_000,
		...changes,
	};
}

interface Received {
	readonly from: string | undefined;
	readonly to: readonly string[];
	readonly helo: string;
	readonly secure: boolean;
	readonly content: string;
}

/** A real SMTP server, on a port of its own, that keeps what it gets. */
async function serve(t: ExecutionContext, options: SMTPServerOptions = {}) {
	const received: Received[] = [];
	const server = new SMTPServer({
		authOptional: true,
		disabledCommands: ['STARTTLS'],
		onData(stream, session, callback) {
			void text(stream).then(content => {
				const {mailFrom, rcptTo} = session.envelope;
				received.push({
					from: mailFrom === false ? undefined : mailFrom.address,
					to: rcptTo.map(({address}) => address),
					helo: String(session.hostNameAppearsAs),
					secure: session.secure,
					content,
				});
				callback();
			});
		},
		...options,
	});
	server.on('error', () => {});
	server.listen(0, '127.0.0.1');
	await once(server.server, 'listening');
	t.teardown(() => new Promise<void>(resolve => server.close(() => resolve())));
	return {port: (server.server.address() as AddressInfo).port, received};
}

/** A server of another kind: `onSocket` has the word. */
async function listen(t: ExecutionContext, onSocket: (socket: Socket) => void): Promise<number> {
	const sockets = new Set<Socket>();
	const server = createServer(socket => {
		sockets.add(socket);
		socket.on('error', () => {});
		onSocket(socket);
	}).listen(0, '127.0.0.1');
	await once(server, 'listening');
	t.teardown(() => {
		for (const socket of sockets) socket.destroy();
		server.close();
	});
	return (server.address() as AddressInfo).port;
}

test('a mail arrives with keepalived’s headers and text', async t => {
	const {port, received} = await serve(t);
	t.deepEqual(await realMailer.send(mail(port), never), {kind: 'sent'});
	const [got] = received;
	t.like(got, {from: 'lb@example.com', to: ['a@example.com', 'b@example.com'], helo: 'lb1.example.com', secure: false});
	const [head = '', body] = (got?.content ?? '').split('\r\n\r\n');
	const headers = head.replace(/\r\n\s+/g, ' ').split('\r\n');
	for (const header of [
		'From: lb@example.com',
		'To: a@example.com, b@example.com',
		'Subject: [lb1] VRRP Instance VI_1 - Entering MASTER state',
		'X-Mailer: Keepalived',
	]) {
		t.true(headers.includes(header), header);
	}
	t.regex(head, /^Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}$/m);
	t.is(body, '=> VRRP Instance is now owning VRRP VIPs <=\r\n');
});

test('a server with a certificate of its own making gets it encrypted', async t => {
	const {port, received} = await serve(t, {disabledCommands: []});
	t.deepEqual(await realMailer.send(mail(port), never), {kind: 'sent'});
	t.true(received[0]?.secure);
});

test('a name of a configuration file cannot make a header', async t => {
	const {port, received} = await serve(t);
	await realMailer.send(mail(port, {subject: '[lb1] a\r\nBcc: all@example.com\r\n\r\nb'}), never);
	t.deepEqual(received[0]?.to, ['a@example.com', 'b@example.com']);
	t.notRegex(received[0]?.content ?? '', /^Bcc/m);
});

test('a server that is not there may be there later', async t => {
	const closed = createServer().listen(0, '127.0.0.1');
	await once(closed, 'listening');
	const {port} = closed.address() as AddressInfo;
	closed.close();
	await once(closed, 'close');
	const end = await realMailer.send(mail(port), never);
	t.like(end, {kind: 'failed'});
	t.regex(JSON.stringify(end), /ECONNREFUSED/);
});

test('a server that knows no such recipient refuses; one that is too busy does not', async t => {
	const refusing = (code: number) =>
		serve(t, {
			onRcptTo(_address, _session, callback) {
				callback(Object.assign(new Error('not now'), {responseCode: code}));
			},
		});
	t.like(await realMailer.send(mail((await refusing(550)).port), never), {kind: 'refused'});
	t.like(await realMailer.send(mail((await refusing(451)).port), never), {kind: 'failed'});
});

for (const [what, onSocket] of [
	['says nothing', () => {}],
	['hangs in mid-dialogue', (socket: Socket) => socket.once('data', () => {}).write('220 hello\r\n')],
] as const) {
	test(`a server that ${what} is left when its time is over`, async t => {
		const port = await listen(t, onSocket);
		const before = performance.now();
		t.like(await realMailer.send(mail(port, {timeoutUs: 200_000}), never), {kind: 'failed'});
		t.true(performance.now() - before < 20_000, 'not after the library’s own minutes');
	});
}

for (const [what, onSocket] of [
	['closes at once', (socket: Socket) => socket.end()],
	[
		'dies in mid-dialogue',
		(socket: Socket) => socket.once('data', () => socket.resetAndDestroy()).write('220 hello\r\n'),
	],
	['speaks another language', (socket: Socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')],
] as const) {
	test(`a server that ${what} is a failure`, async t => {
		const port = await listen(t, onSocket);
		t.not((await realMailer.send(mail(port), never)).kind, 'sent');
	});
}

test('a server that answers byte by byte is broken off when told to', async t => {
	const port = await listen(t, socket => {
		const drip = setInterval(() => socket.write('2'), 20);
		socket.on('close', () => clearInterval(drip));
	});
	const abort = new AbortController();
	const sent = realMailer.send(mail(port, {timeoutUs: 30_000_000}), abort.signal);
	setTimeout(() => abort.abort(), 100);
	t.like(await sent, {kind: 'failed'});
	t.like(await realMailer.send(mail(port), AbortSignal.abort()), {kind: 'failed'});
});

test('a mail that is broken off as soon as it has begun is no exception, and nobody gets it', async t => {
	const {port, received} = await serve(t);
	for (const ticks of [0, 1, 2, 5, 10]) {
		const abort = new AbortController();
		const sent = realMailer.send(mail(port), abort.signal);
		for (let tick = 0; tick < ticks; tick++) await setImmediate();
		abort.abort();
		t.like(await sent, {kind: 'failed'});
	}
	t.deepEqual(received, []);
});
