/** The frames that the traffic program fills in: Ethernet, IPv4 and TCP without options, as short as a wire takes them. */
import {addressBytes, macBytes} from '../net/address.js';
import {viewOf} from '../net/bytes.js';
import {internetChecksum} from '../net/checksum.js';

/** FRAME_BYTES of traffic.bpf.c. */
export const FRAME_BYTES = 64;
const ETHERNET = 14;
const IPV4 = 20;
const TCP = 20;
const FLAG_BITS = {S: 0x02, A: 0x10, SA: 0x12} as const;

export type Flags = keyof typeof FLAG_BITS;

export interface FrameParts {
	readonly fromMac: string;
	readonly toMac: string;
	/** `198.51.100.1:80` */
	readonly from: string;
	readonly to: string;
	readonly flags: Flags;
	readonly seq: number;
	readonly ack: number;
	/** At most 10. */
	readonly payloadBytes: number;
}

/** A frame with both checksums right; behind a shorter packet the rest is zeroes. */
export function tcpFrame(parts: FrameParts): Uint8Array {
	const frame = new Uint8Array(FRAME_BYTES);
	const view = viewOf(frame);
	const length = IPV4 + TCP + parts.payloadBytes;
	frame.set(macBytes(parts.toMac) ?? [], 0);
	frame.set(macBytes(parts.fromMac) ?? [], 6);
	view.setUint16(12, 0x0800);
	view.setUint8(ETHERNET, 0x45);
	view.setUint16(ETHERNET + 2, length);
	view.setUint16(ETHERNET + 6, 0x4000); // may not be fragmented
	view.setUint8(ETHERNET + 8, 64);
	view.setUint8(ETHERNET + 9, 6);
	putEnd(frame, parts.from, ETHERNET + 12, ETHERNET + IPV4);
	putEnd(frame, parts.to, ETHERNET + 16, ETHERNET + IPV4 + 2);
	view.setUint32(ETHERNET + IPV4 + 4, parts.seq);
	view.setUint32(ETHERNET + IPV4 + 8, parts.ack);
	view.setUint8(ETHERNET + IPV4 + 12, (TCP / 4) << 4);
	view.setUint8(ETHERNET + IPV4 + 13, FLAG_BITS[parts.flags]);
	view.setUint16(ETHERNET + IPV4 + 14, 0xffff);
	putChecksums(frame, length);
	return frame;
}

function putEnd(frame: Uint8Array, end: string, addressAt: number, portAt: number): void {
	const [address = '', port] = end.split(':');
	frame.set(addressBytes(address), addressAt);
	viewOf(frame).setUint16(portAt, Number(port));
}

function putChecksums(frame: Uint8Array, length: number): void {
	const view = viewOf(frame);
	view.setUint16(ETHERNET + 10, internetChecksum(frame.subarray(ETHERNET, ETHERNET + IPV4)));
	const segment = frame.subarray(ETHERNET + IPV4, ETHERNET + length);
	// RFC 9293 3.1: addresses, a zero, the protocol and the segment's length come before the segment.
	const pseudo = new Uint8Array(12);
	pseudo.set(frame.subarray(ETHERNET + 12, ETHERNET + 20));
	viewOf(pseudo).setUint16(8, 6);
	viewOf(pseudo).setUint16(10, segment.length);
	view.setUint16(ETHERNET + IPV4 + 16, internetChecksum(pseudo, segment));
}
