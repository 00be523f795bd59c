/** Trackers: what they add up to, and what routers on a fake segment make of it. */
import test from 'ava';
import type {Instance, Track, TrackerResult} from '../../src/conf/model.js';
import {track} from '../../src/vrrp/tracking.js';
import {FakeClock, seconds} from '../fake/clock.js';
import {FakeLan} from '../fake/lan.js';
import {Balancer, group, instance, internal, kernelEvents, owners} from './segment.js';

const place = {file: 'keepalived.conf', line: 1, column: 1};

function tracks(kind: Track['kind'], name: string, weight = 0, reverse = false): Track {
	return {place, kind, name, weight, reverse};
}

// What they add up to

/** Weight, `reverse`, result; what is added to 100, or that it is a fault. */
const sums: readonly (readonly [
	weight: number,
	reverse: boolean,
	result: TrackerResult | null,
	what: number | 'fault',
])[] = [
	[10, false, 'up', 110],
	[10, false, 'down', 100],
	[-10, false, 'up', 100],
	[-10, false, 'down', 90],
	[10, true, 'up', 90],
	[10, true, 'down', 100],
	[-10, true, 'up', 100],
	[-10, true, 'down', 110],
	[0, false, 'up', 100],
	[0, false, 'down', 'fault'],
	[0, true, 'up', 'fault'],
	[0, true, 'down', 100],
	[0, false, 'absent', 100],
	[-10, false, 'absent', 100],
	[10, false, null, 100],
	[-10, false, null, 100],
	[200, false, 'up', 254],
	[-253, false, 'down', 1],
];

for (const [weight, reverse, result, what] of sums) {
	test(`weight ${weight}${reverse ? ' reverse' : ''}, ${result}: ${what}`, t => {
		const {priority, fault} = track(100, [tracks('script', 'check', weight, reverse)], () => result);
		t.is(fault === null ? priority : 'fault', what);
	});
}

const values: readonly (readonly [weight: number, reverse: boolean, value: number, what: number | 'fault'])[] = [
	[1, false, 7, 107],
	[2, false, -7, 86],
	[2, true, -7, 114],
	[1, false, -253, 1],
	[1, false, -254, 'fault'],
	[2, false, -127, 'fault'],
	[-2, false, 127, 'fault'],
	[2, false, 254, 254],
	[0, false, 0, 100],
	[0, false, -3, 'fault'],
	[0, true, 0, 'fault'],
	[0, true, 3, 100],
];

for (const [weight, reverse, value, what] of values) {
	test(`weight ${weight}${reverse ? ' reverse' : ''}, a file with ${value}: ${what}`, t => {
		const {priority, fault} = track(100, [tracks('file', 'load', weight, reverse)], () => value);
		t.is(fault === null ? priority : 'fault', what);
	});
}

test('all are added before the priority is brought into its bounds', t => {
	const three = [tracks('script', 'a', 200), tracks('script', 'b', 50), tracks('script', 'c', -150)];
	t.is(track(100, three, ({name}) => (name === 'c' ? 'down' : 'up')).priority, 200);
});

test('an owner’s priority never changes, and a fault is its fault all the same', t => {
	const {priority, fault} = track(255, [tracks('script', 'a', -50), tracks('interface', 'eth1')], () => 'down');
	t.deepEqual([priority, fault], [255, 'track_interface eth1 is down']);
});

test('what could be a fault is waited for; what has a weight is not', t => {
	const both = [tracks('script', 'weighted', 5), tracks('script', 'fatal')];
	t.is(track(100, both, () => null).awaited, 'track_script fatal');
	t.is(track(100, both, () => 'down').awaited, null);
});

// Routers

const check = tracks('script', 'check');

function pair(changes: {a?: Partial<Instance>; b?: Partial<Instance>} = {}) {
	const clock = new FakeClock();
	const lan = new FakeLan(clock);
	const a = new Balancer('a', 10, clock, {eth0: lan});
	const b = new Balancer('b', 11, clock, {eth0: lan});
	const start = async () => {
		await a.configure([instance({priority: 150, ...changes.a})]);
		await b.configure([instance({priority: 100, ...changes.b})]);
	};
	const script = (balancer: Balancer, result: TrackerResult, name = 'check') =>
		balancer.router.track([{kind: 'script', name, result}]);
	const priority = (balancer: Balancer) => balancer.router.status().instances[0]?.priority;
	return {clock, lan, a, b, start, script, priority, both: [a, b]};
}

