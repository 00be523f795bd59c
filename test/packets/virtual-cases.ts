/** What becomes of questions for virtual addresses, and of what is sent to closed ones. */
import {addressBytes, family} from '../../src/net/address.js';
import {type Balancer, CLIENT_MAC, type JobInstance, type JobService, type Side, type VerdictName} from './balancer.js';
import type {Case} from './cases.js';
import {Connection} from './connection.js';
import {
	ETHERTYPE,
	EXTENSION,
	fragmented,
	ipFrame,
	mac,
	otherFrame,
	PROTOCOL,
	tagged,
	tcpFrame,
	translated,
	type UdpParts,
	udpFrame,
} from './frame.js';

const VIP = '192.168.1.1';
const VIP6 = '2001:db8::1';
const LINK_LOCAL = 'fe80::100';
const CLOSED = '192.168.1.3';
const CLOSED6 = '2001:db8::3';
const CLIENT = '192.168.1.50';
const CLIENT6 = '2001:db8::50';
const BACKEND = '10.0.0.71:80';

/** By their leases. */
export const VIRTUAL: readonly JobInstance[] = [
	{side: 'external', vrid: 91, addresses: [VIP]},
	{side: 'external', vrid: 91, addresses: [LINK_LOCAL, VIP6]},
	{side: 'external', vrid: 93, addresses: [CLOSED], closed: true},
	{side: 'external', vrid: 93, addresses: [CLOSED6], closed: true},
];
export const VIRTUAL_JOB: readonly JobService[] = [{at: `${CLOSED}:80`, backends: [BACKEND]}];

const SECOND = 1_000_000_000n;
const nowNs = (): bigint => process.hrtime.bigint();

/** The daemon has been dead for some seconds, and another router advertises; of all leases, with changes. */
export function takeOver(b: Balancer, change: (now: bigint) => Parameters<Balancer['setLease']>[1] = () => ({})): void {
	const now = nowNs();
	for (const index of VIRTUAL.keys()) {
		const sentNs = now - 5n * SECOND;
		const heard = {heardNs: now - SECOND, heardUntilNs: now + 60n * SECOND};
		b.setLease(index, {sentNs, sentUntilNs: now - 2n * SECOND, ...heard, ...change(now)});
	}
}

const BROADCAST = 'ff:ff:ff:ff:ff:ff';

interface ArpParts {
	readonly toMac?: string;
	readonly operation?: number;
	readonly hardware?: number;
}

/** Who has the address? Asked by the client. */
export function arp(target: string, {toMac = BROADCAST, operation = 1, hardware = 1}: ArpParts = {}): Uint8Array {
	const body = new Uint8Array(28);
	const view = new DataView(body.buffer);
	view.setUint16(0, hardware);
	view.setUint16(2, ETHERTYPE.ipv4);
	body.set([6, 4], 4);
	view.setUint16(6, operation);
	body.set([...mac(CLIENT_MAC), ...addressBytes(CLIENT)], 8);
	body.set(addressBytes(target), 24);
	return otherFrame(toMac, CLIENT_MAC, ETHERTYPE.arp, body);
}

type IpParts = Partial<Pick<UdpParts, 'toMac' | 'from' | 'to' | 'ttl' | 'extensions'>>;

/** A packet from the client, with a transport header that nobody looks into. */
function packet(b: Balancer, to: string, protocol: number, content: Uint8Array, parts: IpParts = {}): Uint8Array {
	const [from, quoted] = family(to) === 4 ? [CLIENT, to] : [`[${CLIENT6}]`, `[${to}]`];
	const ends = {from: `${from}:0`, to: `${quoted}:0`};
	return ipFrame({toMac: b.ports.external.mac, fromMac: CLIENT_MAC, ...ends, ttl: 255, ...parts}, protocol, content);
}

function neighbourMessage(type: number, target: string): Uint8Array {
	return Uint8Array.from([type, ...new Uint8Array(7), ...addressBytes(target)]);
}

