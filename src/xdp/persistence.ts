/** Persistence entries whose time is over: the program itself only ever replaces them. */
import type {BpfProgram} from 'libbpf-ts';
import {FAMILIES, type Family} from '../net/address.js';
import {Clients, findClients} from './flows.js';
import {type PersistenceEntry, type PersistenceKey, persistenceKey, type Settings} from './layout.gen.js';
import {persistenceKey6} from './layout6.gen.js';
import type {ByFamily, Maps} from './maps.js';
import {addressIn, type BackendId, type Tables} from './tables.js';

/** How often the daemon sweeps. */
export const SWEEP_S = 10;
/** What ends before this is looked at: a sweep may come late, and an entry must not end between two of them. */
const LOOK_AHEAD_S = 2 * SWEEP_S;
/** IPVS lets an entry whose connections live go on for so long at a time (net/netfilter/ipvs/ip_vs_conn.c). */
const EXTENSION_S = 60;

const KEYS: ByFamily<{readonly size: number; encode(value: PersistenceKey, view: DataView): void}> = {
	4: persistenceKey,
	6: persistenceKey6,
};
/** Of `extend_entry`'s frame: where the key begins, and the least that a test run takes. */
const KEY_AT = 16;
const FRAME_BYTES = 64;

export interface SweepSeams {
	readonly maps: Maps;
	readonly tables: Tables;
	readonly settings: Settings;
	/** `extend_entry` of bpf/lb.bpf.c. */
	readonly extenders: ByFamily<BpfProgram>;
}

/** An entry that ends before the next sweep. */
interface Ending {
	readonly family: Family;
	readonly key: PersistenceKey;
	readonly entry: PersistenceEntry;
}

/**
 * Removes entries whose time is over, but lets those go on whose clients have connections to the same backend. An entry
 * that its client renews meanwhile stays as it is. Returns how many are left.
 */
export async function sweepPersistence(seams: SweepSeams, jiffies: bigint): Promise<number> {
	const {maps, settings} = seams;
	const soon = jiffies + BigInt(LOOK_AHEAD_S * settings.hz);
	const ending: Ending[] = [];
	let left = 0;
	for (const family of FAMILIES) {
		for (const [key, entry] of await maps.persistence[family].entries()) {
			if (entry.expires <= soon) ending.push({family, key, entry});
			else left++;
		}
	}
	const clients = clientsOf(ending, seams, jiffies);
	for (const one of ending) {
		const hasFlows = clients[one.family].get(one.entry.backend)?.has(one.key.client) ?? false;
		if (hasFlows) extend(one, seams, jiffies);
		if (hasFlows || !removeIfOver(one, seams, jiffies)) left++;
	}
	return left;
}

/** How many entries that are not over lead to each backend. */
export async function countPersistence({persistence}: Maps, jiffies: bigint): Promise<ReadonlyMap<BackendId, number>> {
	const counts = new Map<BackendId, number>();
	for (const family of FAMILIES) {
		for (const [, {backend, expires}] of await persistence[family].read()) {
			if (expires > jiffies) counts.set(backend, (counts.get(backend) ?? 0) + 1);
		}
	}
	return counts;
}

/** Who has live flows to the backends of these entries, as networks of their services' masks. */
function clientsOf(
	ending: readonly Ending[],
	{maps, tables, settings}: SweepSeams,
	jiffies: bigint,
): ByFamily<ReadonlyMap<BackendId, Clients>> {
	const asked: ByFamily<Map<BackendId, Clients>> = {4: new Map(), 6: new Map()};
	for (const {family, key, entry} of ending) {
		const service = tables.services.get(key.service);
		// an id that was given to another service since is not the client's backend any more
		if (service === undefined || tables.backends.get(entry.backend)?.service !== key.service) continue;
		const mask = addressIn({addr: service.persistenceMask, family});
		if (!asked[family].has(entry.backend)) asked[family].set(entry.backend, new Clients(mask));
	}
	findClients(maps.flows, settings, jiffies, asked);
	return asked;
}

/** Lets an entry end later, unless a new connection has renewed it. */
function extend({family, key, entry}: Ending, {settings, extenders}: SweepSeams, jiffies: bigint): void {
	const from = entry.expires > jiffies ? entry.expires : jiffies;
	const frame = new Uint8Array(FRAME_BYTES);
	const view = new DataView(frame.buffer);
	view.setBigUint64(0, entry.expires, true);
	view.setBigUint64(8, from + BigInt(EXTENSION_S * settings.hz), true);
	KEYS[family].encode(key, new DataView(frame.buffer, KEY_AT, KEYS[family].size));
	extenders[family].testRun({data: frame});
}

/** Returns whether it is gone. */
function removeIfOver({family, key, entry}: Ending, {maps}: SweepSeams, jiffies: bigint): boolean {
	const persistence = maps.persistence[family];
	const isOver = entry.expires <= jiffies && persistence.get(key)?.expires === entry.expires;
	if (isOver) persistence.delete(key);
	return isOver;
}
