/** Frames for packet tests: built from readable parts, taken apart again, compared line by line. */
import {
	addressBytes,
	endpointName,
	type Family,
	family,
	formatAddress,
	formatMac,
	macBytes,
} from '../../src/net/address.js';
import {internetChecksum} from '../../src/net/checksum.js';

export const ETHERNET = 14;
export const IPV4 = 20;
export const IPV6 = 40;
const TCP = 20;
const UDP = 8;
export const ICMP = 8;
export const PROTOCOL = {icmp: 1, tcp: 6, udp: 17, gre: 47, ah: 51, icmpv6: 58, vrrp: 112} as const;
export const ETHERTYPE = {ipv4: 0x0800, arp: 0x0806, ipv6: 0x86dd} as const;
/** Headers of IPv6 that stand before the transport header and tell their own length (RFC 8200, 4). */
export const EXTENSION = {hopByHop: 0, routing: 43, destination: 60} as const;
const EXTENSION_UNIT = 8;
const OWN_HOPS = 64;

const FLAG_BITS = {F: 1, S: 2, R: 4, P: 8, A: 16, U: 32} as const;

/** An extension header of `units` of 8 bytes behind the first, full of padding; or of `data` behind its first two bytes. */
export interface Extension {
	readonly type: number;
	readonly units?: number;
	readonly data?: Uint8Array;
}

/** An IP packet in an Ethernet frame. Endpoints are written `192.168.1.50:40000` or `[2001:db8::50]:40000`. */
export interface UdpParts {
	readonly toMac: string;
	readonly fromMac: string;
	readonly from: string;
	readonly to: string;
	/** Or hop limit. */
	readonly ttl?: number;
	/** IPv4 options, a multiple of four bytes. */
	readonly options?: Uint8Array;
	/** Of IPv6. */
	readonly extensions?: readonly Extension[];
	readonly payload?: Uint8Array;
}

export interface TcpParts extends UdpParts {
	/** Letters of F S R P A U. */
	readonly flags: string;
	readonly seq?: number;
	readonly ack?: number;
}

/** The frame with all checksums right. */
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
	return withChecksums(ipFrame(parts, PROTOCOL.tcp, segment));
}

/** The frame with all checksums right; UDP's may be patched to 0, which means none. */
export function udpFrame(parts: UdpParts): Uint8Array {
	const datagram = new Uint8Array(UDP + (parts.payload?.length ?? 0));
	const view = new DataView(datagram.buffer);
	view.setUint16(0, endpoint(parts.from)[1]);
	view.setUint16(2, endpoint(parts.to)[1]);
	view.setUint16(4, datagram.length);
	view.setUint16(6, 0xffff);
	datagram.set(parts.payload ?? [], UDP);
	return withChecksums(ipFrame(parts, PROTOCOL.udp, datagram));
}

/** An ICMP or ICMPv6 error: type, code, the word behind the checksum, and how much of the packet that it is about it
 * quotes. Of a host that cannot be reached unless told. */
export interface IcmpErrorParts extends UdpParts {
	readonly type?: number;
	readonly code?: number;
	readonly rest?: number;
	readonly about: Uint8Array;
	/** Bytes behind the IP header and its options or extension headers; default 8. */
	readonly quoted?: number;
}

/** The frame with all of its own checksums right. */
export function icmpErrorFrame(parts: IcmpErrorParts): Uint8Array {
	const isIpv4 = family(endpoint(parts.from)[0]) === 4;
	const quotation = parts.about.slice(ETHERNET, transportOffset(parts.about) + (parts.quoted ?? 8));
	const message = new Uint8Array(ICMP + quotation.length);
	const view = new DataView(message.buffer);
	view.setUint8(0, parts.type ?? (isIpv4 ? 3 : 1));
	view.setUint8(1, parts.code ?? (isIpv4 ? 1 : 3));
	view.setUint32(4, parts.rest ?? 0);
	message.set(quotation, ICMP);
	return withChecksums(ipFrame(parts, isIpv4 ? PROTOCOL.icmp : PROTOCOL.icmpv6, message));
}

