import {quote, type Report} from './diagnostics.js';
import type {Word} from './language/lexer.js';
import {boolean, only, type Value, word} from './values.js';

/** The words behind a keyword, taken one after the other. Complaints go to the report. */
export class Arguments {
	readonly keyword: Word;
	readonly report: Report;
	readonly #words: readonly Word[];
	#taken = 0;

	constructor(keyword: Word, words: readonly Word[], report: Report) {
		this.keyword = keyword;
		this.report = report;
		this.#words = words;
	}

	/** The next word, or undefined behind the last. */
	peek(): Word | undefined {
		return this.#words[this.#taken];
	}

	/** The next word, if there is one. */
	shift(): Word | undefined {
		const next = this.peek();
		if (next !== undefined) this.#taken++;
		return next;
	}

	/** The meaning of the next word, or undefined, having complained. */
	take<V>(value: Value<V>): V | undefined {
		const next = this.shift();
		if (next === undefined) {
			const text = `${this.keyword.text} lacks its argument`;
			this.report.error('missing-argument', this.keyword.place, text, `write '${this.keyword.text} ${value.usage}'`);
			return undefined;
		}
		const parsed = value.parse(next.text);
		if (!('why' in parsed)) return parsed.value;
		const {code = 'bad-value', why, wayOut = ''} = parsed;
		this.report.error(code, next.place, `${this.keyword.text} ${quote(next.text)} ${why}`, wayOut);
		return undefined;
	}

	/** Complains of words that nothing took; keepalived drops them without a word. */
	finish(): void {
		const extra = this.peek();
		if (extra === undefined) return;
		const text = `${this.keyword.text} does not take ${quote(extra.text)}; ignored as keepalived does`;
		this.report.warning('extra-argument', extra.place, text, 'put each keyword on a line of its own');
	}
}

/** How the words behind a keyword are read. */
export interface Args<V> {
	/** As in documentation: `IP[/PREFIX] [dev INTERFACE]`. */
	readonly usage: string;
	/** What they mean, or undefined, having complained. */
	read(words: Arguments): V | undefined;
}

/** No words. */
export const none: Args<true> = {usage: '', read: () => true};

/** Exactly one word. */
export function one<V>(value: Value<V>): Args<V> {
	return {usage: value.usage, read: words => words.take(value)};
}

/** One word or none. */
export function optional<V, F>(value: Value<V>, fallback: F): Args<V | F> {
	return {usage: `[${value.usage}]`, read: words => (words.peek() === undefined ? fallback : words.take(value))};
}

/** keepalived's switches: the keyword alone means on. */
export const onOff: Args<boolean> = optional(boolean, true);

/** A switch that can only be off, because … */
export function offOnly(because: string): Args<boolean> {
	const off = only(boolean, false, because);
	return {
		usage: 'off',
		read(words) {
			if (words.peek() !== undefined) return words.take(off);
			words.report.error('not-supported', words.keyword.place, `${words.keyword.text} is not supported: ${because}`);
			return undefined;
		},
	};
}

/** One word, of which there is only one, because … */
export function oneOnly<V>(value: Value<V>, offered: V, because: string): Args<V> {
	return one(only(value, offered, because));
}

/** Two words, of which the second may be missing. */
export function pair<A, B, F>(
	first: Value<A>,
	second: Value<B>,
	fallback: F,
): Args<readonly [first: A, second: B | F]> {
	return {
		usage: `${first.usage} [${second.usage}]`,
		read(words) {
			const head = words.take(first);
			const tail = words.peek() === undefined ? fallback : words.take(second);
			return head === undefined || tail === undefined ? undefined : [head, tail];
		},
	};
}

/** At least one word. */
export function several<V>(value: Value<V>): Args<readonly V[]> {
	return {
		usage: `${value.usage} …`,
		read(words) {
			const all: (V | undefined)[] = [];
			do all.push(words.take(value));
			while (words.peek() !== undefined);
			const fine = all.filter(one => one !== undefined);
			return fine.length === all.length ? fine : undefined;
		},
	};
}

/** All the words there are. */
export const anything: Args<readonly string[]> = {
	usage: '…',
	read(words) {
		const all: string[] = [];
		while (words.peek() !== undefined) all.push(words.take(word) ?? '');
		return all;
	},
};
