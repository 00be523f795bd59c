/**
 * The data plane once more, slow and obvious: text keys, no hashing, no bits. What the program does with any frame must
 * be what this does, except for checksums, which are compared apart. It knows neither time nor a full table, and not sh and dh.
 * What it answers itself is in model-answers.ts, what stands around a packet in a tunnel in model-tunnel.ts.
 */
import type {Forwarding, Policy, Scheduler} from '../../src/conf/model.js';
import {addressBytes, type Family, family, formatMac, networkAddress} from '../../src/net/address.js';
import {SCHEDULERS} from '../../src/plan/schedulers.js';
import {
	type Balancer,
	backendMac,
	type JobService,
	MTU,
	type Side,
	type Transport,
	type VerdictName,
} from './balancer.js';
import {
	addressAt,
	destinationOf,
	ETHERNET,
	ETHERTYPE,
	EXTENSION,
	endpoint,
	ICMP,
	IPV4,
	IPV6,
	ipHeader,
	mac,
	NEXT_FRAGMENT,
	PROTOCOL,
	putAddress,
	putEnds,
	sourceOf,
	untagged,
	withTags,
} from './frame.js';
import {LEAST, type LeastName} from './least.js';
import {answerTo, type Reason} from './model-answers.js';
import {addedBytes, type Tunnel, tunnelTo} from './model-tunnel.js';
import {walk} from './ring.js';

const AMBIGUITY_ATTEMPTS = 8;
const EXTENSIONS_MAX = 6;
const EXTENSION_UNIT = 8;
const EXTENSIONS_BYTES_MAX = 4095;
const TCP_BYTES = 20;
const UDP_BYTES = 8;

interface ModelBackend {
	readonly at: string;
	readonly service: ModelService;
	readonly weight: number;
	up: boolean;
	/** Connections, as far as the program knows: at the last census, and those that it has opened since. */
	active: number;
	inactive: number;
}

interface ModelService {
	readonly at: string;
	readonly protocol: Transport;
	readonly persistent: boolean;
	readonly scheduler: Scheduler;
	readonly hashPort: boolean;
	readonly forwarding: Forwarding;
	readonly policy: Pick<Policy, 'failedBackend' | 'noBackend'>;
	readonly backends: ModelBackend[];
	/** In which order they are dealt to; a ring for those by hash. */
	readonly turn: ModelBackend[];
	readonly clients: Map<string, ModelBackend>;
	ticket: number;
}

type State = 'half-open' | 'answered' | 'established' | 'close-wait' | 'fin-wait' | 'over';
/** Those that IPVS counts as inactive. */
const CLOSING: readonly State[] = ['close-wait', 'fin-wait', 'over'];

interface ModelFlow {
	readonly client: string;
	readonly cameFrom: {readonly mac: string; readonly side: Side};
	backend: ModelBackend;
	state: State;
	/** Low half of the server's initial sequence number. */
	isn: number;
}

interface Parsed {
	readonly protocol: Transport;
	readonly from: string;
	readonly to: string;
	readonly ttl: number;
	readonly syn: boolean;
	readonly ack: boolean;
	readonly fin: boolean;
	readonly rst: boolean;
	readonly seqLow: number;
	readonly ackLow: number;
}

/** The part of a datagram that a fragment is. */
interface Fragment {
	readonly datagram: string;
	/** In bytes. */
	readonly offset: number;
	/** Whether header and frame fit together. */
	readonly isSound: boolean;
}

interface Way extends Decided {
	/** Bytes of the transport header. */
	readonly header: number;
}

/** Where a frame came in, and whether it was in a VLAN. */
interface Arrival {
	readonly side: Side;
	readonly inVlan: boolean;
}

export interface Expected {
	readonly verdict: VerdictName;
	/** Checksums are those of the frame that came in; an answer has its own, computed in full. */
	readonly frame: Uint8Array;
	/** Around the packet of `frame`. */
	readonly tunnel?: Tunnel | undefined;
}

/** What becomes of a frame before anybody is told. */
interface Decided extends Expected {
	/** That the packet goes to or comes from. */
	readonly backend?: ModelBackend;
	/** Why its sender may be told that it goes no further. */
	readonly reason?: Reason;
}

export class Model {
	readonly #ports: Balancer['ports'];
	readonly #services: ModelService[];
	readonly #flows: ModelFlow[] = [];
	readonly #blocked = new Set<string>();
	/** What became of first fragments, by their datagram. */
	readonly #ways = new Map<string, Way>();
	#isMute = false;

