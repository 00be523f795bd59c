import ipaddr from 'ipaddr.js';

/**
 * IP and MAC addresses. Inside the daemon an address is its canonical text (dotted quad, or RFC 5952 for IPv6), so
 * that it compares, prints and serves as a key without ceremony; bytes appear only where a wire or a map wants them.
 */

export type Family = 4 | 6;
export const FAMILIES: readonly Family[] = [4, 6];

/** Longest text an address can have: an IPv6 address with an embedded IPv4 one. */
const TEXT_MAX = 45;
const [DOT, ZERO] = [0x2e, 0x30];
const DOTTED_QUAD = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;
const MAC = /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/i;

/**
 * The canonical text of an IPv4 or IPv6 address, or undefined. Strict: four decimal numbers without leading zeros
 * (what inet_pton takes, not what inet_aton takes), no zone, no prefix length, no brackets.
 */
export function parseAddress(text: string): string | undefined {
	if (text.length > TEXT_MAX) return undefined;
	if (!text.includes(':')) return DOTTED_QUAD.test(text) ? text : undefined;
	if (text.includes('%') || !ipaddr.IPv6.isValid(text)) return undefined;
	return formatAddress(Uint8Array.from(ipaddr.IPv6.parse(text).toByteArray()));
}

/** The family of an address in canonical text. */
export function family(address: string): Family {
	return address.includes(':') ? 6 : 4;
}

/** Whether an IPv6 address means something on its link only: fe80::/10 (RFC 4291 §2.5.6). */
export function isLinkLocal(address: string): boolean {
	return family(address) === 6 && networkAddress(address, 10) === 'fe80::';
}

/** Of this machine, on whatever machine. */
export function isLoopback(address: string): boolean {
	return family(address) === 6 ? address === '::1' : networkAddress(address, 8) === '127.0.0.0';
}

export function isMulticast(address: string): boolean {
	return family(address) === 4 ? networkAddress(address, 4) === '224.0.0.0' : networkAddress(address, 8) === 'ff00::';
}

/** Length in bits of the addresses of a family: the longest prefix. */
export function addressBits(of: Family): 32 | 128 {
	return of === 4 ? 32 : 128;
}

/** Length in bytes of the addresses of a family. */
export function addressLength(of: Family): 4 | 16 {
	return of === 4 ? 4 : 16;
}

/** The 4 or 16 bytes of an address in canonical text, in network order. */
export function addressBytes(address: string): Uint8Array {
	if (family(address) === 4) return quadBytes(address);
	const bytes = new Uint8Array(16);
	const [head = '', tail = ''] = address.split('::');
	const [before, after] = [hextets(head), hextets(tail)];
	const view = new DataView(bytes.buffer);
	before.forEach((number, index) => {
		view.setUint16(2 * index, number);
	});
	after.forEach((number, index) => {
		view.setUint16(16 - 2 * (after.length - index), number);
	});
	return bytes;
}

/** A plan asks for some 10,000 of them, where splitting would cost a third of its time. */
function quadBytes(address: string): Uint8Array {
	const bytes = new Uint8Array(4);
	let at = 0;
	for (let index = 0; index < address.length; index++) {
		const code = address.charCodeAt(index);
		if (code === DOT) at++;
		else bytes[at] = (bytes[at] ?? 0) * 10 + code - ZERO;
	}
	return bytes;
}

/** The numbers of `2001:db8`. */
function hextets(text: string): number[] {
	return text === '' ? [] : text.split(':').map(digits => Number.parseInt(digits, 16));
}

/** The canonical text of 4 or 16 bytes in network order. */
export function formatAddress(bytes: Uint8Array): string {
	const address = ipaddr.fromByteArray([...bytes]);
	return address instanceof ipaddr.IPv6 ? address.toRFC5952String() : address.toString();
}

/** How a service or backend is called: `192.168.1.1:80`, `[2001:db8::1]:53/udp`. TCP goes without saying. */
export function endpointName(address: string, port: number, protocol: string): string {
	const host = family(address) === 6 ? `[${address}]` : address;
	return `${host}:${port}${protocol === 'tcp' ? '' : `/${protocol}`}`;
}

/** The netmask of a prefix length, as bytes in network order. */
export function prefixMask(prefix: number, of: Family): Uint8Array {
	return Uint8Array.from({length: addressLength(of)}, (_, index) => {
		const ones = Math.min(8, Math.max(0, prefix - index * 8));
		return (0xff << (8 - ones)) & 0xff;
	});
}

/** The prefix length of a netmask in canonical text, or undefined when its ones are not contiguous. */
export function maskPrefix(mask: string): number | undefined {
	return ipaddr.parse(mask).prefixLengthFromSubnetMask() ?? undefined;
}

/** Whether no bit of the address behind the prefix is set. */
export function isNetwork(address: string, prefix: number): boolean {
	const [whole, bits] = [prefix >> 3, prefix & 7];
	return addressBytes(address).every(
		(byte, index) => index < whole || (byte & (index === whole ? 0xff >> bits : 0xff)) === 0,
	);
}

/** The address with all bits behind the prefix cleared. */
export function networkAddress(address: string, prefix: number): string {
	const mask = prefixMask(prefix, family(address));
	return formatAddress(addressBytes(address).map((byte, index) => byte & (mask[index] ?? 0)));
}

/** The IPv4 broadcast address of a network: all bits behind the prefix set. */
export function broadcastAddress(address: string, prefix: number): string {
	const mask = prefixMask(prefix, 4);
	return formatAddress(addressBytes(address).map((byte, index) => byte | (~(mask[index] ?? 0) & 0xff)));
}

/** How many addresses there are from one to another of its family, both included; none or fewer when `last` is before. */
export function rangeSize(first: string, last: string): bigint {
	return addressNumber(last) - addressNumber(first) + 1n;
}

/** The address `steps` behind another one. */
export function addressBehind(address: string, steps: number): string {
	const bytes = addressBytes(address).length;
	const digits = (addressNumber(address) + BigInt(steps)).toString(16).padStart(bytes * 2, '0');
	return formatAddress(Uint8Array.from(Buffer.from(digits, 'hex')));
}

function addressNumber(address: string): bigint {
	return BigInt(`0x${Buffer.from(addressBytes(address)).toString('hex')}`);
}

/** The six bytes of `02:00:00:00:00:01`, or undefined. */
export function macBytes(mac: string): Uint8Array | undefined {
	return MAC.test(mac) ? Uint8Array.from(mac.split(':'), byte => Number.parseInt(byte, 16)) : undefined;
}

/** `02:00:00:00:00:01` for six bytes. */
export function formatMac(bytes: Uint8Array): string {
	return Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join(':');
}
