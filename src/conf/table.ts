import {type Args, Arguments, anything, none} from './args.js';
import {formatPlace, quote, type Report} from './diagnostics.js';
import type {Word} from './language/lexer.js';
import type {Statement} from './language/parser.js';
import type {Place} from './model.js';
import {suggestion} from './values.js';

/**
 * The keyword table: one row per keyword, one table per block. The tables decide what a configuration may say, and
 * the documentation of what we support is made from them.
 */

/**
 * `fixed`: only the value that holds anyway. `accepted`: read, without effect here. `refused`: an error, as going on without
 * it would change what is served.
 */
export type Support = 'full' | 'fixed' | 'accepted' | 'refused';

/** One keyword of a block whose settings are collected in a `D`. */
export interface Row<D, V = unknown> {
	readonly args: Args<V>;
	// A method, so that rows of different values fit into one table.
	set(draft: D, value: V, place: Place): void;
	readonly support: Support;
	/** Why not in full; '' if in full. */
	readonly because: string;
	/** Whether each of several adds to those before; otherwise the last one holds. */
	readonly adds: boolean;
	readonly body: Body<D, V> | null;
}

/** What stands in the braces behind a keyword. */
interface Body<D, V> {
	/** The keywords of the block; null if it holds plain items. */
	readonly keywords: Keywords<never> | null;
	/** How an item is written; '' if there are none. */
	readonly line: string;
	read(draft: D, value: V, statement: Statement, reader: TableReader): void;
}

export type Keywords<D> = Readonly<Record<string, Row<D>>>;

/** The settings of one block as they are collected, before defaults. */
export interface Draft {
	readonly place: Place;
	/** Where each keyword was last written. */
	readonly written: Map<string, Place>;
}

/** The common part of a new draft. */
export function draftAt(place: Place): Draft {
	return {place, written: new Map()};
}

/** Where a keyword of the block was written, or else the block itself. */
export function placeOf(draft: Draft, keyword: string): Place {
	return draft.written.get(keyword) ?? draft.place;
}

/** A keyword that does all it does in keepalived. */
export function full<D, V>(args: Args<V>, set: (draft: D, value: V, place: Place) => void): Row<D> {
	return row({args, set, support: 'full', because: '', adds: false, body: null});
}

/** As `full`, for a keyword that may stand several times. */
export function each<D, V>(args: Args<V>, add: (draft: D, value: V, place: Place) => void): Row<D> {
	return {...full(args, add), adds: true};
}

/** A keyword of which `args` takes only the value that holds anyway, because … */
export function fixed<D>(because: string, args: (because: string) => Args<unknown>): Row<D> {
	return row({args: args(because), set: () => {}, support: 'fixed', because, adds: false, body: null});
}

/** A block of keywords: `open` makes the draft that they fill. */
export function block<D, V, C extends Draft>(
	keywords: Keywords<C>,
	args: Args<V>,
	open: (draft: D, value: V, place: Place) => C,
): Row<D> {
	const body: Body<D, V> = {
		keywords,
		line: '',
		read(draft, value, {keyword, block}, reader) {
			reader.read(block?.statements ?? [], keywords, open(draft, value, keyword.place), keyword.text);
		},
	};
	return row<D, V>({args, set: () => {}, support: 'full', because: '', adds: true, body});
}

/** A block of plain lines, each of which `add` is called with. */
export function items<D, V>(item: Args<V>, add: (draft: D, value: V, place: Place) => void): Row<D> {
	return namedItems(none, draft => draft, item, add);
}

/** As `items`, with words before the block: `open` makes of them the draft that is filled. */
export function namedItems<D, V, C, I>(
	args: Args<V>,
	open: (draft: D, value: V, place: Place) => C,
	item: Args<I>,
	add: (draft: C, value: I, place: Place) => void,
): Row<D> {
	const body: Body<D, V> = {
		keywords: null,
		line: item.usage,
		read(draft, value, {keyword, block}, reader) {
			const opened = open(draft, value, keyword.place);
			for (const line of block?.statements ?? [])
				reader.item(keyword, line, item, (value, at) => add(opened, value, at));
		},
	};
	return row<D, V>({args, set: () => {}, support: 'full', because: '', adds: true, body});
}

/** A keyword that is read and does nothing here, because … */
export function accepted<D>(because: string, args: Args<unknown> = anything): Row<D> {
	return row({args, set: () => {}, support: 'accepted', because, adds: true, body: null});
}

/** A keyword that stops the start, because … */
export function refused<D>(because: string): Row<D> {
	return row({args: anything, set: () => {}, support: 'refused', because, adds: true, body: null});
}

/** A row for a block, which is passed over: `words` are the keywords that may stand in it. */
export function closed<D>(of: Row<D>, words: string): Row<D> {
	return {...of, body: {keywords: rows(words, of), line: '', read: () => {}}};
}

/** Several keywords with the same row. */
export function rows<D>(words: string, of: Row<D>): Keywords<D> {
	return Object.fromEntries(words.split(/\s+/).map(word => [word, of]));
}

/** Forgets the type of a row's values, which only its own `args` and `set` share. */
function row<D, V>(of: Row<D, V>): Row<D> {
	return of as Row<D>;
}

/** Walks the tree along the tables. */
export class TableReader {
	readonly #report: Report;
	/** In which blocks a keyword is known. */
	readonly #homes: ReadonlyMap<string, readonly string[]>;

	constructor(homes: ReadonlyMap<string, readonly string[]>, report: Report) {
		this.#homes = homes;
		this.#report = report;
	}

