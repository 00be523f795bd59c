/** DR and tunnels: golden frames of every method and mix of families, and that what arrives is what was sent, one hop less. */
import type {ExecutionContext} from 'ava';
import type {Forwarding} from '../../src/conf/model.js';
import {type Family, family} from '../../src/net/address.js';
import {internetChecksum} from '../../src/net/checksum.js';
import {BackendState, FlowShift, FlowState} from '../../src/xdp/layout.gen.js';
import {hex} from '../net/wire.js';
import {type Balancer, backendMac, balancer, CLIENT_MAC, MTU, packetTest, TUNNEL_SOURCE, XDP} from './balancer.js';
import {Connection} from './connection.js';
import {ETHERNET, icmpErrorFrame, mac, tagged, tcpFrame, udpFrame} from './frame.js';
import {type Arrived, decapsulated} from './tunnel.js';

const VIP = {4: '192.168.1.1:80', 6: '[2001:db8::1]:80'} as const;
const BACKEND = {4: '10.0.0.71', 6: 'fd00::71'} as const;
const CLIENT = '192.168.1.50:40000';
const ETHERTYPE = {4: 0x0800, 6: 0x86dd} as const;

const METHODS = {
	DR: {method: 'dr'},
	IPIP: {method: 'tun', type: 'ipip'},
	GRE: {method: 'tun', type: 'gre', checksum: 'none'},
	'GRE with a checksum': {method: 'tun', type: 'gre', checksum: 'full'},
	GUE: {method: 'tun', type: 'gue', port: 6080, checksum: 'none'},
	'GUE with a checksum': {method: 'tun', type: 'gue', port: 6080, checksum: 'full'},
	'GUE with a checksum that is left to us': {method: 'tun', type: 'gue', port: 6080, checksum: 'remote'},
} as const satisfies Readonly<Record<string, Forwarding>>;
type MethodName = keyof typeof METHODS;

/** A service of one family with a backend of another; ports of backends mean nothing here. */
function reached(t: ExecutionContext, method: MethodName, of: Family, by: Family): Balancer {
	const backend = by === 4 ? `${BACKEND[4]}:80` : `[${BACKEND[6]}]:80`;
	const service = {backends: [backend], forwarding: METHODS[method]};
	return balancer(t, [
		{at: VIP[of], ...service},
		{at: VIP[of], protocol: 'udp', ...service},
	]);
}

function frameOf(packet: Uint8Array, toMac: string, fromMac: string): Uint8Array {
	const type = ETHERTYPE[(packet[0] ?? 0) >> 4 === 6 ? 6 : 4];
	return Uint8Array.from([...mac(toMac), ...mac(fromMac), type >> 8, type & 255, ...packet]);
}

function arriving(b: Balancer, packet: Uint8Array): Uint8Array {
	return frameOf(packet, b.ports.external.mac, CLIENT_MAC);
}

/** A SYN from 192.168.1.50:40000 to 192.168.1.1:80, DSCP 10, ECT(0), don't fragment, 64 hops; then one hop less. */
const SYN4 = hex`
	452a 0028 1234 4000 4006 a4ee c0a80132 c0a80101
	9c40 0050 000003e8 00000000 5002 faf0 90f5 0000`;
const SYN4_ON = hex`
	452a 0028 1234 4000 3f06 a5ee c0a80132 c0a80101
	9c40 0050 000003e8 00000000 5002 faf0 90f5 0000`;
/** The same from [2001:db8::50]:40000 to [2001:db8::1]:80, flow label 12345. */
const SYN6 = hex`
	62a12345 0014 06 40 20010db8000000000000000000000050 20010db8000000000000000000000001
	9c40 0050 000003e8 00000000 5002 faf0 b8b6 0000`;
const SYN6_ON = hex`
	62a12345 0014 06 3f 20010db8000000000000000000000050 20010db8000000000000000000000001
	9c40 0050 000003e8 00000000 5002 faf0 b8b6 0000`;
