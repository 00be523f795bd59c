/** A balancer that does not know the master's connections yet leaves it alone, and takes over all the same where none is. */
import test from 'ava';
import {FakeClock, seconds} from '../fake/clock.js';
import {FakeLan} from '../fake/lan.js';
import {Balancer, group, instance, internal, kernelEvents, owners} from './segment.js';

/** `b`, of the lower priority, is master; `a` has returned and waits. */
async function returned() {
	const clock = new FakeClock();
	const lan = new FakeLan(clock);
	const b = new Balancer('b', 11, clock, {eth0: lan});
	await b.configure([instance({priority: 100})]);
	clock.advance(seconds(10));
	const a = new Balancer('a', 10, clock, {eth0: lan});
	await a.configure([instance({priority: 200})], [], {waits: true});
	return {clock, lan, a, b};
}

test('it does not preempt while it waits, says so, and does when it waits no more', async t => {
	const {clock, a, b} = await returned();
	clock.advance(seconds(29));
	t.deepEqual(owners([a, b]), ['b']);
	t.true(a.router.status().instances[0]?.waits);
	a.router.wait(false);
	t.false(a.router.status().instances[0]?.waits);
	clock.advance(seconds(5));
	t.deepEqual(owners([a, b]), ['a']);
});

test('the master dies meanwhile: it is followed as fast as ever', async t => {
	const {clock, a, b} = await returned();
	clock.advance(seconds(5));
	b.station.kill();
	clock.advance(seconds(3) + 219_000);
	t.deepEqual(owners([a]), ['a']);
});

test('the end of the wait, with the master dead, puts nothing off', async t => {
	const {clock, a, b} = await returned();
	clock.advance(seconds(5));
	b.station.kill();
	clock.advance(seconds(2));
	a.router.wait(false);
	clock.advance(seconds(1) + 219_000);
	t.deepEqual(owners([a]), ['a']);
});

test('the master resigns meanwhile: the skew time is all that is waited', async t => {
	const {clock, a, b} = await returned();
	clock.advance(seconds(5));
	void b.router.stop();
	await kernelEvents();
	clock.advance(300_000);
	t.deepEqual(owners([a]), ['a']);
});

test('whoever would not preempt anyhow, or is master, waits for nothing', async t => {
	const clock = new FakeClock();
	const lan = new FakeLan(clock);
	const a = new Balancer('a', 10, clock, {eth0: lan});
	await a.configure([instance({priority: 200, preempt: false})], [], {waits: true});
	t.false(a.router.status().instances[0]?.waits);
	clock.advance(seconds(4));
	t.deepEqual(owners([a]), ['a']);
	await a.configure([instance({priority: 200})], [], {waits: true});
	t.false(a.router.status().instances[0]?.waits);
});

test('who lingers, and is released, has let go when the wait is over, and goes on being a guest', async t => {
	const {clock, a, b} = await returned();
	a.router.wait(false);
	clock.advance(seconds(5));
	t.deepEqual(owners([a, b]), ['a']);
	a.router.wait(true);
	const released = a.router.release('external');
	await kernelEvents();
	clock.advance(seconds(1));
	await released;
	t.deepEqual(owners([a, b]), ['b']);
	a.router.wait(false);
	clock.advance(seconds(60));
	t.deepEqual(owners([a, b]), ['b']);
});

test('a group waits as one: a cable of the master is pulled, and the other one has both addresses', async t => {
	const clock = new FakeClock();
	const lans = {eth0: new FakeLan(clock), eth1: new FakeLan(clock)};
	const both = (priority: number) => [instance({priority}), internal({priority})];
	const b = new Balancer('b', 11, clock, lans);
	await b.configure(both(100), [group]);
	clock.advance(seconds(10));
	const a = new Balancer('a', 10, clock, lans);
	await a.configure(both(200), [group], {waits: true});
	clock.advance(seconds(10));
	t.false(a.owns('192.168.1.1') || a.owns('10.0.0.100'));
	b.netlink.setLink({ifindex: 2, name: 'eth0', running: false});
	await kernelEvents();
	clock.advance(seconds(2));
	t.true(a.owns('192.168.1.1') && a.owns('10.0.0.100'), 'the resignation on one link is enough');
});
