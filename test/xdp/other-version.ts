/** Another version of the program, of which nothing is known but its objects: with its own maps, pinned as it would be found. */
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {BpfObject, type BpfProgram, MapType, type RawMap} from 'libbpf-ts';
import {viewOf} from '../../src/net/bytes.js';
import {nic, settings} from '../../src/xdp/layout.gen.js';
import {layoutsIn, mapSizes} from '../../src/xdp/load.js';
import type {Pins} from '../../src/xdp/pins.js';
import {carryOver} from '../../src/xdp/upgrade.js';

export const OBJECTS = {4: 'lb.bpf.o', 6: 'lb6.bpf.o'} as const;
const PRESENT = fileURLToPath(new URL('../..', import.meta.url));
/** Whatever the sizes are, these maps have them. */
export const SIZED: readonly string[] = [
	...mapSizes({services: 1, backends: 1, flows: 1, flows6: 1, persistenceEntries: 1, fragments: 1}).keys(),
];

/** Its programs work on as long as they are attached or pinned. */
export interface OtherVersion {
	readonly maps: ReadonlyMap<string, RawMap>;
	/** The program for NICs. */
	readonly program: BpfProgram;
	/** Pins all of it as a daemon would that has nothing pinned. */
	pin(pins: Pins): void;
	close(): void;
}

/** Loads the version in a directory, with maps that are as large as those of the present version and hold the same. */
export async function loadOther(directory: string, like: ReadonlyMap<string, RawMap>): Promise<OtherVersion> {
	const objects = {4: BpfObject.open(join(directory, OBJECTS[4])), 6: BpfObject.open(join(directory, OBJECTS[6]))};
	for (const name of SIZED) {
		const {maxEntries} = like.get(name) ?? {};
		if (maxEntries === undefined) continue;
		for (const {maps} of [objects[4], objects[6]]) maps.get(name)?.setMaxEntries(maxEntries);
	}
	objects[4].load();
	for (const [name, own] of objects[6].maps) {
		const shared = objects[4].maps.get(name);
		if (shared !== undefined) own.reuse(shared);
	}
	objects[6].load();
	const {maps: defined} = layoutsIn(directory);
	// Not the constants of the program, which the kernel calls a map as well.
	const maps = new Map([...objects[6].maps, ...objects[4].maps].filter(([name]) => defined.has(name)));
	await fill(maps, directory, like);
	fillApart(maps, like);
	connect(maps, directory, objects);
	return {
		maps,
		program: named(objects[4], 'lb'),
		pin: pins => {
			pins.create();
			for (const program of ['lb', 'read_clock']) named(objects[4], program).pin(pins.program(program));
			pins.pinMaps([...maps.keys()], (name, path) => maps.get(name)?.pin(path));
		},
		close: () => {
			for (const object of Object.values(objects)) object.close();
		},
	};
}

function named({programs}: BpfObject, name: string): BpfProgram {
	const program = programs.get(name);
	if (program === undefined) throw new Error(`no program ${name}`);
	return program;
}

async function fill(
	maps: ReadonlyMap<string, RawMap>,
	directory: string,
	like: ReadonlyMap<string, RawMap>,
): Promise<void> {
	const [theirs, ours] = [layoutsIn(directory), layoutsIn(PRESENT)];
	for (const [name, map] of maps) {
		const source = like.get(name);
		// Of another type are persistence entries, of which there are none yet.
		if (source === undefined || source.type !== map.type || map.type === MapType.programArray) continue;
		if (map.type === MapType.devmap) copyPorts(source, map);
		else await carryOver(name, {map: source, layouts: ours}, map, theirs);
	}
}

/** Layouts before the sixth had these apart from the settings: the NICs, and a filter, which says yes to everything here. */
function fillApart(maps: ReadonlyMap<string, RawMap>, like: ReadonlyMap<string, RawMap>): void {
	const value = like.get('settings')?.lookup(u32(0));
	if (value === undefined) throw new Error('no settings');
	const {nics} = settings.decode(viewOf(value));
	for (const [slot, entry] of nics.entries()) {
		const bytes = new Uint8Array(nic.size);
		nic.encode(entry, viewOf(bytes));
		maps.get('nics')?.update(u32(slot), bytes);
	}
	const filter = maps.get('local_filter');
	filter?.update(u32(0), new Uint8Array(filter.valueSize).fill(0xff));
}

function copyPorts(from: RawMap, to: RawMap): void {
	for (let slot = 0; slot < from.maxEntries; slot++) {
		const port = from.lookup(u32(slot));
		if (port !== undefined) to.update(u32(slot), port);
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
