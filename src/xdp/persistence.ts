/** Persistence entries as the daemon and lbctl deal with them. Only the program writes them: it is run to change one. */
import type {BpfProgram} from 'libbpf-ts';
import {Bug} from '../errors.js';
import type {Family} from '../net/address.js';
import {bytesKey} from '../net/bytes.js';
import {Clients, type Entry, findClients, visitEntries} from './flows.js';
import {EntryChange, type Settings} from './layout.gen.js';
import {type ByFamily, FLOW_SIZES, type Maps} from './maps.js';
import {addressIn, type BackendId, type ServiceId, type Tables} from './tables.js';
import {type Fields, fieldsIn, type PinnedMap} from './upgrade.js';

/** How often the daemon sweeps. */
export const SWEEP_S = 10;
/** What ends before this is looked at: a sweep may come late, and an entry must not end between two of them. */
const LOOK_AHEAD_S = 2 * SWEEP_S;
/** IPVS lets an entry whose connections live go on for so long at a time (net/netfilter/ipvs/ip_vs_conn.c). */
const EXTENSION_S = 60;

/** Offsets in the frame of `change_entry`, and the least length that a test run takes. */
const FRAME = {change: 0, backend: 4, lastTick: 8, was: 12, key: 16, bytes: 64} as const;
const XDP_PASS = 2;

/** `change_entry` of bpf/lb.bpf.c. */
export type EntryChangers = ByFamily<Pick<BpfProgram, 'testRun'>>;

/** Whose entry it is. */
export interface EntryName {
	readonly family: Family;
	/** Under the mask of the service. */
	readonly client: Uint8Array;
	readonly service: ServiceId;
}

/** What an entry says. */
export interface EntryContent {
	readonly backend: BackendId;
	/** The last coarse tick in which it holds. */
	readonly lastTick: number;
}

export interface SweepSeams {
	readonly maps: Pick<Maps, 'flows' | 'persistence'>;
	readonly tables: Tables;
	readonly settings: Settings;
	readonly changers: EntryChangers;
}

/** Makes an entry, or changes the one that there is. False: there is no room. */
export function putEntry(changers: EntryChangers, name: EntryName, content: EntryContent): boolean {
	return change(changers, name, EntryChange.ENTRY_PUT, content, 0);
}

/** Removes an entry. False: there is none. */
export function deleteEntry(changers: EntryChangers, name: EntryName): boolean {
	return change(changers, name, EntryChange.ENTRY_DELETE, {backend: 0, lastTick: 0}, 0);
}

function change(
	changers: EntryChangers,
	{family, client, service}: EntryName,
	what: EntryChange,
	{backend, lastTick}: EntryContent,
	was: number,
): boolean {
	const frame = new Uint8Array(FRAME.bytes);
	const view = new DataView(frame.buffer);
	view.setUint32(FRAME.change, what, true);
	view.setUint32(FRAME.backend, backend, true);
	view.setUint32(FRAME.lastTick, lastTick, true);
	view.setUint32(FRAME.was, was, true);
	frame.set(client, FRAME.key);
	view.setUint32(FRAME.key + ADDRESSES_BYTES[family], service, true);
	return changers[family].testRun({data: frame}).retval === XDP_PASS;
}

/** Of a slot's key: those before the ports. The rest of a slot is three words, and of one of IPv6 a word of padding. */
const ADDRESSES_BYTES: ByFamily<number> = {4: FLOW_SIZES[4].slot - 24, 6: FLOW_SIZES[6].slot - 32};

/**
 * Makes the entries that an earlier version has in a hash (up to layout 4): by `client` and `service`, with `backend` and the
 * jiffy at which they end, `expires`. That version goes on with it until the present one is on all NICs.
 */
export class Retelling {
	/** Of the map. */
	readonly name: string;
	readonly #family: Family;
	readonly #from: PinnedMap;
	/** What was told of each entry. */
	readonly #told = new Map<string, string>();

