/**
 * Routes as `ip route` writes them (linux/rtnetlink.h, RTM_NEWROUTE): the ones we add, remove, and find again among those of
 * the kernel.
 */
import {addressBits, addressBytes, type Family, family} from '../address.js';
import {concatBytes, type Decoded, LITTLE_ENDIAN, viewOf} from '../bytes.js';
import {
	type Attributes,
	decodeAttributes,
	decodeU32,
	encodeAttribute,
	encodeU8,
	encodeU16,
	encodeU32,
	type NetlinkMessage,
	NLM_F_APPEND,
	NLM_F_CREATE,
	NLM_F_EXCL,
} from './message.js';
import {
	AF_INET,
	AF_INET6,
	addressLength,
	addressText,
	kernelFamily,
	nested,
	optionalAttribute,
	type RouteReason,
	split,
	viaText,
} from './parts.js';

/** Who made a route: `ip route` without a word about it, and administrators otherwise (linux/rtnetlink.h). */
export const RTPROT_BOOT = 3;
export const RTPROT_STATIC = 4;
/** RTPROT_KEEPALIVED: who made a route or rule. keepalived finds its own by it, and so do we. */
export const KEEPALIVED = 18;

/** What becomes of a packet, RTN_* by its name in `ip route`. */
export const ROUTE_TYPES = {
	unicast: 1,
	local: 2,
	broadcast: 3,
	anycast: 4,
	multicast: 5,
	blackhole: 6,
	unreachable: 7,
	prohibit: 8,
	throw: 9,
	nat: 10,
} as const;
export type RouteType = keyof typeof ROUTE_TYPES;

/** RTAX_* by their names in `ip route`; values are in the kernel's units. */
export const ROUTE_METRICS = {
	mtu: 2,
	window: 3,
	rtt: 4,
	rttvar: 5,
	ssthresh: 6,
	cwnd: 7,
	advmss: 8,
	reordering: 9,
	hoplimit: 10,
	initcwnd: 11,
	features: 12,
	rto_min: 13,
	initrwnd: 14,
	quickack: 15,
	congctl: 16,
	fastopen_no_cookie: 17,
} as const;
export type RouteMetric = keyof typeof ROUTE_METRICS;

/** RFC 4191 §2.1. */
export const ROUTE_PREFERENCES = {medium: 0, high: 1, low: 3} as const;

const PLACEMENT_FLAGS = {prepend: 0, append: NLM_F_APPEND, add: NLM_F_EXCL} as const;
/** Where a route goes among those of the same destination: before or behind them, or only if there are none. */
export type RoutePlacement = keyof typeof PLACEMENT_FLAGS;

/** All addresses that begin alike. */
export interface Destination {
	readonly address: string;
	readonly prefix: number;
}

/** One way that the packets of a route may take. `Device` is an interface's name, or its index. */
export interface Hop<Device> {
	/** null: the kernel finds it by the gateway. */
	readonly device: Device | null;
	/** Of either family; null: the destination is on the link. */
	readonly gateway: string | null;
	/** 1 to 256. */
	readonly weight: number;
	/** The gateway is on the link although no address says so. */
	readonly onlink: boolean;
	/** Of the source in the upper 16 bits, of the destination in the lower; null: none. */
	readonly realms: number | null;
}

export interface IpRoute<Device> {
	readonly family: Family;
	readonly type: RouteType;
	readonly destination: Destination;
	/** Only packets from there take it (IPv6). */
	readonly from: Destination | null;
	readonly table: number;
	readonly protocol: number;
	readonly scope: number;
	readonly tos: number;
	/** Lower is better; null: the kernel's default. */
	readonly priority: number | null;
	/** The address that connections over it come from. */
	readonly source: string | null;
	/** None for types that do not forward. */
	readonly hops: readonly Hop<Device>[];
	readonly metrics: {readonly [M in RouteMetric]?: M extends 'congctl' ? string : number};
	/** Metrics that the kernel may not adjust. */
	readonly locked: readonly RouteMetric[];
	/** IPv6: in so many seconds it goes away by itself. */
	readonly expiresS: number | null;
	/** IPv6: one of ROUTE_PREFERENCES. */
	readonly preference: number | null;
	/** MPLS. */
	readonly propagatesTtl: boolean | null;
	readonly placement: RoutePlacement;
}

/** A route of the kernel, as far as needed to find ours again. */
export type RouteEntry = Pick<IpRoute<number>, 'family' | 'destination' | 'table' | 'protocol' | 'tos' | 'priority'> & {
	/** RTN_* */
	readonly type: number;
	readonly hops: readonly Pick<Hop<number>, 'device' | 'gateway'>[];
};

