import test from 'ava';
import {proportion, SEQUENCE_MAX, smoothSequence} from '../../src/plan/smooth.js';
import {Seeded} from '../seeded.js';

function spelled(weights: readonly number[]): string {
	return smoothSequence(weights)
		.map(index => 'ABCDEFGH'[index])
		.join('');
}

test('small sequences as one would write them down', t => {
	t.is(spelled([1, 1]), 'AB');
	t.is(spelled([3, 1]), 'AAAB');
	t.is(spelled([1, 3]), 'BBAB');
	t.is(spelled([3, 1, 1]), 'AABAC');
	t.is(spelled([2, 2, 1]), 'ABABC');
	t.is(spelled([4, 2, 1]), 'AABABAC');
	t.is(spelled([5]), 'AAAAA');
	t.is(spelled([]), '');
});

test('each as often as it weighs, and at no moment a whole turn ahead or behind', t => {
	const seeded = new Seeded(3);
	for (let round = 0; round < 300; round++) {
		const weights = Array.from({length: 1 + seeded.below(12)}, () => 1 + seeded.below(40));
		const sum = weights.reduce((a, b) => a + b);
		const dealt = weights.map(() => 0);
		const sequence = smoothSequence(weights);
		t.is(sequence.length, sum);
		for (const [place, index] of sequence.entries()) {
			dealt[index] = (dealt[index] ?? 0) + 1;
			// In whole numbers: |dealt - due| < 1, times the sum.
			const lags = weights.map((weight, i) => Math.abs((dealt[i] ?? 0) * sum - (place + 1) * weight));
			if (lags.some(lag => lag >= sum)) t.fail(`weights ${weights}, place ${place}`);
		}
		t.deepEqual(dealt, weights);
	}
});

test('the same weights give the same sequence', t => {
	t.deepEqual(smoothSequence([7, 3, 3, 1]), smoothSequence([7, 3, 3, 1]));
});

test('weights are reduced to their smallest whole proportion', t => {
	t.deepEqual(proportion([100, 50, 50]), [2, 1, 1]);
	t.deepEqual(proportion([2 ** 31 - 1, 2 ** 31 - 1]), [1, 1]);
	t.deepEqual(proportion([7]), [1]);
	t.deepEqual(proportion([]), []);
	t.deepEqual(proportion([4095, 1]), [4095, 1]);
});

test('weights without a short sequence are rounded to one, and nobody goes without', t => {
	t.deepEqual(proportion([2 ** 31 - 1, 1]), [4096, 1]);
	t.deepEqual(proportion([10_000, 20_001]), [1365, 2731]);
	const seeded = new Seeded(5);
	for (let round = 0; round < 100; round++) {
		const weights = Array.from({length: 2 + seeded.below(50)}, () => 1 + seeded.below(2 ** 31 - 2));
		const sum = weights.reduce((a, b) => a + b);
		const numbers = proportion(weights);
		t.true(numbers.reduce((a, b) => a + b) <= SEQUENCE_MAX + weights.length);
		for (const [index, weight] of weights.entries()) {
			const due = (weight / sum) * SEQUENCE_MAX;
			t.true(Math.abs((numbers[index] ?? 0) - due) <= Math.max(0.5, 1 - due));
		}
	}
});
