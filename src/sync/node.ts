/**
 * One balancer among those that share flows: tells of its own, takes what others tell, and asks for everything when it
 * begins or has missed something. Nobody waits for anybody: what is lost is told again by the next round of all flows.
 */
import type {Cancel, Clock} from '../host/host.js';
import type {Log} from '../log.js';
import {FAMILIES, type Family, formatAddress} from '../net/address.js';
import {NameTable, noNames} from './names.js';
import {Outbox} from './outbox.js';
import {Peer} from './peer.js';
import type {Plane} from './plane.js';
import type {SharingState, SharingStatus} from './protocol.js';
import {Round} from './round.js';
import {
	decodeBackend,
	decodeEnd,
	decodeHello,
	decodeNic,
	decodeTurn,
	type End,
	encodeBackend,
	encodeEnd,
	encodeHello,
	encodeNic,
	encodeTurn,
	Kind,
	type Message,
	RECORD_BYTES,
	type Refusal,
	type Seal,
	type Turn,
} from './wire.js';

const TICK_US = 10_000;
const TURNS_US = 50_000;
const HELLO_US = 1_000_000;
/** Names are told again after so long, should some have been lost. */
const NAMES_US = 10_000_000;
/** Who says nothing for so long is not there. */
const SILENT_US = 3_000_000;
/** And is nobody we know after so long: what it says then is believed like a stranger's. */
const FORGOTTEN_US = 60_000_000;
const PEERS_MAX = 8;
/** Records a second, of everything to one who joins and of the rounds that repeat it. */
const BULK_RATE = 400_000;
const ROUND_RATE = 50_000;
/** A tick that comes later than this does not catch up. */
const LATE_US = 50_000;
/** Between two times that everything is sent, or asked for because something was lost. */
const BULK_GAP_US = 2_000_000;
const REPAIR_GAP_US = 10_000_000;
const ROUND_MIN_S = 5;
const ROUND_MAX_S = 60;
/** How often everything is asked for again because something of it was lost. */
const ATTEMPTS = 3;

/** How often one reason is logged. */
const COMPLAINT_GAP_US = 60_000_000;
/** What an operator can do something about; the rest is counted only. */
const COMPLAINTS: Partial<Record<Refusal, string>> = {
	authentication: 'nothing is taken from it, as its key is another one than ours',
	version: 'nothing is taken from it, as its version of sharing is another one than ours',
	sender: 'nothing is taken from it, as it is no peer of the configuration',
	strangers: `nothing is taken from it, as there are ${PEERS_MAX} balancers already`,
};

export interface NodeOptions {
	readonly clock: Clock;
	readonly log: Log;
	readonly plane: Plane;
	readonly seal: Seal;
	/** Our address on the network of sharing, as a number. */
	readonly node: number;
	readonly datagramMax: number;
	readonly send: (datagram: Uint8Array) => boolean;
	/** Addresses, as numbers, of those who are believed; null: of anybody. */
	readonly senders: ReadonlySet<number> | null;
	/** Names of the interfaces, by index. */
	readonly interfaces: () => Promise<ReadonlyMap<number, string>>;
	readonly onState: (state: SharingState) => void;
}

/** Everything, on its way to those who asked for it. */
interface Bulk {
	readonly asked: ReadonlyMap<number, number>;
	readonly round: Round;
}

export class SyncNode {
	readonly #options: NodeOptions;
	readonly #outbox: Outbox;
	readonly #peers = new Map<number, Peer>();
	readonly #startedUs: number;
	#names = noNames;
	#state: SharingState = 'joining';
	#want = 1;
	#attempts = 1;
	#lostBefore = 0;
	#missing = 0;
	#repairUs = 0;
	readonly #asked = new Map<number, number>();
	#bulk: Bulk | null = null;
	#bulkUs = 0;
	#round: Round | null = null;
	#roundUs: number;
	#beginning = false;
	readonly #tickets = new Map<number, bigint>();
	#tickedUs: number;
	#turnsUs = 0;
	#namesUs = 0;
	#overwritten = 0;
	/** News were overwritten since everything was told. */
	#missed = false;
	#received = 0;
	readonly #fates: Record<string, number> = {taken: 0, known: 0, refused: 0, strange: 0};
	readonly #refusals: Partial<Record<Refusal, number>> = {};
	/** When refusals are logged again. */
	readonly #complainedUs = new Map<Refusal, number>();
	#cancelTick: Cancel = () => {};
	#cancelHello: Cancel = () => {};
	#stopped = false;

	constructor(options: NodeOptions) {
		const {clock, seal, node, datagramMax, send} = options;
		this.#options = options;
		this.#outbox = new Outbox({seal, node, epoch: clock.wall().getTime(), datagramMax, send});
		this.#startedUs = clock.nowUs();
		this.#tickedUs = this.#startedUs;
		this.#roundUs = this.#startedUs;
	}

