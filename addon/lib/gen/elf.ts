/** Of an ELF file, the part that a BPF object's reader needs: the bytes of a section by name (elf(5)). */

const HEADER_SIZE = 64;
const SECTION_HEADER_SIZE = 64;
const CLASS_64 = 2;
const LITTLE_ENDIAN = 1;
const EM_BPF = 247;

/** The file is not what it should be; the message says how. */
export class FormatError extends Error {
	override readonly name = 'FormatError';
}

/** The bytes of a section of a little-endian BPF object; throws FormatError where there is none. */
export function elfSection(file: Uint8Array, name: string): Uint8Array {
	const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
	requireBpfObject(view);
	const table = Number(view.getBigUint64(40, true));
	const count = view.getUint16(60, true);
	const namesIndex = view.getUint16(62, true);
	if (table + count * SECTION_HEADER_SIZE > file.length || namesIndex >= count)
		throw new FormatError('its section headers are outside of the file');

	const sectionAt = (index: number): Uint8Array => {
		const header = table + index * SECTION_HEADER_SIZE;
		const offset = Number(view.getBigUint64(header + 24, true));
		const size = Number(view.getBigUint64(header + 32, true));
		if (offset + size > file.length) throw new FormatError(`section ${index} is outside of the file`);
		return file.subarray(offset, offset + size);
	};
	const names = sectionAt(namesIndex);
	for (let index = 0; index < count; index++) {
		const nameOffset = view.getUint32(table + index * SECTION_HEADER_SIZE, true);
		if (cString(names, nameOffset) === name) return sectionAt(index);
	}
	throw new FormatError(`it has no section ${name} (compile with -g)`);
}

function requireBpfObject(view: DataView): void {
	if (view.byteLength < HEADER_SIZE || view.getUint32(0) !== 0x7f454c46) throw new FormatError('it is not an ELF file');
	if (view.getUint8(4) !== CLASS_64 || view.getUint8(5) !== LITTLE_ENDIAN || view.getUint16(18, true) !== EM_BPF)
		throw new FormatError('it is not a little-endian BPF object');
}

/** The text from an offset to the next NUL. */
export function cString(bytes: Uint8Array, offset: number): string {
	const end = bytes.indexOf(0, offset);
	if (offset >= bytes.length || end < 0) throw new FormatError(`a name at ${offset} is outside of its table`);
	return new TextDecoder().decode(bytes.subarray(offset, end));
}
