import type {Cancel, Clock} from '../host/host.js';
import {type Checker, failed, type Look, type Result} from './checker.js';

/** Made once: of its own accord, a controller makes an exception with its stack for each of a thousand looks a second. */
const OVER = new Error('the look is over');

/**
 * Runs a checker once and reports exactly one result: its own, or what it means that a step is not done in time. What a
 * checker does after that, or after the cancel, no longer counts: a stuck one holds up nobody else.
 */
export function attempt(
	clock: Clock,
	name: string,
	{checker, stage}: {readonly checker: Checker; readonly stage: number},
	onResult: (result: Result) => void,
): Cancel {
	const abort = new AbortController();
	let over = false;
	let cancelDeadline: Cancel = () => {};
	const end = () => {
		over = true;
		cancelDeadline();
		abort.abort(OVER);
	};
	const settle = (result: Result) => {
		if (over) return;
		end();
		onResult(result);
	};
	const advance = () => {
		cancelDeadline();
		if (over) return;
		cancelDeadline = clock.after(checker.timeoutUs, `${name}: timeout`, () => {
			settle(checker.late ?? failed('timeout', `no answer within ${checker.timeoutUs / 1_000_000} s`));
		});
	};
	advance();
	examine(checker, {signal: abort.signal, stage, advance}).then(settle);
	return end;
}

async function examine(checker: Checker, look: Look): Promise<Result> {
	try {
		return await checker.check(look);
	} catch (error) {
		return failed('error', String(error));
	}
}
