/**
 * Delivered packets: live frames leave the client's NIC, cross the balancer, and are counted where they end. Generator,
 * wires, balancer and sink share one CPU, so the figures are for what all of them take together.
 */
import {BpfLink, type BpfProgram} from 'libbpf-ts';
import {type Figure, figures, type Row} from '../src/bench/figure.js';
import {
	FIRST_CLIENT,
	Plane,
	type Port,
	SERVERS_OF_SERVICE,
	SERVERS_OF_SERVICE6,
	SERVICE,
	SERVICE6,
} from '../src/bench/plane.js';
import {type Case, interleave, median} from '../src/bench/statistics.js';
import {type Flows, type FromClient, HANDSHAKE, REQUEST, type Step, SYN, Traffic} from '../src/bench/traffic.js';
import {realClock} from '../src/host/real/clock.js';
import type {Family} from '../src/net/address.js';
import {dnat, type Wiring} from './wiring.js';
import {Yardsticks} from './yardsticks.js';

const K64 = 2 ** 16;
const M1 = 2 ** 20;
/** More flows than any run has packets. */
const ENDLESS = 2 ** 24;
/** Whose connections are new to everybody. */
const FIRST_STRANGER = 0x0c_00_00_00;

/** A sample is the median of chunks, as with program time; each flow has a packet in it. */
const CHUNK = 2 ** 16;
const CHUNKS = 4;
const chunksOf = (which: Flows): number => (which.count === ENDLESS ? CHUNKS : Math.max(CHUNKS, which.count / CHUNK));

const LIMIT = 'MAC swap, the limit';
const ONE_NIC = 'sluice, one NIC';
const TWO_NICS = 'sluice, two NICs';
const DNAT = 'nftables DNAT';

/** What is sent, and what it is to be measured by. */
interface Offer {
	readonly name: string;
	readonly family: Family;
	readonly flows: Flows;
	readonly step: FromClient;
	/** Shares of the limit, and multiples of nftables, to be reached. */
	readonly limitShare?: number;
	readonly dnatMultiple: number;
}

const OFFERS: readonly Offer[] = [
	{name: '1 flow', family: 4, flows: flows(1), step: REQUEST, limitShare: 0.9, dnatMultiple: 5},
	{name: '64K flows', family: 4, flows: flows(K64), step: REQUEST, limitShare: 0.5, dnatMultiple: 4},
	{name: '1M flows', family: 4, flows: flows(M1), step: REQUEST, limitShare: 0.5, dnatMultiple: 4},
	{
		name: 'new connections',
		family: 4,
		flows: {count: ENDLESS, firstClient: FIRST_STRANGER},
		step: SYN,
		dnatMultiple: 4,
	},
	{name: '1 flow, IPv6', family: 6, flows: flows(1), step: REQUEST, limitShare: 0.9, dnatMultiple: 5},
	{name: '64K flows, IPv6', family: 6, flows: flows(K64), step: REQUEST, limitShare: 0.5, dnatMultiple: 4},
];

const SERVICES = {
	4: {service: SERVICE, servers: SERVERS_OF_SERVICE},
	6: {service: SERVICE6, servers: SERVERS_OF_SERVICE6},
} as const;

function flows(count: number): Flows {
	return {count, firstClient: FIRST_CLIENT};
}

/** Measures what arrives, in millions of packets a second. */
export async function wires(wiring: Wiring, rounds: number): Promise<Figure[]> {
	const open = (connections: number, family: Family): Promise<Plane> =>
		Plane.open(wiring, {clock: realClock, connections, family});
	const [few, many, few6] = [await open(K64, 4), await open(M1, 4), await open(K64, 6)];
	const bench = new Wires(wiring, new Yardsticks(1));
	const planeOf = (offer: Offer): Plane => (offer.family === 6 ? few6 : offer.flows.count <= K64 ? few : many);
	try {
		for (const {service, servers} of Object.values(SERVICES)) dnat(service, servers);
		bench.establish(few, 4, flows(K64));
		bench.establish(many, 4, flows(M1));
		bench.establish(few6, 6, flows(K64));
		for (const offer of OFFERS) bench.track(offer);
		const cases = OFFERS.flatMap(offer => bench.cases(offer, planeOf(offer)));
		return figures('delivered over veth, one CPU', 'Mpps', await interleave(cases, rounds), OFFERS.flatMap(rows));
	} finally {
		bench.close();
		for (const plane of [few, many, few6]) plane.close();
	}
}

