import type {Check} from '../conf/model.js';
import type {Result} from './checker.js';

/** keepalived's BOOTSTRAP_DELAY: no check before this, so that addresses and routes have settled. */
const FIRST_CHECK_US = 1_000_000;

/** What one check has learnt about its backend so far. */
export interface CheckState {
	readonly up: boolean;
	/** Attempts that failed since the last success, as far as they count towards `retry`. */
	readonly failures: number;
	/** False until the first check that said something; until then `up` is an assumption. */
	readonly proven: boolean;
}

export interface Step {
	readonly state: CheckState;
	/** When to check next. */
	readonly delayUs: number;
}

type Timing = Pick<Check, 'retry' | 'delayLoopUs' | 'delayBeforeRetryUs' | 'warmupUs'>;

/**
 * The state before the first check: `up` is what the backend counts as until then (not `alpha`, or its state before
 * a reload). keepalived presets the retry counter (check_data.c), so the very first check decides at once.
 */
export function initialState(up: boolean, {retry}: Timing): CheckState {
	return {up, failures: retry, proven: false};
}

/** How long after start (or reload) the first check runs; `random` is in [0, 1) and spreads the checks of many backends. */
export function firstDelayUs({warmupUs}: Timing, random: number): number {
	return FIRST_CHECK_US + Math.floor(random * warmupUs);
}

/**
 * keepalived's rules for one result: one success makes up; a failure makes down once `retry` further attempts,
 * `delay_before_retry` apart, have failed too; all else waits for `delay_loop`.
 */
export function step(state: CheckState, result: Result, timing: Timing): Step {
	if (result.ok) return {state: {up: true, failures: 0, proven: true}, delayUs: timing.delayLoopUs};
	if (result.reason === 'not-made') return {state, delayUs: timing.delayLoopUs};
	if (state.up && state.failures < timing.retry) {
		return {
			state: {up: true, failures: state.failures + 1, proven: true},
			delayUs: timing.delayBeforeRetryUs,
		};
	}
	return {state: {up: false, failures: 0, proven: true}, delayUs: timing.delayLoopUs};
}