	constructor(job: readonly JobService[], ports: Balancer['ports']) {
		this.#ports = ports;
		this.#services = job.map(({backends, weights, persistenceS, scheduler = 'rr', ...rest}) => {
			const service: ModelService = {
				at: rest.at,
				protocol: rest.protocol ?? 'tcp',
				persistent: persistenceS !== undefined,
				scheduler,
				hashPort: rest.hashPort ?? false,
				forwarding: rest.forwarding ?? {method: 'nat'},
				policy: {failedBackend: 'drop', noBackend: 'drop', ...rest.policy},
				backends: [],
				turn: [],
				clients: new Map(),
				ticket: 0,
			};
			for (const [index, name] of backends.entries())
				service.backends.push({
					at: name,
					service,
					weight: weights?.[index] ?? 1,
					up: true,
					active: 0,
					inactive: 0,
				});
			const members = service.backends.map(({at: name, weight}, id) => {
				const [address, port] = endpoint(name);
				return {id, addr: addressBytes(address), port, weight};
			});
			for (const {id} of SCHEDULERS[scheduler].sequence(members))
				service.turn.push(...service.backends.slice(id, id + 1));
			return service;
		});
	}

	setUp(address: string, up: boolean): void {
		for (const {backends} of this.#services)
			for (const backend of backends) if (endpoint(backend.at)[0] === address) backend.up = up;
	}

	/** Whether it has answered too much of late to answer anything. */
	setMute(mute: boolean): void {
		this.#isMute = mute;
	}

	/** Puts a prefix on the block list, or takes it off. */
	setBlocked(prefix: string, blocked: boolean): void {
		if (blocked) this.#blocked.add(prefix);
		else this.#blocked.delete(prefix);
	}

	#isBlocked(address: string): boolean {
		return [...this.#blocked].some(prefix => {
			const [network = '', length] = prefix.split('/');
			return family(network) === family(address) && networkAddress(address, Number(length)) === network;
		});
	}

	takeCensus(): void {
		for (const {backends} of this.#services)
			for (const backend of backends) {
				const flows = this.#flows.filter(flow => flow.backend === backend);
				backend.inactive = flows.filter(({state}) => CLOSING.includes(state)).length;
				backend.active = flows.length - backend.inactive;
			}
	}

	/** VLAN tags are taken off, and whatever leaves has them again. */
	receive(frame: Uint8Array, side: Side): Expected {
		if (formatMac(frame.subarray(0, 6)) !== this.#ports[side].mac) return {verdict: 'V_PASS_OTHER_MAC', frame};
		const split = untagged(frame);
		if (split === undefined) return {verdict: 'V_PASS_MALFORMED', frame};
		const {tags, bare} = split;
		const inVlan = tags.some((byte, n) => (n % 4 === 2 && (byte & 15) !== 0) || (n % 4 === 3 && byte !== 0));
		const {verdict, frame: out, tunnel} = this.#receive(bare, {side, inVlan});
		return {verdict, frame: withTags(out, tags), tunnel};
	}

	#receive(frame: Uint8Array, arrival: Arrival): Expected {
		const fragment = fragmentOf(frame);
		if (fragment !== undefined) return this.#fragment(frame, fragment, arrival);
		if (parse(frame) === 'V_PASS_ICMP') return this.#icmp(frame, arrival);
		const decided = this.#whole(frame, arrival);
		if (decided.reason === undefined || this.#isMute) return decided;
		return answerTo(frame, decided.verdict, decided.reason) ?? decided;
	}

	#fragment(frame: Uint8Array, fragment: Fragment, arrival: Arrival): Expected {
		if (fragment.offset > 0) return this.#later(frame, fragment, arrival);
		const expected = this.#whole(frame, arrival);
		const header = ipHeader(frame).protocol === PROTOCOL.tcp ? TCP_BYTES : UDP_BYTES;
		if (expected.verdict.startsWith('V_PASS')) this.#ways.delete(fragment.datagram);
		else this.#ways.set(fragment.datagram, {...expected, header});
		return expected;
	}

	#later(frame: Uint8Array, {datagram, offset, isSound}: Fragment, {side, inVlan}: Arrival): Expected {
		const way = this.#ways.get(datagram);
		if (!isSound) return {verdict: 'V_PASS_MALFORMED', frame};
		if (way === undefined) return {verdict: 'V_PASS_FRAGMENT', frame};
		if (offset < way.header) return {verdict: 'V_DROP_FRAGMENT', frame};
		if (way.verdict.startsWith('V_DROP')) return {verdict: way.verdict, frame};
		if (!way.backend?.up) return {verdict: 'V_DROP_BACKEND_DOWN', frame};
		const ip = ipHeader(frame);
		if (way.verdict !== 'V_REPLY' && this.#isBlocked(addressAt(frame, ip.source, ip)))
			return {verdict: 'V_DROP_BLOCKED', frame};
		if ((frame[ip.hops] ?? 0) <= 1) return {verdict: 'V_DROP_TTL', frame};
		const [toMac, fromMac] = [formatMac(way.frame.subarray(0, 6)), formatMac(way.frame.subarray(6, 12))];
		if (inVlan && fromMac !== this.#ports[side].mac) return {verdict: 'V_DROP_VLAN', frame};
		if (packetBytes(frame) > roomFor(way)) return {verdict: 'V_DROP_TOO_BIG', frame};
		const out = readdressed(frame, toMac, fromMac);
		out.set(way.frame.subarray(ip.source, ip.source + 2 * ip.addressLength), ip.source);
		const tunnel = way.tunnel && {...way.tunnel, flow: datagram};
		return {verdict: way.verdict === 'V_REPLY' ? 'V_REPLY' : 'V_FORWARD', frame: out, tunnel};
	}

	#whole(frame: Uint8Array, arrival: Arrival): Decided {
		const parsed = parse(frame);
		if (typeof parsed === 'string') return {verdict: parsed, frame};
		const services = this.#services.filter(({protocol}) => protocol === parsed.protocol);
		const toService = services.find(({at}) => at === parsed.to);
		if (services.some(service => isNat(service) && service.backends.some(({at}) => at === parsed.from))) {
			const flow = this.#flows.find(
				({client, backend}) =>
					isNat(backend.service) &&
					client === parsed.to &&
					backend.at === parsed.from &&
					backend.service.protocol === parsed.protocol,
			);
			if (flow !== undefined) return this.#reply(frame, parsed, flow, arrival);
			if (toService === undefined) return {verdict: 'V_PASS_BACKEND_NO_FLOW', frame};
		}
		if (toService === undefined) return {verdict: 'V_PASS_NOT_OURS', frame};
		return this.#request(frame, parsed, toService, arrival);
	}

	#reply(frame: Uint8Array, parsed: Parsed, flow: ModelFlow, {side, inVlan}: Arrival): Decided {
		const {backend, cameFrom} = flow;
		const reason = reasonOf(backend.service, MTU);
		if (!backend.up) return {verdict: 'V_DROP_BACKEND_DOWN', frame};
		advanceByServer(flow, parsed);
		if (parsed.ttl <= 1) return {verdict: 'V_DROP_TTL', frame, reason};
		if (cameFrom.mac === '00:00:00:00:00:00') return {verdict: 'V_DROP_NO_NEIGHBOUR', frame};
		if (inVlan && cameFrom.side !== side) return {verdict: 'V_DROP_VLAN', frame};
		if (packetBytes(frame) > MTU) return {verdict: 'V_DROP_TOO_BIG', frame, reason};
		const out = readdressed(frame, cameFrom.mac, this.#ports[cameFrom.side].mac);
		putEnds(out, ETHERNET, {from: backend.service.at});
		return {verdict: 'V_REPLY', frame: out, backend};
	}

	#request(frame: Uint8Array, parsed: Parsed, service: ModelService, arrival: Arrival): Decided {
		if (this.#isBlocked(endpoint(parsed.from)[0])) return {verdict: 'V_DROP_BLOCKED', frame};
		const reason = reasonOf(service, 0);
		const opens = parsed.protocol === 'udp' || (parsed.syn && !parsed.ack && !parsed.fin && !parsed.rst);
		const known = this.#flows.find(({client, backend}) => client === parsed.from && backend.service === service);
		if (known !== undefined && !isOpenedAnew(known, opens)) {
			if (opens && !known.backend.up && parsed.ttl <= 1) return {verdict: 'V_DROP_TTL', frame, reason};
			if (!known.backend.up && service.policy.failedBackend !== 'drop') known.state = 'over';
			advanceByClient(known, parsed);
			return this.#toBackend(frame, known, arrival);
		}
		if (!opens) return {verdict: 'V_PASS_NO_FLOW', frame};
		if (parsed.ttl <= 1) return {verdict: 'V_DROP_TTL', frame, reason};
		const cameFrom = {mac: formatMac(frame.subarray(6, 12)), side: arrival.side};
		const opened = this.#open(parsed.from, service, cameFrom);
		if (opened === 'V_DROP_NO_BACKEND') return {verdict: opened, frame, reason};
		if (typeof opened === 'string') return {verdict: opened, frame};
		const sent = this.#toBackend(frame, opened, arrival);
		if (sent.verdict !== 'V_FORWARD') {
			this.#flows.splice(this.#flows.indexOf(opened), 1);
			return sent;
		}
		opened.backend.active++;
		return {...sent, verdict: 'V_FORWARD_NEW'};
	}

	/** A client's packet, in its flow. */
	#toBackend(frame: Uint8Array, flow: ModelFlow, {side, inVlan}: Arrival): Decided {
		const {backend} = flow;
		const tunnel = tunnelOf(flow);
		const room = roomFor({tunnel});
		const reason = reasonOf(backend.service, room);
		if (!backend.up) return {verdict: 'V_DROP_BACKEND_DOWN', frame, reason};
		if ((frame[ipHeader(frame).hops] ?? 0) <= 1) return {verdict: 'V_DROP_TTL', frame, reason};
		if (inVlan && side !== 'internal') return {verdict: 'V_DROP_VLAN', frame};
		if (packetBytes(frame) > room) return {verdict: 'V_DROP_TOO_BIG', frame, reason};
		const out = readdressed(frame, backendMac(endpoint(backend.at)[0]), this.#ports.internal.mac);
		if (isNat(backend.service)) putEnds(out, ETHERNET, {to: backend.at});
		return {verdict: 'V_FORWARD', frame: out, backend, tunnel};
	}

	#icmp(frame: Uint8Array, arrival: Arrival): Expected {
		const about = quotedByError(frame);
		if (about === undefined) return {verdict: 'V_PASS_ICMP', frame};
		const flows = this.#flows.filter(({backend}) => backend.service.protocol === about.protocol);
		const request = flows.find(
			({client, backend}) => isNat(backend.service) && client === about.from && backend.at === about.to,
		);
		const reply = flows.find(({client, backend}) => client === about.to && backend.service.at === about.from);
		const flow = request ?? reply;
		if (flow === undefined) return {verdict: 'V_PASS_ICMP', frame};
		const {backend, cameFrom} = flow;
		if (!backend.up) return {verdict: 'V_DROP_BACKEND_DOWN', frame};
		const header = ipHeader(frame);
		if (!request && this.#isBlocked(addressAt(frame, header.source, header))) return {verdict: 'V_DROP_BLOCKED', frame};
		if ((frame[header.hops] ?? 0) <= 1) return {verdict: 'V_DROP_TTL', frame};
		const way = request ? cameFrom : {mac: backendMac(endpoint(backend.at)[0]), side: 'internal' as const};
		if (way.mac === '00:00:00:00:00:00') return {verdict: 'V_DROP_NO_NEIGHBOUR', frame};
		if (arrival.inVlan && way.side !== arrival.side) return {verdict: 'V_DROP_VLAN', frame};
		const tunnel = request ? undefined : tunnelOf(flow);
		if (packetBytes(frame) > roomFor({tunnel})) return {verdict: 'V_DROP_TOO_BIG', frame};
		const out = readdressed(frame, way.mac, this.#ports[way.side].mac);
		if (!isNat(backend.service)) return {verdict: 'V_FORWARD_ICMP', frame: out, tunnel};
		const {source, dest, transport} = ipHeader(out);
		const quoted = transport + ICMP;
		if (request) {
			putAddress(out, backend.service.at, source);
			putEnds(out, quoted, {to: backend.service.at});
			return {verdict: 'V_REPLY_ICMP', frame: out};
		}
		putAddress(out, backend.at, dest);
		putEnds(out, quoted, {from: backend.at});
		return {verdict: 'V_FORWARD_ICMP', frame: out};
	}

	#open(client: string, service: ModelService, cameFrom: ModelFlow['cameFrom']): ModelFlow | VerdictName {
		const former = this.#flows.findIndex(flow => flow.client === client && flow.backend.service === service);
		if (former >= 0) this.#flows.splice(former, 1);
		let backend = this.#schedule(client, service);
		if (backend === undefined) return 'V_DROP_NO_BACKEND';
		for (let attempt = 0; attempt < AMBIGUITY_ATTEMPTS && backend !== undefined; attempt++) {
			if (!this.#isAmbiguous(client, backend)) {
				const flow: ModelFlow = {client, cameFrom, backend, state: 'half-open', isn: 0};
				this.#flows.push(flow);
				return flow;
			}
			backend = takeTurn(service);
		}
		return 'V_DROP_AMBIGUOUS';
	}

	#schedule(client: string, service: ModelService): ModelBackend | undefined {
		const [address] = endpoint(client);
		const known = service.persistent ? service.clients.get(address) : undefined;
		if (known?.up) return known;
		const backend = choose(client, service);
		if (backend !== undefined && service.persistent) service.clients.set(address, backend);
		return backend;
	}

	#isAmbiguous(client: string, backend: ModelBackend): boolean {
		const {protocol} = backend.service;
		if (!isNat(backend.service)) return false;
		return this.#flows.some(
			flow =>
				isNat(flow.backend.service) &&
				flow.client === client &&
				flow.backend.at === backend.at &&
				flow.backend.service.protocol === protocol,
		);
	}
}

