/** Routers whose adverts are signed: who believes whom while keys, modes and clocks change. */
import test, {type ExecutionContext} from 'ava';
import type {Instance} from '../../src/conf/model.js';
import type {AuthHmac} from '../../src/net/vrrp-hmac.js';
import type {VrrpConfig} from '../../src/vrrp/protocol.js';
import {FakeClock, seconds} from '../fake/clock.js';
import {FakeLan, ipv4} from '../fake/lan.js';
import {Balancer, instance, instance6, kernelEvents, multicastGroups, noStatics, owners} from './segment.js';

const KEYS = {
	old: {id: 1, secret: '5a'.repeat(32)},
	new: {id: 2, secret: 'c3'.repeat(64)},
	other: {id: 1, secret: 'ff'.repeat(32)},
};
const AUTH: AuthHmac = {keys: [KEYS.old], activeKeyId: 1, antiReplay: 'time', windowS: 5, mode: 'enforce'};

type Configure = (of: Balancer, authHmac: AuthHmac | null) => Promise<void>;

interface Pair {
	readonly clock: FakeClock;
	readonly lan: FakeLan;
	readonly a: Balancer;
	readonly b: Balancer;
	readonly configure: Configure;
}

/** Two routers, `a` with the higher priority, each with its own rules. */
async function pair(
	of: {readonly a: AuthHmac | null; readonly b: AuthHmac | null},
	make: typeof instance = instance,
): Promise<Pair> {
	const clock = new FakeClock();
	const lan = new FakeLan(clock);
	const a = new Balancer('a', 10, clock, {eth0: lan});
	const b = new Balancer('b', 11, clock, {eth0: lan});
	const configure: Configure = (router, authHmac) =>
		router.configure([make({priority: router === a ? 200 : 100, password: null, authHmac})]);
	await configure(a, of.a);
	await configure(b, of.b);
	clock.advance(seconds(10));
	return {clock, lan, a, b, configure};
}

function vrrpConfigOf(one: Instance): VrrpConfig {
	return {instances: [one], syncGroups: [], multicastGroups, ...noStatics};
}

const refused = (router: Balancer) => router.router.status().instances[0]?.refused;
const rival = (router: Balancer) => router.router.status().instances[0]?.rival;
const masterships = (router: Balancer): number => router.transitions.filter(({to}) => to === 'master').length;

/** `a` is cut off, and `b` master until it is back. */
async function losesItsLink(t: ExecutionContext, {clock, a, b}: Pair): Promise<void> {
	a.netlink.setLink({ifindex: 2, name: 'eth0', running: false});
	await kernelEvents();
	clock.advance(seconds(5));
	t.deepEqual(b.roles(), ['master']);
	a.netlink.setLink({ifindex: 2, name: 'eth0', running: true});
	await kernelEvents();
	clock.advance(seconds(5));
	t.deepEqual([a.roles(), b.roles()].flat(), ['master', 'backup']);
}

for (const [title, make] of [
	['version 2', instance],
	['version 3 of IPv4', (changes = {}) => instance({version: 3, ...changes})],
	['version 3 of IPv6', instance6],
] as const) {
	test(`${title}: one master, and the other when it dies, and the first again`, async t => {
		const routers = await pair({a: AUTH, b: AUTH}, make);
		const {a, b} = routers;
		t.deepEqual([a.roles(), b.roles()].flat(), ['master', 'backup']);
		await losesItsLink(t, routers);
		t.deepEqual([refused(a), refused(b)], [{}, {}]);
	});
}

test('a key is changed under both without a flip: add, change, remove, one router at a time', async t => {
	const {clock, a, b, configure} = await pair({a: AUTH, b: AUTH});
	const both: AuthHmac = {...AUTH, keys: [KEYS.old, KEYS.new]};
	for (const step of [both, {...both, activeKeyId: 2}, {...AUTH, keys: [KEYS.new], activeKeyId: 2}]) {
		for (const router of [b, a]) {
			await configure(router, step);
			clock.advance(seconds(10));
			t.deepEqual([a.roles(), b.roles()].flat(), ['master', 'backup']);
		}
	}
	t.deepEqual([masterships(a), masterships(b)], [1, 0]);
	t.deepEqual([refused(a), refused(b)], [{}, {}]);
});