	/** Resolves when it knows what its own numbers mean, and works. */
	async start(): Promise<void> {
		await this.#readNames();
		if (this.#stopped) return;
		this.#hello();
		this.#tick();
	}

	stop(): void {
		this.#stopped = true;
		this.#cancelTick();
		this.#cancelHello();
	}

	status(): SharingStatus {
		const nowUs = this.#options.clock.nowUs();
		const {sent, unsent} = this.#outbox;
		return {
			state: this.#state,
			peers: [...this.#peers.values()].map(({node, heardUs, inSync, lost}) => ({
				address: nodeAddress(node),
				heardMsAgo: Math.round((nowUs - heardUs) / 1000),
				inSync,
				lost,
			})),
			sent,
			unsent,
			overwritten: this.#overwritten,
			received: this.#received,
			fates: {...this.#fates},
			refusals: {...this.#refusals},
		};
	}

	/** A datagram came in, from an address. */
	receive(datagram: Uint8Array, from: number): void {
		const {senders, seal, node} = this.#options;
		if (senders?.has(from) === false) return this.#refuse('sender', from);
		const opened = seal.open(datagram);
		if (!opened.ok) return this.#refuse(opened.reason, from);
		const message = opened.value;
		if (message.node === node) return;
		const peer = this.#peerOf(message, from);
		if (peer === null) return;
		this.#hear(peer, message);
	}

	#refuse(reason: Refusal, from: number): void {
		this.#refusals[reason] = (this.#refusals[reason] ?? 0) + 1;
		const text = COMPLAINTS[reason];
		const {clock, log} = this.#options;
		const nowUs = clock.nowUs();
		if (text === undefined || nowUs < (this.#complainedUs.get(reason) ?? 0)) return;
		this.#complainedUs.set(reason, nowUs + COMPLAINT_GAP_US);
		log.warn({from: nodeAddress(from), reason}, `sharing: ${text}`);
	}

	#peerOf(message: Message, from: number): Peer | null {
		const nowUs = this.#options.clock.nowUs();
		const known = this.#peers.get(message.node);
		if (known === undefined && this.#peers.size >= PEERS_MAX) {
			this.#refuse('strangers', from);
			return null;
		}
		const peer = known ?? new Peer(message.node, nowUs);
		const {epoch, heardUs} = peer;
		if (!peer.accept(message, nowUs)) {
			this.#refuse('replayed', from);
			return null;
		}
		this.#peers.set(message.node, peer);
		if (known === undefined || peer.epoch !== epoch || nowUs - heardUs > SILENT_US) this.#found(peer);
		return peer;
	}

	/** Somebody is here, or here again: what it knows may be news to us. */
	#found(peer: Peer): void {
		this.#options.log.info({peer: nodeAddress(peer.node)}, 'sharing: a balancer is here');
		this.#askAgain();
		this.#namesUs = 0;
		this.#roundUs = 0;
	}

	#askAgain(): void {
		if (this.#state === 'joining' && this.#attempts === 1) return;
		this.#want++;
		for (const peer of this.#peers.values()) peer.ended = false;
	}

	#hear(peer: Peer, message: Message): void {
		this.#received += message.count;
		switch (message.kind) {
			case Kind.flows:
			case Kind.flows6:
				return this.#takeFlows(peer, message.kind === Kind.flows ? 4 : 6, message);
			case Kind.clients:
			case Kind.clients6:
				return this.#takeClients(peer, message.kind === Kind.clients ? 4 : 6, message);
			case Kind.backends:
				for (const view of recordsOf(message)) peer.nameBackend(decodeBackend(view), this.#names);
				return;
			case Kind.nics:
				for (const view of recordsOf(message)) peer.nameNic(decodeNic(view), this.#names);
				return;
			case Kind.services:
				for (const view of recordsOf(message)) this.#takeTurn(decodeTurn(view));
				return;
			case Kind.hello:
				for (const view of recordsOf(message)) this.#hearHello(peer, view);
				return;
			case Kind.end:
				for (const view of recordsOf(message)) this.#hearEnd(peer, decodeEnd(view));
				return;
			default:
				message.kind satisfies never;
		}
	}

	#takeFlows(peer: Peer, family: Family, message: Message): void {
		this.#count(this.#options.plane.takeFlows(family, peer.flows(family, message), message.count));
	}

	#takeClients(peer: Peer, family: Family, message: Message): void {
		this.#count(this.#options.plane.takeClients(family, peer.clients(family, message), message.count));
	}

