/** Routing policy rules as `ip rule` writes them (linux/fib_rules.h, RTM_NEWRULE). */
import {addressBytes, type Family} from '../address.js';
import {concatBytes, type Decoded, LITTLE_ENDIAN, viewOf} from '../bytes.js';
import type {Destination} from './ip-route.js';
import {
	type Attributes,
	decodeText,
	decodeU32,
	encodeAttribute,
	encodeText,
	encodeU8,
	encodeU16,
	encodeU32,
	type NetlinkMessage,
} from './message.js';
import {AF_INET, AF_INET6, addressLength, addressText, optionalAttribute, type RouteReason, split} from './parts.js';

/** FR_ACT_* */
const ACTIONS = {table: 1, goto: 2, nop: 3, blackhole: 6, unreachable: 7, prohibit: 8} as const;
export type RuleAction = keyof typeof ACTIONS;

/** From one number to another, both included. */
export type NumberRange = readonly [first: number, last: number];

/** Which packets look where. null: the rule does not ask for it. */
export interface IpRule {
	readonly family: Family;
	/** Rules are asked in its order. */
	readonly priority: number;
	/** For packets that it does *not* fit. */
	readonly inverted: boolean;
	readonly from: Destination | null;
	readonly to: Destination | null;
	readonly tos: number;
	readonly mark: {readonly value: number; readonly mask: number} | null;
	readonly inputInterface: string | null;
	readonly outputInterface: string | null;
	/** Decimal: 64 bits. */
	readonly tunnelId: string | null;
	readonly users: NumberRange | null;
	/** Of packets of an interface in a VRF, whose table it takes. */
	readonly l3mdev: boolean;
	/** IP protocol number. */
	readonly ipProtocol: number | null;
	readonly sourcePorts: NumberRange | null;
	readonly destinationPorts: NumberRange | null;
	readonly action: RuleAction;
	/** Of the action `table`; 0 with `l3mdev`. */
	readonly table: number;
	/** Of the action `goto`: a priority. */
	readonly target: number | null;
	readonly realms: number | null;
	/** Routes with prefixes of this length, or shorter, do not count. */
	readonly suppressPrefixLength: number | null;
	/** Routes over interfaces of this group do not count. */
	readonly suppressGroup: number | null;
	/** Who made it, as for routes. */
	readonly protocol: number;
}

const HEADER_LENGTH = 12;
const FRA_DST = 1;
const FRA_SRC = 2;
const FRA_IIFNAME = 3;
const FRA_GOTO = 4;
const FRA_PRIORITY = 6;
const FRA_FWMARK = 10;
const FRA_FLOW = 11;
const FRA_TUN_ID = 12;
const FRA_SUPPRESS_IFGROUP = 13;
const FRA_SUPPRESS_PREFIXLEN = 14;
const FRA_TABLE = 15;
const FRA_FWMASK = 16;
const FRA_OIFNAME = 17;
const FRA_L3MDEV = 19;
const FRA_UID_RANGE = 20;
const FRA_PROTOCOL = 21;
const FRA_IP_PROTO = 22;
const FRA_SPORT_RANGE = 23;
const FRA_DPORT_RANGE = 24;
const FIB_RULE_INVERT = 2;
/** How the kernel says that a rule suppresses nothing. */
const NO_SUPPRESSION = 0xffff_ffff;

/** Body of RTM_NEWRULE and RTM_DELRULE. */
export function encodeIpRule(rule: IpRule): Uint8Array {
	const {mark, users, sourcePorts, destinationPorts} = rule;
	return concatBytes(
		ruleHeader(rule),
		optionalAttribute(FRA_SRC, rule.from?.address ?? null, addressBytes),
		optionalAttribute(FRA_DST, rule.to?.address ?? null, addressBytes),
		encodeAttribute(FRA_PRIORITY, encodeU32(rule.priority)),
		optionalAttribute(FRA_FWMARK, mark?.value ?? null, encodeU32),
		optionalAttribute(FRA_FWMASK, mark?.mask ?? null, encodeU32),
		optionalAttribute(FRA_IIFNAME, rule.inputInterface, encodeText),
		optionalAttribute(FRA_OIFNAME, rule.outputInterface, encodeText),
		optionalAttribute(FRA_TUN_ID, rule.tunnelId, encodeTunnelId),
		optionalAttribute(FRA_UID_RANGE, users, range => concatBytes(...range.map(encodeU32))),
		optionalAttribute(FRA_L3MDEV, rule.l3mdev ? 1 : null, encodeU8),
		optionalAttribute(FRA_IP_PROTO, rule.ipProtocol, encodeU8),
		optionalAttribute(FRA_SPORT_RANGE, sourcePorts, range => concatBytes(...range.map(encodeU16))),
		optionalAttribute(FRA_DPORT_RANGE, destinationPorts, range => concatBytes(...range.map(encodeU16))),
		optionalAttribute(FRA_TABLE, rule.table > 0xff ? rule.table : null, encodeU32),
		optionalAttribute(FRA_GOTO, rule.target, encodeU32),
		optionalAttribute(FRA_FLOW, rule.realms, encodeU32),
		optionalAttribute(FRA_SUPPRESS_PREFIXLEN, rule.suppressPrefixLength, encodeU32),
		optionalAttribute(FRA_SUPPRESS_IFGROUP, rule.suppressGroup, encodeU32),
		encodeAttribute(FRA_PROTOCOL, encodeU8(rule.protocol)),
	);
}

