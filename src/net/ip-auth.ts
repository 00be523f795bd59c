/**
 * The IP Authentication Header (RFC 2402) before VRRP messages of version 2 (RFC 2338 §5.3.6.3): HMAC-MD5-96 (RFC 2403)
 * over the whole IPv4 packet. Of the fields that may change on the way (RFC 2402 §3.3.3.1.1) keepalived covers one, the
 * time to live of multicast, which is not to be routed. The security parameters index is the sender.
 */
import {createHmac, timingSafeEqual} from 'node:crypto';
import {addressBytes, formatAddress, isMulticast} from './address.js';
import {compareBytes, concatBytes, type Decoded, viewOf} from './bytes.js';
import {encodeIpv4, type IpPacket, type Ipv4Fields, ipv4HeaderLength} from './ip.js';

export const AH_PROTOCOL = 51;
export const AH_LENGTH = 24;
/** In words of 4 bytes, less 2 (RFC 2402 §2.2). */
const LENGTH_FIELD = AH_LENGTH / 4 - 2;
const ICV_OFFSET = 12;
const ICV_LENGTH = 12;
type Bytes = readonly [from: number, to: number];
/** Of the IPv4 header, what may change on the way: type of service, fragment, checksum. */
const MUTABLE: readonly Bytes[] = [
	[1, 2],
	[6, 8],
	[10, 12],
];
const TTL: Bytes = [8, 9];
const DESTINATION: Bytes = [16, 20];

/** Why what comes behind a header is not believed. */
export type AuthReason = 'bad-auth-header' | 'bad-password';

/** A whole IPv4 packet with the header before its payload; `sequence` is to grow from packet to packet. */
export function encodeAuthenticated(
	packet: IpPacket & Ipv4Fields,
	{key, sequence}: {readonly key: string; readonly sequence: number},
): Uint8Array {
	const header = new Uint8Array(AH_LENGTH);
	const view = viewOf(header);
	view.setUint8(0, packet.protocol);
	view.setUint8(1, LENGTH_FIELD);
	header.set(addressBytes(packet.source), 4);
	view.setUint32(8, sequence);
	const bytes = encodeIpv4({...packet, protocol: AH_PROTOCOL, payload: concatBytes(header, packet.payload)});
	const start = ipv4HeaderLength(bytes);
	bytes.set(integrityValue(bytes, start, key), start + ICV_OFFSET);
	return bytes;
}

/** The packet without the header, and the sender's counter. `bytes` is a packet that `decodeIp` has read as `packet`. */
export function openAuthenticated(
	bytes: Uint8Array,
	packet: IpPacket,
	key: string,
): Decoded<{readonly inner: IpPacket; readonly sequence: number}, AuthReason> {
	const {payload, source} = packet;
	const view = viewOf(payload);
	const wellFormed =
		payload.length >= AH_LENGTH &&
		view.getUint8(1) === LENGTH_FIELD &&
		compareBytes(payload.subarray(4, 8), addressBytes(source)) === 0;
	if (!wellFormed) return {ok: false, reason: 'bad-auth-header'};
	const start = ipv4HeaderLength(bytes);
	const whole = bytes.slice(0, start + payload.length);
	const said = payload.subarray(ICV_OFFSET, ICV_OFFSET + ICV_LENGTH);
	if (!timingSafeEqual(said, integrityValue(whole, start, key))) return {ok: false, reason: 'bad-password'};
	const inner = {...packet, protocol: view.getUint8(0), payload: payload.subarray(AH_LENGTH)};
	return {ok: true, value: {inner, sequence: view.getUint32(8)}};
}

/** Of a packet whose authentication header is at `start`; what is there now does not matter. */
function integrityValue(packet: Uint8Array, start: number, key: string): Uint8Array {
	const covered = packet.slice();
	const isRouted = !isMulticast(formatAddress(packet.subarray(...DESTINATION)));
	for (const [from, to] of isRouted ? [...MUTABLE, TTL] : MUTABLE) covered.fill(0, from, to);
	covered.fill(0, start + ICV_OFFSET, start + ICV_OFFSET + ICV_LENGTH);
	return createHmac('md5', key).update(covered).digest().subarray(0, ICV_LENGTH);
}
