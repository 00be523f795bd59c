import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {availableParallelism} from 'node:os';
import {fileURLToPath} from 'node:url';
import {inside} from './namespace.js';
import type {Command, Outcome, Reply, Request} from './protocol.js';
import {clientAddress, clientAddress6, externalVip} from './topology.js';

export interface RequestOptions {
	/** One of the client's own addresses; by default one that was never used before in this laboratory. */
	readonly from?: string | undefined;
	/** Of its own; default: the system's choice. */
	readonly fromPort?: number | undefined;
	/** Default: the external VIP. */
	readonly to?: string;
	readonly port?: number;
	readonly path?: string;
	/** Default 5,000. */
	readonly timeoutMs?: number;
}

export interface BurstOptions extends Omit<RequestOptions, 'from' | 'fromPort'> {
	/** How many connections are open at a time, over all CPUs; default 40. */
	readonly concurrency?: number;
}

export interface StreamOptions extends Omit<RequestOptions, 'from' | 'fromPort'> {
	/** Default 20. */
	readonly periodMs?: number;
	/** Source addresses, used in turn; default 250 that were never used before. */
	readonly from?: readonly string[];
	/** Of their own for successive requests, in turn; default: the system's choice. */
	readonly fromPorts?: readonly number[];
}

const STREAM_TIMEOUT_MS = 900; // below TCP's first retransmission of a SYN (1 s), so that a lost SYN is a lost request
const STREAM_ADDRESSES = 250;
/** By then every test is over. */
const DOWNLOAD_TIMEOUT_MS = 300_000;
/** Connections that are opened, or asked, at a time: of more, the last ones would wait for the generator. */
const AT_ONCE = 50;

interface Pending {
	readonly outcomes: Outcome[];
	readonly resolve: (outcomes: Outcome[]) => void;
	readonly reject: (error: Error) => void;
}

/** One resident generator program. */
class Generator {
	readonly #child: ChildProcess;
	readonly #pending = new Map<number, Pending>();
	#lastId = 0;

	constructor(namespace: string, cpu: number) {
		const file = fileURLToPath(new URL('./generator.js', import.meta.url));
		const argv = [...inside(namespace), 'taskset', '-c', String(cpu), process.execPath, file];
		const [command = '', ...args] = argv;
		this.#child = spawn(command, args, {stdio: ['ignore', 'inherit', 'inherit', 'ipc'], detached: true});
		this.#child.on('message', message => this.#receive(message as Reply));
		this.#child.once('exit', (code, signal) => {
			for (const {reject} of this.#pending.values()) reject(new Error(`traffic generator: exit ${code ?? signal}`));
			this.#pending.clear();
		});
		// An idle generator must not keep the laboratory's program from ending.
		this.#child.unref();
		this.#child.channel?.unref();
	}

	/** Resolves with all outcomes when the generator says that they were the last; `onOutcome` sees each as it comes. */
	call(body: WithoutId<Command>, outcomes: Outcome[] = []): {id: number; done: Promise<Outcome[]>} {
		const id = ++this.#lastId;
		const done = new Promise<Outcome[]>((resolve, reject) => this.#pending.set(id, {outcomes, resolve, reject}));
		this.#child.channel?.ref();
		this.#child.send({...body, id});
		return {id, done};
	}

	/** Ends a stream: when the generator says so, all outcomes have come. */
	async stop(stream: number): Promise<void> {
		await this.call({kind: 'stop', stream}).done;
		const pending = this.#pending.get(stream);
		this.#settle(stream);
		pending?.resolve(pending.outcomes);
	}

	async end(): Promise<void> {
		if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
		this.#child.ref();
		const gone = once(this.#child, 'exit');
		this.#child.disconnect();
		await gone;
	}

	#receive(reply: Reply): void {
		const pending = this.#pending.get(reply.id);
		if (pending === undefined) return;
		pending.outcomes.push(...reply.outcomes);
		if (!reply.last) return;
		this.#settle(reply.id);
		pending.resolve(pending.outcomes);
	}

	#settle(id: number): void {
		this.#pending.delete(id);
		if (this.#pending.size === 0) this.#child.channel?.unref();
	}
}

type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never;

/** A steady stream of requests. */
export interface Stream {
	/** What came back so far, in the order of completion. */
	readonly outcomes: readonly Outcome[];
	/** Ends the stream, waits until no request can be under way any more, and resolves to all outcomes. */
	stop(): Promise<readonly Outcome[]>;
}

/** A connection that stays open. */
export interface HeldConnection {
	readonly from: string;
	/** The answer to the request that opened it. */
	readonly first: Outcome;
	/** Another request on the same connection; ECONNRESET when it is gone. */
	ask(path?: string): Promise<Outcome>;
	close(): Promise<void>;
}

/** All the clients of the world: they live in one namespace and own 198.18.0.0/16. */
export class Client {
	readonly #generators: readonly Generator[];
	#addressesUsed = 0;
	#turn = 0;

	constructor(namespace: string) {
		this.#generators = Array.from({length: availableParallelism()}, (_, cpu) => new Generator(namespace, cpu));
	}

