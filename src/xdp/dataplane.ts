/**
 * The data plane as the daemon holds it: the program and its maps, new or adopted from the pins of an earlier run,
 * and attached to NICs by pinned links. A link is only ever updated, never detached while traffic may flow: on some
 * NICs attaching XDP resets the port.
 */
import {BpfError, type BpfProgram} from 'libbpf-ts';
import {ExitCode, KernelError} from '../errors.js';
import type {Clock} from '../host/host.js';
import type {Log} from '../log.js';
import {addressLength, type Family} from '../net/address.js';
import {Attachments} from './attachments.js';
import {BlockList} from './block-list.js';
import {takeCensus} from './census.js';
import {countFlows, type FlowCounts} from './flows.js';
import {
	type Endpoint,
	type EndpointBucket,
	Limits,
	type LocalFilter,
	localFilter as localFilterCodec,
	SettingFlag,
	type Settings,
	type VirtualRouter,
} from './layout.gen.js';
import {ensureBpffs, hasSizes, measureHz, Objects, openPinnedMaps, readClock, type Sizes} from './load.js';
import {MAP_NAMES, Maps} from './maps.js';
import {sweepPersistence} from './persistence.js';
import {type AttachMode, Pins} from './pins.js';
import {readTables, settingsOf} from './read.js';
import {applyOp, type BlockChanges, familyOf, type Op, type Tables, virtualVerdicts, withRoom} from './tables.js';
import {type ConfiguredTimeouts, flowTimeouts, tickShifts} from './time.js';

export interface DataPlaneOptions {
	/** The daemon's name: its pins are under it. */
	readonly name: string;
	/** Where the compiled program is. */
	readonly objectDirectory: string;
	readonly sizes: Sizes;
	readonly timeouts: ConfiguredTimeouts;
	readonly clock: Clock;
	readonly log: Log;
}

const PROGRAMS = ['lb', 'read_clock'] as const;
/** No daemon may be called so. */
const NOBODY = '+';
/** A route generation is eight bits of a next hop. */
const GENERATION_MASK = 0xff;

/** Entries of maps that no longer mean anything. */
const UNUSED_NIC = {ifindex: 0, mac: new Uint8Array(6), mtu: 0};
const UNUSED_ADDRESS = withRoom(new Uint8Array());
const UNUSED_SERVICE = {
	turn: 0n,
	persistenceJiffies: 0n,
	addr: UNUSED_ADDRESS,
	persistenceMask: UNUSED_ADDRESS,
	port: 0,
	proto: 0,
	family: 0,
	scheduler: 0,
	failedBackend: 0,
	noBackend: 0,
	flags: 0,
	sourceRate: 0,
	sourceBurst: 0,
	serviceRate: 0,
	serviceBurst: 0,
};
const UNUSED_BACKEND = {
	addr: UNUSED_ADDRESS,
	port: 0,
	proto: 0,
	state: 0,
	service: 0,
	shared: 0,
	nextHop: 0n,
	weight: 0,
	upperThreshold: 0,
	lowerThreshold: 0,
	family: 0,
	method: 0,
	tunnelFlags: 0,
	tunnelPort: 0,
	tunnelSource: UNUSED_ADDRESS,
};
const UNUSED_LEASE = {
	router: {ifindex: 0, family: 0, vrid: 0},
	sentNs: 0n,
	sentUntilNs: 0n,
	heardNs: 0n,
	heardUntilNs: 0n,
};

export class DataPlane {
	readonly maps: Maps;
	/** In force. */
	settings: Settings;
	/** What the maps hold; changed by `apply` alone. */
	readonly tables: Tables;
	/** Whether the maps of an earlier run were taken over, with its flows. */
	readonly adopted: boolean;
	readonly #pins: Pins;
	readonly #objects: Objects;
	readonly #clockReader: BpfProgram;
	readonly #attachments: Attachments;
	readonly #blockList: BlockList;

	private constructor(parts: {
		maps: Maps;
		settings: Settings;
		tables: Tables;
		adopted: boolean;
		pins: Pins;
		objects: Objects;
		attachments: Attachments;
		blockList: BlockList;
	}) {
		this.maps = parts.maps;
		this.settings = parts.settings;
		this.tables = parts.tables;
		this.adopted = parts.adopted;
		this.#pins = parts.pins;
		this.#objects = parts.objects;
		this.#clockReader = parts.objects.program('read_clock');
		this.#attachments = parts.attachments;
		this.#blockList = parts.blockList;
	}

