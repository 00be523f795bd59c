/** What is left of a handful of measurements. */
import {setImmediate} from 'node:timers/promises';

export interface Summary {
	readonly median: number;
	readonly low: number;
	readonly high: number;
}

/** The middle of the samples, and how far they lie apart. Throws when there are none. */
export function summary(samples: readonly number[]): Summary {
	const sorted = [...samples].sort((a, b) => a - b);
	const [low, high] = [sorted.at(0), sorted.at(-1)];
	const upper = sorted[sorted.length >> 1];
	const lower = sorted[(sorted.length - 1) >> 1];
	if (low === undefined || high === undefined || upper === undefined || lower === undefined)
		throw new RangeError('a summary of no samples');
	return {median: (lower + upper) / 2, low, high};
}

/** Ratios of what was measured in the same rounds, so that what slows the machine for a while slows both. */
export function ratios(samples: readonly number[], yardstick: readonly number[]): Summary {
	if (samples.length !== yardstick.length)
		throw new RangeError(`${samples.length} samples and ${yardstick.length} of the yardstick`);
	return summary(samples.map((sample, round) => sample / (yardstick[round] ?? Number.NaN)));
}

export function median(samples: readonly number[]): number {
	return summary(samples).median;
}

/** Something that can be measured again and again. */
export interface Case {
	readonly name: string;
	/** Measures once. */
	sample(): number | Promise<number>;
}

/**
 * Measures every case once a round, in turn; by name, the samples in the order of the rounds. There is one round at least,
 * and none begins when it `isOver`.
 */
export async function interleave(
	cases: readonly Case[],
	rounds: number,
	isOver: () => boolean = () => false,
): Promise<Map<string, number[]>> {
	const samples = new Map<string, number[]>(cases.map(({name}) => [name, []]));
	for (let round = 0; round < rounds && (round === 0 || !isOver()); round++) {
		for (const {name, sample} of cases) {
			samples.get(name)?.push(await sample());
			await setImmediate(); // signals are heard here
		}
	}
	return samples;
}
