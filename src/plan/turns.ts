/**
 * Where each service's turn stands in the `turns` map. A turn is the sequence of a service's backends that
 * schedulers.ts gives; the program skips those that are not up, so a turn changes only when the configuration does.
 */
import type {BackendId, ServiceId, Tables} from '../xdp/tables.js';
import {isSame} from './same.js';

interface Stretch {
	readonly offset: number;
	readonly length: number;
}

/** The `turn` word of a service, see bpf/maps.h. */
export function turnWord(stretch: Stretch): bigint {
	return (BigInt(stretch.offset) << 32n) | BigInt(stretch.length);
}

export function turnStretch(word: bigint): Stretch {
	return {offset: Number(word >> 32n), length: Number(word & 0xffff_ffffn)};
}

export interface Allocation {
	/** Stretches of the `turns` map by their offset. */
	readonly turns: ReadonlyMap<number, readonly BackendId[]>;
	readonly words: ReadonlyMap<ServiceId, bigint>;
	/** Services for which no stretch was free. */
	readonly refused: ReadonlySet<ServiceId>;
}

/**
 * Gives each sequence a stretch. One that stands already keeps its place; a new one never overlaps with any stretch
 * in use now, because a packet may be reading that at this moment.
 */
export function allocateTurns(
	sequences: ReadonlyMap<ServiceId, readonly BackendId[]>,
	actual: Tables,
	capacity: number,
): Allocation {
	const turns = new Map<number, readonly BackendId[]>();
	const words = new Map<ServiceId, bigint>();
	const refused = new Set<ServiceId>();
	const free = freeStretches(actual, capacity);
	for (const [id, sequence] of sequences) {
		const stretch = standing(id, sequence, actual) ?? take(free, sequence.length);
		if (stretch === null) {
			refused.add(id);
			continue;
		}
		words.set(id, turnWord(stretch));
		if (sequence.length > 0) turns.set(stretch.offset, sequence);
	}
	return {turns, words, refused};
}

/** The service's present stretch, if it holds just this sequence. */
function standing(id: ServiceId, sequence: readonly BackendId[], actual: Tables): Stretch | null {
	const service = actual.services.get(id);
	if (service === undefined) return null;
	const stretch = turnStretch(service.turn);
	if (stretch.length !== sequence.length) return null;
	return isSame(actual.turns.get(stretch.offset) ?? [], sequence) ? stretch : null;
}

function freeStretches(actual: Tables, capacity: number): Stretch[] {
	const ofServices = [...actual.services.values()].map(service => turnStretch(service.turn));
	const written = [...actual.turns].map(([offset, {length}]) => ({offset, length}));
	const used = [...ofServices, ...written].sort((a, b) => a.offset - b.offset);
	const free: Stretch[] = [];
	let end = 0;
	for (const {offset, length} of [...used, {offset: capacity, length: 0}]) {
		if (offset > end) free.push({offset: end, length: offset - end});
		end = Math.max(end, offset + length);
	}
	return free;
}

/** First fit. */
function take(free: Stretch[], length: number): Stretch | null {
	const index = free.findIndex(stretch => stretch.length >= length);
	const stretch = free[index];
	if (stretch === undefined) return null;
	free[index] = {offset: stretch.offset + length, length: stretch.length - length};
	return {offset: stretch.offset, length};
}