	/**
	 * Loads the program. Maps that an earlier run has pinned are adopted with all that they hold; if their layout is not
	 * this program's, KernelError says so before anything is touched. A load that fails leaves nothing behind.
	 */
	static async open(options: DataPlaneOptions): Promise<DataPlane> {
		ensureBpffs();
		const pins = new Pins(options.name);
		const adopted = pins.exist();
		if (!adopted) pins.remove();
		try {
			const plane = await DataPlane.#prepare(options, pins, adopted);
			plane.#pin();
			return plane;
		} catch (error) {
			if (!adopted) pins.remove();
			throw loadFailure(error);
		}
	}

	/** Loads a copy of the program with maps of its own. Nothing is pinned, and all is gone when it is closed; not to be attached. */
	static async openPrivate(options: Omit<DataPlaneOptions, 'name'>): Promise<DataPlane> {
		try {
			return await DataPlane.#prepare(options, new Pins(NOBODY), false);
		} catch (error) {
			throw loadFailure(error);
		}
	}

	/** Lets it outlive this program. Closes it when that fails. */
	#pin(): void {
		try {
			pinObjects(this.#objects, this.#pins, this.adopted);
		} catch (error) {
			this.close();
			throw error;
		}
	}

	static async #prepare(options: Omit<DataPlaneOptions, 'name'>, pins: Pins, adopted: boolean): Promise<DataPlane> {
		const {objectDirectory, sizes, timeouts, clock, log} = options;
		const objects = load(objectDirectory, sizes, pins, adopted);
		const closeables: {close(): void}[] = [objects];
		try {
			const maps = new Maps(name => objects.map(name));
			closeables.push(maps);
			if (!hasSizes(maps, sizes)) log.warn({}, 'the maps of the earlier run keep their sizes until they are unloaded');
			const hz = await measureHz(objects.program('read_clock'), clock);
			const tables = await readTables(maps);
			const attachments = new Attachments(objects.program('lb'), pins, log);
			closeables.push(attachments);
			const blockList = await BlockList.read(maps, clock);
			const inForce = settings(maps, hz, timeouts, attention(tables, blockList));
			objects.connect(maps);
			return new DataPlane({maps, settings: inForce, tables, adopted, pins, objects, attachments, blockList});
		} catch (error) {
			for (const closeable of closeables) closeable.close();
			throw error;
		}
	}

	/** The program, for test runs. */
	get program(): BpfProgram {
		return this.#objects.program('lb');
	}

	/** Entries that the maps have room for. */
	get capacity(): {
		readonly services: number;
		readonly backends: number;
		readonly turns: number;
		readonly nics: number;
	} {
		return {
			services: this.maps.services.raw.maxEntries,
			backends: this.maps.backends.raw.maxEntries,
			turns: this.maps.turns.raw.maxEntries,
			nics: this.maps.nics.raw.maxEntries,
		};
	}

	/** Jiffies now, as the program sees them. */
	jiffies(): bigint {
		return readClock(this.#clockReader).jiffies;
	}

	/** Counts live flows by backend and state. */
	countFlows(): FlowCounts {
		return countFlows(this.maps.flows, this.settings, this.jiffies());
	}

	/** Tells the program how many connections the backends have, if anybody asks: see census.ts. */
	takeCensus(): void {
		takeCensus(this.maps, this.tables, this.settings, this.jiffies());
	}

	/** Removes persistence entries whose time is over; returns how many are left. See persistence.ts. */
	sweepPersistence(): Promise<number> {
		const {maps, tables, settings} = this;
		const extenders = {4: this.#objects.program('extend_entry', 4), 6: this.#objects.program('extend_entry', 6)};
		return sweepPersistence({maps, tables, settings, extenders}, this.jiffies());
	}

	/** Puts other timeouts in force, for all flows from now on. */
	setTimeouts(timeouts: ConfiguredTimeouts): void {
		this.#putSettings({...this.settings, timeouts: flowTimeouts(timeouts, this.settings.hz)});
	}

	/** Makes the program look up every client's next hop again, at the flow's next reply. */
	bumpRouteGeneration(): void {
		this.#putSettings({...this.settings, routeGeneration: nextGeneration(this.settings.routeGeneration)});
	}

	/** Sources that nothing is taken from, as `Settings.blocked` writes them. */
	get blocked(): ReadonlySet<string> {
		return this.#blockList.prefixes;
	}

	/** Changes the block list, in slices. Throws KernelError; `blocked` then has what was done until then. */
	async block(changes: BlockChanges): Promise<void> {
		try {
			await this.#blockList.change(changes);
		} finally {
			this.#putAttention();
		}
	}

	/** Tells the program what there is to look for. */
	#putAttention(): void {
		const {flags, virtualVerdicts} = attention(this.tables, this.#blockList);
		if (flags === this.settings.flags && virtualVerdicts === this.settings.virtualVerdicts) return;
		this.#putSettings({...this.settings, flags, virtualVerdicts});
	}

	#putSettings(value: Settings): void {
		this.maps.settings.set(0, value);
		this.settings = value;
	}

	/** Attaches the program to a NIC, or puts it into the link of an earlier run. KernelError when the NIC refuses it. */
	attach(ifindex: number, nic: string): AttachMode {
		return this.#attachments.attach(ifindex, nic);
	}

	/** Interface indexes that carry the program, with the mode. */
	attached(): ReadonlyMap<number, AttachMode> {
		return this.#attachments.modes();
	}

	/** Lets go of NICs that are gone, and of their slots: the kernel has taken their ports out of `nic_ports`. */
	forgetGone(): void {
		const gone = this.#attachments.forgetGone();
		for (const [index, {ifindex}] of this.tables.nics) {
			if (gone.has(ifindex)) this.apply([{map: 'nics', index, value: null}]);
		}
	}

	/** Performs ops in their order; `tables` follows. When one fails, those before it stay in force. */
	apply(ops: readonly Op[]): void {
		try {
			for (const op of ops) {
				this.#perform(op);
				applyOp(this.tables, op);
			}
		} finally {
			this.#putAttention();
		}
	}

	#perform(op: Op): void {
		const {maps} = this;
		switch (op.map) {
			case 'nics':
				if (op.value === null) maps.nicPorts.delete(op.index);
				else maps.nicPorts.set(op.index, op.value.ifindex);
				return maps.nics.set(op.index, op.value ?? UNUSED_NIC);
			case 'backends':
				return maps.backends.set(op.index, op.value ?? UNUSED_BACKEND);
			case 'endpoints':
				return maps.endpoints[op.family].set(op.index, endpointBucket(op.family, op.value));
			case 'filter':
				return maps.localFilter.set(0, localFilter(op.value));
			case 'turns':
				return maps.turns.set(op.index, op.value);
			case 'services':
				return maps.services.set(op.index, op.value ?? UNUSED_SERVICE);
			case 'serviceKeys': {
				const servicesByKey = maps.servicesByKey[familyOf(op.key.addr)];
				if (op.value === null) servicesByKey.delete(op.key);
				else servicesByKey.set(op.key, op.value);
				return;
			}
			case 'leases':
				return this.#putLease(op.index, op.value);
			case 'virtualAddresses':
				if (op.value === null) maps.virtualAddresses.delete(op.key);
				else maps.virtualAddresses.set(op.key, op.value);
		}
	}

	/** A lease begins without anything sent or heard. */
	#putLease(index: number, router: VirtualRouter | null): void {
		const {leases, leaseOfRouter} = this.maps;
		const before = this.tables.leases.get(index);
		if (before !== undefined && leaseOfRouter.get(before) === index) leaseOfRouter.delete(before);
		leases.set(index, {...UNUSED_LEASE, router: router ?? UNUSED_LEASE.router});
		if (router !== null) leaseOfRouter.set(router, index);
	}

	/** Lets go of everything; what is pinned works on, so that forwarding needs no daemon. */
	close(): void {
		this.#attachments.close();
		this.maps.close();
		this.#objects.close();
	}

	/** Takes back a start that failed: what this run has pinned goes, what it adopted stays. */
	discard(): void {
		this.close();
		this.#attachments.unpin();
		if (!this.adopted) this.#pins.remove();
	}
}

