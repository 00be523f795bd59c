/** The program's maps with their types, whether they come from a loaded object or from pins. */
import {BpfMap, type MapLayout, type MapMemory, type RawMap} from 'libbpf-ts';
import {Bug} from '../errors.js';
import type {Family} from '../net/address.js';
import * as layout from './layout.gen.js';
import * as layout6 from './layout6.gen.js';

/** The C names of all maps. */
export const MAP_NAMES: readonly string[] = [...Object.values(layout.maps), ...Object.values(layout6.maps)].map(
	({name}) => name,
);

/** What there is of each address family. */
export type ByFamily<T> = Readonly<Record<Family, T>>;

/** Bytes of a bucket and of a slot of each flow table. */
export const FLOW_SIZES: ByFamily<{readonly bucket: number; readonly slot: number}> = {
	4: {bucket: layout.flowBucket.size, slot: layout.flowSlot.size},
	6: {bucket: layout6.flowBucket6.size, slot: layout6.flowSlot6.size},
};

/** A turn in memory: the kernel rounds an array's values up to eight bytes. */
const TURN_BYTES = 8;
/** Turns that are looked at together. */
const TURN_BLOCK = 1024;

/** Typed maps, and readers of those that are mapped into memory. */
export class Maps {
	readonly servicesByKey: ByFamily<BpfMap<layout.ServiceKey, number>>;
	readonly services: BpfMap<number, layout.Service>;
	readonly turns: BpfMap<number, number>;
	readonly backends: BpfMap<number, layout.Backend>;
	readonly endpoints: ByFamily<BpfMap<number, layout.EndpointBucket>>;
	readonly routerRoles: BpfMap<number, layout.RouterRoles>;
	readonly nicPorts: BpfMap<number, number>;
	readonly blocked: ByFamily<BpfMap<layout.BlockedPrefix, number>>;
	readonly fragments: ByFamily<BpfMap<layout.FlowKey, layout.FragmentWay>>;
	/** Takes the descriptors of programs. */
	readonly programs: BpfMap<number, number>;
	readonly settings: BpfMap<number, layout.Settings>;
	readonly census: BpfMap<number, layout.Census>;
	readonly leases: BpfMap<number, layout.Lease>;
	readonly leaseOfRouter: BpfMap<layout.VirtualRouter, number>;
	readonly virtualAddresses: BpfMap<layout.VirtualKey, layout.VirtualAddress>;
	/** Arrays of turns, flow_bucket (twice), ticket, openings, verdict_counters and traffic. */
	readonly turnMemory: MapMemory;
	readonly flows: ByFamily<MapMemory>;
	readonly persistence: ByFamily<MapMemory>;
	readonly tickets: MapMemory;
	readonly openings: MapMemory;
	readonly verdicts: MapMemory;
	readonly traffic: MapMemory;
	/** What there is to tell peers: rings of shared_flow, a CPU's behind another's, and of each how much was written. */
	readonly sharedFlows: ByFamily<MapMemory>;
	readonly shareHeads: ByFamily<MapMemory>;
	readonly #raw = new Map<string, RawMap>();
	readonly #memories: MapMemory[] = [];

