import type {Family} from '../net/address.js';
import type {NameTable} from './names.js';
import {backendText} from './names.js';
import {type BackendName, CLIENTS, FLOWS, type Message, type NicName, RECORD_BYTES} from './wire.js';

/** Numbers of backends and NICs that records have room for. */
const BACKENDS = 65_536;
const NICS = 256;
/** Datagrams by which one may be late: a fraction of a second of everything. */
const WINDOW = 1024;
/** In a flow's record, in words: its backend, and the NIC towards its client. */
const BACKEND_AT = {4: 5, 6: 11} as const;
const NIC_AT = {4: 7, 6: 13} as const;
const NIC_SHIFT = 16;

/** A balancer that tells us of its flows: what it has said, and what its numbers mean here. */
export class Peer {
	readonly node: number;
	epoch = 0;
	heardUs: number;
	/** Datagrams that did not come. */
	lost = 0;
	/** What it asked for the last time and was given, with how many flows. */
	answered: {readonly want: number; readonly flows: number} | null = null;
	/** Whether it has given us all that we asked for. */
	ended = false;
	inSync = false;
	/** The highest that came, and the first since it began. */
	#sequence = 0;
	#first = 0;
	/** Those that came of the last ones, each in its place. */
	readonly #seen = new Uint32Array(WINDOW);
	#names = 0;
	readonly #backendNames = new Map<number, string>();
	readonly #nicNames = new Map<number, string>();
	readonly #backends = new Uint16Array(BACKENDS);
	readonly #nics = new Int16Array(NICS).fill(-1);

	constructor(node: number, heardUs: number) {
		this.node = node;
		this.heardUs = heardUs;
	}

	/** Whether a message has not come before. It may have been overtaken by some others, and by no new names. */
	accept({epoch, sequence, names}: Message, nowUs: number): boolean {
		if (epoch < this.epoch) return false;
		if (epoch > this.epoch) this.#begin(epoch, sequence);
		const ahead = (sequence - this.#sequence) | 0;
		if (ahead <= 0 && !this.#isLate(-ahead, sequence, names)) return false;
		if (ahead > 0) this.#advance(ahead, sequence, names);
		else if (((sequence - this.#first) | 0) > 0) this.lost--;
		this.#seen[sequence % WINDOW] = sequence;
		this.heardUs = nowUs;
		return true;
	}

	#isLate(behind: number, sequence: number, names: number): boolean {
		return behind < WINDOW && this.#seen[sequence % WINDOW] !== sequence && names === this.#names;
	}

	#advance(ahead: number, sequence: number, names: number): void {
		this.lost += ahead - 1;
		this.#sequence = sequence;
		if (names !== this.#names) this.#forgetNames(names);
	}

	/** It has started anew, as far as we know by this message. */
	#begin(epoch: number, sequence: number): void {
		this.epoch = epoch;
		this.#sequence = (sequence - 1) >>> 0;
		this.#first = sequence;
		this.#seen.fill(0);
		this.answered = null;
		this.ended = false;
		this.#forgetNames(0);
	}

	#forgetNames(names: number): void {
		this.#names = names;
		this.#backendNames.clear();
		this.#nicNames.clear();
		this.#backends.fill(0);
		this.#nics.fill(-1);
	}

	nameBackend(name: BackendName, ours: NameTable): void {
		const text = backendText(name);
		this.#backendNames.set(name.id, text);
		this.#backends[name.id] = ours.backend(text);
	}

	nameNic({index, name}: NicName, ours: NameTable): void {
		this.#nicNames.set(index, name);
		this.#nics[index] = ours.nic(name) ?? -1;
	}

	/** Our own numbers have changed. */
	translateAnew(ours: NameTable): void {
		for (const [id, text] of this.#backendNames) this.#backends[id] = ours.backend(text);
		for (const [index, name] of this.#nicNames) this.#nics[index] = ours.nic(name) ?? -1;
	}

	/** Records of flows with our numbers. The next hop behind a NIC that we do not have is not known. */
	flows(family: Family, {records, count}: Message): Uint8Array {
		const translated = records.slice();
		const words = new Uint32Array(translated.buffer);
		const stride = RECORD_BYTES[FLOWS[family]] / 4;
		const [backendAt, nicAt] = [BACKEND_AT[family], NIC_AT[family]];
		for (let at = 0, n = 0; n < count; n++, at += stride) {
			const high = words[at + backendAt] ?? 0;
			words[at + backendAt] = (high & 0xffff_0000) | (this.#backends[high & 0xffff] ?? 0);
			const hop = words[at + nicAt] ?? 0;
			const nic = this.#nics[(hop >>> NIC_SHIFT) & 0xff] ?? -1;
			words[at + nicAt] = nic < 0 ? 0 : (hop & 0xffff) | (nic << NIC_SHIFT);
			if (nic < 0) words[at + nicAt - 1] = 0;
		}
		return translated;
	}

	/** Records of persistence entries with our numbers. */
	clients(family: Family, {records, count}: Message): Uint8Array {
		const translated = records.slice();
		const view = new DataView(translated.buffer);
		const size = RECORD_BYTES[CLIENTS[family]];
		for (let n = 0; n < count; n++) {
			const at = (n + 1) * size - 4;
			view.setUint16(at, this.#backends[view.getUint16(at, true)] ?? 0, true);
		}
		return translated;
	}
}
