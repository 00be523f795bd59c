import {constants} from 'node:os';
import {BpfError, ENOTSUPP} from './errors.js';
import {MapType, mapTypeName} from './map-type.js';
import {MapMemory} from './memory.js';
import {type Entries, type MapInfo, type NativeMap, native, type Status} from './native.js';
import {checkedPin, checkPinning} from './pin.js';

const {E2BIG, EBADF, EBUSY, EEXIST, EINVAL, ENOENT} = constants.errno;

/** More entries in one system call would stall real-time threads. */
const BATCH_MAX = 1024;

/** Whether an update may create the entry, must create it, or must find it. Numbers as in linux/bpf.h. */
const UPDATE_FLAGS = {any: 0, noexist: 1, exist: 2} as const;
export type UpdateFlag = keyof typeof UPDATE_FLAGS;

/**
 * A map, its keys and values as bytes. It belongs to an object that is not loaded yet, and then only its size can be
 * changed or another map put in its place; or it lives in the kernel, from `BpfObject.load()` or `openPinned()`, and is
 * open until `close()` of it or of its object. Refusals are BpfError; wrong lengths RangeError.
 */
export class RawMap {
	readonly #map: NativeMap;
	#info: MapInfo;

	/** @internal Use `BpfObject.maps` or `openPinned`. */
	constructor(map: NativeMap) {
		this.#map = map;
		this.#info = map.info();
	}

	/** Opens the map pinned at a path of a bpffs. */
	static openPinned(path: string): RawMap {
		return new RawMap(checkedPin('map', path, native().openMap(path)));
	}

	/** As in the object file; from a pin, the first 15 characters of it. */
	get name(): string {
		return this.#info.name;
	}
	/** The kernel's number of the map, 0 before it is loaded. */
	get id(): number {
		return this.#info.id;
	}
	/** A `MapType`. */
	get type(): number {
		return this.#info.type;
	}
	/** Bytes. */
	get keySize(): number {
		return this.#info.keySize;
	}
	/** Bytes of one value; of one CPU's value in a per-CPU map. */
	get valueSize(): number {
		return this.#info.valueSize;
	}
	/** Bytes of what `lookup` returns and `update` takes: `valueSize`, or that of every possible CPU in a per-CPU map. */
	get transferSize(): number {
		return this.#info.transferSize;
	}
	get maxEntries(): number {
		return this.#info.maxEntries;
	}
	/** BPF_F_* of linux/bpf.h. */
	get flags(): number {
		return this.#info.flags;
	}
	/** The descriptor, for what wants a number, such as an entry of a map of maps; -1 when closed. */
	get fd(): number {
		return this.#map.fd;
	}

	/** Before load: how many entries to make room for. */
	setMaxEntries(maxEntries: number): void {
		this.#require('map set max entries', this.#map.setMaxEntries(maxEntries));
		this.#refresh();
	}

	/** Before load: use `other`, which exists, instead of creating a map. Refuses one of another type or shape. */
	reuse(other: RawMap): void {
		const [mine, theirs] = [shape(this), shape(other)];
		if (mine !== theirs) throw new BpfError('map reuse', this.name, EINVAL, {hint: `is ${mine}, not ${theirs}`});
		if (other.fd < 0) throw new BpfError('map reuse', other.name, EBADF);
		this.#require('map reuse', this.#map.reuse(other.fd));
		this.#refresh();
	}