function rows({name, limitShare, dnatMultiple}: Offer): Row[] {
	const [limit, kernel] = [`${name}: ${LIMIT}`, `${name}: ${DNAT}`];
	const goals = [
		...(limitShare === undefined ? [] : [{ratio: limit, bound: 'at least', value: limitShare} as const]),
		{ratio: kernel, bound: 'at least', value: dnatMultiple} as const,
	];
	return [
		{name: limit},
		{name: `${name}: ${ONE_NIC}`, yardsticks: [limit, kernel], goals},
		{name: `${name}: ${TWO_NICS}`, yardsticks: [limit, kernel]},
		{name: kernel, yardsticks: [limit]},
	];
}

class Wires {
	readonly #wiring: Wiring;
	readonly #yardsticks: Yardsticks;
	readonly #traffic = {4: new Traffic(4), 6: new Traffic(6)} as const;
	readonly #sinks: readonly BpfLink[];

	constructor(wiring: Wiring, yardsticks: Yardsticks) {
		const {client, server} = wiring;
		this.#wiring = wiring;
		this.#yardsticks = yardsticks;
		this.#sinks = [client, server].map(({ifindex}) => BpfLink.attachXdp(yardsticks.sink, ifindex, 'native'));
	}

	/** The generator of a family's packets, set to steps of these flows. */
	#generate(family: Family, which: Flows, steps: readonly Step[]): Traffic {
		const {client, external} = this.#wiring;
		const path = {fromMac: client.mac, toMac: external.mac, service: SERVICES[family].service};
		this.#traffic[family].choose(which, path, steps);
		return this.#traffic[family];
	}

	/** Opens flows in the data plane, handshake and all; no wire is needed for it. */
	establish(plane: Plane, family: Family, which: Flows): void {
		const traffic = this.#generate(family, which, HANDSHAKE);
		plane.expect('V_FORWARD_NEW', which.count, () =>
			traffic.offer(plane.program, this.#wiring.external.ifindex, which.count * HANDSHAKE.length),
		);
	}

	/** Makes the flows known to the kernel's connection tracking, unless they are to be new. */
	track({family, flows: which, step}: Offer): void {
		if (step === SYN) return;
		this.#generate(family, which, [step]).transmit(this.#wiring.client.ifindex, Math.max(which.count, 2));
	}

	cases(offer: Offer, plane: Plane): Case[] {
		const {external, internal, client, server} = this.#wiring;
		const through = (nic: Port, neighbour: Port): number => {
			plane.serveThrough(nic, neighbour);
			this.#hearOfAll(offer, plane);
			return this.#deliver(offer, plane.program);
		};
		return [
			{name: `${offer.name}: ${LIMIT}`, sample: () => this.#deliver(offer, this.#yardsticks.macSwap)},
			{name: `${offer.name}: ${ONE_NIC}`, sample: () => through(external, client)},
			{name: `${offer.name}: ${TWO_NICS}`, sample: () => through(internal, server)},
			{name: `${offer.name}: ${DNAT}`, sample: () => this.#deliver(offer, null)},
		];
	}

	/** Lets every flow be of this second, or nearly so, as they are in steady traffic (see flow_table.h, the stamp). */
	#hearOfAll({family, flows: which, step}: Offer, plane: Plane): void {
		if (step === SYN) return;
		this.#generate(family, which, [step]).offer(plane.program, this.#wiring.external.ifindex, Math.max(which.count, 2));
	}

	/** Millions of packets a second that arrive when the balancer's NIC carries the program, or none. */
	#deliver({family, flows: which, step}: Offer, program: BpfProgram | null): number {
		const {client, external} = this.#wiring;
		const link = program === null ? null : BpfLink.attachXdp(program, external.ifindex, 'native');
		try {
			const traffic = this.#generate(family, which, [step]);
			const before = this.#yardsticks.delivered();
			const ns = Array.from({length: chunksOf(which)}, () => traffic.transmit(client.ifindex, CHUNK));
			const share = (this.#yardsticks.delivered() - before) / (CHUNK * ns.length);
			return (share * 1e3) / median(ns);
		} finally {
			link?.close();
		}
	}

	close(): void {
		for (const link of this.#sinks) link.close();
		for (const traffic of Object.values(this.#traffic)) traffic.close();
		this.#yardsticks.close();
	}
}
