/** Golden frames: what comes in, with which verdict it leaves, and how it looks then. Every verdict has a case. */
import test from 'ava';
import {formatAddress} from '../../src/net/address.js';
import {BackendState, FilterSide, FlowShift, FlowState} from '../../src/xdp/layout.gen.js';
import {addressIn} from '../../src/xdp/tables.js';
import {answerCases} from './answer-cases.js';
import {type Balancer, balancer, CLIENT_MAC, type JobService, packetTest, VERDICTS, XDP} from './balancer.js';
import {type Case, testCases} from './cases.js';
import {Connection} from './connection.js';
import {
	ETHERTYPE,
	fullChecksums,
	type IcmpErrorParts,
	icmpErrorFrame,
	mac,
	otherFrame,
	patched,
	renamed,
	tagged,
	tcpFrame,
	translated,
	udpFrame,
	withChecksums,
} from './frame.js';
import {routerCases} from './router-cases.js';
import {virtualCases} from './virtual-cases.js';

const VIP = '192.168.1.1:80';
const CLIENT = '192.168.1.50:40000';
const NAME_SERVICE = '192.168.1.1:53';
/** With limits of new connections. */
const FEW_EACH = '192.168.1.4:80';
const FEW = '192.168.1.5:80';
const JOB = [{at: VIP, backends: ['10.0.0.71:80', '10.0.0.72:8080']}];

const arp = (b: Balancer): Uint8Array =>
	otherFrame(b.ports.external.mac, CLIENT_MAC, ETHERTYPE.arp, new Uint8Array(28));
const syn = (b: Balancer): Uint8Array => new Connection(b, CLIENT, VIP).request('S');
const data = (b: Balancer): Uint8Array => new Connection(b, CLIENT, VIP).request('PA', {payload: Buffer.from('odd')});
const reply = (b: Balancer): Uint8Array => {
	const connection = new Connection(b, CLIENT, VIP);
	connection.backend = '10.0.0.71:80';
	return connection.answer('SA', {payload: Buffer.from('hello')});
};
const datagram = (b: Balancer): Uint8Array =>
	new Connection(b, CLIENT, NAME_SERVICE, 'udp').request('', {payload: Buffer.from('odd')});
const openUdp = (b: Balancer): void => {
	new Connection(b, CLIENT, NAME_SERVICE, 'udp').fromClient();
};
const open = (b: Balancer): void => {
	new Connection(b, CLIENT, VIP).fromClient('S');
};
const establish = (b: Balancer): void => {
	new Connection(b, CLIENT, VIP).establish();
};
/** Every slot of the table is taken by established flows of strangers. */
const fill = (b: Balancer): void => {
	const {coarse} = ticks(b);
	const word = (BigInt(FlowState.FLOW_ESTABLISHED) << BigInt(FlowShift.FLOW_STATE_SHIFT)) | coarse;
	b.fillFlows([1n, 2n, 3n, 4n].map(client => ({addrs: [client], ports: 1n, word, nextHop: 0n})));
};
const lockAll = (b: Balancer): void => {
	const word = 1n << BigInt(FlowShift.FLOW_LOCK_SHIFT);
	const empty = {addrs: [0n], ports: 0n, word: 0n, nextHop: 0n};
	b.fillFlows([{...empty, word}, empty, empty, empty]);
};

function ticks(b: Balancer): {coarse: bigint} {
	const {data: clock} = b.run('read_clock', new Uint8Array(64), 'external');
	const jiffies = new DataView(clock.buffer, clock.byteOffset).getBigUint64(0, true);
	return {coarse: (jiffies >> BigInt(b.maps.settings.get(0)?.coarseShift ?? 0)) & 0xffff_ffffn};
}

const toBackend =
	(backend: string, backendMac: string) =>
	(frame: Uint8Array, b: Balancer): Uint8Array =>
		translated(frame, {toMac: backendMac, fromMac: b.ports.internal.mac, to: backend});
