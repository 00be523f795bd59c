import {addressBits, family, isMulticast, isNetwork, networkAddress, parseAddress} from '../net/address.js';
import {type DiagnosticCode, quote} from './diagnostics.js';

/**
 * What one word may mean. All numbers, times, addresses and choices of the language are read here, so that each is
 * read the same everywhere.
 */
export interface Value<V> {
	/** As in documentation: `1-255`, `IP`, `rr|wrr`. */
	readonly usage: string;
	parse(text: string): Parsed<V>;
}

export type Parsed<V> = {readonly value: V} | Complaint;

/** Why a word cannot be; `why` follows the keyword and the word in a sentence. */
export interface Complaint {
	readonly why: string;
	readonly wayOut?: string;
	/** `bad-value` if absent. */
	readonly code?: DiagnosticCode;
}

const US_PER_S = 1_000_000;
/** Longest time the language takes: what a 32-bit millisecond timer can wait. */
const SECONDS_MAX = 2_147_483;

/** Any word. */
export const word: Value<string> = {usage: 'WORD', parse: text => ({value: text})};

/** A decimal integer from `min` to `max`. */
export function integer(min: number, max: number): Value<number> {
	const usage = min < 0 ? `${min}..${max}` : `${min}-${max}`;
	return {
		usage,
		parse(text) {
			if (!/^[+-]?\d{1,15}$/.test(text)) return {why: 'is not a whole number', wayOut: `write a number in ${usage}`};
			const value = Number(text);
			return min <= value && value <= max ? {value} : {why: `is outside ${usage}`};
		},
	};
}

/** Seconds with up to six decimals, as integer microseconds. `min` and `max` are in seconds. */
export function seconds(min: number, max: number = SECONDS_MAX): Value<number> {
	return {
		usage: `SECONDS ${min}-${max}`,
		parse(text) {
			const [, whole = '', fraction = ''] = /^\+?(\d{0,10})(?:\.(\d*))?$/.exec(text) ?? [];
			if (whole === '' && fraction === '') return {why: 'is not a time', wayOut: 'write seconds, such as 5 or 0.5'};
			if (fraction.length > 6) return {why: 'has more than six decimals'};
			const value = Number(whole) * US_PER_S + Number(fraction.padEnd(6, '0'));
			const inRange = min * US_PER_S <= value && value <= max * US_PER_S;
			return inRange ? {value} : {why: `is outside ${min}-${max} seconds`};
		},
	};
}

/** Whole seconds, as integer microseconds. */
export function wholeSeconds(min: number, max: number = SECONDS_MAX): Value<number> {
	return map(integer(min, max), value => value * US_PER_S);
}

/** A choice that the language knows and we do not offer. */
export class Unsupported {
	readonly because: string;
	constructor(because: string) {
		this.because = because;
	}
}

/** One of several words, exactly as written. */
export function oneOf<const V>(choices: Readonly<Record<string, V | Unsupported>>): Value<V> {
	const words = Object.keys(choices);
	const usage = words.join('|');
	return {
		usage,
		parse(text) {
			const choice = Object.hasOwn(choices, text) ? choices[text] : undefined;
			if (choice instanceof Unsupported) {
				return {code: 'not-supported', why: `is not supported: ${choice.because}`};
			}
			if (choice !== undefined) return {value: choice};
			return {why: `is none of ${words.join(', ')}`, wayOut: suggestion(text, words)};
		},
	};
}

/** A value that the language has several of, and we one, because … */
export function only<const V>(value: Value<V>, offered: V, because: string): Value<V> {
	return {
		usage: value.usage,
		parse(text) {
			const parsed = value.parse(text);
			if ('why' in parsed || parsed.value === offered) return parsed;
			return {code: 'not-supported', why: `is not supported: ${because}`};
		},
	};
}

/** keepalived's booleans. */
export const boolean: Value<boolean> = oneOf({on: true, off: false, true: true, false: false, yes: true, no: false});

/** An IP address in canonical text. */
export const ip: Value<string> = {
	usage: 'IP',
	parse(text) {
		const address = parseAddress(text);
		if (address !== undefined) return {value: address};
		return {why: 'is not an IP address', wayOut: 'write it like 192.0.2.1; names are not looked up'};
	},
};

