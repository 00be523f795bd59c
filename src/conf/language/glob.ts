import {posix} from 'node:path';
import type {Files} from '../files.js';

/** Alternatives that the braces of one pattern may multiply to. */
const ALTERNATIVES_MAX = 256;
/** Paths that one pattern may match. */
const MATCHES_MAX = 1000;
const WILDCARD = /[*?[]/;

/** Whether a path is a pattern rather than the name of one file. */
export function isPattern(path: string): boolean {
	return WILDCARD.test(path) || path.includes('{');
}

/**
 * The paths that a glob(7) pattern with brace alternatives matches, sorted within each alternative; null when there
 * are too many. Relative ones start at `from`. A part without wildcards matches itself, whether it exists or not.
 */
export function expandGlob(pattern: string, from: string, files: Files): readonly string[] | null {
	const alternatives = expandBraces(pattern);
	if (alternatives === null) return null;
	const paths = new Set<string>();
	for (const alternative of alternatives) {
		const absolute = posix.isAbsolute(alternative) ? alternative : posix.join(from, alternative);
		for (const path of matchPath(absolute, files)) paths.add(path);
		if (paths.size > MATCHES_MAX) return null;
	}
	return [...paths];
}

/** `a{b,c{d,e}}` → `ab`, `acd`, `ace`; null when there would be too many. Unbalanced braces stand for themselves. */
export function expandBraces(pattern: string): readonly string[] | null {
	const pending = [pattern];
	const done: string[] = [];
	for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
		const group = firstGroup(next);
		if (group === null) done.push(next);
		else pending.push(...group.reverse());
		if (done.length + pending.length > ALTERNATIVES_MAX) return null;
	}
	return done;
}

/** The pattern with each alternative of its first balanced brace group in place, or null if it has none. */
function firstGroup(pattern: string): string[] | null {
	for (let open = pattern.indexOf('{'); open !== -1; open = pattern.indexOf('{', open + 1)) {
		const cuts = [open];
		let depth = 0;
		for (let at = open; at < pattern.length; at++) {
			const character = pattern.charAt(at);
			if (character === '{') depth++;
			else if (character === '}') depth--;
			else if (character === ',' && depth === 1) cuts.push(at);
			if (depth > 0) continue;
			cuts.push(at);
			const [head, tail] = [pattern.slice(0, open), pattern.slice(at + 1)];
			return cuts.slice(1).map((cut, index) => head + pattern.slice((cuts[index] ?? open) + 1, cut) + tail);
		}
	}
	return null;
}

function matchPath(pattern: string, files: Files): string[] {
	let paths = [posix.isAbsolute(pattern) ? '/' : ''];
	for (const part of pattern.split('/').filter(part => part !== '')) {
		paths = paths.flatMap(directory =>
			WILDCARD.test(part)
				? matchNames(part, files.list(directory === '' ? '.' : directory)).map(name => posix.join(directory, name))
				: [posix.join(directory, part)],
		);
		paths.length = Math.min(paths.length, MATCHES_MAX + 1);
	}
	return paths;
}

function matchNames(part: string, names: readonly string[]): string[] {
	// As in a shell, a leading dot has to be written.
	return names.filter(name => (part.startsWith('.') || !name.startsWith('.')) && matchName(part, name)).sort();
}

/** glob(7) for one name: `*`, `?`, `[a-z]`, `[!a-z]`. Linear in pattern × name: a `*` backtracks to the last one only. */
export function matchName(pattern: string, name: string): boolean {
	let [at, position] = [0, 0];
	let star: {at: number; position: number} | null = null;
	while (position < name.length) {
		const step = at < pattern.length ? matchCharacter(pattern, at, name.charAt(position)) : null;
		if (pattern.charAt(at) === '*') {
			star = {at: ++at, position};
		} else if (step !== null) {
			at = step;
			position++;
		} else if (star !== null) {
			at = star.at;
			position = ++star.position;
		} else {
			return false;
		}
	}
	while (pattern.charAt(at) === '*') at++;
	return at === pattern.length;
}

/** The index behind the pattern element at `at` if it matches the character, else null. */
function matchCharacter(pattern: string, at: number, character: string): number | null {
	const element = pattern.charAt(at);
	if (element === '?') return at + 1;
	const negated = pattern.charAt(at + 1) === '!';
	const start = at + (negated ? 2 : 1);
	// A `]` right at the start is a member of the set.
	const close = element === '[' ? pattern.indexOf(']', start + 1) : -1;
	if (close === -1) return element === character ? at + 1 : null;
	return inSet(pattern.slice(start, close), character) === negated ? null : close + 1;
}

function inSet(set: string, character: string): boolean {
	for (let at = 0; at < set.length; at++) {
		const range = set.charAt(at + 1) === '-' && at + 2 < set.length;
		const [low, high] = [set.charAt(at), set.charAt(range ? at + 2 : at)];
		if (low <= character && character <= high) return true;
		if (range) at += 2;
	}
	return false;
}
