/**
 * Reading the flow table through its mapping: no system call, no lock; a slot that is just changing is left out. A flow that
 * moves to another bucket while the table is read may be seen twice or not at all: lists and counts are of about now.
 */
import type {MapMemory} from 'libbpf-ts';
import {FAMILIES, type Family} from '../net/address.js';
import {FlowShift, FlowState, type Settings} from './layout.gen.js';
import {type ByFamily, FLOW_SIZES} from './maps.js';
import type {BackendId, ServiceId} from './tables.js';
import {isHalfOpen, tickJiffies} from './time.js';

/** One live flow. Addresses are 4 or 16 bytes. */
export interface Flow {
	readonly clientAddr: Uint8Array;
	readonly clientPort: number;
	readonly serviceAddr: Uint8Array;
	readonly servicePort: number;
	readonly proto: number;
	readonly backend: BackendId;
	readonly state: FlowState;
	/** Jiffies since the last packet that was noted, and until it expires. */
	readonly idleJiffies: number;
	readonly leftJiffies: number;
}

/** States as they are called outside the program: `FLOW_TIME_WAIT` is `time_wait`. */
const STATE_NAMES = new Map<number, string>(
	Object.entries(FlowState).map(([name, state]) => [state, name.slice('FLOW_'.length).toLowerCase()]),
);

export function flowStateName(state: FlowState): string {
	return STATE_NAMES.get(state) ?? `state_${state}`;
}

/** Live flows by backend and by state. */
export interface FlowCounts {
	readonly byBackend: ReadonlyMap<BackendId, number>;
	/** Of those, the ones that are not closing or closed: IPVS's active connections. */
	readonly activeByBackend: ReadonlyMap<BackendId, number>;
	readonly byState: ReadonlyMap<FlowState, number>;
}

/** What is needed of the mappings. */
export type FlowMemory = ByFamily<Pick<MapMemory, 'size' | 'copy'>>;

/** Of a family's slots, in 32-bit words: their size, the client's address (the service's follows), ports, halves of `word`. */
export interface Shape {
	readonly family: Family;
	readonly slot: number;
	readonly address: number;
	readonly ports: number;
	readonly stamp: number;
	readonly state: number;
}

export const SHAPES: ByFamily<Shape> = {
	4: {family: 4, slot: FLOW_SIZES[4].slot / 4, address: 1, ports: 2, stamp: 4, state: 5},
	6: {family: 6, slot: FLOW_SIZES[6].slot / 4, address: 4, ports: 8, stamp: 10, state: 11},
};
/** Buckets copied out of a mapping at a time: 128 or 256 KiB. */
const CHUNK_BUCKETS = 1024;
const STATE_IN_HIGH = FlowShift.FLOW_STATE_SHIFT - 32;
/** A bit for each state that IPVS counts as inactive (net/netfilter/ipvs/ip_vs_proto_tcp.c). */
const CLOSING_STATES =
	(1 << FlowState.FLOW_FIN_WAIT) |
	(1 << FlowState.FLOW_CLOSE_WAIT) |
	(1 << FlowState.FLOW_TIME_WAIT) |
	(1 << FlowState.FLOW_CLOSED) |
	(1 << FlowState.FLOW_ONE_SIDED_CLOSE_WAIT);
/** A bit for each state of a connection that is over: its slot waits for stray packets. */
const ENDED_STATES = (1 << FlowState.FLOW_TIME_WAIT) | (1 << FlowState.FLOW_CLOSED);

/** The slots of the table, a chunk at a time: `words` are valid until the next chunk. */
function* chunks(memory: FlowMemory[Family], {family}: Shape): Generator<Uint32Array> {
	const buffer = new Uint8Array(Math.min(CHUNK_BUCKETS * FLOW_SIZES[family].bucket, memory.size));
	for (let offset = 0; offset < memory.size; offset += buffer.length) {
		const part = buffer.subarray(0, Math.min(buffer.length, memory.size - offset));
		memory.copy(offset, part);
		yield new Uint32Array(part.buffer, part.byteOffset, part.length / 4);
	}
}

