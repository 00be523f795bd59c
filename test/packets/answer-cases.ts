/** Golden frames of the answers that the balancer gives itself, of either family. */
import {type Family, family, formatAddress} from '../../src/net/address.js';
import {BackendState, FailedBackend, NoBackend} from '../../src/xdp/layout.gen.js';
import {addressIn} from '../../src/xdp/tables.js';
import {type Balancer, CLIENT_MAC, XDP} from './balancer.js';
import type {Case} from './cases.js';
import {Connection, SERVER_ISN} from './connection.js';
import {
	ETHERNET,
	EXTENSION,
	endpoint,
	icmpErrorFrame,
	patched,
	tagged,
	tcpFrame,
	transportOffset,
	withChecksums,
} from './frame.js';

/** Who is who in a job of a family; the first server is the one that the first connection is dealt to. */
export interface Cast {
	readonly client: string;
	readonly web: string;
	readonly names: string;
	readonly server: string;
	/** Neither of which is one machine's. */
	readonly nobodies: readonly string[];
}

const SERVER_MAC = '02:00:00:00:01:47';
/** What an answer holds at most, and what ICMP says, by family. */
const LARGEST = {4: 576, 6: 1280} as const;
const HEADERS = {4: 28, 6: 48} as const;
const SAID = {
	4: {timeExceeded: [11, 0], tooBig: [3, 4], unreachable: [3, 3]},
	6: {timeExceeded: [3, 0], tooBig: [2, 0], unreachable: [1, 4]},
} as const satisfies Record<Family, Record<string, readonly [number, number]>>;
const HOPS_AT = {4: ETHERNET + 8, 6: ETHERNET + 7} as const;
const FRAGMENT_AT = ETHERNET + 6;

