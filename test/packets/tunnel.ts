/** The other end of a tunnel, slow and obvious: takes an IP packet out of its outer headers, which must be right in every bit. */
import {formatAddress} from '../../src/net/address.js';
import {internetChecksum} from '../../src/net/checksum.js';

const PROTOCOL = {ipv4: 4, udp: 17, ipv6: 41, gre: 47} as const;
const GUE_PORT_FIRST = 0xc000;

/** What a tunnel has brought. */
export interface Arrived {
	readonly method: 'ipip' | 'gre' | 'gue';
	readonly from: string;
	readonly to: string;
	readonly hops: number;
	readonly trafficClass: number;
	/** Of an IPv4 header. */
	readonly mayFragment: boolean | null;
	/** Whether GRE or UDP has one. */
	readonly hasChecksum: boolean;
	/** Ports of UDP, `49152 > 6080`; '' without. */
	readonly ports: string;
	readonly inner: Uint8Array;
}

interface Outer extends Pick<Arrived, 'from' | 'to' | 'hops' | 'trafficClass' | 'mayFragment'> {
	readonly protocol: number;
	readonly pseudo: (length: number) => Uint8Array;
	readonly content: Uint8Array;
}

/** Throws for whatever a strict receiver would refuse. */
export function decapsulated(packet: Uint8Array): Arrived {
	const {protocol, pseudo, content, ...outer} = (packet[0] ?? 0) >> 4 === 6 ? ipv6(packet) : ipv4(packet);
	switch (protocol) {
		case PROTOCOL.ipv4:
		case PROTOCOL.ipv6:
			return {...outer, method: 'ipip', hasChecksum: false, ports: '', inner: inside(content, protocol)};
		case PROTOCOL.gre:
			return {...outer, method: 'gre', ports: '', ...gre(content)};
		case PROTOCOL.udp:
			return {...outer, method: 'gue', ...gue(content, pseudo(content.length))};
		default:
			throw new Error(`outer protocol ${protocol}`);
	}
}

function ipv4(packet: Uint8Array): Outer {
	const view = viewOf(packet);
	must(packet[0] === 0x45, 'an IPv4 header without options');
	must(view.getUint16(2) === packet.length, 'the length of the packet');
	must(internetChecksum(packet.subarray(0, 20)) === 0, 'a checksum that is right');
	must((view.getUint16(6) & ~0x4000) === 0, 'no fragment');
	const protocol = view.getUint8(9);
	return {
		from: formatAddress(packet.subarray(12, 16)),
		to: formatAddress(packet.subarray(16, 20)),
		hops: view.getUint8(8),
		trafficClass: view.getUint8(1),
		mayFragment: view.getUint16(6) === 0,
		protocol,
		pseudo: length => Uint8Array.of(...packet.subarray(12, 20), 0, protocol, length >> 8, length & 255),
		content: packet.subarray(20),
	};
}

function ipv6(packet: Uint8Array): Outer {
	const view = viewOf(packet);
	must(view.getUint16(4) === packet.length - 40, 'the length of the packet');
	const protocol = view.getUint8(6);
	return {
		from: formatAddress(packet.subarray(8, 24)),
		to: formatAddress(packet.subarray(24, 40)),
		hops: view.getUint8(7),
		trafficClass: (view.getUint32(0) >> 20) & 255,
		mayFragment: null,
		protocol,
		pseudo: length => Uint8Array.of(...packet.subarray(8, 40), 0, 0, length >> 8, length & 255, 0, 0, 0, protocol),
		content: packet.subarray(40),
	};
}

/** RFC 2784. */
function gre(content: Uint8Array): Pick<Arrived, 'hasChecksum' | 'inner'> {
	const view = viewOf(content);
	const hasChecksum = view.getUint16(0) === 0x8000;
	must(hasChecksum || view.getUint16(0) === 0, 'no other flag than the checksum');
	if (hasChecksum) must(internetChecksum(content) === 0 && view.getUint16(6) === 0, 'a checksum that is right');
	const type = view.getUint16(2);
	must(type === 0x0800 || type === 0x86dd, 'an IP packet in GRE');
	return {hasChecksum, inner: inside(content.subarray(hasChecksum ? 8 : 4), type === 0x0800 ? 4 : 41)};
}

/** Variant 0 of draft-ietf-intarea-gue. */
function gue(content: Uint8Array, pseudo: Uint8Array): Pick<Arrived, 'hasChecksum' | 'ports' | 'inner'> {
	const view = viewOf(content);
	const hasChecksum = view.getUint16(6) !== 0;
	must(view.getUint16(4) === content.length, 'the length of the datagram');
	must(view.getUint16(0) >= GUE_PORT_FIRST, 'a source port from the dynamic range');
	if (hasChecksum) must(internetChecksum(pseudo, content) === 0, 'a checksum that is right');
	must(view.getUint8(8) === 0 && view.getUint16(10) === 0, 'a GUE header without options');
	const ports = `${view.getUint16(0)} > ${view.getUint16(2)}`;
	return {hasChecksum, ports, inner: inside(content.subarray(12), view.getUint8(9))};
}

function inside(packet: Uint8Array, protocol: number): Uint8Array {
	must(protocol === ((packet[0] ?? 0) >> 4 === 6 ? PROTOCOL.ipv6 : PROTOCOL.ipv4), 'what the header says is inside');
	return packet;
}

function viewOf(bytes: Uint8Array): DataView {
	return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function must(holds: boolean, what: string): void {
	if (!holds) throw new Error(`not ${what}`);
}
