import type {Family} from './address.js';
import {concatBytes, viewOf} from './bytes.js';
import {internetChecksum} from './checksum.js';

const HEADER_LENGTH = 8;
/** Type of the request and of the reply: RFC 792, RFC 4443 section 4. */
const TYPES: Readonly<Record<Family, {readonly request: number; readonly reply: number}>> = {
	4: {request: 8, reply: 0},
	6: {request: 128, reply: 129},
};

/** An echo request. Over IPv6 the kernel adds the checksum, which covers addresses. */
export function encodeEchoRequest(family: Family, id: number, payload: Uint8Array): Uint8Array {
	const header = new Uint8Array(HEADER_LENGTH);
	const view = viewOf(header);
	view.setUint8(0, TYPES[family].request);
	view.setUint16(4, id);
	view.setUint16(6, 1); // sequence number
	if (family === 4) view.setUint16(2, internetChecksum(header, payload));
	return concatBytes(header, payload);
}

/** What an echo reply carries; null for any other message. The kernel has looked at its checksum. */
export function echoReplyPayload(family: Family, message: Uint8Array): Uint8Array | null {
	const isReply = message.length >= HEADER_LENGTH && message[0] === TYPES[family].reply && message[1] === 0;
	return isReply ? message.subarray(HEADER_LENGTH) : null;
}
