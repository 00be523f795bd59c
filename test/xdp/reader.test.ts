/** What lbctl sees in the pinned maps, without a daemon. */
import type {ExecutionContext} from 'ava';
import {BpfProgram} from 'libbpf-ts';
import {KernelError} from '../../src/errors.js';
import type {DataPlane} from '../../src/xdp/dataplane.js';
import {NoBackend} from '../../src/xdp/layout.gen.js';
import {readClock} from '../../src/xdp/load.js';
import {MAP_NAMES} from '../../src/xdp/maps.js';
import {putEntry} from '../../src/xdp/persistence.js';
import {Pins} from '../../src/xdp/pins.js';
import {openView} from '../../src/xdp/reader.js';
import type {MapView} from '../../src/xdp/view.js';
import {packetTest, XDP} from '../packets/balancer.js';
import {tcpFrame} from '../packets/frame.js';
import {backend, service} from '../services.js';
import {descriptors, freshName, LOOPBACK, LOOPBACK_MAC, open, send, serve} from './plane.js';

/** Ethernet, IPv4 and TCP headers. */
const FRAME_BYTES = 54;
const CLIENT_MAC = '02:00:00:00:00:99';
const SERVICES = [
	service('192.168.1.1', [backend('10.0.0.71'), backend('10.0.0.72', {weight: 0})]),
	service('192.168.1.2', [backend('10.0.0.73')], {persistence: {timeoutS: 300, granularity: 24}}),
];
const ALL_PORTS = service('192.168.1.3', [backend('10.0.0.74', {port: 0})], {port: 0});

interface Scene {
	readonly name: string;
	readonly plane: DataPlane;
	/** A packet of a client's; the XDP action. */
	request(from: string, to: string, flags: string): number;
	/** Opens the pins as lbctl would, until the end of the test. */
	view(): Promise<MapView>;
}

async function scene(t: ExecutionContext, services = SERVICES): Promise<Scene> {
	const name = freshName(t);
	const plane = await open(t, {name});
	serve(plane, services);
	const through = send(t, name);
	return {
		name,
		plane,
		request: (from, to, flags) => through(tcpFrame({toMac: LOOPBACK_MAC, fromMac: CLIENT_MAC, from, to, flags})).retval,
		view: async () => {
			const view = await openView(name, new Map([[LOOPBACK, 'lo']]));
			t.teardown(() => view.close());
			return view;
		},
	};
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
	const list: T[] = [];
	for await (const item of items) list.push(item);
	return list;
}

packetTest('services and backends, with what went to them', async t => {
	const {request, view} = await scene(t);
	t.is(request('172.16.0.1:1024', '192.168.1.1:80', 'S'), XDP.tx);
	t.is(request('172.16.0.1:1024', '192.168.1.1:80', 'A'), XDP.tx);
	const traffic = {connections: 1, packetsIn: 2, packetsOut: 0, bytesIn: 2 * FRAME_BYTES, bytesOut: 0};
	const nothing = {connections: 0, packetsIn: 0, packetsOut: 0, bytesIn: 0, bytesOut: 0};
	const seen = await view();
	t.deepEqual(seen.services(), [
		{service: '192.168.1.1:80', scheduler: 'rr', persistenceS: 0, nextTicket: 1, ...traffic},
		{service: '192.168.1.2:80', scheduler: 'rr', persistenceS: 300, nextTicket: 0, ...nothing},
	]);
	const way = {method: 'nat', nextHop: {mac: '02:00:00:00:00:71', nic: 'lo'}};
	const [web, standby, shop] = ['10.0.0.71:80', '10.0.0.72:80', '10.0.0.73:80'];
	t.deepEqual(seen.backends(), [
		{service: '192.168.1.1:80', backend: web, state: 'up', weight: 1, ...way, liveFlows: 1, ...traffic},
		{service: '192.168.1.1:80', backend: standby, state: 'drain', weight: 0, ...way, liveFlows: 0, ...nothing},
		{service: '192.168.1.2:80', backend: shop, state: 'up', weight: 1, ...way, liveFlows: 0, ...nothing},
	]);
});

