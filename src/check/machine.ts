import type {Check, HttpCheck} from '../conf/model.js';
import {isTelling, type Result} from './checker.js';

/** keepalived's BOOTSTRAP_DELAY: no check before this, so that addresses and routes have settled. */
const FIRST_CHECK_US = 1_000_000;

/** What one check has learnt about its backend so far. */
export interface CheckState {
	readonly up: boolean;
	/** Attempts that failed since the last success, as far as they count towards `retry`. */
	readonly failures: number;
	/** False until the first check that said something; until then `up` is an assumption. */
	readonly proven: boolean;
	/** Of a check with several URLs: the one to ask for next. */
	readonly stage: number;
	/** This URL is known to fail. */
	readonly stuck: boolean;
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
	return {up, failures: retry, proven: false, stage: 0, stuck: false};
}

/** How long after start (or reload) the first check runs; `random` is in [0, 1) and spreads the checks of many backends. */
export function firstDelayUs({warmupUs}: Timing, random: number): number {
	return FIRST_CHECK_US + Math.floor(random * warmupUs);
}

/** keepalived's rules for one result. One that is about this machine only changes nothing. */
export function step(state: CheckState, result: Result, check: Check): Step {
	if (!isTelling(result)) return {state, delayUs: check.delayLoopUs};
	return check.kind === 'http' || check.kind === 'https'
		? stepThroughUrls(state, result, check)
		: stepAlone(state, result, check);
}

/**
 * One success makes up; a failure makes down once `retry` further attempts, `delay_before_retry` apart, have failed
 * too; all else waits for `delay_loop`.
 */
function stepAlone(state: CheckState, result: Result, timing: Timing): Step {
	if (result.ok) return {state: {...state, up: true, failures: 0, proven: true}, delayUs: timing.delayLoopUs};
	if (state.up && state.failures < timing.retry) {
		return {
			state: {...state, failures: state.failures + 1, proven: true},
			delayUs: timing.delayBeforeRetryUs,
		};
	}
	return {state: {...state, up: false, failures: 0, proven: true}, delayUs: timing.delayLoopUs};
}

/**
 * A look asks for one URL, the next look for the next. What has failed must be asked for until it succeeds, and then
 * all from the first on: only a whole round makes up (check_http.c).
 */
function stepThroughUrls(state: CheckState, result: Result, check: HttpCheck): Step {
	return result.ok ? passUrl(state, check) : failUrl(state, check);
}

function passUrl(state: CheckState, check: HttpCheck): Step {
	const isLast = state.stage === check.urls.length - 1;
	const isDone = isLast && !state.stuck;
	const next: CheckState = {
		up: state.up || isDone,
		failures: state.proven || isDone ? 0 : check.retry,
		proven: state.proven || isDone,
		stage: isLast || state.stuck ? 0 : state.stage + 1,
		stuck: false,
	};
	const isRecovering = !next.proven || !next.up;
	return {state: next, delayUs: check.fastRecovery && isRecovering ? 0 : check.delayLoopUs};
}

function failUrl(state: CheckState, check: HttpCheck): Step {
	const {delayLoopUs, delayBeforeRetryUs, retry} = check;
	const mayRetry = (state.up || !state.proven) && state.failures < retry;
	if (mayRetry) {
		return {state: {...state, failures: state.failures + 1, proven: true}, delayUs: delayBeforeRetryUs};
	}
	const isNews = state.up || !state.proven;
	const stuck = isNews || state.stuck;
	return {
		state: {...state, up: false, failures: 0, proven: true, stuck},
		delayUs: stuck ? Math.max(delayLoopUs, delayBeforeRetryUs) : delayBeforeRetryUs,
	};
}
