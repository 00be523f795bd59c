import {quote, type Report} from '../diagnostics.js';
import type {Place} from '../model.js';
import type {Text} from './text.js';

/** One word of the configuration, without its quotes. */
export interface Word {
	readonly text: string;
	readonly place: Place;
}

export type Token =
	| {readonly kind: 'word'; readonly word: Word}
	/** `include PATTERN` in one of its spellings; the pattern may hold braces. */
	| {readonly kind: 'include'; readonly word: Word; readonly pattern: Word | null}
	/** The rest of the line, which begins behind a brace with what the preprocessor knows. */
	| {readonly kind: 'directive'; readonly text: Text}
	| {readonly kind: 'open' | 'close' | 'end'; readonly place: Place};

const BLANKS = /[ \t\v\f\r]*/y;
/** `\#` and `\!` are plain characters. */
const BARE_WORD = /(?:\\[#!]|[^ \t\v\f\r"#!{}])+/y;
const BARE_PATTERN = /(?:\\[#!]|[^ \t\v\f\r"#!])+/y;
/** How what the preprocessor knows begins: `@ID …`, `$NAME=…`, `~SEQ(…) …`, `~LST(…) …`. */
const DIRECTIVE = /@|\$[A-Za-z_]\w*=|~(?:SEQ|LST)/y;

/** The spellings of `include`; they differ in what keepalived checks, we always check everything. */
const INCLUDES: ReadonlySet<string> = new Set(['include', 'includer', 'includem', 'includew', 'includeb', 'includea']);

/** Calls `take` with the tokens of one line. The last is its `end`; comments and blank lines leave nothing else. */
export function lex(line: Text, report: Report, take: (token: Token) => void): void {
	const cursor = new LineCursor(line, report);
	let start: 'line' | 'brace' | null = 'line';
	for (let character = cursor.skipBlanks(); character !== ''; character = cursor.skipBlanks()) {
		if (character === '{' || character === '}') {
			take({kind: character === '{' ? 'open' : 'close', place: cursor.place()});
			cursor.step();
			start = 'brace';
			continue;
		}
		if (start === 'brace' && cursor.atDirective()) {
			take({kind: 'directive', text: cursor.rest()});
			break;
		}
		const word = cursor.word('split');
		if (start !== null && INCLUDES.has(word.text)) {
			const pattern = cursor.skipBlanks() === '' ? null : cursor.word('keep');
			take({kind: 'include', word, pattern});
		} else {
			take({kind: 'word', word});
		}
		start = null;
	}
	take({kind: 'end', place: cursor.place()});
}

/** Walks one line; stands before a character, at the comment that ends the line, or at the end. */
class LineCursor {
	readonly #line: Text;
	readonly #text: string;
	readonly #report: Report;
	#at = 0;

	constructor(line: Text, report: Report) {
		this.#line = line;
		this.#text = line.text;
		this.#report = report;
	}

	place(): Place {
		return this.#line.placeAt(this.#at);
	}

	step(): void {
		this.#at++;
	}

	atDirective(): boolean {
		DIRECTIVE.lastIndex = this.#at;
		return DIRECTIVE.test(this.#text);
	}

	rest(): Text {
		return this.#line.slice(this.#at);
	}

	/** The next character that is not blank, or '' where the line or its comment ends it. */
	skipBlanks(): string {
		this.#at = this.#endOf(BLANKS);
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
		const start = this.#at;
		this.#at = this.#endOf(braces === 'split' ? BARE_WORD : BARE_PATTERN);
		const text = this.#text.slice(start, this.#at);
		return text.includes('\\') ? text.replace(/\\([#!])/g, '$1') : text;
	}

	/** Behind what a sticky pattern matches here. */
	#endOf(pattern: RegExp): number {
		pattern.lastIndex = this.#at;
		return pattern.test(this.#text) ? pattern.lastIndex : this.#at;
	}
}
