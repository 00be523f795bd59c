import {createSocket} from 'node:dgram';
import {once} from 'node:events';
import test, {type ExecutionContext} from 'ava';
import {decode, encode, type Packet} from 'dns-packet';
import {dnsChecker} from '../../src/check/dns.js';
import {udpChecker} from '../../src/check/udp.js';
import type {DnsCheck, UdpCheck, UdpReply} from '../../src/conf/model.js';
import {lookFor, loopback, timed} from './model.js';

/** RFC 863. */
const DISCARD = 9;

/** A server that answers each datagram with what `answer` makes of it; `heard` are the datagrams. */
async function datagramServer(
	t: ExecutionContext,
	answer: (bytes: Buffer) => readonly Uint8Array[],
): Promise<{readonly port: number; readonly heard: Buffer[]}> {
	const heard: Buffer[] = [];
	const socket = createSocket('udp4', (bytes, from) => {
		heard.push(bytes);
		for (const reply of answer(bytes)) socket.send(reply, from.port, from.address);
	});
	socket.bind(0, '127.0.0.1');
	await once(socket, 'listening');
	t.teardown(() => void socket.close());
	return {port: socket.address().port, heard};
}

/** A port that refuses, and that nobody else is given meanwhile: its socket hears one other port alone. */
async function unusedPort(t: ExecutionContext): Promise<number> {
	const socket = createSocket('udp4').bind(0, '127.0.0.1');
	await once(socket, 'listening');
	t.teardown(() => void socket.close());
	socket.connect(DISCARD, '127.0.0.1');
	await once(socket, 'connect');
	return socket.address().port;
}

function udpCheck(port: number, changes: Partial<UdpCheck> = {}): UdpCheck {
	return {kind: 'udp', ...loopback(port), payload: null, reply: null, ...changes};
}

/** For what is expected to take longer. */
const BRIEF = {connectTimeoutUs: 100_000};
const ANY: UdpReply = {pattern: '', minLength: 0, maxLength: 65_535};

test('UDP_CHECK passes when nobody refuses, and sends what it is told', async t => {
	const {port, heard} = await datagramServer(t, () => []);
	t.deepEqual(await timed(udpChecker(udpCheck(port, BRIEF))), {ok: true});
	t.deepEqual(await timed(udpChecker(udpCheck(port, {...BRIEF, payload: '0d0a'}))), {ok: true});
	t.deepEqual([heard[0]?.length, heard[1]], [64, Buffer.from('\r\n')]);
});

test('UDP_CHECK does not wait when there is an answer', async t => {
	const {port} = await datagramServer(t, () => [Buffer.from('x')]);
	t.deepEqual(await udpChecker(udpCheck(port)).check(lookFor()), {ok: true});
});

test('UDP_CHECK of a port where nobody listens is refused', async t => {
	const port = await unusedPort(t);
	t.like(await timed(udpChecker(udpCheck(port))), {ok: false, reason: 'refused'});
	t.like(await timed(udpChecker(udpCheck(port, {reply: ANY}))), {ok: false, reason: 'refused'});
});

test('UDP_CHECK that requires a reply fails without one', async t => {
	const {port} = await datagramServer(t, () => []);
	t.like(await timed(udpChecker(udpCheck(port, {...BRIEF, reply: ANY}))), {ok: false, reason: 'timeout'});
});

const replies: readonly (readonly [string, Partial<UdpReply>, boolean])[] = [
	['any', {}, true],
	['its beginning', {pattern: '6162'}, true],
	['all of it and more', {pattern: '61626364'}, true],
	['with open places', {pattern: '6x6xx3'}, true],
	['other bytes', {pattern: '6163'}, false],
	['too short', {minLength: 4}, false],
	['long enough', {minLength: 3}, true],
	['too long', {maxLength: 2}, false],
];
for (const [what, wanted, passes] of replies) {
	test(`UDP_CHECK that requires a reply: ${what}`, async t => {
		const {port} = await datagramServer(t, () => [Buffer.from('abc')]);
		t.is((await timed(udpChecker(udpCheck(port, {reply: {...ANY, ...wanted}})))).ok, passes);
	});
}