	constructor(name: string, family: Family, from: PinnedMap) {
		this.name = name;
		this.#family = family;
		this.#from = from;
	}

	/** Tells what holds and has not been told so. Returns how many entries there is no room for. */
	async tell(
		changers: EntryChangers,
		moment: {readonly coarseShift: number; readonly jiffies: bigint},
	): Promise<number> {
		let refused = 0;
		for (const fields of await fieldsIn(this.name, this.#from)) {
			const {name, backend, expires} = hashedEntry(this.#family, fields);
			if (expires <= moment.jiffies || !this.#isNews(name, `${backend} ${expires}`)) continue;
			const lastTick = Number(BigInt.asUintN(32, expires >> BigInt(moment.coarseShift)));
			if (!putEntry(changers, name, {backend, lastTick})) refused++;
		}
		return refused;
	}

	#isNews({client, service}: EntryName, content: string): boolean {
		const entry = `${service} ${bytesKey(client)}`;
		const isNews = this.#told.get(entry) !== content;
		this.#told.set(entry, content);
		return isNews;
	}

	close(): void {
		this.#from.map.close();
	}
}

function hashedEntry(family: Family, fields: Fields): {name: EntryName; backend: BackendId; expires: bigint} {
	const view = (name: string): DataView => {
		const found = fields.get(name);
		if (found === undefined) throw new Bug(`an entry without ${name}`);
		return found;
	};
	const {buffer, byteOffset, byteLength} = view('client');
	const client = new Uint8Array(buffer, byteOffset, byteLength);
	return {
		name: {family, client, service: view('service').getUint16(0, true)},
		backend: view('backend').getUint16(0, true),
		expires: view('expires').getBigUint64(0, true),
	};
}

/** Lets those entries go on that end before the next sweep and whose clients have connections to the same backend, unless their
 * clients renew them meanwhile. Returns how many entries there are. */
export function sweepPersistence(seams: SweepSeams, jiffies: bigint): number {
	const {maps, settings, changers} = seams;
	const ending: Entry[] = [];
	let count = 0;
	visitEntries(maps.persistence, settings, jiffies, (leftJiffies, read) => {
		count++;
		if (leftJiffies <= LOOK_AHEAD_S * settings.hz) ending.push(read());
	});
	const clients = clientsOf(ending, seams, jiffies);
	const extension = Math.ceil((EXTENSION_S * settings.hz) / 2 ** settings.coarseShift);
	for (const entry of ending) {
		if (!clients[entry.family].get(entry.backend)?.has(entry.client)) continue;
		const content = {...entry, lastTick: (entry.lastTick + extension) >>> 0};
		change(changers, entry, EntryChange.ENTRY_EXTEND, content, entry.lastTick);
	}
	return count;
}

/** How many entries that are not over lead to each backend. */
export function countPersistence(
	{persistence}: Pick<Maps, 'persistence'>,
	settings: Settings,
	jiffies: bigint,
): ReadonlyMap<BackendId, number> {
	const counts = new Map<BackendId, number>();
	visitEntries(persistence, settings, jiffies, (_, read) => {
		const {backend} = read();
		counts.set(backend, (counts.get(backend) ?? 0) + 1);
	});
	return counts;
}

/** Who has live flows to the backends of these entries, as networks of their services' masks. */
function clientsOf(
	ending: readonly Entry[],
	{maps, tables, settings}: SweepSeams,
	jiffies: bigint,
): ByFamily<ReadonlyMap<BackendId, Clients>> {
	const asked: ByFamily<Map<BackendId, Clients>> = {4: new Map(), 6: new Map()};
	for (const {family, service: id, backend} of ending) {
		const service = tables.services.get(id);
		// an id that was given to another service since is not the client's backend any more
		if (service === undefined || tables.backends.get(backend)?.service !== id) continue;
		const mask = addressIn({addr: service.persistenceMask, family});
		if (!asked[family].has(backend)) asked[family].set(backend, new Clients(mask));
	}
	findClients(maps.flows, settings, jiffies, asked);
	return asked;
}