test('a weighted script that fails hands over, and its success takes back', async t => {
	const {clock, a, b, start, script, priority, both} = pair({a: {tracks: [tracks('script', 'check', -60)]}});
	await start();
	script(a, 'up');
	clock.advance(seconds(5));
	t.deepEqual(owners(both), ['a']);

	script(a, 'down');
	t.is(priority(a), 90);
	t.deepEqual(a.priorityChanges, [{instance: 'external', master: true, priority: 90}]);
	t.true(a.log.lines.includes('info (external) Changing effective priority from 150 to 90'));
	t.deepEqual(owners(both), ['a'], 'the next advert says it');
	clock.advance(seconds(4.7));
	t.deepEqual(owners(both), ['b']);
	t.like(b.transitions.at(-1), {to: 'master', priority: 100});

	script(a, 'up');
	clock.advance(seconds(4.5));
	t.deepEqual(owners(both), ['a']);
});

test('a weight moves a wait that has begun', async t => {
	const {clock, a, start, script, both} = pair({a: {priority: 28, tracks: [tracks('script', 'check', 128)]}});
	await start();
	const [, b] = both;
	b?.station.kill();
	script(a, 'up');
	clock.advance(seconds(3.39));
	t.deepEqual(owners(both), []);
	clock.advance(seconds(0.01));
	t.deepEqual(owners(both), ['a'], '3 s and 100/256 s, not 228/256 s');
});

test('a script without weight: no start before its first result, a fault while it fails', async t => {
	const {clock, a, start, script, both} = pair({a: {tracks: [check]}});
	a.netlink.give(2, '192.168.1.1', 24);
	await start();
	await kernelEvents();
	t.deepEqual(a.netlink.owned().includes('192.168.1.1'), false, 'what an earlier run left is taken off');
	clock.advance(seconds(10));
	t.deepEqual(a.roles(), ['init']);
	t.deepEqual(owners(both), ['b']);
	t.deepEqual(a.log.take(), ['info (external) waits for the first result of track_script check']);

	script(a, 'up');
	t.deepEqual(a.log.take(), ['info (external) Entering BACKUP STATE (init)']);
	clock.advance(seconds(4.5));
	t.deepEqual(owners(both), ['a']);

	script(a, 'down');
	t.deepEqual(owners(both), []);
	t.like(a.transitions.at(-1), {from: 'master', to: 'fault', cause: 'tracker-down'});
	t.true(a.log.lines.includes('warn (external) track_script check is down'));
	clock.advance(seconds(1));
	t.deepEqual(owners(both), ['b'], 'it resigned, so b waits for its skew alone');

	script(a, 'up');
	t.like(a.transitions.at(-1), {from: 'fault', to: 'backup', cause: 'tracker-up'});
	clock.advance(seconds(4.5));
	t.deepEqual(owners(both), ['a']);
});

test('a first result that is a failure begins in fault', async t => {
	const {a, start, script} = pair({a: {tracks: [check]}});
	await start();
	script(a, 'down');
	t.like(a.transitions, [{from: 'init', to: 'fault', cause: 'tracker-down'}]);
});

test('an owner waits for its script as well', async t => {
	const {a, start, script} = pair({a: {priority: 255, tracks: [check]}});
	await start();
	t.deepEqual(a.roles(), ['init']);
	script(a, 'up');
	t.deepEqual(a.roles(), ['master']);
});

test('interfaces: a weight for each that is up, a fault while another is down', async t => {
	const {clock, a, start, priority, both} = pair({
		a: {tracks: [tracks('interface', 'eth1', 20), tracks('interface', 'eth2')]},
	});
	a.netlink.setLink({ifindex: 4, name: 'eth1'});
	a.netlink.setLink({ifindex: 5, name: 'eth2'});
	await start();
	t.is(priority(a), 170);
	clock.advance(seconds(5));
	a.netlink.setLink({ifindex: 4, name: 'eth1', running: false});
	await kernelEvents();
	t.is(priority(a), 150);
	a.netlink.removeLink(5);
	await kernelEvents();
	t.deepEqual(a.roles(), ['fault']);
	clock.advance(seconds(1));
	t.deepEqual(owners(both), ['b']);
	a.netlink.setLink({ifindex: 5, name: 'eth2'});
	await kernelEvents();
	t.deepEqual(a.roles(), ['backup']);
});

test('an interface that is not there at the start is refused by name', async t => {
	const {a} = pair();
	const error = await t.throwsAsync(a.configure([instance({tracks: [tracks('interface', 'eth7')]})]));
	t.regex(error?.message ?? '', /interface eth7: ENODEV/);
});

