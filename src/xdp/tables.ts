/** The contents of the maps as plain tables: the same shape for what is and for what should be. */
import {addressLength, type Family} from '../net/address.js';
import {bytesKey} from '../net/bytes.js';
import {
	type Backend,
	type Endpoint,
	type Nic,
	type RouterRoles,
	type Service,
	type ServiceKey,
	Verdict,
	type VirtualAddress,
	VirtualFlag,
	type VirtualKey,
	type VirtualRouter,
} from './layout.gen.js';
import type {ByFamily} from './maps.js';

export type {Backend, Service} from './layout.gen.js';

export type ServiceId = number;
export type BackendId = number;

/** Of the filter: one for each enum filter_side, and some to spare. */
export const BITS_PER_PLACE = 8;

/** Entries that are in use, by index or key; unused ones are absent. */
export interface Tables {
	/** By NIC slot. */
	readonly nics: Map<number, Nic>;
	/** By NIC slot, where there are any. */
	readonly routerRoles: Map<number, RouterRoles>;
	readonly backends: Map<BackendId, Backend>;
	/** By bucket: the endpoints in it. */
	readonly endpoints: ByFamily<Map<number, readonly Endpoint[]>>;
	/** Positions of the bits that are set: `place * BITS_PER_PLACE + bit`, see local-hash.ts. */
	readonly filter: Set<number>;
	/** Stretches of turns by the index of their first; none is empty and no two overlap. */
	readonly turns: Map<number, readonly BackendId[]>;
	readonly services: Map<ServiceId, Service>;
	/** By `serviceKeyText`. */
	readonly serviceKeys: Map<string, {readonly key: ServiceKey; readonly id: ServiceId}>;
	/** By index in `leases`: whose each is. */
	readonly leases: Map<number, VirtualRouter>;
	/** By `virtualKeyText`. */
	readonly virtualAddresses: Map<string, {readonly key: VirtualKey; readonly value: VirtualAddress}>;
}

export function emptyTables(): Tables {
	return {
		nics: new Map(),
		routerRoles: new Map(),
		backends: new Map(),
		endpoints: {4: new Map(), 6: new Map()},
		filter: new Set(),
		turns: new Map(),
		services: new Map(),
		serviceKeys: new Map(),
		leases: new Map(),
		virtualAddresses: new Map(),
	};
}

/** A service key as a string, for use as the key of a Map. */
export function serviceKeyText(key: ServiceKey): string {
	return `${key.addr.join('.')}:${key.port}/${key.proto}`;
}

/** A virtual address's key as a string, likewise. */
export function virtualKeyText({addr, ifindex, family}: VirtualKey): string {
	return `${addr.join('.')}%${ifindex}/${family}`;
}

/** The family of an address of 4 or 16 bytes. */
export function familyOf(addr: Uint8Array): Family {
	return addr.length === addressLength(4) ? 4 : 6;
}

/** The family of an entry that may be of either. */
export function familyIn({family}: {readonly family: number}): Family {
	return family === 6 ? 6 : 4;
}

/** The address of an entry that has room for either family: a copy, since a part of so few bytes costs more. */
export function addressIn({addr, family}: {readonly addr: Uint8Array; readonly family: number}): Uint8Array {
	return addr.slice(0, addressLength(familyIn({family})));
}

/** The address of such an entry as a part of a Map's key. */
export function addressKey({addr, family}: {readonly addr: Uint8Array; readonly family: number}): string {
	return bytesKey(addr, addressLength(familyIn({family})));
}

/** An address, or a mask, as an entry takes it that has room for either family. */
export function withRoom(addr: Uint8Array): Uint8Array {
	const room = new Uint8Array(addressLength(6));
	room.set(addr);
	return room;
}

/** Changes of the block list: prefixes in canonical text, as `Settings.blocked` has them. */
export interface BlockChanges {
	readonly added: readonly string[];
	readonly removed: readonly string[];
}

/** Of adverts, and of the questions where an address is. */
const LEASED_VERDICTS = [
	Verdict.V_PASS_OTHER_MAC,
	Verdict.V_PASS_ETHERTYPE,
	Verdict.V_PASS_PROTOCOL,
	Verdict.V_PASS_ICMP,
] as const;
/** Of all that a closed address gets and that is no service's. */
const CLOSED_VERDICTS = [
	Verdict.V_PASS_PROTOCOL,
	Verdict.V_PASS_ICMP,
	Verdict.V_PASS_FRAGMENT,
	Verdict.V_PASS_NOT_OURS,
	Verdict.V_PASS_BACKEND_NO_FLOW,
] as const;

