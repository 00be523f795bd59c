/**
 * The part of rtnetlink (linux/rtnetlink.h, if_link.h, if_addr.h, neighbour.h) that a balancer needs: links, addresses,
 * neighbours and routes. Requests are the body after the netlink header; answers are decoded to plain values, or to a
 * reason when a message is not what its type says.
 */
import {addressBytes, family, formatMac, macBytes} from '../address.js';
import {concatBytes, type Decoded, LITTLE_ENDIAN, viewOf} from '../bytes.js';
import {
	type Attributes,
	decodeAttributes,
	decodeText,
	decodeU32,
	encodeAttribute,
	encodeText,
	encodeU32,
	type NetlinkMessage,
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

export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
export const RTM_GETLINK = 18;
export const RTM_SETLINK = 19;
export const RTM_NEWADDR = 20;
export const RTM_DELADDR = 21;
export const RTM_GETADDR = 22;
export const RTM_NEWROUTE = 24;
export const RTM_DELROUTE = 25;
export const RTM_GETROUTE = 26;
export const RTM_NEWNEIGH = 28;
export const RTM_DELNEIGH = 29;
export const RTM_GETNEIGH = 30;

export const RTM_NEWRULE = 32;
export const RTM_DELRULE = 33;
export const RTM_GETRULE = 34;

/** A sysctl of an interface has changed (linux/netconf.h). */
export const RTM_NEWNETCONF = 80;

/** Multicast groups (RTNLGRP_*, from 1) of each kind of event, as bits of `nl_groups`. */
export const EVENT_GROUPS = {
	links: groupBits(1),
	neighbours: groupBits(3),
	addresses: groupBits(5, 9),
	routes: groupBits(7, 11),
	rules: groupBits(8, 19),
	/** Those of IPv6. */
	settings: groupBits(25),
} as const;

function groupBits(...groups: readonly number[]): number {
	return groups.reduce((bits, group) => bits | (1 << (group - 1)), 0);
}

const IFINFO_LENGTH = 16;
const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_LINK = 5;
const IFLA_LINKINFO = 18;
const IFLA_AF_SPEC = 26;
const IFLA_EXT_MASK = 29;
const IFLA_LINK_NETNSID = 37;
const RTEXT_FILTER_SKIP_STATS = 0x8;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const IFLA_MACVLAN_MODE = 1;
/** Nothing passes between the macvlans of an interface; what comes from our own MAC address is another router's. */
const MACVLAN_MODE_PRIVATE = 1;
const IFLA_INET_CONF = 1;
const IFLA_INET6_CONF = 2;
const IFLA_INET6_ADDR_GEN_MODE = 8;
const IN6_ADDR_GEN_MODE_NONE = 1;
/** Which of the numbers there is which sysctl of `net.ipv4.conf`, from 1 (linux/ip.h), and for IPv6 from 0 (linux/ipv6.h). */
const IPV4_SETTINGS = {
	rp_filter: 8,
	arp_filter: 13,
	arp_ignore: 19,
	promote_secondaries: 20,
	accept_local: 23,
} as const;
const DEVCONF_FORWARDING = 0;
const IFF_UP = 0x1;
const IFF_LOWER_UP = 0x1_0000;

const IFADDR_LENGTH = 8;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_LABEL = 3;
const IFA_BROADCAST = 4;
const IFA_CACHEINFO = 6;
/** Flags that do not fit into the header's byte, and those that do. */
const IFA_FLAGS = 8;
/** IFA_F_TEMPORARY in IPv6: an address of RFC 8981, which changes from day to day. */
const IFA_F_SECONDARY = 0x01;
const IFA_F_NODAD = 0x02;
/** Duplicate address detection (RFC 4862 §5.4) has found another owner, or is under way. */
const IFA_F_UNUSABLE = 0x08 | 0x40;
const LIFETIME_FOREVER = 0xffff_ffff;
/** What may be asked of a new address, by its name in `ip address` (linux/if_addr.h). */
const ADDRESS_FLAGS = {home: 0x10, mngtmpaddr: 0x100, noprefixroute: 0x200, autojoin: 0x400} as const;
export type AddressFlag = keyof typeof ADDRESS_FLAGS;

const NDMSG_LENGTH = 12;
const NDA_DST = 1;
const NDA_LLADDR = 2;
/** Reachable, stale, delay, probe, noarp, permanent: states in which the MAC address counts. */
const NUD_VALID = 0x02 | 0x04 | 0x08 | 0x10 | 0x40 | 0x80;
const NTF_USE = 0x01;

const RTMSG_LENGTH = 12;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PREFSRC = 7;
const RTA_VIA = 18;
const RTN_LOCAL = 2;

export interface Link {
	readonly ifindex: number;
	readonly name: string;
	/** `02:00:00:00:00:01`, or '' where the link has none. */
	readonly mac: string;
	/** Administratively. */
	readonly up: boolean;
	/** Up and with carrier. */
	readonly running: boolean;
	readonly mtu: number;
	/** `veth`, `bridge`, … or '' for hardware. */
	readonly kind: string;
	/** Index of the interface that a virtual one is over, or null: there is none, or in another network namespace. */
	readonly base: number | null;
	/** The sysctl `net.ipv6.conf.NAME.forwarding`: neighbours may take us for a router. */
	readonly forwardsIpv6: boolean;
	/**
	 * The sysctl `net.ipv4.conf.NAME.promote_secondaries`: when an address goes, another one of its network takes its place.
	 * Otherwise they all go.
	 */
	readonly promotesSecondaries: boolean;
	/** The sysctl `net.ipv4.conf.NAME.rp_filter`: 0, or how strictly the sources of packets must be reached by it. */
	readonly reversePathFilter: number;
}

/** An address on a link. */
export interface Address {
	readonly ifindex: number;
	readonly address: string;
	/** Of the peer, where there is one. */
	readonly prefix: number;
	/** The far end of a point-to-point link, or null. */
	readonly peer: string | null;
	/** 0 global, 253 link, 254 host. */
	readonly scope: number;
	readonly label: string | null;
	readonly broadcast: string | null;
}

export interface AddressEntry extends Address {
	/** The kernel prefers another one of the same network, or of its own making. */
	readonly secondary: boolean;
	/** False until the kernel knows that nobody else has it; nothing can be sent from it before. */
	readonly usable: boolean;
}

export interface NewAddress extends Address {
	/** For how many seconds the kernel may choose it as a source by itself; null: forever. */
	readonly preferredS: number | null;
	readonly flags: readonly AddressFlag[];
	/** The kernel looks for another owner of an IPv6 address first (RFC 4862 §5.4). */
	readonly detectDuplicates: boolean;
}

export interface Neighbour {
	readonly ifindex: number;
	readonly address: string;
	/** null while unresolved or failed. */
	readonly mac: string | null;
}

/** A change of the routing tables, as far as it can be told without reading it whole. */
export interface RouteChange {
	readonly removed: boolean;
	/** Who made the route (`rtm_protocol`). */
	readonly protocol: number;
}

/** The kernel's answer to "how would a packet go"; no gateway when the destination is on the link. */
export interface RouteAnswer {
	readonly ifindex: number;
	readonly gateway: string | null;
	readonly source: string | null;
	readonly local: boolean;
}

// Links

/** Without the counters, which are most of what the kernel would say. */
export function encodeLinkDump(): Uint8Array {
	return concatBytes(new Uint8Array(IFINFO_LENGTH), encodeAttribute(IFLA_EXT_MASK, encodeU32(RTEXT_FILTER_SKIP_STATS)));
}

export function decodeLink(message: NetlinkMessage): Decoded<Link, RouteReason> {
	const parts = split(message, IFINFO_LENGTH);
	if (!parts.ok) return parts;
	const {header, attributes} = parts.value;
	if (header.getUint8(0) !== 0) return {ok: false, reason: 'other-family'};
	const name = attributes.get(IFLA_IFNAME);
	if (name === undefined) return {ok: false, reason: 'missing-attribute'};
	const flags = header.getUint32(8, LITTLE_ENDIAN);
	const mac = attributes.get(IFLA_ADDRESS);
	return {
		ok: true,
		value: {
			ifindex: header.getInt32(4, LITTLE_ENDIAN),
			name: decodeText(name),
			mac: mac?.length === 6 ? formatMac(mac) : '',
			up: (flags & IFF_UP) !== 0,
			running: (flags & IFF_UP) !== 0 && (flags & IFF_LOWER_UP) !== 0,
			mtu: decodeU32(attributes.get(IFLA_MTU)) ?? 0,
			kind: linkKind(attributes),
			base: attributes.has(IFLA_LINK_NETNSID) ? null : (decodeU32(attributes.get(IFLA_LINK)) ?? null),
			forwardsIpv6: setting(attributes, AF_INET6, IFLA_INET6_CONF, DEVCONF_FORWARDING) !== 0,
			promotesSecondaries: setting(attributes, AF_INET, IFLA_INET_CONF, IPV4_SETTINGS.promote_secondaries - 1) !== 0,
			reversePathFilter: setting(attributes, AF_INET, IFLA_INET_CONF, IPV4_SETTINGS.rp_filter - 1),
		},
	};
}

/** One of the sysctls of a link; 0 where the family is not there. */
function setting(attributes: Attributes, of: number, list: number, index: number): number {
	const families = decodeAttributes(attributes.get(IFLA_AF_SPEC) ?? new Uint8Array());
	const settings = decodeAttributes(families?.get(of) ?? new Uint8Array())?.get(list);
	return decodeU32(settings?.subarray(4 * index)) ?? 0;
}

/** Sysctls of one interface in `net.ipv4.conf`. */
export type LinkSettings = Readonly<Partial<Record<keyof typeof IPV4_SETTINGS, number>>>;

/** Body of the RTM_SETLINK that sets sysctls. */
export function encodeLinkSettings(ifindex: number, settings: LinkSettings): Uint8Array {
	const values = Object.entries(settings).map(([name, value]) =>
		encodeAttribute(IPV4_SETTINGS[name as keyof LinkSettings], encodeU32(value)),
	);
	return concatBytes(linkHeader(ifindex), nested(IFLA_AF_SPEC, nested(AF_INET, nested(IFLA_INET_CONF, ...values))));
}

/** Body of the RTM_SETLINK that keeps the kernel from giving an interface an IPv6 address of its own making. */
export function encodeWithoutOwnAddress(ifindex: number): Uint8Array {
	const mode = encodeAttribute(IFLA_INET6_ADDR_GEN_MODE, Uint8Array.of(IN6_ADDR_GEN_MODE_NONE));
	return concatBytes(linkHeader(ifindex), nested(IFLA_AF_SPEC, nested(AF_INET6, mode)));
}

/** Body of the RTM_SETLINK that takes an interface up or down. */
export function encodeLinkUp(ifindex: number, up: boolean): Uint8Array {
	const header = linkHeader(ifindex);
	viewOf(header).setUint32(8, up ? IFF_UP : 0, LITTLE_ENDIAN);
	viewOf(header).setUint32(12, IFF_UP, LITTLE_ENDIAN);
	return header;
}

/** An interface over another one, with a MAC address of its own. */
export interface NewMacvlan {
	readonly name: string;
	/** Index of the interface below. */
	readonly base: number;
	readonly mac: string;
}

/** Body of the RTM_NEWLINK that makes a macvlan in private mode. */
export function encodeNewMacvlan({name, base, mac}: NewMacvlan): Uint8Array {
	const mode = encodeAttribute(IFLA_MACVLAN_MODE, encodeU32(MACVLAN_MODE_PRIVATE));
	return concatBytes(
		linkHeader(0),
		encodeAttribute(IFLA_LINK, encodeU32(base)),
		encodeAttribute(IFLA_IFNAME, encodeText(name)),
		encodeAttribute(IFLA_ADDRESS, macBytes(mac) ?? new Uint8Array(6)),
		nested(IFLA_LINKINFO, encodeAttribute(IFLA_INFO_KIND, encodeText('macvlan')), nested(IFLA_INFO_DATA, mode)),
	);
}

/** The whole body of an RTM_DELLINK. */
export function linkHeader(ifindex: number): Uint8Array {
	const header = new Uint8Array(IFINFO_LENGTH);
	viewOf(header).setInt32(4, ifindex, LITTLE_ENDIAN);
	return header;
}

function linkKind(attributes: Attributes): string {
	const info = decodeAttributes(attributes.get(IFLA_LINKINFO) ?? new Uint8Array());
	const kind = info?.get(IFLA_INFO_KIND);
	return kind === undefined ? '' : decodeText(kind);
}

// Addresses

export function encodeAddressDump(): Uint8Array {
	return new Uint8Array(IFADDR_LENGTH);
}

/** Body of RTM_DELADDR. */
export function encodeAddress(address: Address): Uint8Array {
	return concatBytes(addressHeader(address, 0), addressAttributes(address));
}

/**
 * Body of RTM_NEWADDR. An IPv6 address is usable at once: whoever takes an address over cannot wait until nobody answers
 * for it any more.
 */
export function encodeNewAddress(address: NewAddress): Uint8Array {
	const nodad = family(address.address) === 6 && !address.detectDuplicates ? IFA_F_NODAD : 0;
	const flags = address.flags.reduce((bits, flag) => bits | ADDRESS_FLAGS[flag], nodad);
	return concatBytes(
		addressHeader(address, flags & 0xff),
		addressAttributes(address),
		optionalAttribute(IFA_FLAGS, flags > 0xff ? flags : null, encodeU32),
		lifetimeAttribute(address.preferredS),
	);
}

function addressHeader({ifindex, address, prefix, scope}: Address, flags: number): Uint8Array {
	const header = new Uint8Array(IFADDR_LENGTH);
	const view = viewOf(header);
	view.setUint8(0, kernelFamily(address));
	view.setUint8(1, prefix);
	view.setUint8(2, flags);
	view.setUint8(3, scope);
	view.setUint32(4, ifindex, LITTLE_ENDIAN);
	return header;
}

function addressAttributes({address, peer, label, broadcast}: Address): Uint8Array {
	return concatBytes(
		encodeAttribute(IFA_LOCAL, addressBytes(address)),
		encodeAttribute(IFA_ADDRESS, addressBytes(peer ?? address)),
		optionalAttribute(IFA_BROADCAST, broadcast, addressBytes),
		optionalAttribute(IFA_LABEL, label, encodeText),
	);
}

/** `struct ifa_cacheinfo`: preferred and valid lifetimes, and two times that only the kernel fills in. */
function lifetimeAttribute(preferredS: number | null): Uint8Array {
	if (preferredS === null) return new Uint8Array();
	const lifetimes = [encodeU32(preferredS), encodeU32(LIFETIME_FOREVER), new Uint8Array(8)];
	return encodeAttribute(IFA_CACHEINFO, concatBytes(...lifetimes));
}

export function decodeAddress(message: NetlinkMessage): Decoded<AddressEntry, RouteReason> {
	const parts = split(message, IFADDR_LENGTH);
	if (!parts.ok) return parts;
	const {header, attributes} = parts.value;
	const length = addressLength(header.getUint8(0));
	if (length === undefined) return {ok: false, reason: 'other-family'};
	// On a point-to-point link IFA_ADDRESS is the far end and IFA_LOCAL ours; IPv6 knows only IFA_ADDRESS.
	const address = addressText(attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS), length);
	if (address === undefined) return {ok: false, reason: 'missing-attribute'};
	const farEnd = addressText(attributes.get(IFA_ADDRESS), length);
	const label = attributes.get(IFA_LABEL);
	return {
		ok: true,
		value: {
			ifindex: header.getUint32(4, LITTLE_ENDIAN),
			address,
			prefix: header.getUint8(1),
			peer: farEnd === undefined || farEnd === address ? null : farEnd,
			scope: header.getUint8(3),
			label: label === undefined ? null : decodeText(label),
			broadcast: addressText(attributes.get(IFA_BROADCAST), length) ?? null,
			secondary: (header.getUint8(2) & IFA_F_SECONDARY) !== 0,
			usable: (header.getUint8(2) & IFA_F_UNUSABLE) === 0,
		},
	};
}