function isNat({forwarding}: ModelService): boolean {
	return forwarding.method === 'nat';
}

function packetBytes(frame: Uint8Array): number {
	return ipHeader(frame).end - ETHERNET;
}

/** How long a packet may be that goes this way. */
function roomFor({tunnel}: Pick<Expected, 'tunnel'>): number {
	return MTU - (tunnel === undefined ? 0 : addedBytes(tunnel));
}

function reasonOf({at, policy}: ModelService, mtu: number): Reason {
	return {service: endpoint(at)[0], policy, mtu};
}

function tunnelOf({client, backend: {at, service}}: ModelFlow): Tunnel | undefined {
	return tunnelTo(endpoint(at)[0], service.forwarding, `${service.protocol} ${client} ${service.at}`);
}

/** Whether a packet of a flow begins it again. What a server that answers past us does after its client's FIN is not known. */
function isOpenedAnew({backend, state}: ModelFlow, opens: boolean): boolean {
	const {service, up} = backend;
	if (service.protocol === 'udp') return !up;
	if (!opens) return false;
	if (state === 'over' || (state === 'close-wait' && !isNat(service))) return true;
	return !up && service.policy.failedBackend === 'reschedule';
}

function choose(client: string, service: ModelService): ModelBackend | undefined {
	const {scheduler, backends} = service;
	if (scheduler === 'rr' || scheduler === 'wrr') return takeTurn(service);
	if (scheduler === 'mh') return placeOf(client, service);
	if (scheduler in LEAST) return LEAST[scheduler as LeastName](backends.filter(({up}) => up));
	throw new Error(`the model has no ${scheduler}`);
}

