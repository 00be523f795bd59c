/**
 * The data plane as the daemon holds it: the program and its maps, new or adopted from the pins of an earlier run,
 * and attached to NICs by pinned links. A link is only ever updated, never detached while traffic may flow: on some
 * NICs attaching XDP resets the port.
 */
import {BpfError, BpfLink, BpfMap, type BpfProgram, RawMap} from 'libbpf-ts';
import {ExitCode, KernelError} from '../errors.js';
import type {Clock} from '../host/host.js';
import type {Log} from '../log.js';
import {Attachments, type Presence, takeOff} from './attachments.js';
import {BlockList} from './block-list.js';
import {takeCensus} from './census.js';
import {countFlows, type FlowCounts} from './flows.js';
import {Limits, maps as layouts, SettingFlag, type Settings} from './layout.gen.js';
import {
	ensureBpffs,
	hasSizes,
	layoutsIn,
	mapSizes,
	measureHz,
	Objects,
	openPinned,
	readClock,
	type Sizes,
} from './load.js';
import {Maps} from './maps.js';
import {countPersistence, type EntryChangers, Retelling, sweepPersistence} from './persistence.js';
import {pinObjects, reopen, restorePins, type Unpinned} from './pinned.js';
import {type AttachMode, Pins} from './pins.js';
import {readTables, settingsOf} from './read.js';
import {SharingPlane} from './sharing.js';
import {applyOp, type BackendId, type BlockChanges, type Op, type Tables, virtualVerdicts} from './tables.js';
import {type ConfiguredTimeouts, flowTimeouts, tickShifts} from './time.js';
import {carryApart, carryOver, type MapFate, type PinnedMap, planUpgrade} from './upgrade.js';
import {isWritten, settingsAfter, writeOp} from './write.js';

export interface DataPlaneOptions {
	/** The daemon's name: its pins are under it. */
	readonly name: string;
	/** Where the compiled program is. */
	readonly objectDirectory: string;
	readonly sizes: Sizes;
	readonly timeouts: ConfiguredTimeouts;
	/** Start even if connections or their like, which another version has left, cannot be taken over. */
	readonly acceptLoss?: boolean;
	readonly clock: Clock;
	readonly log: Log;
}

/** No daemon may be called so. */
const NOBODY = '+';
/** A route generation is eight bits of a next hop. */
const GENERATION_MASK = 0xff;

export class DataPlane {
	readonly maps: Maps;
	/** In force. */
	settings: Settings;
	/** What the maps hold; changed by `apply` alone. */
	readonly tables: Tables;
	/** Whether the maps of an earlier run were taken over, with its flows. */
	readonly adopted: boolean;
	readonly #unpinned: Unpinned;
	readonly #pins: Pins;
	readonly #objects: Objects;
	readonly #clockReader: BpfProgram;
	readonly #attachments: Attachments;
	readonly #blockList: BlockList;
	#retellings: readonly Retelling[];
	readonly #log: Log;
	/** How often something was applied. */
	#writes = 0;
	/** Whether the programs that continue as one another are this run's. */
	#isConnected: boolean;
	#sharing = false;

	private constructor(parts: {
		maps: Maps;
		settings: Settings;
		tables: Tables;
		adopted: boolean;
		unpinned: Unpinned;
		pins: Pins;
		objects: Objects;
		attachments: Attachments;
		blockList: BlockList;
		retellings: readonly Retelling[];
		log: Log;
	}) {
		this.maps = parts.maps;
		this.settings = parts.settings;
		this.tables = parts.tables;
		this.adopted = parts.adopted;
		this.#isConnected = !parts.adopted;
		this.#unpinned = parts.unpinned;
		this.#pins = parts.pins;
		this.#objects = parts.objects;
		this.#clockReader = parts.objects.program('read_clock');
		this.#attachments = parts.attachments;
		this.#blockList = parts.blockList;
		this.#retellings = parts.retellings;
		this.#log = parts.log;
	}

	/**
	 * Loads the program. Maps that an earlier run has pinned are adopted with all that they hold, as far as their layout is
	 * this program's or can be made so; KernelError says what would be lost before anything is touched. A load that fails
	 * leaves nothing behind.
	 */
	static async open(options: DataPlaneOptions): Promise<DataPlane> {
		ensureBpffs();
		const pins = new Pins(options.name);
		pins.recover();
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
			pinObjects(this.#objects, this.#pins, this.#unpinned);
		} catch (error) {
			this.close();
			throw error;
		}
	}

