/** What the maps of a BPF object hold, read from its types: for programs that meet maps of another version of themselves. */
export {parseBtf} from './gen/btf.js';
export {elfSection, FormatError} from './gen/elf.js';
export {
	type EnumLayout,
	type Field,
	type Layout,
	LayoutError,
	layoutOf,
	type MapDefinition,
	type Shape,
	type StructLayout,
} from './gen/layout.js';
