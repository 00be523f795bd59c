import {type ChildProcess, spawn} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import {inside, script} from '../../lab/namespace.js';
import {claim, namespaceOf, remove, sweep} from '../../lab/record.js';
import {run} from '../../lab/run.js';
import {waitFor} from '../../lab/wait.js';
import type {Observation} from '../lab/observer.js';
import {ended} from '../lab/vrrp-router.js';

const OBSERVER = fileURLToPath(new URL('../lab/observer.js', import.meta.url));
const READY_MS = 20_000;

export type Name = 'a' | 'b';
export const names: readonly Name[] = ['a', 'b'];

/** Of the two routers of every pair: each pair has a segment of its own. */
export const addresses = {
	a: {4: '192.168.1.10', 6: 'fe80::10'},
	b: {4: '192.168.1.11', 6: 'fe80::11'},
} as const;

/** One end of a segment: a network namespace with an eth0, and the port of the switch that it is plugged into. */
export interface End {
	readonly namespace: string;
	readonly port: string;
	readonly mac: string;
}

/** A switch with two ends, and what passes over it. */
export interface Segment {
	readonly ends: Readonly<Record<Name, End>>;
	/** Oldest first. */
	readonly seen: Observation[];
}

/** Segments that know nothing of each other, with one observer for all: it listens at the ports of all `b`. */
export class Lan {
	readonly #id: string;
	readonly segments: readonly Segment[];
	#observer: ChildProcess | null = null;

	private constructor(id: string, count: number) {
		this.#id = id;
		this.segments = Array.from({length: count}, (_, index) => ({ends: this.#ends(index), seen: []}));
	}

	/** Builds so many segments under an id as of a laboratory; whoever calls removes them, or the next program that builds any. */
	static async create(id: string, count: number): Promise<Lan> {
		sweep();
		claim(id);
		const lan = new Lan(id, count);
		try {
			await lan.#build();
			await lan.#observe();
			return lan;
		} catch (error) {
			await lan.remove();
			throw error;
		}
	}

	/** Plugs a cable in, or pulls it. */
	async plug({port}: End, plugged: boolean): Promise<void> {
		await run(['ip', '-n', this.#switches, 'link', 'set', port, plugged ? 'up' : 'down']);
	}

	/** Pulls a cable for a moment, which a busy machine may not make much longer. */
	async flap({port}: End, ms: number): Promise<void> {
		await script(this.#switches, [`ip link set ${port} down`, `sleep ${ms / 1000}`, `ip link set ${port} up`]);
	}

	/** Leaves nothing of the pair before but the routers' own addresses. */
	async sweep({ends}: Segment): Promise<void> {
		for (const name of names) await script(ends[name].namespace, ['ip address flush dev eth0', ...own(name)]);
	}

	async remove(): Promise<void> {
		if (this.#observer !== null) await ended(this.#observer, 'SIGTERM');
		remove(this.#id);
	}

	get #switches(): string {
		return namespaceOf(this.#id, 'lan');
	}

	#ends(index: number): Record<Name, End> {
		const number = index.toString(16).padStart(2, '0');
		const end = (name: Name): End => ({
			namespace: namespaceOf(this.#id, `${index}${name}`),
			port: `p${index}${name}`,
			mac: `02:00:00:00:${number}:0${name}`,
		});
		return {a: end('a'), b: end('b')};
	}

	async #build(): Promise<void> {
		const ends = this.segments.flatMap(segment => names.map(name => segment.ends[name].namespace));
		const additions = [this.#switches, ...ends].map(namespace => `netns add ${namespace}\n`);
		await run(['ip', '-batch', '-'], {input: additions.join('')});
		await Promise.all(this.segments.map((segment, index) => this.#furnish(segment, `br${index}`)));
	}

	async #furnish({ends}: Segment, bridge: string): Promise<void> {
		await script(this.#switches, [
			`ip link add ${bridge} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`,
			`ip link set ${bridge} up`,
			...names.flatMap(name => cable(ends[name], bridge)),
		]);
		await Promise.all(
			names.map(name =>
				script(ends[name].namespace, ['ip link set lo up', 'ip link set eth0 addrgenmode none up', ...own(name)]),
			),
		);
	}

	async #observe(): Promise<void> {
		const ports = this.segments.map(({ends}) => ends.b.port);
		const [command = '', ...args] = [...inside(this.#switches), process.execPath, OBSERVER, ...ports];
		const observer = spawn(command, args, {stdio: ['ignore', 'ignore', 'inherit', 'ipc']});
		this.#observer = observer;
		let ready = false;
		observer.on('message', message => {
			const observation = message as Observation;
			if (observation.kind === 'ready') ready = true;
			if ('mac' in observation) this.#segmentOf(observation.mac)?.seen.push(observation);
		});
		await waitFor('the observer listens', () => ready, {timeoutMs: READY_MS});
	}

	#segmentOf(mac: string): Segment | undefined {
		return this.segments[Number.parseInt(mac.slice(12, 14), 16)];
	}
}

function cable({namespace, port, mac}: End, bridge: string): string[] {
	return [
		`ip link add ${port} type veth peer name eth0 address ${mac} netns ${namespace}`,
		`ip link set ${port} master ${bridge} up`,
	];
}

function own(name: Name): string[] {
	return [`ip address add ${addresses[name][4]}/24 dev eth0`, `ip address add ${addresses[name][6]}/64 dev eth0 nodad`];
}
