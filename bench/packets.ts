/**
 * Program time: what a packet costs in the program itself, in ns. Packets are offered by a generator in the kernel; what
 * the generator takes, measured right after with a program that does nothing, is subtracted.
 */
import type {BpfProgram} from 'libbpf-ts';
import {type Figure, figures, type Row} from './figure.js';
import {FOREIGN, PERSISTENT_SERVICE, Plane, SERVICE, type VerdictName} from './plane.js';
import {type Case, interleave, median} from './statistics.js';
import {ANSWER, type Flows, HANDSHAKE, type Path, REQUEST, type Step, SYN, Traffic} from './traffic.js';
import {FIRST_CLIENT, type Wiring} from './wiring.js';
import {Yardsticks} from './yardsticks.js';

const K64 = 2 ** 16;
const M1 = 2 ** 20;
/** More flows than any run has packets. */
const ENDLESS = 2 ** 24;
const KNOWN_CLIENTS = K64;
const FIRST_KNOWN_CLIENT = 0x0b_00_00_00;

/** A sample is the median of chunks that are shorter than the slice of a process: somebody else's work is not ours. */
const CHUNK = 2 ** 14;
const CHUNKS = 8;
/** New connections are fewer, since every one of them takes a slot. */
const OPENING_CHUNKS = 4;

const ROWS: readonly Row[] = [
	{name: 'MAC swap (XDP_TX)'},
	{name: 'one cold line, 64K flows'},
	{name: 'one cold line, 1M flows'},
	{name: 'not ours', goals: [{bound: 'at most', value: 6}]},
	{name: 'established, 1 flow', goals: [{bound: 'at most', value: 20}]},
	{name: 'established, 1 flow, to another NIC'},
	{
		name: 'established, 64K flows',
		yardsticks: ['one cold line, 64K flows'],
		goals: [
			{bound: 'at most', value: 160},
			{ratio: 'one cold line, 64K flows', bound: 'at most', value: 1.3},
		],
	},
	{
		name: 'established, 1M flows',
		yardsticks: ['one cold line, 1M flows'],
		goals: [
			{bound: 'at most', value: 190},
			{ratio: 'one cold line, 1M flows', bound: 'at most', value: 1.5},
		],
	},
	{name: 'reply, 1 flow', goals: [{bound: 'at most', value: 25}]},
	{name: 'forward and reply in turn, 64K flows', yardsticks: ['one cold line, 64K flows']},
	{
		name: 'forward and reply in turn, 1M flows',
		yardsticks: ['one cold line, 1M flows'],
		goals: [{bound: 'at most', value: 120}],
	},
	{name: 'new connection', goals: [{bound: 'at most', value: 350}]},
	{name: 'new connection, persistence, new client', goals: [{bound: 'at most', value: 500}]},
	{name: 'new connection, persistence, known client', goals: [{bound: 'at most', value: 500}]},
];

/** A load with the data plane, the yardsticks and a generator that it needs. */
class Load {
	readonly plane: Plane;
	readonly yardsticks: Yardsticks;
	readonly traffic = new Traffic();
	readonly #wiring: Wiring;

	constructor(plane: Plane, wiring: Wiring) {
		this.plane = plane;
		this.yardsticks = new Yardsticks(plane.buckets);
		this.#wiring = wiring;
	}

