import {addressBytes} from './address.js';
import {concatBytes, viewOf} from './bytes.js';
import {checksumOnPath, encodeIpv6} from './ip.js';

const ALL_NODES = 'ff02::1';
/** The Ethernet address of `ALL_NODES` (RFC 2464 §7). */
const ALL_NODES_MAC = Uint8Array.of(0x33, 0x33, 0, 0, 0, 1);
const ETHERTYPE_IPV6 = Uint8Array.of(0x86, 0xdd);
const ICMPV6 = 58;
const NEIGHBOUR_ADVERTISEMENT = 136;
const FLAG_ROUTER = 0x80;
const FLAG_OVERRIDE = 0x20;
const TARGET_LINK_LAYER_ADDRESS = 2;
const MESSAGE_LENGTH = 32;
/** RFC 4861 §7.1.2: a smaller value proves that the packet was routed here from elsewhere. */
const HOP_LIMIT = 255;

/**
 * An Ethernet frame that tells the segment where an IPv6 address lives now: an unsolicited neighbour advertisement (RFC
 * 4861 §7.2.6) that overrides what neighbours know. It comes from the address itself, as keepalived's does. `mac` are the
 * 6 bytes of the interface that has the address; `router`: the interface forwards IPv6, which hosts must go on hearing
 * from a router that they use (§7.2.5).
 */
export function encodeNeighbourAdvertisement(address: string, mac: Uint8Array, router: boolean): Uint8Array {
	const message = new Uint8Array(MESSAGE_LENGTH);
	const view = viewOf(message);
	view.setUint8(0, NEIGHBOUR_ADVERTISEMENT);
	view.setUint8(4, FLAG_OVERRIDE | (router ? FLAG_ROUTER : 0));
	message.set(addressBytes(address), 8);
	view.setUint8(24, TARGET_LINK_LAYER_ADDRESS);
	view.setUint8(25, 1); // in units of 8 bytes
	message.set(mac, 26);
	const path = {source: address, destination: ALL_NODES};
	view.setUint16(2, checksumOnPath(message, ICMPV6, path));
	const packet = encodeIpv6({...path, protocol: ICMPV6, ttl: HOP_LIMIT, payload: message});
	return concatBytes(ALL_NODES_MAC, mac, ETHERTYPE_IPV6, packet);
}
