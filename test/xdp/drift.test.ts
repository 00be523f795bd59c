/** What somebody else changes in maps, pins and links is put back, while packets go on. */
import {existsSync, readdirSync} from 'node:fs';
import {isDeepStrictEqual} from 'node:util';
import type {ExecutionContext} from 'ava';
import {BpfLink, BpfProgram, unpin} from 'libbpf-ts';
import type {Service} from '../../src/conf/model.js';
import {DriftWatch} from '../../src/drift.js';
import {formatMac} from '../../src/net/address.js';
import {NextHops} from '../../src/reach/next-hops.js';
import {Reconciler} from '../../src/reconcile.js';
import type {DataPlane} from '../../src/xdp/dataplane.js';
import {SettingFlag} from '../../src/xdp/layout.gen.js';
import {MAP_NAMES} from '../../src/xdp/maps.js';
import {Pins} from '../../src/xdp/pins.js';
import {readTables} from '../../src/xdp/read.js';
import {configOf, sound} from '../conf/reading.js';
import {FakeClock, seconds} from '../fake/clock.js';
import {FakeLog} from '../fake/log.js';
import {FakeNetlink} from '../fake/netlink.js';
import {packetTest, XDP} from '../packets/balancer.js';
import {tcpFrame} from '../packets/frame.js';
import {backend, service} from '../services.js';
import {freshName, open, veth} from './plane.js';

const BACKEND = '10.0.0.71';

interface Scene {
	readonly name: string;
	readonly plane: DataPlane;
	readonly reconciler: Reconciler;
	readonly nic: {readonly name: string; readonly ifindex: number};
	readonly clock: FakeClock;
	readonly log: FakeLog;
	/** What is repaired now, by map: of everything. */
	repaired(): Promise<Readonly<Record<string, number>>>;
	/** The same, of what one glance takes in: here, all that should be there. */
	glanced(): Readonly<Record<string, number>>;
}

/** A service of one backend in force, on a NIC of its own. */
async function scene(t: ExecutionContext): Promise<Scene> {
	const made = await sceneOf(t, {name: freshName(t), nic: veth(t)});
	await made.configure();
	return made;
}

/** The same before it is in force. */
async function sceneOf(
	t: ExecutionContext,
	{name, nic}: Pick<Scene, 'name' | 'nic'>,
): Promise<Scene & {configure(): Promise<unknown>}> {
	const [clock, log, netlink] = [new FakeClock(), new FakeLog(), new FakeNetlink()];
	const plane = await open(t, {name, log});
	netlink.setLink({ifindex: nic.ifindex, name: nic.name});
	netlink.setRoute(BACKEND, {ifindex: nic.ifindex});
	netlink.setNeighbour({ifindex: nic.ifindex, address: BACKEND, mac: '02:00:00:00:00:71'});
	const nextHops = new NextHops({netlink, clock, log, onChange: () => {}});
	const reconciler = new Reconciler({
		dataPlane: plane,
		nextHops,
		netlink,
		clock,
		log,
		isUp: () => true,
		willBeUp: () => true,
		weighed: services => services,
	});
	t.teardown(() => {
		reconciler.close();
		nextHops.close();
	});
	return {
		configure: () => reconciler.configure(configOf(sound().replace('interface eth0', `interface ${nic.name}`))),
		name,
		plane,
		reconciler,
		nic,
		clock,
		log,
		repaired: async () => Object.fromEntries(await reconciler.repair()),
		glanced: () => Object.fromEntries(reconciler.glance()),
	};
}

packetTest('maps that are as they were written need no repair', async t => {
	const {plane, repaired, glanced} = await scene(t);
	const before = structuredClone(plane.tables);
	t.deepEqual(await repaired(), {});
	t.deepEqual(glanced(), {});
	t.deepEqual(plane.tables, before);
});