const toFirst = toBackend('10.0.0.71:80', '02:00:00:00:01:47');
const toNameServer = toBackend('10.0.0.73:53', '02:00:00:00:01:49');
/** A datagram whose translation has a checksum of 0, which is written as all ones: its payload makes up for the rest. */
const becomesZero = (b: Balancer): Uint8Array => {
	const connection = new Connection(b, CLIENT, NAME_SERVICE, 'udp');
	const {transport} = fullChecksums(toNameServer(connection.request('', {payload: new Uint8Array(2)}), b));
	return connection.request('', {payload: Uint8Array.of(transport >> 8, transport & 255)});
};
const toClient = (frame: Uint8Array, b: Balancer): Uint8Array =>
	translated(frame, {toMac: CLIENT_MAC, fromMac: b.ports.external.mac, from: VIP});

type ErrorFields = Partial<Omit<IcmpErrorParts, 'toMac' | 'fromMac' | 'from'>>;
const ROUTER = '203.0.113.9';
const tooBig = {type: 3, code: 4, rest: 1400} as const;
/** What a router on the way to the client says of the server's answer, as the client would have seen it. */
const aboutReply = (b: Balancer, fields: ErrorFields = {}): Uint8Array =>
	icmpErrorFrame({
		toMac: b.ports.external.mac,
		fromMac: CLIENT_MAC,
		from: ROUTER,
		to: '192.168.1.1',
		about: toClient(reply(b), b),
		...fields,
	});
/** What the backend, or a router before it, says of the client's data, as the backend would have seen them. */
const aboutRequest = (b: Balancer, fields: ErrorFields = {}): Uint8Array =>
	icmpErrorFrame({
		toMac: b.ports.internal.mac,
		fromMac: '02:00:00:00:01:47',
		from: '10.0.0.1',
		to: '192.168.1.50',
		about: toFirst(data(b), b),
		...fields,
	});
/** An error about a request as the client is to see it: from the service, which never got the packet. */
const fromService = (b: Balancer, fields: ErrorFields & Pick<IcmpErrorParts, 'about'>, service: string): Uint8Array =>
	icmpErrorFrame({
		toMac: CLIENT_MAC,
		fromMac: b.ports.external.mac,
		from: '192.168.1.1',
		to: '192.168.1.50',
		ttl: 63,
		...fields,
		about: renamed(fields.about, {to: service}),
	});
/** A name server without the port, with options in both IPv4 headers. */
const refusal = (b: Balancer): ErrorFields & Pick<IcmpErrorParts, 'about'> => {
	const options = new Uint8Array(4).fill(1);
	const toMac = '02:00:00:00:01:49';
	const about = udpFrame({toMac, fromMac: b.ports.internal.mac, from: CLIENT, to: '10.0.0.73:53', options});
	return {type: 3, code: 3, options, about};
};

/** A flow whose backend is behind the NIC that its client is behind. */
const oneArmed = (b: Balancer): void => {
	establish(b);
	const [entry] = [...b.tables.backends.values()];
	const nic = BigInt(b.ports.external.ifindex) << BigInt(FlowShift.NEXT_HOP_NIC_SHIFT);
	b.setBackend('10.0.0.71', {nextHop: ((entry?.nextHop ?? 0n) & 0xffff_ffff_ffffn) | nic});
};
const toFirstOneArmed = (frame: Uint8Array, b: Balancer): Uint8Array =>
	translated(frame, {toMac: '02:00:00:00:01:47', fromMac: b.ports.external.mac, to: '10.0.0.71:80'});
const oneArmedReply = (b: Balancer): Uint8Array => {
	const frame = reply(b);
	frame.set(mac(b.ports.external.mac));
	return frame;
};

