import test from 'ava';
import type {Result} from '../../src/check/checker.js';
import {firstDelayUs, initialState, step} from '../../src/check/machine.js';
import type {Check, HttpCheck} from '../../src/conf/model.js';
import {seconds} from '../fake/clock.js';
import {check} from './model.js';

const PASSED: Result = {ok: true};
const REFUSED: Result = {ok: false, reason: 'refused', detail: ''};
const NOT_MADE: Result = {ok: false, reason: 'not-made', detail: ''};

/** What becomes of a check under a row of results: `+` up, `-` down, with the seconds until the next check behind it. */
function trace(up: boolean, timing: Check, results: readonly Result[]): string[] {
	let state = initialState(up, timing);
	return results.map(result => {
		const next = step(state, result, timing);
		state = next.state;
		return `${state.up ? '+' : '-'}${next.delayUs / seconds(1)}`;
	});
}

test('the very first failure takes a backend down at once', t => {
	t.deepEqual(trace(true, check({retry: 3}), [REFUSED]), ['-10']);
});

test('after a success, `retry` further attempts are made before it is down', t => {
	t.deepEqual(trace(true, check({retry: 2, delayBeforeRetryUs: seconds(3)}), [PASSED, REFUSED, REFUSED, REFUSED]), [
		'+10',
		'+3',
		'+3',
		'-10',
	]);
});

test('retry 0: the first failure counts', t => {
	t.deepEqual(trace(true, check({retry: 0}), [PASSED, REFUSED]), ['+10', '-10']);
});

test('a success between failures starts the count again', t => {
	t.deepEqual(trace(true, check(), [PASSED, REFUSED, PASSED, REFUSED, REFUSED]), ['+10', '+1', '+10', '+1', '-10']);
});

test('while down it is looked at each delay_loop, and one success is enough', t => {
	t.deepEqual(trace(true, check(), [REFUSED, REFUSED, REFUSED, PASSED, REFUSED]), ['-10', '-10', '-10', '+10', '+1']);
});

test('alpha: down until the first success', t => {
	t.deepEqual(trace(false, check(), [REFUSED, PASSED]), ['-10', '+10']);
});

test('a check that could not be made changes nothing, not even the count of attempts', t => {
	t.deepEqual(trace(true, check(), [NOT_MADE, PASSED, REFUSED, NOT_MADE, REFUSED]), ['+10', '+10', '+1', '+10', '-10']);
});

test('nor does one from an address that is not ours', t => {
	const result: Result = {ok: false, reason: 'bind-failed', detail: ''};
	t.deepEqual(trace(true, check(), [result, PASSED, result]), ['+10', '+10', '+10']);
});

test('the first check comes after 1 s and a random part of warmup', t => {
	const timing = check({warmupUs: seconds(10)});
	t.deepEqual(
		[0, 0.5, 0.999_999_99].map(random => firstDelayUs(timing, random)),
		[seconds(1), seconds(6), seconds(11) - 1],
	);
});

/** HTTP_GET with `urls` URLs. */
function httpCheck(urls: number, changes: Partial<HttpCheck> = {}): HttpCheck {
	const url = {path: '/', host: 'x', serverName: null, statusCodes: [], digest: null, pattern: null};
	return {
		...check(),
		kind: 'http',
		version: '1.0',
		close: false,
		fastRecovery: false,
		urls: new Array(urls).fill(url),
		...changes,
	};
}

/** As `trace`, with the URL to ask for next behind it. */
function traceUrls(up: boolean, timing: HttpCheck, results: readonly Result[]): string[] {
	let state = initialState(up, timing);
	return results.map(result => {
		const next = step(state, result, timing);
		state = next.state;
		return `${state.up ? '+' : '-'}${next.delayUs / seconds(1)} ${state.stage}`;
	});
}

test('one URL after the other is asked for, each after delay_loop', t => {
	t.deepEqual(traceUrls(true, httpCheck(3), [PASSED, PASSED, PASSED, PASSED]), ['+10 1', '+10 2', '+10 0', '+10 1']);
});

test('a URL that fails is asked for until it succeeds, then all from the first on', t => {
	t.deepEqual(
		traceUrls(true, httpCheck(2), [PASSED, PASSED, PASSED, REFUSED, REFUSED, REFUSED, PASSED, PASSED, PASSED]),
		['+10 1', '+10 0', '+10 1', '+1 1', '-10 1', '-10 1', '-10 0', '-10 1', '+10 0'],
	);
});

test('with one URL, too, its first success only tells that a whole round may begin', t => {
	t.deepEqual(traceUrls(true, httpCheck(1), [REFUSED, PASSED, PASSED]), ['-10 0', '-10 0', '+10 0']);
});

test('a failure on the way back is tried again after delay_before_retry', t => {
	const slow = httpCheck(2, {delayBeforeRetryUs: seconds(3)});
	t.deepEqual(traceUrls(true, slow, [REFUSED, PASSED, PASSED, REFUSED, PASSED]), [
		'-10 0',
		'-10 0',
		'-10 1',
		'-3 1',
		'+10 0',
	]);
});

test('after what has failed, delay_before_retry counts if it is longer than delay_loop', t => {
	t.deepEqual(traceUrls(true, httpCheck(1, {delayBeforeRetryUs: seconds(30)}), [REFUSED, REFUSED]), ['-30 0', '-30 0']);
});

test('the first failure decides at once, until a whole round has passed', t => {
	t.deepEqual(traceUrls(true, httpCheck(2, {retry: 3}), [PASSED, REFUSED]), ['+10 1', '-10 1']);
	t.deepEqual(traceUrls(true, httpCheck(2, {retry: 3}), [PASSED, PASSED, REFUSED]), ['+10 1', '+10 0', '+1 0']);
});

test('fast_recovery: no wait between the URLs until the backend has proven itself', t => {
	t.deepEqual(
		traceUrls(true, httpCheck(2, {fastRecovery: true}), [
			PASSED,
			PASSED,
			PASSED,
			REFUSED,
			REFUSED,
			PASSED,
			PASSED,
			PASSED,
		]),
		['+0 1', '+10 0', '+10 1', '+1 1', '-10 1', '-0 0', '-0 1', '+10 0'],
	);
});

test('alpha: down until the first whole round', t => {
	t.deepEqual(traceUrls(false, httpCheck(2), [PASSED, PASSED]), ['-10 1', '+10 0']);
});
