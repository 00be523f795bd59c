import test from 'ava';
import {blockChanges} from '../../src/plan/block-list.js';

test('only what changes is changed', t => {
	const actual = ['10.0.0.0/8', '192.0.2.0/24', '2001:db8::/32'];
	t.deepEqual(blockChanges(new Set(actual), actual), {added: [], removed: []});
	t.deepEqual(blockChanges(new Set(actual), ['10.0.0.0/16', '192.0.2.0/24']), {
		added: ['10.0.0.0/16'],
		removed: ['10.0.0.0/8', '2001:db8::/32'],
	});
	t.deepEqual(blockChanges(new Set(), actual), {added: actual, removed: []});
});