/** A frame around a packet's content, checksums not yet computed. */
export function ipFrame(parts: UdpParts, protocol: number, content: Uint8Array): Uint8Array {
	const isIpv4 = family(endpoint(parts.from)[0]) === 4;
	const header = isIpv4 ? ipv4Header(parts, protocol, content.length) : ipv6Header(parts, protocol, content.length);
	const frame = new Uint8Array(ETHERNET + header.length + content.length);
	frame.set(mac(parts.toMac), 0);
	frame.set(mac(parts.fromMac), 6);
	new DataView(frame.buffer).setUint16(12, isIpv4 ? ETHERTYPE.ipv4 : ETHERTYPE.ipv6);
	frame.set(header, ETHERNET);
	frame.set(content, ETHERNET + header.length);
	return frame;
}

function ipv4Header({from, to, ttl, options = new Uint8Array(0)}: UdpParts, protocol: number, content: number) {
	const header = new Uint8Array(IPV4 + options.length);
	const view = new DataView(header.buffer);
	view.setUint8(0, 0x40 | (header.length / 4));
	view.setUint16(2, header.length + content);
	view.setUint16(4, 0x1234);
	view.setUint16(6, 0x4000);
	view.setUint8(8, ttl ?? 64);
	view.setUint8(9, protocol);
	header.set(addressBytes(endpoint(from)[0]), 12);
	header.set(addressBytes(endpoint(to)[0]), 16);
	header.set(options, IPV4);
	return header;
}

function ipv6Header({from, to, ttl, extensions = []}: UdpParts, protocol: number, content: number) {
	const types = [...extensions.map(({type}) => type), protocol];
	const between = extensions.map((extension, n) => extensionHeader(extension, types[n + 1] ?? protocol));
	const fixed = new Uint8Array(IPV6);
	const view = new DataView(fixed.buffer);
	view.setUint32(0, 0x6012_3456);
	view.setUint16(
		4,
		between.reduce((sum, {length}) => sum + length, content),
	);
	view.setUint8(6, types[0] ?? protocol);
	view.setUint8(7, ttl ?? 64);
	fixed.set(addressBytes(endpoint(from)[0]), 8);
	fixed.set(addressBytes(endpoint(to)[0]), 24);
	return Uint8Array.from([fixed, ...between].flatMap(bytes => [...bytes]));
}

function extensionHeader({units = 0, data}: Extension, next: number): Uint8Array {
	const header = new Uint8Array(EXTENSION_UNIT * (units + 1));
	header.set([next, units]);
	header.set(data ?? [], 2);
	return header;
}

/** What the balancer writes of an IP header of its own. Addresses are of one family, which is the header's. */
export interface OwnHeader {
	readonly from: string;
	readonly to: string;
	readonly protocol: number;
	/** Bytes behind it. */
	readonly content: number;
	readonly trafficClass: number;
	/** Of IPv4. */
	readonly mayFragment?: boolean;
	/** Of IPv6. */
	readonly flowLabel?: number;
}

/** A header without options, identification 0, its checksum right. */
export function ownHeader(parts: OwnHeader): Uint8Array {
	const {from, to, protocol, content, trafficClass, mayFragment = false, flowLabel = 0} = parts;
	const isIpv4 = family(from) === 4;
	const header = new Uint8Array(isIpv4 ? IPV4 : IPV6);
	const view = new DataView(header.buffer);
	if (isIpv4) {
		header.set([0x45, trafficClass]);
		view.setUint16(2, IPV4 + content);
		view.setUint16(6, mayFragment ? 0 : 0x4000);
		header.set([OWN_HOPS, protocol], 8);
		header.set([...addressBytes(from), ...addressBytes(to)], 12);
		view.setUint16(10, internetChecksum(header));
		return header;
	}
	view.setUint32(0, 0x6000_0000 + trafficClass * 0x10_0000 + flowLabel);
	view.setUint16(4, content);
	header.set([protocol, OWN_HOPS], 6);
	header.set([...addressBytes(from), ...addressBytes(to)], 8);
	return header;
}

