import type {MiscCheck} from '../conf/model.js';
import type {ScriptEnd} from '../host/host.js';
import {type Checker, failed, type Means, type Result} from './checker.js';

/** How much longer than its time a script may take to be ended. */
const END_US = 5_000_000;

/** MISC_CHECK: passes when its script exits with 0, or with 2 and more if that tells the weight. */
export function miscChecker(check: MiscCheck, {scripts}: Means): Checker {
	const {script, timeoutUs} = check;
	return {
		timeoutUs: timeoutUs + END_US,
		check: async look => {
			const abort = new AbortController();
			look.onOver(() => abort.abort());
			return verdict(await scripts.run(script, {timeoutUs, signal: abort.signal}), check);
		},
	};
}

function verdict(end: ScriptEnd, {dynamic, timeoutUs}: MiscCheck): Result {
	switch (end.kind) {
		case 'exited':
			if (end.status === 0) return {ok: true, weight: null};
			if (dynamic && end.status >= 2) return {ok: true, weight: {to: end.status - 2}};
			return failed('status', `exit status ${end.status}`);
		case 'signalled':
			return failed('status', `ended by ${end.signal}`);
		case 'timeout':
			return failed('timeout', `the script took longer than ${timeoutUs / 1_000_000} s`);
		case 'failed':
			return failed('not-made', end.reason);
		default:
			return end satisfies never;
	}
}
