/** From the compiled object to a loaded program and its maps: sizes, adoption of pinned maps, the rate of jiffies. */
import {createHash} from 'node:crypto';
import {existsSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {BpfError, BpfObject, type BpfProgram, isBpffs, mountBpffs, possibleCpus, RawMap} from 'libbpf-ts';
import {elfSection, FormatError, type Layout, LayoutError, layoutOf, parseBtf} from 'libbpf-ts/btf';
import {Bug, ExitCode, KernelError} from '../errors.js';
import type {Clock} from '../host/host.js';
import type {Family} from '../net/address.js';
import {compareBytes} from '../net/bytes.js';
import {Limits, Program} from './layout.gen.js';
import {MapLayouts} from './layouts.js';
import {FLOW_SIZES, Maps} from './maps.js';
import {BPFFS, type Pins} from './pins.js';
import {settingsOf} from './read.js';
import type {PinnedMap} from './upgrade.js';

/** Sizes that the configuration decides. */
export interface Sizes {
	/** How many there may be. */
	readonly services: number;
	readonly backends: number;
	/** Slots wanted in the flow table of IPv4, and in that of IPv6; rounded up to powers of two. */
	readonly flows: number;
	readonly flows6: number;
	/** Of each family. */
	readonly persistenceEntries: number;
	/** Datagrams in fragments that are remembered at a time, of each family. */
	readonly fragments: number;
}

/** Bytes of zeroes to run the clock reader on. */
const CLOCK_FRAME = new Uint8Array(64);
/** Long enough to tell 250 from 300 although the clock steps by whole jiffies. */
const HZ_SAMPLE_US = 100_000;
/** Flows to tell peers of that are kept for whoever reads them, of all CPUs; at least so many of each. */
const SHARED_FLOWS = 2 ** 18;
const SHARED_PER_CPU_MIN = 2 ** 12;
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

/** What `lb` continues as, and where: of IPv4, of IPv6. */
const CONTINUATIONS = [
	['lb_new', Program.PROGRAM_NEW, Program.PROGRAM_NEW6],
	['lb_icmp', Program.PROGRAM_ICMP, Program.PROGRAM_ICMP6],
	['lb_answer', Program.PROGRAM_ANSWER, Program.PROGRAM_ANSWER6],
	['lb_fragment', Program.PROGRAM_FRAGMENT, Program.PROGRAM_FRAGMENT6],
	['lb_virtual', Program.PROGRAM_VIRTUAL, Program.PROGRAM_VIRTUAL6],
	['lb_unusual', Program.PROGRAM_UNUSUAL, Program.PROGRAM_UNUSUAL6],
	['lb_fragment_new', Program.PROGRAM_FRAGMENT_NEW, Program.PROGRAM_FRAGMENT_NEW6],
] as const;

/** The programs that packets go on as, of each family. */
export const CONTINUED: readonly string[] = CONTINUATIONS.map(([name]) => name);

const OBJECTS = {4: 'lb.bpf.o', 6: 'lb6.bpf.o'} as const;

/** What the objects in a directory say of their maps. */
export function layoutsIn(directory: string): MapLayouts {
	const bytes = Object.values(OBJECTS).map(file => readFileSync(join(directory, file)));
	return new MapLayouts(bytes.map(object => layoutOf(parseBtf(elfSection(object, '.BTF')))));
}

/** The maps that a daemon has pinned, whichever version of it, each with what that version says of it. */
export function openPinned(pins: Pins, now: MapLayouts): ReadonlyMap<string, PinnedMap> {
	const found = new Map<string, PinnedMap>();
	const known: KnownLayouts[] = [];
	try {
		for (const name of pins.mapNames()) {
			const map = RawMap.openPinned(pins.map(name));
			found.set(name, {map, layouts: now});
			const btf = map.btf();
			if (btf !== undefined) found.set(name, {map, layouts: layoutsOf(btf, known)});
		}
	} catch (error) {
		for (const {map} of found.values()) map.close();
		throw error;
	}
	return found;
}

interface KnownLayouts {
	readonly btf: Uint8Array;
	readonly layouts: MapLayouts;
}

/** Maps of one object have the same types; what cannot be read says nothing of any map. */
function layoutsOf(btf: Uint8Array, known: KnownLayouts[]): MapLayouts {
	const same = known.find(one => one.btf.length === btf.length && compareBytes(one.btf, btf) === 0);
	if (same !== undefined) return same.layouts;
	const layouts = new MapLayouts(readable(btf));
	known.push({btf, layouts});
	return layouts;
}

function readable(btf: Uint8Array): Layout[] {
	try {
		return [layoutOf(parseBtf(btf))];
	} catch (error) {
		if (error instanceof FormatError || error instanceof LayoutError) return [];
		throw error;
	}
}

/** What tells the files that a build has left in a directory from those of others; null if they cannot be read. */
export function digestOf(directory: string): string | null {
	const hash = createHash('sha256');
	try {
		for (const file of Object.values(OBJECTS)) hash.update(readFileSync(join(directory, file)));
	} catch {
		return null;
	}
	return hash.digest('hex');
}

interface Parts {
	readonly maps: ReadonlyMap<string, RawMap>;
	readonly programs: Readonly<Record<Family, ReadonlyMap<string, BpfProgram>>>;
	/** Of the files, see `digestOf`; null where that is not known for sure. */
	readonly digest: string | null;
	close(): void;
}

/** The programs for both families, which share most of their maps. */
export class Objects {
	/** Of the files that they were loaded from, see `digestOf`; null if those were replaced meanwhile. */
	readonly digest: string | null;
	readonly #parts: Parts;

	constructor(parts: Parts) {
		this.digest = parts.digest;
		this.#parts = parts;
	}

	/**
	 * Loads the objects that a build has left in a directory. Their maps get their sizes, but for those whose place others
	 * take. Nothing continues as another program before `connect`.
	 */
	static load(directory: string, sizes: Sizes, others: ReadonlyMap<string, RawMap> = new Map()): Objects {
		const before = digestOf(directory);
		const opened: BpfObject[] = [];
		const close = (): void => {
			for (const object of opened) object.close();
		};
		const open = (family: Family): BpfObject => {
			const object = BpfObject.open(join(directory, OBJECTS[family]));
			opened.push(object);
			return object;
		};
		try {
			const [ipv4, ipv6] = [open(4), open(6)];
			const maps = new Map([...ipv6.maps, ...ipv4.maps]);
			for (const [name, entries] of mapSizes(sizes)) {
				if (!others.has(name)) mapOf(maps, name).setMaxEntries(entries);
			}
			load(ipv4, name => others.get(name));
			load(ipv6, name => others.get(name) ?? ipv4.maps.get(name));
			const digest = digestOf(directory) === before ? before : null;
			return new Objects({maps, programs: {4: ipv4.programs, 6: ipv6.programs}, digest, close});
		} catch (error) {
			close();
			throw error;
		}
	}

	/** A map of the layout; every one is in one of the objects. */
	map(name: string): RawMap {
		return mapOf(this.#parts.maps, name);
	}

	/** A program of the object for a family; packets enter at that of IPv4. */
	program(name: string, family: Family = 4): BpfProgram {
		const program = this.#parts.programs[family].get(name);
		if (program === undefined)
			throw new Bug(`the object has no program ${name}: it and the layout are of different builds`);
		return program;
	}

	/**
	 * Lets the programs continue as one another, from now on as those of these objects. Returns how many did not do so
	 * already.
	 */
	connect(maps: Maps): number {
		let changed = 0;
		for (const [slot, program] of this.#continuations()) {
			// What is read back is the program's id.
			if (maps.programs.get(slot) === program.id) continue;
			maps.programs.set(slot, program.fd);
			changed++;
		}
		return changed;
	}

	*#continuations(): Generator<[slot: number, program: BpfProgram]> {
		yield [Program.PROGRAM_IPV6, this.program('lb', 6)];
		for (const [name, slot, slot6] of CONTINUATIONS) {
			yield [slot, this.program(name, 4)];
			yield [slot6, this.program(name, 6)];
		}
	}

	close(): void {
		this.#parts.close();
	}
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
	const hint = `${what}: made by another version of lbd, which the next start of this one takes over; to start anew: lbctl --name ${pins.name} unload`;
	return new KernelError('open maps', pins.directory, errno, hint, {cause, exitCode: ExitCode.kernel});
}

/** Loads an object with the maps that there are already. */
function load(object: BpfObject, existing: (name: string) => RawMap | undefined): void {
	for (const [name, map] of object.maps) {
		const found = existing(name);
		if (found !== undefined) map.reuse(found);
	}
	object.load();
}

/** Entries of the maps that the source does not size for good. */
export function mapSizes(sizes: Sizes): ReadonlyMap<string, number> {
	const cpus = possibleCpus();
	const {services, backends, turns} = entriesFor(sizes);
	const shared = cpus * Math.max(SHARED_PER_CPU_MIN, 2 ** Math.floor(Math.log2(SHARED_FLOWS / cpus)));
	return new Map([
		['services', services],
		['services_by_key', services],
		['services_by_key6', services],
		['tickets', services],
		['service_limits', services],
		['turns', turns],
		['backends', backends],
		['openings', backends],
		['census', backends],
		['flows', bucketsFor(4, sizes.flows)],
		['flows6', bucketsFor(6, sizes.flows6)],
		['persistence', persistenceBucketsFor(sizes.persistenceEntries)],
		['persistence6', persistenceBucketsFor(sizes.persistenceEntries)],
		['fragments', sizes.fragments],
		['fragments6', sizes.fragments],
		['verdicts', services * cpus],
		['traffic', backends * cpus],
		['answers', cpus],
		['shared_flows', shared],
		['shared_flows6', shared],
		['share_heads', cpus],
		['share_heads6', cpus],
		['new_flows', cpus],
		['new_flows6', cpus],
	]);
}

/** Entries for so many services and backends: number 0 is nobody's. */
function entriesFor(sizes: Pick<Sizes, 'services' | 'backends'>): {
	readonly services: number;
	readonly backends: number;
	readonly turns: number;
} {
	const services = sizes.services + 1;
	return {services, backends: sizes.backends + 1, turns: services * Limits.LIMIT_TURNS_PER_SERVICE};
}

/** Buckets of a family's flow table for so many slots. */
function bucketsFor(family: Family, slots: number): number {
	const {bucket, slot} = FLOW_SIZES[family];
	return 2 ** Math.ceil(Math.log2(Math.max(1, slots / (bucket / slot))));
}

/** Buckets for so many persistence entries: at half the load, hardly any is refused (bpf/flow_table.h). */
function persistenceBucketsFor(entries: number): number {
	return bucketsFor(4, 2 * entries);
}

/** Whether maps have the sizes that are wanted. */
export function hasSizes(maps: Maps, sizes: Sizes): boolean {
	const {flows, flows6, persistenceEntries, fragments} = sizes;
	const {services, backends} = entriesFor(sizes);
	return (
		maps.services.raw.maxEntries === services &&
		maps.backends.raw.maxEntries === backends &&
		maps.buckets(4) === bucketsFor(4, flows) &&
		maps.buckets(6) === bucketsFor(6, flows6) &&
		maps.persistenceBuckets === persistenceBucketsFor(persistenceEntries) &&
		Object.values(maps.fragments).every(({raw}) => raw.maxEntries === fragments)
	);
}

function mapOf(maps: ReadonlyMap<string, RawMap>, name: string): RawMap {
	const map = maps.get(name);
	if (map === undefined) throw new Bug(`the objects have no map ${name}: they and the layout are of different builds`);
	return map;
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
