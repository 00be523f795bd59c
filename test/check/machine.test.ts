import test from 'ava';
import type {Result} from '../../src/check/checker.js';
import {firstDelayUs, initialState, step} from '../../src/check/machine.js';
import type {Check} from '../../src/conf/model.js';
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

test('the first check comes after 1 s and a random part of warmup', t => {
	const timing = check({warmupUs: seconds(10)});
	t.deepEqual(
		[0, 0.5, 0.999_999_99].map(random => firstDelayUs(timing, random)),
		[seconds(1), seconds(6), seconds(11) - 1],
	);
});
