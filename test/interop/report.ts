import {type CastName, castNames, nameOf, type Result} from './matrix.js';
import type {Program} from './node.js';
import type {Outcome} from './scenario.js';

/** What a busy machine may add to either figure. */
const MARGIN_MS = 400;
const who: Readonly<Record<string, string>> = {a: 'better', b: 'worse', ab: 'both', '': 'nobody'};

/** Where a pair differs from the reference: another master, or a time that chance and the machine do not explain. */
export function differences(results: readonly Result[]): string[] {
	return results.flatMap(result =>
		castNames.flatMap(cast =>
			result.played[cast].outcomes.flatMap((outcome, index) => {
				const reference = result.played.reference.outcomes[index];
				if (reference === undefined || isLike(outcome, reference)) return [];
				return [`${nameOf(result)}, ${cast}, ${outcome.event}: ${cell(outcome)}, the reference ${cell(reference)}`];
			}),
		),
	);
}

function isLike(outcome: Outcome, reference: Outcome): boolean {
	if (outcome.masters !== reference.masters) return false;
	if (outcome.ms === null || reference.ms === null) return outcome.ms === reference.ms;
	return Math.abs(outcome.ms - reference.ms) <= outcome.chanceMs + MARGIN_MS;
}

/** The pairs' tables in Markdown, behind what they come to. */
export function report(results: readonly Result[]): string[] {
	return [...summary(results), ...results.map(result => `### ${nameOf(result)}\n\n${table(result)}`)];
}

function table({played}: Result): string {
	const rows = played.reference.outcomes.map(({event}, index) => [
		event,
		...castNames.map(cast => {
			const outcome = played[cast].outcomes[index];
			return outcome === undefined ? '' : cell(outcome);
		}),
	]);
	return markdown([['event', ...castNames.map(cast => titles[cast])], ...rows]);
}

const titles: Readonly<Record<CastName, string>> = {
	reference: 'keepalived, keepalived',
	'ours is better': 'lbd, keepalived',
	'ours is worse': 'keepalived, lbd',
};

function cell({masters, ms}: Outcome): string {
	return `${who[masters]}${ms === null ? '' : ` ${ms} ms`}`;
}

function summary(results: readonly Result[]): string[] {
	const different = differences(results);
	return [
		different.length === 0
			? 'No pair differs from the reference: the same masters, and times that differ by the intervals and 0.4 s at most.'
			: `Pairs that differ from the reference:\n\n${different.map(line => `- ${line}`).join('\n')}`,
		`How late adverts were, in milliseconds:\n\n${markdown([
			['adverts of', 'number', 'median', '99 of 100', 'latest'],
			...(['keepalived', 'ours'] as const).map(program => latenessRow(results, program)),
		])}`,
	];
}

function latenessRow(results: readonly Result[], program: Program): string[] {
	const all = results.flatMap(({played}) => castNames.flatMap(cast => played[cast].lateness[program]));
	const sorted = all.toSorted((a, b) => a - b);
	const at = (share: number): string => (sorted[Math.floor(share * (sorted.length - 1))] ?? 0).toFixed(1);
	return [program === 'ours' ? 'lbd' : program, String(all.length), at(0.5), at(0.99), at(1)];
}

export function markdown([head = [], ...rows]: readonly (readonly string[])[]): string {
	const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
	return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