const RTMSG_LENGTH = 12;
const RTNEXTHOP_LENGTH = 8;
const RTA_DST = 1;
const RTA_SRC = 2;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
const RTA_PREFSRC = 7;
const RTA_METRICS = 8;
const RTA_MULTIPATH = 9;
const RTA_FLOW = 11;
const RTA_TABLE = 15;
const RTA_VIA = 18;
const RTA_PREF = 20;
const RTA_EXPIRES = 23;
const RTA_TTL_PROPAGATE = 26;
const RTAX_LOCK = 1;
const RTNH_F_ONLINK = 4;
/** IP6_RT_PRIO_USER: what a route of IPv6 has that says nothing. */
const PRIORITY_IPV6 = 1024;

/** Flags of the RTM_NEWROUTE. */
export function routeFlags({placement}: Pick<IpRoute<number>, 'placement'>): number {
	return NLM_F_CREATE | PLACEMENT_FLAGS[placement];
}

/** Body of RTM_NEWROUTE and RTM_DELROUTE: the kernel removes the route that agrees in all that is said. */
export function encodeIpRoute(route: IpRoute<number>): Uint8Array {
	const {destination, from, hops, table, preference, propagatesTtl} = route;
	return concatBytes(
		routeHeader(route),
		optionalAttribute(RTA_DST, destination.prefix === 0 ? null : destination.address, addressBytes),
		optionalAttribute(RTA_SRC, from?.address ?? null, addressBytes),
		optionalAttribute(RTA_PREFSRC, route.source, addressBytes),
		optionalAttribute(RTA_PRIORITY, route.priority, encodeU32),
		optionalAttribute(RTA_TABLE, table > 0xff ? table : null, encodeU32),
		optionalAttribute(RTA_PREF, preference, encodeU8),
		optionalAttribute(RTA_EXPIRES, route.expiresS, encodeU32),
		optionalAttribute(RTA_TTL_PROPAGATE, propagatesTtl === null ? null : Number(propagatesTtl), encodeU8),
		nested(RTA_METRICS, ...metricAttributes(route)),
		hopAttributes(hops, route.family),
	);
}

function routeHeader(route: IpRoute<number>): Uint8Array {
	const [only, second] = route.hops;
	const header = new Uint8Array(RTMSG_LENGTH);
	header[0] = route.family === 4 ? AF_INET : AF_INET6;
	header[1] = route.destination.prefix;
	header[2] = route.from?.prefix ?? 0;
	header[3] = route.tos;
	header[4] = route.table > 0xff ? 0 : route.table;
	header[5] = route.protocol;
	header[6] = route.scope;
	header[7] = ROUTE_TYPES[route.type];
	viewOf(header).setUint32(8, second === undefined && only?.onlink ? RTNH_F_ONLINK : 0, LITTLE_ENDIAN);
	return header;
}

function metricAttributes({metrics, locked}: IpRoute<number>): Uint8Array[] {
	const values = Object.entries(metrics).map(([name, value]) =>
		encodeAttribute(
			ROUTE_METRICS[name as RouteMetric],
			typeof value === 'string' ? Buffer.from(value) : encodeU32(value),
		),
	);
	if (locked.length === 0) return values;
	const bits = locked.reduce((sum, name) => sum | (1 << ROUTE_METRICS[name]), 0);
	return [...values, encodeAttribute(RTAX_LOCK, encodeU32(bits))];
}

/** One way is part of the message, several are a list. */
function hopAttributes(hops: readonly Hop<number>[], of: Family): Uint8Array {
	const [only, second] = hops;
	if (only === undefined) return new Uint8Array();
	if (second !== undefined) return nested(RTA_MULTIPATH, ...hops.map(hop => nextHop(hop, of)));
	return concatBytes(gatewayAttributes(only, of), optionalAttribute(RTA_OIF, only.device, encodeU32));
}

/** `struct rtnexthop` and what belongs to it. */
function nextHop(hop: Hop<number>, of: Family): Uint8Array {
	const attributes = gatewayAttributes(hop, of);
	const header = new Uint8Array(RTNEXTHOP_LENGTH);
	const view = viewOf(header);
	view.setUint16(0, RTNEXTHOP_LENGTH + attributes.length, LITTLE_ENDIAN);
	view.setUint8(2, hop.onlink ? RTNH_F_ONLINK : 0);
	view.setUint8(3, hop.weight - 1);
	view.setInt32(4, hop.device ?? 0, LITTLE_ENDIAN);
	return concatBytes(header, attributes);
}

