import {quote} from '../conf/diagnostics.js';
import type {SmtpCheck} from '../conf/model.js';
import {type Checker, failed, type Look, type Result} from './checker.js';
import {converse, type Speaker} from './conversation.js';

/** A reply of more is not read; RFC 5321 section 4.5.3.1.5 has 512 bytes a line. */
const REPLY_BYTES_MAX = 16_384;

/** SMTP_CHECK: passes when the server greets, takes a HELO and says farewell. Each of these may take `connect_timeout`. */
export function smtpChecker(check: SmtpCheck): Checker {
	return {timeoutUs: check.connectTimeoutUs, check: look => converse(check, look, speaker(check, look))};
}

function speaker({heloName}: SmtpCheck, look: Look): Speaker {
	/** What must be answered, and what to say then. */
	const steps = [
		{what: 'greeting', code: '220', next: `HELO ${heloName}\r\n`},
		{what: 'answer to HELO', code: '250', next: 'QUIT\r\n'},
	];
	let waiting = '';
	let say: (text: string) => void = () => {};
	return {
		begin(tell) {
			say = tell;
		},
		hear(bytes): Result | undefined {
			waiting += bytes.toString('latin1');
			for (let end = waiting.indexOf('\n'); end !== -1; end = waiting.indexOf('\n')) {
				const line = waiting.slice(0, end).trimEnd();
				waiting = waiting.slice(end + 1);
				// A reply of several lines has a hyphen in all but the last (RFC 5321 section 4.2.1).
				if (/^\d{3}-/.test(line)) continue;
				look.advance();
				const step = steps.shift();
				// The mail is not in the farewell: whatever it says, the server is there.
				if (step === undefined) return {ok: true};
				if (line.slice(0, 3) !== step.code) return wrong(step.what, line);
				say(step.next);
			}
			return waiting.length > REPLY_BYTES_MAX ? failed('malformed', 'a reply without an end') : undefined;
		},
		end: () => (steps.length === 0 ? {ok: true} : failed('closed', `hung up before its ${steps[0]?.what}`)),
	};
}

function wrong(what: string, line: string): Result {
	const isReply = /^\d{3}(?: |$)/.test(line);
	return failed(isReply ? 'status' : 'malformed', `${what}: ${quote(line)}`);
}
