import test from 'ava';
import {hasQuorum} from '../../src/check/quorum.js';

const quorum = {quorum: 4, hysteresis: 2};

test('gained at quorum + hysteresis', t => {
	t.deepEqual(
		[5, 6].map(weight => hasQuorum(false, weight, quorum)),
		[false, true],
	);
});

test('lost below quorum - hysteresis', t => {
	t.deepEqual(
		[2, 1].map(weight => hasQuorum(true, weight, quorum)),
		[true, false],
	);
});

test('lost when nothing is left, however wide the hysteresis', t => {
	t.false(hasQuorum(true, 0, {quorum: 1, hysteresis: 5}));
});