/** Who has the IPv6 address? To the group that it belongs to (RFC 4291, 2.7.1). */
export function solicitation(b: Balancer, target: string, parts: IpParts = {}): Uint8Array {
	const [x = 0, y = 0, z = 0] = addressBytes(target).subarray(13);
	const hex = (...bytes: number[]): string[] => bytes.map(byte => byte.toString(16).padStart(2, '0'));
	const [low, high] = [hex(y, z).join(''), hex(x)[0]];
	const group = {to: `[ff02::1:ff${high}:${low}]:0`, toMac: `33:33:ff:${hex(x, y, z).join(':')}`};
	return packet(b, target, PROTOCOL.icmpv6, neighbourMessage(135, target), {...group, ...parts});
}

const unicast = (b: Balancer, target: string, type = 135): Uint8Array =>
	packet(b, target, PROTOCOL.icmpv6, neighbourMessage(type, target));

function ping(b: Balancer, to: string): Uint8Array {
	const isIpv4 = family(to) === 4;
	const echo = Uint8Array.of(isIpv4 ? 8 : 128, 0, 0, 0, 0, 1, 0, 1);
	return packet(b, to, isIpv4 ? PROTOCOL.icmp : PROTOCOL.icmpv6, echo, {ttl: 64});
}

const ends = (b: Balancer, from: string, to: string): Pick<UdpParts, 'toMac' | 'fromMac' | 'from' | 'to'> => ({
	toMac: b.ports.external.mac,
	fromMac: CLIENT_MAC,
	from,
	to,
});

const dropped = (description: string, frame: Case['frame']): Case => ({
	description: `${description}, after another router has taken over`,
	verdict: 'V_DROP_LEASE',
	prepare: b => takeOver(b),
	frame,
});

const asked: readonly Case[] = [
	dropped('who has the VIP?', () => arp(VIP)),
	dropped('who has the VIP? in a VLAN', () => tagged(arp(VIP), 7)),
	dropped('who has the VIP? asked of us alone', b => arp(VIP, {toMac: b.ports.external.mac})),
	dropped('who has the VIP of IPv6?', b => solicitation(b, VIP6)),
	dropped('who has the VIP of IPv6? in two VLANs', b => tagged(solicitation(b, VIP6), 7, 8)),
	dropped('who has the VIP of IPv6? asked of us alone', b => unicast(b, VIP6)),
	dropped('who has the link-local VIP?', b => solicitation(b, LINK_LOCAL)),
	dropped('who has the VIP of IPv6? before taking it', b => solicitation(b, VIP6, {from: '[::]:0'})),
	dropped('who has the VIP of IPv6? behind options', b =>
		solicitation(b, VIP6, {extensions: [{type: EXTENSION.hopByHop}]}),
	),
];

const answered = (
	description: string,
	frame: Case['frame'],
	change?: Parameters<typeof takeOver>[1],
	side: Side = 'external',
	verdict: VerdictName = 'V_PASS_OTHER_MAC',
): Case => ({description, verdict, side, prepare: b => takeOver(b, change), frame});

const left: readonly Case[] = [
	...[(): Uint8Array => arp(VIP), (b: Balancer): Uint8Array => solicitation(b, VIP6)].flatMap((question, n) => {
		const of = n === 0 ? 'ARP' : 'ND';
		return [
			answered(`${of}: the daemon lives`, question, now => ({sentUntilNs: now + 60n * SECOND})),
			answered(`${of}: nobody else has ever been heard`, question, () => ({heardNs: 0n, heardUntilNs: 0n})),
			answered(`${of}: the other one was heard before our lease ran out`, question, now => ({
				heardNs: now - 3n * SECOND,
			})),
			answered(`${of}: the other one is silent again`, question, now => ({heardUntilNs: now - 1n})),
			answered(`${of}: we are not master and have let go in order`, question, () => ({sentNs: 0n, sentUntilNs: 0n})),
		];
	}),
	answered('who has another address?', () => arp('192.168.1.10')),
	answered('an answer about the VIP, or its announcement', () => arp(VIP, {operation: 2})),
	answered('a question about other hardware', () => arp(VIP, {hardware: 6})),
	answered('a question that is cut off', () => arp(VIP).subarray(0, 41)),
	answered('who has another address of IPv6?', b => solicitation(b, '2001:db8::10')),
	answered('a question of IPv6 that is cut off', b => solicitation(b, VIP6).subarray(0, 77)),
	answered('the link-local VIP, asked for on another link', b => solicitation(b, LINK_LOCAL), undefined, 'internal'),
	{...answered('an announcement of IPv6 to us', b => unicast(b, VIP6, 136)), verdict: 'V_PASS_ICMP'},
	{...answered('a ping to the VIP', b => ping(b, VIP)), verdict: 'V_PASS_ICMP'},
	{...dropped('who has the VIP? on any NIC, as the kernel would answer there', () => arp(VIP)), side: 'internal'},
];

