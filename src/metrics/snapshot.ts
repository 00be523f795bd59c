/** What the metrics are made of: daemon.ts takes one for each scrape. Numbers are totals since the maps were made. */
export interface Snapshot {
	readonly build: {readonly version: string; readonly layoutVersion: number};
	/** Those that carry the program. */
	readonly nics: readonly {readonly name: string; readonly mode: string}[];
	readonly services: readonly ServiceSample[];
	/** Packets that belong to no service, by verdict. */
	readonly otherVerdicts: Readonly<Record<string, number>>;
	/** Live flows by state. */
	readonly flows: Readonly<Record<string, number>>;
	readonly flowSlots: number;
	readonly persistenceEntries: number;
	readonly persistenceEntriesMax: number;
	readonly instances: readonly InstanceSample[];
	/** By channel, then by outcome. */
	readonly notifications: Readonly<Record<string, Readonly<Record<string, number>>>>;
	/** What somebody else has changed: entries by map; links, pins, addresses, routes, rules. */
	readonly drift: Readonly<Record<string, number>>;
	/** null: nothing is shared. */
	readonly sharing: SharingSample | null;
	readonly reloads: {readonly applied: number; readonly refused: number; readonly lastApplied: boolean};
}

export interface ServiceSample {
	readonly service: string;
	readonly verdicts: Readonly<Record<string, number>>;
	readonly quorumUp: boolean;
	readonly backends: readonly BackendSample[];
}

export interface BackendSample {
	readonly backend: string;
	readonly up: boolean;
	readonly weight: number;
	readonly liveFlows: number;
	readonly connections: number;
	readonly packetsIn: number;
	readonly packetsOut: number;
	readonly bytesIn: number;
	readonly bytesOut: number;
	readonly checks: readonly CheckSample[];
}

export interface CheckSample {
	readonly kind: string;
	readonly passed: number;
	readonly failed: number;
	readonly durationS: number | null;
}

export interface InstanceSample {
	readonly instance: string;
	readonly state: string;
	readonly priority: number;
	readonly basePriority: number;
	readonly trackers: readonly TrackerSample[];
	readonly advertsSent: number;
	readonly advertsReceived: number;
	/** Refused adverts by reason. */
	readonly advertsRefused: Readonly<Record<string, number>>;
	readonly transitions: number;
	readonly released: boolean;
	readonly timerLatenessMaxS: number;
	/** For how long another master has been heard while this one is master; 0: it is not. */
	readonly rivalS: number;
	readonly rivals: number;
}

export interface TrackerSample {
	readonly kind: string;
	readonly tracker: string;
	readonly value: number;
}

/** Counts are records, but for `lost` and `refusals`, which are datagrams. */
export interface SharingSample {
	readonly state: string;
	readonly peers: readonly {readonly address: string; readonly lost: number}[];
	readonly sent: number;
	readonly unsent: number;
	readonly overwritten: number;
	readonly fates: Readonly<Record<string, number>>;
	readonly refusals: Readonly<Record<string, number>>;
}
