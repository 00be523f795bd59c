/** Fragmented datagrams: what goes out is what a router would make of the datagram that was translated as a whole. */
import type {ExecutionContext} from 'ava';
import {BackendState} from '../../src/xdp/layout.gen.js';
import {type Balancer, balancer, CLIENT_MAC, packetTest, type Side, type VerdictName} from './balancer.js';
import {Connection} from './connection.js';
import {describe, EXTENSION, fragmented, icmpErrorFrame, patched, renamed, translated, udpFrame} from './frame.js';

/** What fits behind an IP header within an MTU of 1,500, in both families. */
const SIZE = 1448;
const PAYLOAD = Uint8Array.from({length: 8192}, (_, n) => n * 7);
const BACKEND_MAC = '02:00:00:00:01:49';

interface Scene {
	readonly family: 4 | 6;
	readonly client: string;
	/** A prefix that the client is under. */
	readonly blocked: string;
	readonly dns: string;
	readonly web: string;
	readonly backendAddress: string;
	readonly backend: string;
	/** Where the offset of a fragment is that is no multiple of 256 units of eight bytes. */
	readonly offsetAt: number;
}

const SCENES: readonly Scene[] = [
	{
		family: 4,
		client: '192.168.1.50:40000',
		blocked: '192.168.1.48/28',
		dns: '192.168.1.1:53',
		web: '192.168.1.1:80',
		backendAddress: '10.0.0.73',
		backend: '10.0.0.73:5353',
		offsetAt: 21,
	},
	{
		family: 6,
		client: '[2001:db8:c::50]:40000',
		blocked: '2001:db8:c::/48',
		dns: '[2001:db8:1::1]:53',
		web: '[2001:db8:1::1]:80',
		backendAddress: 'fd00:10::49',
		backend: '[fd00:10::49]:5353',
		offsetAt: 57,
	},
];

function fresh(t: ExecutionContext): Balancer {
	return balancer(
		t,
		SCENES.flatMap(({dns, web, backend}) => [
			{at: dns, protocol: 'udp', backends: [backend]},
			{at: web, backends: [backend]},
		]),
	);
}

/** Sends fragments and compares how each leaves, and with which verdict; unchanged unless told. */
function assertWays(
	t: ExecutionContext,
	b: Balancer,
	{
		sent,
		verdicts,
		out = sent,
		side = 'external',
	}: {
		sent: readonly Uint8Array[];
		verdicts: readonly VerdictName[];
		out?: readonly Uint8Array[];
		side?: Side;
	},
): void {
	const outcomes = sent.map(fragment => b.send(fragment, side));
	t.deepEqual(
		outcomes.map(({verdict}) => verdict),
		verdicts,
	);
	t.deepEqual(
		outcomes.map(({frame}) => describe(frame)),
		out.map(frame => describe(frame)),
	);
}

const times = (count: number, verdict: VerdictName): VerdictName[] => Array.from({length: count}, () => verdict);

