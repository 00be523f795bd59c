import {compareBytes} from '../net/bytes.js';

/**
 * Whether two values of one type are alike: numbers, text, bytes, and lists and structs of them. What stands under the
 * name `but` does not count, at any depth. Pure.
 */
export function isSame(a: unknown, b: unknown, but?: string): boolean {
	if (a === b) return true;
	if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
	if (a instanceof Uint8Array) return b instanceof Uint8Array && compareBytes(a, b) === 0;
	if (Array.isArray(a)) return Array.isArray(b) && areSameLists(a, b, but);
	return areSameStructs(a as Struct, b as Struct, but);
}

/** By a loop: a function for each of ten thousand backends is garbage. */
function areSameLists(a: readonly unknown[], b: readonly unknown[], but: string | undefined): boolean {
	if (a.length !== b.length) return false;
	for (let index = 0; index < a.length; index++) if (!isSame(a[index], b[index], but)) return false;
	return true;
}

type Struct = Readonly<Record<string, unknown>>;

function areSameStructs(a: Struct, b: Struct, but: string | undefined): boolean {
	let names = 0;
	for (const name in a) {
		if (name === but) continue;
		if (!isSame(a[name], b[name], but) || !(name in b)) return false;
		names++;
	}
	for (const name in b) if (name !== but) names--;
	return names === 0;
}
