/** The traffic generator (bpf/traffic.bpf.c): packets of many flows, offered to a program or sent out of an interface. */
import {fileURLToPath} from 'node:url';
import {BpfMap, BpfObject, type BpfProgram} from 'libbpf-ts';
import type {Family} from '../net/address.js';
import {
	destinationOf,
	type Flags,
	FRAME_BYTES,
	FRAME_ROOM,
	type Fragment,
	familyOfEnd,
	payloadRoom,
	tcpFrame,
} from './frame.js';
import {Direction, maps as layouts, type Phase, type Traffic as Settings} from './traffic.gen.js';

const OBJECTS = {4: 'traffic.bpf.o', 6: 'traffic6.bpf.o'} as const;
const PHASES_MAX = 4;
/** Whose addresses' last word is filled in. */
const CLIENTS_NETWORK6 = '2001:db8:c::';
export const SERVERS_NETWORK6 = '2001:db8:5::';
/** What an end is when its port and its address, or that one's last word, are yet to be filled in. */
const UNFILLED = {
	4: {client: '0.0.0.0:0', server: '0.0.0.0:0'},
	6: {client: `[${CLIENTS_NETWORK6}]:0`, server: `[${SERVERS_NETWORK6}]:0`},
} as const;

/** Which flows a run has packets of. */
export interface Flows {
	/** How many, a power of two. */
	readonly count: number;
	/** The first client's address as a number: of an IPv6 address, its last word. */
	readonly firstClient: number;
	/** Clients that they belong to, a power of two; each flow has a client of its own unless told. */
	readonly clients?: number;
}

/** What is the same in every packet of a run. */
export interface Path {
	readonly fromMac: string;
	readonly toMac: string;
	/** `198.51.100.1:80` or `[2001:db8::1]:80` */
	readonly service: string;
}

export interface FromClient {
	readonly from: 'client';
	readonly flags: Flags;
	readonly ack?: number;
	/** Default: a whole packet. */
	readonly fragment?: Fragment;
}

export interface FromServer {
	readonly from: 'server';
	readonly flags: Flags;
	readonly seq?: number;
	/** Where it comes from; unless told, wherever the packet before was forwarded to. */
	readonly backend?: string;
}

/** What every flow gets a packet of; see enum direction of traffic.bpf.c. */
export type Step = FromClient | FromServer;

const CLIENT_ISN = 1000;
const SERVER_ISN = 0xdeadbeef;
export const SYN: FromClient = {from: 'client', flags: 'S'};
/** The client's packets in an established connection. */
export const REQUEST: FromClient = {from: 'client', flags: 'A', ack: SERVER_ISN + 1};
/** The parts of one, of IPv4. */
export const FIRST_FRAGMENT: FromClient = {...REQUEST, fragment: 'first'};
export const LATER_FRAGMENT: FromClient = {...REQUEST, fragment: 'later'};
/** The server's. */
export const ANSWER: FromServer = {from: 'server', flags: 'A', seq: SERVER_ISN + 1};
export const HANDSHAKE: readonly Step[] = [SYN, {from: 'server', flags: 'SA', seq: SERVER_ISN}, REQUEST];

/** Packets of many flows that take turns with those of other streams. */
export interface Stream {
	readonly flows: Flows;
	readonly path: Path;
	readonly step: Step;
}

const SILENCE: Phase = {
	frame: new Uint8Array(FRAME_ROOM),
	direction: Direction.FROM_CLIENT,
	flowMask: 0,
	clientMask: 0,
	firstClient: 0,
};

function phaseOf({flows, path, step}: Stream): Phase {
	const {fromMac, toMac, service} = path;
	const of = familyOfEnd(service);
	const {client, server} = UNFILLED[of];
	const ends =
		step.from === 'client'
			? {from: client, to: service, seq: CLIENT_ISN, ack: step.ack ?? 0, fragment: step.fragment ?? 'none'}
			: {from: step.backend ?? server, to: client, seq: step.seq ?? 0, ack: 0};
	const payloadBytes = step.flags === 'A' ? payloadRoom(of) : 0;
	const frame = new Uint8Array(FRAME_ROOM);
	frame.set(tcpFrame({fromMac, toMac, flags: step.flags, payloadBytes, ...ends}));
	return {
		frame,
		direction: directionOf(step),
		flowMask: flows.count - 1,
		clientMask: (flows.clients ?? flows.count) - 1,
		firstClient: flows.firstClient,
	};
}

