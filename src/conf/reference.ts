/** What the tables say about each keyword, for documentation and for `lbctl check --explain`. */
import {top} from './keywords/top.js';
import type {Keywords, Row, Support} from './table.js';

/** A keyword in one of its blocks. */
export interface Entry {
	readonly keyword: string;
	/** The blocks that it stands in, outermost first; none for the file itself. */
	readonly blocks: readonly string[];
	/** The words behind it, as `NAME [PORT]`. */
	readonly usage: string;
	/** What its braces hold: other keywords, lines of a form, or null if it has none. */
	readonly holds: 'keywords' | {readonly lines: string} | null;
	readonly support: Support;
	/** Why not in full; '' if in full. */
	readonly because: string;
}

/** All keywords in the order of the tables, those of a block behind that of the block itself. */
export function reference(): readonly Entry[] {
	return entries(top, []);
}

function entries(table: Keywords<never>, blocks: readonly string[]): readonly Entry[] {
	return Object.entries(table).flatMap(([keyword, row]) => {
		const inside = row.body?.keywords ?? {};
		return [toEntry(keyword, row, blocks), ...entries(inside, [...blocks, keyword])];
	});
}

function toEntry(keyword: string, {args, support, because, body}: Row<never>, blocks: readonly string[]): Entry {
	const holds = body === null ? null : body.keywords === null ? {lines: body.line} : 'keywords';
	return {keyword, blocks, usage: args.usage, holds, support, because};
}

/** `weight 0-253 {…}` */
export function usageOf({keyword, usage, holds}: Entry): string {
	const braces = holds === null ? '' : holds === 'keywords' ? '{ … }' : `{ ${holds.lines} }`;
	return [keyword, usage, braces].filter(part => part !== '').join(' ');
}

const levels: Readonly<Record<Support, string>> = {
	full: 'supported',
	fixed: 'only as it is anyway',
	accepted: 'accepted, without effect',
	refused: 'refused',
};

/** How far it is supported, and why not in full, in a few words. */
export function supportOf({support, because}: Entry): string {
	return because === '' ? levels[support] : `${levels[support]}: ${because}`;
}