const SYN = {4: SYN4, 6: SYN6} as const;
const SYN_ON = {4: SYN4_ON, 6: SYN6_ON} as const;

/** What stands before the packet, by method, its family and the tunnel's. IPv4 without "don't fragment" has any identification. */
const GOLDEN: ReadonlyArray<readonly [MethodName, of: Family, by: Family, Uint8Array]> = [
	['DR', 4, 4, hex``],
	['DR', 6, 6, hex``],
	[
		'IPIP',
		4,
		4,
		hex`
		452a 003c 0000 4000 40 04 2644 0a00000a 0a000047`,
	],
	[
		'IPIP',
		4,
		6,
		hex`
		62a127d8 0028 04 40 fd000000000000000000000000000010 fd000000000000000000000000000071`,
	],
	[
		'IPIP',
		6,
		4,
		hex`
		452a 0050 0000 0000 40 29 0000 0a00000a 0a000047`,
	],
	[
		'IPIP',
		6,
		6,
		hex`
		62a4ffe2 003c 29 40 fd000000000000000000000000000010 fd000000000000000000000000000071`,
	],
	[
		'GRE',
		4,
		4,
		hex`
		452a 0040 0000 4000 40 2f 2615 0a00000a 0a000047
		0000 0800`,
	],
	[
		'GRE',
		4,
		6,
		hex`
		62a127d8 002c 2f 40 fd000000000000000000000000000010 fd000000000000000000000000000071
		0000 0800`,
	],
	[
		'GRE',
		6,
		4,
		hex`
		452a 0054 0000 0000 40 2f 0000 0a00000a 0a000047
		0000 86dd`,
	],
	[
		'GRE',
		6,
		6,
		hex`
		62a4ffe2 0040 2f 40 fd000000000000000000000000000010 fd000000000000000000000000000071
		0000 86dd`,
	],
	[
		'GRE with a checksum',
		4,
		4,
		hex`
		452a 0044 0000 4000 40 2f 2611 0a00000a 0a000047
		8000 0800 fb9d 0000`,
	],
	[
		'GRE with a checksum',
		4,
		6,
		hex`
		62a127d8 0030 2f 40 fd000000000000000000000000000010 fd000000000000000000000000000071
		8000 0800 fb9d 0000`,
	],
	[
		'GRE with a checksum',
		6,
		4,
		hex`
		452a 0058 0000 0000 40 2f 0000 0a00000a 0a000047
		8000 86dd 6d02 0000`,
	],
	[
		'GRE with a checksum',
		6,
		6,
		hex`
		62a4ffe2 0044 2f 40 fd000000000000000000000000000010 fd000000000000000000000000000071
		8000 86dd 6d02 0000`,
	],
	[
		'GUE',
		4,
		4,
		hex`
		452a 0048 0000 4000 40 11 262b 0a00000a 0a000047
		e7d8 17c0 0034 0000 00 04 0000`,
	],
	[
		'GUE',
		4,
		6,
		hex`
		62a127d8 0034 11 40 fd000000000000000000000000000010 fd000000000000000000000000000071
		e7d8 17c0 0034 0000 00 04 0000`,
	],
	[
		'GUE',
		6,
		4,
		hex`
		452a 005c 0000 0000 40 11 0000 0a00000a 0a000047
		ffe2 17c0 0048 0000 00 29 0000`,
	],
	[
		'GUE',
		6,
		6,
		hex`
		62a4ffe2 0048 11 40 fd000000000000000000000000000010 fd000000000000000000000000000071
		ffe2 17c0 0048 0000 00 29 0000`,
	],
	[
		'GUE with a checksum',
		4,
		4,
		hex`
		452a 0048 0000 4000 40 11 262b 0a00000a 0a000047
		e7d8 17c0 0034 6f37 00 04 0000`,
	],
	[
		'GUE with a checksum',
		4,
		6,
		hex`
		62a127d8 0034 11 40 fd000000000000000000000000000010 fd000000000000000000000000000071
		e7d8 17c0 0034 8905 00 04 0000`,
	],
	[
		'GUE with a checksum',
		6,
		4,
		hex`
		452a 005c 0000 0000 40 11 0000 0a00000a 0a000047
		ffe2 17c0 0048 4722 00 29 0000`,
	],
	[
		'GUE with a checksum',
		6,
		6,
		hex`
		62a4ffe2 0048 11 40 fd000000000000000000000000000010 fd000000000000000000000000000071
		ffe2 17c0 0048 60f0 00 29 0000`,
	],
];