/** `virtual_verdicts` of the settings: nobody pays for what nobody uses. */
export function virtualVerdicts({leases, virtualAddresses}: Tables): bigint {
	const isClosed = [...virtualAddresses.values()].some(({value}) => (value.flags & VirtualFlag.VIRTUAL_CLOSED) !== 0);
	const seen = [...(leases.size > 0 ? LEASED_VERDICTS : []), ...(isClosed ? CLOSED_VERDICTS : [])];
	return seen.reduce((bits, verdict) => bits | (1n << BigInt(verdict)), 0n);
}

/** One change of one map entry; `null` means: no longer in use. */
export type Op =
	| {readonly map: 'nics'; readonly index: number; readonly value: Nic | null}
	| {readonly map: 'routerRoles'; readonly index: number; readonly value: RouterRoles | null}
	| {readonly map: 'backends'; readonly index: BackendId; readonly value: Backend | null}
	| {
			readonly map: 'endpoints';
			readonly family: Family;
			readonly index: number;
			readonly value: readonly Endpoint[];
	  }
	| {readonly map: 'filter'; readonly value: ReadonlySet<number>}
	| {readonly map: 'turns'; readonly index: number; readonly value: readonly BackendId[]}
	/** A stretch that nobody reads any more. */
	| {readonly map: 'turns'; readonly index: number; readonly value: null; readonly length: number}
	| {readonly map: 'services'; readonly index: ServiceId; readonly value: Service | null}
	| {readonly map: 'serviceKeys'; readonly key: ServiceKey; readonly value: ServiceId | null}
	| {readonly map: 'leases'; readonly index: number; readonly value: VirtualRouter | null}
	| {readonly map: 'virtualAddresses'; readonly key: VirtualKey; readonly value: VirtualAddress | null};

/** How many entries of its map an op writes. */
export function entriesOf(op: Op): number {
	return op.map === 'turns' ? (op.value ?? op).length : 1;
}

/** What the maps of ops are called. */
const NAMES: Readonly<Record<Op['map'], string>> = {
	nics: 'settings',
	routerRoles: 'router_roles',
	backends: 'backends',
	endpoints: 'endpoints',
	filter: 'settings',
	turns: 'turns',
	services: 'services',
	serviceKeys: 'services_by_key',
	leases: 'leases',
	virtualAddresses: 'virtual_addresses',
};

/** What the map is called that an op writes to. */
export function mapName(op: Op): string {
	const name = NAMES[op.map];
	const isSixth = op.map === 'endpoints' ? op.family === 6 : op.map === 'serviceKeys' && familyOf(op.key.addr) === 6;
	return isSixth ? `${name}6` : name;
}

/** Performs an op on tables: what the kernel's maps hold afterwards. */
export function applyOp(tables: Tables, op: Op): void {
	switch (op.map) {
		case 'nics':
			return put(tables.nics, op.index, op.value);
		case 'routerRoles':
			return put(tables.routerRoles, op.index, op.value);
		case 'backends':
			return put(tables.backends, op.index, op.value);
		case 'endpoints':
			return put(tables.endpoints[op.family], op.index, op.value.length === 0 ? null : op.value);
		case 'turns':
			return put(tables.turns, op.index, op.value);
		case 'services':
			return put(tables.services, op.index, op.value);
		case 'serviceKeys':
			return put(tables.serviceKeys, serviceKeyText(op.key), op.value === null ? null : {key: op.key, id: op.value});
		case 'leases':
			return put(tables.leases, op.index, op.value);
		case 'virtualAddresses':
			return put(
				tables.virtualAddresses,
				virtualKeyText(op.key),
				op.value === null ? null : {key: op.key, value: op.value},
			);
		case 'filter':
			tables.filter.clear();
			for (const bit of op.value) tables.filter.add(bit);
	}
}

function put<K, V>(table: Map<K, V>, key: K, value: V | null): void {
	if (value === null) table.delete(key);
	else table.set(key, value);
}