// Neighbours

export function encodeNeighbourDump(): Uint8Array {
	return new Uint8Array(NDMSG_LENGTH);
}

/** Body of an RTM_NEWNEIGH that only says that the entry is needed: the kernel resolves it as for a packet. */
export function encodeNeighbourUse(ifindex: number, address: string): Uint8Array {
	const header = new Uint8Array(NDMSG_LENGTH);
	const view = viewOf(header);
	view.setUint8(0, kernelFamily(address));
	view.setInt32(4, ifindex, LITTLE_ENDIAN);
	view.setUint8(10, NTF_USE);
	return concatBytes(header, encodeAttribute(NDA_DST, addressBytes(address)));
}

export function decodeNeighbour(message: NetlinkMessage): Decoded<Neighbour, RouteReason> {
	const parts = split(message, NDMSG_LENGTH);
	if (!parts.ok) return parts;
	const {header, attributes} = parts.value;
	const length = addressLength(header.getUint8(0));
	if (length === undefined) return {ok: false, reason: 'other-family'};
	const address = addressText(attributes.get(NDA_DST), length);
	if (address === undefined) return {ok: false, reason: 'missing-attribute'};
	const mac = attributes.get(NDA_LLADDR);
	const valid = message.type === RTM_NEWNEIGH && (header.getUint16(8, LITTLE_ENDIAN) & NUD_VALID) !== 0;
	return {
		ok: true,
		value: {
			ifindex: header.getInt32(4, LITTLE_ENDIAN),
			address,
			mac: valid && mac?.length === 6 ? formatMac(mac) : null,
		},
	};
}