function takeTurn(service: ModelService): ModelBackend | undefined {
	for (let attempt = 0; attempt < service.turn.length; attempt++) {
		const backend = service.turn[service.ticket++ % service.turn.length];
		if (backend?.up) return backend;
	}
	return undefined;
}

/** The first backend that is up on the client's way around the ring. */
function placeOf(client: string, {turn, hashPort}: ModelService): ModelBackend | undefined {
	for (const backend of walk(turn, client, {port: hashPort})) if (backend.up) return backend;
	return undefined;
}

function advanceByClient(flow: ModelFlow, {syn, ack, fin, rst, ackLow}: Parsed): void {
	if (flow.state === 'half-open') {
		const proves = !isNat(flow.backend.service) && ack && !syn && !rst;
		if (proves) flow.state = fin ? 'close-wait' : 'established';
		return;
	}
	if (flow.state === 'answered') {
		if (ack && !syn && !rst && ((ackLow - 1) & 0xffff) === flow.isn) flow.state = fin ? 'close-wait' : 'established';
		return;
	}
	if (rst) flow.state = 'over';
	else if (fin && flow.state === 'established') flow.state = 'close-wait';
	else if (fin && flow.state === 'fin-wait') flow.state = 'over';
}

function advanceByServer(flow: ModelFlow, {syn, ack, fin, rst, seqLow}: Parsed): void {
	if (rst) {
		flow.state = 'over';
	} else if (flow.state === 'half-open' || flow.state === 'answered') {
		if (!syn || !ack) return;
		flow.state = 'answered';
		flow.isn = seqLow;
	} else if (fin && flow.state === 'established') flow.state = 'fin-wait';
	else if (fin && flow.state === 'close-wait') flow.state = 'over';
}

