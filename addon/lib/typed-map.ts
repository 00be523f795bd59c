import {constants} from 'node:os';
import type {Codec, MapLayout} from './codec.js';
import {BpfError} from './errors.js';
import type {RawMap, UpdateFlag} from './map.js';
import {mapTypeName} from './map-type.js';

/**
 * A map whose keys and values are values of TypeScript. What the codecs refuse is RangeError, what the kernel refuses is
 * BpfError.
 */
export class BpfMap<K, V> {
	readonly raw: RawMap;
	readonly #key: Codec<K>;
	readonly #value: Codec<V>;

	/** Refuses a map whose key or value size is not the codec's. */
	constructor(raw: RawMap, key: Codec<K>, value: Codec<V>) {
		compare(raw, `key ${key.name}`, key.size, raw.keySize);
		compare(raw, `value ${value.name}`, value.size, raw.transferSize);
		this.raw = raw;
		this.#key = key;
		this.#value = value;
	}

	/** Refuses a map that is not what the layout says: type, flags, sizes. It may have room for more or fewer entries. */
	static of<K, V>(raw: RawMap, layout: MapLayout<K, V>): BpfMap<K, V> {
		if (raw.type !== layout.type)
			throw mismatch(raw, `is of type ${mapTypeName(raw.type)}, not ${mapTypeName(layout.type)}`);
		if ((raw.flags & layout.flags) !== layout.flags)
			throw mismatch(raw, `has flags ${raw.flags}, lacks some of ${layout.flags}`);
		return new BpfMap(raw, layout.key, layout.value);
	}

	get name(): string {
		return this.raw.name;
	}

	get(key: K): V | undefined {
		const value = this.raw.lookup(encoded(this.#key, key));
		return value === undefined ? undefined : this.#value.decode(viewOf(value));
	}

	/** Whether the entry is there and has this value, to the byte. */
	has(key: K, value: V): boolean {
		const found = this.raw.lookup(encoded(this.#key, key));
		return found !== undefined && Buffer.compare(found, encoded(this.#value, value)) === 0;
	}

	set(key: K, value: V, flag: UpdateFlag = 'any'): void {
		this.raw.update(encoded(this.#key, key), encoded(this.#value, value), flag);
	}

	/** False where there was no entry. */
	delete(key: K): boolean {
		return this.raw.delete(encoded(this.#key, key));
	}

	/** All entries, as `RawMap.dump` reads them. */
	async entries(): Promise<Array<[K, V]>> {
		return [...(await this.read())];
	}

	/** The same, each decoded when it is asked for, so that whoever has a million may take his time. */
	async read(): Promise<Iterable<[K, V]>> {
		const {keys, values, count} = await this.raw.dump();
		return this.#decoded(viewOf(keys), viewOf(values), count);
	}

	/**
	 * The entries whose value has a bit set: those of an array that are in use, as long as nothing but zeroes stands for
	 * one that is not. A large array that is nearly empty costs little more than its bytes.
	 */
	async readUsed(): Promise<Iterable<[K, V]>> {
		const {keys, values, count} = await this.raw.dump();
		return this.#used(viewOf(keys), values.subarray(0, count * this.#value.size));
	}

	*#used(keys: DataView, values: Uint8Array): Generator<[K, V]> {
		const {size} = this.#value;
		const view = viewOf(values);
		const units = widest(values, size);
		const perValue = size / units.BYTES_PER_ELEMENT;
		for (let at = 0; at < units.length; at++) {
			if (units[at] === 0) continue;
			const index = Math.floor(at / perValue);
			yield [this.#key.decode(slot(keys, index, this.#key.size)), this.#value.decode(slot(view, index, size))];
			at = (index + 1) * perValue - 1;
		}
	}

	*#decoded(keys: DataView, values: DataView, count: number): Generator<[K, V]> {
		for (let index = 0; index < count; index++)
			yield [
				this.#key.decode(slot(keys, index, this.#key.size)),
				this.#value.decode(slot(values, index, this.#value.size)),
			];
	}

	/** Writes all entries in few system calls; what the codecs refuse is refused before the first is written. */
	setMany(entries: Iterable<readonly [K, V]>): void {
		const list = [...entries];
		const keys = new Uint8Array(list.length * this.#key.size);
		const values = new Uint8Array(list.length * this.#value.size);
		const [keyView, valueView] = [viewOf(keys), viewOf(values)];
		for (const [index, [key, value]] of list.entries()) {
			this.#key.encode(key, slot(keyView, index, this.#key.size));
			this.#value.encode(value, slot(valueView, index, this.#value.size));
		}
		this.raw.updateBatch(keys, values, list.length);
	}

	/** Deletes all these entries in few system calls, or what there is of them. */
	deleteMany(keys: readonly K[]): void {
		const bytes = new Uint8Array(keys.length * this.#key.size);
		const view = viewOf(bytes);
		for (const [index, key] of keys.entries()) this.#key.encode(key, slot(view, index, this.#key.size));
		this.raw.deleteBatch(bytes, keys.length);
	}
}

/** The same bytes four at a time, where values are as long: most of a large array are zeroes, through which this is faster. */
function widest(bytes: Uint8Array, size: number): Uint8Array | Uint32Array {
	const fits = size % 4 === 0 && bytes.byteOffset % 4 === 0;
	return fits ? new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4) : bytes;
}

function encoded<T>(codec: Codec<T>, value: T): Uint8Array {
	const bytes = new Uint8Array(codec.size);
	codec.encode(value, viewOf(bytes));
	return bytes;
}

function viewOf(bytes: Uint8Array): DataView {
	return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function slot(view: DataView, index: number, size: number): DataView {
	return new DataView(view.buffer, view.byteOffset + index * size, size);
}

function compare(raw: RawMap, what: string, expected: number, actual: number): void {
	if (actual !== expected) throw mismatch(raw, `has ${actual} bytes where ${what} has ${expected}`);
}

function mismatch(raw: RawMap, hint: string): BpfError {
	return new BpfError('map layout', raw.name, constants.errno.EINVAL, {hint});
}
