import {FAMILIES, type Family} from '../net/address.js';
import type {Outbox} from './outbox.js';
import type {Plane} from './plane.js';
import {CLIENTS, RECORD_BYTES} from './wire.js';

/** Slots that are looked at in one go; few enough that a full table does not send many more than it should. */
const SLOTS_AT_ONCE = 2048;
/** Slots that one step looks at, so that an empty table of many costs no step more than some ms. */
const SLOTS_MAX = 262_144;

/** One walk through all that peers are to know: flows, and persistence entries as they were when it began. */
export class Round {
	/** That were sent. */
	flows = 0;
	readonly #plane: Plane;
	readonly #outbox: Outbox;
	readonly #everything: boolean;
	readonly #clients: ReadonlyMap<Family, Uint8Array>;
	readonly #slot = new Map<Family, number>();
	readonly #clientAt = new Map<Family, number>();

	/** `everything`: also what peers have told, and what has ended, so that who was away hears of it. */
	static async begin(plane: Plane, outbox: Outbox, everything: boolean): Promise<Round> {
		const clients = new Map<Family, Uint8Array>();
		for (const family of FAMILIES) clients.set(family, plane.clients(family));
		return new Round(plane, outbox, everything, clients);
	}

	private constructor(plane: Plane, outbox: Outbox, everything: boolean, clients: ReadonlyMap<Family, Uint8Array>) {
		this.#plane = plane;
		this.#outbox = outbox;
		this.#everything = everything;
		this.#clients = clients;
	}

	/** Sends about so many records; returns whether all have been sent. */
	step(records: number): boolean {
		const before = this.flows;
		for (const family of FAMILIES) {
			if (!this.#scan(family, before + records)) return false;
		}
		return FAMILIES.every(family => this.#tellClients(family, records));
	}

	#scan(family: Family, until: number): boolean {
		const all = this.#plane.slots(family);
		let from = this.#slot.get(family) ?? 0;
		for (let seen = 0; from < all && this.flows < until && seen < SLOTS_MAX; seen += SLOTS_AT_ONCE) {
			from = this.#plane.scanFlows(family, from, {everything: this.#everything, slots: SLOTS_AT_ONCE}, (words, at) => {
				this.flows++;
				this.#outbox.flow(family, words, at);
			});
		}
		this.#slot.set(family, from);
		return from >= all;
	}

	#tellClients(family: Family, records: number): boolean {
		const kind = CLIENTS[family];
		const size = RECORD_BYTES[kind];
		const bytes = this.#clients.get(family) ?? new Uint8Array();
		const from = this.#clientAt.get(family) ?? 0;
		const to = Math.min(bytes.length, from + records * size);
		for (let at = from; at < to; at += size) this.#outbox.bytes(kind, bytes.subarray(at, at + size));
		this.#clientAt.set(family, to);
		return to === bytes.length;
	}
}
