/** Random and mutated frames: whatever comes in, the program does what the slow model does, and says so by name. */
import type {ExecutionContext} from 'ava';
import type {Forwarding} from '../../src/conf/model.js';
import {BackendState} from '../../src/xdp/layout.gen.js';
import {
	type Balancer,
	backendMac,
	balancer,
	CLIENT_MAC,
	type JobService,
	type Outcome,
	packetTest,
	type Side,
	XDP,
} from './balancer.js';
import {
	checksumOffset,
	describe,
	ETHERNET,
	EXTENSION,
	type Extension,
	endpoint,
	fullChecksums,
	headerChecksum,
	ICMP,
	IPV6,
	icmpErrorFrame,
	ipHeader,
	ipv6Fragment,
	isIcmp,
	isUdp,
	NEXT_FRAGMENT,
	patched,
	tagged,
	tcpFrame,
	type UdpParts,
	udpFrame,
	untagged,
	withChecksums,
	withTags,
} from './frame.js';
import {type Expected, Model} from './model.js';
import {encapsulated, entropyOf, type Tunnel} from './model-tunnel.js';

const FRAMES = 10_000;
/** How often in a round a verdict must be met at least. */
const EXERCISED = 5;
/** A CPU's; the model answers without limit. */
const ANSWERS_AT_ONCE = 50;
/** Each from the seed after the last round's; `make fuzz` wants more than one. */
const ROUNDS = Number(process.env.ROUNDS ?? 1);
const SEED = Number(process.env.SEED ?? 1);

interface Network {
	readonly services: readonly string[];
	/** Whose backends answer past us: one for each of PAST_US. */
	readonly pastUs: readonly string[];
	readonly backends: readonly string[];
	/** The last one is nobody who may be answered. */
	readonly clients: readonly string[];
	/** Of the sender of an ICMP error. */
	readonly routers: readonly string[];
	readonly stranger: string;
	readonly icmpErrors: readonly number[];
}

const PAST_US: readonly Forwarding[] = [
	{method: 'dr'},
	{method: 'tun', type: 'ipip'},
	{method: 'tun', type: 'gre', checksum: 'none'},
	{method: 'tun', type: 'gre', checksum: 'full'},
	{method: 'tun', type: 'gue', port: 6080, checksum: 'none'},
	{method: 'tun', type: 'gue', port: 6080, checksum: 'full'},
	{method: 'tun', type: 'gue', port: 6080, checksum: 'remote'},
];

const NETWORKS: readonly Network[] = [
	{
		services: ['192.168.1.1:80', '192.168.1.2:80', '192.168.1.1:443'],
		pastUs: PAST_US.map((_, n) => `192.168.2.${n + 1}:80`),
		backends: ['10.0.0.71:80', '10.0.0.72:80', '10.0.0.73:443', '10.0.0.71:443'],
		clients: [...Array.from({length: 12}, (_, n) => `172.16.0.${n % 4}:${40000 + n}`), '127.0.0.9:40012'],
		routers: ['10.0.0.71', '172.16.9.9'],
		stranger: '192.168.1.3',
		icmpErrors: [3, 3, 3, 11, 11, 11, 12, 8],
	},
	{
		services: ['[2001:db8:1::1]:80', '[2001:db8:1::2]:80', '[2001:db8:1::1]:443'],
		pastUs: PAST_US.map((_, n) => `[2001:db8:2::${n + 1}]:80`),
		backends: ['[fd00:10::51]:80', '[fd00:10::52]:80', '[fd00:10::53]:443', '[fd00:10::51]:443'],
		clients: [...Array.from({length: 12}, (_, n) => `[2001:db8:c::${n % 4}]:${40000 + n}`), '[::1]:40012'],
		routers: ['fd00:10::51', '2001:db8:9::9'],
		stranger: '2001:db8:1::3',
		icmpErrors: [1, 1, 2, 2, 3, 3, 4, 128],
	},
];
const BACKEND_ADDRESSES = [...new Set(NETWORKS.flatMap(({backends}) => backends.map(name => endpoint(name)[0])))];
/** Some clients, and those who send errors. */
const BLOCKED = ['172.16.0.2/31', '172.16.9.0/24', '2001:db8:c::3/128', '2001:db8:9::/48'];
const EXTENSIONS: readonly Extension[] = [
	{type: EXTENSION.hopByHop},
	{type: EXTENSION.destination, units: 1},
	{type: EXTENSION.routing, units: 2, data: Uint8Array.of(4, 0)},
];
/** Given to the services in turn. */
const POLICIES: ReadonlyArray<JobService['policy']> = [
	{failedBackend: 'reset', noBackend: 'reject'},
	{failedBackend: 'drop', noBackend: 'reset'},
	{failedBackend: 'reschedule', noBackend: 'reset'},
	{failedBackend: 'reset', noBackend: 'drop'},
	{failedBackend: 'reschedule', noBackend: 'reject'},
];