function parse(frame: Uint8Array): Parsed | VerdictName {
	const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
	const etherType = view.getUint16(12);
	if (etherType === 0x8100 || etherType === 0x88a8) return 'V_PASS_VLAN';
	if (etherType !== ETHERTYPE.ipv4 && etherType !== ETHERTYPE.ipv6) return 'V_PASS_ETHERTYPE';
	const family = etherType === ETHERTYPE.ipv4 ? 4 : 6;
	const content = contentOf(frame, ETHERNET, family);
	if (typeof content === 'string') return content;
	const {protocol, transport} = content;
	if (protocol === (family === 4 ? PROTOCOL.icmp : PROTOCOL.icmpv6)) return 'V_PASS_ICMP';
	const isUdp = protocol === PROTOCOL.udp;
	if (protocol !== PROTOCOL.tcp && !isUdp) return 'V_PASS_PROTOCOL';
	if (!hasRoom(frame, transport, isUdp ? 8 : 20)) return 'V_PASS_MALFORMED';

	const flags = isUdp ? 0 : view.getUint8(transport + 13);
	return {
		protocol: isUdp ? 'udp' : 'tcp',
		from: sourceOf(frame),
		to: destinationOf(frame),
		ttl: view.getUint8(ipHeader(frame).hops),
		syn: (flags & 2) !== 0,
		ack: (flags & 16) !== 0,
		fin: (flags & 1) !== 0,
		rst: (flags & 4) !== 0,
		seqLow: isUdp ? 0 : view.getUint16(transport + 6),
		ackLow: isUdp ? 0 : view.getUint16(transport + 10),
	};
}

