/**
 * Program time: what a packet costs in the program itself, in ns. Packets are offered by a generator in the kernel; what
 * the generator takes, measured right after with a program that does nothing, is subtracted.
 */
import type {BpfProgram} from 'libbpf-ts';
import type {Family} from '../net/address.js';
import {FOREIGN, Plane, type PlaneOptions, SERVICE, SERVICE6, type VerdictName, type Wires} from './plane.js';
import {median} from './statistics.js';
import {
	ANSWER,
	FIRST_FRAGMENT,
	type Flows,
	HANDSHAKE,
	LATER_FRAGMENT,
	type Path,
	REQUEST,
	type Step,
	SYN,
	Traffic,
} from './traffic.js';

/** A sample is the median of chunks that are shorter than the slice of a process: somebody else's work is not ours. */
const CHUNK = 2 ** 14;
const CHUNKS = 8;
/** New connections are fewer, since every one of them takes a slot. */
const OPENING_CHUNKS = 4;

/** A load with the data plane and the generator that it needs. */
export class Load {
	readonly plane: Plane;
	readonly #traffic: Traffic;
	readonly #wires: Wires;
	/** Unless another one is asked for. */
	readonly #service: string;

	private constructor(plane: Plane, wires: Wires, family: Family) {
		this.plane = plane;
		this.#traffic = new Traffic(family);
		this.#wires = wires;
		this.#service = family === 4 ? SERVICE : SERVICE6;
	}

	static async open(wires: Wires, options: PlaneOptions): Promise<Load> {
		return new Load(await Plane.open(wires, options), wires, options.family ?? 4);
	}

	/** Net ns a packet of a program. */
	time(program: BpfProgram, flows: Flows, service: string, steps: readonly Step[], chunks = CHUNKS): number {
		const {ifindex} = this.#wires.external;
		this.#traffic.choose(flows, this.#path(service), steps);
		const offer = (to: BpfProgram): number[] =>
			Array.from({length: chunks}, () => this.#traffic.offer(to, ifindex, CHUNK));
		return median(offer(program)) - median(offer(this.#traffic.nothing));
	}

	/** The same for packets of established flows to the service. */
	timeEstablished(flows: Flows): number {
		return flows.count === 1
			? this.timePlane(flows, [REQUEST], 'V_FORWARD')
			: this.timeBusy(flows, [REQUEST], 'V_FORWARD');
	}

	/** For what the backend answers in one flow. */
	timeReply(flow: Flows): number {
		return this.timePlane(flow, [{...ANSWER, backend: this.serverOf(flow)}], 'V_REPLY');
	}

	/** For new connections, each of a flow that has not been before. */
	timeNew(flows: Flows, service = this.#service): number {
		return this.timePlane(flows, [SYN], 'V_FORWARD_NEW', {chunks: OPENING_CHUNKS, service});
	}

	/** For first fragments in an established flow of IPv4, and for later ones of a datagram whose first has just come. */
	timeFragment(flow: Flows, part: 'first' | 'later'): number {
		if (part === 'first') return this.timePlane(flow, [FIRST_FRAGMENT], 'V_FORWARD');
		this.#traffic.choose(flow, this.#path(this.#service), [FIRST_FRAGMENT]);
		this.#traffic.offer(this.plane.program, this.#wires.external.ifindex, 2);
		return this.timePlane(flow, [LATER_FRAGMENT], 'V_FORWARD');
	}

	/** For packets of clients on the block list. */
	timeBlocked(flows: Flows): number {
		return this.timePlane(flows, [REQUEST], 'V_DROP_BLOCKED');
	}

	/** For packets to what is no service. */
	timeForeign(flow: Flows): number {
		return this.timePlane(flow, [REQUEST], 'V_PASS_NOT_OURS', {service: FOREIGN});
	}

	/**
	 * For flows that have just been heard of, all of them: a flow's first packet in a second also writes its slot, and a
	 * sample is too short to meet the share of such packets that steady traffic has.
	 */
	timeBusy(flows: Flows, steps: readonly Step[], verdict: VerdictName, share = 1): number {
		this.#traffic.choose(flows, this.#path(this.#service), steps);
		this.#traffic.offer(this.plane.program, this.#wires.external.ifindex, Math.max(flows.count, 2) * steps.length);
		return this.timePlane(flows, steps, verdict, {share});
	}

	/** Net ns a packet of the data plane; `share` of the packets must meet the verdict. */
	timePlane(
		flows: Flows,
		steps: readonly Step[],
		verdict: VerdictName,
		{chunks = CHUNKS, share = 1, service = this.#service} = {},
	): number {
		return this.plane.expect(verdict, CHUNK * chunks * share, () =>
			this.time(this.plane.program, flows, service, steps, chunks),
		);
	}

	/** Opens flows, handshake and all. */
	establish(flows: Flows): void {
		const packets = flows.count * HANDSHAKE.length;
		this.#traffic.choose(flows, this.#path(this.#service), HANDSHAKE);
		this.plane.expect('V_FORWARD_NEW', flows.count, () =>
			this.#traffic.offer(this.plane.program, this.#wires.external.ifindex, packets),
		);
	}

	/** Which server has the flow, as `172.16.0.1:8080`. */
	serverOf(flow: Flows): string {
		return this.#traffic.destination(this.plane.program, this.#wires.external.ifindex, flow, this.#path(this.#service));
	}

	#path(service: string): Path {
		return {fromMac: this.#wires.client.mac, toMac: this.#wires.external.mac, service};
	}

	close(): void {
		this.#traffic.close();
		this.plane.close();
	}
}
