/**
 * The data plane as lbd-sync uses it, through the pins and beside the daemon: what there is to tell peers, and taking what
 * they tell. Flows are handed on as records (struct flow_copy of bpf/maps.h), words of a buffer that is used again; nothing
 * here makes an object for a flow.
 */
import {BpfProgram} from 'libbpf-ts';
import {addressLength, type Family} from '../net/address.js';
import {viewOf} from '../net/bytes.js';
import {Ages, type Entry, SHAPES, type Shape, stateIn, visitEntries} from './flows.js';
import {
	type Backend,
	BackendState,
	CopyFate,
	CopyFlag,
	FlowShift,
	FlowState,
	type Service,
	type Settings,
	sharedFlow,
	shareHead,
	ticket as ticketCodec,
} from './layout.gen.js';
import {sharedFlow6} from './layout6.gen.js';
import {openPinnedMaps, readClock} from './load.js';
import {type ByFamily, FLOW_SIZES, type Maps} from './maps.js';
import {Pins} from './pins.js';
import {settingsOf} from './read.js';

/** Gets a record: its words begin at `at`, and are valid during the call. */
export type Emit = (words: Uint32Array, at: number) => void;

/** What became of copies, by enum copy_fate. */
export interface Fates {
	readonly taken: number;
	readonly known: number;
	readonly refused: number;
	readonly strange: number;
}

/** Backends, services and NICs that are in use. */
export interface Names {
	readonly backends: ReadonlyMap<number, Backend>;
	readonly services: ReadonlyMap<number, Service>;
	/** Interface indexes by NIC slot. */
	readonly nics: ReadonlyMap<number, number>;
}

/** Bytes of a flow's record. */
const FLOW_BYTES: ByFamily<number> = {4: sharedFlow.size, 6: sharedFlow6.size};
/** Entries of a ring that are copied out at a time. */
const NEWS_CHUNK = 1024;
/** Buckets of a flow table, likewise. */
const SCAN_CHUNK = 1024;
/** Before the records in the frame of a test run: their number. */
const COUNT_BYTES = 8;
/** The least that a test run takes. */
const FRAME_BYTES_MIN = 64;
const COPY_IN_HIGH = FlowShift.FLOW_COPY_SHIFT - 32;
const STATE_IN_HIGH = FlowShift.FLOW_STATE_SHIFT - 32;
const FLAGS_IN_HIGH = 24;
/** A bit for each state whose flows are over, as FLOW_DEAD_STATES of bpf/flow_table.h. They are remembered for a while. */
const DEAD_STATES =
	(1 << FlowState.FLOW_TIME_WAIT) | (1 << FlowState.FLOW_CLOSED) | (1 << FlowState.FLOW_ONE_SIDED_CLOSE_WAIT);
/** Those that a round of all flows tells of. */
const LASTING_STATES =
	(1 << FlowState.FLOW_ESTABLISHED) |
	(1 << FlowState.FLOW_FIN_WAIT) |
	(1 << FlowState.FLOW_CLOSE_WAIT) |
	(1 << FlowState.FLOW_UDP_BOTH_WAYS) |
	(1 << FlowState.FLOW_ONE_SIDED_ESTABLISHED) |
	(1 << FlowState.FLOW_ONE_SIDED_CLOSE_WAIT);

/** The programs that take copies, of each family, and the reader of jiffies. */
export interface SharingPrograms {
	readonly takeFlows: ByFamily<BpfProgram>;
	readonly takeClients: ByFamily<BpfProgram>;
	readonly clock: BpfProgram;
}

export class SharingPlane {
	readonly #maps: Maps;
	readonly #programs: SharingPrograms;
	readonly #news: ByFamily<News>;
	#settings: Settings;

	/** What a daemon has pinned. Throws KernelError if it is not of this version's layout. */
	static open(name: string): SharingPlane {
		const pins = new Pins(name);
		const program = (of: string): BpfProgram => BpfProgram.openPinned(pins.program(of));
		return new SharingPlane(openPinnedMaps(pins), {
			takeFlows: {4: program('take_flows4'), 6: program('take_flows6')},
			takeClients: {4: program('take_clients4'), 6: program('take_clients6')},
			clock: program('read_clock'),
		});
	}

