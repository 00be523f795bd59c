import test from 'ava';
import {KernelError} from '../src/errors.js';
import {formatAddress} from '../src/net/address.js';
import {NextHops} from '../src/reach/next-hops.js';
import {Reconciler} from '../src/reconcile.js';

import {BackendState, type FlowState, VirtualFlag} from '../src/xdp/layout.gen.js';
import type {AttachMode} from '../src/xdp/pins.js';
import {applyOp, emptyTables, mapName, type Op, type Service, type Tables} from '../src/xdp/tables.js';

import {configOf, sound} from './conf/reading.js';
import {FakeClock, milliseconds, seconds} from './fake/clock.js';
import {FakeLog} from './fake/log.js';
import {FakeNetlink} from './fake/netlink.js';
import {CAPACITY} from './plan/random-job.js';

const [ETH0, ETH1] = [2, 3];
const MAC = '02:00:00:00:00:71';
const BACKEND = '10.0.0.71';
/** One virtual address on eth0, one backend, which is behind eth1. */
const CONFIG = configOf(sound());
const EMPTY = {...CONFIG, services: []};

/** Maps as tables, and NICs that may refuse the program. */
class FakeDataPlane {
	readonly tables = emptyTables();
	readonly capacity = {...CAPACITY, nics: 256};
	readonly settings = {hz: 250};
	readonly refusing = new Set<string>();
	/** NICs whose drivers have no native XDP. */
	readonly slow = new Set<string>();
	readonly modes = new Map<number, {readonly nic: string; readonly mode: AttachMode}>();
	readonly flows = new Map<number, number>();
	/** How often NICs that are gone were looked for. */
	looks = 0;
	broken = false;

	/** NICs that an earlier run's program is on, and what they found when this one took its place. */
	readonly inherited = new Set<number>();
	connected = false;
	readonly foundServices: number[] = [];

	connect(): void {
		this.connected = this.tables.services.size > 0;
	}

	isInherited(ifindex: number): boolean {
		return this.inherited.has(ifindex);
	}

	attach(ifindex: number, nic: string, wanted: AttachMode): AttachMode {
		if (this.inherited.delete(ifindex)) this.foundServices.push(this.connected ? this.tables.services.size : 0);
		if (this.refusing.has(nic)) throw new KernelError('attach program', nic, 'EBUSY');
		const known = this.modes.get(ifindex);
		const mode = known?.mode ?? (this.slow.has(nic) ? 'generic' : wanted);
		this.modes.set(ifindex, {nic, mode});
		return mode;
	}

	attached(): ReadonlyMap<number, AttachMode> {
		return new Map([...this.modes].map(([ifindex, {mode}]) => [ifindex, mode]));
	}

	leaveDrivers(): void {
		for (const [ifindex, {nic}] of this.modes) this.modes.set(ifindex, {nic, mode: 'generic'});
	}

	/** By name, sorted. */
	nics(): object[] {
		return [...this.modes.values()].toSorted((a, b) => a.nic.localeCompare(b.nic));
	}

	forgetGone(): ReadonlySet<number> {
		this.looks++;
		return new Set();
	}

	apply(ops: readonly Op[]): void {
		if (this.broken) throw new Error('the maps refuse');
		for (const op of ops) applyOp(this.tables, op);
	}

	/** What a stranger has made of the maps; null: they are as they were written. */
	found: Tables | null = null;
	restored = new Map<string, number>();

	async readBack(): Promise<Tables | null> {
		return this.found ?? this.tables;
	}

	/** Ops that were asked for, and those of them that a stranger has undone. */
	readonly seen: Op[] = [];
	readonly undone = new Set<string>();

	holds(op: Op): boolean {
		this.seen.push(op);
		return !this.undone.delete(mapName(op));
	}

	restore(): ReadonlyMap<string, number> {
		return this.restored;
	}

	pinsLost = 0;

	restorePins(): number {
		return this.pinsLost;
	}

	reattach(): number {
		return 0;
	}

	countFlows() {
		return {byBackend: this.flows, activeByBackend: this.flows, byState: new Map<FlowState, number>()};
	}

	states(): number[] {
		return [...this.tables.backends.values()].map(({state}) => state);
	}
}

async function scene() {
	const clock = new FakeClock();
	const netlink = new FakeNetlink();
	const log = new FakeLog();
	const dataPlane = new FakeDataPlane();
	const health = {up: true};
	netlink.setLink({ifindex: ETH0, name: 'eth0'});
	netlink.setLink({ifindex: ETH1, name: 'eth1'});
	netlink.setRoute(BACKEND, {ifindex: ETH1});
	netlink.setNeighbour({ifindex: ETH1, address: BACKEND, mac: MAC});
	await settled();
	const nextHops = new NextHops({netlink, clock, log, onChange: () => reconciler.request()});
	const reconciler = new Reconciler({
		dataPlane,
		nextHops,
		netlink,
		clock,
		log,
		isUp: () => health.up,
		willBeUp: () => true,
		weighed: services => services,
	});
	return {
		clock,
		netlink,
		log,
		dataPlane,
		health,
		nextHops,
		reconciler,
		/** Lets time pass, with all that follows at once. */
		pass: async (us: number) => {
			await settled();
			clock.advance(us);
			await settled();
			clock.advance(0);
			await settled();
		},
	};
}