packetTest('flows, and those that match', async t => {
	const {request, view} = await scene(t, [...SERVICES, ALL_PORTS]);
	request('172.16.0.1:1024', '192.168.1.1:80', 'S');
	request('172.16.0.2:1024', '192.168.1.2:80', 'S');
	for (const port of [80, 81]) request('172.16.0.3:1024', `192.168.1.3:${port}`, 'S');
	const seen = await view();
	const flows = await all(seen.flows({}));
	t.deepEqual(flows.map(({client, service: of, backend: at, state}) => [client, of, at, state]).sort(), [
		['172.16.0.1:1024', '192.168.1.1:80', '10.0.0.71:80', 'syn_recv'],
		['172.16.0.2:1024', '192.168.1.2:80', '10.0.0.73:80', 'syn_recv'],
		['172.16.0.3:1024', '192.168.1.3:80', '10.0.0.74:0', 'syn_recv'],
		['172.16.0.3:1024', '192.168.1.3:81', '10.0.0.74:0', 'syn_recv'],
	]);
	for (const {idleS, expiresInS} of flows) t.true(idleS >= 0 && idleS < 5 && expiresInS > 55 && expiresInS < 61);
	const matching = async (filter: Parameters<MapView['flows']>[0]): Promise<number> =>
		(await all(seen.flows(filter))).length;
	t.is(await matching({client: '172.16.0.1'}), 1);
	t.is(await matching({client: '172.16.0.1:1024'}), 1);
	t.is(await matching({client: '172.16.0.1:10'}), 0);
	t.is(await matching({service: '192.168.1.2:80'}), 1);
	t.is(await matching({backend: '10.0.0.72:80'}), 0);
	t.is(await matching({state: 'syn_recv'}), 4);
	t.is(await matching({service: '192.168.1.3:81'}), 1);
	t.is(await matching({service: '192.168.1.3:0'}), 2);
});

packetTest('persistence entries, until they expire', async t => {
	const {plane, request, view} = await scene(t);
	request('172.16.0.2:1024', '192.168.1.2:80', 'S');
	request('172.16.9.9:1024', '192.168.1.2:80', 'S');
	const entries = await all((await view()).persistence());
	t.deepEqual(entries.map(({client, service: of, backend: at}) => [client, of, at]).sort(), [
		['172.16.0.0/24', '192.168.1.2:80', '10.0.0.73:80'],
		['172.16.9.0/24', '192.168.1.2:80', '10.0.0.73:80'],
	]);
	for (const {expiresInS} of entries) t.true(expiresInS > 295 && expiresInS <= 302);

	const name = {family: 4, client: Uint8Array.of(172, 16, 9, 0), service: 2} as const;
	const over = Number(plane.jiffies() >> BigInt(plane.settings.coarseShift)) - 1;
	putEntry(plane.entryChangers, name, {backend: 3, lastTick: over});
	t.deepEqual(
		(await all((await view()).persistence())).map(({client}) => client),
		['172.16.0.0/24'],
	);
});

packetTest('a client is forgotten by its address or by the name of its network', async t => {
	const {request, view} = await scene(t);
	request('172.16.0.2:1024', '192.168.1.2:80', 'S');
	request('172.16.9.9:1024', '192.168.1.2:80', 'S');
	const maps = await view();
	t.is(maps.forgetClient('192.168.1.2:80', '172.16.0.77'), '172.16.0.0/24');
	t.is(maps.forgetClient('192.168.1.2:80', '172.16.0.0/24'), null);
	t.is(maps.forgetClient('192.168.1.2:80', '172.16.9.0/24'), '172.16.9.0/24');
	t.deepEqual(await all(maps.persistence()), []);
	t.throws(() => maps.forgetClient('192.168.1.9:80', '172.16.0.1'), {message: /192\.168\.1\.9:80.*192\.168\.1\.2:80/});
	for (const client of ['2001:db8::1', 'nobody', '172.16.0']) {
		t.throws(() => maps.forgetClient('192.168.1.2:80', client), {message: /no such client/});
	}
});