interface Content {
	readonly protocol: number;
	/** Offset of its header in the frame, which may end before. */
	readonly transport: number;
}

/** What the IP header at an offset has behind it. */
function contentOf(frame: Uint8Array, at: number, family: Family): Content | VerdictName {
	if (frame.length < at + (family === 4 ? IPV4 : IPV6) || (frame[at] ?? 0) >> 4 !== family) return 'V_PASS_MALFORMED';
	return family === 4 ? contentOfIpv4(frame, at) : contentOfIpv6(frame, at);
}

function contentOfIpv4(frame: Uint8Array, at: number): Content | VerdictName {
	const header = ((frame[at] ?? 0) & 15) * 4;
	if (header < IPV4) return 'V_PASS_MALFORMED';
	const isLater = ((frame[at + 6] ?? 0) & 0x1f) !== 0 || frame[at + 7] !== 0;
	if (isLater && at !== ETHERNET) return 'V_PASS_FRAGMENT'; // an error may be about a first fragment
	return {protocol: frame[at + 9] ?? 0, transport: at + header};
}

/** Behind extension headers, those of a first fragment and of one that is whole among them. */
function contentOfIpv6(frame: Uint8Array, at: number): Content | VerdictName {
	const {protocol, transport, isLater} = behindExtensions(frame, at, 0xfff8);
	// A fragment of a fragment is no transport.
	const isWithinFirst = behindExtensions(frame, at, 0xfff9).transport !== transport;
	if (isLater) return isWithinFirst && at === ETHERNET ? 'V_PASS_PROTOCOL' : 'V_PASS_FRAGMENT';
	return protocol === undefined ? 'V_PASS_PROTOCOL' : {protocol, transport};
}

