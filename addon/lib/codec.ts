/** How a value of a map, or a part of it, looks in bytes. */
export interface Codec<T> {
	/** The C name, for messages. */
	readonly name: string;
	/** Bytes. */
	readonly size: number;
	/**
	 * Writes all `size` bytes of the view, padding as zero. A value that does not fit throws RangeError, naming `where`
	 * (the codec's own name unless told).
	 */
	encode(value: T, view: DataView, where?: string): void;
	decode(view: DataView): T;
}

/** What the generator knows about a map, for `BpfMap.of`. */
export interface MapLayout<K, V> {
	readonly name: string;
	/** A `MapType`. */
	readonly type: number;
	readonly maxEntries: number;
	/** BPF_F_* that the map must have been made with. */
	readonly flags: number;
	readonly key: Codec<K>;
	readonly value: Codec<V>;
}

const U8_MAX = 0xff;
const U16_MAX = 0xffff;
const U32_MAX = 0xffff_ffff;
const U64_MAX = 0xffff_ffff_ffff_ffffn;

function integer(value: number, min: number, max: number, where: string): number {
	if (Number.isInteger(value) && value >= min && value <= max) return value;
	throw new RangeError(`${where}: ${value} is not an integer from ${min} to ${max}`);
}

function bigInteger(value: bigint, min: bigint, max: bigint, where: string): bigint {
	if (typeof value === 'bigint' && value >= min && value <= max) return value;
	throw new RangeError(`${where}: ${value} is not a bigint from ${min} to ${max}`);
}

export function putU8(view: DataView, offset: number, value: number, where: string): void {
	view.setUint8(offset, integer(value, 0, U8_MAX, where));
}

export function putU16(view: DataView, offset: number, value: number, where: string): void {
	view.setUint16(offset, integer(value, 0, U16_MAX, where), true);
}

export function putU32(view: DataView, offset: number, value: number, where: string): void {
	view.setUint32(offset, integer(value, 0, U32_MAX, where), true);
}

export function putU64(view: DataView, offset: number, value: bigint, where: string): void {
	view.setBigUint64(offset, bigInteger(value, 0n, U64_MAX, where), true);
}

export function putI8(view: DataView, offset: number, value: number, where: string): void {
	view.setInt8(offset, integer(value, -0x80, 0x7f, where));
}

export function putI16(view: DataView, offset: number, value: number, where: string): void {
	view.setInt16(offset, integer(value, -0x8000, 0x7fff, where), true);
}

export function putI32(view: DataView, offset: number, value: number, where: string): void {
	view.setInt32(offset, integer(value, -0x8000_0000, 0x7fff_ffff, where), true);
}

export function putI64(view: DataView, offset: number, value: bigint, where: string): void {
	view.setBigInt64(offset, bigInteger(value, -0x8000_0000_0000_0000n, 0x7fff_ffff_ffff_ffffn, where), true);
}

export function putBe16(view: DataView, offset: number, value: number, where: string): void {
	view.setUint16(offset, integer(value, 0, U16_MAX, where));
}

export function putBe32(view: DataView, offset: number, value: number, where: string): void {
	view.setUint32(offset, integer(value, 0, U32_MAX, where));
}

export function putBe64(view: DataView, offset: number, value: bigint, where: string): void {
	view.setBigUint64(offset, bigInteger(value, 0n, U64_MAX, where));
}

/** Zeros: what `pad*` members hold. */
export function putPad(view: DataView, offset: number, size: number): void {
	bytesOf(view, offset, size).fill(0);
}

export function putBytes(view: DataView, offset: number, size: number, value: Uint8Array, where: string): void {
	if (value.length !== size) throw new RangeError(`${where}: ${value.length} bytes instead of ${size}`);
	bytesOf(view, offset, size).set(value);
}

/** A copy: what is decoded does not change when its buffer is used again. */
export function takeBytes(view: DataView, offset: number, size: number): Uint8Array {
	return bytesOf(view, offset, size).slice();
}

/** A value of another codec, at an offset. */
export function put<T>(view: DataView, offset: number, codec: Codec<T>, value: T, where: string): void {
	codec.encode(value, part(view, offset, codec.size), where);
}

export function take<T>(view: DataView, offset: number, codec: Codec<T>): T {
	return codec.decode(part(view, offset, codec.size));
}

function part(view: DataView, offset: number, size: number): DataView {
	return new DataView(view.buffer, view.byteOffset + offset, size);
}

function bytesOf(view: DataView, offset: number, size: number): Uint8Array {
	return new Uint8Array(view.buffer, view.byteOffset + offset, size);
}

type Put<T> = (view: DataView, offset: number, value: T, where: string) => void;

function scalar<T>(name: string, size: number, putAt: Put<T>, decode: (view: DataView) => T): Codec<T> {
	return {name, size, encode: (value, view, where = name) => putAt(view, 0, value, where), decode};
}

export const u8 = scalar('u8', 1, putU8, view => view.getUint8(0));
export const u16 = scalar('u16', 2, putU16, view => view.getUint16(0, true));
export const u32 = scalar('u32', 4, putU32, view => view.getUint32(0, true));
export const u64 = scalar('u64', 8, putU64, view => view.getBigUint64(0, true));
export const i8 = scalar('i8', 1, putI8, view => view.getInt8(0));
export const i16 = scalar('i16', 2, putI16, view => view.getInt16(0, true));
export const i32 = scalar('i32', 4, putI32, view => view.getInt32(0, true));
export const i64 = scalar('i64', 8, putI64, view => view.getBigInt64(0, true));
export const be16 = scalar('be16', 2, putBe16, view => view.getUint16(0));
export const be32 = scalar('be32', 4, putBe32, view => view.getUint32(0));
export const be64 = scalar('be64', 8, putBe64, view => view.getBigUint64(0));

/** `size` bytes as they are. */
export function bytes(size: number): Codec<Uint8Array> {
	const name = `u8[${size}]`;
	return {
		name,
		size,
		encode: (value, view, where = name) => putBytes(view, 0, size, value, where),
		decode: view => takeBytes(view, 0, size),
	};
}

/** `length` values one behind the other. */
export function arrayOf<T>(element: Codec<T>, length: number): Codec<readonly T[]> {
	const name = `${element.name}[${length}]`;
	return {
		name,
		size: element.size * length,
		encode(values, view, where = name) {
			if (values.length !== length) throw new RangeError(`${where}: ${values.length} elements instead of ${length}`);
			for (const [index, value] of values.entries()) put(view, index * element.size, element, value, where);
		},
		decode: view => Array.from({length}, (_, index) => take(view, index * element.size, element)),
	};
}