test('trailers come into a running pair without a flip, and not one advert is refused', async t => {
	const {clock, a, b, configure} = await pair({a: null, b: null});
	for (const mode of ['receive-only', 'permissive', 'enforce'] as const) {
		for (const router of [a, b]) {
			await configure(router, {...AUTH, mode});
			clock.advance(seconds(10));
			t.deepEqual([a.roles(), b.roles()].flat(), ['master', 'backup']);
		}
	}
	t.deepEqual([masterships(a), masterships(b)], [1, 0]);
	t.deepEqual([refused(a), refused(b)], [{}, {}]);
});

for (const [title, other, ...reasons] of [
	['another key', {...AUTH, keys: [KEYS.other]}, 'bad-hmac', 'bad-hmac'],
	['a key of another id', {...AUTH, keys: [KEYS.new], activeKeyId: 2}, 'unknown-key', 'unknown-key'],
	['none', null, 'missing-trailer', 'unexpected-trailer'],
] as const) {
	test(`who signs, and a router with ${title}: two routers of their own, and each says why`, async t => {
		const {clock, a, b} = await pair({a: AUTH, b: other});
		clock.advance(seconds(5));
		t.deepEqual(owners([a, b]), ['a', 'b']);
		t.deepEqual([rival(a)?.refused, rival(b)?.refused], reasons);
	});
}

test('who only receives believes a master that signs, and is believed by one that is permissive', async t => {
	const routers = await pair({a: AUTH, b: {...AUTH, mode: 'receive-only'}});
	const {a, b, configure} = routers;
	t.deepEqual([a.roles(), b.roles()].flat(), ['master', 'backup']);
	await configure(a, {...AUTH, mode: 'permissive'});
	await losesItsLink(t, routers);
});

test('a recorded advert moves nobody, nor does one of another virtual router with the same key', async t => {
	const clock = new FakeClock();
	const lan = new FakeLan(clock);
	const b = new Balancer('b', 11, clock, {eth0: lan});
	const elsewhere = new FakeLan(clock);
	const x = new Balancer('a', 10, clock, {eth0: elsewhere});
	await b.configure([instance({password: null, authHmac: AUTH})]);
	await x.configure([instance({vrid: 92, priority: 250, password: null, authHmac: AUTH})]);
	clock.advance(seconds(8));
	t.deepEqual(b.roles(), ['master']);
	const recorded = elsewhere.adverts.at(-1)?.bytes.slice() ?? new Uint8Array();
	recorded[1] = 91;
	// Version 2 sums 16-bit words: one less where the VRID is, one more in the sum.
	recorded[7] = (recorded[7] ?? 0) + 1;
	lan.inject(ipv4('192.168.1.10', '224.0.0.18', recorded), '192.168.1.10');
	clock.advance(seconds(2));
	t.deepEqual(b.roles(), ['master']);
	t.deepEqual(refused(b), {'bad-hmac': 1});
});

test('a recorded farewell: once, from the router that said it, and never again', async t => {
	const {clock, lan, a, b} = await pair({a: AUTH, b: AUTH});
	const stopped = a.router.stop();
	await kernelEvents();
	clock.advance(seconds(5));
	await stopped;
	t.deepEqual(b.roles(), ['master']);
	const farewell = lan.adverts.findLast(({station}) => station === 'a');
	t.is(farewell?.bytes[2], 0);
	const again = new Balancer('a', 10, clock, {eth0: lan});
	await again.configure([instance({priority: 200, password: null, authHmac: AUTH})]);
	clock.advance(seconds(10));
	t.deepEqual([again.roles(), b.roles()].flat(), ['master', 'backup']);
	for (let n = 0; n < 20; n++) {
		lan.inject(ipv4('192.168.1.10', '224.0.0.18', farewell?.bytes ?? new Uint8Array()), '192.168.1.10');
		clock.advance(seconds(1));
	}
	t.deepEqual([again.roles(), b.roles()].flat(), ['master', 'backup']);
	t.deepEqual(refused(b), {stale: 20});
});

