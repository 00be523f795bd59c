import {addressBytes, formatAddress} from './address.js';
import {concatBytes, type Decoded, viewOf} from './bytes.js';
import {internetChecksum} from './checksum.js';

const IPV4_HEADER_LENGTH_MIN = 20;
export const IPV6_HEADER_LENGTH = 40;

export interface IpPacket {
	readonly source: string;
	readonly destination: string;
	readonly protocol: number;
	/** The hop limit of IPv6. */
	readonly ttl: number;
	/** Without the padding of short Ethernet frames. */
	readonly payload: Uint8Array;
}

/** Reads the header of a whole packet; IPv6 extension headers stay in the payload. */
export function decodeIp(bytes: Uint8Array): Decoded<IpPacket, 'bad-ip-header'> {
	const packet = (bytes[0] ?? 0) >> 4 === 6 ? decodeIpv6(bytes) : decodeIpv4(bytes);
	return packet === null ? {ok: false, reason: 'bad-ip-header'} : {ok: true, value: packet};
}

/** RFC 791 §3.1, as a raw socket delivers it: defragmented, checksum verified by the kernel. */
function decodeIpv4(bytes: Uint8Array): IpPacket | null {
	if (bytes.length < IPV4_HEADER_LENGTH_MIN) return null;
	const view = viewOf(bytes);
	const headerLength = ipv4HeaderLength(bytes);
	const totalLength = view.getUint16(2);
	const wellFormed =
		view.getUint8(0) >> 4 === 4 &&
		headerLength >= IPV4_HEADER_LENGTH_MIN &&
		headerLength <= totalLength &&
		totalLength <= bytes.length;
	if (!wellFormed) return null;
	return {
		source: formatAddress(bytes.subarray(12, 16)),
		destination: formatAddress(bytes.subarray(16, 20)),
		protocol: view.getUint8(9),
		ttl: view.getUint8(8),
		payload: bytes.subarray(headerLength, totalLength),
	};
}

/** Length of the header of a packet that `decodeIp` has read. */
export function ipv4HeaderLength(packet: Uint8Array): number {
	return ((packet[0] ?? 0) & 0x0f) * 4;
}

/** What else the header of IPv4 says. */
export interface Ipv4Fields {
	readonly typeOfService: number;
	/** Not 0, or the kernel chooses another one. */
	readonly identification: number;
}

/** An IPv4 packet without options and without the header's checksum, which raw sockets fill in (raw(7), IP_HDRINCL). */
export function encodeIpv4(packet: IpPacket & Ipv4Fields): Uint8Array {
	const header = new Uint8Array(IPV4_HEADER_LENGTH_MIN);
	const view = viewOf(header);
	view.setUint8(0, 0x45);
	view.setUint8(1, packet.typeOfService);
	view.setUint16(2, header.length + packet.payload.length);
	view.setUint16(4, packet.identification);
	view.setUint8(8, packet.ttl);
	view.setUint8(9, packet.protocol);
	header.set(addressBytes(packet.source), 12);
	header.set(addressBytes(packet.destination), 16);
	return concatBytes(header, packet.payload);
}

/** RFC 8200 §3. */
function decodeIpv6(bytes: Uint8Array): IpPacket | null {
	if (bytes.length < IPV6_HEADER_LENGTH) return null;
	const view = viewOf(bytes);
	const totalLength = IPV6_HEADER_LENGTH + view.getUint16(4);
	if (totalLength > bytes.length) return null;
	return {
		source: formatAddress(bytes.subarray(8, 24)),
		destination: formatAddress(bytes.subarray(24, 40)),
		protocol: view.getUint8(6),
		ttl: view.getUint8(7),
		payload: bytes.subarray(IPV6_HEADER_LENGTH, totalLength),
	};
}

/** An IPv6 packet without extension headers, traffic class or flow label (RFC 8200 §3). */
export function encodeIpv6({source, destination, protocol, ttl, payload}: IpPacket): Uint8Array {
	const header = new Uint8Array(IPV6_HEADER_LENGTH);
	const view = viewOf(header);
	view.setUint8(0, 0x60);
	view.setUint16(4, payload.length);
	view.setUint8(6, protocol);
	view.setUint8(7, ttl);
	header.set(addressBytes(source), 8);
	header.set(addressBytes(destination), 24);
	return concatBytes(header, payload);
}

/** The two ends of a packet. */
export type Path = Pick<IpPacket, 'source' | 'destination'>;

/**
 * The checksum of a message that also covers the addresses it travels between (RFC 793 §3.1, RFC 8200 §8.1: the pseudo
 * headers differ in layout, not in sum).
 */
export function checksumOnPath(message: Uint8Array, protocol: number, path: Path): number {
	const ends = new Uint8Array(4);
	viewOf(ends).setUint16(0, protocol);
	viewOf(ends).setUint16(2, message.length);
	return internetChecksum(addressBytes(path.source), addressBytes(path.destination), ends, message);
}
