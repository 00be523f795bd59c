import {posix} from 'node:path';
import {quote, type Report} from './diagnostics.js';
import {type FileReason, type Files, readFailure} from './files.js';
import {expandGlob, isPattern} from './glob.js';
import {lex, TOKENS_MAX, type Token, type Word} from './lexer.js';

const FILE_BYTES_MAX = 16 * 1024 * 1024;
const DEPTH_MAX = 16;
const FILES_MAX = 1000;

/** A token of the configuration once the includes are replaced by what they name. */
export type FlatToken = Exclude<Token, {kind: 'include'}>;

/** The tokens of a file and of all it includes, in place, as if they were one file. */
export function readTokens(path: string, files: Files, report: Report): FlatToken[] {
	const reader = new IncludeReader(files, report);
	const bytes = files.read(path, FILE_BYTES_MAX);
	if (bytes instanceof Uint8Array) reader.append(path, bytes, []);
	else reportUnreadable(path, bytes, report);
	return reader.tokens;
}

class IncludeReader {
	readonly tokens: FlatToken[] = [];
	readonly #files: Files;
	readonly #report: Report;
	#filesRead = 0;

	constructor(files: Files, report: Report) {
		this.#files = files;
		this.#report = report;
	}

	/** Adds the tokens of a file. `chain` holds the files that include it, outermost first. */
	append(path: string, bytes: Uint8Array, chain: readonly string[]): void {
		this.#filesRead++;
		for (const token of lex(path, bytes, this.#report)) {
			if (token.kind !== 'include') this.tokens.push(token);
			else this.#include(token.word, token.pattern, [...chain, path]);
		}
	}

	#include(keyword: Word, pattern: Word | null, chain: readonly string[]): void {
		if (pattern === null) {
			this.#report.error('missing-argument', keyword.place, `${keyword.text} names no file`);
			return;
		}
		// Relative to the including file, as keepalived changes into its directory.
		const paths = expandGlob(pattern.text, posix.dirname(chain.at(-1) ?? ''), this.#files);
		if (paths === null) {
			this.#report.error('include-limit', pattern.place, `${quote(pattern.text)} matches too many files`);
		} else if (paths.length === 0) {
			this.#report.warning('include-missing', pattern.place, `no file matches ${quote(pattern.text)}`);
		}
		for (const path of paths ?? []) this.#includeFile(path, pattern, chain);
	}

	#includeFile(path: string, pattern: Word, chain: readonly string[]): void {
		const {place} = pattern;
		if (chain.includes(path)) {
			this.#report.error('include-cycle', place, `${quote(path)} includes itself`, [...chain, path].join(' → '));
			return;
		}
		const limit = this.#limit(chain.length);
		if (limit !== null) {
			this.#report.error('include-limit', place, limit);
			return;
		}
		const bytes = this.#files.read(path, FILE_BYTES_MAX);
		if (bytes instanceof Uint8Array) this.append(path, bytes, chain);
		// A pattern may match directories and scripts; keepalived passes over those as well.
		else if (bytes !== 'not-regular' || !isPattern(pattern.text)) {
			const code = bytes === 'missing' ? 'include-missing' : 'include-unreadable';
			this.#report.error(code, place, `included file ${quote(path)} ${readFailure(bytes, FILE_BYTES_MAX)}`);
		}
	}

	/** Which limit the next file would break, or null. */
	#limit(depth: number): string | null {
		if (depth >= DEPTH_MAX) return `includes are nested deeper than ${DEPTH_MAX}`;
		if (this.#filesRead >= FILES_MAX) return `more than ${FILES_MAX} files are included`;
		if (this.tokens.length > TOKENS_MAX) return `the files hold more than ${TOKENS_MAX} words and braces`;
		return null;
	}
}

function reportUnreadable(path: string, reason: FileReason, report: Report): void {
	const place = {file: path, line: 1, column: 1};
	report.error(
		`file-${reason}`,
		place,
		`configuration file ${readFailure(reason, FILE_BYTES_MAX)}`,
		'name another with -f FILE',
	);
}
