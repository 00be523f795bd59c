/** When a router holds its lease, and when it lets go of it. */
import test from 'ava';
import {FakeClock, milliseconds, seconds} from '../fake/clock.js';
import {FakeLan} from '../fake/lan.js';
import {Balancer, group, instance, instance6, internal} from './segment.js';

function alone(): {clock: FakeClock; lan: FakeLan; a: Balancer} {
	const clock = new FakeClock();
	const lan = new FakeLan(clock);
	return {clock, lan, a: new Balancer('a', 10, clock, {eth0: lan})};
}

test('a master renews its lease with each advert, for three intervals; a backup has none', async t => {
	const {clock, lan, a} = alone();
	const b = new Balancer('b', 11, clock, {eth0: lan});
	await a.configure([instance({priority: 200})]);
	await b.configure([instance()]);
	t.deepEqual(a.leases.opened, ['test']);
	clock.advance(seconds(3));
	t.is(a.leases.held.size, 0);
	clock.advance(milliseconds(219));
	const [sent] = a.leases.held.values();
	t.deepEqual([...a.leases.held.keys()], ['2/4/91']);
	t.is(sent?.untilUs, (sent?.sentUs ?? 0) + seconds(3));
	clock.advance(seconds(1));
	t.is(a.leases.held.get('2/4/91')?.sentUs, (sent?.sentUs ?? 0) + seconds(1));
	clock.advance(seconds(60));
	t.is(b.leases.held.size, 0);
});

test('IPv6 has its own, and short intervals short leases', async t => {
	const {clock, a} = alone();
	await a.configure([instance6({advertUs: milliseconds(100)})]);
	clock.advance(seconds(1));
	const lease = a.leases.held.get('2/6/91');
	t.is((lease?.untilUs ?? 0) - (lease?.sentUs ?? 0), milliseconds(300));
});

test('whoever is preempted, resigns or fails ends its lease with its addresses', async t => {
	const {clock, lan, a} = alone();
	await a.configure([instance()]);
	clock.advance(seconds(4));
	t.is(a.leases.held.size, 1);
	const b = new Balancer('b', 11, clock, {eth0: lan});
	await b.configure([instance({priority: 200})]);
	clock.advance(seconds(4));
	t.deepEqual([a.leases.held.size, b.leases.held.size], [0, 1]);
	await b.stop(clock);
	t.is(b.leases.held.size, 0);
	clock.advance(seconds(4));
	t.is(a.leases.held.size, 1);
	a.netlink.setLink({ifindex: 2, name: 'eth0', running: false});
	await a.configure([instance()]);
	t.deepEqual([a.roles(), a.leases.held.size], [['fault'], 0]);
});

test('a group lets go of all its leases together', async t => {
	const clock = new FakeClock();
	const a = new Balancer('a', 10, clock, {eth0: new FakeLan(clock), eth1: new FakeLan(clock)});
	await a.configure([instance(), internal()], [group]);
	clock.advance(seconds(4));
	t.deepEqual([...a.leases.held.keys()], ['2/4/91', '3/4/92']);
	a.netlink.setLink({ifindex: 3, name: 'eth1', running: false});
	await a.configure([instance(), internal()], [group]);
	t.is(a.leases.held.size, 0);
});

test('who returns after a crash ends the lease of the dead together with the addresses that it left', async t => {
	const {clock, lan, a} = alone();
	await a.configure([instance()]);
	clock.advance(seconds(4));
	a.station.kill();
	const back = new Balancer('a', 10, clock, {eth0: lan});
	for (const [router, lease] of a.leases.held) back.leases.held.set(router, lease);
	t.is(back.leases.heldUntilUs({ifindex: 2, family: 4, vrid: 91}), a.leases.held.get('2/4/91')?.untilUs ?? null);
	clock.advance(seconds(3));
	back.netlink.give(2, '192.168.1.1', 24);
	await back.configure([instance()]);
	t.false(back.owns('192.168.1.1'));
	t.is(back.leases.held.size, 0);
});

/** A router in the place of one that has died, whose addresses and leases are still there. */
function successor(dead: Balancer, clock: FakeClock, lan: FakeLan): Balancer {
	dead.station.kill();
	const back = new Balancer('a', 10, clock, {eth0: lan});
	for (const [router, lease] of dead.leases.held) back.leases.held.set(router, lease);
	back.netlink.give(2, '192.168.1.1', 24);
	return back;
}

test('who returns after a crash before anybody can have taken over is still master', async t => {
	const {clock, lan, a} = alone();
	const b = new Balancer('b', 11, clock, {eth0: lan});
	await a.configure([instance({priority: 200})]);
	await b.configure([instance()]);
	clock.advance(milliseconds(3219 + 2990));
	const back = successor(a, clock, lan);
	clock.advance(milliseconds(9 + 1990));
	await back.configure([instance({priority: 200})]);
	t.deepEqual(back.roles(), ['master']);
	t.like(back.transitions, [{from: 'init', to: 'master', cause: 'resumed'}]);
	t.true(back.owns('192.168.1.1'));
	clock.advance(seconds(60));
	t.deepEqual([back.roles(), b.roles()].flat(), ['master', 'backup']);
	t.false(b.transitions.some(({to}) => to === 'master'));
});

test('who has resigned and dies while it lingers is master no more', async t => {
	const {clock, lan, a} = alone();
	await a.configure([instance()]);
	clock.advance(seconds(4));
	void a.router.release('external');
	clock.advance(milliseconds(100));
	t.true(a.owns('192.168.1.1'));
	const back = successor(a, clock, lan);
	await back.configure([instance()]);
	t.deepEqual(back.roles(), ['backup']);
	t.false(back.owns('192.168.1.1'));
});

test('a router without leases is a router all the same, and says so once', async t => {
	const {clock, a} = alone();
	a.leases.open = () => {
		throw new Error('no pins');
	};
	await a.configure([instance()]);
	clock.advance(seconds(4));
	t.true(a.owns('192.168.1.1'));
	t.is(a.log.lines.filter(line => line.startsWith('warn no lease')).length, 1);
});
