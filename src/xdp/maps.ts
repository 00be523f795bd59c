/** The program's maps with their types, whether they come from a loaded object or from pins. */
import {BpfMap, type MapLayout, type MapMemory, type RawMap} from 'libbpf-ts';
import {Bug} from '../errors.js';
import * as layout from './layout.gen.js';

/** The C names of all maps. */
export const MAP_NAMES: readonly string[] = Object.values(layout.maps).map(({name}) => name);

/** Typed maps, and readers of those that are mapped into memory. */
export class Maps {
	readonly servicesByKey: BpfMap<layout.ServiceKey, number>;
	readonly services: BpfMap<number, layout.Service>;
	readonly turns: BpfMap<number, number>;
	readonly backends: BpfMap<number, layout.Backend>;
	readonly endpoints: BpfMap<number, layout.EndpointBucket>;
	readonly localFilter: BpfMap<number, layout.LocalFilter>;
	readonly nics: BpfMap<number, layout.Nic>;
	readonly nicPorts: BpfMap<number, number>;
	readonly persistence: BpfMap<layout.PersistenceKey, layout.PersistenceEntry>;
	readonly settings: BpfMap<number, layout.Settings>;
	readonly census: BpfMap<number, layout.Census>;
	/** Arrays of flow_bucket, ticket, openings, verdict_counters and traffic. */
	readonly flows: MapMemory;
	readonly tickets: MapMemory;
	readonly openings: MapMemory;
	readonly verdicts: MapMemory;
	readonly traffic: MapMemory;
	readonly #raw = new Map<string, RawMap>();
	readonly #memories: MapMemory[] = [];

	/** `open` gives the map of a name. Throws BpfError for a map that is not what the layout says; then all are closed again. */
	constructor(open: (name: string) => RawMap) {
		try {
			for (const name of MAP_NAMES) this.#raw.set(name, open(name));
			this.servicesByKey = this.#typed(layout.maps.servicesByKey);
			this.services = this.#typed(layout.maps.services);
			this.turns = this.#typed(layout.maps.turns);
			this.backends = this.#typed(layout.maps.backends);
			this.endpoints = this.#typed(layout.maps.endpoints);
			this.localFilter = this.#typed(layout.maps.localFilter);
			this.nics = this.#typed(layout.maps.nics);
			this.nicPorts = this.#typed(layout.maps.nicPorts);
			this.persistence = this.#typed(layout.maps.persistence);
			this.settings = this.#typed(layout.maps.settings);
			this.census = this.#typed(layout.maps.census);
			this.flows = this.#mapped(layout.maps.flows);
			this.tickets = this.#mapped(layout.maps.tickets);
			this.openings = this.#mapped(layout.maps.openings);
			this.verdicts = this.#mapped(layout.maps.verdicts);
			this.traffic = this.#mapped(layout.maps.traffic);
		} catch (error) {
			this.close();
			throw error;
		}
	}

	#typed<K, V>(mapLayout: MapLayout<K, V>): BpfMap<K, V> {
		return BpfMap.of(this.#named(mapLayout.name), mapLayout);
	}

	#mapped<K, V>(mapLayout: MapLayout<K, V>): MapMemory {
		const memory = this.#typed(mapLayout).raw.mmap();
		this.#memories.push(memory);
		return memory;
	}

	#named(name: string): RawMap {
		const map = this.#raw.get(name);
		if (map === undefined) throw new Bug(`the layout has no map ${name}`);
		return map;
	}

	/** Buckets of the flow table, a power of two. */
	get buckets(): number {
		return this.flows.size / layout.flowBucket.size;
	}

	/** Slots of the flow table. */
	get slots(): number {
		return this.flows.size / layout.flowSlot.size;
	}

	/** The next ticket of a service's turn: how many have been taken. */
	ticket(service: number): bigint {
		return this.tickets.u64(service * layout.ticket.size);
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