for (const scene of SCENES) {
	const {family, client, blocked, dns, web, backend, backendAddress, offsetAt} = scene;
	const request = (b: Balancer, fields = {}): Uint8Array =>
		new Connection(b, client, dns, 'udp').request('', {payload: PAYLOAD, ...fields});
	const syn = (b: Balancer): Uint8Array => new Connection(b, client, web).request('S', {payload: new Uint8Array(60)});
	const atBackend = (frame: Uint8Array, b: Balancer): Uint8Array =>
		translated(frame, {toMac: BACKEND_MAC, fromMac: b.ports.internal.mac, to: backend});
	const COUNT = Math.ceil((PAYLOAD.length + 8) / SIZE);
	const ipv = (title: string): string => `IPv${family}: ${title}`;

	packetTest(ipv('a datagram of 8 KB, and another one'), t => {
		const b = fresh(t);
		const out = fragmented(atBackend(request(b), b), SIZE);
		const sent = fragmented(request(b), SIZE);
		assertWays(t, b, {sent, out, verdicts: ['V_FORWARD_NEW', ...times(COUNT - 1, 'V_FORWARD')]});
		assertWays(t, b, {
			sent: fragmented(request(b), SIZE, 8),
			out: fragmented(atBackend(request(b), b), SIZE, 8),
			verdicts: times(COUNT, 'V_FORWARD'),
		});
	});

	packetTest(ipv('an answer of 8 KB'), t => {
		const b = fresh(t);
		const connection = new Connection(b, client, dns, 'udp');
		connection.fromClient();
		const whole = connection.answer('', {payload: PAYLOAD});
		const out = translated(whole, {toMac: CLIENT_MAC, fromMac: b.ports.external.mac, from: dns});
		const verdicts = times(COUNT, 'V_REPLY');
		assertWays(t, b, {sent: fragmented(whole, SIZE), out: fragmented(out, SIZE), verdicts, side: 'internal'});
	});

	packetTest(ipv('two datagrams in turn, whose later fragments come in any order'), t => {
		const b = fresh(t);
		const [first, ...later] = fragmented(request(b), SIZE);
		const [other, ...others] = fragmented(request(b), SIZE, 8);
		t.is(b.send(first ?? PAYLOAD).verdict, 'V_FORWARD_NEW');
		t.is(b.send(other ?? PAYLOAD).verdict, 'V_FORWARD');
		for (const fragment of [...later, ...others].toReversed()) t.is(b.send(fragment).verdict, 'V_FORWARD');
	});

	packetTest(ipv('what comes before its first fragment is left to the kernel'), t => {
		const b = fresh(t);
		const sent = fragmented(request(b), SIZE).toReversed();
		const outcomes = sent.map(fragment => b.send(fragment).verdict);
		t.deepEqual(outcomes, [...times(COUNT - 1, 'V_PASS_FRAGMENT'), 'V_FORWARD_NEW']);
	});

	packetTest(ipv('later fragments are dropped as the first one was'), t => {
		const b = fresh(t);
		assertWays(t, b, {sent: fragmented(request(b, {ttl: 1}), SIZE), verdicts: times(COUNT, 'V_DROP_TTL')});
		b.setState(backendAddress, BackendState.BACKEND_DOWN);
		assertWays(t, b, {sent: fragmented(syn(b), 40), verdicts: times(2, 'V_DROP_NO_BACKEND')});
	});

	packetTest(ipv('fragments of a blocked source are dropped, whatever its flow was'), t => {
		const b = fresh(t);
		const connection = new Connection(b, client, dns, 'udp');
		connection.fromClient();
		const answer = connection.answer('', {payload: PAYLOAD});
		const datagram = fragmented(request(b), SIZE);
		assertWays(t, b, {
			sent: datagram.slice(0, 2),
			out: fragmented(atBackend(request(b), b), SIZE).slice(0, 2),
			verdicts: times(2, 'V_FORWARD'),
		});
		b.block(blocked);
		assertWays(t, b, {sent: datagram.slice(2), verdicts: times(COUNT - 2, 'V_DROP_BLOCKED')});
		assertWays(t, b, {sent: fragmented(request(b), SIZE, 8), verdicts: times(COUNT, 'V_DROP_BLOCKED')});
		assertWays(t, b, {sent: fragmented(syn(b), 40, 16), verdicts: times(2, 'V_DROP_BLOCKED')});
		t.is(b.flows(family).length, 1);
		const toClient = translated(answer, {toMac: CLIENT_MAC, fromMac: b.ports.external.mac, from: dns});
		assertWays(t, b, {
			sent: fragmented(answer, SIZE, 24),
			out: fragmented(toClient, SIZE, 24),
			verdicts: times(COUNT, 'V_REPLY'),
			side: 'internal',
		});
		const foreign = new Connection(b, client, dns.replace(/53$/, '54'), 'udp').request('', {payload: PAYLOAD});
		const verdicts: VerdictName[] = ['V_PASS_NOT_OURS', ...times(COUNT - 1, 'V_PASS_FRAGMENT')];
		assertWays(t, b, {sent: fragmented(foreign, SIZE, 32), verdicts});
	});

	packetTest(ipv('a backend that fails between two fragments'), t => {
		const b = fresh(t);
		const [first = PAYLOAD, later = PAYLOAD] = fragmented(request(b), SIZE);
		t.is(b.send(first).verdict, 'V_FORWARD_NEW');
		b.setState(backendAddress, BackendState.BACKEND_DOWN);
		t.is(b.send(later).verdict, 'V_DROP_BACKEND_DOWN');
	});

	packetTest(ipv("a datagram for the balancer itself is the kernel's, whatever had its number before"), t => {
		const b = fresh(t);
		for (const fragment of fragmented(request(b), SIZE)) b.send(fragment);
		const foreign = new Connection(b, client, dns.replace(/53$/, '54'), 'udp').request('', {payload: PAYLOAD});
		const verdicts: VerdictName[] = ['V_PASS_NOT_OURS', ...times(COUNT - 1, 'V_PASS_FRAGMENT')];
		assertWays(t, b, {sent: fragmented(foreign, SIZE), verdicts});
	});

	packetTest(ipv('a first fragment without its whole header, and all behind it'), t => {
		const b = fresh(t);
		const verdicts: VerdictName[] = ['V_PASS_MALFORMED', ...times(4, 'V_PASS_FRAGMENT')];
		assertWays(t, b, {sent: fragmented(syn(b), 16), verdicts});
	});

	packetTest(ipv('what would overwrite the TCP header is dropped, what would not is not'), t => {
		const b = fresh(t);
		const [first = PAYLOAD, later = PAYLOAD] = fragmented(syn(b), 40);
		t.is(b.send(first).verdict, 'V_FORWARD_NEW');
		const moved = (bytes: number): Uint8Array =>
			patched(later, {[offsetAt]: family === 4 ? bytes / 8 : bytes, [offsetAt - 1]: 0});
		t.is(b.send(moved(8)).verdict, 'V_DROP_FRAGMENT');
		t.is(b.send(moved(16)).verdict, 'V_DROP_FRAGMENT');
		t.is(b.send(moved(24)).verdict, 'V_FORWARD');
	});

	packetTest(ipv('a datagram is forgotten when its receiver gives it up'), async t => {
		const b = fresh(t);
		const [first = PAYLOAD, later = PAYLOAD] = fragmented(request(b), SIZE);
		b.send(first);
		const lives = family === 4 ? 30n : 60n;
		const entries = await b.maps.fragments[family].entries();
		t.is(entries.length, 1);
		for (const [key, way] of entries) {
			const left = way.expires - b.jiffies();
			const hz = BigInt(b.maps.settings.get(0)?.hz ?? 0);
			t.true(left > (lives - 2n) * hz && left <= lives * hz, `${left} jiffies`);
			b.maps.fragments[family].set(key, {...way, expires: b.jiffies()});
		}
		t.is(b.send(later).verdict, 'V_PASS_FRAGMENT');
	});

	packetTest(ipv('an error about a first fragment reaches the backend'), t => {
		const b = fresh(t);
		const connection = new Connection(b, client, dns, 'udp');
		connection.fromClient();
		const whole = connection.answer('', {payload: PAYLOAD});
		const out = translated(whole, {toMac: CLIENT_MAC, fromMac: b.ports.external.mac, from: dns});
		const quoted = (frame: Uint8Array): Uint8Array => fragmented(frame, SIZE)[0] ?? PAYLOAD;
		const parts = {
			...(family === 4 ? {type: 3, code: 4} : {type: 2, code: 0}),
			rest: 1400,
			from: family === 4 ? '203.0.113.9' : '2001:db8:9::9',
			quoted: family === 4 ? 8 : 16,
		};
		const {external, internal} = b.ports;
		const error = icmpErrorFrame({...parts, toMac: external.mac, fromMac: CLIENT_MAC, to: dns, about: quoted(out)});
		const expected = icmpErrorFrame({
			...parts,
			toMac: BACKEND_MAC,
			fromMac: internal.mac,
			to: backend,
			ttl: 63,
			about: quoted(renamed(out, {from: backend})),
		});
		assertWays(t, b, {sent: [error], out: [expected], verdicts: ['V_FORWARD_ICMP']});
	});
}