	#count(fates: object): void {
		for (const [fate, count] of Object.entries(fates)) this.#fates[fate] = (this.#fates[fate] ?? 0) + count;
	}

	/** Whoever has dealt more is the one who deals. */
	#takeTurn({service, ticket}: Turn): void {
		const id = this.#names.service(service);
		if (id === undefined || ticket <= this.#options.plane.ticket(id)) return;
		this.#options.plane.setTicket(id, ticket);
		this.#tickets.set(id, ticket);
	}

	#hearHello(peer: Peer, view: DataView): void {
		const {want, inSync} = decodeHello(view);
		peer.inSync = inSync;
		if (want === 0) return;
		if (peer.answered?.want === want) this.#tellEnd({node: peer.node, ...peer.answered});
		else if (this.#bulk?.asked.get(peer.node) !== want) this.#asked.set(peer.node, want);
	}

	#hearEnd(peer: Peer, {node, want, flows}: End): void {
		if (node !== this.#options.node || want !== this.#want || peer.ended) return;
		peer.ended = true;
		this.#options.log.info({peer: nodeAddress(peer.node), flows}, 'sharing: it has told us all its flows');
	}

	/** The state by who is here and who has told everything. */
	#judge(nowUs: number): void {
		const present = this.#present(nowUs);
		if (this.#state === 'joining' && present.length > 0 && present.every(({ended}) => ended)) this.#joined(present);
		else if (this.#state === 'joining' && present.length === 0 && nowUs - this.#startedUs > SILENT_US)
			this.#enter('alone');
		else if (this.#state === 'alone' && present.some(({ended}) => ended)) this.#enter('in-sync');
		if (this.#state !== 'joining') this.#repair(present, nowUs);
	}

	/** All have told everything; if something of it was lost, they are asked once more. */
	#joined(present: readonly Peer[]): void {
		const lost = lostBy(present);
		if (lost > this.#lostBefore && this.#attempts < ATTEMPTS) {
			this.#attempts++;
			this.#lostBefore = lost;
			this.#askAgain();
			return;
		}
		this.#lostBefore = lost;
		this.#enter('in-sync');
	}

	/** Asks for everything again if something is lost, and was a tick ago: what is only late may have come since. */
	#repair(present: readonly Peer[], nowUs: number): void {
		const missing = lostBy(present);
		const lost = Math.min(missing, this.#missing);
		this.#missing = missing;
		this.#lostBefore = Math.min(this.#lostBefore, lost);
		if (lost <= this.#lostBefore || nowUs < this.#repairUs) return;
		this.#lostBefore = lost;
		this.#repairUs = nowUs + REPAIR_GAP_US;
		this.#askAgain();
	}

	#enter(state: SharingState): void {
		this.#state = state;
		this.#options.log.info({state}, 'sharing: new state');
		this.#options.onState(state);
	}

	#present(nowUs: number): Peer[] {
		return [...this.#peers.values()].filter(({heardUs}) => nowUs - heardUs <= SILENT_US);
	}

	/** Once a second: who we are and what we want; what has changed around us. */
	#hello(): void {
		const {clock, plane} = this.#options;
		const nowUs = clock.nowUs();
		const isOpen = this.#state === 'joining' || this.#present(nowUs).some(({ended}) => !ended);
		this.#outbox.record(Kind.hello, view =>
			encodeHello({want: isOpen ? this.#want : 0, inSync: this.#state !== 'joining'}, view),
		);
		this.#outbox.flush();
		for (const [node, {heardUs}] of this.#peers) if (nowUs - heardUs > FORGOTTEN_US) this.#peers.delete(node);
		plane.refresh();
		void this.#readNames();
		this.#cancelHello = clock.after(HELLO_US, 'sharing: hello', () => this.#hello());
	}

	/** Reads our own numbers again; peers are told when they have changed. */
	async #readNames(): Promise<void> {
		const {plane, interfaces, log} = this.#options;
		try {
			const names = new NameTable(await plane.names(), await interfaces());
			if (names.text === this.#names.text) return;
			this.#names = names;
			this.#outbox.flush();
			this.#outbox.names++;
			this.#namesUs = 0;
			for (const peer of this.#peers.values()) peer.translateAnew(names);
		} catch (error) {
			if (!this.#stopped) log.error({error}, 'sharing: the maps could not be read');
		}
	}

	#tick(): void {
		const {clock} = this.#options;
		const nowUs = clock.nowUs();
		const elapsedUs = Math.min(nowUs - this.#tickedUs, LATE_US);
		this.#tickedUs = nowUs;
		if (this.#peers.size > 0) this.#tell(nowUs, elapsedUs);
		else if (this.#state !== 'joining') this.#passOver();
		this.#outbox.flush();
		this.#judge(nowUs);
		this.#cancelTick = clock.after(TICK_US, 'sharing: tick', () => this.#tick());
	}

	#tell(nowUs: number, elapsedUs: number): void {
		if (nowUs >= this.#namesUs) this.#tellNames(nowUs);
		this.#tellNews();
		if (nowUs >= this.#turnsUs) this.#tellTurns(nowUs);
		this.#serve(nowUs, elapsedUs);
	}

	/** Nobody is there to hear news; whoever comes is told everything. Before that is certain, they stay where they are. */
	#passOver(): void {
		this.#round = null;
		this.#bulk = null;
		for (const family of FAMILIES) this.#options.plane.drainNews(family, () => {});
	}

	#tellNews(): void {
		const {plane} = this.#options;
		let overwritten = 0;
		for (const family of FAMILIES) {
			overwritten += plane.drainNews(family, (words, at) => this.#outbox.flow(family, words, at));
		}
		this.#overwritten += overwritten;
		if (overwritten === 0) return;
		this.#missed = true;
		this.#roundUs = 0;
	}

	#tellNames(nowUs: number): void {
		this.#namesUs = nowUs + NAMES_US;
		for (const nic of this.#names.nics) this.#outbox.record(Kind.nics, view => encodeNic(nic, view));
		for (const backend of this.#names.backends)
			this.#outbox.record(Kind.backends, view => encodeBackend(backend, view));
		this.#tickets.clear();
		this.#outbox.flush();
	}

	/** Turns that have moved on since they were told. */
	#tellTurns(nowUs: number): void {
		this.#turnsUs = nowUs + TURNS_US;
		for (const {id, name: service} of this.#names.services) {
			const ticket = this.#options.plane.ticket(id);
			if (this.#tickets.get(id) === ticket) continue;
			this.#tickets.set(id, ticket);
			this.#outbox.record(Kind.services, view => encodeTurn({service, ticket}, view));
		}
	}

	/** Goes on with what is being told of all flows, or begins what is due. */
	#serve(nowUs: number, elapsedUs: number): void {
		if (this.#bulk !== null) this.#stepBulk(this.#bulk, elapsedUs);
		else if (this.#round?.step(share(ROUND_RATE, elapsedUs))) this.#round = null;
		if (this.#beginning || this.#bulk !== null) return;
		if (this.#asked.size > 0 && nowUs >= this.#bulkUs) void this.#begin(true, nowUs);
		else if (this.#round === null && nowUs >= this.#roundUs) void this.#begin(false, nowUs);
	}

	#stepBulk({asked, round}: Bulk, elapsedUs: number): void {
		if (!round.step(share(BULK_RATE, elapsedUs))) return;
		this.#bulk = null;
		this.#outbox.flush();
		for (const [node, want] of asked) {
			const peer = this.#peers.get(node);
			if (peer !== undefined) peer.answered = {want, flows: round.flows};
			this.#tellEnd({node, want, flows: round.flows});
		}
	}

	#tellEnd(end: End): void {
		this.#outbox.record(Kind.end, view => encodeEnd(end, view));
	}

	/** Begins to tell everything: to those who asked, or to all, of our own flows alone unless news of them were missed. */
	async #begin(bulk: boolean, nowUs: number): Promise<void> {
		const {plane, log} = this.#options;
		this.#beginning = true;
		this.#roundUs = nowUs + roundS(plane.shortestTimeoutS()) * 1e6;
		const asked = new Map(this.#asked);
		if (bulk) {
			this.#asked.clear();
			this.#bulkUs = nowUs + BULK_GAP_US;
			this.#tellNames(nowUs);
		}
		try {
			const everything = bulk || this.#missed;
			this.#missed = false;
			const round = await Round.begin(plane, this.#outbox, everything);
			if (bulk) this.#bulk = {asked, round};
			else this.#round = round;
		} catch (error) {
			if (!this.#stopped) log.error({error}, 'sharing: the persistence entries could not be read');
		} finally {
			this.#beginning = false;
		}
	}
}

/** Records of a rate that are due in a time; at least one datagram's. */
function share(rate: number, us: number): number {
	return Math.max(43, Math.round((rate * us) / 1e6));
}

/** Often enough that no copy ends before it is told of again, twice lost. */
function roundS(shortestTimeoutS: number): number {
	return Math.min(ROUND_MAX_S, Math.max(ROUND_MIN_S, shortestTimeoutS / 3));
}

function lostBy(peers: readonly Peer[]): number {
	return peers.reduce((sum, {lost}) => sum + lost, 0);
}

/** An IPv4 address from the number that stands for it on the wire. */
function nodeAddress(node: number): string {
	return formatAddress(Uint8Array.of(node & 255, (node >>> 8) & 255, (node >>> 16) & 255, node >>> 24));
}

function* recordsOf({kind, count, records}: Message): Generator<DataView> {
	const size = RECORD_BYTES[kind];
	for (let n = 0; n < count; n++) yield new DataView(records.buffer, records.byteOffset + n * size, size);
}
