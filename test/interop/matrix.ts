import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {Lan, names, type Segment} from './lan.js';
import type {Program} from './node.js';
import {type Cast, type Mode, type Outcome, Pair, type Setting, scenarios} from './scenario.js';

/** The pair that the others are compared with, and the two that keepalived forms with us. */
const casts = {
	reference: {a: 'keepalived', b: 'keepalived'},
	'ours is better': {a: 'ours', b: 'keepalived'},
	'ours is worse': {a: 'keepalived', b: 'ours'},
} as const satisfies Record<string, Cast>;
export type CastName = keyof typeof casts;
export const castNames = Object.keys(casts) as CastName[];
const modes = Object.keys(scenarios) as Mode[];

export interface Case {
	readonly setting: Setting;
	readonly mode: Mode;
}

/** What one pair came to. */
export interface Played {
	readonly outcomes: readonly Outcome[];
	/** Of the adverts of each program, in milliseconds. */
	readonly lateness: Readonly<Record<Program, readonly number[]>>;
}

/** What the three pairs came to; events in the same order. */
export interface Result extends Case {
	readonly played: Readonly<Record<CastName, Played>>;
}

/** All that both programs have. */
const allSettings: readonly Setting[] = [
	...(['multicast', 'unicast'] as const).flatMap(cast => [
		{version: 2, family: 4, cast, auth: 'none'} as const,
		{version: 2, family: 4, cast, auth: 'PASS'} as const,
		{version: 2, family: 4, cast, auth: 'AH'} as const,
		{version: 3, family: 4, cast, auth: 'none'} as const,
		{version: 3, family: 6, cast, auth: 'none'} as const,
	]),
];

export const allCases: readonly Case[] = allSettings.flatMap(setting => modes.map(mode => ({setting, mode})));

export function nameOf({setting: {version, family, cast, auth}, mode}: Case): string {
	return `version ${version}, IPv${family}, ${cast}${auth === 'none' ? '' : `, ${auth}`}, ${mode}`;
}

/** Runs all pairs of all cases, so many at once; `onEnd` hears of each pair that is done. */
export async function runMatrix(
	cases: readonly Case[],
	atOnce: number,
	onEnd: (what: string, done: number, of: number) => void = () => {},
): Promise<Result[]> {
	const played = new Map<string, Played>();
	const jobs = cases.flatMap(one => castNames.map(cast => ({one, cast, what: `${nameOf(one)}: ${cast}`})));
	const waiting = jobs.values();
	const directory = mkdtempSync(join(tmpdir(), 'interop-'));
	const lan = await Lan.create(`iop${process.pid}`, Math.min(atOnce, jobs.length));
	const work = async (segment: Segment): Promise<void> => {
		for (const {one, cast, what} of waiting) {
			played.set(what, await play(lan, segment, {...one, cast: casts[cast], directory}));
			onEnd(what, played.size, jobs.length);
		}
	};
	try {
		await Promise.all(lan.segments.map(work));
	} finally {
		await lan.remove();
		rmSync(directory, {recursive: true});
	}
	return cases.map(one => {
		const of = castNames.map(cast => [cast, played.get(`${nameOf(one)}: ${cast}`)]);
		return {...one, played: Object.fromEntries(of) as Result['played']};
	});
}

async function play(
	lan: Lan,
	segment: Segment,
	options: Case & {readonly cast: Cast; readonly directory: string},
): Promise<Played> {
	segment.seen.length = 0;
	await lan.sweep(segment);
	const pair = new Pair(lan, segment, options);
	try {
		await scenarios[options.mode](pair);
	} finally {
		await pair.end();
	}
	const lateness = (program: Program): number[] =>
		names.filter(name => options.cast[name] === program).flatMap(name => pair.lateness(name));
	return {outcomes: pair.outcomes, lateness: {keepalived: lateness('keepalived'), ours: lateness('ours')}};
}