	constructor(maps: Maps, programs: SharingPrograms) {
		this.#maps = maps;
		this.#programs = programs;
		this.#settings = settingsOf(maps);
		this.#news = {4: new News(maps, 4), 6: new News(maps, 6)};
	}

	/** Follows what the daemon may have changed: timeouts, above all. */
	refresh(): void {
		this.#settings = settingsOf(this.#maps);
	}

	/** Coarse clock and timeouts of this moment. */
	#ages(): Moment {
		return new Moment(this.#settings, readClock(this.#programs.clock).jiffies);
	}

	/** Hands on what the program has noted of flows since the last time. Returns how many were overwritten before. */
	drainNews(family: Family, emit: Emit): number {
		return this.#news[family].drain(() => this.#ages(), emit);
	}

	/** Slots of a flow table. */
	slots(family: Family): number {
		return this.#maps.slots(family);
	}

	/**
	 * Hands on our own lasting flows among a stretch of slots; or everything: copies of peers' flows too, and what has ended
	 * and is not forgotten yet. Returns where to go on.
	 */
	scanFlows(family: Family, from: number, options: {everything: boolean; slots: number}, emit: Emit): number {
		const {bucket, slot} = FLOW_SIZES[family];
		const memory = this.#maps.flows[family];
		const moment = this.#ages();
		const end = Math.min(memory.size, (from + options.slots) * slot);
		const buffer = new Uint8Array(Math.min(SCAN_CHUNK * bucket, end - from * slot));
		let at = from * slot;
		for (; at < end; at += buffer.length) {
			const part = buffer.subarray(0, Math.min(buffer.length, end - at));
			memory.copy(at, part);
			scanSlots(new Uint32Array(part.buffer, 0, part.length / 4), SHAPES[family], moment, options.everything, emit);
		}
		return end / slot;
	}

