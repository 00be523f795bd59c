/** `interface_up_down_delays`: which changes of a link count, and when. */
import test from 'ava';
import {FakeClock, milliseconds, seconds} from '../fake/clock.js';
import {FakeLan} from '../fake/lan.js';
import {Balancer, instance, kernelEvents, linkDelay, owners} from './segment.js';

/** A master whose eth0 is down for 1.5 s and up for 2 s before that counts, and its backup. */
async function pair() {
	const clock = new FakeClock();
	const lan = new FakeLan(clock);
	const a = new Balancer('a', 10, clock, {eth0: lan});
	const b = new Balancer('b', 11, clock, {eth0: lan});
	await a.configure([instance({priority: 200})], [], {linkDelays: [linkDelay('eth0', 1.5, 2)]});
	await b.configure([instance({priority: 100})]);
	clock.advance(seconds(5));
	const carrier = async (running: boolean) => {
		a.netlink.setLink({ifindex: 2, name: 'eth0', running});
		lan.partition(...(running ? [] : [['b']]));
		await kernelEvents();
	};
	const pass = async (us: number) => {
		clock.advance(us);
		await kernelEvents();
	};
	return {clock, lan, a, b, carrier, pass, both: [a, b]};
}

test('a link that is back before its time was never down', async t => {
	const {a, b, carrier, pass, both, clock} = await pair();
	for (let flap = 0; flap < 5; flap++) {
		await carrier(false);
		await pass(milliseconds(1499));
		await carrier(true);
		await pass(milliseconds(1100));
	}
	t.deepEqual(owners(both), ['a']);
	t.is(a.transitions.length, 2, 'backup and master');
	t.deepEqual(b.roles(), ['backup']);
	t.deepEqual(
		clock.timers().filter(name => name.includes('link')),
		[],
		'nothing is waited for',
	);
});

test('a link that stays down is a fault when its time is over, not before', async t => {
	const {a, b, carrier, pass, both} = await pair();
	await carrier(false);
	await pass(milliseconds(1499));
	t.deepEqual(a.roles(), ['master']);
	await pass(milliseconds(1));
	t.deepEqual(a.roles(), ['fault']);
	await pass(milliseconds(2200));
	t.deepEqual(owners(both), ['b'], 'the backup takes over when it would have anyway');
	await carrier(true);
	await pass(milliseconds(1999));
	t.deepEqual(a.roles(), ['fault']);
	await pass(milliseconds(1));
	t.deepEqual(a.roles(), ['backup']);
	await pass(seconds(4));
	t.deepEqual([owners(both), b.roles()], [['a'], ['backup']]);
});

test('a link that fails again while it comes up begins its time anew', async t => {
	const {a, carrier, pass} = await pair();
	await carrier(false);
	await pass(seconds(2));
	await carrier(true);
	await pass(milliseconds(1900));
	await carrier(false);
	await pass(milliseconds(100));
	await carrier(true);
	await pass(milliseconds(1999));
	t.deepEqual(a.roles(), ['fault']);
	await pass(milliseconds(1));
	t.deepEqual(a.roles(), ['backup']);
});

test('what is down at the start is so at once, and its first time up counts at once', async t => {
	const clock = new FakeClock();
	const a = new Balancer('a', 10, clock, {eth0: new FakeLan(clock)});
	a.netlink.setLink({ifindex: 2, name: 'eth0', running: false});
	await a.configure([instance()], [], {linkDelays: [linkDelay('eth0', 1.5, 2)]});
	t.deepEqual(a.roles(), ['fault']);
	a.netlink.setLink({ifindex: 2, name: 'eth0', running: true});
	await kernelEvents();
	t.deepEqual(a.roles(), ['backup']);
});

test('an interface that is gone is gone at once', async t => {
	const {a} = await pair();
	a.netlink.removeLink(2);
	await kernelEvents();
	t.deepEqual(a.roles(), ['fault']);
});

test('a tracked interface has delays of its own', async t => {
	const clock = new FakeClock();
	const a = new Balancer('a', 10, clock, {eth0: new FakeLan(clock), eth1: new FakeLan(clock)});
	const place = {file: 'keepalived.conf', line: 1, column: 1};
	const tracks = [{place, kind: 'interface', name: 'eth1', weight: 0, reverse: false}] as const;
	await a.configure([instance({tracks})], [], {linkDelays: [linkDelay('eth1', 10, 0)]});
	a.netlink.setLink({ifindex: 3, name: 'eth1', running: false});
	await kernelEvents();
	clock.advance(milliseconds(9999));
	await kernelEvents();
	t.deepEqual(a.roles(), ['master']);
	clock.advance(milliseconds(1));
	await kernelEvents();
	t.deepEqual(a.roles(), ['fault']);
	a.netlink.setLink({ifindex: 3, name: 'eth1', running: true});
	await kernelEvents();
	t.deepEqual(a.roles(), ['backup'], 'no delay');
});

test('a reload that takes a delay away lets a change count with the next look', async t => {
	const {a, carrier, pass} = await pair();
	await carrier(false);
	await a.configure([instance({priority: 200})]);
	await pass(milliseconds(1));
	a.netlink.overrun();
	await kernelEvents();
	t.deepEqual(a.roles(), ['fault']);
});

test('delays of an interface that this machine does not have are refused', async t => {
	const clock = new FakeClock();
	const a = new Balancer('a', 10, clock, {eth0: new FakeLan(clock)});
	await t.throwsAsync(a.configure([instance()], [], {linkDelays: [linkDelay('eth7', 1, 1)]}), {
		message: /interface_up_down_delays: interface eth7/,
	});
});

test('stopped while a change waits, nothing comes after', async t => {
	const {a, b, carrier, clock} = await pair();
	await carrier(false);
	await a.stop(clock);
	t.deepEqual(
		clock.timers().filter(name => name.includes('link')),
		[],
	);
	t.deepEqual(b.roles(), ['backup']);
});