/** Steps over extension headers, up to that of a fragment with any of the bits `stop`; `protocol` is undefined where that fails. */
function behindExtensions(
	frame: Uint8Array,
	at: number,
	stop: number,
): {readonly protocol: number | undefined; readonly transport: number; readonly isLater: boolean} {
	let protocol = frame[at + 6] ?? 0;
	let transport = at + IPV6;
	const nowhere = {protocol: undefined, transport, isLater: false};
	for (let count = 0; protocol === NEXT_FRAGMENT || Object.values<number>(EXTENSION).includes(protocol); count++) {
		const [next = 0, units = 0, high = 0, low = 0] = frame.subarray(transport, transport + EXTENSION_UNIT);
		if (frame.length < transport + EXTENSION_UNIT) return nowhere;
		const isFragment = protocol === NEXT_FRAGMENT;
		if (isFragment && (((high << 8) | low) & stop) !== 0) return {protocol, transport, isLater: true};
		if (count === EXTENSIONS_MAX) return nowhere;
		if (protocol === EXTENSION.routing && low > 0) return nowhere;
		protocol = next;
		transport += EXTENSION_UNIT * (isFragment ? 1 : units + 1);
		if (transport - at > EXTENSIONS_BYTES_MAX) return nowhere;
	}
	return {protocol, transport, isLater: false};
}

/** Whether both the packet and the frame reach so far behind an offset. */
function hasRoom(frame: Uint8Array, at: number, size: number): boolean {
	const {end} = ipHeader(frame);
	return at + size <= end && end <= frame.length;
}

/** Undefined: whole, or not of IP. */
function fragmentOf(frame: Uint8Array): Fragment | undefined {
	const etherType = ((frame[12] ?? 0) << 8) | (frame[13] ?? 0);
	if (etherType === ETHERTYPE.ipv4) return ipv4FragmentOf(frame);
	return etherType === ETHERTYPE.ipv6 ? ipv6FragmentOf(frame) : undefined;
}

function ipv4FragmentOf(frame: Uint8Array): Fragment | undefined {
	if (frame.length < ETHERNET + IPV4) return undefined;
	const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
	const header = (view.getUint8(ETHERNET) & 15) * 4;
	const position = view.getUint16(ETHERNET + 6);
	if (view.getUint8(ETHERNET) >> 4 !== 4 || header < IPV4 || (position & 0x3fff) === 0) return undefined;
	const length = view.getUint16(ETHERNET + 2);
	return {
		datagram: [
			view.getUint32(ETHERNET + 12),
			view.getUint32(ETHERNET + 16),
			view.getUint16(ETHERNET + 4),
			view.getUint8(ETHERNET + 9),
		].join(),
		offset: (position & 0x1fff) * 8,
		isSound: length >= header && length <= frame.length - ETHERNET,
	};
}

function ipv6FragmentOf(frame: Uint8Array): Fragment | undefined {
	if (frame.length < ETHERNET + IPV6 || (frame[ETHERNET] ?? 0) >> 4 !== 6) return undefined;
	const {transport, isLater} = behindExtensions(frame, ETHERNET, 0xfff9);
	if (!isLater) return undefined;
	const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
	const end = ETHERNET + IPV6 + view.getUint16(ETHERNET + 4);
	return {
		datagram: [...frame.subarray(ETHERNET + 8, ETHERNET + IPV6), view.getUint32(transport + 4)].join(),
		offset: view.getUint16(transport + 2) & 0xfff8,
		isSound: transport + EXTENSION_UNIT <= end && end <= frame.length,
	};
}

/** The packet that an ICMP frame says never arrived, if it went out from where the error goes to. */
function quotedByError(frame: Uint8Array): Pick<Parsed, 'protocol' | 'from' | 'to'> | undefined {
	const outer = ipHeader(frame);
	const errors = outer.family === 4 ? [3, 11] : [1, 2, 3];
	const quoted = outer.transport + ICMP;
	if (frame.length < quoted || !errors.includes(frame[outer.transport] ?? 0)) return undefined;
	const content = contentOf(frame, quoted, outer.family);
	if (typeof content === 'string' || !hasRoom(frame, content.transport, 8)) return undefined;
	const {protocol} = content;
	if (protocol !== PROTOCOL.tcp && protocol !== PROTOCOL.udp) return undefined;
	const inner = ipHeader(frame, quoted);
	if (addressAt(frame, inner.source, inner) !== addressAt(frame, outer.dest, outer)) return undefined;
	return {
		protocol: protocol === PROTOCOL.udp ? 'udp' : 'tcp',
		from: sourceOf(frame, quoted),
		to: destinationOf(frame, quoted),
	};
}

function readdressed(frame: Uint8Array, toMac: string, fromMac: string): Uint8Array {
	const out = frame.slice();
	const {hops} = ipHeader(out);
	out.set(mac(toMac), 0);
	out.set(mac(fromMac), 6);
	out[hops] = (out[hops] ?? 0) - 1;
	return out;
}