packetTest('lost packets by service and verdict', async t => {
	const {plane, request, view} = await scene(t);
	t.deepEqual((await view()).drops(), []);
	for (const [index, entry] of plane.tables.backends)
		plane.apply([{map: 'backends', index, value: {...entry, state: 3}}]);
	t.is(request('172.16.0.1:1024', '192.168.1.1:80', 'S'), XDP.redirect);
	t.is(request('172.16.0.1:1025', '192.168.1.1:80', 'S'), XDP.redirect);
	for (const [index, entry] of plane.tables.services)
		plane.apply([{map: 'services', index, value: {...entry, noBackend: NoBackend.NO_BACKEND_DROP}}]);
	t.is(request('172.16.0.1:1026', '192.168.1.1:80', 'S'), XDP.drop);
	t.deepEqual((await view()).drops(), [
		{service: '192.168.1.1:80', verdict: 'drop_no_backend', packets: 1},
		{service: '192.168.1.1:80', verdict: 'answer_unreachable', packets: 2},
	]);
});

packetTest('leases, and what has become of them', async t => {
	const {name, plane, view} = await scene(t);
	const reader = BpfProgram.openPinned(new Pins(name).program('read_clock'));
	const {ns} = readClock(reader);
	reader.close();
	const [early, late] = [ns - 5_000_000_000n, ns + 60_000_000_000n];
	const words = [
		{sentNs: 0n, sentUntilNs: 0n, heardNs: early, heardUntilNs: late},
		{sentNs: early, sentUntilNs: late, heardNs: 0n, heardUntilNs: 0n},
		{sentNs: early, sentUntilNs: early + 1n, heardNs: early, heardUntilNs: late},
		{sentNs: early, sentUntilNs: early + 1n, heardNs: early + 2n, heardUntilNs: late},
		{sentNs: early, sentUntilNs: early + 1n, heardNs: early + 2n, heardUntilNs: early + 3n},
	];
	words.forEach((lease, index) => {
		const router = {ifindex: 1, family: 4, vrid: 10 + index};
		plane.apply([{map: 'leases', index, value: router}]);
		plane.maps.leases.set(index, {router, ...lease});
	});
	const leases = (await view()).leases();
	t.deepEqual(
		leases.map(({vrid, state}) => [vrid, state]),
		[
			[10, 'none'],
			[11, 'held'],
			[12, 'lapsed'],
			[13, 'taken'],
			[14, 'lapsed'],
		],
	);
	t.like(leases[0], {interface: 'lo', family: 4, sentS: null});
	t.true((leases[0]?.heardS ?? 0) >= 5 && (leases[0]?.heardS ?? 0) < 10);
});

packetTest('every map, with its place, and its entries decoded', async t => {
	const {name, view} = await scene(t);
	const seen = await view();
	const maps = seen.maps();
	t.deepEqual(maps.map(({map}) => map).sort(), [...MAP_NAMES].sort());
	const services = maps.find(({map}) => map === 'services');
	t.like(services, {type: 'array', keyBytes: 4, valueBytes: 80, entries: 2, pin: new Pins(name).map('services')});
	t.deepEqual((await all(seen.dump('services_by_key'))).map(({value}) => value).sort(), [1, 2]);
	t.like((await all(seen.dump('backends')))[0], {
		key: 1,
		value: {addr: Uint8Array.of(10, 0, 0, 71, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), port: 80},
	});
	await t.throwsAsync(all(seen.dump('nonsense')), {instanceOf: KernelError, message: /maps are .*services/});
});

packetTest('what is not there, or of another version, is refused and leaves nothing open', async t => {
	const {name, plane} = await scene(t);
	await t.throwsAsync(openView(`${name}-none`, new Map()), {instanceOf: KernelError, message: /no daemon named/});
	plane.maps.settings.set(0, {...plane.settings, layoutVersion: 99});
	const before = descriptors();
	await t.throwsAsync(openView(name, new Map()), {instanceOf: KernelError, message: /layout 99.*another version/});
	t.is(descriptors(), before);
});
