import type {Socket} from 'node:net';
import {LineReader} from '../../control/lines.js';

/** A configuration of some thousands of addresses; whoever sends more has gone wrong. */
const MESSAGE_BYTES_MAX = 16 * 1024 * 1024;
/** What may wait for the other end to read it. */
const WAITING_BYTES_MAX = 1024 * 1024;

/** JSON objects over a stream socket, one a line, both ways. */
export class MessageSocket {
	readonly #socket: Socket;
	#fault: string | null = null;

	/** `closed` comes once, last, with a reason for people; `drained` when there is room again that there was none. */
	constructor(
		socket: Socket,
		on: {message: (message: object) => void; closed: (why: string) => void; drained?: () => void},
	) {
		this.#socket = socket;
		const lines = new LineReader(MESSAGE_BYTES_MAX);
		socket.on('data', bytes => {
			for (const line of lines.push(bytes) ?? ['']) {
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
