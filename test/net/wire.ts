import {seeded} from '../fake/lan.js';

/** Bytes written so that a reviewer can read them: `hex`21 5b c8 01``; everything but hex digits is decoration. */
export function hex(strings: TemplateStringsArray): Uint8Array {
	return Uint8Array.from(Buffer.from(strings.join('').replace(/[^0-9a-f]/gi, ''), 'hex'));
}

/** `count` damaged copies of `bytes`, the same for the same seed: flipped bits, cuts, and bytes added. */
export function* mutations(bytes: Uint8Array, count: number, seed: number): Generator<Uint8Array> {
	const random = seeded(seed);
	const below = (limit: number): number => Math.floor(random() * limit);
	for (let round = 0; round < count; round++) {
		const copy = Uint8Array.from([...bytes, ...new Uint8Array(below(2) * below(40))]);
		for (let flips = 1 + below(4); flips > 0; flips--) {
			const at = below(copy.length);
			copy[at] = (copy[at] ?? 0) ^ (1 << below(8));
		}
		yield copy.subarray(0, below(3) === 0 ? below(copy.length) : copy.length);
	}
}