/** Where in a frame the fields of an IP header are, and what it says. */
export interface IpHeader {
	readonly family: Family;
	readonly source: number;
	readonly dest: number;
	/** Bytes of an address. */
	readonly addressLength: number;
	/** Time to live, or hop limit. */
	readonly hops: number;
	/** What follows options or extension headers, and where it begins; of a later fragment, the fragment header. */
	readonly protocol: number;
	readonly transport: number;
	/** Where the packet ends as its header has it, which is not always within the frame. */
	readonly end: number;
}

/** The IP header at an offset of a frame without VLAN tags. What does not say that it is IPv6 counts as IPv4. */
export function ipHeader(frame: Uint8Array, at = ETHERNET): IpHeader {
	const byte = (offset: number): number => frame[offset] ?? 0;
	if (byte(at) >> 4 !== 6)
		return {
			family: 4,
			source: at + 12,
			dest: at + 16,
			addressLength: 4,
			hops: at + 8,
			protocol: byte(at + 9),
			transport: at + (byte(at) & 15) * 4,
			end: at + ((byte(at + 2) << 8) | byte(at + 3)),
		};
	let protocol = byte(at + 6);
	let transport = at + IPV6;
	while (transport < frame.length) {
		const isFirst = protocol === NEXT_FRAGMENT && byte(transport + 2) === 0 && byte(transport + 3) < 8;
		if (!isFirst && !Object.values<number>(EXTENSION).includes(protocol)) break;
		protocol = byte(transport);
		transport += isFirst ? FRAGMENT_UNIT : EXTENSION_UNIT * (byte(transport + 1) + 1);
	}
	const end = at + IPV6 + ((byte(at + 4) << 8) | byte(at + 5));
	return {family: 6, source: at + 8, dest: at + 24, addressLength: 16, hops: at + 7, protocol, transport, end};
}

/** The address at an offset of a frame. */
export function addressAt(frame: Uint8Array, at: number, {addressLength}: IpHeader): string {
	return formatAddress(frame.subarray(at, at + addressLength));
}

/** Source address and port of the TCP or UDP packet whose IP header is at an offset. */
export function sourceOf(frame: Uint8Array, at = ETHERNET): string {
	const ip = ipHeader(frame, at);
	return endpointName(addressAt(frame, ip.source, ip), word(frame, ip.transport), 'tcp');
}

/** Its destination. */
export function destinationOf(frame: Uint8Array, at = ETHERNET): string {
	const ip = ipHeader(frame, at);
	return endpointName(addressAt(frame, ip.dest, ip), word(frame, ip.transport + 2), 'tcp');
}

/** A copy of a frame with all checksums computed in full. A UDP checksum of 0 stays: there is none. */
export function withChecksums(frame: Uint8Array): Uint8Array {
	const fresh = frame.slice();
	const view = new DataView(fresh.buffer);
	const full = fullChecksums(fresh);
	const at = checksumOffset(fresh);
	if (ipHeader(fresh).family === 4) view.setUint16(ETHERNET + 10, full.ip);
	if (!isUdp(fresh)) view.setUint16(at, full.transport);
	else if (view.getUint16(at) !== 0) view.setUint16(at, full.transport || 0xffff);
	return fresh;
}

/** What the checksums of a frame should be, whatever they are; `ip` is 0 for IPv6, which has none. */
export function fullChecksums(frame: Uint8Array): {readonly ip: number; readonly transport: number} {
	const header = ipHeader(frame);
	const ip = header.family === 4 ? headerChecksum(frame, ETHERNET) : 0;
	const content = frame.slice(header.transport, header.end);
	content.fill(0, checksumOffset(frame) - header.transport, checksumOffset(frame) - header.transport + 2);
	if (header.protocol === PROTOCOL.icmp) return {ip, transport: internetChecksum(content)};
	return {ip, transport: internetChecksum(pseudoHeader(frame, header), content)};
}