	/** Net ns a packet of a program. */
	time(program: BpfProgram, flows: Flows, service: string, steps: readonly Step[], chunks = CHUNKS): number {
		const {ifindex} = this.#wiring.external;
		this.traffic.choose(flows, this.#path(service), steps);
		const offer = (to: BpfProgram): number[] =>
			Array.from({length: chunks}, () => this.traffic.offer(to, ifindex, CHUNK));
		return median(offer(program)) - median(offer(this.yardsticks.nothing));
	}

	/**
	 * The same for flows that have just been heard of, all of them: a flow's first packet in a second also writes its slot,
	 * and a sample is too short to meet the share of such packets that steady traffic has.
	 */
	timeBusy(flows: Flows, steps: readonly Step[], verdict: VerdictName, share = 1): number {
		this.traffic.choose(flows, this.#path(SERVICE), steps);
		this.traffic.offer(this.plane.program, this.#wiring.external.ifindex, Math.max(flows.count, 2) * steps.length);
		return this.timePlane(flows, steps, verdict, {share});
	}

	/** Net ns a packet of the data plane; `share` of the packets must meet the verdict. */
	timePlane(
		flows: Flows,
		steps: readonly Step[],
		verdict: VerdictName,
		{chunks = CHUNKS, share = 1, service = SERVICE} = {},
	): number {
		return this.plane.expect(verdict, CHUNK * chunks * share, () =>
			this.time(this.plane.program, flows, service, steps, chunks),
		);
	}

	/** Opens flows, handshake and all. */
	establish(flows: Flows): void {
		const packets = flows.count * HANDSHAKE.length;
		this.traffic.choose(flows, this.#path(SERVICE), HANDSHAKE);
		this.plane.expect('V_FORWARD_NEW', flows.count, () =>
			this.traffic.offer(this.plane.program, this.#wiring.external.ifindex, packets),
		);
	}

	/** Which server has the flow, as `172.16.0.1:8080`. */
	serverOf(flow: Flows): string {
		return this.traffic.destination(this.plane.program, this.#wiring.external.ifindex, flow, this.#path(SERVICE));
	}

	#path(service: string): Path {
		return {fromMac: this.#wiring.client.mac, toMac: this.#wiring.external.mac, service};
	}

	close(): void {
		this.traffic.close();
		this.yardsticks.close();
		this.plane.close();
	}
}

/** Measures all program times. */
export async function packets(wiring: Wiring, rounds: number): Promise<Figure[]> {
	const loads: Load[] = [];
	const load = async (connections: number, persistent = 1024): Promise<Load> => {
		const opened = new Load(await Plane.open(wiring, connections, persistent), wiring);
		loads.push(opened);
		return opened;
	};
	try {
		const [few, many, fresh] = [await load(K64), await load(M1), await load(M1, M1)];
		const samples = await interleave([...established(few, many, wiring), ...opening(fresh)], rounds);
		return figures('program time', 'ns', samples, ROWS);
	} finally {
		for (const opened of loads) opened.close();
	}
}

function established(few: Load, many: Load, wiring: Wiring): Case[] {
	const one: Flows = {count: 1, firstClient: FIRST_CLIENT};
	const k64: Flows = {count: K64, firstClient: FIRST_CLIENT};
	const m1: Flows = {count: M1, firstClient: FIRST_CLIENT};
	few.establish(k64);
	many.establish(m1);
	const fromServer: Step = {...ANSWER, backend: few.serverOf(one)};
	const {macSwap} = few.yardsticks;
	const inTurn: readonly Step[] = [REQUEST, ANSWER];
	return [
		{name: 'MAC swap (XDP_TX)', sample: () => few.time(macSwap, one, SERVICE, [REQUEST])},
		coldLine('64K', few, k64),
		coldLine('1M', many, m1),
		{
			name: 'not ours',
			sample: () => few.timePlane(one, [REQUEST], 'V_PASS_NOT_OURS', {service: FOREIGN}),
		},
		{name: 'established, 1 flow', sample: () => few.timePlane(one, [REQUEST], 'V_FORWARD')},
		{
			name: 'established, 1 flow, to another NIC',
			sample: () => {
				few.plane.serveThrough(wiring.internal, wiring.server);
				const ns = few.timePlane(one, [REQUEST], 'V_FORWARD');
				few.plane.serveThrough(wiring.external, wiring.client);
				return ns;
			},
		},
		{name: 'established, 64K flows', sample: () => few.timeBusy(k64, [REQUEST], 'V_FORWARD')},
		{name: 'established, 1M flows', sample: () => many.timeBusy(m1, [REQUEST], 'V_FORWARD')},
		{name: 'reply, 1 flow', sample: () => few.timePlane(one, [fromServer], 'V_REPLY')},
		{
			name: 'forward and reply in turn, 64K flows',
			sample: () => few.timeBusy(k64, inTurn, 'V_REPLY', 0.5),
		},
		{
			name: 'forward and reply in turn, 1M flows',
			sample: () => many.timeBusy(m1, inTurn, 'V_REPLY', 0.5),
		},
	];
}

function coldLine(flows: string, load: Load, which: Flows): Case {
	return {
		name: `one cold line, ${flows} flows`,
		sample: () => load.time(load.yardsticks.coldLine, which, SERVICE, [REQUEST]),
	};
}

/** New connections: each of a flow that has not been before. */
function opening(load: Load): Case[] {
	const strangers: Flows = {count: ENDLESS, firstClient: FIRST_CLIENT};
	const known: Flows = {count: ENDLESS, firstClient: FIRST_KNOWN_CLIENT, clients: KNOWN_CLIENTS};
	const time = (flows: Flows, service: string): number =>
		load.timePlane(flows, [SYN], 'V_FORWARD_NEW', {chunks: OPENING_CHUNKS, service});
	time(known, PERSISTENT_SERVICE);
	return [
		{name: 'new connection', sample: () => time(strangers, SERVICE)},
		{name: 'new connection, persistence, new client', sample: () => time(strangers, PERSISTENT_SERVICE)},
		{name: 'new connection, persistence, known client', sample: () => time(known, PERSISTENT_SERVICE)},
	];
}
