import {isUtf8} from 'node:buffer';
import {quote, type Report} from './diagnostics.js';
import type {Place} from './model.js';

/** One word of the configuration, without its quotes. */
export interface Word {
	readonly text: string;
	readonly place: Place;
}

export type Token =
	| {readonly kind: 'word'; readonly word: Word}
	/** `include PATTERN` in one of its spellings; the pattern may hold braces. */
	| {readonly kind: 'include'; readonly word: Word; readonly pattern: Word | null}
	| {readonly kind: 'open' | 'close' | 'end'; readonly place: Place};

/** Bounds the memory that a file can ask for; ten times what 10,000 backends need. */
export const TOKENS_MAX = 3_000_000;
/** keepalived's MAXBUF: it ignores lines that are longer. */
const LINE_BYTES_MAX = 1024;
const NEWLINE = 0x0a;
const BLANKS = /[ \t\v\f\r]*/y;
/** `\#` and `\!` are plain characters. */
const BARE_WORD = /(?:\\[#!]|[^ \t\v\f\r"#!{}])+/y;
const BARE_PATTERN = /(?:\\[#!]|[^ \t\v\f\r"#!])+/y;
const REPLACEMENT = '\ufffd';

/** The spellings of `include`; they differ in what keepalived checks, we always check everything. */
const INCLUDES: ReadonlySet<string> = new Set(['include', 'includer', 'includem', 'includew', 'includeb', 'includea']);

/** The tokens of one file. Every line ends with an `end`; comments and blank lines leave nothing else. */
export function lex(file: string, bytes: Uint8Array, report: Report): Token[] {
	const tokens: Token[] = [];
	const decoder = new TextDecoder('utf-8', {ignoreBOM: true});
	let line = 1;
	for (let start = 0; start < bytes.length; line++) {
		if (tokens.length > TOKENS_MAX) {
			report.error('file-too-large', {file, line, column: 1}, `file has more than ${TOKENS_MAX} words and braces`);
			break;
		}
		const newline = bytes.indexOf(NEWLINE, start);
		const end = newline === -1 ? bytes.length : newline;
		const lineBytes = bytes.subarray(start, end);
		const text = decoder.decode(lineBytes);
		if (lineBytes.length <= LINE_BYTES_MAX) {
			lexLine(text, file, line, tokens, report);
		} else if (!/^\s*[#!]/.test(text)) {
			const column = decoder.decode(lineBytes.subarray(0, LINE_BYTES_MAX)).length + 1;
			reportLongLine({file, line, column}, report);
		}
		if (text.includes(REPLACEMENT) || text.includes('\0')) reportNotText(lineBytes, text, file, line, report);
		start = end + 1;
	}
	return tokens;
}

function lexLine(text: string, file: string, line: number, tokens: Token[], report: Report): void {
	const cursor = new LineCursor(text, file, line, report);
	let atStart = true;
	for (let character = cursor.skipBlanks(); character !== ''; character = cursor.skipBlanks()) {
		if (character === '{' || character === '}') {
			tokens.push({kind: character === '{' ? 'open' : 'close', place: cursor.place()});
			cursor.step();
			atStart = true;
			continue;
		}
		const word = cursor.word('split');
		if (atStart && INCLUDES.has(word.text)) {
			const pattern = cursor.skipBlanks() === '' ? null : cursor.word('keep');
			tokens.push({kind: 'include', word, pattern});
		} else {
			tokens.push({kind: 'word', word});
		}
		atStart = false;
	}
	tokens.push({kind: 'end', place: cursor.place()});
}

/** Walks one line; stands before a character, at the comment that ends the line, or at the end. */
class LineCursor {
	readonly #text: string;
	readonly #file: string;
	readonly #line: number;
	readonly #report: Report;
	#at = 0;

	constructor(text: string, file: string, line: number, report: Report) {
		this.#text = text;
		this.#file = file;
		this.#line = line;
		this.#report = report;
	}

	place(): Place {
		return {file: this.#file, line: this.#line, column: this.#at + 1};
	}

	step(): void {
		this.#at++;
	}

	/** The next character that is not blank, or '' where the line or its comment ends it. */
	skipBlanks(): string {
		this.#match(BLANKS);
		const character = this.#text.charAt(this.#at);
		return character === '#' || character === '!' ? '' : character;
	}

	/** Reads the word that starts here. Braces split words, except in the pattern of an include. */
	word(braces: 'split' | 'keep'): Word {
		const place = this.place();
		const text = this.#text.charAt(this.#at) === '"' ? this.#quoted(place) : this.#bare(braces);
		return {text, place};
	}

	/** `"a b"`: nothing inside is special, not even a backslash. */
	#quoted(place: Place): string {
		const start = this.#at + 1;
		const end = this.#text.indexOf('"', start);
		const text = end === -1 ? this.#text.slice(start) : this.#text.slice(start, end);
		this.#at = end === -1 ? this.#text.length : end + 1;
		if (end === -1) {
			this.#report.error('unterminated-quote', place, `quote is not closed: ${quote(`"${text}`)}`, `add a '"'`);
		}
		return text;
	}

	/** Ends at a blank, a quote, a comment, and at a brace if braces split. */
	#bare(braces: 'split' | 'keep'): string {
		return this.#match(braces === 'split' ? BARE_WORD : BARE_PATTERN).replace(/\\([#!])/g, '$1');
	}

	/** Takes what a sticky pattern matches here. */
	#match(pattern: RegExp): string {
		pattern.lastIndex = this.#at;
		const text = pattern.exec(this.#text)?.[0] ?? '';
		this.#at += text.length;
		return text;
	}
}

function reportLongLine(place: Place, report: Report): void {
	report.error(
		'line-too-long',
		place,
		`line is longer than ${LINE_BYTES_MAX} bytes, which keepalived would ignore whole`,
		'split it',
	);
}

function reportNotText(bytes: Uint8Array, text: string, file: string, line: number, report: Report): void {
	const nul = text.indexOf('\0');
	if (nul !== -1) {
		report.warning('not-text', {file, line, column: nul + 1}, 'line holds a NUL byte', 'is this a text file?');
	}
	// A file may well contain the replacement character itself.
	if (!isUtf8(bytes)) {
		const column = text.indexOf(REPLACEMENT) + 1;
		report.warning('not-text', {file, line, column}, 'line is not valid UTF-8', 'save the file as UTF-8');
	}
}
