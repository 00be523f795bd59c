import test from 'ava';
import {interleave, ratios, summary} from '../../src/bench/statistics.js';

test('a summary has the middle and the ends, in whatever order the samples came', t => {
	t.deepEqual(summary([9, 1, 5]), {median: 5, low: 1, high: 9});
	t.deepEqual(summary([4, 1, 3, 2]), {median: 2.5, low: 1, high: 4});
	t.deepEqual(summary([7]), {median: 7, low: 7, high: 7});
	t.throws(() => summary([]), {instanceOf: RangeError});
});

test('ratios are taken round by round, so that a slow round does not count', t => {
	t.deepEqual(ratios([20, 200, 30], [10, 100, 10]), {median: 2, low: 2, high: 3});
	t.throws(() => ratios([1, 2], [1]), {instanceOf: RangeError});
});

test('cases take turns, and each keeps the order of the rounds', async t => {
	const order: string[] = [];
	const counting = (name: string) => ({name, sample: () => order.push(name)});
	const samples = await interleave([counting('a'), counting('b')], 3);
	t.is(order.join(''), 'ababab');
	t.deepEqual(
		[...samples],
		[
			['a', [1, 3, 5]],
			['b', [2, 4, 6]],
		],
	);
});

test('no round begins when time is over, but there is one', async t => {
	let rounds = 0;
	const cases = [{name: 'a', sample: () => ++rounds}];
	t.deepEqual([...(await interleave(cases, 9, () => rounds >= 3))], [['a', [1, 2, 3]]]);
	t.deepEqual([...(await interleave(cases, 9, () => true))], [['a', [4]]]);
});