/** An identification that nobody could foresee, and the checksum that it makes, replaced by 0 after a look at both. */
function withoutIdentification(t: ExecutionContext, frame: Uint8Array): Uint8Array {
	const header = frame.subarray(ETHERNET, ETHERNET + 20);
	if (header[0] !== 0x45 || (header[6] ?? 0) !== 0) return frame;
	t.is(internetChecksum(header), 0);
	const copy = frame.slice();
	copy.fill(0, ETHERNET + 4, ETHERNET + 6);
	copy.fill(0, ETHERNET + 10, ETHERNET + 12);
	return copy;
}

for (const [method, of, by, outer] of GOLDEN)
	packetTest(`a SYN over IPv${of} by ${method} to an IPv${by} backend`, t => {
		const b = reached(t, method, of, by);
		const {verdict, action, frame} = b.send(arriving(b, SYN[of]));
		t.is(verdict, 'V_FORWARD_NEW');
		t.is(action, XDP.redirect);
		const packet = Uint8Array.from([...outer, ...SYN_ON[of]]);
		t.deepEqual(
			Buffer.from(withoutIdentification(t, frame)).toString('hex'),
			Buffer.from(frameOf(packet, backendMac(BACKEND[by]), b.ports.internal.mac)).toString('hex'),
		);
	});

interface Shape {
	readonly hops: number;
	readonly trafficClass: number;
	readonly mayFragment: boolean;
	readonly bytes: number;
	readonly port: number;
}

/** Datagrams of all sizes and marks. */
function* shapes(count: number, room: number): Generator<Shape> {
	let state = 20261123;
	const below = (n: number): number => {
		state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
		return Math.floor((state / 2 ** 32) * n);
	};
	yield {hops: 255, trafficClass: 255, mayFragment: true, bytes: room, port: 1};
	for (let n = 1; n < count; n++)
		yield {
			hops: 2 + below(254),
			trafficClass: below(256),
			mayFragment: below(2) === 0,
			bytes: below(room + 1),
			port: 1024 + below(50),
		};
}

/** A UDP datagram without a checksum, so that nothing but the tunnel's own vouches for it. */
function datagram(of: Family, {hops, trafficClass, mayFragment, bytes, port}: Shape): Uint8Array {
	const udp = new Uint8Array(8 + bytes).map((_, index) => (index * 37 + port) & 255);
	new DataView(udp.buffer).setUint16(0, port);
	new DataView(udp.buffer).setUint16(2, 80);
	new DataView(udp.buffer).setUint16(4, udp.length);
	new DataView(udp.buffer).setUint16(6, 0);
	const source = SYN[of].subarray(0, of === 4 ? 20 : 40);
	const packet = Uint8Array.from([...source, ...udp]);
	const view = new DataView(packet.buffer);
	if (of === 6) {
		view.setUint32(0, (6 << 28) | (trafficClass << 20) | 0x12345);
		view.setUint16(4, udp.length);
		view.setUint8(6, 17);
		view.setUint8(7, hops);
		return packet;
	}
	view.setUint8(1, trafficClass);
	view.setUint16(2, packet.length);
	view.setUint16(6, mayFragment ? 0 : 0x4000);
	view.setUint8(8, hops);
	view.setUint8(9, 17);
	return oneHopLess(packet, 0);
}