function gatewayAttributes({gateway, realms}: Hop<number>, of: Family): Uint8Array {
	const foreign = gateway !== null && family(gateway) !== of;
	return concatBytes(
		optionalAttribute(RTA_GATEWAY, foreign ? null : gateway, addressBytes),
		optionalAttribute(RTA_VIA, foreign ? gateway : null, via =>
			concatBytes(encodeU16(kernelFamily(via)), addressBytes(via)),
		),
		optionalAttribute(RTA_FLOW, realms, encodeU32),
	);
}

/** Body of an RTM_GETROUTE for all routes of one maker; the kernel keeps to it where it checks strictly. */
export function encodeRouteDump(of: Family, protocol: number): Uint8Array {
	const header = new Uint8Array(RTMSG_LENGTH);
	header[0] = of === 4 ? AF_INET : AF_INET6;
	header[5] = protocol;
	return header;
}

export function decodeRouteEntry(message: NetlinkMessage): Decoded<RouteEntry, RouteReason> {
	const parts = split(message, RTMSG_LENGTH);
	if (!parts.ok) return parts;
	const {header, attributes} = parts.value;
	const length = addressLength(header.getUint8(0));
	if (length === undefined) return {ok: false, reason: 'other-family'};
	const of = length === 4 ? 4 : 6;
	const address = addressText(attributes.get(RTA_DST), length) ?? UNSPECIFIED[of];
	return {
		ok: true,
		value: {
			family: of,
			type: header.getUint8(7),
			destination: {address, prefix: header.getUint8(1)},
			table: decodeU32(attributes.get(RTA_TABLE)) ?? header.getUint8(4),
			protocol: header.getUint8(5),
			tos: header.getUint8(3),
			priority: decodeU32(attributes.get(RTA_PRIORITY)) ?? null,
			hops: decodeHops(attributes, length),
		},
	};
}

/** The destination of a default route. */
export const UNSPECIFIED: Readonly<Record<Family, string>> = {4: '0.0.0.0', 6: '::'};

function decodeHops(attributes: Attributes, length: 4 | 16): RouteEntry['hops'] {
	const several = attributes.get(RTA_MULTIPATH);
	if (several !== undefined) return decodeNextHops(several, length);
	const device = decodeU32(attributes.get(RTA_OIF));
	return device === undefined ? [] : [{device, gateway: decodeGateway(attributes, length)}];
}

/** Those before the first that is not what its length says. */
function decodeNextHops(bytes: Uint8Array, length: 4 | 16): RouteEntry['hops'] {
	const hops: RouteEntry['hops'][number][] = [];
	const view = viewOf(bytes);
	let offset = 0;
	while (bytes.length - offset >= RTNEXTHOP_LENGTH) {
		const hopLength = view.getUint16(offset, LITTLE_ENDIAN);
		if (hopLength < RTNEXTHOP_LENGTH || hopLength > bytes.length - offset) break;
		const attributes = decodeAttributes(bytes.subarray(offset + RTNEXTHOP_LENGTH, offset + hopLength));
		if (attributes === undefined) break;
		hops.push({device: view.getInt32(offset + 4, LITTLE_ENDIAN), gateway: decodeGateway(attributes, length)});
		offset += (hopLength + 3) & ~3;
	}
	return hops;
}

function decodeGateway(attributes: Attributes, length: 4 | 16): string | null {
	return addressText(attributes.get(RTA_GATEWAY), length) ?? viaText(attributes.get(RTA_VIA)) ?? null;
}

/** What distinguishes routes before their hops do: alike for a route and for what the kernel shows of it. */
export function routeSlot(route: Omit<RouteEntry, 'type' | 'hops'>): string {
	const {destination, table, protocol, tos} = route;
	const priority = route.priority || (route.family === 6 ? PRIORITY_IPV6 : 0);
	return `${destination.address}/${destination.prefix} table ${table} protocol ${protocol} tos ${tos} metric ${priority}`;
}

/** Whether the kernel's entry, of the same slot, is this route. */
export function isRoute(entry: RouteEntry, route: IpRoute<number>): boolean {
	if (entry.type !== ROUTE_TYPES[route.type]) return false;
	const asked = route.hops.every(hop =>
		entry.hops.some(({device, gateway}) => gateway === hop.gateway && (hop.device === null || hop.device === device)),
	);
	// Routes that lead nowhere are on the loopback interface in IPv6.
	return asked && (route.hops.length === 0 || route.hops.length === entry.hops.length);
}

/** `10.0.0.0/8`, `2001:db8::/32`, or `default`. */
export function destinationText({address, prefix}: Destination): string {
	if (prefix === 0) return 'default';
	return prefix === addressBits(family(address)) ? address : `${address}/${prefix}`;
}
