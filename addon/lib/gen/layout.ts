import type {Btf, BtfType, Member, TypeId} from './btf.js';

/** What the object's maps hold, free of BTF: the input of the emitter. */

export type ScalarName = 'u8' | 'u16' | 'u32' | 'u64' | 'i8' | 'i16' | 'i32' | 'i64' | 'be16' | 'be32' | 'be64';

export type Shape =
	| {readonly kind: 'scalar'; readonly size: number; readonly scalar: ScalarName}
	| {readonly kind: 'enum'; readonly size: number; readonly scalar: ScalarName; readonly name: string}
	| {readonly kind: 'struct'; readonly size: number; readonly name: string}
	| {readonly kind: 'bytes'; readonly size: number}
	| {readonly kind: 'array'; readonly size: number; readonly element: Shape; readonly length: number};

export interface Field {
	readonly name: string;
	/** Bytes from the start of the struct. */
	readonly offset: number;
	readonly shape: Shape;
	/** Named `pad*`: always zero, not in the interface. */
	readonly pad: boolean;
}

export interface StructLayout {
	readonly name: string;
	readonly size: number;
	readonly fields: readonly Field[];
}

export interface EnumLayout {
	readonly name: string;
	readonly size: number;
	readonly values: readonly (readonly [string, bigint])[];
}

export interface MapDefinition {
	readonly name: string;
	readonly type: number;
	readonly maxEntries: number;
	readonly flags: number;
	readonly key: Shape;
	readonly value: Shape;
}

/** Each list sorted by name, because the order in BTF differs between versions of clang. */
export interface Layout {
	readonly enums: readonly EnumLayout[];
	readonly structs: readonly StructLayout[];
	readonly maps: readonly MapDefinition[];
}

/** A type that cannot be expressed, or that has bytes without a name. The message says where and what to do. */
export class LayoutError extends Error {
	override readonly name = 'LayoutError';
}

/** Finds the maps (those with a key and a value), all they hold, and the enums of global variables. */
export function layoutOf(btf: Btf): Layout {
	return new Resolver(btf).layout();
}

/** A layout without the maps that another one has, and without what only those need. */
export function without({maps, structs}: Layout, known: Layout): Layout {
	const left = maps.filter(({name}) => !known.maps.some(other => other.name === name));
	const needed = new Set<string>();
	const need = (shape: Shape): void => {
		if (shape.kind === 'array') need(shape.element);
		if (shape.kind !== 'struct' || needed.has(shape.name)) return;
		needed.add(shape.name);
		for (const field of structs.find(({name}) => name === shape.name)?.fields ?? []) need(field.shape);
	};
	for (const {key, value} of left) for (const shape of [key, value]) need(shape);
	return {enums: [], structs: structs.filter(({name}) => needed.has(name)), maps: left};
}

const BIG_ENDIAN: Readonly<Record<string, ScalarName>> = {__be16: 'be16', __be32: 'be32', __be64: 'be64'};

const SCALARS: Readonly<Record<string, ScalarName>> = {
	'1': 'u8',
	'2': 'u16',
	'4': 'u32',
	'8': 'u64',
	'-1': 'i8',
	'-2': 'i16',
	'-4': 'i32',
	'-8': 'i64',
};

/** More links in a chain of typedefs and qualifiers than any compiler makes: a loop. */
const CHAIN_MAX = 64;
/** Deeper nesting of structs and arrays than anybody writes: a loop. */
const DEPTH_MAX = 16;

type StructType = Extract<BtfType, {kind: 'struct' | 'union'}>;

class Resolver {
	readonly #types: readonly BtfType[];
	readonly #structs = new Map<string, StructLayout>();
	readonly #enums = new Map<string, EnumLayout>();

	constructor(btf: Btf) {
		this.#types = btf.types;
	}

	layout(): Layout {
		const maps: MapDefinition[] = [];
		for (const section of this.#types) {
			if (section.kind !== 'section') continue;
			for (const id of section.variables) {
				const variable = this.#type(id);
				if (variable.kind !== 'variable') continue;
				if (section.name === '.maps') maps.push(...this.#map(variable.name, variable.type));
				else this.#anchor(variable.type);
			}
		}
		return {enums: sorted(this.#enums.values()), structs: sorted(this.#structs.values()), maps: sorted(maps)};
	}

	/** A global variable of an enum type is there to make the enum known. */
	#anchor(id: TypeId): void {
		const {type} = this.#strip(id);
		if (type.kind === 'enum') this.#enum(type);
	}

	/** A definition as SEC(".maps") has it: numbers are lengths of arrays, types are targets of pointers. */
	#map(name: string, id: TypeId): MapDefinition[] {
		const {type} = this.#strip(id);
		if (type.kind !== 'struct') throw new LayoutError(`map ${name}: its definition is not a struct`);
		const members = new Map(type.members.map(member => [member.name, member]));
		const number = (member: string): number => this.#definedNumber(members.get(member));
		const side = (member: 'key' | 'value'): Shape | undefined =>
			this.#definedType(`map ${name}: ${member}`, members.get(member)) ?? sized(number(`${member}_size`));
		const [key, value] = [side('key'), side('value')];
		if (key === undefined || value === undefined) return []; // a ring buffer, a queue
		return [{name, type: number('type'), maxEntries: number('max_entries'), flags: number('map_flags'), key, value}];
	}

	#definedNumber(member: Member | undefined): number {
		const array = member === undefined ? undefined : this.#target(member.type);
		if (array === undefined) return 0;
		const {type} = this.#strip(array);
		return type.kind === 'array' ? type.length : 0;
	}

