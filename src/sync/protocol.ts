/** What `lbd` and `lbd-sync` say to each other over Node's IPC channel. The end of the channel ends `lbd-sync`. */
import type {Sharing} from '../conf/model.js';

export interface SharingConfig extends Sharing {
	/** The daemon's name: its pins are under it. */
	readonly daemon: string;
}

/** `joining`: asking peers for what they know. `alone`: nobody has answered, so there is nothing to wait for. */
export type SharingState = 'joining' | 'in-sync' | 'alone';

export interface PeerStatus {
	/** Its address on the network of sharing. */
	readonly address: string;
	readonly heardMsAgo: number;
	readonly inSync: boolean;
	/** Datagrams that did not come. */
	readonly lost: number;
}

/** Counts of records since lbd-sync began. */
export interface SharingStatus {
	readonly state: SharingState;
	readonly peers: readonly PeerStatus[];
	readonly sent: number;
	/** Could not be handed to the network, or were overwritten before they could be read; the next round tells again. */
	readonly unsent: number;
	readonly overwritten: number;
	readonly received: number;
	/** By what became of flows and persistence entries: taken, known, refused, strange. */
	readonly fates: Readonly<Record<string, number>>;
	/** Datagrams that were not believed, by reason. */
	readonly refusals: Readonly<Record<string, number>>;
}

export type ToSync = {readonly kind: 'configure'; readonly config: SharingConfig};

export type FromSync =
	| {readonly kind: 'ready'}
	/** Once a second, and when the state changes. */
	| {readonly kind: 'status'; readonly status: SharingStatus}
	| {readonly kind: 'log'; readonly level: 'info' | 'warn' | 'error'; readonly fields: object; readonly text: string};
