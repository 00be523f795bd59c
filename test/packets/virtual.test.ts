/** Leases in the program: who is asked where an address is, which adverts count, and what closed addresses get. */
import type {ExecutionContext} from 'ava';
import {addressBytes} from '../../src/net/address.js';
import {encodeAdvert} from '../../src/net/vrrp-packet.js';
import {Seeded} from '../seeded.js';
import {type Balancer, balancer, CLIENT_MAC, packetTest, type Side, type VerdictName} from './balancer.js';
import {testCases} from './cases.js';
import {describe, ETHERNET, ETHERTYPE, fragmented, ipFrame, mac, PROTOCOL, patched, tagged, untagged} from './frame.js';
import {arp, solicitation, takeOver, VIRTUAL, VIRTUAL_JOB, virtualCases} from './virtual-cases.js';

testCases(virtualCases, VIRTUAL_JOB, {virtual: VIRTUAL});

/** With nothing sent or heard. */
function withRouters(t: ExecutionContext): Balancer {
	return balancer(t, [], {virtual: VIRTUAL});
}

const PEER = '192.168.1.11';
const PEER6 = 'fe80::11';
const GROUP = {to: '224.0.0.18:0', toMac: '01:00:5e:00:00:12'};
const GROUP6 = {to: '[ff02::12]:0', toMac: '33:33:00:00:00:12'};
const MS = 1_000_000n;

interface AdvertParts {
	readonly version?: 2 | 3;
	readonly vrid?: number;
	readonly priority?: number;
	readonly intervalMs?: number;
	readonly to?: string;
	readonly toMac?: string;
	readonly ttl?: number;
	/** Behind an authentication header. */
	readonly authenticated?: boolean;
}

function advert(parts: AdvertParts = {}): Uint8Array {
	const {version = 2, vrid = 91, priority = 100, intervalMs = 1000, ttl = 255, authenticated = false} = parts;
	const message = encodeAdvert(
		{version, vrid, priority, advertUs: intervalMs * 1000, addresses: ['192.168.1.1'], password: null},
		{source: PEER, destination: '224.0.0.18'},
	);
	const {to, toMac} = {...GROUP, ...parts};
	const ends = {fromMac: CLIENT_MAC, toMac, from: `${PEER}:0`, to, ttl};
	if (!authenticated) return ipFrame(ends, PROTOCOL.vrrp, message);
	const header = Uint8Array.from([PROTOCOL.vrrp, 4, ...new Uint8Array(22)]);
	return ipFrame(ends, PROTOCOL.ah, Uint8Array.from([...header, ...message]));
}

function advert6(intervalMs = 100): Uint8Array {
	const path = {source: PEER6, destination: 'ff02::12'};
	const fields = {version: 3, vrid: 91, priority: 100, advertUs: intervalMs * 1000, password: null} as const;
	const message = encodeAdvert({...fields, addresses: ['fe80::100']}, path);
	return ipFrame({fromMac: CLIENT_MAC, from: `[${PEER6}]:0`, ttl: 255, ...GROUP6}, PROTOCOL.vrrp, message);
}

function leaseOf(b: Balancer, index: number): {sentNs: bigint; heardNs: bigint; forNs: bigint} {
	const lease = b.maps.leases.get(index);
	if (lease === undefined) throw new Error(`no lease ${index}`);
	return {...lease, forNs: lease.heardUntilNs - lease.heardNs};
}

const ALONE = (b: Balancer): Partial<AdvertParts> => ({to: '192.168.1.10:0', toMac: b.ports.external.mac});

const heard: ReadonlyArray<
	readonly [what: string, frame: (b: Balancer) => Uint8Array, forMs: bigint, lease?: number, verdict?: VerdictName]
