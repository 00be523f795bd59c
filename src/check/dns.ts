import {randomInt} from 'node:crypto';
import {decode, encode, type Packet, RECURSION_DESIRED} from 'dns-packet';
import type {DnsCheck} from '../conf/model.js';
import {type Checker, failed, type Look, type Result} from './checker.js';
import {ask} from './datagrams.js';

/** DNS_CHECK: passes when the server answers the query without an error, whatever it answers. */
export function dnsChecker(check: DnsCheck): Checker {
	return {timeoutUs: check.connectTimeoutUs, check: look => query(check, look)};
}

function query(check: DnsCheck, look: Look): Promise<Result> {
	const id = randomInt(0x10000);
	const {type, name} = check;
	const question = encode({type: 'query', id, flags: RECURSION_DESIRED, questions: [{type, name}]});
	return ask(check, look, question, bytes => verdict(bytes, id));
}

/** Undefined for what is no answer to this query: the answer may still come. */
function verdict(bytes: Buffer, id: number): Result | undefined {
	const answer = decoded(bytes);
	if (answer === null) return failed('malformed', 'the answer is no DNS message');
	if (answer.id !== id || answer.type !== 'response') return undefined;
	const {rcode} = answer as {readonly rcode?: string};
	return rcode === 'NOERROR' ? {ok: true} : failed('status', `answered ${rcode}`);
}

function decoded(bytes: Buffer): Packet | null {
	try {
		return decode(bytes);
	} catch {
		return null;
	}
}
