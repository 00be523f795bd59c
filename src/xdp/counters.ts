/** Counters, read through their mappings: each has one block for every CPU, which only that CPU writes. */
import type {MapMemory} from 'libbpf-ts';
import {Event, type Settings, traffic, Verdict, verdictCounters} from './layout.gen.js';
import type {BackendId, ServiceId} from './tables.js';

/** Totals of one backend since the maps were made. */
export interface Traffic {
	readonly connections: bigint;
	readonly packetsIn: bigint;
	readonly bytesIn: bigint;
	readonly packetsOut: bigint;
	readonly bytesOut: bigint;
}

/** Verdicts as they are called outside the program: `V_DROP_NO_BACKEND` is `drop_no_backend`. */
export const VERDICT_NAMES: readonly string[] = names(Verdict, 'V_', Verdict.V_COUNT);
export const EVENT_NAMES: readonly string[] = names(Event, 'EVENT_', Event.EVENT_COUNT);

/** Verdicts that stand for a lost packet. */
export function isDrop(verdict: string): boolean {
	return verdict.startsWith('drop_');
}

function names(values: Readonly<Record<string, number>>, prefix: string, count: number): string[] {
	return Object.entries(values)
		.filter(([, value]) => value < count)
		.sort(([, a], [, b]) => a - b)
		.map(([name]) => name.slice(prefix.length).toLowerCase());
}

/** Sums a backend's counters over all CPUs. */
export function readTraffic(memory: MapMemory, settings: Settings, backend: BackendId): Traffic {
	const [connections = 0n, packetsIn = 0n, bytesIn = 0n, packetsOut = 0n, bytesOut = 0n] = sumOverCpus(
		memory,
		backend,
		settings.backends,
		traffic.size,
		5,
	);
	return {connections, packetsIn, bytesIn, packetsOut, bytesOut};
}

/** Packets of a service (0: of none) by verdict, and events, over all CPUs. Verdicts that never happened are left out. */
export function readVerdicts(
	memory: MapMemory,
	settings: Settings,
	service: ServiceId,
): {readonly verdicts: Map<string, bigint>; readonly events: Map<string, bigint>} {
	const words = sumOverCpus(memory, service, settings.services, verdictCounters.size, verdictCounters.size / 8);
	return {
		verdicts: named(VERDICT_NAMES, words),
		events: named(EVENT_NAMES, words.subarray(VERDICTS_MAX)),
	};
}

const VERDICTS_MAX = 32;

function named(words: readonly string[], counts: BigUint64Array): Map<string, bigint> {
	const found = new Map<string, bigint>();
	words.forEach((name, index) => {
		const count = counts[index] ?? 0n;
		if (count > 0n) found.set(name, count);
	});
	return found;
}

/** Block `id` of each CPU; the blocks of a CPU are `capacity` in number. */
function sumOverCpus(memory: MapMemory, id: number, capacity: number, size: number, words: number): BigUint64Array {
	const stride = capacity * size;
	return memory.sumU64(id * size, stride, Math.floor(memory.size / stride), words);
}