> = [
	['version 2', () => advert(), 3000n],
	['version 3', () => advert({version: 3, intervalMs: 250}), 750n],
	['IPv6', () => advert6(), 300n, 1],
	['in a VLAN', () => tagged(advert(), 7), 3000n],
	['behind an authentication header', () => advert({authenticated: true}), 3000n],
	['to us alone, from afar', b => advert({...ALONE(b), ttl: 64}), 3000n, 0, 'V_PASS_PROTOCOL'],
	['a resignation ends what was heard', () => advert({priority: 0}), 0n],
];
for (const [what, frame, forMs, index = 0, verdict = 'V_PASS_OTHER_MAC'] of heard)
	packetTest(`an advert is noted: ${what}`, t => {
		const b = withRouters(t);
		const before = process.hrtime.bigint();
		t.is(b.send(frame(b)).verdict, verdict);
		const {heardNs, forNs, sentNs} = leaseOf(b, index);
		t.true(heardNs >= before && heardNs <= process.hrtime.bigint());
		t.is(forNs, forMs * MS);
		t.is(sentNs, 0n);
		for (const other of VIRTUAL.keys()) if (other !== index) t.is(leaseOf(b, other).heardNs, 0n);
	});

const unheard: ReadonlyArray<readonly [what: string, frame: (b: Balancer) => Uint8Array, side?: Side]> = [
	['another VRID', () => advert({vrid: 90})],
	['on another NIC', () => advert(), 'internal'],
	['passed on by a router', () => advert({ttl: 254})],
	['of version 1', () => patched(advert(), {34: 0x11})],
	['no advertisement', () => patched(advert(), {34: 0x22})],
	['an interval of nothing', () => patched(advert({version: 3}), {38: 0xf0, 39: 0})],
	['cut off', () => advert().subarray(0, 41)],
	['a fragment', () => fragmented(advert(), 16)[1] ?? new Uint8Array()],
	['an authentication header without an end', () => advert({authenticated: true}).subarray(0, 36)],
	['an authentication header that is too long', () => patched(advert({authenticated: true}), {35: 255})],
	['something else that is authenticated', () => patched(advert({authenticated: true}), {34: PROTOCOL.tcp})],
];
for (const [what, frame, side = 'external'] of unheard)
	packetTest(`an advert is not noted: ${what}`, t => {
		const b = withRouters(t);
		t.is(b.send(frame(b), side).verdict, 'V_PASS_OTHER_MAC');
		for (const index of VIRTUAL.keys()) t.is(leaseOf(b, index).heardNs, 0n);
	});

/** The program answers, or has others answer, for the external VIPs. */
function assertAnswers(t: ExecutionContext, b: Balancer, ipv4: boolean, ipv6: boolean): void {
	t.is(b.send(arp('192.168.1.1')).verdict, ipv4 ? 'V_PASS_OTHER_MAC' : 'V_DROP_LEASE');
	t.is(b.send(solicitation(b, '2001:db8::1')).verdict, ipv6 ? 'V_PASS_OTHER_MAC' : 'V_DROP_LEASE');
}

/** What is heard with it is not over before a test has looked. */
const LONG_MS = 20_000;

packetTest('a dead master answers until another one is heard, and again when that one has gone', t => {
	const b = withRouters(t);
	takeOver(b, () => ({heardNs: 0n, heardUntilNs: 0n}));
	assertAnswers(t, b, true, true);
	b.send(advert({intervalMs: LONG_MS}));
	assertAnswers(t, b, false, true);
	b.send(advert6(LONG_MS));
	assertAnswers(t, b, false, false);
	b.send(advert({priority: 0}));
	assertAnswers(t, b, true, false);
	b.send(advert({intervalMs: LONG_MS}));
	assertAnswers(t, b, false, false);
	b.setLease(0, {});
	assertAnswers(t, b, true, false);
});

packetTest('without virtual routers nothing comes to lb_virtual', t => {
	const b = balancer(t, []);
	t.is(b.maps.settings.get(0)?.virtualVerdicts, 0n);
	t.is(b.send(advert()).verdict, 'V_PASS_OTHER_MAC');
	t.is(b.send(arp('192.168.1.1')).verdict, 'V_PASS_OTHER_MAC');
});

