/** A restart goes on with the programs that are pinned, if nothing about them is in doubt; else it loads its own. */
import {appendFileSync, cpSync, mkdirSync} from 'node:fs';
import {join} from 'node:path';
import type {ExecutionContext} from 'ava';
import {BpfLink, BpfObject, BpfProgram, RawMap, unpin} from 'libbpf-ts';
import type {DataPlane} from '../../src/xdp/dataplane.js';
import {Objects} from '../../src/xdp/load.js';
import {PROGRAMS, pinObjects, reopen} from '../../src/xdp/pinned.js';
import {Pins} from '../../src/xdp/pins.js';
import {scratch} from '../addon/fixture.js';
import {OBJECT_DIRECTORY, packetTest, XDP} from '../packets/balancer.js';
import {tcpFrame} from '../packets/frame.js';
import {backend, service} from '../services.js';
import {OBJECTS} from './other-version.js';
import {freshName, LOOPBACK_MAC, open, SIZES, send, serve, veth} from './plane.js';

const JOB = [service('192.168.1.1', [backend('10.0.0.71'), backend('10.0.0.72')])];

/** A connection's first packet: it takes `lb` and what that continues as. */
function isServed(t: ExecutionContext, name: string): boolean {
	const from = {toMac: LOOPBACK_MAC, fromMac: '02:00:00:00:00:99', from: '172.16.0.1:1024', to: '192.168.1.1:80'};
	return send(t, name)(tcpFrame({...from, flags: 'S'})).retval === XDP.tx;
}

/** The kernel's numbers of what is pinned. */
function numbers(pins: Pins): number[] {
	const parts = [
		...PROGRAMS.map(({pin}) => BpfProgram.openPinned(pins.program(pin))),
		...pins.mapNames().map(name => RawMap.openPinned(pins.map(name))),
	];
	for (const part of parts) part.close();
	return parts.map(({id}) => id);
}

packetTest('a restart of the same version goes on with its programs: links and pins stay as they are', async t => {
	const [name, nic] = [freshName(t), veth(t)];
	const pins = new Pins(name);
	const first = await open(t, {name});
	t.true(first.loaded);
	serve(first, JOB);
	first.attach(nic.ifindex, nic.name);
	const before = [numbers(pins), linkOf(pins)];
	first.close();

	const second = await open(t, {name});
	t.true(second.adopted);
	t.false(second.loaded);
	second.attach(nic.ifindex, nic.name);
	t.deepEqual([numbers(pins), linkOf(pins)], before);
	t.true(isServed(t, name));
	t.is(second.countFlows().byBackend.get(1), 1);
	t.deepEqual([...second.restore(new Set())], [], 'nothing is missing');
});

function linkOf(pins: Pins): unknown {
	const [link] = pins.links().map(({path}) => BpfLink.openPinned(path));
	const info = link?.info();
	link?.close();
	return info;
}

packetTest('every program of the objects is pinned; one clock reader does for both', t => {
	for (const family of [4, 6] as const) {
		const object = BpfObject.open(join(OBJECT_DIRECTORY, OBJECTS[family]));
		const names = [...object.programs.keys()].filter(name => family === 4 || name !== 'read_clock');
		const pinned = PROGRAMS.filter(program => program.family === family).map(({name}) => name);
		t.deepEqual(pinned.sort(), names.sort());
		object.close();
	}
});

/** The same object with a byte behind its end. */
function otherFiles(): string {
	const directory = scratch('other-files');
	mkdirSync(directory, {recursive: true});
	for (const object of Object.values(OBJECTS)) cpSync(join(OBJECT_DIRECTORY, object), join(directory, object));
	appendFileSync(join(directory, OBJECTS[6]), '\n');
	return directory;
}

