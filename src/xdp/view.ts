import type {Family} from '../net/address.js';

/**
 * What lbctl reads from the pinned maps, with or without a daemon; reader.ts implements it. Totals count since
 * the maps were made. Names are those of the configuration: `192.168.1.1:80` and `10.0.0.71:80`.
 */
export interface MapView {
	services(): ServiceView[];
	backends(): BackendView[];
	/** Flows that match, in no particular order. */
	flows(filter: FlowFilter): AsyncIterable<FlowView>;
	persistence(): AsyncIterable<PersistenceView>;
	/** Removes the entry of a client, or of the network that has it. Returns its name, or null: there is none. KernelError for an
	 * unknown service and for what is no address. */
	forgetClient(service: string, client: string): string | null;
	/** Packets that were not forwarded or passed on, answered or not, by service and verdict; no rows for zero. */
	drops(): DropView[];
	leases(): LeaseView[];
	maps(): MapInfo[];
	/** Every entry of a map, decoded as its layout says. */
	dump(map: string): AsyncIterable<MapEntry>;
	close(): void;
}

export interface Traffic {
	readonly connections: number;
	readonly packetsIn: number;
	readonly packetsOut: number;
	readonly bytesIn: number;
	readonly bytesOut: number;
}

export interface ServiceView extends Traffic {
	readonly service: string;
	/** As the configuration calls it: `wrr`. */
	readonly scheduler: string;
	/** Seconds; 0 without persistence. */
	readonly persistenceS: number;
	/** How many connections have been dealt: the number of the next ticket. */
	readonly nextTicket: number;
}

export interface BackendView extends Traffic {
	readonly service: string;
	readonly backend: string;
	/** `kept` is `down`, but its flows go on: `failed_backend keep`. */
	readonly state: 'up' | 'drain' | 'down' | 'kept';
	/** How packets reach it: `nat`, `dr`, `ipip`, `gue` or `gre`. */
	readonly method: string;
	readonly weight: number;
	/** The neighbour that its packets go to, or null while it is not known. */
	readonly nextHop: {readonly mac: string; readonly nic: string} | null;
	readonly liveFlows: number;
}

export interface FlowFilter {
	/** An address, or an address and port. */
	readonly client?: string;
	readonly service?: string;
	readonly backend?: string;
	readonly state?: string;
}

export interface FlowView {
	readonly client: string;
	readonly service: string;
	readonly backend: string;
	readonly state: string;
	/** Seconds since its last packet, and until it expires if there is none. */
	readonly idleS: number;
	readonly expiresInS: number;
}

export interface PersistenceView {
	/** An address, or a prefix with `persistence_granularity`. */
	readonly client: string;
	readonly service: string;
	readonly backend: string;
	readonly expiresInS: number;
}

export interface DropView {
	/** null: the packet belonged to no service. */
	readonly service: string | null;
	readonly verdict: string;
	readonly packets: number;
}

/** Of a VRRP instance on its addresses. */
export interface LeaseView {
	readonly interface: string;
	readonly family: Family;
	readonly vrid: number;
	/**
	 * `held` by a master; `lapsed`: that one is dead or hangs; `taken`: and another router is master, so that this machine is
	 * not asked for the addresses; `none`: not master.
	 */
	readonly state: 'held' | 'lapsed' | 'taken' | 'none';
	/** Seconds since our last advert as a master, null: there was none; and since another router's, null: none was heard. */
	readonly sentS: number | null;
	readonly heardS: number | null;
}

export interface MapInfo {
	readonly map: string;
	readonly type: string;
	readonly keyBytes: number;
	readonly valueBytes: number;
	readonly maxEntries: number;
	/** null where counting would mean to read the whole map. */
	readonly entries: number | null;
	readonly pin: string;
}

export interface MapEntry {
	readonly key: unknown;
	readonly value: unknown;
}
