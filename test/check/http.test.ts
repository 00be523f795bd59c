import {createHash} from 'node:crypto';
import {createServer} from 'node:http';
import type {Socket} from 'node:net';
import test, {type ExecutionContext} from 'ava';
import type {Reason, Result} from '../../src/check/checker.js';
import {httpChecker} from '../../src/check/http.js';
import type {HttpCheck, HttpUrl} from '../../src/conf/model.js';
import {lookFor, loopback, timed} from './model.js';
import {closedPort, dribble, listen, listenTls} from './servers.js';

const BODY = '<h1>It works</h1>\n';
const MD5 = createHash('md5').update(BODY).digest('hex');

function url(changes: Partial<HttpUrl> = {}): HttpUrl {
	return {
		path: '/',
		host: 'www.example.com',
		serverName: null,
		statusCodes: [[200, 299]],
		digest: null,
		pattern: null,
		...changes,
	};
}

function httpCheck(port: number, changes: Partial<HttpCheck> = {}): HttpCheck {
	return {
		kind: 'http',
		...loopback(port),
		version: '1.0',
		close: false,
		fastRecovery: false,
		urls: [url()],
		...changes,
	};
}

function get(port: number, changes: Partial<HttpCheck> = {}, signal?: AbortSignal): Promise<Result> {
	return httpChecker(httpCheck(port, changes)).check(lookFor(signal));
}

/** A server that answers every request with `answer`, and the requests that it got. */
async function answering(
	t: ExecutionContext,
	answer: string | ((socket: Socket) => void),
): Promise<{readonly port: number; readonly requests: string[]}> {
	const requests: string[] = [];
	const {port} = await listen(t, socket => {
		socket.once('data', request => {
			requests.push(request.toString());
			if (typeof answer === 'string') socket.end(answer);
			else answer(socket);
		});
	});
	return {port, requests};
}

const answered = (status: number, body = BODY) => `HTTP/1.1 ${status} Whatever\r\nServer: x\r\n\r\n${body}`;

test('passes against a real web server, over HTTP 1.0 and 1.1', async t => {
	const server = createServer((_, response) => response.end(BODY)).listen(0, '127.0.0.1');
	t.teardown(() => void server.close());
	await new Promise(resolve => server.once('listening', resolve));
	const {port} = server.address() as {port: number};
	for (const protocol of [
		{version: '1.0', close: false},
		{version: '1.0', close: true},
		{version: '1.1', close: true},
	] as const)
		t.deepEqual(await get(port, {...protocol, urls: [url({digest: MD5})]}), {ok: true});
});

test('asks as keepalived does', async t => {
	const {port, requests} = await answering(t, answered(200));
	await get(port, {urls: [url({path: '/a?b=c', host: '127.0.0.1:80'})]});
	await get(port, {version: '1.1', close: true});
	t.deepEqual(requests, [
		'GET /a?b=c HTTP/1.0\r\nUser-Agent: KeepAliveClient\r\nHost: 127.0.0.1:80\r\n\r\n',
		'GET / HTTP/1.1\r\nUser-Agent: KeepAliveClient\r\nConnection: close\r\nHost: www.example.com\r\n\r\n',
	]);
});

test('asks for the URL whose turn it is', async t => {
	const {port, requests} = await answering(t, answered(200));
	const urls = [url({path: '/one'}), url({path: '/two'})];
	await httpChecker(httpCheck(port, {urls})).check(lookFor(undefined, 1));
	t.regex(requests[0] ?? '', /^GET \/two /);
});

const outcomes: readonly (readonly [string, Partial<HttpUrl>, string, Reason | null])[] = [
	['200', {}, answered(200), null],
	['299', {}, answered(299), null],
	['300', {}, answered(300), 'status'],
	['503', {}, answered(503), 'status'],
	[
		'404, asked for',
		{
			statusCodes: [
				[200, 200],
				[400, 404],
			],
		},
		answered(404),
		null,
	],
	['200, not asked for', {statusCodes: [[301, 302]]}, answered(200), 'status'],
	['the right digest', {digest: MD5}, answered(200), null],
	['the wrong digest', {digest: MD5}, answered(200, `${BODY}!`), 'mismatch'],
	['the right digest, the wrong status', {digest: MD5}, answered(500), 'status'],
	['the digest of no body', {digest: createHash('md5').digest('hex')}, answered(200, ''), null],
	[
		'a body up to its length',
		{digest: MD5},
		`HTTP/1.1 200 OK\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}more`,
		null,
	],
	['line ends without CR', {digest: MD5}, `HTTP/1.1 200 OK\nServer: x\n\n${BODY}`, null],
	['a status line without words', {}, 'HTTP/1.1 204\r\n\r\n', null],
	['nothing', {}, '', 'closed'],
	['half a header', {}, 'HTTP/1.1 200 OK\r\nServer', 'malformed'],
	['garbage', {}, '\x00\xff\x13garbage\r\n\r\n', 'malformed'],
	['the banner of another protocol', {}, 'SSH-2.0-OpenSSH_9.2\r\n', 'malformed'],
	['a status of four digits', {}, 'HTTP/1.1 2000 OK\r\n\r\n', 'malformed'],
];