export function answerCases(cast: Cast): readonly Case[] {
	const of = family(endpoint(cast.client)[0]);
	const said = SAID[of];
	const web = (b: Balancer) => new Connection(b, cast.client, cast.web);
	const names = (b: Balancer) => new Connection(b, cast.client, cast.names, 'udp');
	const establish = (b: Balancer): void => {
		web(b).establish();
	};
	const reply = (b: Balancer, payload = 0): Uint8Array => {
		const connection = web(b);
		connection.backend = cast.server;
		return connection.answer('PA', {payload: new Uint8Array(payload)});
	};
	const lastHop = (frame: Uint8Array): Uint8Array => withChecksums(patched(frame, {[HOPS_AT[of]]: 1}));
	const bytes = (frame: Uint8Array): number => frame.length - ETHERNET;
	const back = {toMac: CLIENT_MAC, fromMac: (b: Balancer) => b.ports.external.mac, to: cast.client};

	const error =
		(
			[type, code]: readonly [number, number],
			rest = 0,
			way: {toMac: string; fromMac: (b: Balancer) => string; to: string} = back,
		) =>
		(about: Uint8Array, b: Balancer): Uint8Array => {
			const whole = Math.min(bytes(about), LARGEST[of] - HEADERS[of]) & ~3;
			const quoted = whole - (transportOffset(about) - ETHERNET);
			const {toMac, to} = way;
			return ours(
				icmpErrorFrame({toMac, fromMac: way.fromMac(b), from: cast.web, to, type, code, rest, about, quoted}),
			);
		};
	const toServer = {toMac: SERVER_MAC, fromMac: (b: Balancer) => b.ports.internal.mac, to: cast.server};
	const reset =
		(flags: 'R' | 'RA', numbers: {seq: number; ack: number}) =>
		(_: Uint8Array, b: Balancer): Uint8Array => {
			const {external} = b.ports;
			const frame = tcpFrame({
				toMac: CLIENT_MAC,
				fromMac: external.mac,
				from: cast.web,
				to: cast.client,
				flags,
				...numbers,
			});
			const window = transportOffset(frame) + 14;
			return ours(patched(frame, {[window]: 0, [window + 1]: 0}));
		};
	const noBackend = (policy: NoBackend) => (b: Balancer) => {
		for (const entry of [...b.tables.backends.values()])
			b.setState(formatAddress(addressIn(entry)), BackendState.BACKEND_DOWN);
		b.setServices({noBackend: policy});
	};
	const failed = (policy: FailedBackend) => (b: Balancer) => {
		establish(b);
		b.setState(endpoint(cast.server)[0], BackendState.BACKEND_DOWN);
		b.setServices({failedBackend: policy});
	};
	const without = (prepare: (b: Balancer) => void) => (b: Balancer) => {
		prepare(b);
		b.limitAnswers(0);
	};
	const narrow = (side: 'internal' | 'external') => (b: Balancer) => {
		establish(b);
		b.setMtu(side, 1300);
	};
	const large = (b: Balancer) => web(b).request('PA', {payload: new Uint8Array(1301 - HEADERS[of])});

	const cases: readonly Case[] = [
		{
			description: 'the last hop of a request',
			verdict: 'V_ANSWER_TIME_EXCEEDED',
			prepare: establish,
			frame: b => web(b).request('PA', {ttl: 1, payload: Buffer.from('odd')}),
			out: error(said.timeExceeded),
		},
		{
			description: 'the last hop of the packet that opens a flow, with a header before TCP',
			verdict: 'V_ANSWER_TIME_EXCEEDED',
			frame: b => {
				const options = of === 4 ? new Uint8Array(8).fill(1) : new Uint8Array();
				const extensions = of === 4 ? [] : [{type: EXTENSION.hopByHop}];
				const toMac = b.ports.external.mac;
				const {client: from, web: to} = cast;
				return tcpFrame({toMac, fromMac: CLIENT_MAC, from, to, flags: 'S', ttl: 1, options, extensions});
			},
			out: error(said.timeExceeded),
		},
		{
			description: 'the NIC takes no redirected frames',
			verdict: 'V_ANSWER_TIME_EXCEEDED',
			action: XDP.tx,
			prepare: b => {
				establish(b);
				b.maps.nicPorts.delete(b.ports.external.ifindex);
			},
			frame: b => web(b).request('PA', {ttl: 1}),
			out: error(said.timeExceeded),
		},
		{
			description: 'the last hop of a long datagram, in two VLANs',
			verdict: 'V_ANSWER_TIME_EXCEEDED',
			frame: b => tagged(names(b).request('', {ttl: 1, payload: new Uint8Array(1401).fill(7)}), 7, 8),
			out: (_, b) =>
				tagged(
					error(said.timeExceeded)(names(b).request('', {ttl: 1, payload: new Uint8Array(1401).fill(7)}), b),
					7,
					8,
				),
		},
		{
			description: 'the last hop of a reply: the service tells its backend',
			verdict: 'V_ANSWER_TIME_EXCEEDED',
			side: 'internal',
			prepare: establish,
			frame: b => lastHop(reply(b)),
			out: error(said.timeExceeded, 0, toServer),
		},
		{
			description: "a request that the backend's network does not take",
			verdict: 'V_ANSWER_TOO_BIG',
			prepare: narrow('internal'),
			frame: large,
			out: error(said.tooBig, 1300),
		},
		{
			description: "a reply that the client's network does not take",
			verdict: 'V_ANSWER_TOO_BIG',
			side: 'internal',
			prepare: narrow('external'),
			frame: b => reply(b, 1301 - HEADERS[of]),
			out: error(said.tooBig, 1300, toServer),
		},
		{
			description: 'a datagram that is too big for its backend, its first',
			verdict: 'V_ANSWER_TOO_BIG',
			prepare: b => b.setMtu('internal', 1300),
			frame: b => names(b).request('', {payload: new Uint8Array(1301 - HEADERS[of])}),
			out: error(said.tooBig, 1300),
		},
		{
			description: 'a request that is too big, when too much was answered',
			verdict: 'V_DROP_TOO_BIG',
			prepare: without(narrow('internal')),
			frame: large,
		},
		...(of === 6
			? []
			: [
					{
						description: 'a request that is too big and may be fragmented',
						verdict: 'V_DROP_TOO_BIG',
						prepare: narrow('internal'),
						frame: (b: Balancer) => withChecksums(patched(large(b), {[FRAGMENT_AT]: 0})),
					} as const,
				]),
		{
			description: 'a new connection without a backend: refused',
			verdict: 'V_ANSWER_UNREACHABLE',
			prepare: noBackend(NoBackend.NO_BACKEND_REJECT),
			frame: b => web(b).request('S'),
			out: error(said.unreachable),
		},
		...([NoBackend.NO_BACKEND_REJECT, NoBackend.NO_BACKEND_RESET] as const).map(
			(policy): Case => ({
				description: `a datagram without a backend, whatever TCP gets (${policy})`,
				verdict: 'V_ANSWER_UNREACHABLE',
				prepare: noBackend(policy),
				frame: b => names(b).request('', {payload: Buffer.from('odd')}),
				out: error(said.unreachable),
			}),
		),
		{
			description: 'a new connection without a backend: reset; a SYN takes a number, and so do its data',
			verdict: 'V_ANSWER_RESET',
			prepare: noBackend(NoBackend.NO_BACKEND_RESET),
			frame: b => web(b).request('S', {seq: 0xffff_fffe, payload: Buffer.from('early')}),
			out: reset('RA', {seq: 0, ack: 4}),
		},
		...[0x40, 0xf0].map(
			(dataOffset): Case => ({
				description: `a SYN whose header cannot be as long as it says is not reset (${dataOffset >> 4} words)`,
				verdict: 'V_DROP_NO_BACKEND',
				prepare: noBackend(NoBackend.NO_BACKEND_RESET),
				frame: b => {
					const syn = web(b).request('S', {payload: Buffer.from('early')});
					return withChecksums(patched(syn, {[transportOffset(syn) + 12]: dataOffset}));
				},
			}),
		),
		{
			description: 'a new connection without a backend, when too much was answered',
			verdict: 'V_DROP_NO_BACKEND',
			prepare: without(noBackend(NoBackend.NO_BACKEND_REJECT)),
			frame: b => web(b).request('S'),
		},
		...([FailedBackend.FAILED_RESET, FailedBackend.FAILED_RESCHEDULE] as const).map(
			(policy): Case => ({
				description: `data to a failed backend: what is acknowledged is the number that its client believes (${policy})`,
				verdict: 'V_ANSWER_RESET',
				prepare: failed(policy),
				frame: b => tagged(web(b).request('PA', {ack: SERVER_ISN + 9, payload: Buffer.from('lost')}), 0),
				out: (frame, b) => tagged(reset('R', {seq: SERVER_ISN + 9, ack: 0})(frame, b), 0),
			}),
		),
		{
			description: 'a SYN in a flow of a failed backend',
			verdict: 'V_ANSWER_RESET',
			prepare: failed(FailedBackend.FAILED_RESET),
			frame: b => web(b).request('S', {seq: 7}),
			out: reset('RA', {seq: 0, ack: 8}),
		},
		{
			description: 'a reset is not answered',
			verdict: 'V_DROP_BACKEND_DOWN',
			prepare: failed(FailedBackend.FAILED_RESET),
			frame: b => web(b).request('RA'),
		},
		{
			description: 'data to a failed backend, when too much was answered',
			verdict: 'V_DROP_BACKEND_DOWN',
			prepare: without(failed(FailedBackend.FAILED_RESET)),
			frame: b => web(b).request('PA'),
		},
		{
			description: 'the last hop of a request, when too much was answered',
			verdict: 'V_DROP_TTL',
			prepare: without(establish),
			frame: b => web(b).request('A', {ttl: 1}),
		},
		...cast.nobodies.map(
			(from): Case => ({
				description: `a packet from ${from} is not answered`,
				verdict: 'V_DROP_TTL',
				frame: b => new Connection(b, from, cast.web).request('S', {ttl: 1}),
			}),
		),
	];
	return cases.map(one => (one.verdict.startsWith('V_ANSWER') ? {action: XDP.redirect, ...one} : one));
}

/** A frame whose IP header is as the balancer writes it: no identification or flow label, precedence for errors. */
function ours(frame: Uint8Array): Uint8Array {
	if (frame[ETHERNET] === 0x60)
		return withChecksums(patched(frame, {[ETHERNET + 1]: 0, [ETHERNET + 2]: 0, [ETHERNET + 3]: 0}));
	const precedence = frame[ETHERNET + 9] === 1 ? 0xc0 : 0;
	return withChecksums(patched(frame, {[ETHERNET + 1]: precedence, [ETHERNET + 4]: 0, [ETHERNET + 5]: 0}));
}
