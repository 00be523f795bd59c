/** What a soak came to, as text. */
import {growthOfLives, growthOfThings, type Row, warm} from './growth.js';
import {describeEpisode} from './plan.js';
import type {EpisodeReport, SoakReport} from './soak.js';

const WORST = 5;

export interface Summary {
	readonly text: string;
	/** What was wrong, growth included. */
	readonly faults: readonly string[];
}

export function summary(report: SoakReport): Summary {
	const samples = warm(report.samples);
	const rows = [...growthOfThings(samples), ...growthOfLives(samples)];
	const grown = rows
		.filter(({isWithin}) => !isWithin)
		.map(({what, early, late}) => `${what} grew from ${early} to ${late}`);
	const faults = [
		...report.faults,
		...report.episodes.flatMap(({episode: {number}, faults}) => faults.map(fault => `episode ${number}: ${fault}`)),
		...grown,
	];
	return {text: [...counts(report), ...worst(report.episodes), ...growth(rows)].join('\n'), faults};
}

function counts({episodes, counts, held, latenessMs}: SoakReport): string[] {
	const kinds = new Map<string, number>();
	for (const {kind} of episodes.flatMap(({episode}) => episode.steps.map(({action}) => action))) {
		kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
	}
	const actions = [...kinds].toSorted().map(([kind, count]) => `${count} ${kind}`);
	const lost = episodes.reduce((sum, episode) => sum + episode.lost, 0);
	const allowed = episodes.reduce((sum, episode) => sum + episode.allowed, 0);
	const doubleMs = Math.max(0, ...episodes.map(episode => episode.doubleMs));
	return [
		`${episodes.length} episodes: ${actions.join(', ')}`,
		`asked: ${Object.entries(counts)
			.map(([who, count]) => `${who} ${count}`)
			.join(', ')}; ${held} connections held`,
		`${lost} new requests lost and ${allowed} troubles felt, all where a disturbance allows it unless named below`,
		`two masters for ${Math.round(doubleMs)} ms at most; this machine was late by ${Math.round(latenessMs)} ms at most`,
	];
}

function worst(episodes: readonly EpisodeReport[]): string[] {
	const most = episodes.toSorted((a, b) => b.gapMs - a.gapMs).slice(0, WORST);
	return [
		'',
		'longest gaps for new requests:',
		...most.map(one => `${String(one.gapMs).padStart(6)} ms  ${describeEpisode(one.episode)}`),
	];
}

function growth(rows: readonly Row[]): string[] {
	if (rows.length === 0) return ['', 'too short to tell whether anything grows'];
	const lines = rows.map(
		({what, early, late, isWithin}) =>
			`  ${what.padEnd(36)}${String(early).padStart(8)}${String(late).padStart(8)}${isWithin ? '' : '  GREW'}`,
	);
	return ['', `  ${'growth'.padEnd(36)}   early    late`, ...lines];
}
