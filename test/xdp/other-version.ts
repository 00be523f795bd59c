/** Another version of the program, of which nothing is known but its objects: on a NIC, with its own maps, as it would be found. */
import {execFileSync} from 'node:child_process';
import {cpSync, mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {brotliDecompressSync} from 'node:zlib';
import type {ExecutionContext} from 'ava';
import {BpfLink, BpfObject, type BpfProgram, MapType, type RawMap} from 'libbpf-ts';
import type {DataPlane} from '../../src/xdp/dataplane.js';
import {layoutsIn, mapSizes} from '../../src/xdp/load.js';
import {Pins} from '../../src/xdp/pins.js';
import {carryOver} from '../../src/xdp/upgrade.js';
import {scratch} from '../addon/fixture.js';
import {OBJECT_DIRECTORY} from '../packets/balancer.js';
import {SIZES} from './plane.js';

const OBJECTS = {4: 'lb.bpf.o', 6: 'lb6.bpf.o'} as const;

/** The directory of a version that is kept beside this file. */
export function kept(name: string): string {
	const directory = scratch(name);
	mkdirSync(directory, {recursive: true});
	for (const object of Object.values(OBJECTS)) {
		const file = fileURLToPath(new URL(`../../../test/xdp/${name}/${object}.br`, import.meta.url));
		writeFileSync(join(directory, object), brotliDecompressSync(readFileSync(file)));
	}
	return directory;
}

/** The directory of the present version with its sources changed: each edit must find what it replaces. */
export function edited(name: string, edits: readonly (readonly [file: string, from: string, to: string])[]): string {
	const directory = scratch(name);
	cpSync('bpf', directory, {recursive: true});
	for (const [file, from, to] of edits) {
		const path = join(directory, file);
		const source = readFileSync(path, 'utf8');
		if (!source.includes(from)) throw new Error(`${file} has no ${from}`);
		writeFileSync(path, source.replace(from, to));
	}
	const triplet = execFileSync('gcc', ['-print-multiarch'], {encoding: 'utf8'}).trim();
	const flags = ['-O2', '-g', '-target', 'bpf', '-mcpu=v3', '-std=gnu11', '-fno-strict-aliasing'];
	for (const [family, object] of Object.entries(OBJECTS)) {
		const target = [`-DFAMILY=${family}`, `-I/usr/include/${triplet}`, '-c', join(directory, 'lb.bpf.c')];
		execFileSync('clang', [...flags, ...target, '-o', join(directory, object)], {
			stdio: ['ignore', 'ignore', 'inherit'],
		});
	}
	return directory;
}

export interface OtherVersion {
	readonly maps: ReadonlyMap<string, RawMap>;
	/** The program on its NIC. */
	readonly program: BpfProgram;
	readonly linkId: number;
}

/** Loads a version, fills its maps as those of a plane of ours are, pins all under a name and puts it on a NIC. */
export async function runOther(
	t: ExecutionContext,
	directory: string,
	name: string,
	like: DataPlane,
	ifindex: number,
): Promise<OtherVersion> {
	const objects = {4: BpfObject.open(join(directory, OBJECTS[4])), 6: BpfObject.open(join(directory, OBJECTS[6]))};
	t.teardown(() => {
		for (const object of Object.values(objects)) object.close();
	});
	for (const [map, entries] of mapSizes(SIZES))
		for (const {maps} of [objects[4], objects[6]]) maps.get(map)?.setMaxEntries(entries);
	objects[4].load();
	for (const [map, own] of objects[6].maps) {
		const shared = objects[4].maps.get(map);
		if (shared !== undefined) own.reuse(shared);
	}
	objects[6].load();
	const {maps: defined} = layoutsIn(directory);
	// Not the constants of the program, which the kernel calls a map as well.
	const maps = new Map([...objects[6].maps, ...objects[4].maps].filter(([map]) => defined.has(map)));
	await fill(maps, directory, like);
	connect(maps, directory, objects);

	const pins = new Pins(name);
	pins.create();
	for (const program of ['lb', 'read_clock']) named(objects[4], program).pin(pins.program(program));
	pins.pinMaps([...maps.keys()], (map, path) => maps.get(map)?.pin(path));
	const link = BpfLink.attachXdp(named(objects[4], 'lb'), ifindex, 'native');
	link.pin(pins.link(ifindex, 'native'));
	const {id: linkId} = link.info();
	link.close();
	return {maps, program: named(objects[4], 'lb'), linkId};
}

function named({programs}: BpfObject, name: string): BpfProgram {
	const program = programs.get(name);
	if (program === undefined) throw new Error(`no program ${name}`);
	return program;
}

async function fill(maps: ReadonlyMap<string, RawMap>, directory: string, like: DataPlane): Promise<void> {
	const [theirs, ours] = [layoutsIn(directory), layoutsIn(OBJECT_DIRECTORY)];
	for (const [name, map] of maps) {
		const source = like.maps.all().get(name);
		// Of another type are persistence entries, of which there are none yet.
		if (source === undefined || source.type !== map.type || map.type === MapType.programArray) continue;
		if (map.type === MapType.devmap)
			for (const [slot, {ifindex}] of like.tables.nics) map.update(u32(slot), u32(ifindex));
		else await carryOver(name, {map: source, layouts: ours}, map, theirs);
	}
}

/** Programs continue as those that its own enum names: PROGRAM_NEW6 is `lb_new` of IPv6. */
function connect(
	maps: ReadonlyMap<string, RawMap>,
	directory: string,
	objects: Readonly<Record<4 | 6, BpfObject>>,
): void {
	for (const [member, slot] of layoutsIn(directory).values('program')) {
		const [, word = '', six] = /^PROGRAM_(\w+?)(6?)$/.exec(member) ?? [];
		if (word === '') continue;
		const program =
			word === 'IPV' ? named(objects[6], 'lb') : named(objects[six === '6' ? 6 : 4], `lb_${word.toLowerCase()}`);
		maps.get('programs')?.update(u32(Number(slot)), u32(program.fd));
	}
}

function u32(number: number): Uint8Array {
	return new Uint8Array(Uint32Array.of(number).buffer);
}