	static async #prepare(options: Omit<DataPlaneOptions, 'name'>, pins: Pins, adopted: boolean): Promise<DataPlane> {
		const {objectDirectory, sizes, timeouts, clock, log} = options;
		const {objects, unpinned, retellings} = adopted ? await loadPinned(options, pins) : loadNew(objectDirectory, sizes);
		const closeables: {close(): void}[] = [objects, ...retellings];
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
			await retell(retellings, objects, inForce, log);
			if (!adopted) objects.connect(maps);
			return new DataPlane({
				maps,
				settings: inForce,
				tables,
				adopted,
				unpinned,
				pins,
				objects,
				attachments,
				blockList,
				retellings,
				log,
			});
		} catch (error) {
			for (const closeable of closeables) closeable.close();
			throw error;
		}
	}

	/** Whether it was loaded, and is not that of an earlier run of the same version. */
	get loaded(): boolean {
		return this.#unpinned !== 'nothing';
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
			nics: this.settings.nics.length,
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

	/** Counts persistence entries by backend. */
	countPersistence(): ReadonlyMap<BackendId, number> {
		return countPersistence(this.maps, this.settings, this.jiffies());
	}

	/** Changes persistence entries. */
	get entryChangers(): EntryChangers {
		return changersOf(this.#objects);
	}

	/** Lets persistence entries go on whose clients have connections; returns how many there are. See persistence.ts. */
	sweepPersistence(): number {
		const {maps, tables, settings, entryChangers: changers} = this;
		return sweepPersistence({maps, tables, settings, changers}, this.jiffies());
	}

	/** Puts other timeouts in force, for all flows from now on. */
	setTimeouts(timeouts: ConfiguredTimeouts): void {
		this.#putSettings({...this.settings, timeouts: flowTimeouts(timeouts, this.settings.hz)});
	}

	/** Makes the program look up every client's next hop again, at the flow's next reply. */
	bumpRouteGeneration(): void {
		this.#putSettings({...this.settings, routeGeneration: nextGeneration(this.settings.routeGeneration)});
	}

	/** Whether the program notes what peers should know of its flows. */
	setSharing(on: boolean): void {
		this.#sharing = on;
		this.#putAttention();
	}

	/** What lbd-sync has by the pins, for one who has none; it ends with this. */
	sharing(): SharingPlane {
		const programs = (name: string) => ({4: this.#objects.program(name, 4), 6: this.#objects.program(name, 6)});
		return new SharingPlane(this.maps, {
			takeFlows: programs('take_flows'),
			takeClients: programs('take_clients'),
			clock: this.#clockReader,
		});
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
			const tick = this.jiffies() >> BigInt(this.settings.coarseShift);
			this.#putSettings({...this.settings, blocksChanged: Number(BigInt.asUintN(32, tick))});
			this.#putAttention();
		}
	}

	/** Tells the program what there is to look for. */
	#putAttention(): void {
		const {flags: found, virtualVerdicts} = attention(this.tables, this.#blockList);
		const flags = found | (this.#sharing ? SettingFlag.SETTING_SHARING : 0);
		if (flags === this.settings.flags && virtualVerdicts === this.settings.virtualVerdicts) return;
		this.#putSettings({...this.settings, flags, virtualVerdicts});
	}

	#putSettings(value: Settings): void {
		this.maps.settings.set(0, value);
		this.settings = value;
	}

	/** Lets the programs that continue as one another be this run's, whose maps must be filled: what an earlier run has attached goes on as them. */
	connect(): void {
		if (!this.#isConnected) this.#objects.connect(this.maps);
		this.#isConnected = true;
	}

	/** Whether a NIC carries the program of an earlier run, which goes on with the maps that it has. */
	isInherited(ifindex: number): boolean {
		return this.#attachments.isInherited(ifindex);
	}

	/**
	 * Attaches the program to a NIC, or puts it into the link of an earlier run, which keeps its mode. `wanted` native: or
	 * generic, if need be. KernelError when the NIC refuses it.
	 */
	attach(ifindex: number, nic: string, wanted: AttachMode = 'native'): AttachMode {
		return this.#attachments.attach(ifindex, nic, wanted);
	}

	/** Moves the program out of all drivers into the kernel's generic receive path, from which packets reach every NIC. */
	leaveDrivers(): void {
		this.#attachments.leaveDrivers();
	}

	/** Once every NIC has the program: takes over what another version has noted until then. */
	async finishUpgrade(): Promise<void> {
		await retell(this.#retellings, this.#objects, this.settings, this.#log);
		for (const retelling of this.#retellings) retelling.close();
		this.#retellings = [];
	}

	/** Interface indexes that carry the program, with the mode. */
	attached(): ReadonlyMap<number, AttachMode> {
		return this.#attachments.modes();
	}

	/**
	 * Lets go of NICs that are gone, or from which somebody has taken the program, and of their slots: the kernel has taken the
	 * ports of those that are gone out of `nic_ports`. Returns their indexes.
	 */
	forgetGone(): ReadonlySet<number> {
		const gone = this.#attachments.forgetGone();
		for (const [index, {ifindex}] of this.tables.nics) {
			if (gone.has(ifindex)) this.apply([{map: 'nics', index, value: null}]);
		}
		return gone;
	}

	/** Puts the program back on NICs from which somebody has taken it, and leaves them their slots. Returns how many that was. */
	reattach(present: Presence): number {
		return this.#attachments.reattach(present);
	}

	/** What the maps hold by themselves, for comparison; null when somebody of us has written to them meanwhile. */
	async readBack(): Promise<Tables | null> {
		const writes = this.#writes;
		const tables = await readTables(this.maps);
		return writes === this.#writes ? tables : null;
	}

	/** Puts pins back that somebody has removed. Returns how many that was. */
	restorePins(): number {
		return restorePins(this.#objects, this.#pins) + this.#attachments.repin();
	}

	/**
	 * Restores what packets need and `tables` do not have: settings, the programs that continue as one another and the ports
	 * of NICs. Returns what was not as it should be, by map.
	 */
	restore(present: Presence): ReadonlyMap<string, number> {
		const repaired = {
			settings: this.#restoreSettings(),
			programs: this.#isConnected ? this.#objects.connect(this.maps) : 0,
			nic_ports: this.#restorePorts(present),
		};
		return new Map(Object.entries(repaired).filter(([, count]) => count > 0));
	}

	#restoreSettings(): number {
		if (this.maps.settings.has(0, this.settings)) return 0;
		this.#putSettings(this.settings);
		return 1;
	}

	#restorePorts(present: Presence): number {
		const lost = [...this.tables.nics].filter(
			([slot, {ifindex}]) => present.has(ifindex) && this.maps.nicPorts.get(slot) !== ifindex,
		);
		return lost.filter(([slot, {ifindex}]) => this.#putPort(slot, ifindex)).length;
	}

	/** False where the NIC is about to go, before we hear of that. */
	#putPort(slot: number, ifindex: number): boolean {
		try {
			this.maps.nicPorts.set(slot, ifindex);
			return true;
		} catch (error) {
			if (!(error instanceof BpfError)) throw error;
			return false;
		}
	}

	/** Whether the maps are as an op has left them, which has put something there; `restore` looks at the settings. */
	holds(op: Op): boolean {
		return isWritten(this.maps, op);
	}

	/** Performs ops in their order; `tables` follows. When one fails, those before it stay in force. */
	apply(ops: readonly Op[]): void {
		if (ops.length > 0) this.#writes++;
		try {
			for (const op of ops) {
				const after = settingsAfter(op, this.settings);
				if (after !== this.settings) this.#putSettings(after);
				writeOp(this.maps, this.tables, op);
				applyOp(this.tables, op);
			}
		} finally {
			this.#putAttention();
		}
	}

	/** Lets go of everything; what is pinned works on, so that forwarding needs no daemon. */
	close(): void {
		for (const retelling of this.#retellings) retelling.close();
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
	for (const {path} of pins.links()) takeOff(BpfLink.openPinned(path), pins, path);
	pins.remove();
}

/** The program in the kernel, with the maps of an earlier run as far as there are any and it can work with them. */
interface Loaded {
	readonly objects: Objects;
	readonly unpinned: Unpinned;
	/** Of maps whose entries the program has to be told, once there are settings. */
	readonly retellings: readonly Retelling[];
}

function loadNew(directory: string, sizes: Sizes): Loaded {
	return {objects: Objects.load(directory, sizes), unpinned: 'everything', retellings: []};
}

/**
 * Goes on with what is pinned if it is of this version, or loads the program for it. Maps of another version go on, or have
 * what they hold carried over; what would be lost is refused with KernelError before anything is touched, unless that is
 * accepted.
 */
async function loadPinned(options: Omit<DataPlaneOptions, 'name'>, pins: Pins): Promise<Loaded> {
	const {objectDirectory, sizes, log, acceptLoss = false} = options;
	const same = reopen(pins, objectDirectory);
	if (same !== null) return {objects: same, unpinned: 'nothing', retellings: []};
	const now = layoutsIn(objectDirectory);
	const pinned = openPinned(pins, now);
	try {
		const wanted = sizesOf(pinned, sizes);
		const {fates, losses} = await planUpgrade(pinned, now, new Set(mapSizes(wanted).keys()));
		if (losses.length > 0 && !acceptLoss) throw refusedLoss(pins, losses);
		const others = new Map(
			[...pinned].filter(([name]) => fates.get(name) === 'kept').map(([name, {map}]) => [name, map]),
		);
		const objects = Objects.load(objectDirectory, wanted, others);
		try {
			for (const [name, fate] of fates) {
				if (fate !== 'kept') log.warn({map: name, fate}, 'a map of an earlier run is not what this version needs');
				const from = pinned.get(name);
				if (fate !== 'carried over' || from === undefined) continue;
				const lost = await carryOver(name, from, objects.map(name), now);
				if (lost > 0) log.warn({map: name, entries: lost}, UNFIT);
			}
			if (fates.get('settings') !== 'kept')
				await carryApart(pinned, BpfMap.of(objects.map('settings'), layouts.settings));
			for (const loss of losses) log.warn({loss}, 'lost, as was accepted');
			const unpinned = others.size < now.maps.size ? 'programs and maps' : 'programs';
			return {objects, unpinned, retellings: retellingsOf(pinned, fates, pins)};
		} catch (error) {
			objects.close();
			throw error;
		}
	} finally {
		for (const {map} of pinned.values()) map.close();
	}
}

const UNFIT = 'entries do not fit any more and are lost';

function retellingsOf(
	pinned: ReadonlyMap<string, PinnedMap>,
	fates: ReadonlyMap<string, MapFate>,
	pins: Pins,
): Retelling[] {
	const told = [...pinned].filter(([name]) => fates.get(name) === 'told anew');
	return told.map(([name, {layouts}]) => {
		const family = name.endsWith('6') ? 6 : 4;
		return new Retelling(name, family, {map: RawMap.openPinned(pins.map(name)), layouts});
	});
}

async function retell(
	retellings: readonly Retelling[],
	objects: Objects,
	{coarseShift}: Settings,
	log: Log,
): Promise<void> {
	const {jiffies} = readClock(objects.program('read_clock'));
	for (const retelling of retellings) {
		const lost = await retelling.tell(changersOf(objects), {coarseShift, jiffies});
		if (lost > 0) log.warn({map: retelling.name, entries: lost}, UNFIT);
	}
}

function changersOf(objects: Objects): EntryChangers {
	return {4: objects.program('change_entry', 4), 6: objects.program('change_entry', 6)};
}

/** Maps that belong together have one size: that of those which are there. */
function sizesOf(pinned: ReadonlyMap<string, PinnedMap>, sizes: Sizes): Sizes {
	const entries = (name: string, unless: number): number => (pinned.get(name)?.map.maxEntries ?? unless + 1) - 1;
	return {...sizes, services: entries('services', sizes.services), backends: entries('backends', sizes.backends)};
}

function refusedLoss({name, directory}: Pins, losses: readonly string[]): KernelError {
	const what = `this version cannot take over what another has left: ${losses.join('; ')}`;
	const hint = `${what}: start that version again, or lbd --accept-loss, or lbctl --name ${name} unload`;
	return new KernelError('open maps', directory, 'EPROTO', hint, {exitCode: ExitCode.kernel});
}

/** Writes and returns what the program goes by. Routes may have changed while no daemon watched, hence a new generation. */
function settings(maps: Maps, hz: number, timeouts: ConfiguredTimeouts, attention: Attention): Settings {
	const shifts = tickShifts(hz);
	const {routeGeneration, blocksChanged, filter, nics} = settingsOf(maps);
	const value = {
		layoutVersion: Limits.LIMIT_LAYOUT_VERSION,
		flowBucketMask: maps.buckets(4) - 1,
		flow6BucketMask: maps.buckets(6) - 1,
		persistenceBucketMask: maps.persistenceBuckets - 1,
		services: maps.services.raw.maxEntries,
		backends: maps.backends.raw.maxEntries,
		fineShift: shifts.fine,
		coarseShift: shifts.coarse,
		hz,
		routeGeneration: nextGeneration(routeGeneration),
		...attention,
		sharedPerCpu: maps.sharedPerCpu,
		blocksChanged,
		timeouts: flowTimeouts(timeouts, hz),
		filter,
		nics,
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
