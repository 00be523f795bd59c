/** Loading, adopting and refusing: what is pinned, what is kept, what is left behind. */
import {cpSync, existsSync, mkdirSync, readdirSync, writeFileSync} from 'node:fs';
import {isDeepStrictEqual} from 'node:util';
import type {ExecutionContext} from 'ava';
import {BpfProgram, unpin} from 'libbpf-ts';
import {ExitCode, KernelError} from '../../src/errors.js';
import {type DataPlane, unload} from '../../src/xdp/dataplane.js';
import {Limits} from '../../src/xdp/layout.gen.js';
import {readClock} from '../../src/xdp/load.js';
import {MAP_NAMES} from '../../src/xdp/maps.js';
import {PROGRAMS} from '../../src/xdp/pinned.js';
import {Pins} from '../../src/xdp/pins.js';
import {readTables} from '../../src/xdp/read.js';
import {emptyTables} from '../../src/xdp/tables.js';
import {beside, compile, scratch} from '../addon/fixture.js';
import {FakeLog} from '../fake/log.js';
import {OBJECT_DIRECTORY, packetTest, XDP} from '../packets/balancer.js';
import {tcpFrame} from '../packets/frame.js';
import {randomServices} from '../plan/random-job.js';
import {Seeded} from '../seeded.js';
import {backend, service} from '../services.js';
import {descriptors, freshName, LOOPBACK_MAC, open, SIZES, send, serve} from './plane.js';

const JOB = [service('192.168.1.1', [backend('10.0.0.71'), backend('10.0.0.72')])];

function mapIds(plane: DataPlane): number[] {
	return [...plane.maps.all().values()].map(({id}) => id);
}

/** The SYN of a client to the only service of JOB. */
function syn(client: string): Uint8Array {
	return tcpFrame({toMac: LOOPBACK_MAC, fromMac: '02:00:00:00:00:99', from: client, to: '192.168.1.1:80', flags: 'S'});
}

/** Opening is refused with such a message, and leaves neither descriptors nor, unless they were there before, pins. */
async function refused(t: ExecutionContext, name: string, message: RegExp, objectDirectory?: string): Promise<void> {
	const before = descriptors();
	const error = await t.throwsAsync(open(t, objectDirectory === undefined ? {name} : {name, objectDirectory}), {
		instanceOf: KernelError,
		message,
	});
	t.is((error as KernelError).exitCode, ExitCode.kernel);
	t.is(descriptors(), before);
}

packetTest('a fresh data plane: sizes, settings, pins', async t => {
	const name = freshName(t);
	const plane = await open(t, {name});
	t.false(plane.adopted);
	t.is(plane.maps.slots(4), SIZES.flows);
	t.is(plane.maps.persistenceEntries, SIZES.persistenceEntries);
	t.is(plane.maps.persistence[6].size, 2 * plane.maps.persistence[4].size);
	for (const {raw} of Object.values(plane.maps.fragments)) t.is(raw.maxEntries, SIZES.fragments);
	t.true([100, 250, 300, 1000].includes(plane.settings.hz));
	t.deepEqual(plane.maps.settings.get(0), plane.settings);
	t.like(plane.settings, {
		layoutVersion: Limits.LIMIT_LAYOUT_VERSION,
		flowBucketMask: plane.maps.buckets(4) - 1,
		flow6BucketMask: plane.maps.buckets(6) - 1,
		persistenceBucketMask: plane.maps.persistenceBuckets - 1,
		services: plane.capacity.services,
		backends: plane.capacity.backends,
	});
	t.deepEqual(plane.tables, emptyTables());
	const {directory} = new Pins(name);
	t.deepEqual(readdirSync(directory).sort(), ['links', 'maps', 'programs']);
	t.deepEqual(readdirSync(`${directory}/maps`).sort(), [...MAP_NAMES].sort());
	t.deepEqual(readdirSync(`${directory}/programs`).sort(), [...PROGRAMS.map(({pin}) => pin), 'seal'].sort());
});

