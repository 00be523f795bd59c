/**
 * What a run leaves pinned, and going on with it: a restart of the same version need not load its programs again, which is
 * most of its work. A seal tells whether what is pinned is what would be loaded.
 */
import {createHash} from 'node:crypto';
import {existsSync} from 'node:fs';
import {BpfError, BpfProgram, RawMap} from 'libbpf-ts';
import {FAMILIES, type Family} from '../net/address.js';
import {CONTINUED, digestOf, Objects} from './load.js';
import {MAP_NAMES} from './maps.js';
import type {Pins} from './pins.js';

/** A program of a family's object, and what it is pinned as. */
interface PinnedProgram {
	readonly pin: string;
	readonly name: string;
	readonly family: Family;
}

/**
 * All programs: the clock reader, `change_entry` and `lb`, for its test runs, are for lbctl as well, and others for lbd-sync;
 * what packets continue as is pinned for the next run of lbd alone. One clock reader serves both families.
 */
export const PROGRAMS: readonly PinnedProgram[] = [
	{pin: 'lb', name: 'lb', family: 4},
	{pin: 'lb6', name: 'lb', family: 6},
	{pin: 'read_clock', name: 'read_clock', family: 4},
	...['change_entry', 'take_flows', 'take_clients', ...CONTINUED].flatMap(name =>
		FAMILIES.map(family => ({pin: `${name}${family}`, name, family})),
	),
];

/** What of a run is not pinned yet. */
export type Unpinned = 'everything' | 'programs and maps' | 'programs' | 'nothing';

/** Lets programs and maps outlive this process. Killed in between, it leaves no seal. Maps come last, see Pins. */
export function pinObjects(objects: Objects, pins: Pins, unpinned: Unpinned): void {
	if (unpinned === 'nothing') return;
	const pin = (name: string, path: string): void => objects.map(name).pin(path);
	if (unpinned === 'everything') pins.create();
	pins.breakSeal();
	pinPrograms(objects, pins, PROGRAMS);
	if (unpinned === 'everything') pins.pinMaps(MAP_NAMES, pin);
	if (unpinned === 'programs and maps') pins.replaceMaps(MAP_NAMES, pin);
	const seal = sealOf(objects);
	if (seal !== null) pins.seal(seal);
}

/** Puts back what somebody has removed. Returns how many pins that was. */
export function restorePins(objects: Objects, pins: Pins): number {
	const maps = pins.restoreMaps(MAP_NAMES, (name, path) => objects.map(name).pin(path));
	const programs = PROGRAMS.filter(({pin}) => !existsSync(pins.program(pin)));
	pinPrograms(objects, pins, programs);
	const seal = sealOf(objects);
	if (seal === null || pins.readSeal() === seal) return maps + programs.length;
	pins.seal(seal);
	return maps + programs.length + 1;
}

function pinPrograms(objects: Objects, pins: Pins, programs: readonly PinnedProgram[]): void {
	for (const {pin, name, family} of programs) pins.replaceProgram(pin, path => objects.program(name, family).pin(path));
}

/**
 * The programs and maps that are pinned, if they are those that the objects in a directory were loaded as; null where
 * anything is missing or another.
 */
export function reopen(pins: Pins, directory: string): Objects | null {
	const seal = pins.readSeal();
	if (seal === null) return null;
	const objects = openAll(pins, digestOf(directory));
	if (objects === null || sealOf(objects) === seal) return objects;
	objects.close();
	return null;
}

function openAll(pins: Pins, digest: string | null): Objects | null {
	const maps = new Map<string, RawMap>();
	const programs = {4: new Map<string, BpfProgram>(), 6: new Map<string, BpfProgram>()};
	const close = (): void => {
		for (const part of [...maps.values(), ...programs[4].values(), ...programs[6].values()]) part.close();
	};
	try {
		for (const name of MAP_NAMES) maps.set(name, RawMap.openPinned(pins.map(name)));
		for (const {pin, name, family} of PROGRAMS) {
			programs[family].set(name, BpfProgram.openPinned(pins.program(pin)));
		}
		return new Objects({maps, programs, digest, close});
	} catch (error) {
		close();
		if (error instanceof BpfError) return null;
		throw error;
	}
}

/**
 * Tells programs and maps from all others since the machine was started: by the files that they are from, and by the
 * kernel's numbers, which it does not give again before it has given two billion others. Null if the files are not known.
 */
function sealOf(objects: Objects): string | null {
	if (objects.digest === null) return null;
	const programs = PROGRAMS.map(({name, family}) => objects.program(name, family).id);
	const maps = MAP_NAMES.map(name => objects.map(name).id);
	return createHash('sha256')
		.update([objects.digest, ...programs, ...maps].join(' '))
		.digest('hex');
}
