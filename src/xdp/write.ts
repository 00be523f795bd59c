/** Entries as the maps have them: what an op makes of a map, and whether it is still so. */
import {isDeepStrictEqual} from 'node:util';
import {addressLength, type Family} from '../net/address.js';
import {
	type Endpoint,
	type EndpointBucket,
	Limits,
	routerRoles,
	type Settings,
	type VirtualRouter,
} from './layout.gen.js';
import type {Maps} from './maps.js';
import {type BackendId, BITS_PER_PLACE, familyOf, type Op, type Tables, withRoom} from './tables.js';

/** Entries of maps that no longer mean anything. */
const NO_ROUTER_ROLES = {roles: new Uint8Array(routerRoles.size)};
const UNUSED_NIC = {ifindex: 0, mac: new Uint8Array(6), mtu: 0};
const UNUSED_ADDRESS = withRoom(new Uint8Array());
const UNUSED_SERVICE = {
	turn: 0n,
	persistenceJiffies: 0n,
	addr: UNUSED_ADDRESS,
	persistenceMask: UNUSED_ADDRESS,
	port: 0,
	proto: 0,
	family: 0,
	scheduler: 0,
	failedBackend: 0,
	noBackend: 0,
	flags: 0,
	sourceRate: 0,
	sourceBurst: 0,
	serviceRate: 0,
	serviceBurst: 0,
};
const UNUSED_BACKEND = {
	addr: UNUSED_ADDRESS,
	port: 0,
	proto: 0,
	state: 0,
	service: 0,
	shared: 0,
	nextHop: 0n,
	weight: 0,
	upperThreshold: 0,
	lowerThreshold: 0,
	family: 0,
	method: 0,
	tunnelFlags: 0,
	tunnelPort: 0,
	tunnelSource: UNUSED_ADDRESS,
};
const UNUSED_LEASE = {
	router: {ifindex: 0, family: 0, vrid: 0},
	sentNs: 0n,
	sentUntilNs: 0n,
	heardNs: 0n,
	heardUntilNs: 0n,
};

/** Performs an op on the maps, which hold `tables` until now, but for what it changes in the settings. Throws BpfError. */
export function writeOp(maps: Maps, {leases}: Tables, op: Op): void {
	switch (op.map) {
		case 'nics':
			if (op.value === null) maps.nicPorts.delete(op.index);
			else maps.nicPorts.set(op.index, op.value.ifindex);
			return;
		case 'routerRoles':
			return maps.routerRoles.set(op.index, op.value ?? NO_ROUTER_ROLES);
		case 'backends':
			return maps.backends.set(op.index, op.value ?? UNUSED_BACKEND);
		case 'endpoints':
			return maps.endpoints[op.family].set(op.index, endpointBucket(op.family, op.value));
		case 'filter':
			return;
		case 'turns':
			return maps.turns.setMany(stretchOf(op));
		case 'services':
			return maps.services.set(op.index, op.value ?? UNUSED_SERVICE);
		case 'serviceKeys': {
			const servicesByKey = maps.servicesByKey[familyOf(op.key.addr)];
			if (op.value === null) servicesByKey.delete(op.key);
			else servicesByKey.set(op.key, op.value);
			return;
		}
		case 'leases':
			return writeLease(maps, leases.get(op.index), op);
		case 'virtualAddresses':
			if (op.value === null) maps.virtualAddresses.delete(op.key);
			else maps.virtualAddresses.set(op.key, op.value);
	}
}

/** A lease begins without anything sent or heard. `before`: whose it was. */
function writeLease(
	{leases, leaseOfRouter}: Maps,
	before: VirtualRouter | undefined,
	{index, value: router}: Op & {readonly map: 'leases'},
): void {
	if (before !== undefined && leaseOfRouter.get(before) === index) leaseOfRouter.delete(before);
	leases.set(index, {...UNUSED_LEASE, router: router ?? UNUSED_LEASE.router});
	if (router !== null) leaseOfRouter.set(router, index);
}

/** What an op makes of the settings. */
export function settingsAfter(op: Op, settings: Settings): Settings {
	if (op.map === 'nics') return {...settings, nics: settings.nics.with(op.index, op.value ?? UNUSED_NIC)};
	return op.map === 'filter' ? {...settings, filter: filterOf(op.value)} : settings;
}

/** Whether the maps but the settings are as an op has left them, which has put something there. */
export function isWritten(maps: Maps, op: Op): boolean {
	if (op.value === null) return false;
	switch (op.map) {
		case 'nics':
		case 'filter':
			return true;
		case 'routerRoles':
			return maps.routerRoles.has(op.index, op.value);
		case 'backends':
			return maps.backends.has(op.index, op.value);
		case 'endpoints':
			return maps.endpoints[op.family].has(op.index, endpointBucket(op.family, op.value));
		case 'turns':
			return isDeepStrictEqual(maps.turnsAt(op.index, op.value.length), op.value);
		case 'services':
			return maps.services.has(op.index, op.value);
		case 'serviceKeys':
			return maps.servicesByKey[familyOf(op.key.addr)].has(op.key, op.value);
		case 'leases':
			return isLeaseOf(maps, op.index, op.value);
		case 'virtualAddresses':
			return maps.virtualAddresses.has(op.key, op.value);
	}
}

/** The times in a lease are lbd-vrrp's and the program's. */
function isLeaseOf({leases, leaseOfRouter}: Maps, index: number, router: VirtualRouter): boolean {
	return isDeepStrictEqual(leases.get(index)?.router, router) && leaseOfRouter.get(router) === index;
}

/** The entries of a stretch of turns; zeroes where nobody reads it any more. */
function* stretchOf(op: Op & {readonly map: 'turns'}): Generator<[index: number, backend: BackendId]> {
	const turns = op.value ?? new Array<BackendId>(op.length).fill(0);
	for (const [n, backend] of turns.entries()) yield [op.index + n, backend];
}

/** A bucket with these endpoints; the rest of its slots unused. */
export function endpointBucket(family: Family, endpoints: readonly Endpoint[]): EndpointBucket {
	const none = new Uint8Array(addressLength(family));
	const unused = {addr: none, port: 0, proto: 0, serviceAddr: none, servicePort: 0, service: 0};
	return {slots: Array.from({length: Limits.LIMIT_ENDPOINTS_PER_BUCKET}, (_, slot) => endpoints[slot] ?? unused)};
}

/** The filter with these bits, by their positions. */
export function filterOf(positions: ReadonlySet<number>): Uint8Array {
	const filter = new Uint8Array(Limits.LIMIT_FILTER_PLACES);
	for (const position of positions) {
		const place = Math.floor(position / BITS_PER_PLACE);
		filter[place] = (filter[place] ?? 0) | (1 << (position % BITS_PER_PLACE));
	}
	return filter;
}