/** What the checksum of a transport covers besides (RFC 9293, 3.1; RFC 8200, 8.1). */
function pseudoHeader(frame: Uint8Array, {source, addressLength, protocol, transport, end}: IpHeader): Uint8Array {
	const pseudo = new Uint8Array(2 * addressLength + 8);
	const view = new DataView(pseudo.buffer);
	pseudo.set(frame.subarray(source, source + 2 * addressLength));
	view.setUint32(2 * addressLength, end - transport);
	view.setUint32(2 * addressLength + 4, protocol);
	return pseudo;
}

/** What the checksum of the IPv4 header at an offset should be. */
export function headerChecksum(frame: Uint8Array, at: number): number {
	const header = frame.slice(at, at + ((frame[at] ?? 0) & 15) * 4);
	header.fill(0, 10, 12);
	return internetChecksum(header);
}

/** Where the TCP, UDP or ICMP header of a frame begins. */
export function transportOffset(frame: Uint8Array): number {
	return ipHeader(frame).transport;
}

/** Where the TCP, UDP or ICMP checksum of a frame is. */
export function checksumOffset(frame: Uint8Array): number {
	if (isIcmp(frame)) return transportOffset(frame) + 2;
	return transportOffset(frame) + (isUdp(frame) ? 6 : 16);
}

export function isIcmp(frame: Uint8Array): boolean {
	const {protocol} = ipHeader(frame);
	return protocol === PROTOCOL.icmp || protocol === PROTOCOL.icmpv6;
}