	/** An address that no request came from before, of the family of `to`. */
	freshAddress(to: string = externalVip): string {
		const n = ++this.#addressesUsed;
		return to.includes(':') ? clientAddress6(n) : clientAddress(n);
	}

	/** One request on a connection of its own. Successive calls take the CPUs in turn. */
	async get(options: RequestOptions = {}): Promise<Outcome> {
		const requests = [this.#request(options)];
		return only(await this.#next().call({kind: 'burst', requests, concurrency: 1}).done);
	}

	/** `count` requests from distinct clients, each after the answer to the one before. */
	async sequence(count: number, options: Omit<RequestOptions, 'from'> = {}): Promise<Outcome[]> {
		const outcomes: Outcome[] = [];
		for (let n = 0; n < count; n++) outcomes.push(await this.get(options));
		return outcomes;
	}

	/** `count` requests from distinct clients at once, spread evenly over the CPUs. */
	async burst(count: number, options: BurstOptions = {}): Promise<Outcome[]> {
		const requests = Array.from({length: count}, () => this.#request(options));
		const shares = this.#generators.map((_, share) => requests.filter((_, n) => n % this.#generators.length === share));
		const concurrency = Math.max(1, Math.round((options.concurrency ?? 40) / shares.length));
		const calls = this.#generators.map(
			(generator, n) => generator.call({kind: 'burst', requests: shares[n] ?? [], concurrency}).done,
		);
		return (await Promise.all(calls)).flat();
	}

	/** A new connection every `periodMs`: shows an interruption with that resolution. */
	stream(options: StreamOptions = {}): Stream {
		const from = options.from ?? Array.from({length: STREAM_ADDRESSES}, () => this.freshAddress(options.to));
		const timeoutMs = options.timeoutMs ?? STREAM_TIMEOUT_MS;
		const requests = (options.fromPorts ?? from).map((_, n) =>
			this.#request({...options, timeoutMs, from: from[n % from.length], fromPort: options.fromPorts?.[n]}),
		);
		return this.#stream({kind: 'stream', requests, periodMs: options.periodMs ?? 20});
	}

	/** A datagram every `periodMs`, all of one flow. */
	datagrams(options: Omit<StreamOptions, 'from'>): Stream {
		const request = this.#request({timeoutMs: STREAM_TIMEOUT_MS, ...options});
		return this.#stream({kind: 'datagrams', request, periodMs: options.periodMs ?? 20});
	}

	/** A request whose answer takes its time: the outcomes say how far it was when a piece came, the last one how it ended. */
	download(options: RequestOptions = {}): Stream {
		return this.#stream({kind: 'download', request: this.#request({timeoutMs: DOWNLOAD_TIMEOUT_MS, ...options})});
	}

	#stream(command: WithoutId<Command>): Stream {
		const generator = this.#next();
		const outcomes: Outcome[] = [];
		const {id, done} = generator.call(command, outcomes);
		// Who never stops the stream does not want to hear that the laboratory ended it.
		done.catch(() => {});
		const stop = async () => {
			await generator.stop(id);
			return done;
		};
		return {outcomes, stop};
	}

	/** Opens a connection with one request and keeps it. */
	async hold(options: RequestOptions = {}): Promise<HeldConnection> {
		const generator = this.#next();
		const request = this.#request(options);
		const {id: connection, done} = generator.call({kind: 'hold', request});
		const first = only(await done);
		return {
			from: request.from,
			first,
			ask: async (path = request.path) =>
				only(await generator.call({kind: 'ask', connection, request: {...request, path}}).done),
			close: async () => void (await generator.call({kind: 'close', connection}).done),
		};
	}

	/** Opens many. */
	async holdMany(count: number, options: RequestOptions = {}): Promise<HeldConnection[]> {
		return inBatches(Array.from({length: count}), () => this.hold(options));
	}

	async end(): Promise<void> {
		await Promise.all(this.#generators.map(generator => generator.end()));
	}

	#next(): Generator {
		const generator = this.#generators[this.#turn++ % this.#generators.length];
		if (generator === undefined) throw new Error('no CPU to generate traffic on');
		return generator;
	}

	#request(options: RequestOptions): Request {
		return {
			from: options.from ?? this.freshAddress(options.to),
			fromPort: options.fromPort,
			to: options.to ?? externalVip,
			port: options.port ?? 80,
			path: options.path ?? '/',
			timeoutMs: options.timeoutMs ?? 5000,
		};
	}
}

/** Does something with connections, not with all of them at once; resolves to what came of it, in their order. */
export async function inBatches<One, Result>(
	all: readonly One[],
	act: (one: One) => Promise<Result>,
): Promise<Result[]> {
	const results: Result[] = [];
	for (let at = 0; at < all.length; at += AT_ONCE)
		results.push(...(await Promise.all(all.slice(at, at + AT_ONCE).map(act))));
	return results;
}

function only(outcomes: readonly Outcome[]): Outcome {
	const [outcome] = outcomes;
	if (outcome === undefined) throw new Error('the traffic generator reported nothing');
	return outcome;
}