// Routes

export function decodeRouteChange(message: NetlinkMessage): RouteChange | undefined {
	if (message.body.length < RTMSG_LENGTH) return undefined;
	return {removed: message.type === RTM_DELROUTE, protocol: message.body[5] ?? 0};
}

/** Body of the RTM_GETROUTE that asks how a packet to an address would go. */
export function encodeRouteGet(to: string): Uint8Array {
	const header = new Uint8Array(RTMSG_LENGTH);
	const bytes = addressBytes(to);
	header[0] = kernelFamily(to);
	header[1] = bytes.length * 8;
	return concatBytes(header, encodeAttribute(RTA_DST, bytes));
}

export function decodeRoute(message: NetlinkMessage): Decoded<RouteAnswer, RouteReason> {
	const parts = split(message, RTMSG_LENGTH);
	if (!parts.ok) return parts;
	const {header, attributes} = parts.value;
	const length = addressLength(header.getUint8(0));
	if (length === undefined) return {ok: false, reason: 'other-family'};
	const ifindex = decodeU32(attributes.get(RTA_OIF));
	if (ifindex === undefined) return {ok: false, reason: 'missing-attribute'};
	return {
		ok: true,
		value: {
			ifindex,
			gateway: addressText(attributes.get(RTA_GATEWAY), length) ?? viaText(attributes.get(RTA_VIA)) ?? null,
			source: addressText(attributes.get(RTA_PREFSRC), length) ?? null,
			local: header.getUint8(7) === RTN_LOCAL,
		},
	};
}
