import {type Family, formatMac} from './address.js';

/** RFC 9568 §7.3: the MAC addresses of virtual routers, up to the family (1: IPv4, 2: IPv6) and the VRID. */
const PREFIX = [0x00, 0x00, 0x5e, 0x00] as const;

/** `00:00:5e:00:01:5b` for VRID 91 of IPv4. */
export function encodeVirtualMac(vrid: number, of: Family): string {
	return formatMac(Uint8Array.of(...PREFIX, of === 4 ? 1 : 2, vrid));
}

/** Whether six bytes are the MAC address of a virtual router. */
export function isVirtualMac(mac: Uint8Array): boolean {
	return PREFIX.every((byte, index) => mac[index] === byte) && (mac[4] === 1 || mac[4] === 2);
}
