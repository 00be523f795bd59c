/** Routes and rules of instances, and the static blocks: there when they should be, and gone without a trace. */
import test from 'ava';
import type {VirtualRoute, VirtualRule} from '../../src/conf/model.js';
import {FakeClock, milliseconds, seconds} from '../fake/clock.js';
import {FakeLan} from '../fake/lan.js';
import {Balancer, instance, kernelEvents, noStatics, virtualAddress} from './segment.js';

const place = {file: 'keepalived.conf', line: 1, column: 1};

function route(destination: string, changes: Partial<VirtualRoute> = {}): VirtualRoute {
	return {
		place,
		tracked: true,
		trackGroup: null,
		family: 4,
		type: 'unicast',
		destination: {address: destination, prefix: 16},
		from: null,
		table: 254,
		protocol: 18,
		scope: 0,
		tos: 0,
		priority: null,
		source: null,
		hops: [{device: 'eth0', gateway: '192.168.1.7', weight: 1, onlink: false, realms: null}],
		metrics: {},
		locked: [],
		expiresS: null,
		preference: null,
		propagatesTtl: null,
		placement: 'prepend',
		...changes,
	};
}

function rule(priority: number): VirtualRule {
	return {
		place,
		tracked: true,
		trackGroup: null,
		family: 4,
		priority,
		inverted: false,
		from: null,
		to: null,
		tos: 0,
		mark: null,
		inputInterface: null,
		outputInterface: null,
		tunnelId: null,
		users: null,
		l3mdev: false,
		ipProtocol: null,
		sourcePorts: null,
		destinationPorts: null,
		action: 'table',
		table: 7,
		target: null,
		realms: null,
		suppressPrefixLength: null,
		suppressGroup: null,
		protocol: 18,
	};
}

const ROUTE = '10.1.0.0/16 via 192.168.1.7';
const RULE = '5: lookup 7';
const holding = instance({priority: 200, routes: [route('10.1.0.0')], rules: [rule(5)]});

function alone() {
	const clock = new FakeClock();
	const lan = new FakeLan(clock);
	const balancer = new Balancer('a', 10, clock, {eth0: lan});
	return {clock, lan, balancer, netlink: balancer.netlink};
}

test('a master holds its routes and rules, a backup does not', async t => {
	const {clock, lan, balancer, netlink} = alone();
	await balancer.configure([holding]);
	t.deepEqual(netlink.forwarding(), []);
	clock.advance(seconds(4));
	t.deepEqual(netlink.forwarding(), [ROUTE, RULE]);
	const better = new Balancer('b', 11, clock, {eth0: lan});
	await better.configure([instance({priority: 250})]);
	clock.advance(seconds(5));
	t.deepEqual(balancer.roles(), ['backup']);
	t.deepEqual(netlink.forwarding(), []);
});

test('they go with a fault and with the daemon', async t => {
	const {clock, balancer, netlink} = alone();
	await balancer.configure([holding]);
	clock.advance(seconds(4));
	netlink.setLink({ifindex: 2, name: 'eth0', running: false});
	await kernelEvents();
	t.deepEqual(netlink.forwarding(), []);
	netlink.setLink({ifindex: 2, name: 'eth0', running: true});
	await kernelEvents();
	clock.advance(seconds(4));
	t.deepEqual(netlink.forwarding(), [ROUTE, RULE]);
	await balancer.stop(clock);
	t.deepEqual(netlink.forwarding(), []);
});

test('what a killed run left behind is taken over, and removed by a backup', async t => {
	const {balancer, clock, lan} = alone();
	await balancer.configure([holding]);
	clock.advance(seconds(4));
	balancer.station.kill();
	const next = new Balancer('a', 10, clock, {eth0: lan});
	const hops = [{device: 2, gateway: '192.168.1.7', weight: 1, onlink: false, realms: null}];
	for (const left of [route('10.1.0.0'), route('10.9.0.0')]) await next.netlink.addRoute({...left, hops});
	await next.configure([holding]);
	t.deepEqual(next.netlink.forwarding(), ['10.9.0.0/16 via 192.168.1.7'], 'nobody knows whose the other is');
	t.true(
		next.log.lines.includes('warn 1 routes and rules of protocol keepalived are not of this configuration and stay'),
	);
});