	/** The value, or undefined where there is no entry. */
	lookup(key: Uint8Array): Uint8Array | undefined {
		const value = new Uint8Array(this.#info.transferSize);
		return this.lookupInto(key, value) ? value : undefined;
	}

	/** Fills `into` with the value; false where there is no entry. */
	lookupInto(key: Uint8Array, into: Uint8Array): boolean {
		return this.#found('map lookup', this.#map.lookup(key, into));
	}

	update(key: Uint8Array, value: Uint8Array, flag: UpdateFlag = 'any'): void {
		this.#require('map update', this.#map.update(key, value, UPDATE_FLAGS[flag]));
	}

	/** False where there is no entry. */
	delete(key: Uint8Array): boolean {
		return this.#found('map delete', this.#map.delete(key));
	}

	/** The key that follows, or the first one; undefined at the end. A key that is gone is followed by the first. */
	nextKey(key?: Uint8Array): Uint8Array | undefined {
		const next = new Uint8Array(this.#info.keySize);
		return this.#found('map next key', this.#map.nextKey(key, next)) ? next : undefined;
	}

	/** Writes `count` entries in as few system calls as the map type allows. Not atomic: an error says how far it came. */
	updateBatch(keys: Uint8Array, values: Uint8Array, count: number): void {
		const {status, written} = this.#map.updateBatch(keys, values, count);
		if (status < 0) throw this.#refused('map update batch', status, `after ${written} of ${count} entries`);
	}

	/** Deletes `count` entries in as few system calls as the map type allows; those that are not there are no error. */
	deleteBatch(keys: Uint8Array, count: number): void {
		this.#require('map delete batch', this.#map.deleteBatch(keys, count));
	}

	/**
	 * All entries, read in the thread pool in batches of at most 1,024 (the default). Entries that come, go or change
	 * meanwhile may be in it or not.
	 */
	async dump(options: {batch?: number} = {}): Promise<Entries> {
		const batch = options.batch ?? BATCH_MAX;
		if (!Number.isInteger(batch) || batch < 1 || batch > BATCH_MAX)
			throw new RangeError(`map dump: ${this.name}: batch ${batch} is outside 1-${BATCH_MAX}`);
		const entries = await this.#map.dump(batch);
		if (typeof entries === 'number') throw this.#refused('map dump', entries);
		return entries;
	}

	/** Maps an array made with BPF_F_MMAPABLE, to be read only unless told. */
	mmap({writable = false}: {readonly writable?: boolean} = {}): MapMemory {
		const memory = this.#map.mmap(writable);
		if (typeof memory === 'number')
			throw this.#refused('map mmap', memory, 'only with arrays made with BPF_F_MMAPABLE');
		return new MapMemory(this.name, memory);
	}

	/**
	 * All types of the object that the map was made from, as its .BTF section had them (see `parseBtf`), or undefined: the
	 * kernel keeps none for some kinds of maps.
	 */
	btf(): Uint8Array | undefined {
		const types = this.#map.btf();
		if (typeof types !== 'number') return types;
		if (types !== -ENOENT) throw this.#refused('map btf', types);
		return undefined;
	}

	/** Keeps the map alive at a path of a bpffs after this process. */
	pin(path: string): void {
		checkPinning('map', path, this.#map.pin(path));
	}

	/** Later calls throw EBADF. Closing again is fine. */
	close(): void {
		this.#map.close();
	}

	/** @internal By `BpfObject.load()`: the map exists now. */
	adopt(): void {
		this.#require('map adopt', this.#map.adopt());
		this.#refresh();
	}

	#refresh(): void {
		this.#info = this.#map.info();
	}

	#require(operation: string, status: Status): void {
		if (status < 0) throw this.#refused(operation, status);
	}

	#found(operation: string, status: Status): boolean {
		if (status !== -ENOENT) this.#require(operation, status);
		return status >= 0;
	}

	#refused(operation: string, status: Status, more?: string): BpfError {
		const hint = [meaning(-status, this.#info), more].filter(part => part !== undefined).join(', ');
		return new BpfError(operation, this.name, -status, hint === '' ? {} : {hint});
	}
}

function meaning(errno: number, {maxEntries, type}: MapInfo): string | undefined {
	switch (errno) {
		case E2BIG:
			return `room for ${maxEntries} entries`;
		case EBADF:
			return 'closed or not loaded';
		case EBUSY:
			return 'loaded already';
		case EEXIST:
			return 'the entry exists';
		case ENOENT:
			return 'no such entry';
		case EINVAL:
		case ENOTSUPP:
			return `not with a map of type ${mapTypeName(type)}`;
		default:
			return undefined;
	}
}

/** The kernel gives this flag to every device map that it makes (kernel/bpf/devmap.c), whatever was declared. */
const BPF_F_RDONLY_PROG = 1 << 7;
const DEVICE_MAPS: readonly number[] = [MapType.devmap, MapType.devmapHash];

/** What two maps must have in common for a program to work with either. */
function shape({type, keySize, valueSize, flags}: RawMap): string {
	const declared = DEVICE_MAPS.includes(type) ? flags & ~BPF_F_RDONLY_PROG : flags;
	return `${mapTypeName(type)} of ${keySize}-byte keys and ${valueSize}-byte values, flags ${declared}`;
}