/** Each changes one map, as bpftool would. */
const strangers: Readonly<Record<string, (plane: DataPlane) => void>> = {
	backends: ({maps}) => maps.backends.raw.update(index(1), new Uint8Array(maps.backends.raw.valueSize)),
	services: ({maps}) => {
		const entry = maps.services.get(1);
		if (entry !== undefined) maps.services.set(1, {...entry, turn: (5000n << 32n) | 3n});
	},
	services_by_key: ({tables, maps}) => {
		for (const {key} of tables.serviceKeys.values()) maps.servicesByKey[4].delete(key);
	},
	turns: ({maps}) => maps.turns.set(0, 77),
	endpoints: ({tables, maps}) => {
		const {raw} = maps.endpoints[4];
		for (const bucket of tables.endpoints[4].keys()) raw.update(index(bucket), new Uint8Array(raw.valueSize));
	},
	nic_ports: ({tables, maps}) => {
		for (const slot of tables.nics.keys()) maps.nicPorts.delete(slot);
	},
	settings: ({maps}) => maps.settings.raw.update(index(0), new Uint8Array(maps.settings.raw.valueSize)),
	programs: ({maps}) => {
		maps.programs.delete(1);
	},
	leases: ({tables, maps}) => {
		for (const at of tables.leases.keys()) maps.leases.raw.update(index(at), new Uint8Array(maps.leases.raw.valueSize));
	},
	virtual_addresses: ({tables, maps}) => {
		for (const {key} of tables.virtualAddresses.values()) maps.virtualAddresses.delete(key);
	},
};

for (const [map, change] of Object.entries(strangers)) {
	packetTest(`a change of ${map} is undone and counted`, async t => {
		const {plane, repaired, glanced} = await scene(t);
		const settings = plane.maps.settings.get(0);
		for (const look of [repaired, glanced]) {
			change(plane);
			t.deepEqual(await look(), {[map]: 1});
			t.true(isDeepStrictEqual(await readTables(plane.maps), plane.tables));
			t.deepEqual(plane.maps.settings.get(0), settings);
			t.deepEqual(await repaired(), {}, 'and that is all');
		}
	});
}

packetTest('a lease that packets do not find is written again', async t => {
	const {plane, repaired, glanced} = await scene(t);
	const {leaseOfRouter} = plane.maps;
	for (const look of [repaired, glanced]) {
		for (const router of plane.tables.leases.values()) leaseOfRouter.delete(router);
		t.deepEqual(await look(), {leases: 1});
		for (const [index, router] of plane.tables.leases) t.is(leaseOfRouter.get(router), index);
	}
});

packetTest('an entry that nobody has planned goes', async t => {
	const {plane, repaired} = await scene(t);
	const [entry] = plane.tables.backends.values();
	if (entry === undefined) return t.fail();
	plane.maps.backends.set(900, entry);
	plane.maps.turns.set(700, 900);
	t.deepEqual(await repaired(), {backends: 1, turns: 1});
	t.deepEqual(await repaired(), {});
});

/** As `bpftool link detach` does. */
function detach(name: string, {ifindex}: Scene['nic']): void {
	const link = BpfLink.openPinned(new Pins(name).link(ifindex, 'native'));
	link.detach();
	link.close();
}

/** A client's first packet to the service, by the client's port. */
function synTo({tables}: DataPlane): (port: number) => Uint8Array {
	const [local] = tables.nics.values();
	const toMac = formatMac(local?.mac ?? new Uint8Array(6));
	return port =>
		tcpFrame({toMac, fromMac: '02:00:00:00:00:99', from: `172.16.0.1:${port}`, to: '192.168.1.1:80', flags: 'S'});
}

/** The program that a data plane has pinned. */
function programOf(t: ExecutionContext, name: string): BpfProgram {
	const program = BpfProgram.openPinned(new Pins(name).program('lb'));
	t.teardown(() => program.close());
	return program;
}

