import test from 'ava';
import {type IpRoute, RTPROT_STATIC} from '../../src/net/netlink/ip-route.js';
import {NextHops} from '../../src/reach/next-hops.js';
import {FakeClock, milliseconds, seconds} from '../fake/clock.js';
import {FakeLog} from '../fake/log.js';
import {FakeNetlink} from '../fake/netlink.js';

const [ETH0, ETH1] = [2, 3];
const [MAC_A, MAC_B] = ['02:00:00:00:00:0a', '02:00:00:00:00:0b'];
const BACKEND = '10.0.0.71';

/** Two NICs; the backend is on the link of the second. */
function scene() {
	const clock = new FakeClock();
	const netlink = new FakeNetlink();
	const log = new FakeLog();
	const changes: number[] = [];
	netlink.setLink({ifindex: ETH0, name: 'eth0'});
	netlink.setLink({ifindex: ETH1, name: 'eth1'});
	netlink.setRoute(BACKEND, {ifindex: ETH1});
	const nextHops = new NextHops({netlink, clock, log, onChange: () => changes.push(clock.nowUs())});
	return {
		clock,
		netlink,
		log,
		nextHops,
		changes,
		/** Lets time pass, and everything that has been asked be answered. */
		pass: async (us: number) => {
			await settled();
			clock.advance(us);
			await settled();
		},
		/** Watches the backend, whose neighbour the kernel knows; forgets what happened on the way. */
		known: async () => {
			netlink.setNeighbour({ifindex: ETH1, address: BACKEND, mac: MAC_A});
			await settled();
			await nextHops.watch([BACKEND]);
			clock.advance(seconds(2));
			await settled();
			changes.length = 0;
			log.take();
		},
	};
}

const RTPROT_BGP = 186;

/** A route to some clients. */
function routeVia(gateway: string, device: number): IpRoute<number> {
	return {
		family: 4,
		type: 'unicast',
		destination: {address: '198.18.128.0', prefix: 17},
		from: null,
		table: 254,
		protocol: RTPROT_STATIC,
		scope: 0,
		tos: 0,
		priority: null,
		source: null,
		hops: [{device, gateway, weight: 1, onlink: false, realms: null}],
		metrics: {},
		locked: [],
		expiresS: null,
		preference: null,
		propagatesTtl: null,
		placement: 'add',
	};
}

/** After all promises that can be settled by now. */
function settled(): Promise<void> {
	return new Promise(resolve => setImmediate(resolve));
}

test('an address on the link of a NIC is its own gateway', async t => {
	const {nextHops, known} = scene();
	await known();
	t.deepEqual(nextHops.reach(BACKEND), {ifindex: ETH1, gateway: BACKEND, source: null, mac: MAC_A});
	t.deepEqual([...nextHops.interfaces()], [ETH1]);
});

test('the address that the kernel would send from is known', async t => {
	const {netlink, nextHops} = scene();
	netlink.setRoute(BACKEND, {ifindex: ETH1, source: '10.0.0.10'});
	await nextHops.watch([BACKEND]);
	t.is(nextHops.reach(BACKEND)?.source, '10.0.0.10');
});

test('gateways of routes that somebody has made are kept resolved, for the clients behind them', async t => {
	const {netlink, nextHops, changes, pass} = scene();
	await nextHops.watch([]);
	await netlink.addRoute(routeVia('192.168.3.254', ETH1));
	await pass(milliseconds(50));
	t.deepEqual(netlink.resolutions, [`192.168.3.254 at ${ETH1}`]);
	changes.length = 0;
	netlink.setNeighbour({ifindex: ETH1, address: '192.168.3.254', mac: MAC_A});
	await pass(0);
	t.is(changes.length, 1);
	netlink.setNeighbour({ifindex: ETH1, address: '192.168.3.254', mac: null});
	await pass(0);
	t.is(netlink.resolutions.length, 2);
	await netlink.deleteRoute(routeVia('192.168.3.254', ETH1));
	await pass(milliseconds(50));
	await pass(seconds(2));
	t.is(netlink.resolutions.length, 2);
});

test('those of a routing daemon are not: it talks with them itself', async t => {
	const {netlink, nextHops, pass} = scene();
	await nextHops.watch([]);
	await netlink.addRoute({...routeVia('192.168.3.254', ETH1), protocol: RTPROT_BGP});
	await pass(seconds(1));
	t.deepEqual(netlink.resolutions, []);
});