	#definedType(where: string, member: Member | undefined): Shape | undefined {
		const target = member === undefined ? undefined : this.#target(member.type);
		return target === undefined ? undefined : this.#shape(target, where, 0);
	}

	#target(id: TypeId): TypeId | undefined {
		const {type} = this.#strip(id);
		return type.kind === 'pointer' ? type.to : undefined;
	}

	#shape(id: TypeId, where: string, depth: number): Shape {
		if (depth > DEPTH_MAX) throw new LayoutError(`${where}: nested more than ${DEPTH_MAX} deep`);
		const {type, bigEndian} = this.#strip(id);
		switch (type.kind) {
			case 'int':
				if (type.bool) throw new LayoutError(`${where}: bool has no fixed meaning of its bits, use __u8`);
				return {kind: 'scalar', size: type.size, scalar: bigEndian ?? scalarOf(where, type.size, type.signed)};
			case 'enum': {
				const signed = type.values.some(([, value]) => value < 0n);
				this.#enum(type);
				return {kind: 'enum', size: type.size, scalar: scalarOf(where, type.size, signed), name: type.name};
			}
			case 'array': {
				const element = this.#shape(type.element, where, depth + 1);
				const size = element.size * type.length;
				const isByte = element.kind === 'scalar' && element.size === 1;
				return isByte ? {kind: 'bytes', size} : {kind: 'array', size, element, length: type.length};
			}
			case 'struct':
				this.#struct(type, where, depth);
				return {kind: 'struct', size: type.size, name: type.name};
			default:
				throw new LayoutError(`${where}: a ${type.kind} cannot be expressed`);
		}
	}

	#enum(type: Extract<BtfType, {kind: 'enum'}>): void {
		if (type.name !== '') this.#enums.set(type.name, {name: type.name, size: type.size, values: type.values});
	}

	#struct(type: StructType, where: string, depth: number): void {
		const {name, size} = type;
		if (name === '') throw new LayoutError(`${where}: a struct without a name, give it one`);
		if (this.#structs.has(name)) return;
		const fields = type.members.map(member => this.#field(name, member, depth));
		refuseHiddenBytes(name, size, fields);
		this.#structs.set(name, {name, size, fields});
	}

	#field(struct: string, member: Member, depth: number): Field {
		const where = `struct ${struct}: ${member.name || 'a member without a name'}`;
		if (member.bitSize !== 0 || member.bitOffset % 8 !== 0)
			throw new LayoutError(`${where}: bit fields are not supported`);
		const shape = this.#shape(member.type, where, depth + 1);
		return {name: member.name, offset: member.bitOffset / 8, shape, pad: member.name.startsWith('pad')};
	}

	/** What is behind typedefs and qualifiers, and whether a typedef on the way said that it is big-endian. */
	#strip(id: TypeId): {type: BtfType; bigEndian: ScalarName | undefined} {
		let type = this.#type(id);
		let bigEndian: ScalarName | undefined;
		for (let links = 0; type.kind === 'typedef' || type.kind === 'qualifier'; links++) {
			if (links > CHAIN_MAX) throw new LayoutError(`type ${id}: a loop of typedefs`);
			if (type.kind === 'typedef') bigEndian ??= BIG_ENDIAN[type.name];
			type = this.#type(type.to);
		}
		return {type, bigEndian};
	}

	#type(id: TypeId): BtfType {
		const type = this.#types[id];
		if (type === undefined) throw new LayoutError(`type ${id} does not exist`);
		return type;
	}
}

function sized(size: number): Shape | undefined {
	return size === 0 ? undefined : {kind: 'bytes', size};
}

function scalarOf(where: string, size: number, signed: boolean): ScalarName {
	const scalar = SCALARS[String(signed ? -size : size)];
	if (scalar === undefined) throw new LayoutError(`${where}: an integer of ${size} bytes`);
	return scalar;
}

/** Bytes that no member names hold whatever was on the stack, and make two equal keys differ. */
function refuseHiddenBytes(struct: string, size: number, fields: readonly Field[]): void {
	let end = 0;
	for (const {name, offset, shape} of [...fields, {name: 'its end', offset: size, shape: {size: 0}}]) {
		if (offset > end) {
			const remedy = `${offset - end} hidden bytes at offset ${end}, before ${name}: add a pad member`;
			throw new LayoutError(`struct ${struct}: ${remedy}`);
		}
		end = offset + shape.size;
	}
}

function sorted<T extends {readonly name: string}>(items: Iterable<T>): T[] {
	return [...items].sort((a, b) => (a.name < b.name ? -1 : 1));
}
