import test from 'ava';
import {interruption} from '../../lab/interruption.js';
import type {Outcome} from '../../lab/protocol.js';

/** One request every 20 ms; each letter is how it went: `.` prompt, `s` slow, `x` lost. */
function stream(course: string): Outcome[] {
	return [...course].map((went, n) => ({
		from: '198.18.0.1',
		status: went === 'x' ? null : 200,
		body: went === 'x' ? '' : 'web1',
		bytes: 5,
		error: went === 'x' ? 'ETIMEDOUT' : null,
		startedMs: 1000 + n * 20,
		ms: went === '.' ? 2 : 900,
		stall: {startedMs: 1000 + n * 20, ms: went === '.' ? 2 : 900},
	}));
}

const measures = test.macro({
	exec: (t, course: string, ms: number, lost: number) =>
		t.deepEqual(interruption(stream(course)), {ms, lost, requests: course.length}),
	title: (given, course, ms) => `${given ?? (course || 'no requests')}: ${ms} ms`,
});

test(measures, '', 0, 0);
test(measures, '.....', 0, 0);
test(measures, '..x..', 20, 1);
test(measures, '..xxx..', 60, 3);
test(measures, '..sss..', 60, 0);
test(measures, '..xsx..', 60, 2);
test('of two interruptions the longer counts', measures, '.x.xxx.', 60, 4);
test('one that does not end counts up to the last request', measures, '..xxx', 40, 3);

test('outcomes may come in any order', t => {
	t.is(interruption(stream('..xxx..').reverse()).ms, 60);
});
