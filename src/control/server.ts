import {createServer, type Socket} from 'node:net';
import {ControlError, ExitCode} from '../errors.js';
import type {Cancel, Clock} from '../host/host.js';
import type {Log} from '../log.js';
import {LineReader} from './lines.js';
import {listenPrivately} from './private-socket.js';
import {
	type CallName,
	type CallResult,
	type Params,
	parseParams,
	parseRequest,
	REQUEST_BYTES_MAX,
	type Request,
	type Response,
} from './protocol.js';

/** More connections than operators and exporters ever need; one more is closed at once. */
const CONNECTIONS_MAX = 32;
/** How long a client may take to send a request, and to take its answer. */
const PATIENCE_US = 10_000_000;
/** How long a refused client may take to read why. */
const LINGER_US = 1_000_000;

/** What the daemon does for each call. A thrown ControlError reaches the client as it is. */
export type Handlers = {
	readonly [C in CallName]: (params: Params<C>) => CallResult<C> | Promise<CallResult<C>>;
};

export interface ControlServer {
	/** Stops listening, removes the socket, ends all connections. */
	close(): Promise<void>;
}

/**
 * Answers lbctl on the unix socket `path`, which root alone may open. Must be called under the name's lock (lock.ts):
 * a socket that is found there was left behind by a daemon that died.
 */
export async function serveControl(options: {
	readonly path: string;
	readonly clock: Clock;
	readonly log: Log;
	readonly handlers: Handlers;
}): Promise<ControlServer> {
	const {path, clock, log, handlers} = options;
	const connections = new Set<Connection>();
	const server = createServer(socket => {
		const connection = new Connection(socket, clock, log, handlers);
		connections.add(connection);
		socket.once('close', () => connections.delete(connection));
	});
	server.maxConnections = CONNECTIONS_MAX;
	await listenPrivately(server, 'control socket', path);
	server.on('error', error => log.error({error: error.message}, 'control socket'));
	return {
		close: () =>
			new Promise(resolve => {
				// Node removes the socket file when it closes a server that listens on one.
				server.close(() => resolve());
				for (const connection of connections) connection.end();
			}),
	};
}

/** One client: reads a request, answers it, reads the next. Ends itself when the client is slow or talks nonsense. */
class Connection {
	readonly #socket: Socket;
	readonly #clock: Clock;
	readonly #log: Log;
	readonly #handlers: Handlers;
	readonly #lines = new LineReader(REQUEST_BYTES_MAX);
	readonly #requests: string[] = [];
	#answering = false;
	#refused = false;
	#cancelDeadline: Cancel;

	constructor(socket: Socket, clock: Clock, log: Log, handlers: Handlers) {
		this.#socket = socket;
		this.#clock = clock;
		this.#log = log;
		this.#handlers = handlers;
		this.#cancelDeadline = this.#deadline();
		socket.on('data', bytes => this.#onBytes(bytes));
		socket.on('error', error => log.debug({error: error.message}, 'control client gone'));
		socket.once('close', () => this.#cancelDeadline());
	}

	end(): void {
		this.#socket.destroy();
	}

	#deadline(): Cancel {
		return this.#clock.after(PATIENCE_US, 'control client', () => {
			this.#refuse('timeout', `no complete request within ${PATIENCE_US / 1_000_000} s`);
		});
	}

	#onBytes(bytes: Uint8Array): void {
		if (this.#refused) return;
		const lines = this.#lines.push(bytes);
		if (lines === null) {
			this.#refuse('too-long', `a request has ${REQUEST_BYTES_MAX} bytes at most`);
			return;
		}
		this.#requests.push(...lines);
		if (!this.#answering) void this.#answerAll();
	}

	/** One request at a time; the socket is not read meanwhile, so a client cannot pile up work. */
	async #answerAll(): Promise<void> {
		this.#answering = true;
		this.#socket.pause();
		for (let line = this.#requests.shift(); line !== undefined; line = this.#requests.shift()) {
			this.#cancelDeadline();
			const response = await this.#answer(line);
			if (this.#refused || this.#socket.destroyed) return;
			this.#cancelDeadline = this.#deadline();
			await this.#send(response);
			if (this.#refused) return;
		}
		this.#answering = false;
		this.#socket.resume();
	}

	async #answer(line: string): Promise<Response> {
		const parsed = parseRequest(line);
		if (!parsed.ok) return refusal(null, 'bad-request', parsed.text);
		const {id, call, params} = parsed.request;
		if (!this.#isCall(call)) {
			const known = Object.keys(this.#handlers).join(', ');
			return refusal(id, 'unknown-call', `no call "${call}" (this daemon knows ${known}; is lbctl newer?)`);
		}
		return this.#perform(call, {id, call, params});
	}

	#isCall(call: string): call is CallName {
		return Object.hasOwn(this.#handlers, call);
	}

	async #perform(call: CallName, {id, params}: Request): Promise<Response> {
		try {
			return {id, result: await this.#handle(call, params)};
		} catch (error) {
			if (error instanceof ControlError) return refusal(id, error.code, error.message, error.exitCode);
			this.#log.error({call, error: String(error)}, 'control call failed');
			return refusal(id, 'failed', `${call}: ${String(error)} (the daemon's log may say more)`);
		}
	}

	async #handle<C extends CallName>(call: C, params: unknown): Promise<CallResult<C>> {
		return this.#handlers[call](parseParams(call, params));
	}

	/** Resolves when the client has taken the bytes or is gone. */
	#send(response: Response): Promise<void> {
		return new Promise(resolve => {
			this.#socket.once('close', resolve);
			this.#socket.write(`${JSON.stringify(response)}\n`, () => {
				this.#socket.off('close', resolve);
				resolve();
			});
		});
	}

	/** Says why, then lingers: closing with bytes unread would take the sentence away from the client again. */
	#refuse(code: string, text: string): void {
		this.#refused = true;
		this.#cancelDeadline();
		this.#cancelDeadline = this.#clock.after(LINGER_US, 'control client refused', () => this.#socket.destroy());
		this.#socket.end(`${JSON.stringify(refusal(null, code, text))}\n`);
		this.#socket.resume();
	}
}

function refusal(id: number | null, code: string, text: string, exitCode: ExitCode = ExitCode.failure): Response {
	return {id, error: {code, text, exitCode}};
}
