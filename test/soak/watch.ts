/** Looks at both balancers: whether all is well, what they have, and what must hold of their maps. */
import {existsSync, readdirSync, readFileSync} from 'node:fs';
import type {Balancer} from '../../lab/balancer.js';
import type {Capture} from '../../lab/capture.js';
import type {Lab} from '../../lab/lab.js';
import {inside} from '../../lab/namespace.js';
import {inhabitants, usage} from '../../lab/proc.js';
import {run} from '../../lab/run.js';
import {nodes} from '../../lab/topology.js';
import {monotonicMs, waitFor} from '../../lab/wait.js';
import type {ServiceRow} from '../../src/cli/commands/services.js';
import {RUN_DIRECTORY, type Status} from '../../src/control/protocol.js';
import type {FlowView, MapInfo, PersistenceView, Traffic} from '../../src/xdp/view.js';
import type {Life, Sample} from './growth.js';
import {longestDoubleMs, type SeenAdvert} from './judge.js';

/** Sharing waits 30 s at most before it lets a balancer preempt; on a busy machine, everything takes its time. */
const SETTLED_MS = 90_000;
const LOOK_MS = 300;
/** A flow that was heard of later may be of a connection that has opened since the clients were looked at. */
const ABANDONED_S = 3;
/** USER_HZ, in which the kernel counts a program's start (proc(5)). */
const TICKS_PER_SECOND = 100;

interface StatusReport {
	readonly daemon: Status | null;
	readonly forwarding: {readonly services: readonly ServiceRow[]} | null;
}

export interface Look {
	readonly sample: Sample;
	/** What must not be. */
	readonly faults: readonly string[];
}

/** Keys that come twice, in a second look as well: what moves within a table may be seen twice in one. */
async function doubles(keys: readonly string[], lookAgain: () => Promise<readonly string[]>): Promise<string[]> {
	const first = twiceOf(keys);
	if (first.size === 0) return [];
	const second = twiceOf(await lookAgain());
	return [...first].filter(key => second.has(key));
}

/** What a flow or an entry of persistence is found by. */
function keysOf(rows: readonly {readonly client: string; readonly service: string}[]): string[] {
	return rows.map(({client, service}) => `${client} to ${service}`);
}

function twiceOf(keys: readonly string[]): Set<string> {
	const [once, twice] = [new Set<string>(), new Set<string>()];
	for (const key of keys) (once.has(key) ? twice : once).add(key);
	return twice;
}

export class Watch {
	readonly #lab: Lab;
	readonly #wires: readonly Capture[];
	/** Of each balancer's services. */
	readonly #counters = new Map<string, Traffic>();

	private constructor(lab: Lab, wires: readonly Capture[]) {
		this.#lab = lab;
		this.#wires = wires;
	}

	/** Resolves when the adverts on both segments are being heard. */
	static async begin(lab: Lab): Promise<Watch> {
		const wires = await Promise.all((['client', 'web1'] as const).map(node => lab.capture(node, 'eth0', 'vrrp')));
		return new Watch(lab, wires);
	}