function directionOf(step: Step): Direction {
	if (step.from === 'client') return Direction.FROM_CLIENT;
	return step.backend === undefined ? Direction.ANSWER : Direction.FROM_SERVER;
}

/** A generator in the kernel, of packets of one family. */
export class Traffic {
	/** A program that costs nothing: what remains when it is the target is the generator's own. */
	readonly nothing: BpfProgram;
	readonly #family: Family;
	readonly #object: BpfObject;
	readonly #offer: BpfProgram;
	readonly #transmit: BpfProgram;
	readonly #settings: BpfMap<number, Settings>;
	readonly #target: BpfMap<number, number>;

	constructor(family: Family = 4) {
		this.#family = family;
		this.#object = BpfObject.open(fileURLToPath(new URL(`../../${OBJECTS[family]}`, import.meta.url)));
		this.#object.load();
		this.nothing = part(this.#object.programs, 'nothing');
		this.#offer = part(this.#object.programs, 'offer');
		this.#transmit = part(this.#object.programs, 'transmit');
		this.#settings = BpfMap.of(part(this.#object.maps, 'traffic'), layouts.traffic);
		this.#target = BpfMap.of(part(this.#object.maps, 'target'), layouts.target);
	}

	/** Sets what the next runs are about: streams whose packets take turns. Flows go on from where the last run ended. */
	mix(streams: readonly Stream[]): void {
		const phases = streams.map(phaseOf);
		this.#settings.set(0, {
			phases: Array.from({length: PHASES_MAX}, (_, index) => phases[index] ?? SILENCE),
			phaseCount: phases.length,
			nextPhase: 0,
			flow: this.#settings.get(0)?.flow ?? 0,
			ifindex: 0,
			runs: 0,
			runsDone: 0n,
			startedNs: 0n,
			endedNs: 0n,
		});
	}

	/** The same for flows that each go through several steps. */
	choose(flows: Flows, path: Path, steps: readonly Step[]): void {
		this.mix(steps.map(step => ({flows, path, step})));
	}

	/** Offers packets to a program as if they came in on an interface; the time of one in ns, its making included. */
	offer(target: BpfProgram, ifindex: number, packets: number): number {
		this.#target.set(0, target.fd);
		this.#begin({runs: packets, ifindex: 0});
		this.#offer.testRun({data: this.#room(), ifindex, repeat: packets});
		return this.#nsPerPacket(packets);
	}

	/** Sends packets out of an interface; the time of one in ns, which is that of all that happens to it on this CPU. */
	transmit(ifindex: number, packets: number): number {
		this.#begin({runs: packets, ifindex});
		this.#transmit.liveRun({data: this.#room(), repeat: packets});
		return this.#nsPerPacket(packets);
	}

	/** What a program makes of the next packet. */
	packet(target: BpfProgram, ifindex: number): Uint8Array {
		this.#target.set(0, target.fd);
		return this.#offer.testRun({data: this.#room(), ifindex}).data;
	}

	/** Where a program sends the client's packet of one flow: `172.16.0.1:8080`. */
	destination(program: BpfProgram, ifindex: number, flows: Flows, path: Path): string {
		this.choose(flows, path, [REQUEST]);
		return destinationOf(this.packet(program, ifindex), this.#family);
	}

	close(): void {
		this.#object.close();
	}

	/** What the program writes a packet into. */
	#room(): Uint8Array {
		return new Uint8Array(FRAME_BYTES[this.#family]);
	}

	#begin(run: {readonly runs: number; readonly ifindex: number}): void {
		const settings = this.#settings.get(0);
		if (settings === undefined) throw new Error('the traffic has no settings');
		this.#settings.set(0, {...settings, ...run, runsDone: 0n, startedNs: 0n, endedNs: 0n});
	}

	#nsPerPacket(packets: number): number {
		const {startedNs = 0n, endedNs = 0n} = this.#settings.get(0) ?? {};
		if (endedNs <= startedNs) throw new Error('the traffic did not come to its end');
		return Number(endedNs - startedNs) / (packets - 1);
	}
}

/** A map or program of an object, by name. */
export function part<T>(parts: ReadonlyMap<string, T>, name: string): T {
	const found = parts.get(name);
	if (found === undefined) throw new Error(`the object has no ${name}`);
	return found;
}
