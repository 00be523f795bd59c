/** Frames for packet tests: built from readable parts, taken apart again, compared line by line. */
import {addressBytes, formatAddress, formatMac, macBytes} from '../../src/net/address.js';
import {internetChecksum} from '../../src/net/checksum.js';

export const ETHERNET = 14;
const IPV4 = 20;
const TCP = 20;
const UDP = 8;
export const ICMP = 8;
export const PROTOCOL = {icmp: 1, tcp: 6, udp: 17} as const;
const ETHERTYPE_IPV4 = 0x0800;

const FLAG_BITS = {F: 1, S: 2, R: 4, P: 8, A: 16, U: 32} as const;

/** An IPv4 packet in an Ethernet frame. Endpoints are written `192.168.1.50:40000`. */
export interface UdpParts {
	readonly toMac: string;
	readonly fromMac: string;
	readonly from: string;
	readonly to: string;
	readonly ttl?: number;
	/** IPv4 options, a multiple of four bytes. */
	readonly options?: Uint8Array;
	readonly payload?: Uint8Array;
}

export interface TcpParts extends UdpParts {
	/** Letters of F S R P A U. */
	readonly flags: string;
	readonly seq?: number;
	readonly ack?: number;
}

/** The frame with both checksums right. */
export function tcpFrame(parts: TcpParts): Uint8Array {
	const segment = new Uint8Array(TCP + (parts.payload?.length ?? 0));
	const view = new DataView(segment.buffer);
	view.setUint16(0, endpoint(parts.from)[1]);
	view.setUint16(2, endpoint(parts.to)[1]);
	view.setUint32(4, parts.seq ?? 1000);
	view.setUint32(8, parts.ack ?? 0);
	view.setUint8(12, (TCP / 4) << 4);
	view.setUint8(13, flagBits(parts.flags));
	view.setUint16(14, 0xfaf0);
	segment.set(parts.payload ?? [], TCP);
	return withChecksums(ipv4Frame(parts, PROTOCOL.tcp, segment));
}

/** The frame with both checksums right; UDP's may be patched to 0, which means none. */
export function udpFrame(parts: UdpParts): Uint8Array {
	const datagram = new Uint8Array(UDP + (parts.payload?.length ?? 0));
	const view = new DataView(datagram.buffer);
	view.setUint16(0, endpoint(parts.from)[1]);
	view.setUint16(2, endpoint(parts.to)[1]);
	view.setUint16(4, datagram.length);
	view.setUint16(6, 0xffff);
	datagram.set(parts.payload ?? [], UDP);
	return withChecksums(ipv4Frame(parts, PROTOCOL.udp, datagram));
}

/** An ICMP error: type, code, the word behind the checksum, and how much of the packet that it is about it quotes. */
export interface IcmpErrorParts extends UdpParts {
	readonly type?: number;
	readonly code?: number;
	readonly rest?: number;
	readonly about: Uint8Array;
	/** Bytes behind the IPv4 header; default 8. */
	readonly quoted?: number;
}

/** The frame with both of its own checksums right. */
export function icmpErrorFrame(parts: IcmpErrorParts): Uint8Array {
	const quotation = parts.about.slice(ETHERNET, transportOffset(parts.about) + (parts.quoted ?? 8));
	const message = new Uint8Array(ICMP + quotation.length);
	const view = new DataView(message.buffer);
	view.setUint8(0, parts.type ?? 3);
	view.setUint8(1, parts.code ?? 1);
	view.setUint32(4, parts.rest ?? 0);
	message.set(quotation, ICMP);
	return withChecksums(ipv4Frame(parts, PROTOCOL.icmp, message));
}

/** A frame around a packet's content, checksums not yet computed. */
function ipv4Frame(parts: UdpParts, protocol: number, content: Uint8Array): Uint8Array {
	const options = parts.options ?? new Uint8Array(0);
	const headerLength = IPV4 + options.length;
	const frame = new Uint8Array(ETHERNET + headerLength + content.length);
	const view = new DataView(frame.buffer);
	frame.set(mac(parts.toMac), 0);
	frame.set(mac(parts.fromMac), 6);
	view.setUint16(12, ETHERTYPE_IPV4);

	view.setUint8(ETHERNET, 0x40 | (headerLength / 4));
	view.setUint16(ETHERNET + 2, headerLength + content.length);
	view.setUint16(ETHERNET + 4, 0x1234);
	view.setUint16(ETHERNET + 6, 0x4000);
	view.setUint8(ETHERNET + 8, parts.ttl ?? 64);
	view.setUint8(ETHERNET + 9, protocol);
	frame.set(addressBytes(endpoint(parts.from)[0]), ETHERNET + 12);
	frame.set(addressBytes(endpoint(parts.to)[0]), ETHERNET + 16);
	frame.set(options, ETHERNET + IPV4);
	frame.set(content, ETHERNET + headerLength);
	return frame;
}

