/** Golden frames of IPv6: every verdict that its program can give. What is decided before it is in verdicts.test.ts. */
import {BackendState, FlowShift, FlowState} from '../../src/xdp/layout.gen.js';
import {answerCases} from './answer-cases.js';
import {type Balancer, CLIENT_MAC, type JobService, XDP} from './balancer.js';
import {type Case, testCases} from './cases.js';
import {Connection} from './connection.js';
import {
	ETHERNET,
	EXTENSION,
	type Extension,
	fullChecksums,
	type IcmpErrorParts,
	IPV6,
	icmpErrorFrame,
	mac,
	patched,
	renamed,
	tagged,
	tcpFrame,
	translated,
	udpFrame,
} from './frame.js';
import {routerCases} from './router-cases.js';

const VIP = '[2001:db8:1::1]:80';
const CLIENT = '[2001:db8:c::50]:40000';
const NAME_SERVICE = '[2001:db8:1::1]:53';
const FIRST = '[fd00:10::47]:80';
const NAME_SERVER = '[fd00:10::49]:53';
const SPARE_NAME_SERVER = '[fd00:10::4a]:5353';
const ONLY = '[fd00:10::80]:80';
/** With limits of new connections. */
const FEW_EACH = '[2001:db8:1::4]:80';
const FEW = '[2001:db8:1::5]:80';
const JOB: readonly JobService[] = [
	{at: VIP, backends: [FIRST, '[fd00:10::48]:8080']},
	{at: NAME_SERVICE, protocol: 'udp', backends: [NAME_SERVER, SPARE_NAME_SERVER]},
	{at: '[2001:db8:1::2]:80', backends: [ONLY]},
	{at: '[2001:db8:1::3]:80', backends: [ONLY]},
	{at: FEW_EACH, backends: ['[fd00:10::81]:80'], perSource: {perSecond: 1, burst: 2}},
	{at: FEW, backends: ['[fd00:10::82]:80'], perService: {perSecond: 1, burst: 2}},
];

/** Offsets in a frame without VLAN tags. */
const AT = {length: ETHERNET + 4, nextHeader: ETHERNET + 6, hopLimit: ETHERNET + 7, behind: ETHERNET + IPV6} as const;
const NEXT = {fragment: 44, encrypted: 50, none: 59, vrrp: 112} as const;
const UNREACHABLE = {type: 1, code: 4} as const;
const TOO_BIG = {type: 2, code: 0, rest: 1400} as const;
const TIME_EXCEEDED = {type: 3, code: 0} as const;

const hopByHop: Extension = {type: EXTENSION.hopByHop};
const destination: Extension = {type: EXTENSION.destination, units: 2};
/** Of a packet that has arrived: no segments are left. */
const routed: Extension = {type: EXTENSION.routing, units: 2, data: Uint8Array.of(4, 0)};

const syn = (b: Balancer, extensions: readonly Extension[] = []): Uint8Array =>
	tcpFrame({toMac: b.ports.external.mac, fromMac: CLIENT_MAC, from: CLIENT, to: VIP, flags: 'S', extensions});
const data = (b: Balancer): Uint8Array => new Connection(b, CLIENT, VIP).request('PA', {payload: Buffer.from('odd')});
const reply = (b: Balancer): Uint8Array => {
	const connection = new Connection(b, CLIENT, VIP);
	connection.backend = FIRST;
	return connection.answer('SA', {payload: Buffer.from('hello')});
};
const datagram = (b: Balancer): Uint8Array =>
	new Connection(b, CLIENT, NAME_SERVICE, 'udp').request('', {payload: Buffer.from('odd')});
