/**
 * What balancers of a pair tell each other of flows, turns and persistence: datagrams of records of one size, none longer
 * than a frame. Numbers are little-endian but for addresses and ports, which lie as packets carry them.
 *
 *   magic 'SLSY':32 | version:8 | kind:8 | group:8 | 0:8 | node:32 | sequence:32 | epoch:64 | names:32 | count:16 | 0:16
 *   records
 *   tag:128   the beginning of HMAC-SHA256 of all before, under the shared key
 *
 * `node` is the sender's address on the network of sharing and `epoch` when it began, in ms since 1970, so that nothing it
 * said before is believed twice; `sequence` counts its datagrams. Records name backends, services and NICs by the sender's
 * numbers, to which it gives names from time to time; `names` changes with them.
 */
import {createHmac, timingSafeEqual} from 'node:crypto';
import type {Family} from '../net/address.js';
import {type Decoded, viewOf} from '../net/bytes.js';

export const HEADER_BYTES = 32;
export const TAG_BYTES = 16;
/** What fits into an Ethernet frame behind the headers of IPv4 and UDP. */
export const DATAGRAM_MAX = 1472;
const MAGIC = 0x59534c53;
const VERSION = 1;

export const Kind = {
	hello: 1,
	flows: 2,
	flows6: 3,
	clients: 4,
	clients6: 5,
	backends: 6,
	services: 7,
	nics: 8,
	end: 9,
} as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

/** Bytes of a record of each kind; flows and clients are struct flow_copy and struct client_copy of bpf/maps.h. */
export const RECORD_BYTES: Readonly<Record<Kind, number>> = {
	[Kind.hello]: 8,
	[Kind.flows]: 32,
	[Kind.flows6]: 56,
	[Kind.clients]: 12,
	[Kind.clients6]: 24,
	[Kind.backends]: 40,
	[Kind.services]: 32,
	[Kind.nics]: 20,
	[Kind.end]: 16,
};

export interface Message {
	readonly kind: Kind;
	readonly node: number;
	readonly epoch: number;
	readonly sequence: number;
	readonly names: number;
	readonly count: number;
	/** `count` records; valid as long as the datagram is. */
	readonly records: Uint8Array;
}

/** Why a datagram is not believed. The last three are for those who know the sender, see node.ts. */
export type Refusal =
	| 'short'
	| 'not-ours'
	| 'version'
	| 'group'
	| 'authentication'
	| 'kind'
	| 'length'
	| 'sender'
	| 'replayed'
	| 'strangers';

/** Writes and reads datagrams of one group under one key. Without a key the tag is a checksum that anybody can make. */
export class Seal {
	readonly #key: string;
	readonly #group: number;

	constructor(key: string | null, group: number) {
		this.#key = key ?? '';
		this.#group = group;
	}

