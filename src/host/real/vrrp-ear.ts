import {createServer, type Socket} from 'node:net';
import {listenPrivately} from '../../control/private-socket.js';
import {MessageSocket} from './message-socket.js';

/** A daemon, and others that root has let in by mistake. */
const CONNECTIONS_MAX = 4;
/** How long one who has connected may take to say what it is. */
const HELLO_MS = 2000;

/** What the inside of `lbd-vrrp` does with its daemon. */
export interface DaemonEvents {
	/** One is there; `send` says whether there was room for the message. */
	connected(send: (message: object) => boolean): void;
	message(message: object): void;
	/** There is room again. */
	drained(): void;
	disconnected(): void;
}

/**
 * The ear of `lbd-vrrp`: listens for daemons, one after another. Whoever says `hello` is the daemon from then on, in the
 * place of the one before, since the name's lock lets only one live; who says anything else first is sent away.
 */
export class VrrpEar {
	readonly #events: DaemonEvents;
	readonly #server = createServer(socket => this.#admit(socket));
	#daemon: MessageSocket | null = null;

	constructor(events: DaemonEvents) {
		this.#events = events;
		this.#server.maxConnections = CONNECTIONS_MAX;
	}

	/** Throws ControlError. */
	listen(path: string): Promise<void> {
		return listenPrivately(this.#server, 'vrrp socket', path);
	}

	/** Nobody else may come; the daemon that is there stays. Removes the socket. */
	close(): void {
		this.#server.close();
	}

	/** Resolves when the daemon has been told everything. */
	async flush(): Promise<void> {
		await this.#daemon?.flush();
	}

	#admit(socket: Socket): void {
		const deadline = setTimeout(() => peer.close('it said nothing'), HELLO_MS);
		const peer: MessageSocket = new MessageSocket(socket, {
			message: message => {
				clearTimeout(deadline);
				if (peer === this.#daemon) this.#events.message(message);
				else if ('kind' in message && message.kind === 'hello') this.#accept(peer);
				else peer.close('it is no lbd');
			},
			drained: () => {
				if (peer === this.#daemon) this.#events.drained();
			},
			closed: () => {
				clearTimeout(deadline);
				if (peer === this.#daemon) this.#lose();
			},
		});
	}

	#accept(peer: MessageSocket): void {
		const before = this.#daemon;
		this.#daemon = peer;
		before?.close('another lbd has come');
		this.#events.connected(message => peer.send(message));
	}

	#lose(): void {
		this.#daemon = null;
		this.#events.disconnected();
	}
}