/** A copy of an IPv4 frame with both checksums computed in full. A UDP checksum of 0 stays: there is none. */
export function withChecksums(frame: Uint8Array): Uint8Array {
	const fresh = frame.slice();
	const view = new DataView(fresh.buffer);
	view.setUint16(ETHERNET + 10, fullChecksums(fresh).ip);
	const at = checksumOffset(fresh);
	if (!isUdp(fresh)) view.setUint16(at, fullChecksums(fresh).transport);
	else if (view.getUint16(at) !== 0) view.setUint16(at, fullChecksums(fresh).transport || 0xffff);
	return fresh;
}

/** What both checksums of an IPv4 frame should be, whatever they are. */
export function fullChecksums(frame: Uint8Array): {readonly ip: number; readonly transport: number} {
	const copy = frame.slice();
	const view = new DataView(copy.buffer);
	const transport = transportOffset(copy);
	const end = ETHERNET + view.getUint16(ETHERNET + 2);
	const ip = headerChecksum(frame, ETHERNET);
	view.setUint16(checksumOffset(copy), 0);
	if (isIcmp(copy)) return {ip, transport: internetChecksum(copy.subarray(transport, end))};
	const pseudo = new Uint8Array(12);
	pseudo.set(copy.subarray(ETHERNET + 12, ETHERNET + 20), 0);
	new DataView(pseudo.buffer).setUint16(8, view.getUint8(ETHERNET + 9));
	new DataView(pseudo.buffer).setUint16(10, end - transport);
	return {ip, transport: internetChecksum(pseudo, copy.subarray(transport, end))};
}

/** What the checksum of the IPv4 header at an offset should be. */
export function headerChecksum(frame: Uint8Array, at: number): number {
	const header = frame.slice(at, at + ((frame[at] ?? 0) & 15) * 4);
	header.fill(0, 10, 12);
	return internetChecksum(header);
}

/** Where the TCP, UDP or ICMP header of an IPv4 frame begins. */
export function transportOffset(frame: Uint8Array): number {
	return ETHERNET + ((frame[ETHERNET] ?? 0) & 15) * 4;
}

/** Where the TCP, UDP or ICMP checksum of an IPv4 frame is. */
export function checksumOffset(frame: Uint8Array): number {
	if (isIcmp(frame)) return transportOffset(frame) + 2;
	return transportOffset(frame) + (isUdp(frame) ? 6 : 16);
}

export function isIcmp(frame: Uint8Array): boolean {
	return frame[ETHERNET + 9] === PROTOCOL.icmp;
}

export function isUdp(frame: Uint8Array): boolean {
	return frame[ETHERNET + 9] === PROTOCOL.udp;
}

/** A frame of another kind: EtherType and what follows. */
export function otherFrame(toMac: string, fromMac: string, etherType: number, body: Uint8Array): Uint8Array {
	const frame = new Uint8Array(Math.max(60, ETHERNET + body.length));
	frame.set(mac(toMac), 0);
	frame.set(mac(fromMac), 6);
	new DataView(frame.buffer).setUint16(12, etherType);
	frame.set(body, ETHERNET);
	return frame;
}

const VLAN_TYPES: readonly number[] = [0x8100, 0x88a8];
const TAGS_MAX = 2;
const TAG = 4;

/** A copy with VLAN tags, the outermost first: their IDs, below priority 5. */
export function tagged(frame: Uint8Array, ...ids: readonly number[]): Uint8Array {
	const tags = new Uint8Array(TAG * ids.length);
	const view = new DataView(tags.buffer);
	ids.forEach((id, n) => {
		view.setUint16(TAG * n, n === ids.length - 1 ? 0x8100 : 0x88a8);
		view.setUint16(TAG * n + 2, 0xa000 | id);
	});
	return withTags(frame, tags);
}

/** Up to two tags and the frame without them; undefined where the frame ends in one. */
export function untagged(frame: Uint8Array): {readonly tags: Uint8Array; readonly bare: Uint8Array} | undefined {
	const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
	let at = 12;
	while (at < 12 + TAG * TAGS_MAX && VLAN_TYPES.includes(view.getUint16(at))) {
		at += TAG;
		if (frame.length < at + 2) return undefined;
	}
	const bare = new Uint8Array(frame.length - (at - 12));
	bare.set(frame.subarray(0, 12));
	bare.set(frame.subarray(at), 12);
	return {tags: frame.slice(12, at), bare};
}

export function withTags(frame: Uint8Array, tags: Uint8Array): Uint8Array {
	return Uint8Array.from([...frame.subarray(0, 12), ...tags, ...frame.subarray(12)]);
}

