/** What the balancer answers a packet that goes no further, slow and obvious: every byte of it, all checksums computed in full. */
import type {Policy} from '../../src/conf/model.js';
import {addressBytes, type Family} from '../../src/net/address.js';
import type {VerdictName} from './balancer.js';
import {addressAt, ETHERNET, ICMP, ipHeader, ownHeader, PROTOCOL, withChecksums} from './frame.js';
import type {Expected} from './model.js';

/** What its sender may be told, besides the verdict. */
export interface Reason {
	/** Address of the service, which the answer comes from. */
	readonly service: string;
	readonly policy: Pick<Policy, 'failedBackend' | 'noBackend'>;
	/** Of the way that it would have gone. */
	readonly mtu: number;
}

interface Said {
	readonly verdict: VerdictName;
	readonly type: number;
	readonly code: number;
	readonly rest?: number;
}

/** An error with its IP header (RFC 1812, 4.3.2.3; RFC 4443, 2.4c), and what of it stands before the quoted packet. */
const ERROR_MAX = {4: 576, 6: 1280} as const;
const ERROR_HEADERS = {4: 28, 6: 48} as const;
const ERROR_PROTOCOL = {4: PROTOCOL.icmp, 6: PROTOCOL.icmpv6} as const;
const INTERNETWORK_CONTROL = {4: 0xc0, 6: 0} as const;
const TYPES = {
	4: {timeExceeded: {type: 11, code: 0}, tooBig: {type: 3, code: 4}, unreachable: {type: 3, code: 3}},
	6: {timeExceeded: {type: 3, code: 0}, tooBig: {type: 2, code: 0}, unreachable: {type: 1, code: 4}},
} as const;
const TCP = 20;
const FLAG = {fin: 1, syn: 2, rst: 4, ack: 16} as const;

/** The answer to a whole packet of TCP or UDP without VLAN tags; undefined: there is none. */
export function answerTo(frame: Uint8Array, verdict: VerdictName, reason: Reason): Expected | undefined {
	const ip = ipHeader(frame);
	if (!isHost(addressBytes(addressAt(frame, ip.source, ip)))) return undefined;
	if (isReset(frame, verdict, reason)) return resetFor(frame);
	const said = errorFor(frame, verdict, reason);
	return said && {verdict: said.verdict, frame: errorAbout(frame, reason.service, said)};
}

/** Whether an address is one machine's. */
function isHost(address: Uint8Array): boolean {
	const [first = 0] = address;
	if (address.length === 4) return first !== 0 && first !== 127 && first < 224;
	return first !== 0xff && address.some((byte, n) => (n < 15 ? byte !== 0 : byte > 1));
}

function isReset(frame: Uint8Array, verdict: VerdictName, {policy}: Reason): boolean {
	if (ipHeader(frame).protocol !== PROTOCOL.tcp) return false;
	if (verdict === 'V_DROP_BACKEND_DOWN')
		return policy.failedBackend === 'reset' || policy.failedBackend === 'reschedule';
	return verdict === 'V_DROP_NO_BACKEND' && policy.noBackend === 'reset';
}

function errorFor(frame: Uint8Array, verdict: VerdictName, {policy, mtu}: Reason): Said | undefined {
	const {family} = ipHeader(frame);
	const {timeExceeded, tooBig, unreachable} = TYPES[family];
	if (verdict === 'V_DROP_TTL') return {verdict: 'V_ANSWER_TIME_EXCEEDED', ...timeExceeded};
	if (verdict === 'V_DROP_TOO_BIG' && !mayFragment(frame, family))
		return {verdict: 'V_ANSWER_TOO_BIG', ...tooBig, rest: mtu};
	if (verdict === 'V_DROP_NO_BACKEND' && policy.noBackend !== 'drop')
		return {verdict: 'V_ANSWER_UNREACHABLE', ...unreachable};
	return undefined;
}

function mayFragment(frame: Uint8Array, family: Family): boolean {
	return family === 4 && ((frame[ETHERNET + 6] ?? 0) & 0x40) === 0;
}

function errorAbout(frame: Uint8Array, from: string, {type, code, rest = 0}: Said): Uint8Array {
	const {family, end} = ipHeader(frame);
	const quoted = Math.min(end - ETHERNET, ERROR_MAX[family] - ERROR_HEADERS[family]);
	const message = new Uint8Array(ICMP + quoted - (quoted % 4));
	message.set([type, code]);
	new DataView(message.buffer).setUint32(4, rest);
	message.set(frame.subarray(ETHERNET, ETHERNET + message.length - ICMP), ICMP);
	return sentBack(frame, from, ERROR_PROTOCOL[family], INTERNETWORK_CONTROL[family], message);
}

/** As RFC 9293, 3.10.7.1, has it for a connection that does not exist; undefined: a reset is not answered, nor a
 * segment that ends before its header does. */
function resetFor(frame: Uint8Array): Expected | undefined {
	const ip = ipHeader(frame);
	const {transport, end} = ip;
	const view = new DataView(frame.buffer, frame.byteOffset);
	const flags = view.getUint8(transport + 13);
	const header = (view.getUint8(transport + 12) >> 4) * 4;
	if (flags & FLAG.rst || header < TCP || transport + header > end) return undefined;
	const segment = new Uint8Array(TCP);
	const reset = new DataView(segment.buffer);
	reset.setUint16(0, view.getUint16(transport + 2));
	reset.setUint16(2, view.getUint16(transport));
	reset.setUint8(12, (TCP / 4) << 4);
	if (flags & FLAG.ack) {
		reset.setUint32(4, view.getUint32(transport + 8));
		reset.setUint8(13, FLAG.rst);
	} else {
		const numbers = end - transport - header + (flags & FLAG.syn ? 1 : 0) + (flags & FLAG.fin ? 1 : 0);
		reset.setUint32(8, view.getUint32(transport + 4) + numbers);
		reset.setUint8(13, FLAG.rst | FLAG.ack);
	}
	const service = addressAt(frame, ip.dest, ip);
	return {verdict: 'V_ANSWER_RESET', frame: sentBack(frame, service, PROTOCOL.tcp, 0, segment)};
}

/** To where a frame came from. */
function sentBack(
	frame: Uint8Array,
	from: string,
	protocol: number,
	trafficClass: number,
	content: Uint8Array,
): Uint8Array {
	const ip = ipHeader(frame);
	const to = addressAt(frame, ip.source, ip);
	const header = ownHeader({from, to, protocol, content: content.length, trafficClass});
	const macs = [...frame.subarray(6, 12), ...frame.subarray(0, 6)];
	return withChecksums(Uint8Array.from([...macs, ...frame.subarray(12, ETHERNET), ...header, ...content]));
}
