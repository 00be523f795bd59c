import {one, onOff} from '../args.js';
import {full, type Keywords, type Row} from '../table.js';
import {integer, seconds} from '../values.js';

/** The options that a check may take from its backend, and that from its service. null: not written. */
export interface CheckOptions {
	connectTimeoutUs: number | null;
	delayLoopUs: number | null;
	retry: number | null;
	delayBeforeRetryUs: number | null;
	warmupUs: number | null;
	alpha: boolean | null;
}

export function newCheckOptions(): CheckOptions {
	return {
		connectTimeoutUs: null,
		delayLoopUs: null,
		retry: null,
		delayBeforeRetryUs: null,
		warmupUs: null,
		alpha: null,
	};
}

/** keepalived refuses a time of zero where it would spin. */
const positive = one(seconds(0.000001));

/** When to check; each kind of check has these. */
export function rhythmKeywords<D extends CheckOptions>(): Keywords<D> {
	return {
		delay_loop: full(positive, (draft: D, us) => {
			draft.delayLoopUs = us;
		}),
		retry: full(one(integer(0, 2 ** 31 - 1)), (draft: D, retry) => {
			draft.retry = retry;
		}),
		delay_before_retry: full(one(seconds(0)), (draft: D, us) => {
			draft.delayBeforeRetryUs = us;
		}),
		warmup: full(one(seconds(0)), (draft: D, us) => {
			draft.warmupUs = us;
		}),
		alpha: full(onOff, (draft: D, alpha) => {
			draft.alpha = alpha;
		}),
	};
}

/** How long a step of a check may take. */
export function connectTimeout<D extends CheckOptions>(): Row<D> {
	return full(positive, (draft: D, us) => {
		draft.connectTimeoutUs = us;
	});
}

/** What a `virtual_server`, a `real_server` and a check may say alike. */
export function checkOptionKeywords<D extends CheckOptions>(): Keywords<D> {
	return {
		connect_timeout: connectTimeout<D>(),
		...rhythmKeywords<D>(),
	};
}

/** The first of the levels that says something, from the inside out. */
export function inherit<K extends keyof CheckOptions>(option: K, ...levels: readonly CheckOptions[]): CheckOptions[K] {
	return levels.find(level => level[option] !== null)?.[option] ?? null;
}
