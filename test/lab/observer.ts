/**
 * Runs inside a network namespace and tells its parent, over the IPC channel, every VRRP advert, group join and ARP
 * announcement on an interface and every address that comes or goes: what a neighbour on the segment would see.
 */
import {AF_PACKET, ETH_P_ALL, SOCK_RAW, Socket, sockaddrLl} from 'libbpf-ts/net';
import {openNetlink} from '../../src/host/real/netlink.js';
import {formatAddress, formatMac} from '../../src/net/address.js';
import {viewOf} from '../../src/net/bytes.js';
import {decodeIp} from '../../src/net/ip.js';
import {decodeAdvert, VRRP_PROTOCOL} from '../../src/net/vrrp-packet.js';

export type Observation =
	| {readonly kind: 'ready'}
	/** `tos` and `fragment` are those fields of the IP header (RFC 791 §3.1). */
	| {
			readonly kind: 'advert';
			readonly source: string;
			readonly priority: number;
			readonly tos: number;
			readonly fragment: number;
			readonly atMs: number;
	  }
	/** Of a multicast group (IGMPv3, RFC 3376 §4.2). */
	| {readonly kind: 'join'; readonly source: string; readonly group: string}
	| {readonly kind: 'announcement'; readonly address: string; readonly mac: string}
	| {readonly kind: 'address'; readonly address: string; readonly removed: boolean; readonly atMs: number};

const ETHERNET_LENGTH = 14;
const IGMP = 2;
const IGMPV3_REPORT = 0x22;

function tell(observation: Observation): void {
	process.send?.(observation);
}

function observeFrame(frame: Uint8Array): void {
	if (frame.length < ETHERNET_LENGTH) return;
	const payload = frame.subarray(ETHERNET_LENGTH);
	switch (viewOf(frame).getUint16(12)) {
		case 0x0806:
			observeArp(payload);
			break;
		case 0x0800:
			observeIpv4(payload);
			break;
	}
}

function observeArp(packet: Uint8Array): void {
	tell({kind: 'announcement', address: formatAddress(packet.subarray(14, 18)), mac: formatMac(packet.subarray(8, 14))});
}

function observeIpv4(bytes: Uint8Array): void {
	const packet = decodeIp(bytes);
	if (!packet.ok) return;
	const {protocol, source, payload} = packet.value;
	if (protocol === IGMP && payload[0] === IGMPV3_REPORT) {
		tell({kind: 'join', source, group: formatAddress(payload.subarray(12, 16))});
	}
	const advert = decodeAdvert(packet.value);
	if (protocol !== VRRP_PROTOCOL || !advert.ok) return;
	const view = viewOf(bytes);
	const header = {tos: view.getUint8(1), fragment: view.getUint16(6)};
	tell({kind: 'advert', source, priority: advert.value.priority, ...header, atMs: performance.now()});
}

async function main(interfaceName: string): Promise<void> {
	const netlink = openNetlink(['addresses']);
	netlink.onEvent(event => {
		if (event.kind !== 'address') return;
		tell({kind: 'address', address: event.address.address, removed: event.removed, atMs: performance.now()});
	});
	const link = (await netlink.links()).find(candidate => candidate.name === interfaceName);
	if (link === undefined) throw new Error(`no interface ${interfaceName}`);
	const socket = new Socket(AF_PACKET, SOCK_RAW, 0);
	socket.bind(sockaddrLl({ifindex: link.ifindex, protocol: ETH_P_ALL}));
	socket.onReadable(() => {
		for (let frame = socket.receive(); frame !== undefined; frame = socket.receive()) observeFrame(frame.bytes);
	});
	tell({kind: 'ready'});
}

process.on('disconnect', () => process.exit());
await main(process.argv[2] ?? '');
