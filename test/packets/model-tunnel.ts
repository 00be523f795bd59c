/** What stands around a packet on its way into a tunnel, slow and obvious: every byte of it, all checksums computed in full. */
import type {Forwarding} from '../../src/conf/model.js';
import {addressBytes, family} from '../../src/net/address.js';
import {internetChecksum} from '../../src/net/checksum.js';
import {TUNNEL_SOURCE} from './balancer.js';
import {ETHERNET, ETHERTYPE, IPV4, IPV6, ipHeader, type OwnHeader, ownHeader, PROTOCOL} from './frame.js';

const GRE = 47;
const INNER = {4: 4, 6: 41} as const;
const UDP_GUE = 12;
const GUE_PORT_FIRST = 0xc000;

type TunnelForwarding = Extract<Forwarding, {method: 'tun'}>;

export interface Tunnel {
	/** Address of the backend where it ends. */
	readonly to: string;
	readonly forwarding: TunnelForwarding;
	/** Packets of the same flow have the same flow label and source port outside; which, is the program's choice. */
	readonly flow: string;
}

/** Undefined: a backend that is reached without. */
export function tunnelTo(to: string, forwarding: Forwarding, flow: string): Tunnel | undefined {
	return forwarding.method === 'tun' ? {to, forwarding, flow} : undefined;
}

function outerBytes({to}: Tunnel): number {
	return family(to) === 4 ? IPV4 : IPV6;
}

function shimBytes({forwarding}: Tunnel): number {
	if (forwarding.type === 'gue') return UDP_GUE;
	if (forwarding.type === 'gre') return forwarding.checksum === 'full' ? 8 : 4;
	return 0;
}

/** How much longer a packet becomes. */
export function addedBytes(tunnel: Tunnel): number {
	return outerBytes(tunnel) + shimBytes(tunnel);
}

/** What the program has chosen for the flow of an untagged frame out of a tunnel: a flow label's bits, or a port's; 0 without. */
export function entropyOf(frame: Uint8Array, {to, forwarding}: Tunnel): number {
	const view = new DataView(frame.buffer, frame.byteOffset);
	if (family(to) === 6) return view.getUint32(ETHERNET) & 0xf_ffff;
	return forwarding.type === 'gue' ? view.getUint16(ETHERNET + IPV4) & ~GUE_PORT_FIRST : 0;
}

/** An untagged frame with its packet in a tunnel; what follows the packet stays behind it. */
export function encapsulated(frame: Uint8Array, tunnel: Tunnel, entropy: number): Uint8Array {
	const {end, family: of} = ipHeader(frame);
	const packet = frame.subarray(ETHERNET, end);
	const by = family(tunnel.to);
	const own: OwnHeader = {
		from: TUNNEL_SOURCE[by],
		to: tunnel.to,
		protocol: {ipip: INNER[of], gre: GRE, gue: PROTOCOL.udp}[tunnel.forwarding.type],
		content: shimBytes(tunnel) + packet.length,
		trafficClass: of === 4 ? (packet[1] ?? 0) : (((packet[0] ?? 0) << 4) | ((packet[1] ?? 0) >> 4)) & 255,
		mayFragment: of === 6 || ((packet[6] ?? 0) & 0x40) === 0,
		flowLabel: entropy,
	};
	const type = by === 4 ? ETHERTYPE.ipv4 : ETHERTYPE.ipv6;
	return Uint8Array.from([
		...frame.subarray(0, 12),
		...[type >> 8, type & 255],
		...ownHeader(own),
		...shim(packet, tunnel, entropy),
		...packet,
		...frame.subarray(end),
	]);
}

/** What stands between the outer IP header and the packet. */
function shim(packet: Uint8Array, tunnel: Tunnel, entropy: number): Uint8Array {
	const of = (packet[0] ?? 0) >> 4 === 6 ? 6 : 4;
	const header = new Uint8Array(shimBytes(tunnel));
	const view = new DataView(header.buffer);
	const {forwarding} = tunnel;
	if (forwarding.type === 'gre') {
		view.setUint16(2, of === 6 ? ETHERTYPE.ipv6 : ETHERTYPE.ipv4);
		if (forwarding.checksum === 'none') return header;
		view.setUint16(0, 0x8000);
		view.setUint16(4, checksumOf(header, packet));
	}
	if (forwarding.type === 'gue') {
		const length = header.length + packet.length;
		view.setUint16(0, GUE_PORT_FIRST | (entropy & 0xffff));
		view.setUint16(2, forwarding.port);
		view.setUint16(4, length);
		view.setUint8(9, INNER[of]);
		if (forwarding.checksum !== 'full') return header;
		const ends = [...addressBytes(TUNNEL_SOURCE[family(tunnel.to)]), ...addressBytes(tunnel.to)];
		const pseudo = Uint8Array.of(...ends, 0, PROTOCOL.udp, length >> 8, length & 255);
		view.setUint16(6, checksumOf(pseudo, header, packet) || 0xffff);
	}
	return header;
}

function checksumOf(...parts: readonly Uint8Array[]): number {
	return internetChecksum(Uint8Array.from(parts.flatMap(part => [...part])));
}