	/** Collects the settings of one block in its draft. `owner` is what to call the block. */
	read<D extends Draft>(statements: readonly Statement[], keywords: Keywords<D>, draft: D, owner: string): void {
		for (const statement of statements) {
			const {text, place} = statement.keyword;
			const row = lookUp(keywords, text);
			if (row === undefined) {
				this.#unknown(statement, keywords, owner);
				continue;
			}
			if (!row.adds) this.#noteRepetition(draft, statement.keyword);
			draft.written.set(text, place);
			this.#apply(row, draft, statement);
		}
	}

	/** Reads one line of a block that holds plain items. */
	item<V>(owner: Word, line: Statement, args: Args<V>, add: (value: V, place: Place) => void): void {
		const words = new Arguments(owner, [line.keyword, ...line.args], this.#report);
		const value = args.read(words);
		if (value === undefined) return;
		words.finish();
		if (line.block !== null) this.#unexpectedBlock(line.block.place, line.keyword.text);
		add(value, line.keyword.place);
	}

	#apply<D>(row: Row<D>, draft: D, statement: Statement): void {
		const {keyword, block} = statement;
		if (row.support === 'refused') {
			const text = `${keyword.text} is not supported: ${row.because}`;
			this.#report.error('not-supported', keyword.place, text, 'remove it if you can do without');
			return;
		}
		const words = new Arguments(keyword, statement.args, this.#report);
		const value = row.args.read(words);
		if (row.support === 'accepted') this.#report.withoutEffect(keyword.place, keyword.text, row.because);
		if (value === undefined) return;
		words.finish();
		row.set(draft, value, keyword.place);
		if (row.body === null) {
			if (block !== null && row.support !== 'accepted') this.#unexpectedBlock(block.place, keyword.text);
			return;
		}
		if (block === null) {
			this.#report.error('block-expected', keyword.place, `${keyword.text} has no block`, `add '{ … }'`);
			return;
		}
		row.body.read(draft, value, statement, this);
	}

	#unknown({keyword, block}: Statement, keywords: Keywords<never>, owner: string): void {
		const skipped = block === null ? '' : '; its block is skipped';
		const homes = this.#homes.get(keyword.text);
		const wayOut =
			homes === undefined ? suggestion(keyword.text, Object.keys(keywords)) : `belongs in ${firstOf(homes)}`;
		const text = `unknown keyword ${quote(keyword.text)} in ${owner}${skipped}`;
		this.#report.error('unknown-keyword', keyword.place, text, wayOut);
	}

	#noteRepetition(draft: Draft, {text, place}: Word): void {
		const earlier = draft.written.get(text);
		if (earlier === undefined) return;
		this.#report.warning('duplicate', place, `${text} replaces the one at ${formatPlace(earlier)}`, 'keep one');
	}

	#unexpectedBlock(place: Place, keyword: string): void {
		this.#report.error('block-unexpected', place, `${quote(keyword)} takes no block`, 'remove the braces');
	}
}

/** Homes named in one complaint. */
const HOMES_MAX = 3;

function firstOf(homes: readonly string[]): string {
	return homes.slice(0, HOMES_MAX).join(', ') + (homes.length > HOMES_MAX ? ' …' : '');
}

/**
 * Reads options of one line, each a keyword with its words, as `[dev INTERFACE] [label LABEL]`. A word that is none of
 * them is an error, or the end, or the first word of `unknown`.
 */
export function readOptions<D>(
	words: Arguments,
	options: Keywords<D>,
	draft: D,
	unknown: Row<D> | 'error' | 'end' = 'error',
): boolean {
	let fine = true;
	for (let word = words.peek(); word !== undefined; word = words.peek()) {
		const known = lookUp(options, word.text);
		if (known === undefined && unknown === 'end') return fine;
		const row = known ?? unknown;
		if (typeof row === 'string') {
			const text = `unknown option ${quote(word.text)} of ${words.keyword.text}`;
			words.report.error('unknown-keyword', word.place, text, suggestion(word.text, Object.keys(options)));
			return false;
		}
		if (row === known) words.shift();
		if (row.support === 'refused') {
			words.report.error('not-supported', word.place, `${word.text} is not supported: ${row.because}`);
			return false;
		}
		if (row.support === 'accepted') words.report.withoutEffect(word.place, word.text, row.because);
		const value = row.args.read(words);
		if (value === undefined) fine = false;
		else row.set(draft, value, word.place);
		// Behind a word that is not understood, the others mean nothing.
		if (value === undefined && row === unknown) return false;
	}
	return fine;
}

/** In which blocks each keyword of a table, and of the tables under it, is known. */
export function keywordHomes(keywords: Keywords<never>, owner: string): ReadonlyMap<string, readonly string[]> {
	const homes = new Map<string, string[]>();
	const visit = (table: Keywords<never>, name: string): void => {
		for (const [keyword, row] of Object.entries(table)) {
			const known = homes.get(keyword) ?? [];
			if (!known.includes(name)) homes.set(keyword, [...known, name]);
			if (row.body?.keywords) visit(row.body.keywords, keyword);
		}
	};
	visit(keywords, owner);
	return homes;
}

/** The row of a keyword. Own properties only: `constructor` is not a keyword. */
function lookUp<D>(keywords: Keywords<D>, keyword: string): Row<D> | undefined {
	return Object.hasOwn(keywords, keyword) ? keywords[keyword] : undefined;
}