/** After all promises that can be settled by now. */
function settled(): Promise<void> {
	return new Promise(resolve => setImmediate(resolve));
}

test('a configuration is in force when it resolves', async t => {
	const {dataPlane, reconciler} = await scene();
	await reconciler.configure(CONFIG);
	t.deepEqual(dataPlane.nics(), [
		{nic: 'eth0', mode: 'native'},
		{nic: 'eth1', mode: 'native'},
	]);
	t.deepEqual([...dataPlane.tables.nics.values()].map(({ifindex}) => ifindex).sort(), [ETH0, ETH1]);
	t.deepEqual(dataPlane.states(), [BackendState.BACKEND_UP]);
});

test('one NIC without native XDP keeps the program out of all drivers, which is said once', async t => {
	const {dataPlane, log, reconciler, pass} = await scene();
	dataPlane.slow.add('eth0');
	await reconciler.configure(CONFIG);
	const generic = [
		{nic: 'eth0', mode: 'generic'},
		{nic: 'eth1', mode: 'generic'},
	];
	t.deepEqual(dataPlane.nics(), generic);
	reconciler.request();
	await pass(0);
	t.deepEqual(dataPlane.nics(), generic);
	t.is(log.lines.filter(line => line.includes('generic mode')).length, 1);
});

test('a bond carries the program itself, not its members, and so in generic mode', async t => {
	const {dataPlane, netlink, log, reconciler} = await scene();
	netlink.setLink({ifindex: ETH0, name: 'eth0', kind: 'bond'});
	await reconciler.configure(CONFIG);
	t.deepEqual(dataPlane.nics(), [
		{nic: 'eth0', mode: 'generic'},
		{nic: 'eth1', mode: 'generic'},
	]);
	t.is(log.lines.filter(line => line.includes('generic mode')).length, 1);
});

for (const [what, link] of [
	['loopback', {mac: '00:00:00:00:00:00'}],
	['a dummy', {kind: 'dummy'}],
] as const)
	test(`an address on ${what} keeps the program out of no driver: no packet leaves there`, async t => {
		const {dataPlane, netlink, reconciler} = await scene();
		netlink.setLink({ifindex: ETH0, name: 'eth0', ...link});
		dataPlane.slow.add('eth0');
		await reconciler.configure(CONFIG);
		t.deepEqual(dataPlane.nics(), [
			{nic: 'eth0', mode: 'generic'},
			{nic: 'eth1', mode: 'native'},
		]);
	});

test('NICs that are named carry the program; one that is not there is told', async t => {
	const {dataPlane, netlink, reconciler} = await scene();
	const config = configOf(sound({top: 'lbd { nics uplink }'}));
	await t.throwsAsync(reconciler.configure(config), {message: /find interface: uplink: ENODEV/});
	netlink.setLink({ifindex: 7, name: 'uplink'});
	await reconciler.configure(config);
	t.deepEqual(dataPlane.nics(), [
		{nic: 'eth0', mode: 'native'},
		{nic: 'eth1', mode: 'native'},
		{nic: 'uplink', mode: 'native'},
	]);
});

test('an instance has a lease while its interface is there', async t => {
	const {dataPlane, netlink, reconciler, pass} = await scene();
	await reconciler.configure(CONFIG);
	t.deepEqual([...dataPlane.tables.leases.values()], [{ifindex: ETH0, family: 4, vrid: 51}]);
	t.deepEqual(
		[...dataPlane.tables.virtualAddresses.values()].map(({key}) => formatAddress(key.addr.subarray(0, 4))),
		['192.168.1.1'],
	);
	netlink.removeLink(ETH0);
	await pass(0);
	t.is(dataPlane.tables.leases.size + dataPlane.tables.virtualAddresses.size, 0);
	netlink.setLink({ifindex: 7, name: 'eth0'});
	await pass(0);
	t.deepEqual([...dataPlane.tables.leases.values()], [{ifindex: 7, family: 4, vrid: 51}]);
});