/** Ages flows against one moment, as flow_age() and flow_expired() of bpf/flow_table.h do. */
export class Ages {
	readonly #settings: Settings;
	readonly #fine: number;
	readonly #coarse: number;

	constructor(settings: Settings, jiffies: bigint) {
		this.#settings = settings;
		this.#fine = Number(BigInt.asUintN(16, jiffies >> BigInt(settings.fineShift)));
		this.#coarse = Number(BigInt.asUintN(32, jiffies >> BigInt(settings.coarseShift)));
	}

	/** Ticks of the state's clock; negative when another CPU was a tick ahead. */
	ticks(state: number, stamp: number): number {
		return isHalfOpen(state) ? ((this.#fine - stamp) << 16) >> 16 : (this.#coarse - stamp) | 0;
	}

	/** Infinity for states without a timeout. */
	limit(state: number): number {
		return this.#settings.timeouts.ticks[state] || Number.POSITIVE_INFINITY;
	}
}

/** What there is to see of a live flow: its slot begins with the client's address, at word `at`. */
type Visit = (backend: BackendId, state: FlowState, words: Uint32Array, at: number) => void;

/** Visits the live flows of a table: about 10 ms for a million slots. */
function visitFlows(memory: FlowMemory[Family], shape: Shape, ages: Ages, visit: Visit): void {
	for (const words of chunks(memory, shape)) {
		for (let at = 0; at < words.length; at += shape.slot) {
			const high = words[at + shape.state] ?? 0;
			const state = stateIn(high);
			if (state <= FlowState.FLOW_BUSY || ages.ticks(state, words[at + shape.stamp] ?? 0) >= ages.limit(state)) {
				continue;
			}
			visit(high & 0xffff, state as FlowState, words, at);
		}
	}
}

/** Counts the live flows of both tables. */
export function countFlows(memory: FlowMemory, settings: Settings, jiffies: bigint): FlowCounts {
	const ages = new Ages(settings, jiffies);
	const byBackend = new Map<BackendId, number>();
	const activeByBackend = new Map<BackendId, number>();
	const byState = new Map<FlowState, number>();
	for (const family of FAMILIES) {
		visitFlows(memory[family], SHAPES[family], ages, (backend, state) => {
			increment(byBackend, backend);
			if (!((CLOSING_STATES >> state) & 1)) increment(activeByBackend, backend);
			increment(byState, state);
		});
	}
	return {byBackend, activeByBackend, byState};
}

/** Clients of one backend, as networks of one mask. */
export class Clients {
	readonly #mask: Uint32Array;
	readonly #networks = new Set<number | string>();

	/** `mask` has the length of an address of the family. */
	constructor(mask: Uint8Array) {
		this.#mask = wordsOf(mask);
	}

	/** Adds the client whose address is at a word. */
	add(words: Uint32Array, at: number): void {
		this.#networks.add(this.#network(words, at));
	}

	/** Whether a network has a client here. */
	has(network: Uint8Array): boolean {
		return this.#networks.has(this.#network(wordsOf(network), 0));
	}

	/** A number as far as one will do, since a million flows are asked. */
	#network(words: Uint32Array, at: number): number | string {
		const [first = 0, ...rest] = this.#mask;
		const begin = (words[at] ?? 0) & first;
		return rest.length === 0 ? begin : [begin, ...rest.map((mask, n) => (words[at + 1 + n] ?? 0) & mask)].join();
	}
}

/** Fills in who has connections that are not over, of the backends that are asked for. */
export function findClients(
	memory: FlowMemory,
	settings: Settings,
	jiffies: bigint,
	asked: ByFamily<ReadonlyMap<BackendId, Clients>>,
): void {
	const ages = new Ages(settings, jiffies);
	for (const family of FAMILIES) {
		if (asked[family].size === 0) continue;
		visitFlows(memory[family], SHAPES[family], ages, (backend, state, words, at) => {
			if (((1 << state) & ENDED_STATES) === 0) asked[family].get(backend)?.add(words, at);
		});
	}
}

/** An address in words as the flow table has them. */
function wordsOf(address: Uint8Array): Uint32Array {
	return new Uint32Array(address.slice().buffer);
}

/** Every live flow, in the order of the tables. */
export function* liveFlows(memory: FlowMemory, settings: Settings, jiffies: bigint): Generator<Flow> {
	for (const family of FAMILIES) yield* liveFlowsOf(memory[family], SHAPES[family], settings, jiffies);
}

function* liveFlowsOf(memory: FlowMemory[Family], shape: Shape, settings: Settings, jiffies: bigint): Generator<Flow> {
	const ages = new Ages(settings, jiffies);
	const shifts = {fine: settings.fineShift, coarse: settings.coarseShift};
	for (const words of chunks(memory, shape)) {
		for (let at = 0; at < words.length; at += shape.slot) {
			const high = words[at + shape.state] ?? 0;
			const state = stateIn(high);
			if (state <= FlowState.FLOW_BUSY) continue;
			const age = ages.ticks(state, words[at + shape.stamp] ?? 0);
			const limit = ages.limit(state);
			if (age >= limit) continue;
			const jiffiesPerTick = tickJiffies(state, shifts);
			yield {
				...keyAt(words, at, shape),
				backend: high & 0xffff,
				state: state as FlowState,
				idleJiffies: Math.max(0, age) * jiffiesPerTick,
				leftJiffies: (limit - age) * jiffiesPerTick,
			};
		}
	}
}

/** A live persistence entry: bpf/persistence_table.h. */
export interface Entry {
	readonly family: Family;
	/** Under the mask of the service. */
	readonly client: Uint8Array;
	readonly service: ServiceId;
	readonly backend: BackendId;
	/** The last coarse tick in which it holds, as its stamp says. */
	readonly lastTick: number;
	/** Jiffies until that is over. */
	readonly leftJiffies: number;
}

/** Visits the live entries of the tables of persistence, which have the form of the flows'. */
export function visitEntries(
	memory: FlowMemory,
	settings: Settings,
	jiffies: bigint,
	visit: (leftJiffies: number, read: () => Entry) => void,
	families: readonly Family[] = FAMILIES,
): void {
	const ages = new Ages(settings, jiffies);
	const tick = 2 ** settings.coarseShift;
	const intoTick = Number(jiffies % BigInt(tick));
	for (const family of families) {
		const shape = SHAPES[family];
		visitFlows(memory[family], shape, ages, (backend, state, words, at) => {
			const lastTick = words[at + shape.stamp] ?? 0;
			const leftJiffies = (1 - ages.ticks(state, lastTick)) * tick - intoTick;
			visit(leftJiffies, () => ({
				family,
				client: new Uint8Array(words.slice(at, at + shape.address).buffer),
				service: words[at + shape.ports] ?? 0,
				backend,
				lastTick,
				leftJiffies,
			}));
		});
	}
}

/** The state in the upper half of `word`. */
export function stateIn(high: number): number {
	return (high >>> STATE_IN_HIGH) & 0xf;
}

/** The key words hold addresses and ports in the order of their bytes on the wire. */
function keyAt(
	words: Uint32Array,
	at: number,
	shape: Shape,
): Omit<Flow, 'backend' | 'state' | 'idleJiffies' | 'leftJiffies'> {
	const address = shape.address * 4;
	const ports = shape.ports * 4;
	const bytes = new Uint8Array(words.buffer, words.byteOffset + at * 4, shape.slot * 4).slice();
	const view = new DataView(bytes.buffer);
	return {
		clientAddr: bytes.subarray(0, address),
		serviceAddr: bytes.subarray(address, 2 * address),
		clientPort: view.getUint16(ports),
		servicePort: view.getUint16(ports + 2),
		proto: view.getUint8(ports + 4),
	};
}

function increment<K>(counts: Map<K, number>, key: K): void {
	counts.set(key, (counts.get(key) ?? 0) + 1);
}