test('checks from the address and port they are told to', async t => {
	const free = await unusedPort(t);
	const froms: string[] = [];
	const socket = createSocket('udp4', (bytes, from) => {
		froms.push(`${from.address}:${from.port}`);
		socket.send(bytes, from.port, from.address);
	});
	socket.bind(0, '127.0.0.1');
	await once(socket, 'listening');
	t.teardown(() => void socket.close());
	const {port} = socket.address();
	const one = udpCheck(port, {reply: ANY, bindAddress: '127.0.0.9', bindPort: free});
	t.deepEqual(await timed(udpChecker(one)), {ok: true});
	t.deepEqual(froms, [`127.0.0.9:${free}`]);
	const other = udpCheck(port, {bindAddress: '192.0.2.1'});
	t.like(await timed(udpChecker(other)), {ok: false, reason: 'bind-failed'});
});

function dnsCheck(port: number, changes: Partial<DnsCheck> = {}): DnsCheck {
	return {kind: 'dns', ...loopback(port), type: 'SOA', name: '', ...changes};
}

/** What a name server answers to a query; `rcode` is the number of an error. */
function response(query: Buffer, {rcode = 0, id = 0}: {rcode?: number; id?: number} = {}): Uint8Array {
	const {id: own = 0, questions = []} = decode(query);
	return encode({type: 'response', id: id || own, flags: rcode, questions} as Packet);
}

test('DNS_CHECK passes with an answer without error, and asks what it is told', async t => {
	const {port, heard} = await datagramServer(t, query => [response(query)]);
	t.deepEqual(await timed(dnsChecker(dnsCheck(port))), {ok: true});
	t.deepEqual(await timed(dnsChecker(dnsCheck(port, {type: 'MX', name: 'example.com'}))), {ok: true});
	t.deepEqual(
		heard.map(query => {
			const {flag_rd, questions = []} = decode(query) as Packet & {readonly flag_rd: boolean};
			return [flag_rd, questions[0]?.type, questions[0]?.name];
		}),
		[
			[true, 'SOA', '.'],
			[true, 'MX', 'example.com'],
		],
	);
});

test('DNS_CHECK fails with an error, and tells it', async t => {
	const {port} = await datagramServer(t, query => [response(query, {rcode: 2})]);
	t.deepEqual(await timed(dnsChecker(dnsCheck(port))), {ok: false, reason: 'status', detail: 'answered SERVFAIL'});
});

test('DNS_CHECK does not believe an answer to another query, nor its own question', async t => {
	const wrong = (query: Buffer) => [response(query, {id: ((decode(query).id ?? 0) + 1) & 0xffff || 1}), query];
	const liar = await datagramServer(t, wrong);
	t.like(await timed(dnsChecker(dnsCheck(liar.port, BRIEF))), {ok: false, reason: 'timeout'});
	const late = await datagramServer(t, query => [...wrong(query), response(query)]);
	t.deepEqual(await timed(dnsChecker(dnsCheck(late.port))), {ok: true});
});

test('DNS_CHECK fails with garbage, silence and refusal', async t => {
	for (const garbage of [Buffer.from('x'), Buffer.alloc(11), Buffer.alloc(300, 0xff)]) {
		const {port} = await datagramServer(t, () => [garbage]);
		t.like(await timed(dnsChecker(dnsCheck(port))), {ok: false, reason: 'malformed'}, garbage.toString('hex'));
	}
	const silent = await datagramServer(t, () => []);
	t.like(await timed(dnsChecker(dnsCheck(silent.port, BRIEF))), {ok: false, reason: 'timeout'});
	t.like(await timed(dnsChecker(dnsCheck(await unusedPort(t)))), {ok: false, reason: 'refused'});
});