packetTest('connections go on as soon as the entries that they need are back', async t => {
	const {name, plane, nic, repaired} = await scene(t);
	const program = programOf(t, name);
	const data = synTo(plane)(1);
	const action = () => program.testRun({data, ifindex: nic.ifindex}).retval;
	t.is(action(), XDP.tx);
	strangers.backends?.(plane);
	t.not(action(), XDP.tx);
	await repaired();
	t.is(action(), XDP.tx);
	t.is(plane.countFlows().byBackend.get(1), 1);
});

packetTest('sharing stays asked for, and the turns that lbd-sync moves are no drift', async t => {
	const {plane, repaired} = await scene(t);
	plane.setSharing(true);
	plane.sharing().setTicket(1, 5n);
	t.deepEqual(await repaired(), {});
	plane.maps.settings.set(0, {...plane.settings, flags: 0});
	t.deepEqual(await repaired(), {settings: 1});
	t.truthy((plane.maps.settings.get(0)?.flags ?? 0) & SettingFlag.SETTING_SHARING);
	t.is(plane.maps.ticket(1), 5n);
});

packetTest('pins that somebody has removed come back, one of them or all', async t => {
	const {name, plane, nic, repaired} = await scene(t);
	const pins = new Pins(name);
	unpin(pins.map('flows'));
	t.deepEqual(await repaired(), {pins: 1});
	unpin(pins.program('lb'));
	unpin(pins.link(nic.ifindex, 'native'));
	t.deepEqual(await repaired(), {pins: 2});
	const programs = readdirSync(`${pins.directory}/programs`);
	pins.remove();
	t.false(existsSync(pins.directory));
	t.deepEqual(await repaired(), {pins: MAP_NAMES.length + programs.length + 1});
	t.deepEqual(readdirSync(`${pins.directory}/programs`), programs);
	t.deepEqual(await repaired(), {});
	const ids = [...plane.maps.all().values()].map(({id}) => id);
	plane.close();
	const next = await open(t, {name});
	t.true(next.adopted, 'the next start finds what it needs');
	t.deepEqual(
		[...next.maps.all().values()].map(({id}) => id),
		ids,
	);
});

packetTest(
	'a start that finds the pin of a map gone: what forwards goes on with that map until the new one is filled',
	async t => {
		const {name, plane, nic, reconciler} = await scene(t);
		const forwarding = programOf(t, name);
		const syn = synTo(plane);
		reconciler.close();
		plane.close();
		unpin(new Pins(name).map('services_by_key'));
		const next = await sceneOf(t, {name, nic});
		t.is(forwarding.testRun({data: syn(1), ifindex: nic.ifindex}).retval, XDP.tx, 'while the next run starts');
		await next.configure();
		t.deepEqual(next.glanced(), {});
		t.is(forwarding.testRun({data: syn(2), ifindex: nic.ifindex}).retval, XDP.tx, 'by parts of the next run');
		t.is(programOf(t, name).testRun({data: syn(3), ifindex: nic.ifindex}).retval, XDP.tx);
		t.is(next.plane.countFlows().byBackend.get(1), 3);
	},
);

packetTest('a link that somebody has detached is made anew, and its NIC keeps its slot', async t => {
	const {name, plane, nic, reconciler, repaired} = await scene(t);
	const slots = structuredClone(plane.tables.nics);
	detach(name, nic);
	t.is(reconciler.reattach(), 1);
	const again = BpfLink.openPinned(new Pins(name).link(nic.ifindex, 'native'));
	t.teardown(() => again.close());
	t.is(again.info().ifindex, nic.ifindex);
	t.deepEqual(plane.tables.nics, slots);
	t.is(reconciler.reattach(), 0);
	t.deepEqual(await repaired(), {});
});

packetTest('a NIC that does not take the program back is asked again until it does, and named once', async t => {
	const {name, plane, nic, reconciler, log} = await scene(t);
	detach(name, nic);
	const stranger = BpfLink.attachXdp(programOf(t, name), nic.ifindex, 'native');
	t.teardown(() => stranger.close());
	log.take();
	t.deepEqual([reconciler.reattach(), reconciler.reattach(), reconciler.reattach()], [0, 0, 0]);
	t.deepEqual(log.take(), ['warn the program was taken off a NIC and could not be put back yet']);
	stranger.close();
	t.deepEqual([reconciler.reattach(), reconciler.reattach()], [1, 0]);
	t.deepEqual([...plane.attached().keys()], [nic.ifindex]);
});