	/** `open` gives the map of a name. Throws BpfError for a map that is not what the layout says; then all are closed again. */
	constructor(open: (name: string) => RawMap) {
		try {
			for (const name of MAP_NAMES) this.#raw.set(name, open(name));
			const {maps} = layout;
			const maps6 = layout6.maps;
			this.servicesByKey = {4: this.#typed(maps.servicesByKey), 6: this.#typed(maps6.servicesByKey6)};
			this.services = this.#typed(maps.services);
			this.turns = this.#typed(maps.turns);
			this.backends = this.#typed(maps.backends);
			this.endpoints = {4: this.#typed(maps.endpoints), 6: this.#typed(maps6.endpoints6)};
			this.routerRoles = this.#typed(maps.routerRoles);
			this.nicPorts = this.#typed(maps.nicPorts);
			this.blocked = {4: this.#typed(maps.blocked), 6: this.#typed(maps6.blocked6)};
			this.fragments = {4: this.#typed(maps.fragments), 6: this.#typed(maps6.fragments6)};
			this.programs = this.#typed(maps.programs);
			this.settings = this.#typed(maps.settings);
			this.census = this.#typed(maps.census);
			this.leases = this.#typed(maps.leases);
			this.leaseOfRouter = this.#typed(maps.leaseOfRouter);
			this.virtualAddresses = this.#typed(maps.virtualAddresses);
			this.turnMemory = this.#mapped(maps.turns);
			this.flows = {4: this.#mapped(maps.flows), 6: this.#mapped(maps6.flows6)};
			this.persistence = {4: this.#mapped(maps.persistence), 6: this.#mapped(maps6.persistence6)};
			this.tickets = this.#mapped(maps.tickets);
			this.openings = this.#mapped(maps.openings);
			this.verdicts = this.#mapped(maps.verdicts);
			this.traffic = this.#mapped(maps.traffic);
			this.sharedFlows = {4: this.#mapped(maps.sharedFlows), 6: this.#mapped(maps6.sharedFlows6)};
			this.shareHeads = {
				4: this.#mapped(maps.shareHeads, {writable: true}),
				6: this.#mapped(maps6.shareHeads6, {writable: true}),
			};
		} catch (error) {
			this.close();
			throw error;
		}
	}

	#typed<K, V>(mapLayout: MapLayout<K, V>): BpfMap<K, V> {
		return BpfMap.of(this.#named(mapLayout.name), mapLayout);
	}

	#mapped<K, V>(mapLayout: MapLayout<K, V>, options: {readonly writable?: boolean} = {}): MapMemory {
		const memory = this.#typed(mapLayout).raw.mmap(options);
		this.#memories.push(memory);
		return memory;
	}

	#named(name: string): RawMap {
		const map = this.#raw.get(name);
		if (map === undefined) throw new Bug(`the layout has no map ${name}`);
		return map;
	}

	/** Buckets of a family's flow table, a power of two. */
	buckets(family: Family): number {
		return this.flows[family].size / FLOW_SIZES[family].bucket;
	}

	/** Buckets of the table of persistence entries of either family, a power of two. */
	get persistenceBuckets(): number {
		return this.persistence[4].size / FLOW_SIZES[4].bucket;
	}

	/** Persistence entries that each family has room for: half of its slots (load.ts). */
	get persistenceEntries(): number {
		return this.persistence[4].size / FLOW_SIZES[4].slot / 2;
	}

	/** Slots of a family's flow table. */
	slots(family: Family): number {
		return this.flows[family].size / FLOW_SIZES[family].slot;
	}

	/** The `turns` that name a backend, by index. There may be millions, of which few do: blocks of zeroes are skipped. */
	*turnsInUse(): Generator<[index: number, backend: number]> {
		const {turnMemory} = this;
		for (let block = 0; block < turnMemory.size; block += TURN_BLOCK * TURN_BYTES) {
			const end = Math.min(block + TURN_BLOCK * TURN_BYTES, turnMemory.size);
			const [sum] = turnMemory.sumU64(block, TURN_BYTES, (end - block) / TURN_BYTES, 1);
			if (sum === 0n) continue;
			for (let offset = block; offset < end; offset += TURN_BYTES) {
				const backend = turnMemory.u32(offset);
				if (backend !== 0) yield [offset / TURN_BYTES, backend];
			}
		}
	}

	/** The backends that a stretch of `turns` names. */
	turnsAt(offset: number, length: number): number[] {
		return Array.from({length}, (_, n) => this.turnMemory.u32((offset + n) * TURN_BYTES));
	}

	/** The next ticket of a service's turn: how many have been taken. */
	ticket(service: number): bigint {
		return this.tickets.u64(service * layout.ticket.size);
	}

	/** Entries of each CPU's ring of `sharedFlows`, a power of two. */
	get sharedPerCpu(): number {
		const {size} = layout.sharedFlow;
		return this.sharedFlows[4].size / size / (this.shareHeads[4].size / layout.shareHead.size);
	}

	/** How many connections a backend was dealt while its service was counted. */
	opened(backend: number): bigint {
		return this.openings.u64(backend * layout.openings.size);
	}

	/** Every map by name, for listings and dumps. */
	all(): ReadonlyMap<string, RawMap> {
		return this.#raw;
	}

	close(): void {
		for (const memory of this.#memories) memory.close();
		for (const map of this.#raw.values()) map.close();
	}
}