packetTest('the measured rate of jiffies is the one at which they pass', async t => {
	const name = freshName(t);
	const plane = await open(t, {name});
	const reader = BpfProgram.openPinned(new Pins(name).program('read_clock'));
	t.teardown(() => reader.close());
	const begin = readClock(reader);
	await new Promise(resolve => setImmediate(resolve));
	let end = readClock(reader);
	// So long that a jiffy more or less is far below what is asserted.
	while (end.ns - begin.ns < 500_000_000n) end = readClock(reader);
	const rate = (Number(end.jiffies - begin.jiffies) * 1e9) / Number(end.ns - begin.ns);
	t.true(Math.abs(rate / plane.settings.hz - 1) < 0.05, `${rate} a second, settings say ${plane.settings.hz}`);
	t.true(plane.jiffies() >= end.jiffies);
});

packetTest('flow tables have a power of two of buckets', async t => {
	const plane = await open(t, {sizes: {...SIZES, flows: 5000}});
	t.is(plane.maps.slots(4), 8192);
});

packetTest('a name with dots can be pinned, although bpffs has no dots', async t => {
	const name = `${freshName(t)}.b-1`;
	const plane = await open(t, {name});
	plane.discard();
	t.false(new Pins(name).exist());
});

packetTest('a second run adopts tables, flows, tickets and counters', async t => {
	const name = freshName(t);
	const first = await open(t, {name});
	serve(first, JOB);
	const forward = send(t, name);
	for (const client of ['172.16.0.1:1024', '172.16.0.2:1024', '172.16.0.3:1024']) {
		t.is(forward(syn(client)).retval, XDP.tx);
	}
	const [tables, ids, {routeGeneration}] = [first.tables, mapIds(first), first.settings];
	first.close();

	const second = await open(t, {name});
	t.true(second.adopted);
	t.deepEqual(mapIds(second), ids);
	t.true(isDeepStrictEqual(second.tables, tables));
	t.is(second.countFlows().byBackend.get(1), 2);
	t.is(second.countFlows().byBackend.get(2), 1);
	t.is(second.maps.ticket(1), 3n);
	t.not(second.settings.routeGeneration, routeGeneration, 'routes may have changed meanwhile');
	const forwardAgain = send(t, name);
	t.is(forwardAgain(syn('172.16.0.4:1024')).retval, XDP.tx);
	t.is(second.maps.ticket(1), 4n);
});

packetTest('adopted maps keep their sizes, and that is said', async t => {
	const name = freshName(t);
	(await open(t, {name})).close();
	const log = new FakeLog();
	const plane = await open(t, {name, log, sizes: {...SIZES, flows: 65_536}});
	t.is(plane.maps.slots(4), SIZES.flows);
	t.deepEqual(log.take(), ['warn the maps of the earlier run keep their sizes until they are unloaded']);
});

packetTest('discard takes back a fresh start, and nothing of an adopted one', async t => {
	const name = freshName(t);
	const pins = new Pins(name);
	const before = descriptors();
	(await open(t, {name})).discard();
	t.false(existsSync(pins.directory));
	t.is(descriptors(), before);

	(await open(t, {name})).close();
	(await open(t, {name})).discard();
	t.true(pins.exist());
});

packetTest('unload removes everything, and says when there is nothing', async t => {
	const name = freshName(t);
	(await open(t, {name})).close();
	unload(name);
	t.false(existsSync(new Pins(name).directory));
	t.throws(() => unload(name), {instanceOf: KernelError, message: /nothing of "test-.*" is loaded/});
});

