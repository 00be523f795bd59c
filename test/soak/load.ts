/** Clients of all kinds at once, and what they did not like. */
import {setTimeout as pause} from 'node:timers/promises';
import {type HeldConnection, inBatches, type Stream} from '../../lab/client.js';
import type {Lab} from '../../lab/lab.js';
import type {Outcome} from '../../lab/protocol.js';
import {DATAGRAM_PORT} from './configuration.js';
import {downloadTroubles, heldTroubles, moves, streamTroubles, type Trouble, type Who} from './judge.js';

export interface LoadSize {
	readonly held: number;
	/** One download after the other for each, of so many milliseconds. */
	readonly downloadsMs: readonly number[];
}

const STREAM_PERIOD_MS = 20;
const PERSISTENT_PERIOD_MS = 100;
/** Each is used again after 100 s, when the client's kernel has forgotten its connection before: so should balancers have. */
const PERSISTENT_PORTS = Array.from({length: 1000}, (_, n) => 10_000 + n);
/** Longer than three attempts of TCP: what takes longer is lost. */
const REQUEST_MS = 4000;
/** A connection survives any outage that is allowed. */
const HELD_MS = 20_000;
/** Between two questions to held connections while something happens. */
const QUESTION_MS = 40;
/** A server that refuses is asked again after this. */
const REFUSED_MS = 200;

/** How much was asked for, by kind. */
export type Counts = Record<Who, number>;

export interface LoadReport {
	readonly troubles: readonly Trouble[];
	/** All requests of the stream, for the worst gap. */
	readonly stream: readonly Outcome[];
}

/** The part of a stream that nobody has looked at yet. */
class Unseen {
	readonly stream: Stream;
	#seen = 0;

	constructor(stream: Stream) {
		this.stream = stream;
	}

	take(): Outcome[] {
		const unseen = this.stream.outcomes.slice(this.#seen);
		this.#seen += unseen.length;
		return unseen;
	}
}

export class Load {
	readonly counts: Counts = {stream: 0, 'persistent client': 0, datagrams: 0, download: 0, 'held connection': 0};
	readonly #lab: Lab;
	readonly #stream: Unseen;
	readonly #persistent: Unseen;
	readonly #datagrams: Unseen;
	readonly #held: HeldConnection[] = [];
	/** Who waits for an answer, or is gone and about to be replaced. */
	readonly #asked = new Set<HeldConnection>();
	readonly #downloads: Outcome[] = [];
	readonly #answers: {readonly first: Outcome; readonly now: Outcome}[] = [];
	readonly #work: Promise<void>[] = [];
	readonly #homes: {persistent: string; datagrams: string};
	#over = false;

	private constructor(
		lab: Lab,
		homes: {persistent: string; datagrams: string},
		streams: readonly [Unseen, Unseen, Unseen],
	) {
		this.#lab = lab;
		this.#homes = homes;
		[this.#stream, this.#persistent, this.#datagrams] = streams;
	}

	/** Resolves when all clients are there. */
	static async begin(lab: Lab, size: LoadSize): Promise<Load> {
		const {client} = lab;
		const from = client.freshAddress();
		const home = (await client.get({from})).body;
		const streams = [
			new Unseen(client.stream({periodMs: STREAM_PERIOD_MS, timeoutMs: REQUEST_MS})),
			new Unseen(
				client.stream({
					periodMs: PERSISTENT_PERIOD_MS,
					timeoutMs: REQUEST_MS,
					from: [from],
					fromPorts: PERSISTENT_PORTS,
				}),
			),
			new Unseen(client.datagrams({periodMs: STREAM_PERIOD_MS, port: DATAGRAM_PORT})),
		] as const;
		const load = new Load(lab, {persistent: home, datagrams: ''}, streams);
		load.#held.push(...(await client.holdMany(size.held, {timeoutMs: HELD_MS})));
		load.#work.push(load.#askAround());
		for (const ms of size.downloadsMs) load.#work.push(load.#download(client.freshAddress(), ms));
		// If the laboratory ends before them, whoever has ended it knows why.
		for (const work of load.#work) work.catch(() => {});
		return load;
	}

	get held(): number {
		return this.#held.length;
	}

	/** What clients felt since the last look, after every held connection was asked. `latenessMs`: the machine's, since then. */
	async look(latenessMs: number): Promise<LoadReport> {
		await this.#askAll();
		const [stream, persistent, datagrams] = [this.#stream.take(), this.#persistent.take(), this.#datagrams.take()];
		const answers = this.#answers.splice(0);
		const downloads = this.#downloads.splice(0);
		const home = moves('persistent client', persistent, this.#homes.persistent);
		const first = datagrams.find(({status}) => status === 200)?.body ?? '';
		const peer = moves('datagrams', datagrams, this.#homes.datagrams || first);
		Object.assign(this.#homes, {persistent: home.home, datagrams: peer.home});
		this.counts.stream += stream.length;
		this.counts['persistent client'] += persistent.length;
		this.counts.datagrams += datagrams.length;
		this.counts.download += downloads.length;
		this.counts['held connection'] += answers.length;
		const troubles = [
			...streamTroubles('stream', stream, latenessMs),
			...streamTroubles('persistent client', persistent, latenessMs),
			...streamTroubles('datagrams', datagrams, latenessMs),
			...home.troubles,
			...peer.troubles,
			...downloads.flatMap(outcome => downloadTroubles(outcome, latenessMs)),
			...answers.flatMap(({first, now}) => heldTroubles(first, now, latenessMs)),
		];
		await this.#replace(answers.filter(({now}) => now.error !== null).map(({first}) => first));
		return {troubles, stream};
	}

	/** Lets downloads come to their end, and stops everything else. */
	async end(): Promise<void> {
		this.#over = true;
		await Promise.all(this.#work);
	}

	/** Ends the streams; a last look comes before. */
	async leave(): Promise<void> {
		await Promise.all([this.#stream, this.#persistent, this.#datagrams].map(({stream}) => stream.stop()));
	}

	async #download(from: string, timeoutMs: number): Promise<void> {
		while (!this.#over) {
			const outcome = await this.#lab.client.get({from, path: '/slow', timeoutMs});
			this.#downloads.push(outcome);
			if (outcome.error !== 'ETIMEDOUT') await pause(REFUSED_MS);
		}
	}

	async #askAround(): Promise<void> {
		for (let turn = 0; !this.#over; turn++) {
			const connection = this.#held[turn % this.#held.length];
			if (connection !== undefined) void this.#ask(connection);
			await pause(QUESTION_MS);
		}
	}

	async #askAll(): Promise<void> {
		await inBatches(this.#held, connection => this.#ask(connection));
	}

	/** One question at a time, and none after the one that had no answer. */
	async #ask(connection: HeldConnection): Promise<void> {
		if (this.#asked.has(connection)) return;
		this.#asked.add(connection);
		const now = await connection.ask();
		this.#answers.push({first: connection.first, now});
		if (now.error === null) this.#asked.delete(connection);
	}

	async #replace(lost: readonly Outcome[]): Promise<void> {
		for (const from of new Set(lost.map(({from}) => from))) {
			const at = this.#held.findIndex(connection => connection.from === from);
			const gone = this.#held[at];
			await gone?.close();
			this.#held[at] = await this.#lab.client.hold({from, timeoutMs: HELD_MS});
			if (gone !== undefined) this.#asked.delete(gone);
		}
	}
}
