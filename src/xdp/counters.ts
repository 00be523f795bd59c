/** Counters, read through their mappings: each has one block for every CPU, which only that CPU writes. */
import type {Codec, MapMemory} from 'libbpf-ts';
import {Event, type Settings, type Traffic, traffic, Verdict, verdictCounters} from './layout.gen.js';
import type {BackendId, ServiceId} from './tables.js';

/** Verdicts as they are called outside the program: `V_DROP_NO_BACKEND` is `drop_no_backend`. */
export const VERDICT_NAMES: readonly string[] = names(Verdict, 'V_', Verdict.V_COUNT);
export const EVENT_NAMES: readonly string[] = names(Event, 'EVENT_', Event.EVENT_COUNT);

/** Verdicts that stand for a lost packet, whether its sender was told or not. */
export function isDrop(verdict: string): boolean {
	return verdict.startsWith('drop_') || verdict.startsWith('answer_');
}

function names(values: Readonly<Record<string, number>>, prefix: string, count: number): string[] {
	return Object.entries(values)
		.filter(([, value]) => value < count)
		.sort(([, a], [, b]) => a - b)
		.map(([name]) => name.slice(prefix.length).toLowerCase());
}

/** Sums a backend's counters over all CPUs. */
export function readTraffic(memory: MapMemory, settings: Settings, backend: BackendId): Traffic {
	return sumOverCpus(traffic, memory, backend, settings.backends);
}

/** Packets of a service (0: of none) by verdict, and events, over all CPUs. What never happened is left out. */
export function readVerdicts(
	memory: MapMemory,
	settings: Settings,
	service: ServiceId,
): {readonly verdicts: Map<string, bigint>; readonly events: Map<string, bigint>} {
	const {packets, events} = sumOverCpus(verdictCounters, memory, service, settings.services);
	return {verdicts: named(VERDICT_NAMES, packets), events: named(EVENT_NAMES, events)};
}

function named(words: readonly string[], counts: readonly bigint[]): Map<string, bigint> {
	const found = new Map<string, bigint>();
	words.forEach((name, index) => {
		const count = counts[index] ?? 0n;
		if (count > 0n) found.set(name, count);
	});
	return found;
}

/** Adds up block `id` of each CPU; the blocks of a CPU are `capacity` in number, and nothing but 64-bit counters. */
function sumOverCpus<T>(codec: Codec<T>, memory: MapMemory, id: number, capacity: number): T {
	const {size} = codec;
	const stride = capacity * size;
	const sums = memory.sumU64(id * size, stride, Math.floor(memory.size / stride), size / 8);
	return codec.decode(new DataView(sums.buffer, sums.byteOffset, sums.byteLength));
}
