/** The sequence of `wrr`: everybody as often as they weigh, spread as evenly as can be. Pure. */

/** Places of a sequence, about: weights that have no smaller whole proportion are rounded to this many. */
export const SEQUENCE_MAX = 4096;

/**
 * Whole numbers in the proportion of the weights, as small as possible. Weights whose numbers would add up to more than
 * `SEQUENCE_MAX` are scaled to that sum and rounded to the nearest number, at least 1; their proportion is then off by
 * at most half a place each.
 */
export function proportion(weights: readonly number[]): number[] {
	const reduced = divided(weights);
	const sum = total(reduced);
	if (sum <= SEQUENCE_MAX) return reduced;
	return reduced.map(weight => Math.max(1, Math.round((weight / sum) * SEQUENCE_MAX)));
}

/**
 * One cycle of indexes, in which `i` stands `weights[i]` times. In every beginning of it, each has been dealt what is
 * due to it by its weight, give or take less than one; so runs are as short as the weights allow.
 *
 * The j-th turn of weight w among a sum of W falls into the places from ⌊jW/w⌋ to ⌈(j+1)W/w⌉ - 1; the earliest deadline
 * first meets all of them (Baruah et al., "Proportionate progress", 1996). Of equal deadlines, the first in the list wins.
 */
export function smoothSequence(weights: readonly number[]): number[] {
	const sum = total(weights);
	const turns = weights.map(() => 0);
	return Array.from({length: sum}, (_, place) => {
		const next = mostUrgent(weights, turns, sum, place);
		turns[next] = (turns[next] ?? 0) + 1;
		return next;
	});
}

function mostUrgent(weights: readonly number[], turns: readonly number[], sum: number, place: number): number {
	let best = 0;
	let earliest = Number.POSITIVE_INFINITY;
	for (const [index, weight] of weights.entries()) {
		const turn = turns[index] ?? 0;
		if (turn >= weight || Math.floor((turn * sum) / weight) > place) continue;
		const deadline = Math.ceil(((turn + 1) * sum) / weight);
		if (deadline < earliest) [best, earliest] = [index, deadline];
	}
	return best;
}

function divided(weights: readonly number[]): number[] {
	const divisor = weights.reduce(greatestCommonDivisor, 0);
	return weights.map(weight => weight / divisor);
}

function greatestCommonDivisor(a: number, b: number): number {
	return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

function total(weights: readonly number[]): number {
	return weights.reduce((sum, weight) => sum + weight, 0);
}