	/** The persistence entries that hold, as struct client_copy, one behind the other. */
	clients(family: Family): Uint8Array {
		const entries: Entry[] = [];
		const {jiffies} = readClock(this.#programs.clock);
		visitEntries(this.#maps.persistence, this.#settings, jiffies, (_, read) => entries.push(read()), [family]);
		const {hz, coarseShift} = this.#settings;
		const address = addressLength(family);
		const records = new Uint8Array(entries.length * (address + 8));
		const view = viewOf(records);
		for (const [n, {client, leftJiffies, backend}] of entries.entries()) {
			const at = n * (address + 8);
			records.set(client, at);
			// Until its last tick begins, so that it ends in the same one at the peer, and does not live on by being told to and fro.
			const left = Math.max(0, leftJiffies - 2 ** coarseShift);
			view.setUint32(at + address, Math.min(0xffff_ffff, (left * 1000) / hz), true);
			view.setUint16(at + address + 4, backend, true);
		}
		return records;
	}

	/** Takes records of flows whose numbers of backends and NICs are ours. */
	takeFlows(family: Family, records: Uint8Array, count: number): Fates {
		return take(this.#programs.takeFlows[family], records, count);
	}

	/** Likewise of persistence entries. */
	takeClients(family: Family, records: Uint8Array, count: number): Fates {
		return take(this.#programs.takeClients[family], records, count);
	}

	async names(): Promise<Names> {
		const {backends, services} = this.#maps;
		return {
			backends: new Map(
				[...(await backends.readUsed())].filter(([, {state}]) => state !== BackendState.BACKEND_UNUSED),
			),
			services: new Map([...(await services.readUsed())].filter(([, {proto}]) => proto !== 0)),
			nics: new Map(settingsOf(this.#maps).nics.map(({ifindex}, slot) => [slot, ifindex])),
		};
	}

	/** The next ticket of a service's turn. */
	ticket(service: number): bigint {
		return this.#maps.ticket(service);
	}

	/** Moves the turn of a service on. */
	setTicket(service: number, next: bigint): void {
		const key = new Uint8Array(4);
		viewOf(key).setUint32(0, service, true);
		const value = new Uint8Array(ticketCodec.size);
		viewOf(value).setBigUint64(0, next, true);
		this.#maps.all().get('tickets')?.update(key, value);
	}

	/** The shortest time without a packet, in seconds, after which a flow in a lasting state is gone. */
	shortestTimeoutS(): number {
		const {timeouts, coarseShift, hz} = this.#settings;
		const ticks = timeouts.ticks.filter((limit, state) => limit > 0 && (LASTING_STATES >> state) & 1);
		return (Math.min(...ticks) * 2 ** coarseShift) / hz;
	}

	close(): void {
		const {takeFlows, takeClients, clock} = this.#programs;
		for (const program of [takeFlows[4], takeFlows[6], takeClients[4], takeClients[6], clock]) program.close();
		this.#maps.close();
	}
}

/** What ages are counted from. */
class Moment extends Ages {
	readonly #tickMs: number;

	constructor(settings: Settings, jiffies: bigint) {
		super(settings, jiffies);
		this.#tickMs = (2 ** settings.coarseShift * 1000) / settings.hz;
	}

	/** Of a flow in a state that peers are told of. */
	ms(state: number, stamp: number): number {
		return Math.max(0, this.ticks(state, stamp)) * this.#tickMs;
	}
}

/** Turns a slot's words into a record where they are. */
function toRecord(words: Uint32Array, at: number, {stamp, state: high}: Shape, moment: Moment, flags: number): void {
	const before = words[at + high] ?? 0;
	const state = stateIn(before);
	words[at + stamp] = moment.ms(state, words[at + stamp] ?? 0);
	words[at + high] = (before & 0xffff) | (state << STATE_IN_HIGH) | (flags << FLAGS_IN_HIGH);
}

function scanSlots(words: Uint32Array, shape: Shape, moment: Moment, everything: boolean, emit: Emit): void {
	const states = everything ? LASTING_STATES | DEAD_STATES : LASTING_STATES;
	for (let at = 0; at < words.length; at += shape.slot) {
		const high = words[at + shape.state] ?? 0;
		const state = stateIn(high);
		if (!((states >> state) & 1) || (!everything && (high >> COPY_IN_HIGH) & 1)) continue;
		if (moment.ticks(state, words[at + shape.stamp] ?? 0) >= moment.limit(state)) continue;
		toRecord(words, at, shape, moment, 0);
		emit(words, at);
	}
}

/**
 * Reads the rings of one family: see struct shared_flow of bpf/maps.h. Numbers of entries count modulo 2^32.
 *
 * What opens on one CPU may end on another, and rings have no order between them. So endings are handed on last, those of
 * a moment after which all rings are looked at once more for what has opened: whatever has ended had opened by then. What
 * opened between both looks is handed on again the next time.
 */
class News {
	readonly #maps: Maps;
	readonly #family: Family;
	readonly #bytes: number;
	readonly #ring: number;
	/** At the first look and at the second. */
	readonly #heads: Uint8Array;
	readonly #later: Uint8Array;
	/** What was read of each CPU. */
	readonly #read: Uint32Array;
	readonly #buffer: Uint8Array;
	/** Records of what has ended, one behind the other, in words. */
	#ended: Uint32Array;
	#endedWords = 0;

	/** Goes on where the last reader stopped, so that what was noted while nobody read is told, or counted as overwritten. */
	constructor(maps: Maps, family: Family) {
		this.#maps = maps;
		this.#family = family;
		this.#bytes = FLOW_BYTES[family];
		this.#ring = maps.sharedPerCpu;
		this.#heads = new Uint8Array(maps.shareHeads[family].size);
		this.#later = new Uint8Array(this.#heads.length);
		this.#buffer = new Uint8Array(NEWS_CHUNK * this.#bytes);
		this.#ended = new Uint32Array(this.#buffer.length / 4);
		maps.shareHeads[family].copy(0, this.#heads);
		const cpus = this.#heads.length / shareHead.size;
		this.#read = Uint32Array.from({length: cpus}, (_, cpu) => viewOf(this.#heads).getUint32(readAt(cpu), true));
	}

	drain(moment: () => Moment, emit: Emit): number {
		const heads = this.#maps.shareHeads[this.#family];
		heads.copy(0, this.#heads);
		heads.copy(0, this.#later);
		let now: Moment | null = null;
		let lost = 0;
		for (let cpu = 0; cpu < this.#read.length; cpu++) {
			if (headIn(this.#later, cpu) === this.#read[cpu]) continue;
			now ??= moment();
			lost += this.#drainRing(cpu, now, emit);
		}
		this.#emitEnded(emit);
		return lost;
	}

	#drainRing(cpu: number, moment: Moment, emit: Emit): number {
		const [head, later] = [headIn(this.#heads, cpu), headIn(this.#later, cpu)];
		let next = this.#read[cpu] ?? 0;
		let lost = Math.max(0, ((head - next) >>> 0) - this.#ring);
		next = (next + lost) >>> 0;
		while (next !== later) {
			const place = next % this.#ring;
			const count = Math.min((later - next) >>> 0, NEWS_CHUNK, this.#ring - place);
			this.#maps.sharedFlows[this.#family].copy(
				(cpu * this.#ring + place) * this.#bytes,
				this.#buffer.subarray(0, count * this.#bytes),
			);
			const overwritten = Math.min(count, this.#overwritten(cpu, next));
			const settled = Math.max(0, (head - next) | 0);
			this.#tell({from: overwritten, settled, to: count}, moment, emit);
			lost += Math.min(overwritten, settled);
			next = (next + count) >>> 0;
		}
		this.#read[cpu] = head;
		this.#maps.shareHeads[this.#family].setU64(readAt(cpu), BigInt(head));
		return lost;
	}

	/** How many entries from one on may have been overwritten by now; the one that is being written counts. */
	#overwritten(cpu: number, from: number): number {
		const head = this.#maps.shareHeads[this.#family].u32(cpu * shareHead.size);
		return Math.max(0, ((head - from) >>> 0) - this.#ring + 1);
	}

	/** Hands on what has opened among some entries of the buffer, and keeps what has ended among those before `settled`. */
	#tell({from, settled, to}: {from: number; settled: number; to: number}, moment: Moment, emit: Emit): void {
		const words = new Uint32Array(this.#buffer.buffer);
		const shape = SHAPES[this.#family];
		const stride = this.#bytes / 4;
		for (let n = from; n < to; n++) {
			const at = n * stride;
			const isOver = (DEAD_STATES >> stateIn(words[at + shape.state] ?? 0)) & 1;
			if (isOver && n >= settled) continue;
			toRecord(words, at, shape, moment, isOver ? 0 : CopyFlag.COPY_OPENED);
			if (isOver) this.#keepEnded(words.subarray(at, at + stride));
			else emit(words, at);
		}
	}

	#keepEnded(record: Uint32Array): void {
		const {length} = this.#ended;
		if (this.#endedWords === length) {
			const more = new Uint32Array(2 * length);
			more.set(this.#ended);
			this.#ended = more;
		}
		this.#ended.set(record, this.#endedWords);
		this.#endedWords += record.length;
	}

	#emitEnded(emit: Emit): void {
		for (let at = 0; at < this.#endedWords; at += this.#bytes / 4) emit(this.#ended, at);
		this.#endedWords = 0;
	}
}

/** How many entries a CPU has written, by a copy of the heads. */
function headIn(heads: Uint8Array, cpu: number): number {
	return viewOf(heads).getUint32(cpu * shareHead.size, true);
}

/** Where the head of a CPU says how many of its entries were read. */
function readAt(cpu: number): number {
	return cpu * shareHead.size + 8;
}

function take(program: BpfProgram, records: Uint8Array, count: number): Fates {
	const frame = new Uint8Array(Math.max(FRAME_BYTES_MIN, COUNT_BYTES + records.length));
	viewOf(frame).setUint32(0, count, true);
	frame.set(records, COUNT_BYTES);
	const {retval} = program.testRun({data: frame, outSize: 0});
	const met = (fate: CopyFate): number => (retval >>> (8 * fate)) & 0xff;
	return {
		taken: met(CopyFate.COPY_TAKEN),
		known: met(CopyFate.COPY_KNOWN),
		refused: met(CopyFate.COPY_REFUSED),
		strange: met(CopyFate.COPY_STRANGE),
	};
}
