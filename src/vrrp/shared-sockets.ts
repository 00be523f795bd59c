import type {AdvertSocket, Packet, PacketSocket, Sockets} from '../host/host.js';
import {vridOf} from '../net/vrrp-packet.js';

type VrrpOptions = Parameters<Sockets['vrrp']>[0];
type FrameOptions = Parameters<Sockets['frames']>[0];

/** What an instance of a VRID does with a packet. */
interface Ear {
	readonly hear: VrrpOptions['onPacket'];
}

/**
 * The sockets of all instances: those that speak alike from one interface share one. The kernel copies each advert to
 * every raw socket that it fits, so that with a socket for each of 255 instances, one round of adverts would be 65,025
 * packets to read and refuse.
 */
export class SharedSockets {
	readonly #sockets: Sockets;
	/** By everything that a socket is opened with. */
	readonly #adverts = new Map<string, {readonly socket: AdvertSocket; readonly ears: Map<number, Ear>}>();
	readonly #frames = new Map<string, {readonly socket: PacketSocket; users: number}>();

	constructor(sockets: Sockets) {
		this.#sockets = sockets;
	}

	/** The sockets as the instance of a VRID sees them. */
	of(vrid: number): Sockets {
		return {
			vrrp: options => this.#openAdverts(vrid, options),
			frames: options => this.#openFrames(options),
		};
	}

	/** Reads whatever waits for anybody. */
	drain(): void {
		for (const {socket} of this.#adverts.values()) socket.drain();
	}

	#openAdverts(vrid: number, {onPacket, ...options}: VrrpOptions): AdvertSocket {
		const key = JSON.stringify(options);
		const {socket, ears} = this.#adverts.get(key) ?? this.#open(key, options);
		const ear = {hear: onPacket};
		ears.set(vrid, ear);
		return {
			send: (bytes, to) => socket.send(bytes, to),
			drain: () => socket.drain(),
			close: () => {
				if (ears.get(vrid) === ear) ears.delete(vrid);
				if (ears.size === 0) this.#close(key, socket);
			},
		};
	}

	#open(key: string, options: Omit<VrrpOptions, 'onPacket'>) {
		const ears = new Map<number, Ear>();
		const socket = this.#sockets.vrrp({...options, onPacket: packet => deliver(packet, ears)});
		const shared = {socket, ears};
		this.#adverts.set(key, shared);
		return shared;
	}

	#close(key: string, socket: AdvertSocket): void {
		if (this.#adverts.get(key)?.socket !== socket) return;
		this.#adverts.delete(key);
		socket.close();
	}

	#openFrames(options: FrameOptions): PacketSocket {
		const key = JSON.stringify(options);
		const shared = this.#frames.get(key) ?? {socket: this.#sockets.frames(options), users: 0};
		this.#frames.set(key, shared);
		shared.users++;
		return {
			send: bytes => shared.socket.send(bytes),
			drain: () => shared.socket.drain(),
			close: () => {
				if (--shared.users > 0) return;
				this.#frames.delete(key);
				shared.socket.close();
			},
		};
	}
}

/** What is for a VRID that nobody here has, each refuses and counts. */
function deliver(packet: Packet, ears: ReadonlyMap<number, Ear>): void {
	const meant = ears.get(vridOf(packet.bytes) ?? -1);
	if (meant !== undefined) return meant.hear(packet);
	for (const {hear} of [...ears.values()]) hear(packet);
}