test('no_accept closes the addresses of its instance', async t => {
	const {dataPlane, reconciler} = await scene();
	const flags = () => [...dataPlane.tables.virtualAddresses.values()].map(({value}) => value.flags);
	await reconciler.configure(CONFIG);
	t.deepEqual(flags(), [0]);
	await reconciler.configure(configOf(sound({instance: 'no_accept'})));
	t.deepEqual(flags(), [VirtualFlag.VIRTUAL_CLOSED]);
	await reconciler.configure(CONFIG);
	t.deepEqual(flags(), [0]);
});

test('what does not fit into the maps is told to whoever asked, and logged once', async t => {
	const {dataPlane, log, reconciler, pass} = await scene();
	dataPlane.capacity.backends = 1;
	const problems = await reconciler.configure(CONFIG);
	t.regex(problems.join(), /no id is left for backend 10\.0\.0\.71:80/);
	reconciler.request();
	await pass(seconds(1));
	t.is(log.lines.filter(line => line === 'error a part of the configuration is not in force').length, problems.length);
});

test('a NIC that is missing or refuses makes the configuration fail', async t => {
	const {dataPlane, reconciler} = await scene();
	dataPlane.refusing.add('eth1');
	await t.throwsAsync(reconciler.configure(CONFIG), {instanceOf: KernelError, message: /attach program: eth1: EBUSY/});
	const elsewhere = {...CONFIG, instances: CONFIG.instances.map(instance => ({...instance, interface: 'eth7'}))};
	await t.throwsAsync(reconciler.configure(elsewhere), {message: /find interface: eth7: ENODEV \(.*eth0 eth1\)/});
});

test('a NIC that comes later and refuses does not keep the news about backends from the maps', async t => {
	const {netlink, log, dataPlane, health, reconciler, pass} = await scene();
	await reconciler.configure(CONFIG);
	dataPlane.refusing.add('eth2');
	netlink.setLink({ifindex: 4, name: 'eth2'});
	netlink.setRoute(BACKEND, {ifindex: 4});
	await pass(milliseconds(50));
	health.up = false;
	reconciler.request();
	await pass(0);
	t.deepEqual(dataPlane.states(), [BackendState.BACKEND_DOWN]);
	t.deepEqual(log.take(), [
		'debug maps changed',
		'error a NIC does not take the program',
		'debug maps changed',
		'debug maps changed',
	]);
});

test('a NIC that comes back with another index is attached again and takes over', async t => {
	const {netlink, dataPlane, reconciler, pass} = await scene();
	await reconciler.configure(CONFIG);
	dataPlane.modes.clear();
	netlink.removeLink(ETH0);
	await pass(0);
	t.deepEqual(
		[...dataPlane.tables.nics.values()].map(({ifindex}) => ifindex),
		[ETH1],
	);
	netlink.setLink({ifindex: 9, name: 'eth0'});
	await pass(0);
	t.is(dataPlane.modes.get(9)?.nic, 'eth0');
	t.deepEqual([...dataPlane.tables.nics.values()].map(({ifindex}) => ifindex).sort(), [ETH1, 9]);
});

test('a failed backend does not wait for the next look at removed ones', async t => {
	const {dataPlane, health, reconciler, pass} = await scene();
	await reconciler.configure(CONFIG);
	dataPlane.flows.set(1, 1);
	await reconciler.configure(EMPTY);
	t.deepEqual(dataPlane.states(), [BackendState.BACKEND_DOWN]);
	await reconciler.configure(CONFIG);
	t.deepEqual(dataPlane.states(), [BackendState.BACKEND_UP]);
	await pass(milliseconds(100));
	health.up = false;
	reconciler.request();
	await pass(0);
	t.deepEqual(dataPlane.states(), [BackendState.BACKEND_DOWN]);
});

test('removed backends are looked at every second until their flows have ended', async t => {
	const {clock, dataPlane, reconciler, pass} = await scene();
	await reconciler.configure(CONFIG);
	dataPlane.flows.set(1, 1);
	await reconciler.configure(EMPTY);
	await pass(seconds(3));
	t.is(dataPlane.states().length, 1);
	dataPlane.flows.clear();
	await pass(seconds(1));
	t.is(dataPlane.states().length, 0);
	t.deepEqual(clock.timers(), []);
});

test('maps that refuse a change are tried again after a second', async t => {
	const {log, dataPlane, health, reconciler, pass} = await scene();
	await reconciler.configure(CONFIG);
	await pass(milliseconds(50));
	log.take();
	dataPlane.broken = true;
	health.up = false;
	reconciler.request();
	await pass(0);
	t.deepEqual(log.take(), ['error the maps could not be brought up to date']);
	dataPlane.broken = false;
	await pass(seconds(1));
	t.deepEqual(dataPlane.states(), [BackendState.BACKEND_DOWN]);
});