/** Of IPv4 with the checksum computed in full. */
function oneHopLess(packet: Uint8Array, hops = 1): Uint8Array {
	const copy = packet.slice();
	const at = (copy[0] ?? 0) >> 4 === 6 ? 7 : 8;
	copy[at] = (copy[at] ?? 0) - hops;
	if (at === 7) return copy;
	copy.fill(0, 10, 12);
	new DataView(copy.buffer).setUint16(10, internetChecksum(copy.subarray(0, 20)));
	return copy;
}

const HEADERS = {4: 20, 6: 40} as const;
const SHIM: Readonly<Record<MethodName, number>> = {
	DR: 0,
	IPIP: 0,
	GRE: 4,
	'GRE with a checksum': 8,
	GUE: 12,
	'GUE with a checksum': 12,
	'GUE with a checksum that is left to us': 12,
};

for (const [method, of, by] of GOLDEN) {
	if (method === 'DR') continue;
	packetTest(`what IPv${of} by ${method} brings to an IPv${by} backend is what was sent, one hop less`, t => {
		const b = reached(t, method, of, by);
		const room = MTU - HEADERS[by] - SHIM[method] - HEADERS[of] - 8;
		const portsByFlow = new Map<number, string>();
		for (const shape of shapes(200, room)) {
			const packet = datagram(of, shape);
			const {frame, verdict} = b.send(arriving(b, packet));
			t.regex(verdict, /^V_FORWARD/);
			t.deepEqual([...frame.subarray(12, 14)], [ETHERTYPE[by] >> 8, ETHERTYPE[by] & 255]);
			const {inner, ports, ...outer} = decapsulated(frame.subarray(ETHERNET));
			t.deepEqual(Buffer.from(inner).compare(oneHopLess(packet)), 0);
			t.deepEqual(outer, {
				method: METHODS[method].type,
				from: TUNNEL_SOURCE[by],
				to: BACKEND[by],
				hops: 64,
				trafficClass: shape.trafficClass,
				mayFragment: by === 6 ? null : of === 6 || shape.mayFragment,
				hasChecksum: method.endsWith('with a checksum'),
			} satisfies Omit<Arrived, 'inner' | 'ports'>);
			t.is(portsByFlow.get(shape.port) ?? ports, ports, 'a flow keeps its source port');
			portsByFlow.set(shape.port, ports);
		}
		t.is(new Set(portsByFlow.values()).size, METHODS[method].type === 'gue' ? portsByFlow.size : 1);
	});
	packetTest(`a byte more than IPv${of} by ${method} to an IPv${by} backend has room for is too much`, t => {
		const b = reached(t, method, of, by);
		const bytes = MTU - HEADERS[by] - SHIM[method] - HEADERS[of] - 8 + 1;
		const sent = (mayFragment: boolean) =>
			arriving(b, datagram(of, {hops: 9, trafficClass: 0, mayFragment, bytes, port: 1}));
		const {verdict, frame} = b.send(sent(false));
		t.is(verdict, 'V_ANSWER_TOO_BIG');
		const said = new DataView(frame.buffer, frame.byteOffset + ETHERNET + HEADERS[of] + 4);
		t.is(said.getUint32(0), MTU - HEADERS[by] - SHIM[method], 'what fits inside');
		if (of === 6) return;
		const dropped = b.send(sent(true));
		t.deepEqual([dropped.verdict, dropped.action], ['V_DROP_TOO_BIG', XDP.drop]);
		t.deepEqual(dropped.frame, sent(true));
	});
}

