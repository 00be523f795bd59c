/** The frames that the traffic program fills in: Ethernet, IP and TCP without options, as short as a wire takes them. */
import {
	addressBytes,
	addressLength,
	endpointName,
	type Family,
	family,
	formatAddress,
	macBytes,
} from '../net/address.js';
import {viewOf} from '../net/bytes.js';
import {internetChecksum} from '../net/checksum.js';

/** FRAME_BYTES of traffic.bpf.c. */
export const FRAME_BYTES = {4: 64, 6: 74} as const;
/** FRAME_ROOM of traffic.bpf.c. */
export const FRAME_ROOM = 80;

const ETHERNET = 14;
const TCP = 20;
const PROTOCOL_TCP = 6;
/** Offsets in a frame. */
const LAYOUT = {
	4: {etherType: 0x0800, addresses: ETHERNET + 12, tcp: ETHERNET + 20},
	6: {etherType: 0x86dd, addresses: ETHERNET + 8, tcp: ETHERNET + 40},
} as const;
const FLAG_BITS = {R: 0x04, S: 0x02, A: 0x10, SA: 0x12} as const;

export type Flags = keyof typeof FLAG_BITS;

/** Flags and offset of an IPv4 header (RFC 791 §3.1). A later fragment's is where a full one before it would end. */
const FRAGMENT_WORDS = {none: 0x4000, first: 0x2000, later: 0x2000 | (1480 / 8)} as const;

/** Which part of a datagram a frame is; `none`: a whole packet that may not be fragmented. */
export type Fragment = keyof typeof FRAGMENT_WORDS;

export interface FrameParts {
	readonly fromMac: string;
	readonly toMac: string;
	/** `198.51.100.1:80` or `[2001:db8::1]:80`, both of one family. */
	readonly from: string;
	readonly to: string;
	readonly flags: Flags;
	readonly seq: number;
	readonly ack: number;
	/** At most `payloadRoom`. */
	readonly payloadBytes: number;
	/** Of IPv4; all fragments of two ends are one datagram's. */
	readonly fragment?: Fragment;
}

/** What `198.51.100.1:80` or `[2001:db8::1]:80` consists of. */
export function addressAndPort(end: string): {readonly address: string; readonly port: number} {
	const colon = end.lastIndexOf(':');
	return {address: end.slice(0, colon).replace(/[[\]]/g, ''), port: Number(end.slice(colon + 1))};
}

/** The family of `198.51.100.1:80` or `[2001:db8::1]:80`. */
export function familyOfEnd(end: string): Family {
	return family(addressAndPort(end).address);
}

/** What a frame has room for behind its headers. */
export function payloadRoom(of: Family): number {
	return FRAME_BYTES[of] - LAYOUT[of].tcp - TCP;
}

/** A frame with all checksums right; behind a shorter packet the rest is zeroes. */
export function tcpFrame(parts: FrameParts): Uint8Array {
	const of = familyOfEnd(parts.to);
	const {etherType, tcp} = LAYOUT[of];
	const frame = new Uint8Array(FRAME_BYTES[of]);
	const view = viewOf(frame);
	const segmentBytes = TCP + parts.payloadBytes;
	frame.set(macBytes(parts.toMac) ?? [], 0);
	frame.set(macBytes(parts.fromMac) ?? [], 6);
	view.setUint16(12, etherType);
	putEnds(frame, of, parts);
	view.setUint32(tcp + 4, parts.seq);
	view.setUint32(tcp + 8, parts.ack);
	view.setUint8(tcp + 12, (TCP / 4) << 4);
	view.setUint8(tcp + 13, FLAG_BITS[parts.flags]);
	view.setUint16(tcp + 14, 0xffff);
	putTcpChecksum(frame, of, segmentBytes);
	if (of === 4) putIpv4(view, segmentBytes, parts.fragment ?? 'none');
	else putIpv6(view, segmentBytes);
	return frame;
}

/** Where a frame goes, as `198.51.100.1:80` or `[2001:db8::1]:80`. */
export function destinationOf(frame: Uint8Array, of: Family): string {
	const {addresses, tcp} = LAYOUT[of];
	const address = formatAddress(frame.subarray(addresses + addressLength(of), tcp));
	return endpointName(address, viewOf(frame).getUint16(tcp + 2), 'tcp');
}

function putEnds(frame: Uint8Array, of: Family, {from, to}: FrameParts): void {
	const {addresses, tcp} = LAYOUT[of];
	[from, to].map(addressAndPort).forEach(({address, port}, index) => {
		frame.set(addressBytes(address), addresses + index * addressLength(of));
		viewOf(frame).setUint16(tcp + 2 * index, port);
	});
}

/** What the header says beside its addresses, which the checksum covers too. */
function putIpv4(view: DataView, segmentBytes: number, fragment: Fragment): void {
	const {tcp} = LAYOUT[4];
	view.setUint8(ETHERNET, 0x45);
	view.setUint16(ETHERNET + 2, tcp - ETHERNET + segmentBytes);
	view.setUint16(ETHERNET + 6, FRAGMENT_WORDS[fragment]);
	view.setUint8(ETHERNET + 8, 64);
	view.setUint8(ETHERNET + 9, PROTOCOL_TCP);
	const header = new Uint8Array(view.buffer, view.byteOffset + ETHERNET, tcp - ETHERNET);
	view.setUint16(ETHERNET + 10, internetChecksum(header));
}

function putIpv6(view: DataView, segmentBytes: number): void {
	view.setUint8(ETHERNET, 0x60);
	view.setUint16(ETHERNET + 4, segmentBytes);
	view.setUint8(ETHERNET + 6, PROTOCOL_TCP);
	view.setUint8(ETHERNET + 7, 64);
}

/** The addresses, the protocol and the segment's length come before the segment (RFC 9293, 3.1; RFC 8200, 8.1). */
function putTcpChecksum(frame: Uint8Array, of: Family, segmentBytes: number): void {
	const {addresses, tcp} = LAYOUT[of];
	const numbers = new Uint8Array(4);
	viewOf(numbers).setUint16(0, PROTOCOL_TCP);
	viewOf(numbers).setUint16(2, segmentBytes);
	const pseudo = [frame.subarray(addresses, addresses + 2 * addressLength(of)), numbers];
	viewOf(frame).setUint16(tcp + 16, internetChecksum(...pseudo, frame.subarray(tcp, tcp + segmentBytes)));
}