const CASES: readonly Case[] = [
	...routerCases({
		router: '00:00:5e:00:01:5b',
		strangers: ['00:00:5e:00:02:5b', '00:00:5e:00:01:5c', '00:00:5e:00:03:5b', '00:00:5e:01:01:5b'],
		syn,
		out: toFirst,
	}),
	{
		description: 'a NIC that the daemon has not listed',
		verdict: 'V_PASS_UNKNOWN_NIC',
		prepare: b => b.setNic(b.ports.external.ifindex, {ifindex: 0, mac: new Uint8Array(6), mtu: 0}),
		frame: syn,
	},
	{description: 'a broadcast', verdict: 'V_PASS_OTHER_MAC', frame: b => patched(syn(b), {0: 255, 5: 255})},
	{
		description: 'a frame for our other NIC',
		verdict: 'V_PASS_OTHER_MAC',
		side: 'internal',
		frame: syn,
	},
	{
		description: 'ARP',
		verdict: 'V_PASS_ETHERTYPE',
		frame: arp,
	},
	{description: 'three VLAN tags', verdict: 'V_PASS_VLAN', frame: b => tagged(syn(b), 1, 2, 3)},
	{
		description: 'a tagged frame that ends in its tag',
		verdict: 'V_PASS_MALFORMED',
		frame: b => tagged(syn(b), 1).slice(0, 17),
	},
	{description: 'ARP in a VLAN', verdict: 'V_PASS_ETHERTYPE', frame: b => tagged(arp(b), 1)},
	{
		description: 'IPv6 that is none',
		verdict: 'V_PASS_MALFORMED',
		frame: b => otherFrame(b.ports.external.mac, CLIENT_MAC, ETHERTYPE.ipv6, new Uint8Array(60)),
	},
	{
		description: 'a later fragment without a first one',
		verdict: 'V_PASS_FRAGMENT',
		frame: b => patched(syn(b), {20: 0, 21: 1}),
	},
	{
		description: 'a later fragment that begins within the TCP header',
		verdict: 'V_DROP_FRAGMENT',
		prepare: b => void b.send(patched(syn(b), {20: 0x20})),
		frame: b => patched(syn(b), {20: 0, 21: 2}),
	},
	{
		description: 'a jumbo frame, of which the first buffer holds the beginning',
		verdict: 'V_FORWARD',
		prepare: b => {
			b.setMtu('internal', 9000);
			establish(b);
		},
		frame: b => new Connection(b, CLIENT, VIP).request('A', {payload: new Uint8Array(8900).fill(7)}),
		out: toFirst,
		action: XDP.redirect,
	},
	{
		description: 'a jumbo frame that is longer still by its header',
		verdict: 'V_PASS_MALFORMED',
		prepare: establish,
		frame: b => patched(new Connection(b, CLIENT, VIP).request('A', {payload: new Uint8Array(8900)}), {16: 0x23}),
	},
	{
		description: 'an echo request',
		verdict: 'V_PASS_ICMP',
		prepare: establish,
		frame: b => aboutReply(b, {type: 8, code: 0}),
	},
	{description: 'an error about nothing that we know', verdict: 'V_PASS_ICMP', frame: b => aboutReply(b)},
	{
		description: 'an error that goes to another address than the packet came from',
		verdict: 'V_PASS_ICMP',
		prepare: establish,
		frame: b => aboutReply(b, {to: '192.168.1.2'}),
	},
	{
		description: 'an error that quotes too little',
		verdict: 'V_PASS_ICMP',
		prepare: establish,
		frame: b => aboutReply(b, {quoted: 7}),
	},
	{
		description: 'an error about a later fragment',
		verdict: 'V_PASS_ICMP',
		prepare: establish,
		frame: b => aboutReply(b, {about: patched(toClient(reply(b), b), {20: 0, 21: 1})}),
	},
	{
		description: 'a UDP header that is padding',
		verdict: 'V_PASS_MALFORMED',
		frame: b => patched(datagram(b), {16: 0, 17: 27}),
	},
	{
		description: 'UDP to the port of a TCP service',
		verdict: 'V_PASS_NOT_OURS',
		frame: b => new Connection(b, CLIENT, VIP, 'udp').request(),
	},
	{description: 'VRRP', verdict: 'V_PASS_PROTOCOL', frame: b => patched(syn(b), {23: 112})},
	{description: 'an IPv4 header of four words', verdict: 'V_PASS_MALFORMED', frame: b => patched(syn(b), {14: 0x44})},
	{
		description: 'options that run out of the frame',
		verdict: 'V_PASS_MALFORMED',
		frame: b => patched(syn(b), {14: 0x4f}),
	},
	{
		description: 'a TCP header that is padding',
		verdict: 'V_PASS_MALFORMED',
		frame: b => patched(syn(b), {16: 0, 17: 30}),
	},
	{description: 'a length beyond the frame', verdict: 'V_PASS_MALFORMED', frame: b => patched(syn(b), {16: 2})},
	{description: 'a frame cut short', verdict: 'V_PASS_MALFORMED', frame: b => syn(b).slice(0, 50)},
	{
		description: 'another port of the service address',
		verdict: 'V_PASS_NOT_OURS',
		frame: b => new Connection(b, CLIENT, '192.168.1.1:22').request('S'),
	},
	{description: 'no SYN and no flow', verdict: 'V_PASS_NO_FLOW', frame: data},
	{
		description: 'a SYN that is no first packet',
		verdict: 'V_PASS_NO_FLOW',
		frame: b => new Connection(b, CLIENT, VIP).request('SR'),
	},
	{
		description: "a backend's answer to a health check",
		verdict: 'V_PASS_BACKEND_NO_FLOW',
		side: 'internal',
		frame: reply,
	},
	{
		description: 'the SYN of a new connection',
		verdict: 'V_FORWARD_NEW',
		frame: syn,
		out: toFirst,
		action: XDP.redirect,
	},
	{
		description: 'a SYN with IPv4 options',
		verdict: 'V_FORWARD_NEW',
		frame: b =>
			tcpFrame({
				toMac: b.ports.external.mac,
				fromMac: CLIENT_MAC,
				from: CLIENT,
				to: VIP,
				flags: 'S',
				options: new Uint8Array([7, 7, 4, 1, 2, 3, 4, 0]),
			}),
		out: toFirst,
		action: XDP.redirect,
	},
	{
		description: 'a SYN with explicit congestion notification',
		verdict: 'V_FORWARD_NEW',
		frame: b => withChecksums(patched(syn(b), {47: 0xc2})),
		out: toFirst,
		action: XDP.redirect,
	},
	{
		description: 'a retransmitted SYN',
		verdict: 'V_FORWARD',
		prepare: open,
		frame: syn,
		out: toFirst,
		action: XDP.redirect,
	},
	{
		description: "a client's data of odd length",
		verdict: 'V_FORWARD',
		prepare: establish,
		frame: data,
		out: toFirst,
		action: XDP.redirect,
	},
	{
		description: 'a backend behind the NIC that the packet came in on',
		verdict: 'V_FORWARD',
		prepare: oneArmed,
		frame: data,
		out: toFirstOneArmed,
		action: XDP.tx,
	},
	...[[7], [7, 0], [0, 4094]].map(
		(ids): Case => ({
			description: `a request in VLAN ${ids.join(' of ')} leaves in it through the same NIC`,
			verdict: 'V_FORWARD',
			prepare: oneArmed,
			frame: b => tagged(data(b), ...ids),
			out: (_, b) => tagged(toFirstOneArmed(data(b), b), ...ids),
			action: XDP.tx,
		}),
	),
	{
		description: 'a reply in a VLAN leaves in it through the same NIC',
		verdict: 'V_REPLY',
		prepare: oneArmed,
		frame: b => tagged(oneArmedReply(b), 7, 8),
		out: (_, b) => tagged(toClient(oneArmedReply(b), b), 7, 8),
		action: XDP.tx,
	},
	{
		description: 'a tag of mere priority crosses from NIC to NIC',
		verdict: 'V_FORWARD',
		prepare: establish,
		frame: b => tagged(data(b), 0),
		out: (_, b) => tagged(toFirst(data(b), b), 0),
		action: XDP.redirect,
	},
	{
		description: 'a request in a VLAN for a backend behind the other NIC',
		verdict: 'V_DROP_VLAN',
		prepare: establish,
		frame: b => tagged(data(b), 7),
	},
	{
		description: 'a reply in a VLAN to a client behind the other NIC',
		verdict: 'V_DROP_VLAN',
		side: 'internal',
		prepare: establish,
		frame: b => tagged(reply(b), 0, 7),
	},
	{
		description: "the server's answer",
		verdict: 'V_REPLY',
		side: 'internal',
		prepare: open,
		frame: reply,
		out: toClient,
		action: XDP.redirect,
	},
	{
		description: 'a drained backend goes on with its flows',
		verdict: 'V_FORWARD',
		prepare: b => {
			establish(b);
			b.setState('10.0.0.71', BackendState.BACKEND_DRAIN);
		},
		frame: data,
		out: toFirst,
		action: XDP.redirect,
	},
	{
		description: 'the first datagram of a client',
		verdict: 'V_FORWARD_NEW',
		frame: datagram,
		out: toNameServer,
		action: XDP.redirect,
	},
	{
		description: 'a datagram whose checksum becomes 0',
		verdict: 'V_FORWARD_NEW',
		frame: becomesZero,
		out: toNameServer,
		action: XDP.redirect,
	},
	{
		description: 'a datagram without a checksum',
		verdict: 'V_FORWARD',
		prepare: openUdp,
		frame: b => patched(datagram(b), {40: 0, 41: 0}),
		out: toNameServer,
		action: XDP.redirect,
	},
	{
		description: 'a datagram whose backend has failed is dealt anew',
		verdict: 'V_FORWARD_NEW',
		prepare: b => {
			openUdp(b);
			b.setState('10.0.0.73', BackendState.BACKEND_DOWN);
		},
		frame: datagram,
		out: toBackend('10.0.0.74:5353', '02:00:00:00:01:4a'),
		action: XDP.redirect,
	},
	{
		description: "the server's datagram",
		verdict: 'V_REPLY',
		side: 'internal',
		prepare: openUdp,
		frame: b => {
			const connection = new Connection(b, CLIENT, NAME_SERVICE, 'udp');
			connection.backend = '10.0.0.73:53';
			return connection.answer('', {payload: Buffer.from('answer')});
		},
		out: (frame, b) => translated(frame, {toMac: CLIENT_MAC, fromMac: b.ports.external.mac, from: NAME_SERVICE}),
		action: XDP.redirect,
	},
	{
		description: 'a reply was too big for a hop near the client',
		verdict: 'V_FORWARD_ICMP',
		prepare: establish,
		frame: b => aboutReply(b, tooBig),
		out: (_, b) =>
			icmpErrorFrame({
				...tooBig,
				toMac: '02:00:00:00:01:47',
				fromMac: b.ports.internal.mac,
				from: ROUTER,
				to: '10.0.0.71',
				ttl: 63,
				about: renamed(toClient(reply(b), b), {from: '10.0.0.71:80'}),
			}),
		action: XDP.redirect,
	},
	...([20, 8] as const).map(
		(quoted): Case => ({
			description: `a request ran out of hops behind us; ${quoted} bytes quoted`,
			verdict: 'V_REPLY_ICMP',
			side: 'internal',
			prepare: establish,
			frame: b => aboutRequest(b, {type: 11, code: 0, quoted}),
			out: (_, b) => fromService(b, {type: 11, code: 0, quoted, about: toFirst(data(b), b)}, VIP),
			action: XDP.redirect,
		}),
	),
	{
		description: 'the backend has no such port; IPv4 options outside and inside',
		verdict: 'V_REPLY_ICMP',
		side: 'internal',
		prepare: openUdp,
		frame: b => aboutRequest(b, refusal(b)),
		out: (_, b) => fromService(b, refusal(b), NAME_SERVICE),
		action: XDP.redirect,
	},
	{
		description: 'an error from a failed backend',
		verdict: 'V_DROP_BACKEND_DOWN',
		side: 'internal',
		prepare: b => {
			establish(b);
			b.setState('10.0.0.71', BackendState.BACKEND_DOWN);
		},
		frame: b => aboutRequest(b),
	},
	{
		description: 'an error about a reply of a failed backend',
		verdict: 'V_DROP_BACKEND_DOWN',
		prepare: b => {
			establish(b);
			b.setState('10.0.0.71', BackendState.BACKEND_DOWN);
		},
		frame: b => aboutReply(b),
	},
	{
		description: 'the last hop of an error',
		verdict: 'V_DROP_TTL',
		prepare: establish,
		frame: b => aboutReply(b, {ttl: 1}),
	},
	{
		description: 'no backend is up',
		verdict: 'V_DROP_NO_BACKEND',
		prepare: b => {
			b.setState('10.0.0.71', BackendState.BACKEND_DOWN);
			b.setState('10.0.0.72', BackendState.BACKEND_DRAIN);
		},
		frame: syn,
	},
	{
		description: 'no backend has a next hop',
		verdict: 'V_DROP_NO_BACKEND',
		prepare: b => {
			b.setBackend('10.0.0.71', {nextHop: 0n});
			b.setBackend('10.0.0.72', {nextHop: 0n});
		},
		frame: syn,
	},
	{
		description: 'the flow of a failed backend',
		verdict: 'V_DROP_BACKEND_DOWN',
		prepare: b => {
			establish(b);
			b.setState('10.0.0.71', BackendState.BACKEND_DOWN);
		},
		frame: data,
	},
	{
		description: 'a last word of a failed backend',
		verdict: 'V_DROP_BACKEND_DOWN',
		side: 'internal',
		prepare: b => {
			establish(b);
			b.setState('10.0.0.71', BackendState.BACKEND_DOWN);
		},
		frame: reply,
	},
	{
		description: 'the flow of a backend whose entry is free again',
		verdict: 'V_DROP_BACKEND_DOWN',
		prepare: b => {
			establish(b);
			b.setState('10.0.0.71', BackendState.BACKEND_UNUSED);
		},
		frame: data,
	},
	{
		description: "the flow's backend has lost its neighbour entry",
		verdict: 'V_DROP_NO_NEIGHBOUR',
		prepare: b => {
			establish(b);
			b.setBackend('10.0.0.71', {nextHop: 0n});
		},
		frame: data,
	},
	{
		description: 'the NIC towards the backend is gone',
		verdict: 'V_DROP_NO_NIC',
		prepare: b => {
			establish(b);
			b.setNic(b.ports.internal.ifindex, {ifindex: 0, mac: new Uint8Array(6), mtu: 0});
		},
		frame: data,
	},
	{
		description: 'the NIC towards the backend takes no redirected frames',
		verdict: 'V_DROP_NO_NIC',
		prepare: b => {
			establish(b);
			b.maps.nicPorts.delete(b.ports.internal.ifindex);
		},
		frame: data,
	},
	{description: 'a table full of live flows', verdict: 'V_DROP_TABLE_FULL', prepare: fill, frame: syn},
	{description: 'a lock that another CPU holds', verdict: 'V_DROP_CONTENDED', prepare: lockAll, frame: syn},
	{
		description: 'a flow that another CPU is changing all the time',
		verdict: 'V_DROP_CONTENDED',
		prepare: b => {
			establish(b);
			const busy = BigInt(FlowState.FLOW_BUSY) << BigInt(FlowShift.FLOW_STATE_SHIFT);
			b.changeFlows(slot => ({...slot, word: (slot.word & ~(15n << 48n)) | busy}));
		},
		frame: data,
	},
	{
		description: 'the only backend serves this client port for another service already',
		verdict: 'V_DROP_AMBIGUOUS',
		prepare: b => {
			new Connection(b, CLIENT, '192.168.1.2:80').fromClient('S');
			new Connection(b, '192.168.1.51:1', '192.168.1.2:80').fromClient('S');
		},
		frame: b => new Connection(b, CLIENT, '192.168.1.3:80').request('S'),
	},
	{
		description: 'a flow that names a backend outside of the map',
		verdict: 'V_DROP_LAYOUT',
		prepare: b => {
			establish(b);
			b.changeFlows(slot => ({...slot, word: slot.word | (0xffffn << BigInt(FlowShift.FLOW_BACKEND_SHIFT))}));
		},
		frame: data,
	},
	...answerCases({
		client: CLIENT,
		web: VIP,
		names: NAME_SERVICE,
		server: '10.0.0.71:80',
		nobodies: ['0.0.0.7:1', '127.0.0.1:1', '224.0.0.1:1', '255.255.255.255:1'],
	}),
];