test('a route that somebody removes is put back at once, and the addresses stay', async t => {
	const {clock, balancer, netlink} = alone();
	await balancer.configure([holding]);
	clock.advance(seconds(4));
	netlink.takeRoute('10.1.0.0/16');
	await kernelEvents();
	t.deepEqual(balancer.roles(), ['master']);
	t.deepEqual(netlink.forwarding().sort(), [ROUTE, RULE].sort());
	t.true(balancer.log.lines.includes('warn (external) deleted by somebody else'));
	t.deepEqual(balancer.router.status().deleted, {address: 0, route: 1, rule: 0});
});

test('no_track: what somebody removes comes back with the next mastery only', async t => {
	const {clock, balancer, netlink} = alone();
	const addresses = [{...virtualAddress('192.168.1.1', 'eth0'), tracked: false}];
	await balancer.configure([instance({addresses, routes: [route('10.1.0.0', {tracked: false})]})]);
	clock.advance(seconds(4));
	netlink.takeRoute('10.1.0.0/16');
	netlink.take('192.168.1.1');
	await kernelEvents();
	t.deepEqual(balancer.roles(), ['master']);
	t.deepEqual(netlink.forwarding(), []);
	t.false(balancer.owns('192.168.1.1'));
	netlink.setLink({ifindex: 2, name: 'eth0', running: false});
	await kernelEvents();
	netlink.setLink({ifindex: 2, name: 'eth0', running: true});
	await kernelEvents();
	clock.advance(seconds(4));
	t.deepEqual(netlink.forwarding(), [ROUTE]);
	t.true(balancer.owns('192.168.1.1'));
});

test('a route that the kernel refuses is told once, and tried again when something changes', async t => {
	const {clock, balancer, netlink} = alone();
	netlink.setLink({ifindex: 3, name: 'eth1', running: false});
	const hops = [{device: 'eth1', gateway: '10.0.0.7', weight: 1, onlink: false, realms: null}];
	await balancer.configure([instance({routes: [route('10.1.0.0', {hops})]})]);
	clock.advance(seconds(4));
	await kernelEvents();
	netlink.overrun();
	await kernelEvents();
	t.deepEqual(balancer.roles(), ['master']);
	t.is(balancer.log.lines.filter(line => line === 'error cannot add route 10.1.0.0/16').length, 1);
	netlink.setLink({ifindex: 3, name: 'eth1', running: true});
	await kernelEvents();
	t.deepEqual(netlink.forwarding(), ['10.1.0.0/16 via 10.0.0.7']);
});

test('reload: only the difference is touched', async t => {
	const {clock, balancer, netlink} = alone();
	await balancer.configure([instance({routes: [route('10.1.0.0'), route('10.2.0.0')], rules: [rule(5)]})]);
	clock.advance(seconds(4));
	await kernelEvents();
	const removed: string[] = [];
	netlink.onEvent(event => {
		if ((event.kind === 'route' || event.kind === 'rule') && event.removed) removed.push(event.kind);
	});
	await balancer.configure([instance({routes: [route('10.1.0.0'), route('10.3.0.0')], rules: [rule(5), rule(6)]})]);
	await kernelEvents();
	t.deepEqual(netlink.forwarding(), [ROUTE, '10.3.0.0/16 via 192.168.1.7', RULE, '6: lookup 7']);
	t.deepEqual(removed, ['route']);
});

test('reload: an address whose options change is put on anew', async t => {
	const {clock, balancer, netlink} = alone();
	const address = virtualAddress('192.168.1.1', 'eth0');
	await balancer.configure([instance({addresses: [address]})]);
	clock.advance(seconds(4));
	await balancer.configure([instance({addresses: [{...address, label: 'eth0:x'}]})]);
	t.deepEqual(balancer.roles(), ['master']);
	const entry = (await netlink.addresses()).find(entry => entry.address === '192.168.1.1');
	t.is(entry?.label, 'eth0:x');
});

test('promote_secondaries is switched on where it was off, and back', async t => {
	const {balancer, netlink} = alone();
	const promotes = async () => (await netlink.links()).map(({promotesSecondaries}) => promotesSecondaries);
	netlink.setLink({ifindex: 3, name: 'eth1', promotesSecondaries: true});
	const other = instance({name: 'other', interface: 'eth1', vrid: 7, promoteSecondaries: true});
	await balancer.configure([instance({promoteSecondaries: true}), other]);
	t.deepEqual(await promotes(), [true, true]);
	await balancer.configure([instance()]);
	t.deepEqual(await promotes(), [false, true], 'it was on before');
	await balancer.configure([instance({promoteSecondaries: true})]);
	await balancer.router.stop();
	t.deepEqual(await promotes(), [false, true]);
});