/** Tunnels have backends of both families. */
function servicesPastUs({pastUs, backends}: Network): JobService[] {
	const [first = '', second = ''] = backends;
	const [stranger = ''] = NETWORKS.filter(network => network.backends !== backends).map(other => other.backends[0]);
	return pastUs.flatMap((at, index) => {
		const forwarding = PAST_US[index] ?? {method: 'dr'};
		const service = {at, forwarding, backends: [first, forwarding.method === 'dr' ? second : stranger]};
		return [service, {...service, protocol: 'udp'}] as const;
	});
}

const SERVICES: readonly JobService[] = NETWORKS.flatMap(network => {
	const {services, backends} = network;
	const [one = '', two = '', secure = ''] = services;
	const [first = '', second = '', third = '', fourth = ''] = backends;
	return [
		{at: one, backends: [first, second]},
		{at: two, backends: [first, second], scheduler: 'wrr', weights: [3, 2]},
		{at: secure, backends: [third, fourth], persistenceS: 7200, scheduler: 'wlc', weights: [1, 2]},
		{at: one, protocol: 'udp', backends: [first, second, third], scheduler: 'mh', hashPort: true},
		{at: two, protocol: 'udp', backends: [second, third], persistenceS: 7200},
		{at: secure, protocol: 'udp', backends: [first, second, third], scheduler: 'sed', weights: [3, 1, 2]},
		...servicesPastUs(network),
	];
});
const JOB = SERVICES.map(
	(service, index): JobService => ({...service, policy: POLICIES[index % POLICIES.length] ?? {}}),
);
const FLAGS = ['S', 'S', 'S', 'S', 'SA', 'SA', 'A', 'A', 'PA', 'FA', 'FA', 'R', 'RA', '', 'SF', 'SRA'] as const;

/** mulberry32: a small seeded generator; a failure is replayed with SEED=… */
function generator(seed: number): (below: number) => number {
	let state = seed;
	return below => {
		state = (state + 0x6d2b79f5) | 0;
		let t = Math.imul(state ^ (state >>> 15), 1 | state);
		t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
		return ((t ^ (t >>> 14)) >>> 0) % below;
	};
}

type Random = (below: number) => number;

function pick<T>(random: Random, list: readonly T[]): T {
	const item = list[random(list.length)];
	if (item === undefined) throw new Error('picked from an empty list');
	return item;
}

function randomFrame(random: Random, b: Balancer, side: Side): Uint8Array {
	const packet = randomPacket(random, b, side);
	const frame = random(3) > 0 ? packet : asFragment(random, packet);
	return random(4) > 0 ? frame : tagged(frame, ...Array.from({length: 1 + random(3)}, () => random(2)));
}

function randomPacket(random: Random, b: Balancer, side: Side): Uint8Array {
	const network = pick(random, NETWORKS);
	if (random(3) === 0) return randomError(random, b, side, network);
	const backend = pick(random, network.backends);
	const client = pick(random, network.clients);
	const fromServer = side === 'internal' && random(5) > 0;
	const parts = {
		toMac: b.ports[side].mac,
		fromMac: fromServer ? backendMac(endpoint(backend)[0]) : CLIENT_MAC,
		from: fromServer ? backend : client,
		to: fromServer ? client : randomService(random, network),
		flags: pick(random, FLAGS),
		seq: 0x10000 * random(3) + random(2),
		ack: 0x10000 * random(3) + random(3),
		ttl: 1 + random(6),
		...randomOptions(random),
		payload: Uint8Array.from({length: randomLength(random)}, () => random(256)),
	};
	if (random(3) > 0) return randomMarks(random, tcpFrame(parts));
	const frame = randomMarks(random, udpFrame(parts));
	if (random(4) === 0) frame.fill(0, checksumOffset(frame), checksumOffset(frame) + 2);
	return frame;
}