	/** Completes a datagram whose records are written already, and returns it. */
	close(buffer: Uint8Array, message: Omit<Message, 'records'>): Uint8Array {
		const length = HEADER_BYTES + message.count * RECORD_BYTES[message.kind];
		const view = viewOf(buffer);
		view.setUint32(0, MAGIC, true);
		view.setUint8(4, VERSION);
		view.setUint8(5, message.kind);
		view.setUint8(6, this.#group);
		view.setUint8(7, 0);
		view.setUint32(8, message.node, true);
		view.setUint32(12, message.sequence, true);
		view.setBigUint64(16, BigInt(message.epoch), true);
		view.setUint32(24, message.names, true);
		view.setUint16(28, message.count, true);
		view.setUint16(30, 0, true);
		buffer.set(this.#tag(buffer.subarray(0, length)), length);
		return buffer.subarray(0, length + TAG_BYTES);
	}

	/** What came in, if a peer of this group can have sent it. */
	open(datagram: Uint8Array): Decoded<Message, Refusal> {
		if (datagram.length < HEADER_BYTES + TAG_BYTES) return {ok: false, reason: 'short'};
		const view = viewOf(datagram);
		if (view.getUint32(0, true) !== MAGIC) return {ok: false, reason: 'not-ours'};
		if (view.getUint8(4) !== VERSION) return {ok: false, reason: 'version'};
		if (view.getUint8(6) !== this.#group) return {ok: false, reason: 'group'};
		const length = datagram.length - TAG_BYTES;
		if (!timingSafeEqual(this.#tag(datagram.subarray(0, length)), datagram.subarray(length)))
			return {ok: false, reason: 'authentication'};
		const kind = view.getUint8(5);
		if (!isKind(kind)) return {ok: false, reason: 'kind'};
		const count = view.getUint16(28, true);
		if (length !== HEADER_BYTES + count * RECORD_BYTES[kind]) return {ok: false, reason: 'length'};
		return {
			ok: true,
			value: {
				kind,
				node: view.getUint32(8, true),
				sequence: view.getUint32(12, true),
				epoch: Number(view.getBigUint64(16, true)),
				names: view.getUint32(24, true),
				count,
				records: datagram.subarray(HEADER_BYTES, length),
			},
		};
	}

	#tag(bytes: Uint8Array): Uint8Array {
		return createHmac('sha256', this.#key).update(bytes).digest().subarray(0, TAG_BYTES);
	}
}

function isKind(kind: number): kind is Kind {
	return kind in RECORD_BYTES;
}

/** How many records of a kind fit into a datagram of this length. */
export function capacity(kind: Kind, datagramMax: number): number {
	return Math.floor((datagramMax - HEADER_BYTES - TAG_BYTES) / RECORD_BYTES[kind]);
}

export const FLOWS = {4: Kind.flows, 6: Kind.flows6} as const;
export const CLIENTS = {4: Kind.clients, 6: Kind.clients6} as const;

/** A service as both balancers know it. Addresses have 16 bytes, of which IPv4 uses the first 4. */
export interface ServiceName {
	readonly address: Uint8Array;
	readonly port: number;
	readonly protocol: number;
	readonly family: Family;
}

/** A backend of a service, likewise, and what its balancer calls it in records. */
export interface BackendName {
	readonly id: number;
	readonly service: ServiceName;
	readonly address: Uint8Array;
	readonly port: number;
}

export function encodeBackend({id, service, address, port}: BackendName, view: DataView): void {
	const bytes = new Uint8Array(view.buffer, view.byteOffset);
	bytes.set(service.address, 0);
	bytes.set(address, 16);
	view.setUint16(32, service.port);
	view.setUint16(34, port);
	view.setUint16(36, id, true);
	view.setUint8(38, service.protocol);
	view.setUint8(39, service.family);
}

export function decodeBackend(view: DataView): BackendName {
	const bytes = new Uint8Array(view.buffer, view.byteOffset, RECORD_BYTES[Kind.backends]);
	return {
		id: view.getUint16(36, true),
		service: {
			address: bytes.slice(0, 16),
			port: view.getUint16(32),
			protocol: view.getUint8(38),
			family: view.getUint8(39) === 6 ? 6 : 4,
		},
		address: bytes.slice(16, 32),
		port: view.getUint16(34),
	};
}

/** How far the turn of a service has gone. */
export interface Turn {
	readonly service: ServiceName;
	readonly ticket: bigint;
}

export function encodeTurn({service, ticket}: Turn, view: DataView): void {
	const bytes = new Uint8Array(view.buffer, view.byteOffset);
	bytes.set(service.address, 0);
	view.setUint16(16, service.port);
	view.setUint8(18, service.protocol);
	view.setUint8(19, service.family);
	view.setUint32(20, 0);
	view.setBigUint64(24, ticket, true);
}

export function decodeTurn(view: DataView): Turn {
	const bytes = new Uint8Array(view.buffer, view.byteOffset, RECORD_BYTES[Kind.services]);
	return {
		service: {
			address: bytes.slice(0, 16),
			port: view.getUint16(16),
			protocol: view.getUint8(18),
			family: view.getUint8(19) === 6 ? 6 : 4,
		},
		ticket: view.getBigUint64(24, true),
	};
}

/** Bytes of an interface's name with the one that ends it (IFNAMSIZ). */
const NAME_BYTES = 16;

export interface NicName {
	readonly index: number;
	readonly name: string;
}

export function encodeNic({index, name}: NicName, view: DataView): void {
	const bytes = new Uint8Array(view.buffer, view.byteOffset, RECORD_BYTES[Kind.nics]).fill(0);
	new TextEncoder().encodeInto(name, bytes.subarray(0, NAME_BYTES - 1));
	view.setUint8(NAME_BYTES, index);
}

export function decodeNic(view: DataView): NicName {
	const bytes = new Uint8Array(view.buffer, view.byteOffset, NAME_BYTES);
	const end = bytes.indexOf(0);
	return {
		index: view.getUint8(NAME_BYTES),
		name: new TextDecoder().decode(bytes.subarray(0, end < 0 ? NAME_BYTES : end)),
	};
}

/** `want` counts what this node has asked for: everything that the others know; 0: nothing. */
export interface Hello {
	readonly want: number;
	readonly inSync: boolean;
}

export function encodeHello({want, inSync}: Hello, view: DataView): void {
	view.setUint32(0, want, true);
	view.setUint32(4, inSync ? 1 : 0, true);
}

export function decodeHello(view: DataView): Hello {
	return {want: view.getUint32(0, true), inSync: (view.getUint32(4, true) & 1) === 1};
}

/** The end of what a node had asked for. */
export interface End {
	readonly node: number;
	readonly want: number;
	/** Flows that were sent. */
	readonly flows: number;
}

export function encodeEnd({node, want, flows}: End, view: DataView): void {
	view.setUint32(0, node, true);
	view.setUint32(4, want, true);
	view.setBigUint64(8, BigInt(flows), true);
}

export function decodeEnd(view: DataView): End {
	return {
		node: view.getUint32(0, true),
		want: view.getUint32(4, true),
		flows: Number(view.getBigUint64(8, true)),
	};
}
