/** Another version takes over from one that forwards: an earlier one's objects, and sources of now with other layouts. */
import type {ExecutionContext} from 'ava';
import {BpfLink, type BpfProgram} from 'libbpf-ts';
import {KernelError} from '../../src/errors.js';
import type {DataPlane} from '../../src/xdp/dataplane.js';
import {layoutsIn, openPinned} from '../../src/xdp/load.js';
import {Pins} from '../../src/xdp/pins.js';
import {planUpgrade} from '../../src/xdp/upgrade.js';
import {FakeLog} from '../fake/log.js';
import {OBJECT_DIRECTORY, packetTest, XDP} from '../packets/balancer.js';
import {tcpFrame} from '../packets/frame.js';
import {backend, service} from '../services.js';
import {loadOther, type OtherVersion, SIZED} from './other-version.js';
import {freshName, LOOPBACK, LOOPBACK_MAC, open, serve, veth} from './plane.js';
import {edited, kept, NEWER} from './versions.js';

const CLIENTS = 9;
const JOB = [
	service('192.168.1.1', [backend('10.0.0.71'), backend('10.0.0.72'), backend('10.0.0.73')], {
		persistence: {timeoutS: 600, granularity: 32},
	}),
	service('192.168.1.2', [backend('10.0.0.74', {weight: 7})], {scheduler: 'mh'}),
];

/** Which backend a program sends a client's SYN to. */
function homeOf(program: BpfProgram, client: number, port = 1024): string {
	const frame = {
		toMac: LOOPBACK_MAC,
		fromMac: '02:00:00:00:00:99',
		from: `172.16.0.${client}:${port}`,
		to: '192.168.1.1:80',
	};
	const {retval, data} = program.testRun({data: tcpFrame({...frame, flags: 'S'}), ifindex: LOOPBACK});
	return retval === XDP.tx ? data.subarray(30, 34).join('.') : `action ${retval}`;
}

interface Scene extends OtherVersion {
	readonly name: string;
	readonly linkId: number;
	readonly nic: {readonly name: string; readonly ifindex: number};
	/** Of each client. */
	readonly homes: readonly string[];
}

/** Another version that forwards, with connections. */
async function scene(t: ExecutionContext, directory: string): Promise<Scene> {
	const name = freshName(t);
	const nic = veth(t);
	const model = await open(t);
	serve(model, JOB);
	const other = await loadOther(directory, model.maps.all());
	t.teardown(other.close);
	const pins = new Pins(name);
	other.pin(pins);
	const link = BpfLink.attachXdp(other.program, nic.ifindex, 'native');
	link.pin(pins.link(nic.ifindex, 'native'));
	const {id: linkId} = link.info();
	link.close();
	const homes = Array.from({length: CLIENTS}, (_, client) => homeOf(other.program, client));
	return {...other, name, linkId, nic, homes};
}

function linkOf({name, nic}: Scene): {readonly id: number; readonly programId: number} {
	const link = BpfLink.openPinned(new Pins(name).link(nic.ifindex, 'native'));
	const info = link.info();
	link.close();
	return info;
}

/** Connections, persistence, turns and the link have come along, and go on. */
async function goesOn(t: ExecutionContext, from: Scene, plane: DataPlane): Promise<void> {
	t.true(plane.adopted);
	t.is(linkOf(from).programId, from.program.id, 'nothing is in force before it is attached');
	plane.connect();
	plane.attach(from.nic.ifindex, from.nic.name);
	t.deepEqual(linkOf(from), {...linkOf(from), id: from.linkId, programId: plane.program.id}, 'replaced in its link');

	t.is(plane.countFlows().byState.size, 1);
	t.is(
		[...plane.countFlows().byBackend.values()].reduce((sum, count) => sum + count, 0),
		CLIENTS,
	);
	t.is(
		[...(await plane.countPersistence()).values()].reduce((sum, count) => sum + count, 0),
		CLIENTS,
	);
	for (const [client, home] of from.homes.entries()) {
		t.is(homeOf(plane.program, client), home, 'an open connection');
		t.is(homeOf(plane.program, client, 2048), home, 'a client that comes back');
	}
	const [first, second, third] = from.homes;
	t.deepEqual(
		[homeOf(plane.program, 100), homeOf(plane.program, 101), homeOf(plane.program, 102)],
		[first, second, third],
		'the turn',
	);
	serve(plane, JOB);
	t.deepEqual(
		from.homes.map((_, client) => homeOf(plane.program, client)),
		from.homes,
	);
}

for (const version of ['layout4', 'layout5']) {
	packetTest(`an earlier version as it was released, ${version}: all that it holds goes on`, async t => {
		const from = await scene(t, kept(version));
		t.deepEqual(new Set(from.homes), new Set(['10.0.0.71', '10.0.0.72', '10.0.0.73']));
		const now = layoutsIn(OBJECT_DIRECTORY);
		const pinned = openPinned(new Pins(from.name), now);
		const {losses} = await planUpgrade(pinned, now, new Set(SIZED));
		for (const {map} of pinned.values()) map.close();
		t.deepEqual(losses, []);
		const plane = await open(t, {name: from.name});
		await goesOn(t, from, plane);

		const late = Array.from({length: CLIENTS}, (_, n) => homeOf(from.program, 200 + n));
		await plane.finishUpgrade();
		t.deepEqual(
			late.map((_, n) => homeOf(plane.program, 200 + n, 2048)),
			late,
			'clients that came while the earlier version was still on the NICs',
		);
	});
}

packetTest(
	'a version with other layouts, downwards: what has a name is carried over, and what is unknown is not dropped silently',
	async t => {
		const from = await scene(t, edited('newer', NEWER));
		const novelties = from.maps.get('novelties');
		const log = new FakeLog();
		novelties?.update(new Uint8Array(4), new Uint8Array(4));
		await t.throwsAsync(open(t, {name: from.name}), {
			instanceOf: KernelError,
			message: /novelties: what it holds \(this version has no such map\).*--accept-loss/,
		});
		t.is(linkOf(from).programId, from.program.id);
		novelties?.delete(new Uint8Array(4));

		const plane = await open(t, {name: from.name, log});
		t.is(log.take().length, 2, 'backends and tickets are told of');
		t.is(plane.maps.all().get('flows')?.id, from.maps.get('flows')?.id);
		t.not(plane.maps.all().get('backends')?.id, from.maps.get('backends')?.id);
		await goesOn(t, from, plane);
	},
);

packetTest('a version killed while its pins take the place of others is a version or the other', async t => {
	const name = freshName(t);
	const pins = new Pins(name);
	const first = await open(t, {name});
	const pin = (map: string, path: string): void => first.maps.all().get(map)?.pin(path);
	const names = [...first.maps.all().keys()];
	for (let survives = 0; survives <= names.length; survives += 5) {
		let count = 0;
		const dying = (map: string, path: string): void => {
			if (count++ >= survives) throw new Error('killed');
			pin(map, path);
		};
		try {
			pins.replaceMaps(names, dying);
		} catch (error) {
			t.is((error as Error).message, 'killed');
		}
		pins.recover();
		t.true(pins.exist());
		t.is(pins.mapNames().length, names.length);
	}
	pins.replaceMaps(names, pin);
	t.deepEqual(pins.mapNames().sort(), names.sort());
	t.true((await open(t, {name})).adopted);
});
