import type {Socket} from 'node:net';
import {LineReader} from '../../control/lines.js';

/** A configuration of some thousands of addresses; whoever sends more has gone wrong. */
const MESSAGE_BYTES_MAX = 16 * 1024 * 1024;
/** What may wait for the other end to read it. */
const WAITING_BYTES_MAX = 1024 * 1024;

/** JSON objects over a stream socket, one a line, both ways. */
export class MessageSocket {
	readonly #socket: Socket;
	readonly #lines: LineReader;
	#fault: string | null = null;

	/**
	 * `closed` comes once, last, with a reason for people; `drained` when there is room again that there was none. No message
	 * may have more than `bytesMax` until `admit`.
	 */
	constructor(
		socket: Socket,
		on: {message: (message: object) => void; closed: (why: string) => void; drained?: () => void},
		bytesMax = MESSAGE_BYTES_MAX,
	) {
		this.#socket = socket;
		this.#lines = new LineReader(bytesMax);
		socket.on('data', bytes => {
			// One who talks without end must not keep timers from their time: what follows is read in the loop's next round.
			socket.pause();
			setImmediate(() => socket.resume());
			for (const line of this.#lines.push(bytes) ?? ['']) {
				const message = this.#fault === null ? parse(line) : null;
				if (message === null) return this.close('it does not say one JSON object a line');
				on.message(message);
			}
		});
		socket.on('drain', () => on.drained?.());
		socket.on('error', error => {
			this.#fault ??= error.message;
		});
		socket.once('close', () => on.closed(this.#fault ?? 'the connection ended'));
	}

	/** Who is at the other end is known: its messages may be as long as a configuration. */
	admit(): void {
		this.#lines.bytesMax = MESSAGE_BYTES_MAX;
	}

	/** False: the other end does not read, and nothing was sent. */
	send(message: object): boolean {
		if (this.#socket.writableLength > WAITING_BYTES_MAX) return false;
		if (this.#socket.writable) this.#socket.write(`${JSON.stringify(message)}\n`);
		return true;
	}

	close(why: string): void {
		this.#fault ??= why;
		this.#socket.destroy();
	}

	/** Resolves when the other end has been given everything, or is gone. */
	flush(): Promise<void> {
		return new Promise(resolve => this.#socket.write('', () => resolve()));
	}
}

function parse(line: string): object | null {
	try {
		const value: unknown = JSON.parse(line);
		return typeof value === 'object' ? value : null;
	} catch {
		return null;
	}
}
