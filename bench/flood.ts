/** Established connections under a flood of SYNs from everywhere, on a flow table that has no slot left. */
import {BpfLink} from 'libbpf-ts';
import {type Figure, figures} from '../src/bench/figure.js';
import {FIRST_CLIENT, FOREIGN, Plane, SERVICE} from '../src/bench/plane.js';
import {interleave, median} from '../src/bench/statistics.js';
import {type Flows, HANDSHAKE, type Path, REQUEST, type Stream, SYN, Traffic} from '../src/bench/traffic.js';
import {realClock} from '../src/host/real/clock.js';
import type {Wiring} from './wiring.js';
import {Yardsticks} from './yardsticks.js';

const SECTION = 'established packets, every other one a flood';
const ESTABLISHED: Flows = {count: 2 ** 16, firstClient: FIRST_CLIENT};
const ATTACKERS: Flows = {count: 2 ** 24, firstClient: 0x0c_00_00_00};
/** Enough to leave no slot of the table empty. */
const FILL = 2 ** 21;
const CHUNK = 2 ** 16;
const CHUNKS = 4;

const SYN_FLOOD = 'beside SYNs';
const FOREIGN_FLOOD = 'beside foreign packets';

/** Measures what of the established connections' packets is forwarded, and how many connections are lost. */
export async function flood(wiring: Wiring, rounds: number): Promise<Figure[]> {
	const {client, external} = wiring;
	const plane = await Plane.open(wiring, {clock: realClock, connections: ESTABLISHED.count});
	const [traffic, yardsticks] = [new Traffic(), new Yardsticks(1)];
	const links = [
		BpfLink.attachXdp(yardsticks.sink, client.ifindex, 'native'),
		BpfLink.attachXdp(plane.program, external.ifindex, 'native'),
	];
	const path = (service: string): Path => ({fromMac: client.mac, toMac: external.mac, service});
	const requests: Stream = {flows: ESTABLISHED, path: path(SERVICE), step: REQUEST};
	const syns = (service: string): Stream => ({flows: ATTACKERS, path: path(service), step: SYN});

	const goodput = (attack: Stream): number => {
		traffic.mix([requests, attack]);
		const before = plane.count('V_FORWARD');
		const ns = Array.from({length: CHUNKS}, () => traffic.transmit(client.ifindex, CHUNK));
		return ((plane.count('V_FORWARD') - before) / (CHUNK * CHUNKS) / median(ns)) * 1e3;
	};
	const lost = (): number => {
		traffic.mix([requests]);
		const before = plane.count('V_FORWARD');
		traffic.offer(plane.program, external.ifindex, ESTABLISHED.count);
		return ESTABLISHED.count - (plane.count('V_FORWARD') - before);
	};
	try {
		traffic.choose(ESTABLISHED, path(SERVICE), HANDSHAKE);
		traffic.offer(plane.program, external.ifindex, ESTABLISHED.count * HANDSHAKE.length);
		traffic.mix([syns(SERVICE)]);
		traffic.offer(plane.program, external.ifindex, FILL);
		const samples = await interleave(
			[
				{name: FOREIGN_FLOOD, sample: () => goodput(syns(FOREIGN))},
				{name: SYN_FLOOD, sample: () => goodput(syns(SERVICE))},
				{name: 'connections lost', sample: lost},
			],
			rounds,
		);
		return [
			...figures(SECTION, 'Mpps', samples, [
				{name: FOREIGN_FLOOD},
				{
					name: SYN_FLOOD,
					yardsticks: [FOREIGN_FLOOD],
					goals: [{ratio: FOREIGN_FLOOD, bound: 'at least', value: 0.95}],
				},
			]),
			...figures(SECTION, 'flows', samples, [{name: 'connections lost', goals: [{bound: 'at most', value: 0}]}]),
		];
	} finally {
		for (const link of links) link.close();
		traffic.close();
		yardsticks.close();
		plane.close();
	}
}