/** A multicast address of either family (RFC 5771 §3, RFC 4291 §2.7). */
export const multicast: Value<string> = {
	usage: 'GROUP',
	parse(text) {
		const address = ip.parse(text);
		if ('why' in address || isMulticast(address.value)) return address;
		return {why: 'is not a multicast address', wayOut: 'write it like 224.0.0.18 or ff02::12'};
	},
};

/** An IPv4 address in canonical text. */
export const ipv4: Value<string> = {
	usage: 'IPV4',
	parse(text) {
		const address = ip.parse(text);
		if ('why' in address || family(address.value) === 4) return address;
		return {code: 'not-supported', why: 'is not supported: no IPv6 yet'};
	},
};

/** All addresses that begin alike. */
export interface Network {
	/** The first of them. */
	readonly address: string;
	readonly prefix: number;
}

/** `192.0.2.0/24` or `2001:db8::/32`; without a length, one address. */
export const network: Value<Network> = {
	usage: 'IP[/LENGTH]',
	parse(text) {
		const [written = '', length, ...rest] = text.split('/');
		const address = ip.parse(written);
		if ('why' in address) return address;
		const bits = addressBits(family(address.value));
		const prefix = length === undefined ? {value: bits} : integer(0, bits).parse(length);
		if ('why' in prefix || rest.length > 0) return {why: `has no prefix length in 0-${bits}`};
		if (isNetwork(address.value, prefix.value)) return {value: {address: address.value, prefix: prefix.value}};
		const first = networkAddress(address.value, prefix.value);
		return {why: 'has bits set behind its prefix', wayOut: `did you mean '${first}/${length}'?`};
	},
};

/** An IPv6 address in canonical text. */
export const ipv6: Value<string> = {
	usage: 'IPV6',
	parse(text) {
		const address = ip.parse(text);
		if ('why' in address || family(address.value) === 6) return address;
		return {why: 'is not an IPv6 address', wayOut: 'write it like ff02::12'};
	},
};

/** The name of a network interface, by the kernel's rules (net/core/dev.c, dev_valid_name). */
export const interfaceName: Value<string> = {
	usage: 'INTERFACE',
	parse(text) {
		const valid = /^[^/:\s\p{C}]{1,15}$/u.test(text) && text !== '.' && text !== '..';
		return valid ? {value: text} : {why: 'cannot be the name of an interface', wayOut: 'at most 15 characters'};
	},
};

/** Another meaning for the values of `value`. */
export function map<A, B>(value: Value<A>, to: (value: A) => B): Value<B> {
	return {
		usage: value.usage,
		parse(text) {
			const parsed = value.parse(text);
			return 'why' in parsed ? parsed : {value: to(parsed.value)};
		},
	};
}

/** Words longer than this are not compared for typos. */
const COMPARED_MAX = 40;
/** Edits by which a word may differ from the one that was meant. */
const EDITS_MAX = 2;

/** `did you mean 'x'?`, or '' if nothing known comes near. */
export function suggestion(text: string, known: Iterable<string>): string {
	let nearest = '';
	// A short word is near to everything: at most every third letter may differ.
	let edits = Math.min(EDITS_MAX, Math.floor(text.length / 3)) + 1;
	if (text.length > COMPARED_MAX) return '';
	for (const candidate of known) {
		if (Math.abs(candidate.length - text.length) >= edits) continue;
		const distance = editDistance(text.toLowerCase(), candidate.toLowerCase());
		if (distance < edits) [nearest, edits] = [candidate, distance];
	}
	return nearest === '' ? '' : `did you mean ${quote(nearest)}?`;
}

/** Levenshtein's distance, with neighbours swapped counting as one edit. */
function editDistance(a: string, b: string): number {
	let beforeLast: number[] = [];
	let last = Array.from({length: b.length + 1}, (_, column) => column);
	for (let row = 1; row <= a.length; row++) {
		const current = [row];
		for (let column = 1; column <= b.length; column++) {
			const same = a.charAt(row - 1) === b.charAt(column - 1);
			const swapped = a.charAt(row - 1) === b.charAt(column - 2) && a.charAt(row - 2) === b.charAt(column - 1);
			current[column] = Math.min(
				(last[column] ?? 0) + 1,
				(current[column - 1] ?? 0) + 1,
				(last[column - 1] ?? 0) + (same ? 0 : 1),
				swapped && row > 1 && column > 1 ? (beforeLast[column - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
			);
		}
		[beforeLast, last] = [last, current];
	}
	return last[b.length] ?? 0;
}
