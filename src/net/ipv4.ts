import {formatAddress} from './address.js';
import {type Decoded, viewOf} from './bytes.js';

const MIN_HEADER_LENGTH = 20;

export interface Ipv4Packet {
	readonly source: string;
	readonly destination: string;
	readonly protocol: number;
	readonly ttl: number;
	/** Without the padding of short Ethernet frames. */
	readonly payload: Uint8Array;
}

/** Reads an IPv4 header (RFC 791 §3.1) as a raw socket delivers it: whole, defragmented, checksum verified by the kernel. */
export function decodeIpv4(bytes: Uint8Array): Decoded<Ipv4Packet, 'bad-ip-header'> {
	if (bytes.length < MIN_HEADER_LENGTH) return {ok: false, reason: 'bad-ip-header'};
	const view = viewOf(bytes);
	const headerLength = (view.getUint8(0) & 0x0f) * 4;
	const totalLength = view.getUint16(2);
	const wellFormed =
		view.getUint8(0) >> 4 === 4 &&
		headerLength >= MIN_HEADER_LENGTH &&
		headerLength <= totalLength &&
		totalLength <= bytes.length;
	if (!wellFormed) return {ok: false, reason: 'bad-ip-header'};
	return {
		ok: true,
		value: {
			source: formatAddress(bytes.subarray(12, 16)),
			destination: formatAddress(bytes.subarray(16, 20)),
			protocol: view.getUint8(9),
			ttl: view.getUint8(8),
			payload: bytes.subarray(headerLength, totalLength),
		},
	};
}