for (const [what, wanted, answer, reason] of outcomes) {
	test(`${what}: ${reason ?? 'passes'}`, async t => {
		const {port} = await answering(t, answer);
		const result = await get(port, {urls: [url(wanted)]});
		t.is(result.ok ? null : result.reason, reason, JSON.stringify(result));
	});
}

const pattern = {source: 'works', flags: '', inverted: false, minOffset: 0, maxOffset: null};
const patterns: readonly (readonly [string, NonNullable<HttpUrl['pattern']>, boolean])[] = [
	['it is there', pattern, true],
	['it is not', {...pattern, source: 'broken'}, false],
	['it is not, as it should', {...pattern, source: 'broken', inverted: true}, true],
	['it is there, as it should not', {...pattern, inverted: true}, false],
	['in another case', {...pattern, source: 'WORKS'}, false],
	['in any case', {...pattern, source: 'WORKS', flags: 'i'}, true],
	['right at the offset', {...pattern, minOffset: 7, maxOffset: 7}, true],
	['before it', {...pattern, minOffset: 8}, false],
	['behind it', {...pattern, maxOffset: 6}, false],
];
for (const [what, wanted, passes] of patterns) {
	test(`a pattern: ${what}`, async t => {
		const {port} = await answering(t, answered(200));
		t.is((await get(port, {urls: [url({pattern: wanted})]})).ok, passes);
	});
}

test('a pattern that would search forever is given up, and counts as not found', async t => {
	const {port} = await answering(t, answered(200, `${'a'.repeat(60)}!`));
	const endless = {...pattern, source: '(a+)+$'};
	t.like(await get(port, {urls: [url({pattern: endless})]}), {ok: false, reason: 'mismatch'});
});

test('a closed port is refused', async t => {
	t.like(await get(await closedPort(t)), {ok: false, reason: 'refused'});
});

test('does not wait for a connection to close when the length is known', async t => {
	const {port} = await answering(t, socket => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'));
	t.deepEqual(await get(port), {ok: true});
});

test('a header without an end is not read forever', async t => {
	const {port} = await answering(t, socket => {
		const more = () => {
			while (!socket.destroyed && socket.write('X'.repeat(65_536))) {}
		};
		socket.on('drain', more);
		socket.write('HTTP/1.1 200 OK\r\n');
		more();
	});
	t.like(await get(port), {ok: false, reason: 'malformed'});
});

test('a server that hangs is given up after connect_timeout', async t => {
	const {port} = await answering(t, () => {});
	t.like(await timed(httpChecker(httpCheck(port, {connectTimeoutUs: 100_000}))), {ok: false, reason: 'timeout'});
});

test('a server may take connect_timeout to begin and the same to finish', async t => {
	const {port} = await answering(t, socket => {
		setTimeout(() => {
			socket.write('HTTP/1.1 200 OK\r\n');
			setTimeout(() => socket.end('\r\n'), 2000);
		}, 2000);
	});
	t.deepEqual(await timed(httpChecker(httpCheck(port, {connectTimeoutUs: 3_500_000}))), {ok: true});
});

test('a server that answers byte by byte passes, unless it takes forever', async t => {
	const {port} = await answering(t, socket => void dribble(socket, answered(200), 1));
	const slow = await answering(t, socket => void dribble(socket, answered(200), 50));
	t.deepEqual(await timed(httpChecker(httpCheck(port, {urls: [url({digest: MD5})]}))), {ok: true});
	t.like(await timed(httpChecker(httpCheck(slow.port, {connectTimeoutUs: 200_000}))), {ok: false, reason: 'timeout'});
});

test('SSL_GET passes whoever has signed the certificate, and gives a name only if it has one', async t => {
	const {port, names} = await listenTls(t, socket => {
		socket.once('data', () => socket.end(answered(200)));
	});
	for (const serverName of [null, 'www.example.com', 'www.example.com:443', '127.0.0.1'])
		t.deepEqual(await get(port, {kind: 'https', urls: [url({digest: MD5, serverName})]}), {ok: true});
	t.deepEqual(names, [null, 'www.example.com', 'www.example.com', null]);
});

test('SSL_GET of a server without TLS fails, and hangs no longer than it may', async t => {
	const plain = await answering(t, answered(200));
	t.like(await get(plain.port, {kind: 'https'}), {ok: false, reason: 'tls'});
	const deaf = await listen(t);
	const one = httpCheck(deaf.port, {kind: 'https', connectTimeoutUs: 100_000});
	t.like(await timed(httpChecker(one)), {ok: false, reason: 'timeout'});
	const rude = await listen(t, socket => socket.destroy());
	const result = await get(rude.port, {kind: 'https'});
	t.false(result.ok);
});

test('gives up when told to, also before it has begun', async t => {
	const {port} = await answering(t, () => {});
	t.like(await get(port, {}, AbortSignal.timeout(50)), {ok: false, reason: 'timeout'});
	t.like(await get(port, {}, AbortSignal.abort()), {ok: false, reason: 'timeout'});
});