const open = (b: Balancer): void => {
	new Connection(b, CLIENT, VIP).fromClient('S');
};
const establish = (b: Balancer): void => {
	new Connection(b, CLIENT, VIP).establish();
};
const openUdp = (b: Balancer): void => {
	new Connection(b, CLIENT, NAME_SERVICE, 'udp').fromClient();
};
const established = BigInt(FlowState.FLOW_ESTABLISHED) << BigInt(FlowShift.FLOW_STATE_SHIFT);
/** Every slot of the table is taken by established flows of strangers. */
const fill = (b: Balancer): void => {
	const coarse = (b.jiffies() >> BigInt(b.maps.settings.get(0)?.coarseShift ?? 0)) & 0xffff_ffffn;
	const stranger = (n: bigint) => ({addrs: [n, 0n, 0n, 0n], ports: 1n, word: established | coarse, nextHop: 0n});
	b.fillFlows([1n, 2n, 3n, 4n].map(stranger), 6);
};
const lockAll = (b: Balancer): void => {
	const empty = {addrs: [0n, 0n, 0n, 0n], ports: 0n, word: 0n, nextHop: 0n};
	b.fillFlows([{...empty, word: 1n << BigInt(FlowShift.FLOW_LOCK_SHIFT)}, empty, empty, empty], 6);
};
const fail = (b: Balancer): void => b.setState('fd00:10::47', BackendState.BACKEND_DOWN);

const toBackend =
	(backend: string, toMac: string) =>
	(frame: Uint8Array, b: Balancer): Uint8Array =>
		translated(frame, {toMac, fromMac: b.ports.internal.mac, to: backend});
const toFirst = toBackend(FIRST, '02:00:00:00:01:47');
const toNameServer = toBackend(NAME_SERVER, '02:00:00:00:01:49');
const toClient = (frame: Uint8Array, b: Balancer): Uint8Array =>
	translated(frame, {toMac: CLIENT_MAC, fromMac: b.ports.external.mac, from: VIP});
/** A datagram whose translation has a checksum of 0, which is written as all ones: its payload makes up for the rest. */
const becomesZero = (b: Balancer): Uint8Array => {
	const connection = new Connection(b, CLIENT, NAME_SERVICE, 'udp');
	const {transport} = fullChecksums(toNameServer(connection.request('', {payload: new Uint8Array(2)}), b));
	return connection.request('', {payload: Uint8Array.of(transport >> 8, transport & 255)});
};

type ErrorFields = Partial<Omit<IcmpErrorParts, 'toMac' | 'fromMac' | 'from'>>;
const ROUTER = '2001:db8:9::9';
/** What a router on the way to the client says of the server's answer, as the client would have seen it. */
const aboutReply = (b: Balancer, fields: ErrorFields = {}): Uint8Array =>
	icmpErrorFrame({
		toMac: b.ports.external.mac,
		fromMac: CLIENT_MAC,
		from: ROUTER,
		to: VIP,
		about: toClient(reply(b), b),
		...fields,
	});
/** The same as the backend is to see it. */
const aboutReplyAtBackend = (b: Balancer, fields: ErrorFields): Uint8Array =>
	icmpErrorFrame({
		toMac: '02:00:00:00:01:47',
		fromMac: b.ports.internal.mac,
		from: ROUTER,
		to: FIRST,
		ttl: 63,
		about: renamed(toClient(reply(b), b), {from: FIRST}),
		...fields,
	});
/** What the backend, or a router before it, says of the client's data, as the backend would have seen them. */
const aboutRequest = (b: Balancer, fields: ErrorFields = {}): Uint8Array =>
	icmpErrorFrame({
		toMac: b.ports.internal.mac,
		fromMac: '02:00:00:00:01:47',
		from: 'fd00:10::1',
		to: CLIENT,
		about: toFirst(data(b), b),
		...fields,
	});
/** The same as the client is to see it: from the service, which never got the packet. */
const aboutRequestAtClient = (b: Balancer, fields: ErrorFields, about: Uint8Array, service: string): Uint8Array =>
	icmpErrorFrame({
		toMac: CLIENT_MAC,
		fromMac: b.ports.external.mac,
		from: VIP,
		to: CLIENT,
		ttl: 63,
		...fields,
		about: renamed(about, {to: service}),
	});
const toNameServerWithOption = (b: Balancer): Uint8Array =>
	toNameServer(
		udpFrame({
			toMac: b.ports.external.mac,
			fromMac: CLIENT_MAC,
			from: CLIENT,
			to: NAME_SERVICE,
			extensions: [hopByHop],
		}),
		b,
	);

