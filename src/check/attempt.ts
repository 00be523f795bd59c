import type {Cancel, Clock} from '../host/host.js';
import type {Checker, Result} from './checker.js';

/**
 * Runs a checker once and reports exactly one result: its own, or `timeout` when it is not done in time. What a
 * checker does after that, or after the cancel, no longer counts: a stuck one holds up nobody else.
 */
export function attempt(clock: Clock, name: string, checker: Checker, onResult: (result: Result) => void): Cancel {
	const abort = new AbortController();
	let over = false;
	const end = () => {
		over = true;
		cancelDeadline();
		abort.abort();
	};
	const settle = (result: Result) => {
		if (over) return;
		end();
		onResult(result);
	};
	const cancelDeadline = clock.after(checker.timeoutUs, `${name}: timeout`, () => {
		settle({ok: false, reason: 'timeout', detail: `no answer within ${checker.timeoutUs / 1_000_000} s`});
	});
	examine(checker, abort.signal).then(settle);
	return end;
}

async function examine(checker: Checker, signal: AbortSignal): Promise<Result> {
	try {
		return await checker.check(signal);
	} catch (error) {
		return {ok: false, reason: 'error', detail: String(error)};
	}
}
