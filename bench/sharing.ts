/** What it costs that connections outlive their balancer: both ends of sharing in this process, on one CPU, over UDP. */
import {setTimeout as sleep} from 'node:timers/promises';
import {AF_INET, SO_RCVBUFFORCE, SOCK_DGRAM, SOL_SOCKET, Socket, sockaddrIn} from 'libbpf-ts/net';
import {type Figure, figures} from '../src/bench/figure.js';
import {FIRST_CLIENT, Plane, SERVICE} from '../src/bench/plane.js';
import {HANDSHAKE, type Step, Traffic} from '../src/bench/traffic.js';
import {realClock} from '../src/host/real/clock.js';
import {SyncNode} from '../src/sync/node.js';
import {DATAGRAM_MAX, Seal} from '../src/sync/wire.js';
import type {Wiring} from './wiring.js';

const CONNECTIONS = 2 ** 20;
/** New connections a second; each opens and ends, and the peer is told of both. */
const RATE = 100_000;
const WINDOW_MS = 2000;
const SLICE = 1000;
const RESET: Step = {from: 'client', flags: 'R'};
const KEY = 'the key of the bench';
const PORTS = [8848, 8849] as const;
const LOOPBACK = Uint8Array.of(127, 0, 0, 1);
const PATIENCE_MS = 60_000;
const SILENT = {debug() {}, info() {}, warn() {}, error() {}, child: () => SILENT};

export async function sharing(wiring: Wiring, rounds: number): Promise<Figure[]> {
	const samples = {cpu: [] as number[], joining: [] as number[]};
	for (let round = 0; round < rounds; round++) {
		const bench = await Bench.open(wiring);
		try {
			samples.joining.push(await bench.join());
			samples.cpu.push(await bench.share());
		} finally {
			bench.close();
		}
	}
	const joining = `${CONNECTIONS} flows to one who joins`;
	const cpu = `${RATE} new connections a second, told and taken`;
	return [
		...figures('time of sharing', 'ms', new Map([[joining, samples.joining]]), [
			{name: joining, goals: [{bound: 'at most', value: 5000}]},
		]),
		...figures('CPU time of sharing', 'percent', new Map([[cpu, samples.cpu]]), [
			{name: cpu, goals: [{bound: 'at most', value: 100}]},
		]),
	];
}

/** A balancer under load and one who joins it. */
class Bench {
	readonly #wiring: Wiring;
	readonly #planes: readonly [Plane, Plane];
	readonly #traffic = new Traffic();
	readonly #nodes: SyncNode[] = [];
	readonly #sockets: Socket[] = [];

	static async open(wiring: Wiring): Promise<Bench> {
		const options = {clock: realClock, connections: CONNECTIONS};
		const first = await Plane.open(wiring, options);
		return new Bench(wiring, [first, await Plane.open(wiring, options)]);
	}

	private constructor(wiring: Wiring, planes: readonly [Plane, Plane]) {
		this.#wiring = wiring;
		this.#planes = planes;
	}

	/** Establishes the connections, and lets a second balancer join; in ms until that has all of them. */
	async join(): Promise<number> {
		const [master, backup] = this.#planes;
		this.#offer(HANDSHAKE, CONNECTIONS, FIRST_CLIENT);
		const established = master.flows();
		await this.#node(0, master);
		const began = performance.now();
		const joining = await this.#node(1, backup);
		while (joining.status().state !== 'in-sync') {
			if (performance.now() - began > PATIENCE_MS) throw new Error(`not in sync: ${JSON.stringify(joining.status())}`);
			await sleep(1);
		}
		const took = performance.now() - began;
		if (backup.flows() < established) throw new Error(`${backup.flows()} of ${established} flows arrived`);
		this.#checkSent(established);
		return took;
	}

	/** Lets connections open and end at the rate; the share of a CPU that both ends took, without the traffic itself. */
	async share(): Promise<number> {
		const began = performance.now();
		const cpu = process.cpuUsage();
		let trafficUs = 0;
		let opened = 0;
		for (let n = 0; performance.now() - began < WINDOW_MS; n++) {
			const offered = process.cpuUsage();
			this.#offer([...HANDSHAKE, RESET], SLICE, FIRST_CLIENT + 2 * CONNECTIONS + n * SLICE);
			trafficUs += total(process.cpuUsage(offered));
			opened += SLICE;
			await sleep(Math.max(0, began + (opened / RATE) * 1000 - performance.now()));
		}
		await sleep(100);
		const elapsedUs = (performance.now() - began) * 1000;
		const rate = opened / (elapsedUs / 1e6);
		this.#checkSent(2 * opened);
		return ((total(process.cpuUsage(cpu)) - trafficUs) / elapsedUs) * 100 * (RATE / rate);
	}

	/** Nothing is lost here without a counter's word, and no counter may have any. */
	#checkSent(least: number): void {
		const [told, taken] = this.#nodes.map(node => node.status());
		const lost = taken?.peers.reduce((sum, peer) => sum + peer.lost, 0);
		if (told === undefined || told.sent < least || told.unsent + told.overwritten > 0 || lost !== 0)
			throw new Error(`not everything arrived: ${JSON.stringify({told, taken})}`);
	}

	#offer(steps: readonly Step[], connections: number, firstClient: number): void {
		const {client, external} = this.#wiring;
		const count = 2 ** Math.ceil(Math.log2(connections));
		this.#traffic.choose({count, firstClient}, {fromMac: client.mac, toMac: external.mac, service: SERVICE}, steps);
		this.#traffic.offer(this.#planes[0].program, external.ifindex, connections * steps.length);
	}

	async #node(number: 0 | 1, plane: Plane): Promise<SyncNode> {
		const socket = new Socket(AF_INET, SOCK_DGRAM, 0);
		this.#sockets.push(socket);
		socket.setOption(SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20);
		socket.bind(sockaddrIn(LOOPBACK, PORTS[number]));
		const to = sockaddrIn(LOOPBACK, PORTS[1 - number]);
		const node = new SyncNode({
			clock: realClock,
			log: SILENT,
			plane: plane.sharing(),
			seal: new Seal(KEY, 0),
			node: number + 1,
			datagramMax: DATAGRAM_MAX,
			senders: null,
			send: bytes => socket.send(bytes, to) > 0,
			interfaces: async () => new Map(Object.values(this.#wiring).map(({ifindex, name}) => [ifindex, name])),
			onState: () => {},
		});
		socket.onReadable(() => {
			for (let received = socket.receive(); received !== undefined; received = socket.receive())
				node.receive(received.bytes, 0);
		});
		this.#nodes.push(node);
		await node.start();
		return node;
	}

	close(): void {
		for (const node of this.#nodes) node.stop();
		for (const socket of this.#sockets) socket.close();
		this.#traffic.close();
		for (const plane of this.#planes) plane.close();
	}
}

function total({user, system}: NodeJS.CpuUsage): number {
	return user + system;
}
