/**
 * What maps hold, compared between two versions of the program, and carried from one to the other field by field. Layouts
 * come from BTF: the object's own, and what the kernel keeps of the object that a pinned map was made from. Pure.
 */
import type {EnumLayout, Layout, MapDefinition, Shape, StructLayout} from 'libbpf-ts/btf';

/** All that one version says of its maps, of both families. */
export class MapLayouts {
	readonly maps: ReadonlyMap<string, MapDefinition>;
	readonly #structs: ReadonlyMap<string, StructLayout>;
	readonly #enums: ReadonlyMap<string, EnumLayout>;

	constructor(objects: readonly Layout[]) {
		this.maps = byName(objects.flatMap(({maps}) => maps));
		this.#structs = byName(objects.flatMap(({structs}) => structs));
		this.#enums = byName(objects.flatMap(({enums}) => enums));
	}

	/** Members of a struct that have a meaning. */
	fields(struct: string): StructLayout['fields'] {
		return (this.#structs.get(struct)?.fields ?? []).filter(({pad}) => !pad);
	}

	/** Names and values of an enum, but for the number of its members. */
	values(name: string): ReadonlyMap<string, bigint> {
		return new Map((this.#enums.get(name)?.values ?? []).filter(([member]) => !member.endsWith('_COUNT')));
	}

	/** A shape as text: equal for equal layouts, whatever its types are called. */
	text(shape: Shape): string {
		switch (shape.kind) {
			case 'struct':
				return `${shape.size}{${this.fields(shape.name).map(({name, offset, shape: of}) => `${name}@${offset}:${this.text(of)}`)}}`;
			case 'array':
				return `${shape.length}[${this.text(shape.element)}]`;
			case 'bytes':
				return `bytes${shape.size}`;
			default:
				return shape.scalar;
		}
	}
}

function byName<T extends {readonly name: string}>(all: readonly T[]): ReadonlyMap<string, T> {
	return new Map(all.map(one => [one.name, one]));
}

/** Whether every member that an enum had means what it meant; new ones may have come. */
export function sameMeaning(name: string, old: MapLayouts, now: MapLayouts): boolean {
	const values = now.values(name);
	return [...old.values(name)].every(([member, value]) => values.get(member) === value);
}

/** Writes a value into a view of zeroes; false when a number does not fit any more. */
export type Convert = (from: DataView, into: DataView) => boolean;

/**
 * From an old shape to a new one: what has the same name is carried over, what is new is zero, what is gone is gone.
 * null: something of one name is of different kinds.
 */
export function converter(old: MapLayouts, from: Shape, now: MapLayouts, to: Shape): Convert | null {
	if (from.kind === 'struct' && to.kind === 'struct') return structConverter(old, from.name, now, to.name);
	if (from.kind === 'array' && to.kind === 'array') {
		const each = converter(old, from.element, now, to.element);
		if (each === null) return null;
		const length = Math.min(from.length, to.length);
		return (source, into) =>
			Array.from({length}, (_, n) => n).every(n => each(part(source, n, from.element), part(into, n, to.element)));
	}
	if (from.kind === 'bytes' && to.kind === 'bytes') return bytesConverter(Math.min(from.size, to.size));
	return 'scalar' in from && 'scalar' in to ? numberConverter(from, to) : null;
}

function structConverter(old: MapLayouts, from: string, now: MapLayouts, to: string): Convert | null {
	const before = byName(old.fields(from));
	const steps: Convert[] = [];
	for (const field of now.fields(to)) {
		const source = before.get(field.name);
		if (source === undefined) continue;
		const convert = converter(old, source.shape, now, field.shape);
		if (convert === null) return null;
		steps.push((whole, into) =>
			convert(view(whole, source.offset, source.shape.size), view(into, field.offset, field.shape.size)),
		);
	}
	return (whole, into) => steps.every(step => step(whole, into));
}

function bytesConverter(length: number): Convert {
	return (source, into) => {
		for (let at = 0; at < length; at++) into.setUint8(at, source.getUint8(at));
		return true;
	};
}

type Scalar = Extract<Shape, {readonly scalar: string}>;

function numberConverter(from: Scalar, to: Scalar): Convert | null {
	if (isBigEndian(from) !== isBigEndian(to)) return null;
	return (source, into) => {
		const value = read(source, from);
		write(into, to, value);
		return read(into, to) === value;
	};
}

function isBigEndian({scalar}: Scalar): boolean {
	return scalar.startsWith('be');
}

function read(from: DataView, shape: Scalar): bigint {
	let value = 0n;
	for (let n = 0; n < shape.size; n++) {
		const at = isBigEndian(shape) ? n : shape.size - 1 - n;
		value = (value << 8n) | BigInt(from.getUint8(at));
	}
	return shape.scalar.startsWith('i') ? BigInt.asIntN(8 * shape.size, value) : value;
}

function write(into: DataView, shape: Scalar, value: bigint): void {
	for (let n = 0; n < shape.size; n++) {
		const at = isBigEndian(shape) ? shape.size - 1 - n : n;
		into.setUint8(at, Number((value >> BigInt(8 * n)) & 0xffn));
	}
}

function part(whole: DataView, index: number, {size}: Shape): DataView {
	return view(whole, index * size, size);
}

function view(whole: DataView, offset: number, size: number): DataView {
	return new DataView(whole.buffer, whole.byteOffset + offset, size);
}