test('a successor of the same machine counts on where its clock was put back meanwhile', async t => {
	const {clock, lan, a, b} = await pair({a: AUTH, b: AUTH});
	const {legacies} = await a.router.handOn();
	const next = new Balancer('a', 10, clock, {eth0: lan});
	next.netlink.give(2, '192.168.1.1', 24);
	next.station.wallAheadS = -4;
	const config = instance({priority: 200, password: null, authHmac: AUTH});
	await next.router.configure(
		vrrpConfigOf(config),
		legacies.map(legacy => JSON.parse(JSON.stringify(legacy))),
	);
	await kernelEvents();
	clock.advance(seconds(10));
	t.deepEqual([next.roles(), b.roles()].flat(), ['master', 'backup']);
	t.is(masterships(b), 0);
	t.deepEqual(refused(b), {});
});

test('auth_type AH: a successor of the same machine counts on', async t => {
	const clock = new FakeClock();
	const lan = new FakeLan(clock);
	const a = new Balancer('a', 10, clock, {eth0: lan});
	const b = new Balancer('b', 11, clock, {eth0: lan});
	const config = instance({priority: 200, usesAuthHeader: true});
	await a.configure([config]);
	await b.configure([{...config, priority: 100}]);
	clock.advance(seconds(10));
	const {legacies} = await a.router.handOn();
	const next = new Balancer('a', 10, clock, {eth0: lan});
	next.netlink.give(2, '192.168.1.1', 24);
	await next.router.configure(vrrpConfigOf(config), legacies);
	await kernelEvents();
	clock.advance(seconds(10));
	t.deepEqual([next.roles(), b.roles()].flat(), ['master', 'backup']);
	t.is(masterships(b), 0);
	t.deepEqual(refused(b), {});
});

test('clocks that drift apart are told of before adverts are refused, once', async t => {
	const {clock, a, b} = await pair({a: AUTH, b: AUTH});
	const told = (): readonly string[] => b.log.lines.filter(line => line.includes('clock'));
	a.station.wallAheadS = 2;
	clock.advance(seconds(10));
	t.deepEqual(told(), []);
	a.station.wallAheadS = 4;
	clock.advance(seconds(10));
	const line = 'warn (external) the clock of 192.168.1.10 is 4 s ahead of ours: beyond 5 s its adverts are refused';
	t.deepEqual(told(), [line]);
	a.station.wallAheadS = 60;
	clock.advance(seconds(10));
	t.deepEqual(owners([a, b]), ['a', 'b']);
	t.is(rival(a)?.refused, 'stale');
	a.station.wallAheadS = 0;
	clock.advance(seconds(10));
	t.deepEqual([a.roles(), b.roles()].flat(), ['master', 'backup'], 'put right, they believe each other again');
	a.station.wallAheadS = 4;
	clock.advance(seconds(10));
	t.deepEqual(told(), [line, line]);
});

test('adverts that have waited while the machine hung are no clock that is wrong', async t => {
	const {clock, a, b} = await pair({a: AUTH, b: AUTH});
	b.station.stall();
	clock.advance(seconds(4.5));
	b.station.wake();
	clock.advance(seconds(5));
	t.false(b.log.lines.some(line => line.includes('clock')));
	t.deepEqual([a.roles(), b.roles()].flat(), ['master', 'backup']);
	t.deepEqual(refused(b), {});
});

test('no key is in the status or in the log', async t => {
	const {clock, a, b, configure} = await pair({a: AUTH, b: {...AUTH, keys: [KEYS.other]}});
	await configure(a, {...AUTH, keys: [KEYS.new], activeKeyId: 2});
	clock.advance(seconds(10));
	const said = JSON.stringify([a, b].map(({log, router}) => [log.lines, router.status()]));
	for (const {secret} of Object.values(KEYS)) t.false(said.includes(secret));
});