	async end(): Promise<void> {
		await Promise.all(this.#wires.map(wire => wire.close()));
	}

	/** Resolves when lb1 alone is master, both know all connections and all servers are up. */
	async settled(): Promise<void> {
		let missing = '';
		const look = async () => {
			missing = (await this.#missing()).join(', ');
			return missing === '';
		};
		await waitFor('all is well again', look, {timeoutMs: SETTLED_MS, everyMs: LOOK_MS, seen: () => missing});
	}

	async #missing(): Promise<string[]> {
		const {lb1, lb2} = this.#lab;
		const missing: string[] = [];
		if (!(await lb1.isMaster())) missing.push('lb1 is not master');
		if ((await lb2.vips()).length > 0) missing.push('lb2 has addresses');
		if (missing.length > 0) return missing;
		for (const balancer of [lb1, lb2]) {
			const {daemon, forwarding} = (await statusOf(balancer)) ?? {daemon: null, forwarding: null};
			const say = (what: string) => missing.push(`${balancer.name}: ${what}`);
			if (daemon === null) say('no daemon answers');
			else {
				if (daemon.sharing?.state !== 'in-sync') say(`sharing is ${daemon.sharing?.state ?? 'not there'}`);
				const role = balancer === lb1 ? 'master' : 'backup';
				const {instances} = daemon.vrrp;
				if (instances.length !== 2) say(`${instances.length} instances`);
				for (const {instance, state, lingers, waits} of instances) {
					if (state !== role || lingers || waits)
						say(`${instance} is ${state}${lingers ? ', lingers' : ''}${waits ? ', waits' : ''}`);
				}
			}
			for (const {service, backendsUp} of forwarding?.services ?? []) {
				if (backendsUp !== Object.keys(webServers).length) say(`${service} has ${backendsUp} servers`);
			}
		}
		return missing;
	}

	/** Measures, and looks for what must not be, when all is well. */
	async look(): Promise<Look> {
		const parts = await Promise.all([this.#lab.lb1, this.#lab.lb2].map(balancer => this.#lookAt(balancer)));
		const things = Object.assign({}, ...parts.map(part => part.things));
		const lives = parts.flatMap(part => part.lives);
		return {sample: {atMs: monotonicMs(), lives, things}, faults: parts.flatMap(({faults}) => faults)};
	}

	async #lookAt(balancer: Balancer): Promise<{things: Record<string, number>; lives: Life[]; faults: string[]}> {
		const {name, namespace, daemonName} = balancer;
		const flows = async () => (await balancer.lbctl('flows', '--limit', '0')) as FlowView[];
		const clients = await socketsIn(this.#lab.namespace('client'));
		const persistence = async () => (await balancer.lbctl('persistence', '--limit', '0')) as PersistenceView[];
		const [links, addresses, maps, livingFlows, entries] = await Promise.all([
			run(['ip', '-n', namespace, '-j', 'link']),
			run(['ip', '-n', namespace, '-j', 'address']),
			balancer.lbctl('maps') as Promise<MapInfo[]>,
			flows(),
			persistence(),
		]);
		const things: Record<string, number> = {
			links: JSON.parse(links).length,
			addresses: (JSON.parse(addresses) as {addr_info: unknown[]}[]).flatMap(link => link.addr_info).length,
			programs: inhabitants([namespace]).length,
			pins: filesIn(`/sys/fs/bpf/lbd/${daemonName}`),
			'files in /run': readdirSync(RUN_DIRECTORY).filter(file => file.startsWith(`${daemonName}.`)).length,
			'persistence entries': entries.length,
			flows: livingFlows.length,
			'established flows': livingFlows.filter(({state}) => state === 'established').length,
			'abandoned flows': livingFlows.filter(
				({state, idleS, client}) => state === 'established' && idleS >= ABANDONED_S && !clients.has(client),
			).length,
		};
		for (const {map, entries} of maps) if (entries !== null) things[`entries of ${map}`] = entries;
		const faults = [
			...(await doubles(keysOf(livingFlows), async () => keysOf(await flows()))),
			...(await doubles(keysOf(entries), async () => keysOf(await persistence()))),
		].map(key => `${name}: twice in its table: ${key}`);
		faults.push(...(await this.#countersOf(balancer)));
		return {
			things: Object.fromEntries(Object.entries(things).map(([what, count]) => [`${name} ${what}`, count])),
			lives: livesOf(balancer),
			faults,
		};
	}

	/** Counters only grow, whoever was killed meanwhile. */
	async #countersOf(balancer: Balancer): Promise<string[]> {
		const services = (await balancer.lbctl('services')) as ServiceRow[];
		return services.flatMap(service => {
			const key = `${balancer.name}: ${service.service}`;
			const before = this.#counters.get(key);
			this.#counters.set(key, service);
			if (before === undefined) return [];
			return counterNames
				.filter(counter => service[counter] < before[counter])
				.map(counter => `${key}: ${counter} fell from ${before[counter]} to ${service[counter]}`);
		});
	}

	/** The longest time of two masters on one segment since the last call. */
	doubleMs(): number {
		return Math.max(...this.#wires.map(({frames}) => longestDoubleMs(advertsIn(frames.splice(0)))));
	}
}

/** Addresses and ports of TCP connections that are not over. */
async function socketsIn(namespace: string): Promise<ReadonlySet<string>> {
	const lines = (await run([...inside(namespace), 'ss', '-Htan', 'exclude', 'time-wait'])).split('\n');
	return new Set(lines.map(line => line.trim().split(/\s+/)[3] ?? ''));
}

const webServers = {web1: nodes.web1, web2: nodes.web2};
const counterNames = ['connections', 'packetsIn', 'packetsOut', 'bytesIn', 'bytesOut'] as const;

async function statusOf(balancer: Balancer): Promise<StatusReport | null> {
	try {
		return (await balancer.lbctl('status')) as StatusReport;
	} catch {
		// It exits with 1 while no daemon answers.
		return null;
	}
}

function filesIn(directory: string): number {
	return existsSync(directory) ? readdirSync(directory, {recursive: true}).length : 0;
}

function livesOf(balancer: Balancer): Life[] {
	const uptimeS = Number(readFileSync('/proc/uptime', 'latin1').split(' ')[0]);
	return balancer.programs().flatMap(({name, identity: {pid, startTicks}}) => {
		const used = usage(pid);
		if (used === null) return [];
		return [
			{program: `${name} on ${balancer.name}`, pid, ageMs: (uptimeS - startTicks / TICKS_PER_SECOND) * 1000, ...used},
		];
	});
}

function advertsIn(frames: Capture['frames']): SeenAdvert[] {
	return frames.flatMap(({atMs, text}) => {
		const [, source, priority] = /: (\S+) > 224\.0\.0\.18: .* prio (\d+),/.exec(text) ?? [];
		return source === undefined ? [] : [{atMs, source, priority: Number(priority)}];
	});
}