export function isUdp(frame: Uint8Array): boolean {
	return ipHeader(frame).protocol === PROTOCOL.udp;
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

/** What NAT makes of a frame: other addresses, one hop less, all checksums computed in full. */
export function translated(
	frame: Uint8Array,
	to: {readonly toMac: string; readonly fromMac: string; readonly from?: string; readonly to?: string},
): Uint8Array {
	const copy = frame.slice();
	copy.set(mac(to.toMac), 0);
	copy.set(mac(to.fromMac), 6);
	putEnds(copy, ETHERNET, to);
	const {hops} = ipHeader(copy);
	copy[hops] = (copy[hops] ?? 0) - 1;
	return withChecksums(copy);
}

/** The packet as an ICMP error must quote it: other ends, the IPv4 checksum right, the transport checksum as it was. */
export function renamed(frame: Uint8Array, to: {readonly from?: string; readonly to?: string}): Uint8Array {
	const copy = frame.slice();
	putEnds(copy, ETHERNET, to);
	if (ipHeader(copy).family === 4) new DataView(copy.buffer).setUint16(ETHERNET + 10, headerChecksum(copy, ETHERNET));
	return copy;
}

/** Gives the packet whose IP header is at an offset other ends, checksums as they were. */
export function putEnds(
	frame: Uint8Array,
	at: number,
	{from, to}: {readonly from?: string; readonly to?: string},
): void {
	const {source, dest, transport} = ipHeader(frame, at);
	if (from !== undefined) putEndpoint(frame, from, source, transport);
	if (to !== undefined) putEndpoint(frame, to, dest, transport + 2);
}

function putEndpoint(frame: Uint8Array, text: string, addressOffset: number, portOffset: number): void {
	putAddress(frame, text, addressOffset);
	new DataView(frame.buffer).setUint16(portOffset, endpoint(text)[1]);
}

/** Writes the address of an endpoint at an offset. */
export function putAddress(frame: Uint8Array, text: string, at: number): void {
	frame.set(addressBytes(endpoint(text)[0]), at);
}

const FRAGMENT_UNIT = 8;
export const NEXT_FRAGMENT = 44;

/**
 * What a router (IPv4) or the sender (IPv6) makes of a frame that is too large: fragments with at most so many bytes behind
 * the IP header, a multiple of eight. IPv6's extension headers are part of what is cut up.
 */
export function fragmented(frame: Uint8Array, size: number, number = 7): Uint8Array[] {
	const ip = ipHeader(frame);
	const begin = ip.family === 4 ? ip.transport : ETHERNET + IPV6;
	const count = Math.ceil((ip.end - begin) / size);
	return Array.from({length: count}, (_, n) => {
		const content = frame.subarray(begin + n * size, Math.min(ip.end, begin + (n + 1) * size));
		const more = n < count - 1;
		return ip.family === 4
			? ipv4Fragment(frame.subarray(0, begin), content, (n * size) / FRAGMENT_UNIT + (more ? 0x2000 : 0), number)
			: ipv6Fragment(frame.subarray(0, begin), content, n * size + (more ? 1 : 0), number);
	});
}

function ipv4Fragment(header: Uint8Array, content: Uint8Array, offsetAndFlags: number, number: number): Uint8Array {
	const fragment = Uint8Array.from([...header, ...content]);
	const view = new DataView(fragment.buffer);
	view.setUint16(ETHERNET + 2, fragment.length - ETHERNET);
	view.setUint16(ETHERNET + 4, number);
	view.setUint16(ETHERNET + 6, offsetAndFlags);
	view.setUint16(ETHERNET + 10, headerChecksum(fragment, ETHERNET));
	return fragment;
}

/** A fragment header and content behind the headers of an IPv6 frame. */
export function ipv6Fragment(
	header: Uint8Array,
	content: Uint8Array,
	offsetAndFlags: number,
	number: number,
): Uint8Array {
	const between = new Uint8Array(FRAGMENT_UNIT);
	const fragment = Uint8Array.from([...header, ...between, ...content]);
	const view = new DataView(fragment.buffer);
	view.setUint16(ETHERNET + 4, between.length + content.length);
	view.setUint8(ETHERNET + 6, NEXT_FRAGMENT);
	view.setUint8(ETHERNET + IPV6, header[ETHERNET + 6] ?? 0);
	view.setUint16(ETHERNET + IPV6 + 2, offsetAndFlags);
	view.setUint32(ETHERNET + IPV6 + 4, number);
	return fragment;
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
	const ip = ipHeader(frame);
	const tcp = ip.transport;
	const isIp = [ETHERTYPE.ipv4, ETHERTYPE.ipv6].some(type => type === view.getUint16(12));
	if (!isIp || ip.protocol !== PROTOCOL.tcp || frame.length < tcp + TCP)
		return [...lines, hexDump(frame.subarray(ETHERNET))];
	lines.push(
		`${sourceOf(frame)} > ${destinationOf(frame)} flags ${flagText(view.getUint8(tcp + 13))}`,
		`length ${ip.end - ETHERNET} ttl ${frame[ip.hops]} ip ${hexDump(frame.subarray(ETHERNET, ETHERNET + 12))}`,
		`seq ${view.getUint32(tcp + 4)} ack ${view.getUint32(tcp + 8)} tcp checksum ${hex(view.getUint16(tcp + 16))}`,
		`before TCP ${hexDump(frame.subarray(ip.dest + ip.addressLength, tcp))} payload ${hexDump(frame.subarray(tcp + TCP))}`,
	);
	return lines;
}

/** Address and port of `192.168.1.50:40000` or `[2001:db8::50]:40000`; a lone address has port 0. */
export function endpoint(text: string): [string, number] {
	const [, ipv6, ipv4, port] = /^(?:\[(.+)\]|([^:]+)):(\d+)$/.exec(text) ?? [];
	return [ipv6 ?? ipv4 ?? text, Number(port ?? 0)];
}

function word(frame: Uint8Array, at: number): number {
	return ((frame[at] ?? 0) << 8) | (frame[at + 1] ?? 0);
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
