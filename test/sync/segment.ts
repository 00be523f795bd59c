/** Balancers that share flows over a link of the test's making: the real protocol, a data plane of plain tables. */
import {createHmac} from 'node:crypto';
import {addressBytes, type Family} from '../../src/net/address.js';
import {concatBytes, viewOf} from '../../src/net/bytes.js';
import {SyncNode} from '../../src/sync/node.js';
import type {Plane} from '../../src/sync/plane.js';
import type {SharingState} from '../../src/sync/protocol.js';
import {Seal, TAG_BYTES} from '../../src/sync/wire.js';
import {FlowState} from '../../src/xdp/layout.gen.js';
import {withRoom} from '../../src/xdp/tables.js';
import {FakeClock, milliseconds} from '../fake/clock.js';
import {seeded} from '../fake/lan.js';
import {FakeLog} from '../fake/log.js';

/** A datagram that was changed, with the tag that it needs. */
export function retagged(datagram: Uint8Array, key: string): Uint8Array {
	const body = datagram.subarray(0, datagram.length - TAG_BYTES);
	const tag = createHmac('sha256', key).update(body).digest().subarray(0, TAG_BYTES);
	return concatBytes(body, tag);
}

const RECORD = {4: 32, 6: 56} as const;
const KEY_BYTES = {4: 16, 6: 40} as const;
const CLIENT = {4: 12, 6: 24} as const;

/** A flow's record of a client's number, as bpf/maps.h has it. */
export function record(n: number, backend: number, of: Family = 4, nic = 3): Uint8Array {
	const bytes = new Uint8Array(RECORD[of]);
	const view = viewOf(bytes);
	view.setUint32(0, n);
	const at = KEY_BYTES[of];
	view.setUint16(at + 4, backend, true);
	view.setUint8(at + 6, 4);
	view.setUint8(at + 8, 2);
	view.setUint16(at + 14, nic, true);
	return bytes;
}

function isOver(family: Family, flow: Uint8Array): boolean {
	return viewOf(flow).getUint8(KEY_BYTES[family] + 6) === FlowState.FLOW_CLOSED;
}

/** A persistence entry of a client's number. */
export function clientRecord(n: number, backend: number): Uint8Array {
	const bytes = new Uint8Array(CLIENT[4]);
	viewOf(bytes).setUint32(0, n);
	viewOf(bytes).setUint32(4, 60_000, true);
	viewOf(bytes).setUint16(8, backend, true);
	return bytes;
}

function service(port: number) {
	return {addr: withRoom(addressBytes('192.168.1.1')), port, proto: 6, family: 4};
}

/** What a balancer knows, in tables. Its numbers of backends begin at `first`, of NICs at `nic`. */
export class FakePlane implements Plane {
	readonly flows = {4: new Map<string, Uint8Array>(), 6: new Map<string, Uint8Array>()};
	readonly told = new Map<number, number>();
	/** Flows that are over and not forgotten. */
	readonly #ended = new Map<string, Uint8Array>();
	readonly tickets = new Map<number, bigint>([[1, 0n]]);
	#news: {readonly family: Family; readonly record: Uint8Array}[] = [];
	#overwritten = 0;
	first: number;
	backends = 3;
	readonly #nic: number;
	reads = 0;

	constructor(first: number, nic: number) {
		this.first = first;
		this.#nic = nic;
	}

