import {addressBytes} from './address.js';
import {viewOf} from './bytes.js';

const FRAME_LENGTH = 42;
const BROADCAST = new Uint8Array(6).fill(0xff);

/**
 * A gratuitous ARP frame that tells the segment where an IPv4 address lives now. A *request* for the address by itself,
 * target hardware address all ones: what keepalived sends, and what RFC 5227 §3 calls an ARP Announcement.
 * `mac` are the 6 bytes of the interface that has the address.
 */
export function encodeGratuitousArp(address: string, mac: Uint8Array): Uint8Array {
	const frame = new Uint8Array(FRAME_LENGTH);
	const view = viewOf(frame);
	const protocol = addressBytes(address);
	frame.set(BROADCAST, 0);
	frame.set(mac, 6);
	view.setUint16(12, 0x0806);
	view.setUint16(14, 1); // Ethernet
	view.setUint16(16, 0x0800); // IPv4
	view.setUint8(18, 6);
	view.setUint8(19, 4);
	view.setUint16(20, 1); // request
	frame.set(mac, 22);
	frame.set(protocol, 28);
	frame.set(BROADCAST, 32);
	frame.set(protocol, 38);
	return frame;
}
