import type {Family} from '../../net/address.js';
import {none} from '../args.js';
import {quote, type Report} from '../diagnostics.js';
import {IprouteNames, type NamedKind} from '../iproute-names.js';
import type {Place} from '../model.js';
import {full, type Keywords} from '../table.js';
import {suggestion, type Value} from '../values.js';

/** What routes and rules write as `ip` does: numbers in its bases, and names for some of them. */

/** A number as strtoul reads it: decimal, `0x…` or `0…`. */
export function anyBase(max: number): Value<number> {
	return {
		usage: `0-${max}`,
		parse(text) {
			if (!/^(?:0x[0-9a-f]{1,8}|0[0-7]{0,11}|[1-9]\d{0,9})$/i.test(text)) {
				return {why: 'is not a number', wayOut: 'write it like 10 or 0x0a'};
			}
			const value = /^0[0-7]/.test(text) ? Number.parseInt(text, 8) : Number(text);
			return value <= max ? {value} : {why: `is outside 0-${max}`};
		},
	};
}

/** The byte of the IP header without its two bits of ECN (RFC 3168 §5), which the kernel refuses. */
const dscpByte: Value<number> = {
	...anyBase(0xfc),
	parse(text) {
		const byte = anyBase(0xfc).parse(text);
		if ('why' in byte || (byte.value & 3) === 0) return byte;
		return {why: 'has one of the two lowest bits set, which are for congestion'};
	},
};

/** A number, or the name of one that is looked up when the whole file is known. */
export type Named = {readonly number: number} | {readonly kind: NamedKind; readonly name: string};

/** Longest name that is looked up. */
const NAME_MAX = 64;

function named(kind: NamedKind, numbers: Value<number>, what: string): Value<Named> {
	return {
		usage: `${what}|${numbers.usage}`,
		parse(text) {
			if (/^[\d-]/.test(text)) {
				const number = numbers.parse(text);
				return 'why' in number ? number : {value: {number: number.value}};
			}
			return text.length > NAME_MAX ? {why: 'is too long for a name'} : {value: {kind, name: text}};
		},
	};
}

export const table = named('rt_tables', anyBase(0xffff_ffff), 'TABLE');
export const protocol = named('rt_protos', anyBase(0xff), 'PROTOCOL');
export const scope = named('rt_scopes', anyBase(0xff), 'SCOPE');
export const interfaceGroup = named('group', anyBase(0x7fff_ffff), 'GROUP');
export const dsfield = named('rt_dsfield', dscpByte, 'DSFIELD');
const realm = named('rt_realms', anyBase(0xffff), 'REALM');

/** `[SOURCE/]DESTINATION` */
export interface RealmsDraft {
	readonly source: Named;
	readonly destination: Named;
}

export const realms: Value<RealmsDraft> = {
	usage: '[REALM/]REALM',
	parse(text) {
		const [first = '', second, ...rest] = text.split('/');
		if (rest.length > 0 || first === '' || second === '') return {why: 'is not [REALM/]REALM'};
		const source = realm.parse(second === undefined ? '0' : first);
		const destination = realm.parse(second ?? first);
		if ('why' in source) return source;
		if ('why' in destination) return destination;
		return {value: {source: source.value, destination: destination.value}};
	},
};

/** Looks names up; each that nobody knows is reported at the line's place. */
export class NameResolver {
	readonly #names: IprouteNames;
	readonly #report: Report;

	constructor(names: IprouteNames, report: Report) {
		this.#names = names;
		this.#report = report;
	}

	number(of: Named, place: Place): number {
		if ('number' in of) return of.number;
		const number = this.#names.find(of.kind, of.name);
		if (number !== undefined) return number;
		const path = IprouteNames.pathOf(of.kind);
		const wayOut = suggestion(of.name, this.#names.all(of.kind)) || `write its number, or add the name to ${path}`;
		this.#report.error('bad-value', place, `${quote(of.name)} is not in ${path}`, wayOut);
		return 0;
	}

	realms({source, destination}: RealmsDraft, place: Place): number {
		return ((this.number(source, place) << 16) | this.number(destination, place)) >>> 0;
	}
}

/** `inet` or `inet6`, for lines whose family nothing else tells. */
export const familyOptions: Keywords<{family: Family | null}> = {
	inet: full(none, draft => {
		draft.family = 4;
	}),
	inet6: full(none, draft => {
		draft.family = 6;
	}),
};