test('an unresolved gateway is asked for at once, then every second until it answers', async t => {
	const {clock, netlink, nextHops, changes, pass} = scene();
	await nextHops.watch([BACKEND]);
	t.deepEqual(nextHops.reach(BACKEND), {ifindex: ETH1, gateway: BACKEND, source: null, mac: null});
	t.deepEqual(netlink.resolutions, [`${BACKEND} at ${ETH1}`]);
	await pass(milliseconds(50));
	netlink.resolutions.length = 0;
	await pass(seconds(1));
	t.deepEqual(netlink.resolutions, [`${BACKEND} at ${ETH1}`]);
	await pass(seconds(1));
	t.is(netlink.resolutions.length, 2);
	changes.length = 0;
	netlink.setNeighbour({ifindex: ETH1, address: BACKEND, mac: MAC_A});
	await pass(0);
	t.is(changes.length, 1);
	t.is(nextHops.reach(BACKEND)?.mac, MAC_A);
	await pass(seconds(5));
	t.is(netlink.resolutions.length, 2);
	t.deepEqual(clock.timers(), []);
});

test('a gateway of many backends is asked for once', async t => {
	const {netlink, nextHops, pass} = scene();
	const backends = ['10.1.0.1', '10.1.0.2', '10.1.0.3'];
	for (const address of backends) netlink.setRoute(address, {ifindex: ETH1, gateway: '10.0.0.1'});
	await pass(milliseconds(50));
	await nextHops.watch(backends);
	t.deepEqual(netlink.resolutions, [`10.0.0.1 at ${ETH1}`]);
});

test('another MAC address is told at once, the same one is no news', async t => {
	const {netlink, nextHops, changes, pass, known} = scene();
	await known();
	netlink.setNeighbour({ifindex: ETH1, address: BACKEND, mac: MAC_A});
	await pass(0);
	t.deepEqual(changes, []);
	netlink.setNeighbour({ifindex: ETH1, address: BACKEND, mac: MAC_B});
	await pass(0);
	t.is(changes.length, 1);
	t.is(nextHops.reach(BACKEND)?.mac, MAC_B);
});

test('a neighbour that is lost is asked for again', async t => {
	const {netlink, nextHops, changes, pass, known} = scene();
	await known();
	netlink.setNeighbour({ifindex: ETH1, address: BACKEND, mac: null});
	await pass(0);
	t.is(changes.length, 1);
	t.is(nextHops.reach(BACKEND)?.mac, null);
	t.deepEqual(netlink.resolutions, [`${BACKEND} at ${ETH1}`]);
});

test('neighbours that nobody goes through are no news', async t => {
	const {netlink, changes, pass, known} = scene();
	await known();
	netlink.setNeighbour({ifindex: ETH1, address: '10.0.0.99', mac: MAC_B});
	netlink.setNeighbour({ifindex: ETH0, address: BACKEND, mac: MAC_B});
	await pass(seconds(1));
	t.deepEqual(changes, []);
});

test('a neighbour that moves is news, since clients may be behind it', async t => {
	const {clock, netlink, changes, pass, known} = scene();
	const client = {ifindex: ETH0, address: '192.168.1.254'};
	netlink.setNeighbour({...client, mac: MAC_A});
	await known();
	netlink.setNeighbour({...client, mac: null});
	netlink.setNeighbour({...client, mac: MAC_A});
	await pass(seconds(1));
	t.deepEqual(changes, [], 'it has come back where it was');
	const startUs = clock.nowUs();
	netlink.setNeighbour({...client, mac: null});
	netlink.setNeighbour({...client, mac: MAC_B});
	netlink.setNeighbour({...client, mac: MAC_A});
	netlink.setNeighbour({...client, mac: MAC_B});
	await pass(milliseconds(50));
	t.deepEqual(changes, [startUs + milliseconds(50)], 'once for all');
});

test('the gateways of the default routes are kept resolved, for the clients behind them', async t => {
	const {netlink, nextHops, changes, log, pass, known} = scene();
	netlink.setRoute('192.0.2.1', {ifindex: ETH0, gateway: '192.168.1.254'});
	netlink.setRoute('100::1', {ifindex: ETH0, gateway: 'fe80::1'});
	await known();
	t.true(netlink.resolutions.includes(`192.168.1.254 at ${ETH0}`));
	t.true(netlink.resolutions.includes(`fe80::1 at ${ETH0}`));
	t.deepEqual([...nextHops.interfaces()], [ETH1], 'no backend is behind it');
	for (const address of ['192.168.1.254', 'fe80::1']) netlink.setNeighbour({ifindex: ETH0, address, mac: MAC_A});
	await pass(seconds(2));
	changes.length = 0;
	netlink.resolutions.length = 0;
	netlink.setNeighbour({ifindex: ETH0, address: '192.168.1.254', mac: MAC_B});
	await pass(0);
	t.is(changes.length, 1);
	netlink.setNeighbour({ifindex: ETH0, address: 'fe80::1', mac: null});
	await pass(0);
	t.deepEqual(netlink.resolutions, [`fe80::1 at ${ETH0}`]);
	netlink.setRoute('100::1', null);
	await pass(seconds(1));
	t.deepEqual(
		log.take().filter(line => line.startsWith('warn')),
		[],
	);
});