/** A flow whose backend is behind the NIC that its client is behind. */
const oneArmed = (b: Balancer): void => {
	establish(b);
	const [entry] = [...b.tables.backends.values()];
	const nic = BigInt(b.ports.external.ifindex) << BigInt(FlowShift.NEXT_HOP_NIC_SHIFT);
	b.setBackend('fd00:10::47', {nextHop: ((entry?.nextHop ?? 0n) & 0xffff_ffff_ffffn) | nic});
};
const toFirstOneArmed = (frame: Uint8Array, b: Balancer): Uint8Array =>
	translated(frame, {toMac: '02:00:00:00:01:47', fromMac: b.ports.external.mac, to: FIRST});
const oneArmedReply = (b: Balancer): Uint8Array => {
	const frame = reply(b);
	frame.set(mac(b.ports.external.mac));
	return frame;
};

const LIMITED: readonly Case[] = [
	{
		description: 'a packet of an established flow whose source has been blocked since',
		verdict: 'V_DROP_BLOCKED',
		prepare: b => {
			establish(b);
			b.block('2001:db8:c::/48');
		},
		frame: data,
	},
	{
		description: 'an error about a reply from a blocked router',
		verdict: 'V_DROP_BLOCKED',
		prepare: b => {
			establish(b);
			b.block('2001:db8:9::9/128');
		},
		frame: b => aboutReply(b),
	},
	{
		description: 'all of IPv4 is blocked',
		verdict: 'V_FORWARD_NEW',
		prepare: b => b.block('0.0.0.0/0'),
		frame: syn,
		out: toFirst,
		action: XDP.redirect,
	},
	{
		description: 'a third connection of a /64 that may have two at once',
		verdict: 'V_DROP_RATE_SOURCE',
		prepare: b => {
			new Connection(b, '[2001:db8:c::1]:1', FEW_EACH).establish();
			new Connection(b, '[2001:db8:c::2]:1', FEW_EACH).establish();
		},
		frame: b => new Connection(b, '[2001:db8:c:0:8000::3]:1', FEW_EACH).request('S'),
	},
	{
		description: 'a third connection to a service that takes two at once',
		verdict: 'V_DROP_RATE_SERVICE',
		prepare: b => {
			new Connection(b, '[2001:db8:c::1]:1', FEW).establish();
			new Connection(b, '[2001:db8:c:1::1]:1', FEW).establish();
		},
		frame: b => new Connection(b, '[2001:db8:c:2::1]:1', FEW).request('S'),
	},
];

const MALFORMED: readonly Case[] = [
	{description: 'IPv4 under the EtherType of IPv6', frame: (b: Balancer) => patched(syn(b), {[ETHERNET]: 0x45})},
	{description: 'an IPv6 header cut short', frame: (b: Balancer) => syn(b).slice(0, ETHERNET + IPV6 - 1)},
	{description: 'a frame cut short', frame: (b: Balancer) => syn(b).slice(0, AT.behind + 19)},
	{description: 'a length beyond the frame', frame: (b: Balancer) => patched(syn(b), {[AT.length + 1]: 21})},
	{description: 'a TCP header that is padding', frame: (b: Balancer) => patched(syn(b), {[AT.length + 1]: 19})},
	{description: 'a jumbogram', frame: (b: Balancer) => patched(syn(b, [hopByHop]), {[AT.length + 1]: 0})},
	{description: 'a UDP header that is padding', frame: (b: Balancer) => patched(datagram(b), {[AT.length + 1]: 7})},
	{
		description: 'an extension header that leaves no room for TCP',
		frame: (b: Balancer) => patched(syn(b, [destination]), {[AT.behind + 1]: 3}),
	},
	{
		description: 'an extension header that runs out of the frame',
		frame: (b: Balancer) => patched(syn(b, [destination]), {[AT.behind + 1]: 255}),
	},
].map(({description, frame}) => ({description, frame, verdict: 'V_PASS_MALFORMED'}));