test('two ailments end with the later one', async t => {
	const {a, start, script} = pair({a: {tracks: [check]}});
	await start();
	script(a, 'up');
	script(a, 'down');
	a.netlink.setLink({ifindex: 2, name: 'eth0', running: false});
	await kernelEvents();
	script(a, 'up');
	t.deepEqual(a.roles(), ['fault']);
	a.netlink.setLink({ifindex: 2, name: 'eth0', running: true});
	await kernelEvents();
	t.like(a.transitions.at(-1), {from: 'fault', to: 'backup', cause: 'interface-up'});
});

test('a reload keeps what a tracker knows, and a new one takes nothing away before it has spoken', async t => {
	const tracked = [tracks('script', 'check', -60)];
	const {clock, a, start, script, priority} = pair({a: {tracks: tracked}, b: {priority: 50}});
	await start();
	script(a, 'down');
	clock.advance(seconds(5));
	const again = (...all: readonly Track[]) => a.configure([instance({priority: 150, tracks: all})]);
	await again(tracks('script', 'check', -20));
	t.is(priority(a), 130);
	t.like(a.priorityChanges.at(-1), {master: true, priority: 130});
	t.deepEqual(a.roles(), ['master']);
	await again(check, tracks('script', 'new'));
	t.deepEqual(a.roles(), ['fault'], 'what is known to be down is a fault now');
	await again(tracks('script', 'new'));
	t.deepEqual(a.roles(), ['backup']);
	clock.advance(seconds(5));
	t.deepEqual(a.roles(), ['master'], 'nobody has heard of the new one yet');
	await again(check);
	t.deepEqual(a.roles(), ['master'], 'what was not tracked for a while begins anew');
});

test('status: both priorities, and each tracker with what it does', async t => {
	const {a, start, script} = pair({a: {tracks: [tracks('script', 'check', -60), tracks('script', 'other', 5)]}});
	await start();
	script(a, 'down');
	const [status] = a.router.status().instances;
	t.like(status, {priority: 90, basePriority: 150});
	t.deepEqual(status?.tracks, [
		{kind: 'script', name: 'check', weight: -60, reverse: false, result: 'down', adds: -60, fault: false},
		{kind: 'script', name: 'other', weight: 5, reverse: false, result: null, adds: 0, fault: false},
	]);
});

// Sync groups

function groupPair(tracksOf: {external?: readonly Track[]; internal?: readonly Track[]}) {
	const clock = new FakeClock();
	const lans = {eth0: new FakeLan(clock), eth1: new FakeLan(clock)};
	const a = new Balancer('a', 10, clock, lans);
	const b = new Balancer('b', 11, clock, lans);
	const start = async () => {
		const {external = [], internal: inner = []} = tracksOf;
		await a.configure([instance({priority: 150, tracks: external}), internal({priority: 150, tracks: inner})], [group]);
		await b.configure([instance({priority: 100}), internal({priority: 100})], [group]);
	};
	const script = (result: TrackerResult) => a.router.track([{kind: 'script', name: 'check', result}]);
	return {clock, a, b, start, script, both: [a, b]};
}

test('a group: one member’s tracker is the fault of all', async t => {
	const {clock, a, start, script, both} = groupPair({internal: [check]});
	await start();
	clock.advance(seconds(10));
	t.deepEqual(a.roles(), ['backup', 'init'], 'the group waits for the member that waits');
	t.deepEqual(owners(both), ['b']);
	t.deepEqual(
		a.transitions.filter(({scope}) => scope === 'group'),
		[],
	);
	script('up');
	clock.advance(seconds(5));
	t.deepEqual(a.roles(), ['master', 'master']);
	script('down');
	t.deepEqual(a.roles(), ['fault', 'fault']);
	clock.advance(seconds(1));
	t.deepEqual(owners(both, '10.0.0.100'), ['b']);
	script('up');
	t.deepEqual(a.roles(), ['backup', 'backup']);
	clock.advance(seconds(5));
	t.deepEqual(owners(both), ['a']);
});

test('a group’s weight moves all its members together', async t => {
	const shared = [tracks('script', 'check', -60)];
	const {clock, a, b, start, script, both} = groupPair({external: shared, internal: shared});
	await start();
	script('up');
	clock.advance(seconds(5));
	t.deepEqual(owners(both), ['a']);
	script('down');
	clock.advance(seconds(6));
	t.deepEqual(
		[a.roles(), b.roles()],
		[
			['backup', 'backup'],
			['master', 'master'],
		],
	);
	script('up');
	clock.advance(seconds(6));
	t.deepEqual(owners(both), ['a']);
});