const [, ipv6] = SCENES;
if (ipv6 !== undefined) {
	const atBackend = (frame: Uint8Array, b: Balancer): Uint8Array =>
		translated(frame, {toMac: BACKEND_MAC, fromMac: b.ports.internal.mac, to: ipv6.backend});

	packetTest('IPv6: a fragment that is all of its packet is a packet', t => {
		const b = fresh(t);
		const whole = new Connection(b, ipv6.client, ipv6.web).request('S');
		const out = fragmented(atBackend(whole, b), SIZE);
		assertWays(t, b, {sent: fragmented(whole, SIZE), out, verdicts: ['V_FORWARD_NEW']});
	});

	packetTest('IPv6: extension headers behind the fragment header', t => {
		const b = fresh(t);
		const whole = udpFrame({
			toMac: b.ports.external.mac,
			fromMac: CLIENT_MAC,
			from: ipv6.client,
			to: ipv6.dns,
			extensions: [{type: EXTENSION.destination, units: 2}],
			payload: PAYLOAD,
		});
		const out = fragmented(atBackend(whole, b), SIZE);
		assertWays(t, b, {
			sent: fragmented(whole, SIZE),
			out,
			verdicts: ['V_FORWARD_NEW', ...times(out.length - 1, 'V_FORWARD')],
		});
	});
}
