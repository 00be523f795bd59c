import {posix} from 'node:path';
import {quote, type Report} from '../diagnostics.js';
import {FILE_BYTES_MAX, type FileReason, type Files, readFailure} from '../files.js';
import type {Machine} from '../machine.js';
import {expandGlob, isPattern} from './glob.js';
import {lex, type Token, type Word} from './lexer.js';
import {readLines} from './lines.js';
import {Preprocessor} from './preprocessor.js';

const DEPTH_MAX = 16;
const FILES_MAX = 1000;
/** Bounds the memory that a configuration can ask for; ten times what 10,000 backends need. */
const TOKENS_MAX = 3_000_000;

/** A token of the configuration once includes and directives are replaced by what they stand for. */
export type FlatToken = Exclude<Token, {kind: 'include' | 'directive'}>;

/** Calls `take` with the tokens of a file and of all it includes, in place, as if they were one file. */
export function readTokens(
	path: string,
	files: Files,
	machine: Machine,
	report: Report,
	take: (token: FlatToken) => void,
): void {
	const bytes = files.read(path, FILE_BYTES_MAX);
	if (bytes instanceof Uint8Array) new IncludeReader(files, machine, report, take).read(path, bytes);
	else reportUnreadable(path, bytes, report);
}

class IncludeReader {
	readonly #files: Files;
	readonly #report: Report;
	readonly #preprocessor: Preprocessor;
	/** The file that is being read, and those that include it, outermost first. */
	readonly #chain: string[] = [];
	readonly #take: (token: FlatToken) => void;
	#filesRead = 0;
	#tokens = 0;

	constructor(files: Files, machine: Machine, report: Report, take: (token: FlatToken) => void) {
		this.#files = files;
		this.#report = report;
		this.#take = take;
		const follow = (token: Token): void => this.#follow(token);
		this.#preprocessor = new Preprocessor(machine, report, line => lex(line, report, follow));
	}

	read(path: string, bytes: Uint8Array): void {
		this.#filesRead++;
		this.#chain.push(path);
		for (const line of readLines(path, bytes, this.#report)) {
			if (this.#tokens > TOKENS_MAX) break;
			this.#preprocessor.line(line);
		}
		this.#preprocessor.endFile();
		this.#chain.pop();
	}

	#follow(token: Token): void {
		if (token.kind === 'include') this.#include(token.word, token.pattern);
		else if (token.kind === 'directive') this.#preprocessor.process(token.text);
		else this.#count(token);
	}

	#count(token: FlatToken): void {
		this.#tokens++;
		if (this.#tokens <= TOKENS_MAX) this.#take(token);
		if (this.#tokens !== TOKENS_MAX + 1) return;
		const place = token.kind === 'word' ? token.word.place : token.place;
		this.#report.error('file-too-large', place, `there are more than ${TOKENS_MAX} words and braces`);
		this.#preprocessor.stop();
	}

	#include(keyword: Word, pattern: Word | null): void {
		if (pattern === null) {
			this.#report.error('missing-argument', keyword.place, `${keyword.text} names no file`);
			return;
		}
		// Relative to the including file, as keepalived changes into its directory.
		const paths = expandGlob(pattern.text, posix.dirname(this.#chain.at(-1) ?? ''), this.#files);
		if (paths === null) {
			this.#report.error('include-limit', pattern.place, `${quote(pattern.text)} matches too many files`);
		} else if (paths.length === 0) {
			this.#report.warning('include-missing', pattern.place, `no file matches ${quote(pattern.text)}`);
		}
		for (const path of paths ?? []) this.#includeFile(path, pattern);
	}

	#includeFile(path: string, pattern: Word): void {
		const {place} = pattern;
		if (this.#chain.includes(path)) {
			const way = [...this.#chain, path].join(' → ');
			this.#report.error('include-cycle', place, `${quote(path)} includes itself`, way);
			return;
		}
		const limit = this.#limit();
		if (limit !== null) {
			this.#report.error('include-limit', place, limit);
			return;
		}
		const bytes = this.#files.read(path, FILE_BYTES_MAX);
		if (bytes instanceof Uint8Array) this.read(path, bytes);
		// A pattern may match directories and scripts; keepalived passes over those as well.
		else if (bytes !== 'not-regular' || !isPattern(pattern.text)) {
			const code = bytes === 'missing' ? 'include-missing' : 'include-unreadable';
			this.#report.error(code, place, `included file ${quote(path)} ${readFailure(bytes, FILE_BYTES_MAX)}`);
		}
	}

	/** Which limit the next file would break, or null. */
	#limit(): string | null {
		if (this.#chain.length >= DEPTH_MAX) return `includes are nested deeper than ${DEPTH_MAX}`;
		return this.#filesRead >= FILES_MAX ? `more than ${FILES_MAX} files are included` : null;
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
