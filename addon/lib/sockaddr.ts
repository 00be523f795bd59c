import {endianness} from 'node:os';
import {AF_INET, AF_INET6, AF_NETLINK, AF_PACKET} from './net-constants.js';

/** Socket addresses as the kernel reads and writes them: family and interface in host order, the rest as on the wire. */

const LITTLE = endianness() === 'LE';

const SOCKADDR_IN_SIZE = 16;
const SOCKADDR_IN6_SIZE = 28;
const SOCKADDR_LL_SIZE = 20;
const SOCKADDR_NL_SIZE = 12;
/** Of an `sockaddr_ll`: room for the address. */
const LL_ADDRESS_MAX = 8;

export type Sockaddr =
	| {readonly family: 'in'; readonly address: Uint8Array; readonly port: number}
	/** `ifindex` is the scope of a link-local address, else 0. */
	| {readonly family: 'in6'; readonly address: Uint8Array; readonly port: number; readonly ifindex: number}
	| {readonly family: 'll'; readonly ifindex: number; readonly protocol: number; readonly mac: Uint8Array}
	| {readonly family: 'nl'; readonly pid: number; readonly groups: number};

/** `struct sockaddr_in` of four address bytes; port 0 where the protocol has none. */
export function sockaddrIn(address: Uint8Array, port = 0): Uint8Array {
	const [bytes, view] = start(SOCKADDR_IN_SIZE, AF_INET);
	view.setUint16(2, integer('port', port, 0xffff));
	bytes.set(exactly('IPv4 address', address, 4), 4);
	return bytes;
}

/** `struct sockaddr_in6` of sixteen address bytes; link-local ones need the interface that they are meant on. */
export function sockaddrIn6(address: Uint8Array, {port = 0, ifindex = 0} = {}): Uint8Array {
	const [bytes, view] = start(SOCKADDR_IN6_SIZE, AF_INET6);
	view.setUint16(2, integer('port', port, 0xffff));
	bytes.set(exactly('IPv6 address', address, 16), 8);
	view.setUint32(24, integer('ifindex', ifindex, 0x7fff_ffff), LITTLE);
	return bytes;
}

/** `struct sockaddr_ll`: frames of `protocol` (ETH_P_*) on an interface; `mac` for sending without a header. */
export function sockaddrLl(to: {ifindex: number; protocol: number; mac?: Uint8Array}): Uint8Array {
	const {ifindex, protocol, mac = new Uint8Array()} = to;
	const [bytes, view] = start(SOCKADDR_LL_SIZE, AF_PACKET);
	if (mac.length > LL_ADDRESS_MAX)
		throw new RangeError(`link-layer address: ${mac.length} bytes, ${LL_ADDRESS_MAX} at most`);
	view.setUint16(2, integer('protocol', protocol, 0xffff));
	view.setInt32(4, integer('ifindex', ifindex, 0x7fff_ffff), LITTLE);
	view.setUint8(11, mac.length);
	bytes.set(mac, 12);
	return bytes;
}

/** `struct sockaddr_nl`: port 0 is the kernel, or as an own address "choose one"; groups as a bit mask. */
export function sockaddrNl({pid = 0, groups = 0}: {pid?: number; groups?: number} = {}): Uint8Array {
	const [bytes, view] = start(SOCKADDR_NL_SIZE, AF_NETLINK);
	view.setUint32(4, integer('pid', pid, 0xffff_ffff), LITTLE);
	view.setUint32(8, integer('groups', groups, 0xffff_ffff), LITTLE);
	return bytes;
}

/** `struct ip_mreqn` for IP_ADD_MEMBERSHIP and IP_MULTICAST_IF: a group on an interface. */
export function ipMreqn({group, ifindex}: {group: Uint8Array; ifindex: number}): Uint8Array {
	const bytes = new Uint8Array(12);
	bytes.set(exactly('group', group, 4), 0);
	new DataView(bytes.buffer).setInt32(8, integer('ifindex', ifindex, 0x7fff_ffff), LITTLE);
	return bytes;
}

/** `struct ipv6_mreq` for IPV6_ADD_MEMBERSHIP: a group on an interface. */
export function ipv6Mreq({group, ifindex}: {group: Uint8Array; ifindex: number}): Uint8Array {
	const bytes = new Uint8Array(20);
	bytes.set(exactly('group', group, 16), 0);
	new DataView(bytes.buffer).setInt32(16, integer('ifindex', ifindex, 0x7fff_ffff), LITTLE);
	return bytes;
}

/** What `Received.from` says; undefined for another family or fewer bytes than the family's address has. */
export function parseSockaddr(bytes: Uint8Array): Sockaddr | undefined {
	if (bytes.length < 2) return undefined;
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	switch (view.getUint16(0, LITTLE)) {
		case AF_INET:
			if (bytes.length < SOCKADDR_IN_SIZE) return undefined;
			return {family: 'in', address: bytes.slice(4, 8), port: view.getUint16(2)};
		case AF_INET6:
			if (bytes.length < SOCKADDR_IN6_SIZE) return undefined;
			return {
				family: 'in6',
				address: bytes.slice(8, 24),
				port: view.getUint16(2),
				ifindex: view.getUint32(24, LITTLE),
			};
		case AF_PACKET: {
			// The kernel returns 12 bytes and the address's own length, or room for eight.
			const length = bytes.length < 12 ? 0 : view.getUint8(11);
			if (bytes.length < 12 + length || bytes.length < 12) return undefined;
			const mac = bytes.slice(12, 12 + length);
			return {family: 'll', ifindex: view.getInt32(4, LITTLE), protocol: view.getUint16(2), mac};
		}
		case AF_NETLINK:
			if (bytes.length < SOCKADDR_NL_SIZE) return undefined;
			return {family: 'nl', pid: view.getUint32(4, LITTLE), groups: view.getUint32(8, LITTLE)};
		default:
			return undefined;
	}
}

/** Of any socket address. */
export function domainOf(sockaddr: Uint8Array): number {
	return new DataView(sockaddr.buffer, sockaddr.byteOffset, sockaddr.byteLength).getUint16(0, LITTLE);
}

function start(size: number, family: number): [Uint8Array, DataView] {
	const bytes = new Uint8Array(size);
	const view = new DataView(bytes.buffer);
	view.setUint16(0, family, LITTLE);
	return [bytes, view];
}

function exactly(what: string, bytes: Uint8Array, length: number): Uint8Array {
	if (bytes.length !== length) throw new RangeError(`${what}: ${bytes.length} bytes instead of ${length}`);
	return bytes;
}

function integer(what: string, value: number, max: number): number {
	if (Number.isInteger(value) && value >= 0 && value <= max) return value;
	throw new RangeError(`${what}: ${value} is not an integer from 0 to ${max}`);
}
