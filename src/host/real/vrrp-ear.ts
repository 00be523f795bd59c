import {createServer, type Socket} from 'node:net';
import {listenPrivately} from '../../control/private-socket.js';
import {MessageSocket} from './message-socket.js';

/** A daemon, and others that root has let in by mistake. */
const CONNECTIONS_MAX = 4;
/** How long one who has connected may take to say what it is, and wait for the daemon before it to be gone. */
const HELLO_MS = 2000;
/** Of the first message of one who may be anybody. */
const HELLO_BYTES_MAX = 256;

/** What the inside of `lbd-vrrp` does with its daemon. */
export interface DaemonEvents {
	/** One is there; `send` says whether there was room for the message. */
	connected(send: (message: object) => boolean): void;
	/** False: no daemon says such a thing. */
	message(message: object): boolean;
	/** There is room again. */
	drained(): void;
	disconnected(): void;
}

/**
 * The ear of `lbd-vrrp`: listens for daemons, one after another. Whoever says `hello` is the daemon as soon as the one before
 * is gone: the name's lock lets only one live, so who finds one alive is none. Who says anything else is sent away.
 */
export class VrrpEar {
	readonly #events: DaemonEvents;
	readonly #server = createServer(socket => this.#admit(socket));
	#daemon: MessageSocket | null = null;
	/** Of daemons to come, only one is real. */
	readonly #waiting = new Map<MessageSocket, NodeJS.Timeout>();

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
		const deadline = setTimeout(() => peer.close('it said nothing, or came too early'), HELLO_MS);
		const peer: MessageSocket = new MessageSocket(
			socket,
			{
				message: message => this.#hear(peer, message, deadline),
				drained: () => {
					if (peer === this.#daemon) this.#events.drained();
				},
				closed: () => {
					clearTimeout(deadline);
					this.#waiting.delete(peer);
					if (peer === this.#daemon) this.#lose();
				},
			},
			HELLO_BYTES_MAX,
		);
	}

	#hear(peer: MessageSocket, message: object, deadline: NodeJS.Timeout): void {
		const isHello = 'kind' in message && message.kind === 'hello';
		if (peer === this.#daemon) {
			if (!this.#events.message(message)) peer.close('it is no lbd');
		} else if (!isHello || this.#waiting.has(peer)) peer.close('it is no lbd');
		else {
			this.#waiting.set(peer, deadline);
			if (this.#daemon === null) this.#accept();
		}
	}

	/** The next one that waits. */
	#accept(): void {
		for (const [peer, deadline] of this.#waiting) {
			this.#waiting.delete(peer);
			clearTimeout(deadline);
			this.#daemon = peer;
			peer.admit();
			this.#events.connected(message => peer.send(message));
			return;
		}
	}

	#lose(): void {
		this.#daemon = null;
		this.#events.disconnected();
		this.#accept();
	}
}
