import type {Instance, VirtualAddress} from '../conf/model.js';
import type {Link, PacketSocket, Sockets} from '../host/host.js';
import {family, macBytes} from '../net/address.js';
import {encodeGratuitousArp} from '../net/arp.js';
import {encodeNeighbourAdvertisement} from '../net/ndp.js';
import {virtualAddresses} from './holdings.js';

/**
 * Tells the segments where an instance's addresses are now. Its sockets stay open between announcements: the kernel
 * waits for a grace period when a packet socket is closed (packet_release), some 10 ms that a take-over does not have.
 */
export class Announcer {
	readonly #sockets: Sockets;
	/** By interface index. */
	readonly #open = new Map<number, PacketSocket>();

	constructor(sockets: Sockets) {
		this.#sockets = sockets;
	}

	/**
	 * Sends so many rounds of gratuitous ARP and neighbour advertisements, the addresses interleaved, as keepalived does.
	 * Throws `KernelError` when the kernel refuses a socket or a frame.
	 */
	announce(instance: Instance, links: readonly Link[], rounds: number): void {
		this.#closeGone(links);
		const announcements = virtualAddresses(instance).flatMap(virtual => announcementOf(virtual, links));
		for (let round = 0; round < rounds; round++) {
			for (const {link, frame} of announcements) this.#socket(link).send(frame);
		}
	}

	close(): void {
		this.#closeGone([]);
	}

	#socket(link: Link): PacketSocket {
		const open = this.#open.get(link.ifindex) ?? this.#sockets.frames({interface: link.name, ifindex: link.ifindex});
		this.#open.set(link.ifindex, open);
		return open;
	}

	#closeGone(links: readonly Link[]): void {
		const present = new Set(links.map(({ifindex}) => ifindex));
		for (const [ifindex, socket] of this.#open) {
			if (present.has(ifindex)) continue;
			socket.close();
			this.#open.delete(ifindex);
		}
	}
}

/** None for links without Ethernet addresses. */
function announcementOf(virtual: VirtualAddress, links: readonly Link[]): {link: Link; frame: Uint8Array}[] {
	const link = links.find(candidate => candidate.name === virtual.device);
	const mac = link === undefined ? undefined : macBytes(link.mac);
	if (link === undefined || mac === undefined) return [];
	const {address} = virtual;
	const isIpv6 = family(address) === 6;
	return [
		{
			link,
			frame: isIpv6 ? encodeNeighbourAdvertisement(address, mac, link.forwardsIpv6) : encodeGratuitousArp(address, mac),
		},
	];
}