function randomService(random: Random, {services, pastUs}: Network): string {
	return pick(random, random(2) === 0 ? services : pastUs);
}

/** Mostly short; or about as long as an error quotes at most, or as a NIC takes. */
function randomLength(random: Random): number {
	const from = pick(random, [0, 0, 0, 0, 500, 1200, 1400, 1400]);
	return from + random(from === 0 ? 30 : 120);
}

/** Some are in a hurry, and some may be fragmented. */
function randomMarks(random: Random, frame: Uint8Array): Uint8Array {
	if (random(3) > 0) return frame;
	const marks = frame[ETHERNET + 1] ?? 0;
	if (ipHeader(frame).family === 6) return patched(frame, {[ETHERNET + 1]: (marks & 15) | (random(16) << 4)});
	return withChecksums(patched(frame, {[ETHERNET + 1]: random(256), [ETHERNET + 6]: random(2) * 0x40}));
}

/** What may stand between the IP header and its content; each family takes its own. */
function randomOptions(random: Random): Pick<UdpParts, 'options' | 'extensions'> {
	const count = random(4) === 0 ? 1 + random(7) : 0;
	return {
		options: new Uint8Array(4 * random(2)).fill(1),
		extensions: Array.from({length: count}, () => pick(random, EXTENSIONS)),
	};
}

/** A packet made one of the first parts of a datagram, of which there are few, so that later ones find their first. */
function asFragment(random: Random, packet: Uint8Array): Uint8Array {
	const offset = random(5);
	const more = offset === 0 || random(2) === 0;
	if (ipHeader(packet).family === 6) {
		const headers = ETHERNET + IPV6;
		return ipv6Fragment(packet.subarray(0, headers), packet.subarray(headers), 8 * offset + (more ? 1 : 0), 1);
	}
	const fragment = patched(packet, {18: 0, 19: 1, 20: more ? 0x20 : 0, 21: offset});
	new DataView(fragment.buffer).setUint16(ETHERNET + 10, headerChecksum(fragment, ETHERNET));
	return fragment;
}

function isLaterFragment(frame: Uint8Array): boolean {
	const {family, protocol} = ipHeader(frame);
	if (family === 6) return protocol === NEXT_FRAGMENT;
	return (new DataView(frame.buffer, frame.byteOffset).getUint16(ETHERNET + 6) & 0x1fff) !== 0;
}

/** An ICMP error about what a backend or a client was sent. */
function randomError(random: Random, b: Balancer, side: Side, network: Network): Uint8Array {
	const client = pick(random, network.clients);
	const toClient = side === 'internal';
	const from = toClient ? client : randomService(random, network);
	const about = pick(random, [tcpFrame, udpFrame])({
		toMac: CLIENT_MAC,
		fromMac: CLIENT_MAC,
		from,
		to: toClient ? pick(random, network.backends) : client,
		flags: 'A',
		...randomOptions(random),
		payload: new Uint8Array(8 + randomLength(random)),
	});
	return icmpErrorFrame({
		toMac: b.ports[side].mac,
		fromMac: CLIENT_MAC,
		from: pick(random, network.routers),
		to: random(20) === 0 ? network.stranger : from,
		ttl: 1 + random(4),
		...randomOptions(random),
		type: pick(random, network.icmpErrors),
		code: random(5),
		rest: random(1500),
		quoted: random(2) === 0 ? 7 + random(9) : about.length,
		about,
	});
}

/** Some bytes changed, cut off, or appended. */
function mutated(random: Random, frame: Uint8Array): Uint8Array {
	const length = random(4) === 0 ? ETHERNET + random(frame.length) : frame.length + random(2) * random(20);
	const copy = new Uint8Array(length);
	copy.set(frame.subarray(0, length));
	for (let change = random(3); change > 0; change--) copy[random(Math.min(length, 80))] = random(256);
	return copy;
}