packetTest('a detached link that a look finds first is drift as well', async t => {
	const {name, plane, nic, reconciler, clock} = await scene(t);
	detach(name, nic);
	reconciler.request();
	clock.advance(seconds(1));
	t.deepEqual([...plane.attached().keys()], [nic.ifindex]);
	t.deepEqual([reconciler.reattach(), reconciler.reattach()], [1, 0]);
});

packetTest('the watch looks from time to time, logs what it finds and counts it', async t => {
	const {plane, reconciler} = await scene(t);
	const [clock, log] = [new FakeClock(), new FakeLog()];
	const looks: Promise<unknown>[] = [];
	const repair = () => {
		const look = reconciler.repair();
		looks.push(look);
		return look;
	};
	const watch = new DriftWatch({reconciler: {repair, glance: () => new Map(), reattach: () => 0}, clock, log});
	for (const map of ['backends', 'settings', 'backends']) {
		strangers[map]?.(plane);
		clock.advance(seconds(10));
		await looks.at(-1);
		await new Promise(resolve => setImmediate(resolve));
	}
	watch.stop();
	clock.advance(seconds(100));
	t.is(looks.length, 3);
	t.deepEqual(watch.counts(), {backends: 2, settings: 1});
	t.is(log.take().filter(line => line === 'warn somebody else has changed what is ours: repaired').length, 3);
});

packetTest(
	'the watch sees a detached link, and one of few entries that is changed, a tenth of a second later',
	async t => {
		const {name, nic, plane, reconciler} = await scene(t);
		const [clock, log] = [new FakeClock(), new FakeLog()];
		const watch = new DriftWatch({reconciler, clock, log});
		for (const found of [1, 2]) {
			detach(name, nic);
			clock.advance(seconds(0.1));
			t.deepEqual(watch.counts(), {links: found});
		}
		strangers.backends?.(plane);
		clock.advance(seconds(0.1));
		t.deepEqual(watch.counts(), {links: 2, backends: 1});
		watch.stop();
		t.deepEqual(clock.timers(), []);
		t.deepEqual(log.take(), Array(3).fill('warn somebody else has changed what is ours: repaired'));
	},
);

packetTest('the watch leaves maps alone for a while that could not be read', async t => {
	const [clock, log] = [new FakeClock(), new FakeLog()];
	let glances = 0;
	const glance = () => {
		glances++;
		throw new Error('no such map');
	};
	const watch = new DriftWatch({
		reconciler: {repair: async () => new Map(), glance, reattach: () => 0},
		clock,
		log,
	});
	clock.advance(seconds(10));
	t.is(glances, 1);
	clock.advance(seconds(1));
	t.is(glances, 2);
	watch.stop();
	t.deepEqual(log.take(), Array(2).fill('error the maps could not be compared with what they should hold'));
});

packetTest('a comparison of 1,000 services of 10 backends each', async t => {
	const {plane, reconciler} = await scene(t);
	const services: Service[] = Array.from({length: 1000}, (_, s) =>
		service(
			`192.168.${s >> 8}.${s & 255}`,
			Array.from({length: 10}, (__, b) => backend(`10.2.${s >> 3}.${(s & 7) * 16 + b}`)),
		),
	);
	await reconciler.configure({...configOf(sound()), instances: [], services});
	t.is(plane.tables.backends.size, 10_000 + 1);
	t.deepEqual(Object.fromEntries(await reconciler.repair()), {});
	// These come by each of them.
	for (let glances = 0; glances < 400; glances++) t.is(reconciler.glance().size, 0);
});

function index(number: number): Uint8Array {
	return new Uint8Array(Uint32Array.of(number).buffer);
}