function ruleHeader(rule: IpRule): Uint8Array {
	const header = new Uint8Array(HEADER_LENGTH);
	header[0] = rule.family === 4 ? AF_INET : AF_INET6;
	header[1] = rule.to?.prefix ?? 0;
	header[2] = rule.from?.prefix ?? 0;
	header[3] = rule.tos;
	header[4] = rule.table > 0xff ? 0 : rule.table;
	header[7] = ACTIONS[rule.action];
	viewOf(header).setUint32(8, rule.inverted ? FIB_RULE_INVERT : 0, LITTLE_ENDIAN);
	return header;
}

/** In network order, unlike all others. */
function encodeTunnelId(id: string): Uint8Array {
	const bytes = new Uint8Array(8);
	viewOf(bytes).setBigUint64(0, BigInt(id));
	return bytes;
}

/** Body of an RTM_GETRULE for all rules of a family. */
export function encodeRuleDump(of: Family): Uint8Array {
	const header = new Uint8Array(HEADER_LENGTH);
	header[0] = of === 4 ? AF_INET : AF_INET6;
	return header;
}

/** `other-family` also for actions that nobody but the kernel itself makes. */
export function decodeIpRule(message: NetlinkMessage): Decoded<IpRule, RouteReason> {
	const parts = split(message, HEADER_LENGTH);
	if (!parts.ok) return parts;
	const {header, attributes} = parts.value;
	const length = addressLength(header.getUint8(0));
	const action = Object.entries(ACTIONS).find(([, number]) => number === header.getUint8(7))?.[0];
	if (length === undefined || action === undefined) return {ok: false, reason: 'other-family'};
	const tunnelId = attributes.get(FRA_TUN_ID);
	return {
		ok: true,
		value: {
			family: length === 4 ? 4 : 6,
			priority: decodeU32(attributes.get(FRA_PRIORITY)) ?? 0,
			inverted: (header.getUint32(8, LITTLE_ENDIAN) & FIB_RULE_INVERT) !== 0,
			from: decodeDestination(attributes.get(FRA_SRC), header.getUint8(2), length),
			to: decodeDestination(attributes.get(FRA_DST), header.getUint8(1), length),
			tos: header.getUint8(3),
			mark: decodeMark(attributes),
			inputInterface: decodeName(attributes.get(FRA_IIFNAME)),
			outputInterface: decodeName(attributes.get(FRA_OIFNAME)),
			tunnelId: tunnelId?.length === 8 ? String(viewOf(tunnelId).getBigUint64(0)) : null,
			users: decodeRange32(attributes.get(FRA_UID_RANGE)),
			l3mdev: attributes.get(FRA_L3MDEV)?.[0] === 1,
			ipProtocol: attributes.get(FRA_IP_PROTO)?.[0] ?? null,
			sourcePorts: decodeRange16(attributes.get(FRA_SPORT_RANGE)),
			destinationPorts: decodeRange16(attributes.get(FRA_DPORT_RANGE)),
			action: action as RuleAction,
			table: decodeU32(attributes.get(FRA_TABLE)) ?? header.getUint8(4),
			target: decodeU32(attributes.get(FRA_GOTO)) ?? null,
			realms: decodeU32(attributes.get(FRA_FLOW)) ?? null,
			suppressPrefixLength: decodeSuppression(attributes.get(FRA_SUPPRESS_PREFIXLEN)),
			suppressGroup: decodeSuppression(attributes.get(FRA_SUPPRESS_IFGROUP)),
			protocol: attributes.get(FRA_PROTOCOL)?.[0] ?? 0,
		},
	};
}

/** None where it is everything. */
function decodeDestination(bytes: Uint8Array | undefined, prefix: number, length: 4 | 16): Destination | null {
	const address = addressText(bytes, length);
	return address === undefined || prefix === 0 ? null : {address, prefix};
}

function decodeMark(attributes: Attributes): IpRule['mark'] {
	const value = decodeU32(attributes.get(FRA_FWMARK)) ?? 0;
	const mask = decodeU32(attributes.get(FRA_FWMASK)) ?? 0;
	return value === 0 && mask === 0 ? null : {value, mask};
}

function decodeName(bytes: Uint8Array | undefined): string | null {
	return bytes === undefined ? null : decodeText(bytes);
}

function decodeRange32(bytes: Uint8Array | undefined): NumberRange | null {
	if (bytes?.length !== 8) return null;
	const view = viewOf(bytes);
	return [view.getUint32(0, LITTLE_ENDIAN), view.getUint32(4, LITTLE_ENDIAN)];
}

function decodeRange16(bytes: Uint8Array | undefined): NumberRange | null {
	if (bytes?.length !== 4) return null;
	const view = viewOf(bytes);
	return [view.getUint16(0, LITTLE_ENDIAN), view.getUint16(2, LITTLE_ENDIAN)];
}

function decodeSuppression(bytes: Uint8Array | undefined): number | null {
	const value = decodeU32(bytes) ?? NO_SUPPRESSION;
	return value === NO_SUPPRESSION ? null : value;
}

/** Alike for rules that the kernel takes for one and the same. */
export function ruleKey(rule: IpRule): string {
	const {family, priority, inverted, from, to, tos, mark, inputInterface, outputInterface, tunnelId, users} = rule;
	const {l3mdev, ipProtocol, sourcePorts, destinationPorts, action, table, target, realms, protocol} = rule;
	return JSON.stringify([
		[family, priority, inverted, from?.address, from?.prefix, to?.address, to?.prefix, tos, mark?.value, mark?.mask],
		[inputInterface, outputInterface, tunnelId, users, l3mdev, ipProtocol, sourcePorts, destinationPorts],
		[action, table, target, realms, rule.suppressPrefixLength, rule.suppressGroup, protocol],
	]);
}
