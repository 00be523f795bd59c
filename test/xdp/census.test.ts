import test from 'ava';
import {keepCounting} from '../../src/xdp/census.js';
import {FakeClock} from '../fake/clock.js';
import {FakeLog} from '../fake/log.js';

test('a census now and every second, whatever goes wrong with one, until it is cancelled', t => {
	const clock = new FakeClock();
	const log = new FakeLog();
	let taken = 0;
	const takeCensus = (): void => {
		taken++;
		if (taken === 2) throw new Error('EIO');
	};
	const cancel = keepCounting({dataPlane: {takeCensus}, clock, log});
	t.is(taken, 1);
	clock.advance(3_500_000);
	t.is(taken, 4);
	t.deepEqual(log.lines, ['error the connections of the backends could not be counted']);
	cancel();
	clock.advance(10_000_000);
	t.is(taken, 4);
	t.deepEqual(clock.timers(), []);
});
