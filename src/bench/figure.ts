/** What the bench tells: one figure a row, what it is measured by, and what was aimed at. Pure. */
import {ratios, type Summary, summary} from './statistics.js';

export type Unit = 'ns' | 'µs' | 'Mpps' | 'req/s' | 'bytes' | 'flows' | 'percent' | 'MB' | 'ms';

export interface Ratio extends Summary {
	/** The case of the same rounds that it is a ratio to. */
	readonly to: string;
}

/** `ratio`: the bound is on the ratio to that case, else on the figure itself. */
export interface Goal {
	readonly ratio?: string;
	readonly bound: 'at most' | 'at least';
	readonly value: number;
}

export interface Figure extends Summary {
	readonly section: string;
	readonly name: string;
	readonly unit: Unit;
	readonly ratios: readonly Ratio[];
	readonly goals: ReadonlyArray<Goal & {readonly met: boolean}>;
}

/** What a section says of one of its cases. */
export interface Row {
	readonly name: string;
	/** The cases to show it as a ratio to. */
	readonly yardsticks?: readonly string[];
	readonly goals?: readonly Goal[];
}

/** The figures of one section from its samples by name. */
export function figures(
	section: string,
	unit: Unit,
	samples: ReadonlyMap<string, readonly number[]>,
	rows: readonly Row[],
): Figure[] {
	const of = (name: string): readonly number[] => {
		const found = samples.get(name);
		if (found === undefined) throw new RangeError(`${section}: ${name} was not measured`);
		return found;
	};
	return rows.map(({name, yardsticks = [], goals = []}) => {
		const measured = summary(of(name));
		const compared = yardsticks.map(to => ({to, ...ratios(of(name), of(to))}));
		return {
			section,
			name,
			unit,
			...measured,
			ratios: compared,
			goals: goals.map(goal => ({...goal, met: isMet(goal, measured, compared)})),
		};
	});
}

function isMet({ratio, bound, value}: Goal, measured: Summary, compared: readonly Ratio[]): boolean {
	const {median} = ratio === undefined ? measured : (compared.find(({to}) => to === ratio) ?? {median: Number.NaN});
	return bound === 'at most' ? median <= value : median >= value;
}
