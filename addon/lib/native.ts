import {loadAddon} from './addon.js';

/** 0 or a count; negative: -errno. */
export type Status = number;

interface NativePinnable {
	/** -1 when closed or not loaded. */
	readonly fd: number;
	pin(path: string): Status;
	close(): void;
}

export interface MapInfo {
	readonly id: number;
	readonly name: string;
	readonly type: number;
	readonly keySize: number;
	readonly valueSize: number;
	readonly maxEntries: number;
	readonly flags: number;
	readonly transferSize: number;
}

export interface Entries {
	/** `count` keys, one behind the other. */
	readonly keys: Uint8Array;
	/** `count` values, in the order of the keys. */
	readonly values: Uint8Array;
	readonly count: number;
}

export interface NativeMap extends NativePinnable {
	info(): MapInfo;
	setMaxEntries(maxEntries: number): Status;
	reuse(fd: number): Status;
	adopt(): Status;
	lookup(key: Uint8Array, into: Uint8Array): Status;
	update(key: Uint8Array, value: Uint8Array, flags: number): Status;
	delete(key: Uint8Array): Status;
	nextKey(key: Uint8Array | undefined, into: Uint8Array): Status;
	updateBatch(keys: Uint8Array, values: Uint8Array, count: number): {status: Status; written: number};
	deleteBatch(keys: Uint8Array, count: number): Status;
	dump(batch: number): Promise<Entries | Status>;
	mmap(writable: boolean): NativeMemory | Status;
	btf(): Uint8Array | Status;
}

export interface NativeMemory {
	readonly size: number;
	u32(offset: number): number;
	u64(offset: number): bigint;
	copy(offset: number, into: Uint8Array): void;
	sumU64(offset: number, stride: number, count: number, words: number): BigUint64Array;
	setU64(offset: number, value: bigint): void;
	close(): void;
}

export interface NativeProgram extends NativePinnable {
	info(): {id: number; name: string; type: number};
	setAutoload(autoload: boolean): Status;
	adopt(): Status;
	testRun(
		bytes: Uint8Array,
		repeat: number,
		out: Uint8Array,
		ifindex: number,
		flags: number,
		batchSize: number,
	): {retval: number; size: number; durationNs: number} | Status;
}

export interface NativeLink extends NativePinnable {
	info(): {id: number; programId: number; ifindex: number} | Status;
	update(programFd: number): Status;
	detach(): Status;
}

/** How opening or loading went, with what libbpf and the verifier printed. */
export interface Outcome {
	readonly status: Status;
	readonly log: string;
}

export interface NativeObject {
	maps(): NativeMap[];
	programs(): NativeProgram[];
	load(): Outcome;
	close(): void;
}

export interface Native {
	openObject(path: string): NativeObject | Outcome;
	openMap(path: string): NativeMap | Status;
	openProgram(path: string): NativeProgram | Status;
	openLink(path: string): NativeLink | Status;
	attachXdp(programFd: number, ifindex: number, flags: number): NativeLink | Status;
	attachedXdp(ifindex: number): Status;
	mountBpffs(path: string): Status;
	possibleCpus(): Status;
}

let loaded: Native | undefined;

/** Loaded when first used: codecs and generated layouts work where no libbpf is installed. */
export function native(): Native {
	loaded ??= loadAddon('.') as Native;
	return loaded;
}
