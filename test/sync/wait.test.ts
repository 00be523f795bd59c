/** How long a balancer that starts waits for the connections of the others. */
import test from 'ava';
import {SyncWait} from '../../src/sync/wait.js';
import {FakeClock, seconds} from '../fake/clock.js';

function waiting(us: number) {
	const clock = new FakeClock();
	const ends: string[] = [];
	const wait = new SyncWait({clock, onEnd: how => ends.push(how)});
	wait.begin(us);
	return {clock, ends, wait};
}

test('until it is in sync, or knows that it is alone', t => {
	for (const state of ['in-sync', 'alone'] as const) {
		const {clock, ends, wait} = waiting(seconds(30));
		wait.heard('joining');
		t.true(wait.waits);
		wait.heard(state);
		t.false(wait.waits);
		wait.heard(state);
		clock.advance(seconds(60));
		t.deepEqual(ends, [state]);
		t.deepEqual(clock.timers(), []);
	}
});

test('at most so long, whatever lbd-sync does', t => {
	const {clock, ends, wait} = waiting(seconds(30));
	clock.advance(seconds(29));
	wait.heard('joining');
	t.true(wait.waits);
	clock.advance(seconds(1));
	t.deepEqual(ends, ['in vain']);
	wait.heard('in-sync');
	t.deepEqual(ends, ['in vain']);
});

test('not at all, if nothing is shared or nobody wants to wait', t => {
	const {clock, ends, wait} = waiting(0);
	t.false(wait.waits);
	wait.heard('in-sync');
	t.deepEqual(ends, []);
	t.deepEqual(clock.timers(), []);
});

test('a stop ends it without a word', t => {
	const {clock, ends, wait} = waiting(seconds(30));
	wait.cancel();
	clock.advance(seconds(60));
	t.deepEqual(ends, []);
});
