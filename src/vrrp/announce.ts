import type {Instance, VirtualAddress} from '../conf/model.js';
import type {Link, PacketSocket, Sockets} from '../host/host.js';
import {family, macBytes} from '../net/address.js';
import {encodeGratuitousArp} from '../net/arp.js';
import {virtualAddresses} from './holdings.js';

/**
 * Tells the segments where the instance's IPv4 addresses are now: round by round, the addresses interleaved, as keepalived
 * does. Throws `KernelError` when the kernel refuses a socket or a frame.
 */
export function announce(instance: Instance, links: readonly Link[], sockets: Sockets, rounds: number): void {
	const announcements = virtualAddresses(instance).flatMap(virtual => announcementOf(virtual, links));
	const open = new Map<number, PacketSocket>();
	try {
		for (const {link} of announcements) {
			if (open.has(link.ifindex)) continue;
			open.set(link.ifindex, sockets.frames({interface: link.name, ifindex: link.ifindex}));
		}
		for (let round = 0; round < rounds; round++) {
			for (const {link, frame} of announcements) open.get(link.ifindex)?.send(frame);
		}
	} finally {
		for (const socket of open.values()) socket.close();
	}
}

/** None for links without Ethernet addresses, and for IPv6, which has no ARP. */
function announcementOf(virtual: VirtualAddress, links: readonly Link[]): {link: Link; frame: Uint8Array}[] {
	const link = links.find(candidate => candidate.name === virtual.device);
	const mac = link === undefined ? undefined : macBytes(link.mac);
	if (link === undefined || mac === undefined || family(virtual.address) !== 4) return [];
	return [{link, frame: encodeGratuitousArp(virtual.address, mac)}];
}