const OTHER_PROTOCOLS: readonly Case[] = [
	{description: 'VRRP', frame: (b: Balancer) => patched(syn(b), {[AT.nextHeader]: NEXT.vrrp})},
	{description: 'ESP', frame: (b: Balancer) => patched(syn(b), {[AT.nextHeader]: NEXT.encrypted})},
	{description: 'nothing behind the header', frame: (b: Balancer) => patched(syn(b), {[AT.nextHeader]: NEXT.none})},
	{description: 'seven extension headers', frame: (b: Balancer) => syn(b, Array(7).fill(hopByHop))},
	{
		description: 'an extension header that is cut off',
		frame: (b: Balancer) => patched(syn(b), {[AT.nextHeader]: EXTENSION.hopByHop}).slice(0, AT.behind + 1),
	},
	{
		description: 'a packet that has segments left to visit',
		frame: (b: Balancer) => syn(b, [{...routed, data: Uint8Array.of(4, 1)}]),
	},
	{
		description: 'extension headers of 4,096 bytes, and behind them, counted from 0 again, a SYN that is their padding',
		frame: (b: Balancer) => {
			const padding = new Uint8Array(20);
			new DataView(padding.buffer).setUint16(0, 80);
			padding[11] = 2;
			const whole = syn(b, [{...destination, units: 255, data: padding}, destination]);
			return patched(whole, {[AT.behind + 2049]: 255});
		},
	},
].map(({description, frame}) => ({description, frame, verdict: 'V_PASS_PROTOCOL'}));

const EXTENDED: readonly Case[] = [
	{description: 'hop-by-hop options', extensions: [hopByHop]},
	{description: 'destination options', extensions: [destination]},
	{description: 'a routing header without segments left', extensions: [routed]},
	{description: 'three kinds of extension headers', extensions: [hopByHop, destination, routed]},
	{description: 'six extension headers', extensions: Array<Extension>(6).fill(destination)},
].map(({description, extensions}) => ({
	description: `a SYN behind ${description}`,
	verdict: 'V_FORWARD_NEW',
	frame: b => syn(b, extensions),
	out: toFirst,
	action: XDP.redirect,
}));

const ICMP_ERRORS: readonly Case[] = [
	...[UNREACHABLE, TOO_BIG, TIME_EXCEEDED].flatMap((error): Case[] => [
		{
			description: `an error of type ${error.type} about a reply`,
			verdict: 'V_FORWARD_ICMP',
			prepare: establish,
			frame: b => aboutReply(b, {...error, quoted: 25}),
			out: (_, b) => aboutReplyAtBackend(b, {...error, quoted: 25}),
			action: XDP.redirect,
		},
		{
			description: `an error of type ${error.type} about a request`,
			verdict: 'V_REPLY_ICMP',
			side: 'internal',
			prepare: establish,
			frame: b => aboutRequest(b, error),
			out: (_, b) => aboutRequestAtClient(b, error, toFirst(data(b), b), VIP),
			action: XDP.redirect,
		},
	]),
	{
		description: 'the name server has no such port; destination options before the error',
		verdict: 'V_REPLY_ICMP',
		side: 'internal',
		prepare: openUdp,
		frame: b => aboutRequest(b, {...UNREACHABLE, about: toNameServer(datagram(b), b), extensions: [destination]}),
		out: (_, b) => {
			const fields = {...UNREACHABLE, extensions: [destination]};
			return aboutRequestAtClient(b, fields, toNameServer(datagram(b), b), NAME_SERVICE);
		},
		action: XDP.redirect,
	},
	{
		description: 'an error about a request with extension headers',
		verdict: 'V_REPLY_ICMP',
		side: 'internal',
		prepare: openUdp,
		frame: b => aboutRequest(b, {...UNREACHABLE, about: toNameServerWithOption(b)}),
		out: (_, b) => aboutRequestAtClient(b, UNREACHABLE, toNameServerWithOption(b), NAME_SERVICE),
		action: XDP.redirect,
	},
	{
		description: 'an error from a failed backend',
		verdict: 'V_DROP_BACKEND_DOWN',
		side: 'internal',
		prepare: b => {
			establish(b);
			fail(b);
		},
		frame: b => aboutRequest(b),
	},
	{
		description: 'the last hop of an error',
		verdict: 'V_DROP_TTL',
		prepare: establish,
		frame: b => aboutReply(b, {ttl: 1}),
	},
	...[
		{description: 'a neighbour solicitation', fields: {type: 135, code: 0}},
		{description: 'an echo request', fields: {type: 128, code: 0}},
		{description: 'a parameter problem', fields: {type: 4, code: 1}},
		{description: 'an error that goes to another address than the packet came from', fields: {to: CLIENT}},
		{description: 'an error that quotes too little', fields: {quoted: 7}},
	].map(
		({description, fields}): Case => ({
			description,
			verdict: 'V_PASS_ICMP',
			prepare: establish,
			frame: b => aboutReply(b, fields),
		}),
	),
	{description: 'an error about nothing that we know', verdict: 'V_PASS_ICMP', frame: b => aboutReply(b)},
	{
		description: 'an error about a fragment',
		verdict: 'V_PASS_ICMP',
		prepare: establish,
		frame: b => aboutReply(b, {about: patched(toClient(reply(b), b), {[AT.nextHeader]: NEXT.fragment})}),
	},
	{
		description: 'a message cut short',
		verdict: 'V_PASS_ICMP',
		prepare: establish,
		frame: b => aboutReply(b).slice(0, AT.behind + 7),
	},
];

