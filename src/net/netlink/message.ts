/**
 * Netlink framing (linux/netlink.h): messages with a header of 16 bytes, attributes with one of 4, both padded to 4. The
 * kernel speaks the machine's own byte order here; only addresses are in network order.
 */
import {concatBytes, type Decoded, LITTLE_ENDIAN, viewOf} from '../bytes.js';

const HEADER_LENGTH = 16;
const ATTRIBUTE_HEADER_LENGTH = 4;
/** Without the bits that mark nesting and network order. */
const ATTRIBUTE_TYPE_MASK = 0x3fff;

export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;

export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
export const NLM_F_DUMP = 0x300;
/** An add that must not find anything there. */
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_APPEND = 0x800;
/** In an answer: the thing changed while it was being dumped. */
export const NLM_F_DUMP_INTR = 0x10;

export interface NetlinkMessage {
	readonly type: number;
	readonly flags: number;
	readonly sequence: number;
	readonly body: Uint8Array;
}

export type Attributes = ReadonlyMap<number, Uint8Array>;

export function encodeMessage(message: NetlinkMessage): Uint8Array {
	const bytes = concatBytes(new Uint8Array(HEADER_LENGTH), message.body);
	const view = viewOf(bytes);
	view.setUint32(0, bytes.length, LITTLE_ENDIAN);
	view.setUint16(4, message.type, LITTLE_ENDIAN);
	view.setUint16(6, message.flags, LITTLE_ENDIAN);
	view.setUint32(8, message.sequence, LITTLE_ENDIAN);
	return bytes;
}

/** The messages of one datagram. The bodies are views of it. */
export function decodeMessages(datagram: Uint8Array): Decoded<NetlinkMessage[], 'bad-length'> {
	const messages: NetlinkMessage[] = [];
	const view = viewOf(datagram);
	let offset = 0;
	while (offset < datagram.length) {
		if (datagram.length - offset < HEADER_LENGTH) return {ok: false, reason: 'bad-length'};
		const length = view.getUint32(offset, LITTLE_ENDIAN);
		if (length < HEADER_LENGTH || length > datagram.length - offset) return {ok: false, reason: 'bad-length'};
		messages.push({
			type: view.getUint16(offset + 4, LITTLE_ENDIAN),
			flags: view.getUint16(offset + 6, LITTLE_ENDIAN),
			sequence: view.getUint32(offset + 8, LITTLE_ENDIAN),
			body: datagram.subarray(offset + HEADER_LENGTH, offset + length),
		});
		offset += padded(length);
	}
	return {ok: true, value: messages};
}

/** The errno of an NLMSG_ERROR or NLMSG_DONE body as a positive number; 0 is success, undefined no number at all. */
export function decodeErrno(body: Uint8Array): number | undefined {
	return body.length < 4 ? undefined : 0 - viewOf(body).getInt32(0, LITTLE_ENDIAN);
}

export function encodeAttribute(type: number, value: Uint8Array): Uint8Array {
	const bytes = new Uint8Array(padded(ATTRIBUTE_HEADER_LENGTH + value.length));
	const view = viewOf(bytes);
	view.setUint16(0, ATTRIBUTE_HEADER_LENGTH + value.length, LITTLE_ENDIAN);
	view.setUint16(2, type, LITTLE_ENDIAN);
	bytes.set(value, ATTRIBUTE_HEADER_LENGTH);
	return bytes;
}

/** Attributes by type, the last of each; undefined when one is longer than what is left. */
export function decodeAttributes(bytes: Uint8Array): Attributes | undefined {
	const attributes = new Map<number, Uint8Array>();
	const view = viewOf(bytes);
	let offset = 0;
	while (bytes.length - offset >= ATTRIBUTE_HEADER_LENGTH) {
		const length = view.getUint16(offset, LITTLE_ENDIAN);
		if (length < ATTRIBUTE_HEADER_LENGTH || length > bytes.length - offset) return undefined;
		const type = view.getUint16(offset + 2, LITTLE_ENDIAN) & ATTRIBUTE_TYPE_MASK;
		attributes.set(type, bytes.subarray(offset + ATTRIBUTE_HEADER_LENGTH, offset + length));
		offset += padded(length);
	}
	return attributes;
}

/** A NUL-terminated string as attributes carry names. */
export function encodeText(text: string): Uint8Array {
	return Buffer.from(`${text}\0`, 'utf8');
}

export function decodeText(bytes: Uint8Array): string {
	return Buffer.from(bytes).toString('utf8').replace(/\0.*$/s, '');
}

export function encodeU8(value: number): Uint8Array {
	return Uint8Array.of(value);
}

export function encodeU16(value: number): Uint8Array {
	const bytes = new Uint8Array(2);
	viewOf(bytes).setUint16(0, value, LITTLE_ENDIAN);
	return bytes;
}

export function encodeU32(value: number): Uint8Array {
	const bytes = new Uint8Array(4);
	viewOf(bytes).setUint32(0, value, LITTLE_ENDIAN);
	return bytes;
}

export function decodeU32(bytes: Uint8Array | undefined): number | undefined {
	return bytes === undefined || bytes.length < 4 ? undefined : viewOf(bytes).getUint32(0, LITTLE_ENDIAN);
}

function padded(length: number): number {
	return (length + 3) & ~3;
}