/** Removes the program and all maps of a stopped daemon, which takes it off its NICs. Throws KernelError if there are none. */
export function unload(name: string): void {
	const pins = new Pins(name);
	if (!pins.exist()) throw new KernelError('unload', pins.directory, 'ENOENT', `nothing of "${name}" is loaded`);
	pins.remove();
}

function load(objectDirectory: string, sizes: Sizes, pins: Pins, adopted: boolean): Objects {
	if (!adopted) return new Objects(objectDirectory, sizes, null);
	const pinned = openPinnedMaps(pins);
	try {
		return new Objects(objectDirectory, sizes, pinned);
	} finally {
		pinned.close();
	}
}

/** Writes and returns what the program goes by. Routes may have changed while no daemon watched, hence a new generation. */
function settings(maps: Maps, hz: number, timeouts: ConfiguredTimeouts, attention: Attention): Settings {
	const shifts = tickShifts(hz);
	const value = {
		layoutVersion: Limits.LIMIT_LAYOUT_VERSION,
		flowBucketMask: maps.buckets(4) - 1,
		flow6BucketMask: maps.buckets(6) - 1,
		services: maps.services.raw.maxEntries,
		backends: maps.backends.raw.maxEntries,
		fineShift: shifts.fine,
		coarseShift: shifts.coarse,
		hz,
		routeGeneration: nextGeneration(settingsOf(maps).routeGeneration),
		...attention,
		timeouts: flowTimeouts(timeouts, hz),
	};
	maps.settings.set(0, value);
	return value;
}