/** Whether a whole, well-formed frame asks for one of the open VIPs: the rules of ARP and ND once more, in plain words. */
function asks(frame: Uint8Array, ownMac: Uint8Array): boolean {
	const bare = untagged(frame)?.bare;
	if (bare === undefined || bare.length < ETHERNET) return false;
	if (((bare[0] ?? 0) & 1) === 0 && !sameBytes(bare.subarray(0, 6), ownMac)) return false;
	const at = (offset: number, bytes: readonly number[]): boolean =>
		sameBytes(bare.subarray(ETHERNET + offset, ETHERNET + offset + bytes.length), bytes);
	const isFor = (offset: number, address: string): boolean => at(offset, [...addressBytes(address)]);
	const type = ((bare[12] ?? 0) << 8) | (bare[13] ?? 0);
	if (type === ETHERTYPE.arp) return at(0, [0, 1, 8, 0, 6, 4, 0, 1]) && isFor(24, '192.168.1.1');
	if (type !== ETHERTYPE.ipv6 || (bare[ETHERNET] ?? 0) >> 4 !== 6) return false;
	return at(6, [PROTOCOL.icmpv6]) && at(40, [135]) && (isFor(48, '2001:db8::1') || isFor(48, 'fe80::100'));
}

function sameBytes(a: Uint8Array, b: ArrayLike<number>): boolean {
	return a.length === b.length && a.every((byte, n) => byte === b[n]);
}

const RANDOM_FRAMES = 4000;
const SEED = Number(process.env.SEED ?? 20261123);

packetTest(`random questions and adverts: only questions for a VIP are dropped: SEED=${SEED}`, t => {
	const b = withRouters(t);
	const random = new Seeded(SEED);
	const own = mac(b.ports.external.mac);
	const questions = [
		arp('192.168.1.1'),
		arp('192.168.1.1', {toMac: b.ports.external.mac}),
		solicitation(b, '2001:db8::1'),
		solicitation(b, 'fe80::100', {toMac: b.ports.external.mac}),
	];
	const others = [advert(), advert6(), advert({authenticated: true}), arp('192.168.1.10')];
	let dropped = 0;
	for (let n = 0; n < RANDOM_FRAMES; n++) {
		takeOver(b);
		const pool = random.below(3) > 0 ? questions : others;
		const chosen = pool[random.below(pool.length)] ?? arp('192.168.1.1');
		const frame = mutated(random, random.below(4) === 0 ? tagged(chosen, random.below(4096)) : chosen);
		const {verdict, frame: out} = b.send(frame);
		const isQuestion = asks(frame, own);
		if ((verdict === 'V_DROP_LEASE') !== isQuestion || !sameBytes(out, frame)) {
			t.log(`frame ${n}: ${verdict}`, describe(frame));
			return t.fail(`frame ${n} of SEED=${SEED}`);
		}
		if (isQuestion) dropped++;
	}
	t.true(dropped > RANDOM_FRAMES / 10, `${dropped} were dropped`);
});

/** With up to two bytes changed, or cut short; extension headers, which the rules above do not know, excepted. */
function mutated(random: Seeded, frame: Uint8Array): Uint8Array {
	const copy = frame.slice();
	for (let n = random.below(3); n > 0; n--) copy[random.below(Math.min(copy.length, 80))] = random.below(256);
	if (copy[IPV6_NEXT] === 0 || copy[IPV6_NEXT] === 60) copy[IPV6_NEXT] = PROTOCOL.icmpv6;
	return random.below(8) === 0 ? copy.slice(0, ETHERNET + random.below(copy.length - ETHERNET)) : copy;
}

/** Where an untagged frame says what follows an IPv6 header. */
const IPV6_NEXT = ETHERNET + 6;
