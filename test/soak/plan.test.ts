import test from 'ava';
import {type Action, describe, type Episode, episodes} from './plan.js';

function first(count: number, seed: number): Episode[] {
	const all = episodes(seed);
	return Array.from({length: count}, () => all.next().value);
}

function actionsOf(some: readonly Episode[]): Action[] {
	return some.flatMap(({steps}) => steps.map(({action}) => action));
}

/** Takes a web server away, or its place. */
const AWAY = ['stop-server', 'fail-check', 'remove-backend', 'move-neighbour'];
const OF_FILES = ['edit', 'bad-file', 'tamper'];
const OF_MACHINES = ['kill', 'kill-child', 'power-loss', 'stop', 'freeze', 'pull-cable', 'release', 'delete-address'];

test('a seed is a sequence: the same again, and another one for another seed', t => {
	t.deepEqual(first(50, 7), first(50, 7));
	t.notDeepEqual(first(50, 7), first(50, 8));
});

test('the first episodes of a sequence do not depend on how many there will be', t => {
	t.deepEqual(first(50, 3).slice(0, 10), first(10, 3));
});

test('an episode does something, to one balancer and one web server at most, one after the other', t => {
	for (const {steps} of first(500, 5)) {
		const kinds = steps.map(({action}) => action.kind);
		t.true(kinds.length >= 1 && kinds.length <= 3);
		for (const some of [AWAY, OF_FILES, OF_MACHINES]) t.true(kinds.filter(kind => some.includes(kind)).length <= 1);
		t.deepEqual(
			steps.map(({atMs}) => atMs),
			steps.map(({atMs}) => atMs).toSorted((a, b) => a - b),
		);
	}
});

test('every third episode leaves the balancers alone', t => {
	for (const {number, steps} of first(90, 1)) {
		const harmed = steps.some(({action}) => OF_MACHINES.includes(action.kind));
		t.is(harmed, number % 3 !== 0, `${number}`);
	}
});

test('everything comes before anything comes again', t => {
	const ofMachines = actionsOf(first(33, 2)).filter(({kind}) => OF_MACHINES.includes(kind));
	const names = ofMachines.map(action => describe(action).replace(/ for \d+ ms/, ''));
	t.is(names.length, 22);
	t.is(new Set(names).size, 22);
});

test('an action is said in one line', t => {
	t.is(describe({kind: 'freeze', node: 'lb1', part: 'lbd-vrrp', forMs: 300}), 'freeze lb1 lbd-vrrp for 300 ms');
	t.is(describe({kind: 'bad-file'}), 'bad-file');
});