const CASES: readonly Case[] = [
	...routerCases({
		router: '00:00:5e:00:02:5b',
		strangers: ['00:00:5e:00:01:5b', '00:00:5e:00:02:5c', '00:00:5e:00:03:5b', '00:00:5e:01:02:5b'],
		syn,
		out: toFirst,
	}),
	...MALFORMED,
	...OTHER_PROTOCOLS,
	...EXTENDED,
	...ICMP_ERRORS,
	{
		description: 'a later fragment without a first one',
		verdict: 'V_PASS_FRAGMENT',
		frame: b => patched(syn(b), {[AT.nextHeader]: NEXT.fragment}),
	},
	{
		description: 'a later fragment without a first one, behind hop-by-hop options',
		verdict: 'V_PASS_FRAGMENT',
		frame: b => patched(syn(b, [hopByHop]), {[AT.behind]: NEXT.fragment}),
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
		description: 'another port of the service address',
		verdict: 'V_PASS_NOT_OURS',
		frame: b => new Connection(b, CLIENT, '[2001:db8:1::1]:22').request('S'),
	},
	{
		description: 'an address that differs in one bit of each half',
		verdict: 'V_PASS_NOT_OURS',
		frame: b => new Connection(b, CLIENT, '[2001:db8:1:1::1:1]:80').request('S'),
	},
	{
		description: 'UDP to the port of a TCP service',
		verdict: 'V_PASS_NOT_OURS',
		frame: b => new Connection(b, CLIENT, VIP, 'udp').request(),
	},
	{description: 'no SYN and no flow', verdict: 'V_PASS_NO_FLOW', frame: data},
	{
		description: "a backend's answer to a health check",
		verdict: 'V_PASS_BACKEND_NO_FLOW',
		side: 'internal',
		frame: reply,
	},
	{
		description: 'the SYN of a new connection',
		verdict: 'V_FORWARD_NEW',
		frame: b => syn(b),
		out: toFirst,
		action: XDP.redirect,
	},
	{
		description: 'a retransmitted SYN',
		verdict: 'V_FORWARD',
		prepare: open,
		frame: b => syn(b),
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
		description: "the server's answer",
		verdict: 'V_REPLY',
		side: 'internal',
		prepare: open,
		frame: reply,
		out: toClient,
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
	...[[7], [7, 9]].map(
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
		frame: b => tagged(oneArmedReply(b), 7),
		out: (_, b) => tagged(toClient(oneArmedReply(b), b), 7),
		action: XDP.tx,
	},
	{
		description: 'a SYN with extension headers in a VLAN of a VLAN',
		verdict: 'V_DROP_VLAN',
		frame: b => tagged(syn(b, [hopByHop, destination]), 7, 9),
	},
	{
		description: 'a request in a VLAN for a backend behind the other NIC',
		verdict: 'V_DROP_VLAN',
		prepare: establish,
		frame: b => tagged(data(b), 7),
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
		description: 'a datagram whose backend has failed is dealt anew',
		verdict: 'V_FORWARD_NEW',
		prepare: b => {
			openUdp(b);
			b.setState('fd00:10::49', BackendState.BACKEND_DOWN);
		},
		frame: datagram,
		out: toBackend(SPARE_NAME_SERVER, '02:00:00:00:01:4a'),
		action: XDP.redirect,
	},
	{
		description: "the server's datagram",
		verdict: 'V_REPLY',
		side: 'internal',
		prepare: openUdp,
		frame: b => {
			const connection = new Connection(b, CLIENT, NAME_SERVICE, 'udp');
			connection.backend = NAME_SERVER;
			return connection.answer('', {payload: Buffer.from('answer')});
		},
		out: (frame, b) => translated(frame, {toMac: CLIENT_MAC, fromMac: b.ports.external.mac, from: NAME_SERVICE}),
		action: XDP.redirect,
	},
	{
		description: 'no backend is up',
		verdict: 'V_DROP_NO_BACKEND',
		prepare: b => {
			fail(b);
			b.setState('fd00:10::48', BackendState.BACKEND_DRAIN);
		},
		frame: b => syn(b),
	},
	{
		description: 'the flow of a failed backend',
		verdict: 'V_DROP_BACKEND_DOWN',
		prepare: b => {
			establish(b);
			fail(b);
		},
		frame: data,
	},
	{
		description: 'a last word of a failed backend',
		verdict: 'V_DROP_BACKEND_DOWN',
		side: 'internal',
		prepare: b => {
			establish(b);
			fail(b);
		},
		frame: reply,
	},
	{
		description: "the flow's backend has lost its neighbour entry",
		verdict: 'V_DROP_NO_NEIGHBOUR',
		prepare: b => {
			establish(b);
			b.setBackend('fd00:10::47', {nextHop: 0n});
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
	{description: 'a table full of live flows', verdict: 'V_DROP_TABLE_FULL', prepare: fill, frame: b => syn(b)},
	{description: 'a lock that another CPU holds', verdict: 'V_DROP_CONTENDED', prepare: lockAll, frame: b => syn(b)},
	{
		description: 'a flow that another CPU is changing all the time',
		verdict: 'V_DROP_CONTENDED',
		prepare: b => {
			establish(b);
			const busy = BigInt(FlowState.FLOW_BUSY) << BigInt(FlowShift.FLOW_STATE_SHIFT);
			b.changeFlows(slot => ({...slot, word: (slot.word & ~(15n << 48n)) | busy}), 6);
		},
		frame: data,
	},
	{
		description: 'the only backend serves this client port for another service already',
		verdict: 'V_DROP_AMBIGUOUS',
		prepare: b => {
			new Connection(b, CLIENT, '[2001:db8:1::2]:80').fromClient('S');
		},
		frame: b => new Connection(b, CLIENT, '[2001:db8:1::3]:80').request('S'),
	},
	{
		description: 'a flow that names a backend outside of the map',
		verdict: 'V_DROP_LAYOUT',
		prepare: b => {
			establish(b);
			const outside = 0xffffn << BigInt(FlowShift.FLOW_BACKEND_SHIFT);
			b.changeFlows(slot => ({...slot, word: slot.word | outside}), 6);
		},
		frame: data,
	},
	...answerCases({
		client: CLIENT,
		web: VIP,
		names: NAME_SERVICE,
		server: FIRST,
		nobodies: ['[::]:1', '[::1]:1', '[ff02::1]:1'],
	}),
];

testCases([...CASES, ...LIMITED], JOB);