const closed: readonly Case[] = [
	{
		description: 'a SYN to a port without a service',
		verdict: 'V_DROP_CLOSED',
		frame: b => tcpFrame({...ends(b, `${CLIENT}:40000`, `${CLOSED}:22`), flags: 'S'}),
	},
	{
		description: 'a datagram in a VLAN',
		verdict: 'V_DROP_CLOSED',
		frame: b => tagged(udpFrame(ends(b, `${CLIENT}:40000`, `${CLOSED}:80`)), 7),
	},
	{
		description: 'a SYN of IPv6',
		verdict: 'V_DROP_CLOSED',
		frame: b => tcpFrame({...ends(b, `[${CLIENT6}]:40000`, `[${CLOSED6}]:22`), flags: 'S'}),
	},
	{description: 'a ping', verdict: 'V_DROP_CLOSED', frame: b => ping(b, CLOSED)},
	{description: 'a ping of IPv6', verdict: 'V_DROP_CLOSED', frame: b => ping(b, CLOSED6)},
	{
		description: 'a protocol that we know nothing of',
		verdict: 'V_DROP_CLOSED',
		frame: b => packet(b, CLOSED, PROTOCOL.gre, new Uint8Array(8)),
	},
	{
		description: 'a fragment whose datagram is none of ours',
		verdict: 'V_DROP_CLOSED',
		frame: b => {
			const datagram = udpFrame({...ends(b, `${CLIENT}:1`, `${CLOSED}:9`), payload: new Uint8Array(64)});
			return fragmented(datagram, 40)[1] ?? new Uint8Array();
		},
	},
	{
		description: "what a backend sends from the service's port",
		verdict: 'V_DROP_CLOSED',
		side: 'internal',
		frame: b => tcpFrame({...ends(b, BACKEND, `${CLOSED}:22`), toMac: b.ports.internal.mac, flags: 'S'}),
	},
	{
		description: 'a closed address serves all the same',
		verdict: 'V_FORWARD_NEW',
		frame: b => new Connection(b, `${CLIENT}:40000`, `${CLOSED}:80`).request('S'),
		out: (frame, b) => translated(frame, {toMac: '02:00:00:00:01:47', fromMac: b.ports.internal.mac, to: BACKEND}),
		action: 4,
	},
	{
		description: 'a connection that the service of a closed address does not know: the kernel resets it',
		verdict: 'V_PASS_NO_FLOW',
		frame: b => new Connection(b, `${CLIENT}:40000`, `${CLOSED}:80`).request('A'),
	},
	{description: 'who has the closed address?', verdict: 'V_PASS_OTHER_MAC', frame: () => arp(CLOSED)},
	{description: 'a solicitation at a closed address', verdict: 'V_PASS_ICMP', frame: b => unicast(b, CLOSED6)},
	{description: 'an advertisement at a closed address', verdict: 'V_PASS_ICMP', frame: b => unicast(b, CLOSED6, 136)},
	{
		description: 'an advert at a closed address',
		verdict: 'V_PASS_PROTOCOL',
		frame: b => packet(b, CLOSED, PROTOCOL.vrrp, Uint8Array.of(0x21, ...new Uint8Array(15))),
	},
	{
		description: 'what is authenticated and no advert',
		verdict: 'V_DROP_CLOSED',
		frame: b => packet(b, CLOSED, PROTOCOL.ah, Uint8Array.of(PROTOCOL.tcp, 4, ...new Uint8Array(42))),
	},
	{
		description: 'an address that is not closed',
		verdict: 'V_PASS_NOT_OURS',
		frame: b => tcpFrame({...ends(b, `${CLIENT}:40000`, `${VIP}:22`), flags: 'S'}),
	},
	{
		description: 'a datagram to everybody',
		verdict: 'V_PASS_OTHER_MAC',
		frame: b => udpFrame({...ends(b, `${CLIENT}:1`, '192.168.1.255:9'), toMac: BROADCAST}),
	},
];

export const virtualCases: readonly Case[] = [...asked, ...left, ...closed];
