/** What the laboratory and a traffic generator inside the client's namespace say to each other, over Node's IPC channel. */

export interface Request {
	readonly from: string;
	/** Of its own; default: the system's choice. */
	readonly fromPort?: number | undefined;
	readonly to: string;
	readonly port: number;
	readonly path: string;
	readonly timeoutMs: number;
}

/** How one HTTP request went, or a datagram: then an answer is status 200. */
export interface Outcome {
	readonly from: string;
	/** null when no answer came. */
	readonly status: number | null;
	/** The first line of the body: the laboratory's web servers answer with their name. */
	readonly body: string;
	readonly bytes: number;
	/** Of the kernel (ECONNREFUSED, ECONNRESET, …), ETIMEDOUT, or ABORT_ERR of a download that was stopped; null when an answer came. */
	readonly error: string | null;
	/** CLOCK_MONOTONIC, see `monotonicMs`. */
	readonly startedMs: number;
	/** Until the answer was complete, or failed. */
	readonly ms: number;
	/** The longest time in it in which nothing came, and when that began. */
	readonly stall: {readonly startedMs: number; readonly ms: number};
}

export type Command =
	/** Each on a connection of its own, at most `concurrency` at a time. */
	| {readonly kind: 'burst'; readonly id: number; readonly requests: readonly Request[]; readonly concurrency: number}
	/** One of `requests` every `periodMs`, in turn and each on a connection of its own, until `stop`. */
	| {readonly kind: 'stream'; readonly id: number; readonly requests: readonly Request[]; readonly periodMs: number}
	/** A datagram every `periodMs`, all of one flow, until `stop`; the port of its own is the system's choice. */
	| {readonly kind: 'datagrams'; readonly id: number; readonly request: Request; readonly periodMs: number}
	/** One request whose answer takes its time: reports how far it is at each piece that comes, until its end or `stop`. */
	| {readonly kind: 'download'; readonly id: number; readonly request: Request}
	| {readonly kind: 'stop'; readonly id: number; readonly stream: number}
	/** A connection that stays; `ask` uses it again, `close` ends it. */
	| {readonly kind: 'hold'; readonly id: number; readonly request: Request}
	| {readonly kind: 'ask'; readonly id: number; readonly connection: number; readonly request: Request}
	| {readonly kind: 'close'; readonly id: number; readonly connection: number};

export interface Reply {
	readonly id: number;
	readonly outcomes: readonly Outcome[];
	/** False for the outcomes that a stream reports as they come. */
	readonly last: boolean;
}