/** What the program has to look for. */
type Attention = Pick<Settings, 'flags' | 'virtualVerdicts'>;

/** By what the maps hold. */
function attention(tables: Tables, blockList: BlockList): Attention {
	const allPorts = [...tables.services.values()].some(({port}) => port === 0);
	const flags =
		(allPorts ? SettingFlag.SETTING_ALL_PORTS : 0) |
		(blockList.isEmpty(4) ? 0 : SettingFlag.SETTING_BLOCKS) |
		(blockList.isEmpty(6) ? 0 : SettingFlag.SETTING_BLOCKS6);
	return {flags, virtualVerdicts: virtualVerdicts(tables)};
}

function nextGeneration(generation: number): number {
	return (generation + 1) & GENERATION_MASK;
}

/** Programs are pinned anew by every run: the clock reader for lbctl, `lb` for its test runs. Maps come last, see Pins. */
function pinObjects(objects: Objects, pins: Pins, adopted: boolean): void {
	if (!adopted) pins.create();
	for (const name of PROGRAMS) pins.replaceProgram(name, path => objects.program(name).pin(path));
	if (!adopted) pins.pinMaps(MAP_NAMES, (name, path) => objects.map(name).pin(path));
}

/** A bucket with these endpoints; the rest of its slots unused. */
export function endpointBucket(family: Family, endpoints: readonly Endpoint[]): EndpointBucket {
	const none = new Uint8Array(addressLength(family));
	const unused = {addr: none, port: 0, proto: 0, serviceAddr: none, servicePort: 0, service: 0};
	return {slots: Array.from({length: Limits.LIMIT_ENDPOINTS_PER_BUCKET}, (_, slot) => endpoints[slot] ?? unused)};
}

function localFilter(positions: ReadonlySet<number>): LocalFilter {
	const words = new BigUint64Array(localFilterCodec.size / 8);
	for (const position of positions) {
		const word = Math.floor(position / 64);
		words[word] = (words[word] ?? 0n) | (1n << BigInt(position % 64));
	}
	return localFilterCodec.decode(new DataView(words.buffer));
}

function loadFailure(cause: unknown): unknown {
	if (!(cause instanceof BpfError)) return cause;
	const {operation, object, code} = cause;
	const options = {cause, exitCode: code === 'EPERM' ? ExitCode.permission : ExitCode.kernel};
	return new KernelError(operation, object, code, loadHint(cause), options);
}

function loadHint({code, hint}: BpfError): string {
	if (code === 'EPERM') return 'this needs root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON';
	return code === 'EACCES' ? `${hint}; without CAP_PERFMON the verifier allows less` : hint;
}