test('an IPv6 backend behind a link-local gateway, which is another one on another NIC', async t => {
	const {netlink, nextHops, pass} = scene();
	const backend = '2001:db8:1::71';
	netlink.setRoute(backend, {ifindex: ETH1, gateway: 'fe80::1'});
	netlink.setNeighbour({ifindex: ETH0, address: 'fe80::1', mac: MAC_B});
	await pass(milliseconds(50));
	await nextHops.watch([backend]);
	t.deepEqual(nextHops.reach(backend), {ifindex: ETH1, gateway: 'fe80::1', source: null, mac: null});
	t.deepEqual(netlink.resolutions, [`fe80::1 at ${ETH1}`]);
	netlink.setNeighbour({ifindex: ETH1, address: 'fe80::1', mac: MAC_A});
	await pass(0);
	t.deepEqual(nextHops.reach(backend), {ifindex: ETH1, gateway: 'fe80::1', source: null, mac: MAC_A});
	t.deepEqual([...nextHops.interfaces()], [ETH1]);
});

test('routes that change in a burst are looked up once, 50 ms later', async t => {
	const {clock, netlink, nextHops, changes, pass, known} = scene();
	await known();
	const startUs = clock.nowUs();
	netlink.setNeighbour({ifindex: ETH0, address: '192.168.1.254', mac: MAC_B});
	netlink.setRoute(BACKEND, null);
	netlink.setRoute(BACKEND, {ifindex: ETH0, gateway: '192.168.1.254'});
	await pass(milliseconds(49));
	t.deepEqual(changes, []);
	t.is(nextHops.reach(BACKEND)?.ifindex, ETH1);
	await pass(milliseconds(1));
	t.deepEqual(changes, [startUs + milliseconds(50)]);
	t.deepEqual(nextHops.reach(BACKEND), {ifindex: ETH0, gateway: '192.168.1.254', source: null, mac: MAC_B});
	await pass(seconds(1));
	t.is(changes.length, 1);
});

test('after an overrun everything is read again', async t => {
	const {netlink, nextHops, changes, pass, known} = scene();
	await known();
	netlink.silently(() => netlink.setNeighbour({ifindex: ETH1, address: BACKEND, mac: MAC_B}));
	await pass(seconds(1));
	t.is(nextHops.reach(BACKEND)?.mac, MAC_A);
	netlink.overrun();
	await pass(milliseconds(50));
	t.is(nextHops.reach(BACKEND)?.mac, MAC_B);
	t.is(changes.length, 1);
});

test('an address without a route cannot be reached, which is said once; nor one that is ours', async t => {
	const {netlink, nextHops, log, pass} = scene();
	netlink.setRoute('10.0.0.1', {ifindex: 1, local: true});
	await pass(milliseconds(50));
	await nextHops.watch(['203.0.113.1', '10.0.0.1']);
	t.is(nextHops.reach('203.0.113.1'), null);
	t.is(nextHops.reach('10.0.0.1'), null);
	t.is(nextHops.interfaces().size, 0);
	netlink.overrun();
	await pass(milliseconds(50));
	t.deepEqual(log.take(), ['warn no route to backend']);
});

test('an answer to an older look is not believed', async t => {
	const {netlink, nextHops, changes, pass, known} = scene();
	await known();
	const release = netlink.holdNextRoute();
	netlink.overrun();
	await pass(milliseconds(50));
	netlink.setRoute(BACKEND, {ifindex: ETH0});
	await pass(milliseconds(50));
	t.is(nextHops.reach(BACKEND)?.ifindex, ETH0);
	t.is(changes.length, 1);
	release();
	await settled();
	t.is(nextHops.reach(BACKEND)?.ifindex, ETH0);
	t.is(changes.length, 1);
});

test('a look that the kernel refuses is repeated after a second', async t => {
	const {netlink, nextHops, log, pass, known} = scene();
	await known();
	netlink.refused.add('neighbours');
	netlink.setRoute(BACKEND, {ifindex: ETH0});
	await pass(milliseconds(50));
	t.deepEqual(log.take(), ['error routes to the backends could not be read']);
	netlink.refused.clear();
	await pass(seconds(1));
	t.is(nextHops.reach(BACKEND)?.ifindex, ETH0);
});

test('nothing happens after close, not even what was under way', async t => {
	const {clock, netlink, nextHops, changes, log, pass, known} = scene();
	await known();
	const release = netlink.holdNextRoute();
	netlink.overrun();
	await pass(milliseconds(50));
	netlink.setRoute(BACKEND, {ifindex: ETH0});
	await settled();
	nextHops.close();
	netlink.close();
	release();
	netlink.setNeighbour({ifindex: ETH1, address: BACKEND, mac: null});
	await pass(seconds(5));
	t.deepEqual(changes, []);
	t.deepEqual(clock.timers(), []);
	t.deepEqual(log.take(), []);
});
