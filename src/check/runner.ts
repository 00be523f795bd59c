import type {Backend, Check, Service} from '../conf/model.js';
import type {Clock} from '../host/host.js';
import type {Log} from '../log.js';
import type {Checker} from './checker.js';
import type {ProbeSetting} from './probe.js';
import {hasQuorum} from './quorum.js';
import {Slots} from './slots.js';
import {type BackendHealth, Watch} from './watch.js';
import {quorumWords, sorryWords, virtualServerName} from './words.js';

export type {CheckHealth} from './probe.js';
export type {BackendHealth} from './watch.js';

/** Checks in flight at once: 10,000 dead backends with 5 s timeouts are still gone through in 50 s. */
const CONCURRENCY = 1024;
/** Scripts that run at once, since each is a process. */
const SCRIPTS_MAX = 64;

/** A real server, named as its `virtual_server` names it, went up or down. `atUs` is of the host's monotonic clock. */
export interface HealthChange {
	readonly service: string;
	readonly backend: string;
	readonly up: boolean;
	readonly reason: string;
	readonly atUs: number;
}

/** The key of `CheckRunner.health()`: what the services of a group ask of one real server is asked once. */
export function healthKey(
	service: Pick<Service, 'name' | 'group' | 'protocol'>,
	backend: Pick<Backend, 'realServer'>,
): string {
	return `${virtualServerName(service)} ${backend.realServer}`;
}

/** Runs every check of every backend, forever, and says when a backend changes. */
export class CheckRunner {
	readonly #setting: ProbeSetting;
	readonly #log: Log;
	readonly #onChange: (change: HealthChange) => void;
	readonly #onWeight: () => void;
	readonly #quorums = new Map<string, boolean>();
	#watches: ReadonlyMap<string, Watch> = new Map();

	constructor(options: {
		readonly clock: Clock;
		readonly log: Log;
		/** Uniform in [0, 1). */
		readonly random: () => number;
		readonly onChange: (change: HealthChange) => void;
		/** A backend's weight is another. */
		readonly onWeight: () => void;
		readonly concurrency?: number;
		readonly checkerFor: (check: Check) => Checker;
	}) {
		this.#log = options.log;
		this.#onChange = options.onChange;
		this.#onWeight = options.onWeight;
		const slots = new Slots(options.concurrency ?? CONCURRENCY);
		const scriptSlots = new Slots(SCRIPTS_MAX);
		this.#setting = {
			clock: options.clock,
			random: options.random,
			slotsFor: kind => (kind === 'misc' ? scriptSlots : slots),
			checkerFor: options.checkerFor,
		};
	}

	/**
	 * Starts, keeps and stops checks until they are those of `services`: what did not change keeps its state and its
	 * rhythm. Does not call `onChange`: read `health()` afterwards.
	 */
	configure(services: readonly Service[]): void {
		const watches = new Map<string, Watch>();
		const virtualServers = onePerVirtualServer(services);
		for (const service of virtualServers.values()) {
			for (const backend of service.backends) watches.set(healthKey(service, backend), this.#watch(service, backend));
		}
		for (const [key, watch] of this.#watches) if (!watches.has(key)) watch.stop();
		this.#watches = watches;
		for (const name of this.#quorums.keys()) if (!virtualServers.has(name)) this.#quorums.delete(name);
		for (const service of virtualServers.values()) this.#updateQuorum(service);
	}

	/** By `healthKey`. */
	health(): ReadonlyMap<string, BackendHealth> {
		return new Map([...this.#watches].map(([key, watch]) => [key, watch.health()]));
	}

	/**
	 * Whether the backend may be used; one that nobody has configured here may not. The sorry server may while the quorum
	 * is lost.
	 */
	isUp(service: Service, backend: Backend): boolean {
		if (backend === service.sorryServer?.backend) return !this.hasQuorum(service);
		return this.#watches.get(healthKey(service, backend))?.up ?? false;
	}

	/** The services with the weights that are in force. */
	weighed(services: readonly Service[]): readonly Service[] {
		return services.map(service => ({
			...service,
			backends: service.backends.map(backend => ({...backend, weight: this.#weight(service, backend)})),
		}));
	}

	#weight(service: Service, backend: Backend): number {
		return this.#watches.get(healthKey(service, backend))?.weight ?? backend.weight;
	}

	/** Whether the live backends' weights reach the service's quorum. */
	hasQuorum(service: Service): boolean {
		return this.#quorums.get(virtualServerName(service)) ?? false;
	}

	/** Ends all checks, also those in flight. */
	stop(): void {
		for (const watch of this.#watches.values()) watch.stop();
		this.#watches = new Map();
	}

	#watch(service: Service, backend: Backend): Watch {
		const known = this.#watches.get(healthKey(service, backend));
		if (known === undefined) {
			return new Watch(this.#setting, this.#log, service, backend, {
				onChange: watch => this.#changed(watch),
				onWeight: watch => this.#reweighed(watch),
			});
		}
		known.configure(service, backend);
		return known;
	}

	#changed(watch: Watch): void {
		const {up, reason, sinceUs} = watch.health();
		const {service, backend} = watch;
		this.#onChange({service: virtualServerName(service), backend: backend.realServer, up, reason, atUs: sinceUs});
		this.#updateQuorum(service);
	}

	#reweighed({service}: Watch): void {
		this.#onWeight();
		this.#updateQuorum(service);
	}

	#updateQuorum(service: Service): void {
		const live = service.backends.filter(backend => this.isUp(service, backend));
		const weight = live.reduce((sum, backend) => sum + this.#weight(service, backend), 0);
		const name = virtualServerName(service);
		const had = this.#quorums.get(name);
		const has = hasQuorum(had ?? true, weight, service);
		this.#quorums.set(name, has);
		if (had === undefined || has === had) return;
		this.#log.info({service: name, weight}, quorumWords(service, has, weight));
		if (service.sorryServer !== null) this.#log.info({service: name}, sorryWords(service, service.sorryServer, has));
	}
}

/** The first service of each `virtual_server`, by its name: it stands for the others, which have the same real servers. */
function onePerVirtualServer(services: readonly Service[]): ReadonlyMap<string, Service> {
	const byName = new Map<string, Service>();
	for (const service of services) {
		const name = virtualServerName(service);
		if (!byName.has(name)) byName.set(name, service);
	}
	return byName;
}