test('a burst of link events is read once; a refused reading is repeated', async t => {
	const {netlink, log, dataPlane, reconciler, pass} = await scene();
	await reconciler.configure(CONFIG);
	await pass(seconds(1));
	log.take();
	const before = dataPlane.looks;
	for (let mtu = 1400; mtu < 1500; mtu++) netlink.setLink({ifindex: ETH0, name: 'eth0', mtu});
	await pass(0);
	t.is(dataPlane.looks, before + 1);
	t.is([...dataPlane.tables.nics.values()].find(({ifindex}) => ifindex === ETH0)?.mtu, 1499, 'and the last one holds');
	netlink.refused.add('links');
	netlink.setLink({ifindex: ETH1, name: 'eth1', mac: '02:00:00:00:00:ff'});
	await pass(0);
	t.true(log.take().includes('error the interfaces could not be read'));
	netlink.refused.clear();
	await pass(seconds(1));
	t.deepEqual(
		[...dataPlane.tables.nics.values()].find(({ifindex}) => ifindex === ETH1)?.mac,
		Uint8Array.of(2, 0, 0, 0, 0, 255),
	);
});

for (const [when, ask] of [
	['before', (reconciler: Reconciler) => reconciler.request()],
	['after', () => {}],
] as const)
	test(`nothing happens after close, whatever is asked for ${when} it`, async t => {
		const {clock, netlink, log, dataPlane, nextHops, reconciler, pass} = await scene();
		await reconciler.configure(CONFIG);
		await pass(seconds(1));
		log.take();
		const before = dataPlane.looks;
		ask(reconciler);
		netlink.setLink({ifindex: ETH0, name: 'eth0', running: false});
		await settled();
		reconciler.close();
		nextHops.close();
		netlink.close();
		reconciler.request();
		await pass(seconds(5));
		t.is(dataPlane.looks, before);
		t.deepEqual(clock.timers(), []);
		t.deepEqual(log.take(), []);
	});

test('what somebody else has changed in the maps is put back, whatever the plan would be by now', async t => {
	const {dataPlane, reconciler} = await scene();
	await reconciler.configure(CONFIG);
	t.deepEqual([...(await reconciler.repair())], []);
	const wanted = structuredClone(dataPlane.tables);
	dataPlane.found = structuredClone(dataPlane.tables);
	dataPlane.found.backends.clear();
	dataPlane.found.serviceKeys.clear();
	dataPlane.found.services.set(7, [...wanted.services.values()][0] as Service);
	dataPlane.found.turns.clear();
	dataPlane.restored.set('settings', 1);
	dataPlane.pinsLost = 2;
	t.deepEqual(Object.fromEntries(await reconciler.repair()), {
		settings: 1,
		pins: 2,
		backends: 1,
		services: 1,
		services_by_key: 1,
		turns: 1,
	});
	t.deepEqual(dataPlane.tables, wanted, 'ids stay, since flows name backends by them');
});

test('glances take in some entries at a time, all of them in turn, as they are by then', async t => {
	const {dataPlane, reconciler} = await scene();
	await reconciler.configure(CONFIG);
	const {tables} = dataPlane;
	const entries = () => dataPlane.seen.splice(0).length;
	t.deepEqual([...reconciler.glance()], []);
	const all = entries();
	t.true(all > 5 && all < 100, `${all} entries`);

	const [backend] = tables.backends.values();
	if (backend === undefined) return t.fail();
	for (let id = 1000; id < 1150; id++) tables.backends.set(id, backend);
	reconciler.glance();
	t.is(entries(), 100);
	tables.backends.delete(1149);
	tables.backends.set(2000, {...backend, weight: 7});
	dataPlane.undone.add('backends');
	t.deepEqual(Object.fromEntries(reconciler.glance()), {backends: 1});
	t.true(dataPlane.seen.some(op => op.map === 'backends' && op.value?.weight === 7));
	t.is(entries(), all + 150 - 100);
	reconciler.glance();
	t.is(dataPlane.seen[0]?.map, 'nics', 'and from the first again');
});

test('the program takes the place of an earlier one when the maps have what it needs, and elsewhere before they change', async t => {
	const {dataPlane, reconciler} = await scene();
	dataPlane.inherited.add(ETH0);
	dataPlane.refusing.add('eth1');
	await t.throwsAsync(reconciler.configure(CONFIG), {instanceOf: KernelError});
	t.deepEqual([dataPlane.foundServices, dataPlane.tables.services.size], [[], 0]);
	dataPlane.refusing.clear();
	await reconciler.configure(CONFIG);
	t.deepEqual(dataPlane.foundServices, [1]);
});

test('a NIC that refuses to change programs is told of by its error', async t => {
	const {dataPlane, reconciler} = await scene();
	dataPlane.inherited.add(ETH0);
	dataPlane.refusing.add('eth0');
	await t.throwsAsync(reconciler.configure(CONFIG), {instanceOf: KernelError, message: /eth0/});
});