	/** A connection of its own opens. */
	open(n: number, backend: number, of: Family = 4): void {
		const made = record(n, backend, of, this.#nic);
		this.flows[of].set(String(n), made);
		this.#news.push({family: of, record: made});
	}

	/** A connection of its own ends. */
	close(n: number): void {
		const ended = this.flows[4].get(String(n))?.slice() ?? new Uint8Array();
		viewOf(ended).setUint8(KEY_BYTES[4] + 6, FlowState.FLOW_CLOSED);
		this.flows[4].delete(String(n));
		this.#ended.set(String(n), ended);
		this.#news.push({family: 4, record: ended});
	}

	/** So many news were never read. */
	overwrite(count: number): void {
		this.#news = [];
		this.#overwritten += count;
	}

	/** Backend of a client's flow; undefined: there is none. */
	backendOf(n: number, of: Family = 4): number | undefined {
		const found = this.flows[of].get(String(n));
		return found === undefined ? undefined : viewOf(found).getUint16(KEY_BYTES[of] + 4, true);
	}

	nicOf(n: number): number | undefined {
		const found = this.flows[4].get(String(n));
		return found === undefined ? undefined : (found[KEY_BYTES[4] + 14] ?? 0);
	}

	refresh(): void {}

	drainNews(family: Family, emit: (words: Uint32Array, at: number) => void): number {
		for (const one of this.#news.filter(news => news.family === family))
			emit(new Uint32Array(one.record.slice().buffer), 0);
		this.#news = this.#news.filter(news => news.family !== family);
		const overwritten = this.#overwritten;
		this.#overwritten = 0;
		return overwritten;
	}

	slots(family: Family): number {
		return this.#slots(family).length;
	}

	#slots(family: Family): Uint8Array[] {
		return [...this.flows[family].values(), ...(family === 4 ? this.#ended.values() : [])];
	}

	scanFlows(
		family: Family,
		from: number,
		{everything, slots}: {everything: boolean; slots: number},
		emit: (words: Uint32Array, at: number) => void,
	): number {
		const records = this.#slots(family).slice(from, from + slots);
		for (const one of records.filter(record => everything || !isOver(family, record)))
			emit(new Uint32Array(one.slice().buffer), 0);
		return from + records.length;
	}

	clients(family: Family): Uint8Array {
		if (family === 6) return new Uint8Array();
		return Buffer.concat([...this.told].map(([n, backend]) => clientRecord(n, backend)));
	}

	takeFlows(family: Family, records: Uint8Array, count: number) {
		let strange = 0;
		for (let n = 0; n < count; n++) {
			const one = records.slice(n * RECORD[family], (n + 1) * RECORD[family]);
			if (viewOf(one).getUint16(KEY_BYTES[family] + 4, true) === 0) strange++;
			else if (isOver(family, one)) this.flows[family].delete(String(viewOf(one).getUint32(0)));
			else this.flows[family].set(String(viewOf(one).getUint32(0)), one);
		}
		return {taken: count - strange, known: 0, refused: 0, strange};
	}

	takeClients(family: Family, records: Uint8Array, count: number) {
		const view = viewOf(records);
		for (let n = 0; n < count; n++) {
			const at = n * CLIENT[family];
			this.told.set(view.getUint32(at), view.getUint16(at + CLIENT[family] - 4, true));
		}
		return {taken: count, known: 0, refused: 0, strange: 0};
	}

	async names() {
		this.reads++;
		const unused = {shared: 0, tunnelFlags: 0, nextHop: 0n, weight: 1, upperThreshold: 0, lowerThreshold: 0};
		const backend = (n: number) => ({
			...unused,
			addr: withRoom(addressBytes(`10.0.0.${71 + n}`)),
			port: 80,
			proto: 6,
			state: 1,
			service: 1,
			family: 4,
			method: 0,
			tunnelPort: 0,
			tunnelSource: withRoom(new Uint8Array()),
		});
		const services = {
			...service(80),
			turn: 0n,
			persistenceJiffies: 0n,
			persistenceMask: withRoom(new Uint8Array()),
			scheduler: 0,
			failedBackend: 0,
			noBackend: 0,
			flags: 0,
			sourceRate: 0,
			sourceBurst: 0,
			serviceRate: 0,
			serviceBurst: 0,
		};
		return {
			backends: new Map(Array.from({length: this.backends}, (_, n) => [this.first + n, backend(n)])),
			services: new Map([[1, services]]),
			nics: new Map([[this.#nic, 100 + this.#nic]]),
		};
	}

	ticket(id: number): bigint {
		return this.tickets.get(id) ?? 0n;
	}

	setTicket(id: number, next: bigint): void {
		this.tickets.set(id, next);
	}

	shortestTimeoutS(): number {
		return 120;
	}
}

/** Of everybody who is not said to have another one. */
export const KEY = 'a key of the test';

interface JoinOptions {
	readonly key?: string | null;
	readonly senders?: ReadonlySet<number> | null;
	/** By how much its clock is ahead of the others'. */
	readonly wallMs?: number;
}

/** The link between balancers. */
export class Segment {
	readonly clock = new FakeClock();
	readonly log = new FakeLog();
	/** All that was sent, oldest first. */
	readonly sent: {readonly node: number; readonly bytes: Uint8Array}[] = [];
	loss = 0;
	/** Chance of a datagram to come twice, and how late it may be. */
	duplication = 0;
	jitterUs = 0;
	cut = false;
	readonly #random: () => number;
	readonly #stations: {readonly number: number; node: SyncNode}[] = [];

	constructor(seed = 1) {
		this.#random = seeded(seed);
		this.clock.advance(milliseconds(1000));
	}

	/** A balancer that shares from now on, with `senders` alone. */
	join(number: number, plane: FakePlane, {key = KEY, senders = null, wallMs = 0}: JoinOptions = {}): SyncNode {
		const states: SharingState[] = [];
		const node = new SyncNode({
			clock: {
				nowUs: () => this.clock.nowUs(),
				wall: () => new Date(this.clock.wall().getTime() + wallMs),
				after: (us, name, fn) => this.clock.after(us, name, fn),
			},
			log: this.log,
			plane,
			seal: new Seal(key, 0),
			node: number,
			datagramMax: 1472,
			senders,
			send: bytes => this.#carry(number, bytes.slice()),
			interfaces: async () => new Map([3, 4, 5].map(nic => [100 + nic, 'eth0'])),
			onState: state => states.push(state),
		});
		this.#stations.push({number, node});
		void node.start();
		return node;
	}

	leave(node: SyncNode): void {
		node.stop();
		this.#stations.splice(
			this.#stations.findIndex(station => station.node === node),
			1,
		);
	}

	/** Somebody who is no station says something. */
	inject(from: number, bytes: Uint8Array): void {
		for (const {node} of this.#stations) this.#deliver(from, node, bytes);
	}

	/** Time passes, a tick at a time, so that what waits for promises goes on. */
	async pass(ms: number): Promise<void> {
		for (let passed = 0; passed < ms; passed += 10) {
			this.clock.advance(milliseconds(10));
			await new Promise(resolve => setImmediate(resolve));
		}
	}

	#carry(from: number, bytes: Uint8Array): boolean {
		this.sent.push({node: from, bytes});
		for (const {number, node} of this.#stations) {
			if (number === from || this.cut || this.#random() < this.loss) continue;
			this.#deliver(from, node, bytes);
			if (this.#random() < this.duplication) this.#deliver(from, node, bytes);
		}
		return true;
	}

	#deliver(from: number, to: SyncNode, bytes: Uint8Array): void {
		this.clock.after(200 + Math.floor(this.#random() * this.jitterUs), 'link', () => {
			if (this.#stations.some(({node}) => node === to)) to.receive(bytes, from);
		});
	}
}
