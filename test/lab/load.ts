/** Load on a balancer, of all kinds at once, and what it felt: the measure of whether anything was lost. */
import {availableParallelism} from 'node:os';
import {setTimeout as pause} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import type {Balancer} from '../../lab/balancer.js';
import {type HeldConnection, inBatches, type Stream} from '../../lab/client.js';
import type {Lab} from '../../lab/lab.js';
import type {Outcome} from '../../lab/protocol.js';
import {monotonicMs} from '../../lab/wait.js';
import {SLOW_BYTES_PER_SECOND} from '../../lab/web-server.js';
import {layoutsIn, openPinned} from '../../src/xdp/load.js';
import {Pins} from '../../src/xdp/pins.js';
import type {PinnedMap} from '../../src/xdp/upgrade.js';

const OBJECT_DIRECTORY = fileURLToPath(new URL('../..', import.meta.url));

/** Connections that are open all the time. */
export const CONNECTIONS = 1000;
const DOWNLOADS = 20;
/** Open connections that are used again and again, after a pause. */
const TALKERS = 20;
const TALK_MS = 200;
const STREAM_MS = 10;

/** What clients and counters have seen of anything but what they should have. */
export interface Harm {
	/** Open connections that another server answered. */
	readonly moved: number;
	readonly reset: number;
	/** Packets of services that went nowhere. */
	readonly lost: number;
	/** New connections without an answer. */
	readonly failed: number;
	/** Persistent clients that were not always served by one server. */
	readonly strayed: number;
	/** Downloads that ended by themselves, or brought less than half of what they should. */
	readonly broken: number;
	/** Connections that are missing in the balancer's counters. Some that were about to be answered at the end may be too many. */
	readonly uncounted: number;
}

/** A time in which something was missing that packets need. */
interface Gap {
	readonly fromMs: number;
	readonly untilMs: number;
	/** Packets. */
	readonly lost: number;
	/** Whether the kernel may have heard packets meanwhile, and reset their connections. */
	readonly resets: boolean;
}

export const NO_HARM: Harm = {moved: 0, reset: 0, lost: 0, failed: 0, strayed: 0, broken: 0, uncounted: 0};

/** Another answer on an open connection, and the first one. */
interface Answer {
	readonly home: string;
	readonly now: Outcome;
}

/** 1,000 open connections, some more that are in use, downloads, and new connections all the time, of clients that come back: the first port is persistent. */
export class Load {
	readonly #lab: Lab;
	readonly #held: readonly HeldConnection[];
	readonly #stream: Stream;
	readonly #downloads: readonly Stream[];
	readonly #before: Counters;
	readonly #talks: readonly Promise<Answer[]>[];
	readonly #gaps: Gap[] = [];
	#over = false;

	private constructor(
		lab: Lab,
		{held, talkers}: Readonly<Record<'held' | 'talkers', readonly HeldConnection[]>>,
		before: Counters,
	) {
		this.#lab = lab;
		this.#held = held;
		this.#before = before;
		this.#talks = talkers.map(connection => this.#talk(connection));
		this.#stream = lab.client.stream({periodMs: STREAM_MS});
		this.#downloads = Array.from({length: DOWNLOADS}, () => lab.client.download({path: '/slow'}));
	}

	/** The open connections are dealt to the ports of the virtual address; all else goes to the first. */
	static async begin(lab: Lab, ports: readonly number[] = [80]): Promise<Load> {
		const before = await countersOf(lab.lb1);
		const held: HeldConnection[] = [];
		for (const port of ports) held.push(...(await lab.client.holdMany(CONNECTIONS / ports.length, {port})));
		return new Load(lab, {held, talkers: await lab.client.holdMany(TALKERS)}, before);
	}

