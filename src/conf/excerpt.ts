import {FILE_BYTES_MAX, type Files} from './files.js';
import type {Place} from './model.js';

/** Columns that an excerpt may take, and how many of them come before what it is about. */
const WIDTH = 100;
const BEFORE = 60;
/** A password or key behind its keyword, or a key by itself. That of a file's name is none. */
const SECRET =
	/(?<=\b(?:auth_pass|password|key\s{1,20}\d+)\s{1,20}|\bkey\s{1,20}(?!\d+\s))(?!file:)(?:"[^"]*"?|[^\s"{}]+)|hex:[\da-f]+/gi;

/** Shows places as they stand in their files. */
export class Excerpts {
	readonly #files: Files;
	readonly #lines = new Map<string, readonly string[]>();

	constructor(files: Files) {
		this.#files = files;
	}

	/** The line of a place, and a second one that points to the word; none if the file cannot be read any more. */
	of({file, line, column}: Pick<Place, 'file' | 'line' | 'column'>): readonly string[] {
		const text = this.#linesOf(file)[line - 1]?.replace(SECRET, secret => '*'.repeat(secret.length));
		if (text === undefined) return [];
		const from = Math.max(0, column - 1 - BEFORE);
		const shown = text.slice(from, from + WIDTH).replace(/\p{C}/gu, character => (character === '\t' ? ' ' : '?'));
		const at = column - 1 - from;
		const word = /^[^\s{}]*/.exec(shown.slice(at))?.[0] ?? '';
		const number = String(line);
		return [
			`    ${number} | ${shown.trimEnd()}`,
			`    ${' '.repeat(number.length)} | ${' '.repeat(at)}^${'~'.repeat(Math.max(0, word.length - 1))}`,
		];
	}

	#linesOf(file: string): readonly string[] {
		const known = this.#lines.get(file);
		if (known !== undefined) return known;
		const bytes = this.#files.read(file, FILE_BYTES_MAX);
		const lines =
			bytes instanceof Uint8Array ? new TextDecoder('utf-8', {ignoreBOM: true}).decode(bytes).split('\n') : [];
		this.#lines.set(file, lines);
		return lines;
	}

	/** Those of a place, and of the definition that it comes from. */
	around(place: Place): readonly string[] {
		const {definition} = place;
		return [...this.of(place), ...(definition === undefined ? [] : this.of(definition))];
	}
}
