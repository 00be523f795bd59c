import {constants} from 'node:os';
import {BpfError} from './errors.js';
import type {NativeMemory} from './native.js';

/**
 * The values of a mmapable array, readable without system calls. Entry `i` starts at `i` times the value size rounded up
 * to eight. Programs write meanwhile: each aligned word is whole, several words are no snapshot. An access outside of
 * the mapping throws RangeError.
 */
export class MapMemory {
	readonly #map: string;
	#memory: NativeMemory | undefined;

	/** @internal Use `RawMap.mmap()`. */
	constructor(map: string, memory: NativeMemory) {
		this.#map = map;
		this.#memory = memory;
	}

	/** Bytes. */
	get size(): number {
		return this.#open().size;
	}

	/** The word at an offset that is a multiple of 4. */
	u32(offset: number): number {
		return this.#open().u32(offset);
	}

	/** The word at an offset that is a multiple of 8. */
	u64(offset: number): bigint {
		return this.#open().u64(offset);
	}

	/** Fills `into` from an offset that is a multiple of 8. */
	copy(offset: number, into: Uint8Array): void {
		this.#open().copy(offset, into);
	}

	/**
	 * Adds up `count` blocks of `words` u64 that start `stride` bytes apart: `sums[w]` is the sum of word `w` of all
	 * blocks, modulo 2^64. What a counter kept per CPU amounts to.
	 */
	sumU64(offset: number, stride: number, count: number, words: number): BigUint64Array {
		return this.#open().sumU64(offset, stride, count, words);
	}

	/** Writes the word at an offset that is a multiple of 8, whole for whoever reads it; of a mapping that was made `writable`. */
	setU64(offset: number, value: bigint): void {
		this.#open().setU64(offset, value);
	}

	/** Unmaps; later reads throw BpfError. Closing again is fine. */
	close(): void {
		this.#memory?.close();
		this.#memory = undefined;
	}

	#open(): NativeMemory {
		if (this.#memory === undefined) throw new BpfError('map memory read', this.#map, constants.errno.EBADF);
		return this.#memory;
	}
}
