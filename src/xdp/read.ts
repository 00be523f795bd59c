import {Bug} from '../errors.js';
import {FAMILIES} from '../net/address.js';
import {BackendState, RouterRole, type Settings} from './layout.gen.js';
import type {Maps} from './maps.js';
import {emptyTables, serviceKeyText, type Tables} from './tables.js';

const BITS_PER_WORD = 64;

/** Reads what the maps hold: the state that a new daemon starts from. */
export async function readTables(maps: Maps): Promise<Tables> {
	const tables = emptyTables();
	for (const [slot, nic] of await maps.nics.readUsed()) if (nic.ifindex !== 0) tables.nics.set(slot, nic);
	for (const [slot, roles] of await maps.routerRoles.readUsed()) {
		if (roles.roles.some(role => role !== RouterRole.ROUTER_NONE)) tables.routerRoles.set(slot, roles);
	}
	for (const [id, backend] of await maps.backends.readUsed()) {
		if (backend.state !== BackendState.BACKEND_UNUSED) tables.backends.set(id, backend);
	}
	for (const [index, backend] of maps.turnsInUse()) tables.turns.set(index, backend);
	for (const [id, service] of await maps.services.readUsed()) {
		if (service.proto !== 0) tables.services.set(id, service);
	}
	for (const family of FAMILIES) {
		for (const [bucket, {slots}] of await maps.endpoints[family].readUsed()) {
			const used = slots.filter(endpoint => endpoint.proto !== 0);
			if (used.length > 0) tables.endpoints[family].set(bucket, used);
		}
		for (const [key, id] of await maps.servicesByKey[family].entries()) {
			tables.serviceKeys.set(serviceKeyText(key), {key, id});
		}
	}
	for (const bit of filterBits(maps)) tables.filter.add(bit);
	return tables;
}

/** What the program goes by. */
export function settingsOf(maps: Maps): Settings {
	const settings = maps.settings.get(0);
	if (settings === undefined) throw new Bug('the map of settings has no entry 0');
	return settings;
}

function* filterBits(maps: Maps): Generator<number> {
	const filter = maps.localFilter.get(0);
	if (filter === undefined) throw new Bug('the local filter has no entry 0');
	for (const [word, bits] of filter.bits.flat().entries()) {
		for (let bit = 0; bits >> BigInt(bit) !== 0n; bit++) {
			if ((bits >> BigInt(bit)) & 1n) yield word * BITS_PER_WORD + bit;
		}
	}
}