	/**
	 * Takes something away that packets need, and resolves when `act` has found it back. What is under way meanwhile may fail,
	 * and who opens a connection get another home; where the kernel hears packets, downloads are reset. Open connections that
	 * say nothing are to lose nothing.
	 */
	async gap(act: () => Promise<void>, {resets}: Pick<Gap, 'resets'>): Promise<Gap> {
		const before = await countersOf(this.#lab.lb1);
		const fromMs = monotonicMs();
		await act();
		// One a generator: when it has the answer, it has heard of whatever was reset before.
		await Promise.all(this.#held.slice(0, availableParallelism()).map(({ask}) => ask()));
		const untilMs = monotonicMs();
		const {lost} = await countersOf(this.#lab.lb1);
		const gap = {fromMs, untilMs, lost: lost - before.lost, resets};
		this.#gaps.push(gap);
		return gap;
	}

	/** Ends it. */
	async end(): Promise<Harm> {
		this.#over = true;
		const talked = (await Promise.all(this.#talks)).flat();
		const asked = [
			...(await inBatches(this.#held, async ({first, ask}) => ({home: first.body, now: await ask()}))),
			...talked.filter(({now}) => !this.#wasReset(now)),
		];
		const streamed = await this.#stream.stop();
		const downloaded = await Promise.all(this.#downloads.map(download => download.stop()));
		const {lost, connections} = await countersOf(this.#lab.lb1);
		await Promise.all(this.#held.map(connection => connection.close()));
		const failed = streamed.filter(({error}) => error !== null);
		const excused = failed.filter(outcome => this.#isExcused(outcome)).length;
		const expected = CONNECTIONS + TALKERS + DOWNLOADS + streamed.length - excused;
		return {
			moved: asked.filter(({home, now}) => now.error === null && now.body !== home).length,
			reset: asked.filter(({now}) => now.error !== null).length,
			lost: lost - this.#before.lost - sum(this.#gaps.map(gap => gap.lost)),
			failed: failed.length - excused,
			strayed: this.#strayed(streamed),
			broken: downloaded.filter(outcomes => isBroken(outcomes) && !this.#wasReset(outcomes.at(-1))).length,
			uncounted: Math.max(0, expected - (connections - this.#before.connections)),
		};
	}

	/** Until the end, or an error. */
	async #talk({first, ask, close}: HeldConnection): Promise<Answer[]> {
		const answers: Answer[] = [];
		while (!this.#over && (answers.at(-1)?.now.error ?? null) === null) {
			await pause(TALK_MS);
			answers.push({home: first.body, now: await ask()});
		}
		await close();
		return answers;
	}

	/** Whether it was under way in a gap. */
	#isExcused({startedMs, ms}: Outcome): boolean {
		return this.#gaps.some(({fromMs, untilMs}) => startedMs <= untilMs && startedMs + ms >= fromMs);
	}

	/** Whether it was reset in a gap in which that may be. */
	#wasReset(end: Outcome | undefined): boolean {
		if (end?.error !== 'ECONNRESET') return false;
		const endMs = end.startedMs + end.ms;
		return this.#gaps.some(({fromMs, untilMs, resets}) => resets && fromMs <= endMs && endMs <= untilMs);
	}

	/** How many clients have been served by several servers, but for those of who opened a connection in a gap. */
	#strayed(outcomes: readonly Outcome[]): number {
		const homes = new Map<string, string>();
		const strays = new Set<string>();
		for (const outcome of outcomes.toSorted((a, b) => a.startedMs - b.startedMs)) {
			const {from, body, error} = outcome;
			if (this.#isExcused(outcome)) homes.delete(from);
			else if (error === null && (homes.get(from) ?? body) !== body) strays.add(from);
			else if (error === null) homes.set(from, body);
		}
		return strays.size;
	}
}

function isBroken(outcomes: readonly Outcome[]): boolean {
	const end = outcomes.at(-1);
	return end?.error !== 'ABORT_ERR' || end.bytes < ((end.ms / 1000) * SLOW_BYTES_PER_SECOND) / 2;
}

/** Since the maps were made. */
interface Counters {
	readonly lost: number;
	readonly connections: number;
}

/** As they are pinned, whichever version has made them. */
async function countersOf({daemonName}: Balancer): Promise<Counters> {
	const pinned = openPinned(new Pins(daemonName), layoutsIn(OBJECT_DIRECTORY));
	try {
		const verdicts = named(pinned, 'verdicts');
		const drops = [...verdicts.layouts.values('verdict')].filter(([name]) => /^V_(DROP|ANSWER)_/.test(name));
		const {maxEntries: services} = named(pinned, 'services').map;
		const packets = await numbers(verdicts, 'verdicts', 'packets');
		const connections = await numbers(named(pinned, 'traffic'), 'traffic', 'connections');
		return {
			// Of no service is number 0, on each CPU.
			lost: sum(packets.flatMap((counts, at) => (at % services === 0 ? [] : drops.map(([, n]) => counts[Number(n)])))),
			connections: sum(connections.flat()),
		};
	} finally {
		for (const {map} of pinned.values()) map.close();
	}
}

function named(pinned: ReadonlyMap<string, PinnedMap>, name: string): PinnedMap {
	const found = pinned.get(name);
	if (found === undefined) throw new Error(`no map ${name} is pinned`);
	return found;
}

/** The 64-bit numbers in one field of each entry of an array. */
async function numbers({map, layouts}: PinnedMap, name: string, field: string): Promise<number[][]> {
	const shape = layouts.maps.get(name)?.value;
	const fields = shape?.kind === 'struct' ? layouts.fields(shape.name) : [];
	const found = fields.find(one => one.name === field);
	if (found === undefined) throw new Error(`the map ${name} has no ${field}`);
	const {values, count} = await map.dump();
	const view = new DataView(values.buffer, values.byteOffset, values.byteLength);
	return Array.from({length: count}, (_, entry) =>
		Array.from({length: found.shape.size / 8}, (__, n) =>
			Number(view.getBigUint64(entry * map.valueSize + found.offset + 8 * n, true)),
		),
	);
}

function sum(counts: readonly (number | undefined)[]): number {
	return counts.reduce<number>((total, count) => total + (count ?? 0), 0);
}