/** How far all checksums, and that of a quoted IPv4 header, are from what they should be, in one's complement, where 0
 * and 0xffff are the same. A UDP checksum of 0 must stay 0. */
function deviation(tagged: Uint8Array): {ip: number; transport: number | 'none'; quoted: number} {
	const frame = untagged(tagged)?.bare ?? tagged;
	const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
	const full = fullChecksums(frame);
	const isLater = isLaterFragment(frame);
	const stored = isLater ? 0 : view.getUint16(checksumOffset(frame));
	const deviates = (is: number, should: number): number => (is - should + 0xffff) % 0xffff;
	const [ip, quoted] = headersWithChecksum(frame).map(at =>
		deviates(view.getUint16(at + 10), headerChecksum(frame, at)),
	);
	return {
		ip: ip ?? 0,
		transport: isLater || (isUdp(frame) && stored === 0) ? 'none' : deviates(stored, full.transport),
		quoted: quoted ?? 0,
	};
}

/** Where the IPv4 header of a frame is, and the one that it quotes. */
function headersWithChecksum(frame: Uint8Array): number[] {
	const {family, transport} = ipHeader(frame);
	if (family === 6) return [];
	return isIcmp(frame) ? [ETHERNET, transport + ICMP] : [ETHERNET];
}

function withoutChecksums(frame: Uint8Array): Uint8Array {
	const {tags, bare} = untagged(frame) ?? {tags: new Uint8Array(0), bare: frame.slice()};
	const view = new DataView(bare.buffer);
	for (const at of headersWithChecksum(bare)) view.setUint16(at + 10, 0);
	if (isLaterFragment(bare)) return withTags(bare, tags);
	view.setUint16(checksumOffset(bare), 0);
	return withTags(bare, tags);
}

/** The identification of an IPv4 packet that may be fragmented is anybody's guess: 0, once its header is right. */
function withoutIdentification(frame: Uint8Array): Uint8Array {
	const {family} = ipHeader(frame);
	const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
	if (family === 6 || view.getUint16(ETHERNET + 6) !== 0) return frame;
	if (view.getUint16(ETHERNET + 10) !== headerChecksum(frame, ETHERNET)) return frame;
	const copy = patched(frame, {[ETHERNET + 4]: 0, [ETHERNET + 5]: 0});
	new DataView(copy.buffer).setUint16(ETHERNET + 10, headerChecksum(copy, ETHERNET));
	return copy;
}

/** What left in a tunnel, taken out of it again; undefined where a byte around the packet is not what it should be. */
class TunnelEnd {
	/** What the program has chosen, by flow and backend: more of it shows in IPv6 than in IPv4. */
	readonly #entropy = new Map<string, number>();

	open(frame: Uint8Array, expected: Uint8Array, tunnel: Tunnel): Uint8Array | undefined {
		const outer = untagged(frame);
		const packet = (untagged(expected)?.bare.length ?? 0) - ETHERNET;
		if (outer === undefined || packet < 0 || outer.bare.length < packet + ETHERNET) return undefined;
		const {tags, bare} = outer;
		const type = (untagged(expected)?.bare ?? expected).subarray(12, ETHERNET);
		const inner = Uint8Array.from([...bare.subarray(0, 12), ...type, ...bare.subarray(bare.length - packet)]);
		const name = `${tunnel.flow} ${tunnel.to}`;
		const entropy = this.#entropy.get(name) ?? entropyOf(bare, tunnel);
		this.#entropy.set(name, entropy);
		const should = encapsulated(inner, tunnel, entropy);
		return Buffer.compare(withoutIdentification(bare), should) === 0 ? withTags(inner, tags) : undefined;
	}
}

/** Whether a frame left as it should, apart from checksums that were corrected. */
function isAsExpected(frame: Uint8Array, {verdict, action}: Outcome, left: Uint8Array, expected: Expected): boolean {
	if (verdict !== expected.verdict) return false;
	if (isAnswer(verdict)) return action === XDP.redirect && Buffer.compare(left, expected.frame) === 0;
	if (!isRewritten(verdict)) return Buffer.compare(left, frame) === 0;
	return Buffer.compare(withoutChecksums(left), withoutChecksums(expected.frame)) === 0;
}

