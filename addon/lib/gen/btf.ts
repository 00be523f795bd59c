import {cString, FormatError} from './elf.js';

/** The types of an object file, from its .BTF section (Linux Documentation/bpf/btf.rst). */

/** Numbers of types are positions in `Btf.types`; 0 is void. */
export type TypeId = number;

export interface Member {
	readonly name: string;
	readonly type: TypeId;
	readonly bitOffset: number;
	/** 0 for all but bit fields. */
	readonly bitSize: number;
}

export type BtfType =
	| {
			readonly kind: 'int';
			readonly name: string;
			readonly size: number;
			readonly signed: boolean;
			readonly bool: boolean;
	  }
	| {
			readonly kind: 'struct' | 'union';
			readonly name: string;
			readonly size: number;
			readonly members: readonly Member[];
	  }
	| {
			readonly kind: 'enum';
			readonly name: string;
			readonly size: number;
			readonly values: readonly (readonly [string, bigint])[];
	  }
	| {readonly kind: 'array'; readonly element: TypeId; readonly length: number}
	| {readonly kind: 'pointer'; readonly to: TypeId}
	| {readonly kind: 'typedef'; readonly name: string; readonly to: TypeId}
	/** const, volatile, restrict, type tags */
	| {readonly kind: 'qualifier'; readonly to: TypeId}
	| {readonly kind: 'variable'; readonly name: string; readonly type: TypeId}
	| {readonly kind: 'section'; readonly name: string; readonly variables: readonly TypeId[]}
	/** void, functions, forward declarations, floats: nothing that a map can hold */
	| {readonly kind: 'other'; readonly name: string};

export interface Btf {
	readonly types: readonly BtfType[];
}

const MAGIC = 0xeb9f;
const INT_SIGNED = 1;
const INT_BOOL = 4;

/** Reads the section; throws FormatError for what is no BTF. */
export function parseBtf(section: Uint8Array): Btf {
	const header = new DataView(section.buffer, section.byteOffset, section.byteLength);
	if (header.byteLength < 24 || header.getUint16(0, true) !== MAGIC) throw new FormatError('its .BTF has no header');
	const start = header.getUint32(4, true);
	const part = (at: number): Uint8Array => {
		const offset = start + header.getUint32(at, true);
		const length = header.getUint32(at + 4, true);
		if (offset + length > section.length) throw new FormatError('its .BTF is cut short');
		return section.subarray(offset, offset + length);
	};
	const reader = new TypeReader(part(8), part(16));
	const types: BtfType[] = [{kind: 'other', name: 'void'}];
	while (!reader.done) types.push(reader.next());
	return {types};
}

class TypeReader {
	readonly #view: DataView;
	readonly #strings: Uint8Array;
	#at = 0;

	constructor(types: Uint8Array, strings: Uint8Array) {
		this.#view = new DataView(types.buffer, types.byteOffset, types.byteLength);
		this.#strings = strings;
	}

	get done(): boolean {
		return this.#at >= this.#view.byteLength;
	}

	/** One `struct btf_type` and what follows it. */
	next(): BtfType {
		const name = this.#name();
		const info = this.#u32();
		const sizeOrType = this.#u32();
		const count = info & 0xffff;
		const flag = info >>> 31 === 1;
		const kind = (info >>> 24) & 0x1f;
		switch (kind) {
			case 1: {
				const encoding = (this.#u32() >>> 24) & 0xf;
				const signed = (encoding & INT_SIGNED) !== 0;
				return {kind: 'int', name, size: sizeOrType, signed, bool: (encoding & INT_BOOL) !== 0};
			}
			case 2:
				return {kind: 'pointer', to: sizeOrType};
			case 3: {
				const element = this.#u32();
				this.#u32(); // the index's type
				return {kind: 'array', element, length: this.#u32()};
			}
			case 4:
			case 5:
				return {
					kind: kind === 4 ? 'struct' : 'union',
					name,
					size: sizeOrType,
					members: this.#times(count, () => this.#member(flag)),
				};
			case 6:
				return {kind: 'enum', name, size: sizeOrType, values: this.#times(count, () => this.#enumerator())};
			case 19:
				return {kind: 'enum', name, size: sizeOrType, values: this.#times(count, () => this.#enumerator64(flag))};
			case 8:
				return {kind: 'typedef', name, to: sizeOrType};
			case 9: // volatile
			case 10: // const
			case 11: // restrict
			case 18: // type tag
				return {kind: 'qualifier', to: sizeOrType};
			case 14:
				this.#u32(); // linkage
				return {kind: 'variable', name, type: sizeOrType};
			case 15:
				return {kind: 'section', name, variables: this.#times(count, () => this.#sectionVariable())};
			case 7: // forward declaration
			case 12: // function
			case 16: // float
				return {kind: 'other', name};
			case 13: // function prototype
				this.#times(count, () => [this.#u32(), this.#u32()]);
				return {kind: 'other', name};
			case 17: // declaration tag
				this.#u32();
				return {kind: 'other', name};
			default:
				throw new FormatError(`its .BTF has a type of unknown kind ${kind}`);
		}
	}

	#member(withBitSize: boolean): Member {
		const name = this.#name();
		const type = this.#u32();
		const offset = this.#u32();
		if (!withBitSize) return {name, type, bitOffset: offset, bitSize: 0};
		return {name, type, bitOffset: offset & 0xff_ffff, bitSize: offset >>> 24};
	}

	/** Always signed: clang says whether it is only since version 15. */
	#enumerator(): readonly [string, bigint] {
		return [this.#name(), BigInt(this.#u32() | 0)];
	}

	#enumerator64(signed: boolean): readonly [string, bigint] {
		const name = this.#name();
		const value = BigInt(this.#u32()) | (BigInt(this.#u32()) << 32n);
		return [name, signed ? BigInt.asIntN(64, value) : value];
	}

	#sectionVariable(): TypeId {
		const type = this.#u32();
		this.#u32(); // offset
		this.#u32(); // size
		return type;
	}

	#times<T>(count: number, read: () => T): T[] {
		return Array.from({length: count}, read);
	}

	#name(): string {
		return cString(this.#strings, this.#u32());
	}

	#u32(): number {
		if (this.#at + 4 > this.#view.byteLength) throw new FormatError('its .BTF ends within a type');
		this.#at += 4;
		return this.#view.getUint32(this.#at - 4, true);
	}
}
