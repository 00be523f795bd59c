/** Prefixes that nothing is taken from, from the `lbd` block and from files that other programs write. */
import {posix} from 'node:path';
import {addressBytes, family} from '../net/address.js';
import {quote, type Report} from './diagnostics.js';
import {type Files, readFailure} from './files.js';
import type {Place} from './model.js';
import {type Network, network} from './values.js';

/** Entries of the block lists together. */
export const BLOCKED_MAX = 1_000_000;
/** A line may be 64 bytes long on average. */
const FILE_BYTES_MAX = 64 * BLOCKED_MAX;
/** A prefix, a comment, both or neither. Spamhaus' comments begin with `;`. */
const LINE = /^\s*([^\s#!;]*)\s*(?:[#!;].*)?$/s;

/** What the block names, in canonical form: IPv4 first, by address and length, each once. */
export function blockList({blocked, blockFiles}: BlockListSources, files: Files, report: Report): readonly string[] {
	const found = new Map<string, string>();
	for (const one of blocked) add(found, one);
	for (const {path, place} of blockFiles) readList(path, place, files, found, report);
	return [...found.keys()].sort().map(key => found.get(key) ?? '');
}

export interface BlockListSources {
	readonly blocked: readonly Network[];
	readonly blockFiles: readonly {readonly path: string; readonly place: Place}[];
}

function add(found: Map<string, string>, one: Network): void {
	found.set(sortKey(one), `${one.address}/${one.prefix}`);
}

/** Text that sorts as the prefixes should. */
function sortKey({address, prefix}: Network): string {
	const digits = Buffer.from(addressBytes(address)).toString('hex');
	return `${family(address)}${digits}${String(prefix).padStart(3, '0')}`;
}

function readList(path: string, place: Place, files: Files, found: Map<string, string>, report: Report): void {
	// Relative to the file that names it, as an include is.
	const file = posix.isAbsolute(path) ? path : posix.join(posix.dirname(place.file), path);
	const bytes = files.read(file, FILE_BYTES_MAX);
	if (!(bytes instanceof Uint8Array)) {
		report.error('list-unreadable', place, `block list ${quote(file)} ${readFailure(bytes, FILE_BYTES_MAX)}`);
		return;
	}
	const lines = new TextDecoder().decode(bytes).split('\n');
	for (const [index, line] of lines.entries()) {
		if (found.size >= BLOCKED_MAX && line !== '') {
			const text = `the block lists hold more than ${BLOCKED_MAX} prefixes`;
			report.error('too-many', {file, line: index + 1, column: 1}, text, 'join neighbours to shorter prefixes');
			return;
		}
		readLine(line, {file, line: index + 1, column: line.search(/\S/) + 1}, found, report);
	}
}

/** `place` is that of the line's first word. */
function readLine(line: string, place: Place, found: Map<string, string>, report: Report): void {
	const [, word] = LINE.exec(line) ?? [];
	if (word === '') return;
	if (word === undefined) {
		report.error('bad-value', place, `block list line ${quote(line.trim())} is not one prefix`, 'one a line');
		return;
	}
	const parsed = network.parse(word);
	if ('value' in parsed) add(found, parsed.value);
	else report.error('bad-value', place, `block list ${quote(word)} ${parsed.why}`, parsed.wayOut);
}
