/** From the compiled object to a loaded program and its maps: sizes, adoption of pinned maps, the rate of jiffies. */
import {existsSync} from 'node:fs';
import {BpfError, BpfObject, type BpfProgram, isBpffs, mountBpffs, possibleCpus, RawMap} from 'libbpf-ts';
import {Bug, ExitCode, KernelError} from '../errors.js';
import type {Clock} from '../host/host.js';
import {flowBucket, flowSlot, Limits, maps as layouts} from './layout.gen.js';
import {Maps} from './maps.js';
import {BPFFS, type Pins} from './pins.js';
import {settingsOf} from './read.js';

/** Sizes that the configuration decides. */
export interface Sizes {
	/** Slots wanted in the flow table; rounded up to a power of two. */
	readonly flows: number;
	readonly persistenceEntries: number;
}

const SLOTS_PER_BUCKET = flowBucket.size / flowSlot.size;

/** Bytes of zeroes to run the clock reader on. */
const CLOCK_FRAME = new Uint8Array(64);
/** Long enough to tell 250 from 300 although the clock steps by whole jiffies. */
const HZ_SAMPLE_US = 100_000;
const USUAL_HZ = [100, 250, 300, 1000] as const;

/** Mounts bpffs where it is missing. */
export function ensureBpffs(): void {
	if (isBpffs(BPFFS)) return;
	try {
		mountBpffs(BPFFS);
	} catch (cause) {
		const errno = cause instanceof BpfError ? cause.code : 'error';
		const hint = existsSync(BPFFS)
			? `mount it with: mount -t bpf bpf ${BPFFS}`
			: 'this kernel has no BPF file system: CONFIG_BPF_SYSCALL is needed';
		throw new KernelError('mount bpffs', BPFFS, errno, hint, {cause, exitCode: ExitCode.kernel});
	}
}

/** Opens the object, gives its maps their sizes or puts the pinned ones in their place, and loads it. */
export function loadObject(path: string, sizes: Sizes, pinned: Maps | null): BpfObject {
	const object = BpfObject.open(path);
	try {
		if (pinned === null) sizeMaps(object, sizes);
		else for (const [name, map] of pinned.all()) mapOf(object, name).reuse(map);
		object.load();
	} catch (error) {
		object.close();
		throw error;
	}
	return object;
}

/** Opens the maps that a daemon has pinned. Throws KernelError if they are not of this version's layout. */
export function openPinnedMaps(pins: Pins): Maps {
	const maps = openAll(pins);
	const version = settingsOf(maps).layoutVersion;
	if (version === Limits.LIMIT_LAYOUT_VERSION) return maps;
	maps.close();
	throw otherVersion(pins, 'EPROTO', `layout ${version}, not ${Limits.LIMIT_LAYOUT_VERSION}`);
}

function openAll(pins: Pins): Maps {
	try {
		return new Maps(name => RawMap.openPinned(pins.map(name)));
	} catch (cause) {
		if (!(cause instanceof BpfError)) throw cause;
		if (cause.code !== 'EPERM' && cause.code !== 'EACCES') throw otherVersion(pins, cause.code, cause.message, cause);
		throw new KernelError('open maps', pins.directory, cause.code, 'root only', {cause, exitCode: ExitCode.permission});
	}
}

function otherVersion(pins: Pins, errno: string, what: string, cause?: BpfError): KernelError {
	const hint = `${what}: made by another version of lbd; to start anew: lbctl --name ${pins.name} unload`;
	return new KernelError('open maps', pins.directory, errno, hint, {cause, exitCode: ExitCode.kernel});
}

function sizeMaps(object: BpfObject, sizes: Sizes): void {
	const cpus = possibleCpus();
	mapOf(object, 'flows').setMaxEntries(bucketsFor(sizes.flows));
	mapOf(object, 'persistence').setMaxEntries(sizes.persistenceEntries);
	mapOf(object, 'verdicts').setMaxEntries(layouts.services.maxEntries * cpus);
	mapOf(object, 'traffic').setMaxEntries(layouts.backends.maxEntries * cpus);
}

/** Buckets of a flow table for so many slots. */
function bucketsFor(slots: number): number {
	return 2 ** Math.ceil(Math.log2(Math.max(1, slots / SLOTS_PER_BUCKET)));
}

/** Whether maps have the sizes that are wanted. */
export function hasSizes(maps: Maps, {flows, persistenceEntries}: Sizes): boolean {
	return maps.buckets === bucketsFor(flows) && maps.persistence.raw.maxEntries === persistenceEntries;
}

/** A map of the object; every map of the layout is in it. */
export function mapOf(object: BpfObject, name: string): RawMap {
	const map = object.maps.get(name);
	if (map === undefined) throw new Bug(`the object has no map ${name}: it and the layout are of different builds`);
	return map;
}

export function programOf(object: BpfObject, name: string): BpfProgram {
	const program = object.programs.get(name);
	if (program === undefined)
		throw new Bug(`the object has no program ${name}: it and the layout are of different builds`);
	return program;
}

export interface KernelTime {
	readonly jiffies: bigint;
	readonly ns: bigint;
}

/** Runs the program's clock reader: jiffies and monotonic time of one moment. */
export function readClock(reader: BpfProgram): KernelTime {
	const {data} = reader.testRun({data: CLOCK_FRAME});
	const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
	return {jiffies: view.getBigUint64(0, true), ns: view.getBigUint64(8, true)};
}

/** Measures how many jiffies a second has, by watching both clocks for a moment. */
export async function measureHz(reader: BpfProgram, clock: Clock): Promise<number> {
	const begin = readClock(reader);
	await new Promise<void>(resolve => clock.after(HZ_SAMPLE_US, 'measure HZ', resolve));
	const end = readClock(reader);
	const rate = (Number(end.jiffies - begin.jiffies) * 1e9) / Number(end.ns - begin.ns);
	return USUAL_HZ.reduce((best, hz) => (Math.abs(hz - rate) < Math.abs(best - rate) ? hz : best));
}
