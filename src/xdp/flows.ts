/** Reading the flow table through its mapping: no system call, no lock; a slot that is just changing is left out. */
import type {MapMemory} from 'libbpf-ts';
import {FlowShift, FlowState, flowBucket, flowSlot, type Settings} from './layout.gen.js';
import type {BackendId} from './tables.js';
import {isHalfOpen, tickJiffies} from './time.js';

/** One live flow. Addresses are numbers as in the layout's `__be32` members. */
export interface Flow {
	readonly clientAddr: number;
	readonly clientPort: number;
	readonly serviceAddr: number;
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

/** What is needed of the mapping. */
export type FlowMemory = Pick<MapMemory, 'size' | 'copy'>;

/** A slot is four 64-bit words; seen as 32-bit ones, these are the halves of `word`. */
const SLOT_U32 = flowSlot.size / 4;
const STAMP_AT = 4;
const STATE_AT = 5;
/** Buckets copied out of the mapping at a time: 128 KiB. */
const CHUNK_BUCKETS = 1024;
const STATE_IN_HIGH = FlowShift.FLOW_STATE_SHIFT - 32;
/** A bit for each state that IPVS counts as inactive (net/netfilter/ipvs/ip_vs_proto_tcp.c). */
const CLOSING_STATES =
	(1 << FlowState.FLOW_FIN_WAIT) |
	(1 << FlowState.FLOW_CLOSE_WAIT) |
	(1 << FlowState.FLOW_TIME_WAIT) |
	(1 << FlowState.FLOW_CLOSED);

/** The slots of the table, a chunk at a time: `words` are valid until the next chunk. */
function* chunks(memory: FlowMemory): Generator<Uint32Array> {
	const buffer = new Uint8Array(Math.min(CHUNK_BUCKETS * flowBucket.size, memory.size));
	for (let offset = 0; offset < memory.size; offset += buffer.length) {
		const part = buffer.subarray(0, Math.min(buffer.length, memory.size - offset));
		memory.copy(offset, part);
		yield new Uint32Array(part.buffer, part.byteOffset, part.length / 4);
	}
}

/** Ages flows against one moment, as flow_age() and flow_expired() of bpf/flow_table.h do. */
class Ages {
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

/** Counts the live flows of the whole table: about 10 ms for a million slots. */
export function countFlows(memory: FlowMemory, settings: Settings, jiffies: bigint): FlowCounts {
	const ages = new Ages(settings, jiffies);
	const byBackend = new Map<BackendId, number>();
	const activeByBackend = new Map<BackendId, number>();
	const byState = new Map<FlowState, number>();
	for (const words of chunks(memory)) {
		for (let at = 0; at < words.length; at += SLOT_U32) {
			const state = stateAt(words, at);
			if (state <= FlowState.FLOW_BUSY || ages.ticks(state, words[at + STAMP_AT] ?? 0) >= ages.limit(state)) continue;
			const backend = (words[at + STATE_AT] ?? 0) & 0xffff;
			increment(byBackend, backend);
			if (!((CLOSING_STATES >> state) & 1)) increment(activeByBackend, backend);
			increment(byState, state as FlowState);
		}
	}
	return {byBackend, activeByBackend, byState};
}

/** Every live flow, in the order of the table. */
export function* liveFlows(memory: FlowMemory, settings: Settings, jiffies: bigint): Generator<Flow> {
	const ages = new Ages(settings, jiffies);
	const shifts = {fine: settings.fineShift, coarse: settings.coarseShift};
	for (const words of chunks(memory)) {
		for (let at = 0; at < words.length; at += SLOT_U32) {
			const state = stateAt(words, at);
			if (state <= FlowState.FLOW_BUSY) continue;
			const age = ages.ticks(state, words[at + STAMP_AT] ?? 0);
			const limit = ages.limit(state);
			if (age >= limit) continue;
			const jiffiesPerTick = tickJiffies(state, shifts);
			yield {
				...keyAt(words, at),
				backend: (words[at + STATE_AT] ?? 0) & 0xffff,
				state: state as FlowState,
				idleJiffies: Math.max(0, age) * jiffiesPerTick,
				leftJiffies: (limit - age) * jiffiesPerTick,
			};
		}
	}
}

function stateAt(words: Uint32Array, at: number): number {
	return ((words[at + STATE_AT] ?? 0) >>> STATE_IN_HIGH) & 0xf;
}

/** The key words hold addresses and ports in the order of their bytes on the wire. */
function keyAt(words: Uint32Array, at: number): Omit<Flow, 'backend' | 'state' | 'idleJiffies' | 'leftJiffies'> {
	const view = new DataView(words.buffer, words.byteOffset + at * 4, 16);
	return {
		clientAddr: view.getUint32(0),
		serviceAddr: view.getUint32(4),
		clientPort: view.getUint16(8),
		servicePort: view.getUint16(10),
		proto: view.getUint8(12),
	};
}

function increment<K>(counts: Map<K, number>, key: K): void {
	counts.set(key, (counts.get(key) ?? 0) + 1);
}
