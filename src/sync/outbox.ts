import type {Family} from '../net/address.js';
import {capacity, DATAGRAM_MAX, FLOWS, HEADER_BYTES, Kind, RECORD_BYTES, type Seal} from './wire.js';

/** A datagram that is being filled. */
interface Draft {
	readonly kind: Kind;
	readonly bytes: Uint8Array;
	readonly words: Uint32Array;
	readonly capacity: number;
	count: number;
}

export interface OutboxOptions {
	readonly seal: Seal;
	readonly node: number;
	readonly epoch: number;
	/** Bytes of the longest datagram. */
	readonly datagramMax: number;
	/** false: it could not be sent. */
	readonly send: (datagram: Uint8Array) => boolean;
}

/** Collects records into datagrams, which leave when they are full or when they are flushed. */
export class Outbox {
	/** In force for what is sent from now on, see wire.ts. */
	names = 1;
	/** Records that left and that did not. */
	sent = 0;
	unsent = 0;
	datagrams = 0;
	readonly #options: OutboxOptions;
	readonly #drafts: ReadonlyMap<Kind, Draft>;
	#sequence = 0;

	constructor(options: OutboxOptions) {
		this.#options = options;
		this.#drafts = new Map(Object.values(Kind).map(kind => [kind, newDraft(kind, options.datagramMax)]));
	}

	/** Adds a flow's record, whose words begin at `at`. */
	flow(family: Family, words: Uint32Array, at: number): void {
		const draft = this.#draft(FLOWS[family]);
		const length = RECORD_BYTES[draft.kind] / 4;
		const to = HEADER_BYTES / 4 + draft.count * length;
		for (let n = 0; n < length; n++) draft.words[to + n] = words[at + n] ?? 0;
		this.#added(draft);
	}

	/** Adds a record that is in bytes already. */
	bytes(kind: Kind, record: Uint8Array): void {
		const draft = this.#draft(kind);
		draft.bytes.set(record, HEADER_BYTES + draft.count * RECORD_BYTES[kind]);
		this.#added(draft);
	}

	/** Adds a record that `encode` writes. */
	record(kind: Kind, encode: (view: DataView) => void): void {
		const draft = this.#draft(kind);
		const size = RECORD_BYTES[kind];
		encode(new DataView(draft.bytes.buffer, HEADER_BYTES + draft.count * size, size));
		this.#added(draft);
	}

	/** Sends what has been added. */
	flush(): void {
		for (const draft of this.#drafts.values()) if (draft.count > 0) this.#send(draft);
	}

	#draft(kind: Kind): Draft {
		const draft = this.#drafts.get(kind);
		if (draft === undefined) throw new RangeError(`no records of kind ${kind}`);
		return draft;
	}

	#added(draft: Draft): void {
		draft.count++;
		if (draft.count === draft.capacity) this.#send(draft);
	}

	#send(draft: Draft): void {
		const {seal, node, epoch, send} = this.#options;
		const {kind, count} = draft;
		this.#sequence = (this.#sequence + 1) >>> 0;
		const datagram = seal.close(draft.bytes, {
			kind,
			node,
			epoch,
			sequence: this.#sequence,
			names: this.names,
			count,
		});
		draft.count = 0;
		this.datagrams++;
		if (send(datagram)) this.sent += count;
		else this.unsent += count;
	}
}

function newDraft(kind: Kind, datagramMax: number): Draft {
	const bytes = new Uint8Array(DATAGRAM_MAX);
	const words = new Uint32Array(bytes.buffer, 0, DATAGRAM_MAX / 4);
	return {kind, bytes, words, capacity: capacity(kind, datagramMax), count: 0};
}