packetTest('an object that is missing, or no object, or refused by the verifier, leaves nothing', async t => {
	const name = freshName(t);
	await refused(t, name, /object open: \/nonexistent\/lb\.bpf\.o: ENOENT/, '/nonexistent');
	const objectDirectory = scratch('objects');
	mkdirSync(objectDirectory);
	writeFileSync(`${objectDirectory}/lb.bpf.o`, 'no object');
	await refused(t, name, /ENOENT|LIBBPF/, objectDirectory);
	cpSync(compile('refused', beside('../xdp/refused.bpf.c')), `${objectDirectory}/lb.bpf.o`);
	cpSync(`${OBJECT_DIRECTORY}/lb6.bpf.o`, `${objectDirectory}/lb6.bpf.o`);
	const message = /program unbounded: .*outside of the packet/;
	await t.throwsAsync(open(t, {name, objectDirectory}), {instanceOf: KernelError, message});
	t.false(existsSync(new Pins(name).directory));
});

packetTest('a start that was killed while it pinned is no start', async t => {
	const name = freshName(t);
	const pins = new Pins(name);
	const first = await open(t, {name});
	first.discard();
	pins.create();
	t.throws(
		() =>
			pins.pinMaps(MAP_NAMES, () => {
				throw new Error('killed');
			}),
		{message: 'killed'},
	);
	t.false(pins.exist());
	t.false((await open(t, {name})).adopted);
});

packetTest('maps without which connections would be lost are refused with a way out, and stay as they are', async t => {
	const name = freshName(t);
	const pins = new Pins(name);
	const first = await open(t, {name});
	serve(first, JOB);
	unpin(pins.map('flows'));
	const [link, program] = [readdirSync(`${pins.directory}/links`), pinnedProgram(pins)];
	await refused(
		t,
		name,
		/flows: all connections \(it is not pinned\): .*--accept-loss, or lbctl --name test-.* unload/,
	);
	first.maps.all().get('backends')?.pin(pins.map('flows'));
	await refused(t, name, /flows: all connections \(its layout is another\)/);
	t.deepEqual([readdirSync(`${pins.directory}/links`), pinnedProgram(pins)], [link, program]);

	const accepted = await open(t, {name, acceptLoss: true});
	t.true(accepted.adopted);
	t.not(accepted.maps.all().get('flows')?.id, first.maps.all().get('flows')?.id);
	t.is(accepted.maps.all().get('tickets')?.id, first.maps.all().get('tickets')?.id);
});

packetTest('maps that the configuration fills are made anew where they are missing', async t => {
	const name = freshName(t);
	const pins = new Pins(name);
	const first = await open(t, {name});
	serve(first, JOB);
	for (const map of ['turns', 'endpoints', 'services_by_key', 'nic_ports']) unpin(pins.map(map));
	const second = await open(t, {name});
	t.true(second.adopted);
	t.deepEqual(readdirSync(`${pins.directory}/maps`).sort(), [...MAP_NAMES].sort());
	serve(second, JOB);
	t.true(isDeepStrictEqual(await readTables(second.maps), second.tables));
	t.deepEqual([...second.tables.backends], [...first.tables.backends]);
	second.connect();
	t.is(send(t, name)(syn('172.16.0.1:1024')).retval, XDP.tx);
});

packetTest('what is applied is what the maps hold', async t => {
	const plane = await open(t);
	const seeded = new Seeded(4711);
	for (let round = 0; round < 40; round++) {
		serve(plane, randomServices(seeded));
		t.true(isDeepStrictEqual(await readTables(plane.maps), plane.tables));
	}
});

packetTest('timeouts and the route generation can be changed while flows go on', async t => {
	const plane = await open(t);
	const before = plane.settings;
	plane.setTimeouts({tcp: 10, tcpFin: 120, udp: 300});
	t.notDeepEqual(plane.settings.timeouts, before.timeouts);
	for (let turn = 0; turn < 256; turn++) plane.bumpRouteGeneration();
	t.is(plane.settings.routeGeneration, before.routeGeneration);
	t.deepEqual(plane.maps.settings.get(0), plane.settings);
});

function pinnedProgram(pins: Pins): number {
	const program = BpfProgram.openPinned(pins.program('lb'));
	program.close();
	return program.id;
}
