/**
 * Runs inside a network namespace and tells its parent, over the IPC channel, every VRRP advert, group join and
 * announcement (ARP, NDP) on some interfaces: what a neighbour on the segments would see.
 */
import {
	AF_PACKET,
	ETH_P_ALL,
	SO_RCVBUFFORCE,
	SO_TIMESTAMPNS,
	SOCK_RAW,
	SOL_SOCKET,
	Socket,
	sockaddrLl,
} from 'libbpf-ts/net';
import {monotonicMs} from '../../lab/wait.js';
import {openNetlink} from '../../src/host/real/netlink.js';
import {formatAddress, formatMac} from '../../src/net/address.js';
import {viewOf} from '../../src/net/bytes.js';
import {decodeIp, type IpPacket} from '../../src/net/ip.js';
import {AH_LENGTH, AH_PROTOCOL} from '../../src/net/ip-auth.js';
import {ANY_TTL, decodeAdvert, VRRP_PROTOCOL} from '../../src/net/vrrp-packet.js';

export type Observation =
	| {readonly kind: 'ready'}
	/** `tos` and `fragment` are those fields of the IP header (RFC 791 §3.1); the first is IPv6's traffic class, too. */
	| {
			readonly kind: 'advert';
			readonly source: string;
			/** Of the frame. */
			readonly mac: string;
			readonly priority: number;
			readonly tos: number;
			readonly fragment: number;
			readonly atMs: number;
	  }
	/** Of a multicast group (IGMPv3, RFC 3376 §4.2; MLDv2, RFC 3810 §5.2). */
	| {readonly kind: 'join'; readonly source: string; readonly mac: string; readonly group: string}
	| {readonly kind: 'announcement'; readonly address: string; readonly mac: string; readonly atMs: number};

/** 255 instances announce themselves in one burst, from a process of a higher scheduling class. */
const RECEIVE_BUFFER_BYTES = 16 << 20;
const ETHERNET_LENGTH = 14;
const HOP_BY_HOP = 0;
const ICMPV6 = 58;
const NEIGHBOUR_ADVERTISEMENT = 136;
const MLDV2_REPORT = 143;
const IGMP = 2;
const IGMPV3_REPORT = 0x22;

function tell(observation: Observation): void {
	process.send?.(observation);
}

/** When the kernel got a frame, however late this program reads it; in ms of CLOCK_MONOTONIC. */
let frameMs = 0;
const wallAheadMs = Date.now() - monotonicMs();

function observeFrame(frame: Uint8Array): void {
	if (frame.length < ETHERNET_LENGTH) return;
	const payload = frame.subarray(ETHERNET_LENGTH);
	switch (viewOf(frame).getUint16(12)) {
		case 0x0806:
			observeArp(payload);
			break;
		case 0x0800:
		case 0x86dd:
			observeIp(payload, formatMac(frame.subarray(6, 12)));
			break;
	}
}

function observeArp(packet: Uint8Array): void {
	const [address, mac] = [formatAddress(packet.subarray(14, 18)), formatMac(packet.subarray(8, 14))];
	tell({kind: 'announcement', address, mac, atMs: frameMs});
}

function observeIp(bytes: Uint8Array, mac: string): void {
	const packet = decodeIp(bytes);
	if (!packet.ok) return;
	const inner = withoutAuthHeader(packet.value);
	const {protocol, source, payload} = inner;
	if (protocol === IGMP && payload[0] === IGMPV3_REPORT) {
		tell({kind: 'join', source, mac, group: formatAddress(payload.subarray(12, 16))});
	}
	if (protocol === ICMPV6) observeNeighbourAdvertisement(payload);
	if (protocol === HOP_BY_HOP) observeMld(source, mac, payload);
	if (protocol === VRRP_PROTOCOL) observeAdvert(inner, mac, viewOf(bytes));
}

/** The packet that an authentication header (RFC 2402) vouches for; whether it does so rightly is not the observer's matter. */
function withoutAuthHeader(packet: IpPacket): IpPacket {
	const {protocol, payload} = packet;
	if (protocol !== AH_PROTOCOL) return packet;
	return {...packet, protocol: payload[0] ?? 0, payload: payload.subarray(AH_LENGTH)};
}

function observeNeighbourAdvertisement(message: Uint8Array): void {
	if (message[0] !== NEIGHBOUR_ADVERTISEMENT) return;
	const address = formatAddress(message.subarray(8, 24));
	tell({kind: 'announcement', address, mac: formatMac(message.subarray(26, 32)), atMs: frameMs});
}

/** The first group of a report, behind the router alert option that it always carries. */
function observeMld(source: string, mac: string, extended: Uint8Array): void {
	const message = extended.subarray(8);
	if (message[0] !== MLDV2_REPORT) return;
	tell({kind: 'join', source, mac, group: formatAddress(message.subarray(12, 28))});
}

function observeAdvert(packet: IpPacket, mac: string, header: DataView): void {
	// keepalived's unicast of IPv6 leaves with the kernel's own hop limit, 64.
	const advert = decodeAdvert(packet, ANY_TTL);
	if (!advert.ok) return;
	const isIpv6 = header.getUint8(0) >> 4 === 6;
	tell({
		kind: 'advert',
		source: packet.source,
		mac,
		priority: advert.value.priority,
		tos: isIpv6 ? (header.getUint16(0) >> 4) & 0xff : header.getUint8(1),
		fragment: isIpv6 ? 0 : header.getUint16(6),
		atMs: frameMs,
	});
}

async function main(interfaces: readonly string[]): Promise<void> {
	const netlink = openNetlink([]);
	for (const {ifindex, name} of await netlink.links()) if (interfaces.includes(name)) watch(ifindex);
	tell({kind: 'ready'});
}

function watch(ifindex: number): void {
	const socket = new Socket(AF_PACKET, SOCK_RAW, 0);
	socket.setOption(SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES);
	socket.setOption(SOL_SOCKET, SO_TIMESTAMPNS, 1);
	socket.bind(sockaddrLl({ifindex, protocol: ETH_P_ALL}));
	socket.onReadable(() => {
		for (let frame = socket.receive(); frame !== undefined; frame = socket.receive()) {
			frameMs = Number((frame.timestampNs ?? 0n) / 1000n) / 1000 - wallAheadMs;
			observeFrame(frame.bytes);
		}
	});
}

process.on('disconnect', () => process.exit());
await main(process.argv.slice(2));
