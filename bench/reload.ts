/** How long a reload of a large job takes once its file is read: to see what changes, and to change it. */
import {fileURLToPath} from 'node:url';
import {type Figure, figures} from '../src/bench/figure.js';
import {interleave} from '../src/bench/statistics.js';
import type {Config} from '../src/conf/model.js';
import {readConfig} from '../src/conf/read.js';
import {realClock} from '../src/host/real/clock.js';
import {realLog} from '../src/host/real/log.js';
import {type Desired, desired} from '../src/plan/desired.js';
import {diff} from '../src/plan/diff.js';
import {Sequences} from '../src/plan/schedulers.js';
import {preview} from '../src/preview.js';
import {DataPlane} from '../src/xdp/dataplane.js';
import type {Wiring} from './wiring.js';

const OBJECT_DIRECTORY = fileURLToPath(new URL('..', import.meta.url));
const SERVICES = 1000;
const BACKENDS = 10;
const RINGS = 240;
const SECTION = `a reload of ${SERVICES} services with ${BACKENDS} real servers each, once it is read`;
const PLAN = 'plan: all weights change';
const APPLY = 'apply: all weights change';
const LOOK = `a look that changes nothing, ${RINGS} rings`;

export async function reload(_: Wiring, rounds: number): Promise<Figure[]> {
	const balancer = await Balancer.open();
	const rings = await Balancer.open();
	try {
		const ringed = job('mh', RINGS, 1);
		rings.apply(ringed);
		const jobs = [job('wlc', SERVICES, 2), job('wlc', SERVICES, 1)] as const;
		balancer.apply(jobs[1]);
		const cases = [
			{name: PLAN, sample: () => timed(() => balancer.preview(jobs[1], jobs[0]))},
			{
				name: APPLY,
				sample: async () => {
					const ms = await timed(() => balancer.apply(jobs[0]));
					balancer.apply(jobs[1]);
					return ms;
				},
			},
			{name: LOOK, sample: () => timed(() => rings.apply(ringed))},
		];
		const goal = (value: number) => [{bound: 'at most', value} as const];
		return figures(SECTION, 'ms', await interleave(cases, rounds), [
			{name: PLAN, goals: goal(200)},
			{name: APPLY, goals: goal(500)},
			{name: LOOK},
		]);
	} finally {
		rings.close();
		balancer.close();
	}
}

async function timed(work: () => unknown): Promise<number> {
	const start = performance.now();
	await work();
	return performance.now() - start;
}

/** A data plane that no packet reaches, and what keeps its maps: the daemon's own parts without their events. */
class Balancer {
	readonly #plane: DataPlane;
	readonly #sequences = new Sequences();

	private constructor(plane: DataPlane) {
		this.#plane = plane;
	}

	static async open(): Promise<Balancer> {
		const sizes = {
			services: 1023,
			backends: 16_383,
			flows: 262_144,
			flows6: 1024,
			persistenceEntries: 65_536,
			fragments: 64,
		};
		const timeouts = {tcp: 900, tcpFin: 120, udp: 300};
		const options = {
			objectDirectory: OBJECT_DIRECTORY,
			sizes,
			timeouts,
			clock: realClock,
			log: realLog({debug: false}),
		};
		return new Balancer(await DataPlane.openPrivate(options));
	}

	async preview(before: Config, after: Config): Promise<void> {
		const plan = (config: Config) => {
			const {tables, problems} = this.#desired(config, this.#sequences.branch());
			return {ops: diff(this.#plane.tables, tables), problems};
		};
		const {changes} = await preview(before, after, {dataPlane: this.#plane, reconciler: {plan}});
		if (changes.length !== SERVICES * BACKENDS) throw new Error(`${changes.length} changes`);
	}

	apply(config: Config): void {
		const {tables, problems} = this.#desired(config, this.#sequences);
		if (problems.length > 0) throw new Error(problems.join('\n'));
		this.#plane.apply(diff(this.#plane.tables, tables));
	}

	close(): void {
		this.#plane.close();
	}

	#desired({services}: Config, sequences: Sequences): Desired {
		const {tables: actual, capacity, settings} = this.#plane;
		const mac = Uint8Array.of(2, 0, 0, 0, 0, 0x71);
		return desired(services, {
			actual,
			capacity,
			nics: new Map([[1, {ifindex: 1, mac, mtu: 1500}]]),
			instances: [],
			routerRoles: new Map(),
			hz: settings.hz,
			isUp: () => true,
			nextHop: () => ({mac, nic: 1, source: null, isOnLink: true}),
			liveFlows: () => 0,
			sequences,
		});
	}
}

/** What a file of so many services means. */
function job(scheduler: string, services: number, weight: number): Config {
	const blocks = Array.from({length: services}, (_, service) => {
		const backends = Array.from({length: BACKENDS}, (_, backend) => {
			const number = service * BACKENDS + backend;
			return `real_server 10.2.${number >> 8}.${number & 255} 80 {\nweight ${weight}\n}`;
		});
		const address = `10.1.${service >> 8}.${service & 255}`;
		return `virtual_server ${address} 80 {\nprotocol TCP\nlb_algo ${scheduler}\nlb_kind NAT\n${backends.join('\n')}\n}`;
	});
	const bytes = new TextEncoder().encode(blocks.join('\n'));
	const {config, diagnostics} = readConfig('bench.conf', {read: () => bytes, isExposed: () => false, list: () => []});
	if (config === null) throw new Error(`not accepted: ${diagnostics[0]?.text}`);
	return config;
}