/** What somebody else may have done to what is pinned, with the maps of another data plane at hand. */
const doubts: Readonly<Record<string, (pins: Pins, other: DataPlane) => void>> = {
	'there is no seal': pins => pins.breakSeal(),
	'the seal is of others': pins => pins.seal('0'.repeat(64)),
	'a program is missing': pins => unpin(pins.program('lb_new6')),
	'a program is another': pins => {
		const stranger = BpfProgram.openPinned(pins.program('lb_new4'));
		pins.replaceProgram('lb_icmp4', path => stranger.pin(path));
		stranger.close();
	},
	'a program is a map': (pins, other) => {
		unpin(pins.program('lb_answer6'));
		other.maps.settings.raw.pin(pins.program('lb_answer6'));
	},
	'a map is missing': pins => unpin(pins.map('census')),
	'a map is another': (pins, other) => {
		unpin(pins.map('census'));
		other.maps.all().get('census')?.pin(pins.map('census'));
	},
};

packetTest('nothing goes on where anything is missing or another', async t => {
	const [pins, other] = [new Pins(freshName(t)), await open(t)];
	const objects = Objects.load(OBJECT_DIRECTORY, SIZES);
	t.teardown(() => objects.close());
	for (const [doubt, cast] of Object.entries(doubts)) {
		pinObjects(objects, pins, 'everything');
		t.true(goesOn(pins, OBJECT_DIRECTORY));
		t.false(goesOn(pins, otherFiles()));
		cast(pins, other);
		t.false(goesOn(pins, OBJECT_DIRECTORY), doubt);
		pins.remove();
	}
});

function goesOn(pins: Pins, directory: string): boolean {
	const objects = reopen(pins, directory);
	objects?.close();
	return objects !== null;
}

packetTest(
	'a start that does not go on with what is pinned loads its own and forwards, and the next one goes on',
	async t => {
		const name = freshName(t);
		const first = await open(t, {name});
		serve(first, JOB);
		first.close();
		const before = numbers(new Pins(name));
		for (const loaded of [true, false]) {
			const plane = await open(t, {name, objectDirectory: otherFiles()});
			t.like(plane, {adopted: true, loaded});
			t.true(isServed(t, name));
			plane.close();
		}
		const after = numbers(new Pins(name));
		t.false(PROGRAMS.some((_, index) => before.includes(after[index] ?? 0)));
	},
);

packetTest('who is killed while he pins leaves nothing to go on with', t => {
	const pins = new Pins(freshName(t));
	const [earlier, later] = [Objects.load(OBJECT_DIRECTORY, SIZES), Objects.load(OBJECT_DIRECTORY, SIZES)];
	t.teardown(() => earlier.close());
	t.teardown(() => later.close());
	pinObjects(earlier, pins, 'everything');
	const before = numbers(pins);
	let survived = 0;
	for (; dies(survived, () => pinObjects(later, pins, 'programs and maps')); survived++) {
		pins.recover();
		t.false(goesOn(pins, OBJECT_DIRECTORY), `after ${survived} pins`);
		pinObjects(earlier, pins, 'programs and maps');
		t.deepEqual(numbers(pins), before);
	}
	t.true(survived > PROGRAMS.length);
	const found = reopen(pins, OBJECT_DIRECTORY);
	t.is(found?.program('lb').id, later.program('lb').id);
	found?.close();
});

/** Whether an act dies that can pin so many programs and maps. */
function dies(pinned: number, act: () => void): boolean {
	const prototypes = [BpfProgram.prototype, RawMap.prototype];
	const pins = prototypes.map(({pin}) => pin);
	let count = 0;
	for (const [index, prototype] of prototypes.entries()) {
		prototype.pin = function (path) {
			if (count++ >= pinned) throw new Error('killed');
			pins[index]?.call(this as never, path);
		};
	}
	try {
		act();
		return false;
	} catch (error) {
		if ((error as Error).message !== 'killed') throw error;
		return true;
	} finally {
		for (const [index, prototype] of prototypes.entries()) Object.assign(prototype, {pin: pins[index]});
	}
}