const LIMITED: readonly Case[] = [
	{
		description: 'a packet of an established flow whose source has been blocked since',
		verdict: 'V_DROP_BLOCKED',
		prepare: b => {
			establish(b);
			b.block('192.168.1.0/24');
		},
		frame: data,
	},
	{
		description: 'a SYN of a blocked address',
		verdict: 'V_DROP_BLOCKED',
		prepare: b => b.block('192.168.1.50/32'),
		frame: syn,
	},
	{
		description: 'an error about a reply from a blocked router',
		verdict: 'V_DROP_BLOCKED',
		prepare: b => {
			establish(b);
			b.block('203.0.113.0/24');
		},
		frame: b => aboutReply(b),
	},
	{
		description: 'a source beside a blocked prefix',
		verdict: 'V_FORWARD_NEW',
		prepare: b => b.block('192.168.1.48/31'),
		frame: syn,
		out: toFirst,
		action: XDP.redirect,
	},
	{
		description: 'a blocked source, to what is no service',
		verdict: 'V_PASS_NOT_OURS',
		prepare: b => {
			b.block('192.168.1.0/24');
			b.changeSettings(({filter}) => ({filter: filter.map(() => FilterSide.FILTER_SERVICE)}));
		},
		frame: b => new Connection(b, CLIENT, '192.168.1.1:81').request('S'),
	},
	{
		description: 'a third connection of a source that may have two at once',
		verdict: 'V_DROP_RATE_SOURCE',
		prepare: b => {
			new Connection(b, '192.168.1.50:1', FEW_EACH).establish();
			new Connection(b, '192.168.1.50:2', FEW_EACH).establish();
		},
		frame: b => new Connection(b, '192.168.1.50:3', FEW_EACH).request('S'),
	},
	{
		description: 'a third connection to a service that takes two at once',
		verdict: 'V_DROP_RATE_SERVICE',
		prepare: b => {
			new Connection(b, '192.168.1.50:1', FEW).establish();
			new Connection(b, '192.168.1.51:1', FEW).establish();
		},
		frame: b => new Connection(b, '192.168.1.52:1', FEW).request('S'),
	},
];