packetTest('VLAN tags stay outside of the tunnel', t => {
	const b = reached(t, 'GRE', 4, 6);
	const [entry] = b.tables.backends.values();
	const nic = BigInt(b.ports.external.ifindex) << BigInt(FlowShift.NEXT_HOP_NIC_SHIFT);
	b.setBackend(BACKEND[6], {nextHop: ((entry?.nextHop ?? 0n) & 0xffff_ffff_ffffn) | nic});
	for (const ids of [[7], [7, 8]]) {
		const {frame, action} = b.send(tagged(arriving(b, SYN4), ...ids));
		t.is(action, XDP.tx);
		const tags = 4 * ids.length;
		const untagged = frameOf(frame.slice(ETHERNET + tags), backendMac(BACKEND[6]), b.ports.external.mac);
		t.deepEqual(frame, tagged(untagged, ...ids));
		t.deepEqual(decapsulated(frame.subarray(ETHERNET + tags)).inner, SYN4_ON);
	}
});

packetTest('what follows a packet in its frame does not enter the tunnel as a part of it', t => {
	const b = reached(t, 'GUE with a checksum', 4, 4);
	const padded = Uint8Array.from([...arriving(b, SYN4), 1, 2, 3, 4, 5, 6]);
	const {frame} = b.send(padded);
	t.deepEqual(decapsulated(frame.subarray(ETHERNET, frame.length - 6)).inner, SYN4_ON);
});

/** States of all flows. */
function states(b: Balancer): number[] {
	return b.flows().map(({word}) => Number((word >> BigInt(FlowShift.FLOW_STATE_SHIFT)) & 15n));
}

for (const method of ['DR', 'IPIP'] as const)
	packetTest(`${method}: a connection lives by its client's packets alone`, t => {
		const b = reached(t, method, 4, 4);
		const connection = new Connection(b, CLIENT, VIP[4]);
		const steps = [
			['S', 'V_FORWARD_NEW', FlowState.FLOW_ONE_SIDED_SYN_RECV],
			['S', 'V_FORWARD', FlowState.FLOW_ONE_SIDED_SYN_RECV],
			['R', 'V_FORWARD', FlowState.FLOW_ONE_SIDED_SYN_RECV],
			['A', 'V_FORWARD', FlowState.FLOW_ONE_SIDED_ESTABLISHED],
			['PA', 'V_FORWARD', FlowState.FLOW_ONE_SIDED_ESTABLISHED],
			['S', 'V_FORWARD', FlowState.FLOW_ONE_SIDED_ESTABLISHED],
			['FA', 'V_FORWARD', FlowState.FLOW_ONE_SIDED_CLOSE_WAIT],
			['A', 'V_FORWARD', FlowState.FLOW_ONE_SIDED_CLOSE_WAIT],
			['S', 'V_FORWARD_NEW', FlowState.FLOW_ONE_SIDED_SYN_RECV],
			['FA', 'V_FORWARD', FlowState.FLOW_ONE_SIDED_CLOSE_WAIT],
			['R', 'V_FORWARD', FlowState.FLOW_CLOSED],
			['S', 'V_FORWARD_NEW', FlowState.FLOW_ONE_SIDED_SYN_RECV],
		] as const;
		for (const [flags, verdict, state] of steps) {
			t.is(b.send(connection.request(flags, {ack: 77})).verdict, verdict, flags);
			t.deepEqual(states(b), [state], flags);
		}
		b.setState(BACKEND[4], BackendState.BACKEND_DOWN);
		t.is(b.send(connection.request('A')).verdict, 'V_DROP_BACKEND_DOWN');
	});

packetTest('NAT next to DR: the acknowledgement that makes one flow established does nothing for the other', t => {
	const b = balancer(t, [
		{at: '192.168.1.1:80', backends: ['10.0.0.71:80'], forwarding: METHODS.DR},
		{at: '192.168.1.2:80', backends: ['10.0.0.71:80']},
	]);
	for (const service of ['192.168.1.1:80', '192.168.1.2:80']) {
		const connection = new Connection(b, CLIENT, service);
		for (const flags of ['S', 'A']) t.regex(b.send(connection.request(flags, {ack: 77})).verdict, /^V_FORWARD/);
	}
	t.deepEqual(
		states(b).toSorted((x, y) => x - y),
		[FlowState.FLOW_SYN_RECV, FlowState.FLOW_ONE_SIDED_ESTABLISHED],
	);
});

