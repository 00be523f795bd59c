/** Whether anything grows: what was counted when all was well, early and late. Pure. */

/** Of one program's life, when all was well. */
export interface Life {
	/** `lbd on lb1`. */
	readonly program: string;
	readonly pid: number;
	readonly ageMs: number;
	readonly residentBytes: number;
	readonly descriptors: number;
	readonly threads: number;
}

export interface Sample {
	readonly atMs: number;
	readonly lives: readonly Life[];
	/** What a balancer has on its machine, by name: `lb1 links`. */
	readonly things: Readonly<Record<string, number>>;
}

/** How much more there may be, by the name without the balancer's: by default nothing. */
const THINGS_MAY_GROW: Readonly<Record<string, (early: number) => number>> = {
	// Short connections are remembered for two minutes, as many as there are requests.
	flows: early => 0.2 * early + 100,
	// Held ones and downloads are always as many, and requests that are under way few.
	'established flows': () => ABANDONED_MAX,
	'abandoned flows': () => ABANDONED_MAX,
};
/**
 * Flows that no client has any more, until `lvs_timeouts` ends them: what nobody heard the end of. An outage leaves those
 * of the downloads whose time was over meanwhile, of which there are eight.
 */
const ABANDONED_MAX = 16;
/** What even the lowest points of a busy lbd's heap wander by. */
const RESIDENT_MAY_GROW_MIB = 32;
/** In fewer samples of a life there need not be a low point. */
const LOW_POINTS_IN = 6;
const MIB = 1 << 20;
/** A request of lbctl's or a check may be under way. */
const DESCRIPTORS_MAY_GROW = 3;
/** Younger programs are still being compiled and filled. */
const GROWN_UP_MS = 120_000;

export interface Row {
	readonly what: string;
	readonly early: number;
	readonly late: number;
	readonly isWithin: boolean;
}

export function median(values: readonly number[]): number {
	const inOrder = values.toSorted((a, b) => a - b);
	return inOrder[Math.floor(inOrder.length / 2)] ?? Number.NaN;
}

/** Closed connections are remembered for two minutes: before, flows become more. */
const WARM_UP_MS = 150_000;

/** What was measured after the beginning. */
export function warm(samples: readonly Sample[]): Sample[] {
	return samples.filter(({atMs}) => atMs >= (samples[0]?.atMs ?? 0) + WARM_UP_MS);
}

/** The first third of the samples beside the last one. */
export function growthOfThings(samples: readonly Sample[]): Row[] {
	const third = Math.max(1, Math.floor(samples.length / 3));
	const names = [...new Set(samples.flatMap(({things}) => Object.keys(things)))].toSorted();
	const at = (part: readonly Sample[], name: string) => median(part.map(({things}) => things[name] ?? 0));
	return names.map(what => {
		const [early, late] = [at(samples.slice(0, third), what), at(samples.slice(-third), what)];
		const more = THINGS_MAY_GROW[what.slice(what.indexOf(' ') + 1)]?.(early) ?? 0;
		return {what, early, late, isWithin: late - early <= more};
	});
}

/** Of each program the life in which a figure has grown most, from when it was grown up to its last sample. */
export function growthOfLives(samples: readonly Sample[]): Row[] {
	const lives = new Map<string, Map<number, Life[]>>();
	for (const life of samples.flatMap(sample => sample.lives).filter(({ageMs}) => ageMs >= GROWN_UP_MS)) {
		const byPid = lives.get(life.program) ?? new Map<number, Life[]>();
		lives.set(life.program, byPid.set(life.pid, [...(byPid.get(life.pid) ?? []), life]));
	}
	return [...lives].toSorted().flatMap(([program, byPid]) =>
		figures.map(({what, of, mayGrow, ends = firstAndLast}) => {
			const rows = [...byPid.values()].map(life => {
				const [early, late] = ends(life.map(of));
				return {what: `${program}: ${what}`, early, late, isWithin: late - early <= mayGrow};
			});
			return rows.reduce((most, row) => (row.late - row.early > most.late - most.early ? row : most));
		}),
	);
}

type Ends = (values: readonly number[]) => readonly [early: number, late: number];

const firstAndLast: Ends = values => [values[0] ?? Number.NaN, values.at(-1) ?? Number.NaN];

/** All checks may be under way at once, and at the next look they are not. */
const quietEnds: Ends = values => [Math.min(...values.slice(0, 2)), Math.min(...values.slice(-2))];

/** V8 lets a heap grow to its double before it collects: what stays is seen at the low points. */
const lowPoints: Ends = values => {
	if (values.length < LOW_POINTS_IN) return [Math.min(...values), Math.min(...values)];
	const third = Math.floor(values.length / 3);
	return [Math.min(...values.slice(0, third)), Math.min(...values.slice(-third))];
};

interface Figure {
	readonly what: string;
	readonly of: (life: Life) => number;
	readonly mayGrow: number;
	readonly ends?: Ends;
}

const figures: readonly Figure[] = [
	{
		what: 'MiB',
		of: ({residentBytes}) => Math.round(residentBytes / MIB),
		mayGrow: RESIDENT_MAY_GROW_MIB,
		ends: lowPoints,
	},
	{what: 'descriptors', of: ({descriptors}) => descriptors, mayGrow: DESCRIPTORS_MAY_GROW, ends: quietEnds},
	{what: 'threads', of: ({threads}) => threads, mayGrow: 0},
];