/** What NAT makes of a frame: other addresses, one hop less, both checksums computed in full. */
export function translated(
	frame: Uint8Array,
	to: {readonly toMac: string; readonly fromMac: string; readonly from?: string; readonly to?: string},
): Uint8Array {
	const copy = frame.slice();
	const transport = transportOffset(copy);
	copy.set(mac(to.toMac), 0);
	copy.set(mac(to.fromMac), 6);
	if (to.from !== undefined) putEndpoint(copy, to.from, ETHERNET + 12, transport);
	if (to.to !== undefined) putEndpoint(copy, to.to, ETHERNET + 16, transport + 2);
	copy[ETHERNET + 8] = (copy[ETHERNET + 8] ?? 0) - 1;
	return withChecksums(copy);
}

/** The packet as an ICMP error must quote it: other ends, the IPv4 checksum right, the transport checksum as it was. */
export function renamed(frame: Uint8Array, to: {readonly from?: string; readonly to?: string}): Uint8Array {
	const copy = frame.slice();
	const transport = transportOffset(copy);
	if (to.from !== undefined) putEndpoint(copy, to.from, ETHERNET + 12, transport);
	if (to.to !== undefined) putEndpoint(copy, to.to, ETHERNET + 16, transport + 2);
	new DataView(copy.buffer).setUint16(ETHERNET + 10, headerChecksum(copy, ETHERNET));
	return copy;
}

function putEndpoint(frame: Uint8Array, text: string, addressAt: number, portAt: number): void {
	const [address, port] = endpoint(text);
	frame.set(addressBytes(address), addressAt);
	new DataView(frame.buffer).setUint16(portAt, port);
}

/** A copy with some bytes replaced: `patched(frame, {22: 1})`. */
export function patched(frame: Uint8Array, bytes: Readonly<Record<number, number>>): Uint8Array {
	const copy = frame.slice();
	for (const [offset, byte] of Object.entries(bytes)) copy[Number(offset)] = byte;
	return copy;
}

/** The header fields of a frame, one a line; two frames that differ show it in a diff. */
export function describe(frame: Uint8Array): string[] {
	const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
	const lines = [
		`${formatMac(frame.subarray(6, 12))} > ${formatMac(frame.subarray(0, 6))} type ${hex(view.getUint16(12))}`,
	];
	const tcp = transportOffset(frame);
	if (view.getUint16(12) !== ETHERTYPE_IPV4 || frame[ETHERNET + 9] !== PROTOCOL.tcp || frame.length < tcp + TCP)
		return [...lines, hexDump(frame.subarray(ETHERNET))];
	const source = formatAddress(frame.subarray(ETHERNET + 12, ETHERNET + 16));
	const destination = formatAddress(frame.subarray(ETHERNET + 16, ETHERNET + 20));
	lines.push(
		`${source}:${view.getUint16(tcp)} > ${destination}:${view.getUint16(tcp + 2)} flags ${flagText(view.getUint8(tcp + 13))}`,
		`length ${view.getUint16(ETHERNET + 2)} ttl ${view.getUint8(ETHERNET + 8)} ip checksum ${hex(view.getUint16(ETHERNET + 10))}`,
		`seq ${view.getUint32(tcp + 4)} ack ${view.getUint32(tcp + 8)} tcp checksum ${hex(view.getUint16(tcp + 16))}`,
		`options ${hexDump(frame.subarray(ETHERNET + IPV4, tcp))} payload ${hexDump(frame.subarray(tcp + TCP))}`,
	);
	return lines;
}

/** Address and port of `192.168.1.50:40000` or `[2001:db8::50]:40000`; a lone address has port 0. */
export function endpoint(text: string): [string, number] {
	const [, ipv6, ipv4, port] = /^(?:\[(.+)\]|([^:]+)):(\d+)$/.exec(text) ?? [];
	return [ipv6 ?? ipv4 ?? text, Number(port ?? 0)];
}

/** The six bytes of a MAC address that a test wrote down. */
export function mac(text: string): Uint8Array {
	const bytes = macBytes(text);
	if (bytes === undefined) throw new Error(`${text} is no MAC address`);
	return bytes;
}

function flagBits(letters: string): number {
	let bits = 0;
	for (const [letter, bit] of Object.entries(FLAG_BITS)) if (letters.includes(letter)) bits |= bit;
	return bits;
}

function flagText(bits: number): string {
	return Object.entries(FLAG_BITS)
		.filter(([, bit]) => bits & bit)
		.map(([letter]) => letter)
		.join('');
}

function hex(value: number): string {
	return `0x${value.toString(16).padStart(4, '0')}`;
}

function hexDump(bytes: Uint8Array): string {
	return bytes.length === 0 ? '-' : Buffer.from(bytes).toString('hex');
}
