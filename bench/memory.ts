/** What a connection costs in memory, counted when the flow table first refuses one. */
import {type Figure, figures} from '../src/bench/figure.js';
import {FIRST_CLIENT, Plane, SERVICE} from '../src/bench/plane.js';
import {interleave} from '../src/bench/statistics.js';
import {HANDSHAKE, Traffic} from '../src/bench/traffic.js';
import {realClock} from '../src/host/real/clock.js';
import type {Wiring} from './wiring.js';

/** Connections that tables are made for. */
const TABLES = [
	{name: 'table of 128K slots', connections: 2 ** 15},
	{name: 'table of 4M slots', connections: 2 ** 20},
];
/** Looks between an empty table and the connections that it is made for: the figure is exact to about one in a hundred. */
const LOOKS = 64;
const ENDLESS = 2 ** 24;

export async function memory(wiring: Wiring, rounds: number): Promise<Figure[]> {
	const cases = TABLES.map(({name, connections}) => ({name, sample: () => bytesPerConnection(wiring, connections)}));
	const rows = TABLES.map(({name}) => ({name, goals: [{bound: 'at most', value: 64} as const]}));
	return figures('memory at the first refused connection', 'bytes', await interleave(cases, rounds), rows);
}

let attempt = 0;

/** Establishes connections of random clients until one finds no slot. */
async function bytesPerConnection(wiring: Wiring, connections: number): Promise<number> {
	const {client, external} = wiring;
	const plane = await Plane.open(wiring, {clock: realClock, connections});
	const traffic = new Traffic();
	try {
		const clients = {count: ENDLESS, firstClient: FIRST_CLIENT + ENDLESS * attempt++};
		traffic.choose(clients, {fromMac: client.mac, toMac: external.mac, service: SERVICE}, HANDSHAKE);
		while (plane.count('V_DROP_TABLE_FULL') === 0)
			traffic.offer(plane.program, external.ifindex, (connections / LOOKS) * HANDSHAKE.length);
		return plane.bytes / plane.count('V_FORWARD_NEW');
	} finally {
		traffic.close();
		plane.close();
	}
}