function isRewritten(verdict: string): boolean {
	return verdict.startsWith('V_FORWARD') || verdict.startsWith('V_REPLY');
}

function isAnswer(verdict: string): boolean {
	return verdict.startsWith('V_ANSWER');
}

for (let round = 0; round < ROUNDS; round++)
	packetTest(`${FRAMES} random and mutated frames leave as the model says (SEED=${SEED + round})`, t => {
		play(t, balancer(t, JOB), SEED + round);
	});

function play(t: ExecutionContext, b: Balancer, seed: number): void {
	const random = generator(seed);
	const settings = b.maps.settings.get(0);
	if (settings === undefined) return t.fail();
	b.maps.settings.set(0, {...settings, timeouts: {ticks: settings.timeouts.ticks.map(() => 0)}});
	b.limitAnswers(ANSWERS_AT_ONCE);
	let answers = 0;
	const model = new Model(JOB, b.ports);
	const tunnels = new TunnelEnd();
	const seen = new Map<string, number>();

	for (let n = 0; n < FRAMES; n++) {
		if (random(200) === 0) {
			const address = pick(random, BACKEND_ADDRESSES);
			const up = random(2) === 0;
			b.setState(address, up ? BackendState.BACKEND_UP : BackendState.BACKEND_DOWN);
			model.setUp(address, up);
		}
		if (random(200) === 0) {
			const prefix = pick(random, BLOCKED);
			const blocked = random(3) === 0;
			if (blocked) b.block(prefix);
			else b.unblock(prefix);
			model.setBlocked(prefix, blocked);
		}
		if (random(500) === 0) {
			b.takeCensus();
			model.takeCensus();
		}
		if (random(200) === 0) {
			const mute = random(4) === 0;
			model.setMute(mute);
			answers = mute ? Number.NEGATIVE_INFINITY : 0;
			b.limitAnswers(mute ? 0 : ANSWERS_AT_ONCE);
		}
		if (answers === ANSWERS_AT_ONCE) {
			answers = 0;
			b.limitAnswers(ANSWERS_AT_ONCE);
		}
		const side = pick(random, ['external', 'internal'] as const);
		const clean = randomFrame(random, b, random(50) === 0 ? 'external' : side);
		const frame = random(3) === 0 ? mutated(random, clean) : clean;
		const expected = model.receive(frame, side);
		const outcome = b.send(frame, side);
		const left = expected.tunnel
			? (tunnels.open(outcome.frame, expected.frame, expected.tunnel) ?? outcome.frame)
			: outcome.frame;
		const same = isAsExpected(frame, outcome, left, expected);
		if (!same) {
			t.log(`frame ${n}, ${side}:`, describe(frame));
			t.log(`expected ${expected.verdict}`, describe(expected.frame));
			t.log(`got ${outcome.verdict}`, describe(outcome.frame));
			return t.fail(`frame ${n} of SEED=${seed}`);
		}
		if (isAnswer(outcome.verdict)) answers++;
		if (isRewritten(outcome.verdict)) t.deepEqual(deviation(left), deviation(frame), `frame ${n} of SEED=${seed}`);
		seen.set(outcome.verdict, (seen.get(outcome.verdict) ?? 0) + 1);
	}
	for (const verdict of [
		'V_FORWARD_NEW',
		'V_FORWARD',
		'V_REPLY',
		'V_PASS_NO_FLOW',
		'V_DROP_TTL',
		'V_DROP_BACKEND_DOWN',
		'V_DROP_VLAN',
		'V_DROP_BLOCKED',
		'V_REPLY_ICMP',
		'V_FORWARD_ICMP',
		'V_PASS_FRAGMENT',
		'V_DROP_FRAGMENT',
		'V_DROP_TOO_BIG',
		'V_ANSWER_TIME_EXCEEDED',
		'V_ANSWER_TOO_BIG',
		'V_ANSWER_UNREACHABLE',
		'V_ANSWER_RESET',
	] as const)
		t.true((seen.get(verdict) ?? 0) >= EXERCISED, `${verdict} is exercised`);
	t.log([...seen].map(([verdict, count]) => `${verdict} ${count}`).join(', '));
}