const statics = {
	addresses: [virtualAddress('10.7.0.1', 'eth0')],
	routes: [route('10.1.0.0', {trackGroup: 'G'})],
	rules: [rule(5)],
};

test('static blocks hold from the start to the end, without any instance', async t => {
	const {balancer, netlink} = alone();
	await balancer.configure([], [], {statics});
	t.true(balancer.owns('10.7.0.1'));
	t.deepEqual(netlink.forwarding(), [ROUTE, RULE]);
	await balancer.router.stop();
	t.false(balancer.owns('10.7.0.1'));
	t.deepEqual(netlink.forwarding(), []);
});

test('static blocks are put back when somebody takes from them', async t => {
	const {balancer, netlink} = alone();
	await balancer.configure([], [], {statics});
	netlink.takeRoute('10.1.0.0/16');
	netlink.take('10.7.0.1');
	await kernelEvents();
	t.true(balancer.owns('10.7.0.1'));
	t.deepEqual(netlink.forwarding().sort(), [ROUTE, RULE].sort());
	t.deepEqual(balancer.router.status().deleted, {address: 1, route: 1, rule: 0});
});

test('what happens while the first configuration is put in force is not missed', async t => {
	const {balancer, netlink} = alone();
	const open = balancer.station.vrrp.bind(balancer.station);
	balancer.station.vrrp = options => {
		netlink.take('192.168.1.10');
		return open(options);
	};
	await balancer.configure([instance()]);
	t.deepEqual(balancer.roles(), ['fault']);
});

test('an instance may speak from a static address', async t => {
	const {clock, balancer, netlink} = alone();
	netlink.take('192.168.1.10');
	await balancer.configure([instance()], [], {
		statics: {...noStatics.statics, addresses: [virtualAddress('192.168.1.77', 'eth0')]},
	});
	clock.advance(seconds(4));
	t.deepEqual(balancer.roles(), ['master']);
});

test('track_group: an instance is in fault while a static route cannot be', async t => {
	const {clock, balancer, netlink} = alone();
	netlink.setLink({ifindex: 3, name: 'eth1'});
	const hops = [{device: 'eth1', gateway: '10.0.0.7', weight: 1, onlink: false, realms: null}];
	const trackGroups = [{place, name: 'G', instances: ['external']}];
	await balancer.configure([instance()], [], {
		statics: {...noStatics.statics, routes: [route('10.1.0.0', {hops, trackGroup: 'G'})]},
		trackGroups,
	});
	clock.advance(seconds(4));
	t.deepEqual(balancer.roles(), ['master']);
	netlink.setLink({ifindex: 3, name: 'eth1', running: false});
	netlink.takeRoute('10.1.0.0/16');
	await kernelEvents();
	t.deepEqual(balancer.roles(), ['fault']);
	t.true(balancer.log.lines.includes('warn (external) static route 10.1.0.0/16 is gone'));
	netlink.setLink({ifindex: 3, name: 'eth1', running: true});
	await kernelEvents();
	t.deepEqual(balancer.roles(), ['backup']);
	clock.advance(seconds(3) + milliseconds(700));
	t.deepEqual(balancer.roles(), ['master']);
});

test('a configuration that cannot be carried out leaves the static blocks as they were', async t => {
	const {balancer, netlink} = alone();
	await balancer.configure([], [], {statics});
	const other = {...statics, routes: [route('10.2.0.0')]};
	await t.throwsAsync(balancer.configure([instance({interface: 'eth9'})], [], {statics: other}), {code: 'ENODEV'});
	t.deepEqual(netlink.forwarding(), [ROUTE, RULE]);
	balancer.station.forbidden.add('eth0');
	await t.throwsAsync(balancer.configure([instance()], [], {statics: other}), {code: 'EPERM'});
	t.deepEqual(netlink.forwarding().sort(), [ROUTE, RULE].sort(), 'put back');
	const away = {device: 'eth8', gateway: null, weight: 1, onlink: false, realms: null};
	const error = await t.throwsAsync(
		balancer.configure([], [], {statics: {...statics, routes: [route('10.2.0.0', {hops: [away]})]}}),
	);
	t.regex(error?.message ?? '', /static blocks: interface eth8/);
});
