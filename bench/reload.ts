/** How long a reload of a large job takes, and how much CPU time: to read its file and see what changes, and to change it. */
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
const SECTION = `a reload of ${SERVICES} services with ${BACKENDS} real servers each`;
const PLAN = 'plan: a file in which all weights change';
const PLAN_CPU = `${PLAN}, CPU time`;
const APPLY = 'apply: all weights change';
const APPLY_CPU = `${APPLY}, CPU time`;
const LOOK = `a look that changes nothing, ${RINGS} rings`;

export async function reload(_: Wiring, rounds: number): Promise<Figure[]> {
	const balancer = await Balancer.open();
	const rings = await Balancer.open();
	try {
		const ringed = read(job('mh', RINGS, 1));
		rings.apply(ringed);
		const before = read(job('wlc', SERVICES, 1));
		const file = job('wlc', SERVICES, 2);
		const after = read(file);
		balancer.apply(before);
		const plan = (measured: Measure) => measured(() => balancer.preview(before, read(file)));
		const apply = async (measured: Measure) => {
			const ms = await measured(() => balancer.apply(after));
			balancer.apply(before);
			return ms;
		};
		const cases = [
			{name: PLAN, sample: () => plan(timed)},
			{name: PLAN_CPU, sample: () => plan(cpuTimed)},
			{name: APPLY, sample: () => apply(timed)},
			{name: APPLY_CPU, sample: () => apply(cpuTimed)},
			{name: LOOK, sample: () => timed(() => rings.apply(ringed))},
		];
		const goal = (value: number) => [{bound: 'at most', value} as const];
		return figures(SECTION, 'ms', await interleave(cases, rounds), [
			{name: PLAN, goals: goal(200)},
			{name: PLAN_CPU},
			{name: APPLY, goals: goal(500)},
			{name: APPLY_CPU},
			{name: LOOK},
		]);
	} finally {
		rings.close();
		balancer.close();
	}
}

/** Milliseconds that some work takes. */
type Measure = (work: () => unknown) => Promise<number>;

async function cpuTimed(work: () => unknown): Promise<number> {
	const before = process.cpuUsage();
	await work();
	const {user, system} = process.cpuUsage(before);
	return (user + system) / 1000;
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

/** A file of so many services. */
function job(scheduler: string, services: number, weight: number): Uint8Array {
	const blocks = Array.from({length: services}, (_, service) => {
		const backends = Array.from({length: BACKENDS}, (_, backend) => {
			const number = service * BACKENDS + backend;
			return `real_server 10.2.${number >> 8}.${number & 255} 80 {\nweight ${weight}\n}`;
		});
		const address = `10.1.${service >> 8}.${service & 255}`;
		return `virtual_server ${address} 80 {\nprotocol TCP\nlb_algo ${scheduler}\nlb_kind NAT\n${backends.join('\n')}\n}`;
	});
	return new TextEncoder().encode(blocks.join('\n'));
}

function read(file: Uint8Array): Config {
	const {config, diagnostics} = readConfig('bench.conf', {read: () => file, isExposed: () => false, list: () => []});
	if (config === null) throw new Error(`not accepted: ${diagnostics[0]?.text}`);
	return config;
}