const SHARED: readonly JobService[] = [
	...JOB,
	{at: NAME_SERVICE, protocol: 'udp', backends: ['10.0.0.73:53', '10.0.0.74:5353']},
	{at: '192.168.1.2:80', backends: ['10.0.0.80:80']},
	{at: '192.168.1.3:80', backends: ['10.0.0.80:80']},
	{at: FEW_EACH, backends: ['10.0.0.81:80'], perSource: {perSecond: 1, burst: 2}},
	{at: FEW, backends: ['10.0.0.82:80'], perService: {perSecond: 1, burst: 2}},
];

testCases([...CASES, ...LIMITED], SHARED);

test('every verdict has a case', t => {
	const covered = new Set([...CASES, ...LIMITED, ...virtualCases].map(({verdict}) => verdict));
	t.deepEqual(
		VERDICTS.filter(name => !covered.has(name)),
		[],
	);
});

packetTest('a refused connection leaves no BUSY slot and no lock behind', t => {
	const b = balancer(t, JOB);
	b.setState('10.0.0.71', BackendState.BACKEND_DOWN);
	b.setState('10.0.0.72', BackendState.BACKEND_DOWN);
	t.is(b.send(syn(b)).verdict, 'V_DROP_NO_BACKEND');
	b.setState('10.0.0.72', BackendState.BACKEND_UP);
	t.is(b.send(syn(b)).verdict, 'V_FORWARD_NEW');
	t.true(b.flows().every(({word}) => ((word >> BigInt(FlowShift.FLOW_LOCK_SHIFT)) & 1n) === 0n));
});

packetTest('verdicts and traffic are counted for the service and backend they belong to', t => {
	const b = balancer(t, JOB);
	new Connection(b, CLIENT, VIP).establish();
	const [id] = [...b.tables.backends].find(([, entry]) => formatAddress(addressIn(entry)) === '10.0.0.71') ?? [0];
	const totals = b.maps.traffic.sumU64(id * 64, 4096 * 64, b.maps.traffic.size / (4096 * 64), 5);
	t.deepEqual([...totals], [1n, 2n, 108n, 1n, 54n]);
});
