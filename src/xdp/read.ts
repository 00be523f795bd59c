import {Bug} from '../errors.js';
import {FAMILIES} from '../net/address.js';
import {BackendState, RouterRole, type Settings} from './layout.gen.js';
import type {Maps} from './maps.js';
import {type BackendId, BITS_PER_PLACE, emptyTables, serviceKeyText, type Tables, virtualKeyText} from './tables.js';

/** Reads what the maps hold: the state that a new daemon starts from. */
export async function readTables(maps: Maps): Promise<Tables> {
	const tables = emptyTables();
	const {nics, filter} = settingsOf(maps);
	for (const [slot, nic] of nics.entries()) if (nic.ifindex !== 0) tables.nics.set(slot, nic);
	for (const [slot, roles] of await maps.routerRoles.readUsed()) {
		if (roles.roles.some(role => role !== RouterRole.ROUTER_NONE)) tables.routerRoles.set(slot, roles);
	}
	for (const [id, backend] of await maps.backends.readUsed()) {
		if (backend.state !== BackendState.BACKEND_UNUSED) tables.backends.set(id, backend);
	}
	for (const [id, service] of await maps.services.readUsed()) {
		if (service.proto !== 0) tables.services.set(id, service);
	}
	for (const [offset, turns] of stretches(maps, tables)) tables.turns.set(offset, turns);
	for (const family of FAMILIES) {
		for (const [bucket, {slots}] of await maps.endpoints[family].readUsed()) {
			const used = slots.filter(endpoint => endpoint.proto !== 0);
			if (used.length > 0) tables.endpoints[family].set(bucket, used);
		}
		for (const [key, id] of await maps.servicesByKey[family].entries()) {
			tables.serviceKeys.set(serviceKeyText(key), {key, id});
		}
	}
	for (const bit of filterBits(filter)) tables.filter.add(bit);
	for (const [index, {router}] of await maps.leases.readUsed()) {
		// One that packets do not find is none: whoever was to write it has been killed in between.
		if (router.ifindex !== 0 && maps.leaseOfRouter.get(router) === index) tables.leases.set(index, router);
	}
	for (const [key, value] of await maps.virtualAddresses.entries()) {
		tables.virtualAddresses.set(virtualKeyText(key), {key, value});
	}
	return tables;
}

/** The turns of the services, each with all of its stretch, and what is written beside them, which a killed daemon may have left. */
function* stretches(maps: Maps, {services}: Tables): Generator<[offset: number, turns: readonly BackendId[]]> {
	const {maxEntries} = maps.turns.raw;
	const named = [...services.values()]
		.map(({turn}) => ({offset: Number(turn >> 32n), length: Number(turn & 0xffff_ffffn)}))
		.filter(({offset, length}) => length > 0 && offset + length <= maxEntries)
		.sort((a, b) => a.offset - b.offset);
	for (const {offset, length} of named) {
		const turns = maps.turnsAt(offset, length);
		if (turns.some(backend => backend !== 0)) yield [offset, turns];
	}
	let next = 0;
	let [offset, turns]: [number, BackendId[]] = [0, []];
	for (const [index, backend] of maps.turnsInUse()) {
		for (let stretch = named[next]; stretch !== undefined && index >= stretch.offset + stretch.length; ) {
			stretch = named[++next];
		}
		if (index >= (named[next]?.offset ?? maxEntries)) continue;
		if (index !== offset + turns.length) {
			if (turns.length > 0) yield [offset, turns];
			[offset, turns] = [index, []];
		}
		turns.push(backend);
	}
	if (turns.length > 0) yield [offset, turns];
}

/** What the program goes by. */
export function settingsOf(maps: Maps): Settings {
	const settings = maps.settings.get(0);
	if (settings === undefined) throw new Bug('the map of settings has no entry 0');
	return settings;
}

function* filterBits(filter: Uint8Array): Generator<number> {
	for (const [place, sides] of filter.entries()) {
		for (let bit = 0; sides >> bit !== 0; bit++) if ((sides >> bit) & 1) yield place * BITS_PER_PLACE + bit;
	}
}