packetTest('a packet of a backend that answers past us is none of ours', t => {
	const b = reached(t, 'DR', 4, 4);
	t.is(b.send(new Connection(b, CLIENT, VIP[4]).request('S')).verdict, 'V_FORWARD_NEW');
	const {mac: toMac} = b.ports.internal;
	const fromMac = backendMac(BACKEND[4]);
	for (const from of [VIP[4], `${BACKEND[4]}:80`]) {
		const answer = tcpFrame({toMac, fromMac, from, to: CLIENT, flags: 'SA'});
		t.is(b.send(answer, 'internal').verdict, 'V_PASS_NOT_OURS');
	}
});

packetTest('the last hop is no way into a tunnel', t => {
	const b = reached(t, 'IPIP', 4, 4);
	t.is(b.send(new Connection(b, CLIENT, VIP[4]).request('S', {ttl: 1})).verdict, 'V_ANSWER_TIME_EXCEEDED');
});

packetTest('an error about what a backend sent past us finds it, as it is', t => {
	for (const method of ['DR', 'IPIP'] as const) {
		const b = reached(t, method, 4, 4);
		b.send(new Connection(b, CLIENT, VIP[4]).request('S'));
		const about = tcpFrame({toMac: CLIENT_MAC, fromMac: CLIENT_MAC, from: VIP[4], to: CLIENT, flags: 'A'});
		const error = icmpErrorFrame({
			toMac: b.ports.external.mac,
			fromMac: CLIENT_MAC,
			from: '203.0.113.9',
			to: '192.168.1.1',
			code: 4,
			rest: 1400,
			about,
		});
		const {verdict, frame} = b.send(error);
		t.is(verdict, 'V_FORWARD_ICMP');
		const packet = frame.subarray(ETHERNET);
		t.deepEqual(method === 'DR' ? packet : decapsulated(packet).inner, oneHopLess(error.subarray(ETHERNET)));
	}
});

packetTest('an error about a tunnel is for the kernel', t => {
	const b = reached(t, 'GUE', 4, 4);
	const {frame} = b.send(new Connection(b, CLIENT, VIP[4]).request('S'));
	const error = icmpErrorFrame({
		toMac: b.ports.internal.mac,
		fromMac: backendMac(BACKEND[4]),
		from: '10.0.0.1',
		to: TUNNEL_SOURCE[4],
		code: 4,
		rest: 1400,
		about: frame,
	});
	t.is(b.send(error, 'internal').verdict, 'V_PASS_ICMP');
});

packetTest('UDP keeps its backend without an answer', t => {
	const b = reached(t, 'DR', 4, 4);
	const frame = udpFrame({toMac: b.ports.external.mac, fromMac: CLIENT_MAC, from: CLIENT, to: VIP[4]});
	t.is(b.send(frame).verdict, 'V_FORWARD_NEW');
	t.is(b.send(frame).verdict, 'V_FORWARD');
	t.deepEqual(states(b), [FlowState.FLOW_UDP_ONE_WAY]);
});

packetTest('traffic is counted as it came in', t => {
	const b = reached(t, 'GUE', 4, 6);
	b.send(arriving(b, SYN4));
	const [id] = [...b.tables.backends.keys()];
	t.is(family(BACKEND[6]), 6);
	const totals = b.maps.traffic.sumU64((id ?? 0) * 64, 4096 * 64, b.maps.traffic.size / (4096 * 64), 5);
	t.deepEqual([...totals], [1n, 1n, BigInt(arriving(b, SYN4).length), 0n, 0n]);
});
