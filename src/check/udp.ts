import type {UdpCheck, UdpReply} from '../conf/model.js';
import {type Checker, failed, type Result} from './checker.js';
import {ask} from './datagrams.js';

/** What is sent when nothing is asked for. */
const PAYLOAD = new Uint8Array(64);

/**
 * UDP_CHECK: passes when the datagram is answered as it should be, or, if no answer is asked for, when within
 * `connect_timeout` nobody says by ICMP that it cannot arrive.
 */
export function udpChecker(check: UdpCheck): Checker {
	const {connectTimeoutUs: timeoutUs, payload, reply} = check;
	const question = payload === null ? PAYLOAD : Buffer.from(payload, 'hex');
	return {
		timeoutUs,
		...(reply === null ? {late: {ok: true}} : {}),
		check: look => ask(check, look, question, bytes => verdict(bytes, reply)),
	};
}

function verdict(bytes: Buffer, reply: UdpReply | null): Result {
	if (reply === null) return {ok: true};
	const {pattern, minLength, maxLength} = reply;
	if (bytes.length < minLength || bytes.length > maxLength)
		return failed('mismatch', `a reply of ${bytes.length} bytes`);
	const found = bytes.subarray(0, pattern.length / 2).toString('hex');
	return agrees(found, pattern) ? {ok: true} : failed('mismatch', `a reply of other bytes: ${found.slice(0, 80)}`);
}

/** As far as both go. */
function agrees(found: string, pattern: string): boolean {
	return [...found].every((digit, index) => pattern[index] === 'x' || pattern[index] === digit);
}
