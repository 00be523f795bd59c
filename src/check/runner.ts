import type {Backend, Check, Occasion, Service} from '../conf/model.js';
import {virtualServerName} from '../conf/words.js';
import type {Clock} from '../host/host.js';
import type {Log} from '../log.js';
import type {Checker} from './checker.js';
import type {ProbeSetting} from './probe.js';
import {hasQuorum} from './quorum.js';
import {Slots} from './slots.js';
import {type BackendHealth, type CheckTurn, startsUp, Watch} from './watch.js';
import {quorumWords, sorryWords} from './words.js';

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

/** Hears of everything that somebody may want to be told of, what follows from a configuration included. */
export interface HealthListener {
	backend(service: Service, backend: Backend, up: boolean, occasion: Occasion): void;
	/** `weight`: of all live backends together. */
	quorum(service: Service, up: boolean, weight: number, occasion: Occasion): void;
	/** A check has changed its mind. */
	check(service: Service, backend: Backend, turn: CheckTurn & {readonly up: boolean}): void;
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
	readonly #listener: HealthListener | undefined;
	#virtualServers: ReadonlyMap<string, Service> = new Map();
	readonly #onWeight: () => void;
	readonly #quorums = new Map<string, boolean>();
	#watches: ReadonlyMap<string, Watch> = new Map();

	constructor(options: {
		readonly clock: Clock;
		readonly log: Log;
		/** Uniform in [0, 1). */
		readonly random: () => number;
		readonly onChange: (change: HealthChange) => void;
		readonly listener?: HealthListener;
		/** Whether this machine has an address. */
		readonly isHere: (address: string) => boolean;
		/** A backend's weight is another. */
		readonly onWeight: () => void;
		readonly concurrency?: number;
		readonly checkerFor: (check: Check) => Checker;
	}) {
		this.#log = options.log;
		this.#onChange = options.onChange;
		this.#listener = options.listener;
		this.#onWeight = options.onWeight;
		const slots = new Slots(options.concurrency ?? CONCURRENCY);
		const scriptSlots = new Slots(SCRIPTS_MAX);
		this.#setting = {
			clock: options.clock,
			random: options.random,
			isHere: options.isHere,
			slotsFor: kind => (kind === 'misc' ? scriptSlots : slots),
			checkerFor: options.checkerFor,
		};
	}

	/**
	 * Starts, keeps and stops checks until they are those of `services`: what did not change keeps its state and its
	 * rhythm. Does not call `onChange`: read `health()` afterwards.
	 */
	configure(services: readonly Service[]): void {
		const virtualServers = onePerVirtualServer(services);
		const watches = new Map<string, Watch>();
		for (const service of virtualServers.values()) {
			for (const backend of service.backends) watches.set(healthKey(service, backend), this.#watch(service, backend));
		}
		const removed = [...this.#watches].filter(([key]) => !watches.has(key)).map(([, watch]) => watch);
		this.#watches = watches;
		for (const watch of removed) this.#remove(watch, 'removal');
		for (const [name, service] of this.#virtualServers) {
			if (!virtualServers.has(name)) this.#removeQuorum(service, 'removal');
		}
		this.#virtualServers = virtualServers;
		for (const service of virtualServers.values()) this.#updateQuorum(service, 'start');
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

	/** Whether it will be, when a configuration that has it comes into force: one that is new begins as its first check finds it. */
	willBeUp(service: Service, backend: Backend): boolean {
		if (backend === service.sorryServer?.backend) return this.#quorums.get(virtualServerName(service)) === false;
		return this.#watches.get(healthKey(service, backend))?.up ?? startsUp(backend);
	}

	/** The services with the weights that are in force; one of which no check has changed a weight is itself. */
	weighed(services: readonly Service[]): readonly Service[] {
		return services.map(service => {
			const weigh = (backend: Backend): number => this.#weight(service, backend);
			if (service.backends.every(backend => weigh(backend) === backend.weight)) return service;
			return {...service, backends: service.backends.map(backend => ({...backend, weight: weigh(backend)}))};
		});
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
		const watches = [...this.#watches.values()];
		this.#watches = new Map();
		for (const watch of watches) this.#remove(watch, 'shutdown');
		for (const service of this.#virtualServers.values()) this.#removeQuorum(service, 'shutdown');
	}

	#watch(service: Service, backend: Backend): Watch {
		const known = this.#watches.get(healthKey(service, backend));
		if (known === undefined) {
			const watch = new Watch(this.#setting, this.#log, service, backend, {
				onTurn: (watch, turn) => this.#turned(watch, turn),
				onWeight: watch => this.#reweighed(watch),
			});
			if (watch.up) this.#listener?.backend(service, backend, true, 'start');
			return watch;
		}
		const before = known.up;
		known.configure(service, backend);
		if (known.up !== before) this.#listener?.backend(service, backend, known.up, 'check');
		return known;
	}

	#remove(watch: Watch, occasion: 'removal' | 'shutdown'): void {
		watch.stop();
		if (watch.up) this.#listener?.backend(watch.service, watch.backend, false, occasion);
	}

	#removeQuorum(service: Service, occasion: 'removal' | 'shutdown'): void {
		const name = virtualServerName(service);
		if (this.#quorums.get(name)) this.#listener?.quorum(service, false, 0, occasion);
		this.#quorums.delete(name);
	}

	#turned(watch: Watch, turn: CheckTurn): void {
		const {service, backend, up} = watch;
		if (turn.decided) {
			const {reason, sinceUs} = watch.health();
			this.#onChange({service: virtualServerName(service), backend: backend.realServer, up, reason, atUs: sinceUs});
			this.#listener?.backend(service, backend, up, 'check');
			this.#updateQuorum(service, 'check');
		}
		this.#listener?.check(service, backend, {...turn, up});
	}

	#reweighed({service}: Watch): void {
		this.#onWeight();
		this.#updateQuorum(service, 'check');
	}

	#updateQuorum(service: Service, occasion: 'check' | 'start'): void {
		const live = service.backends.filter(backend => this.isUp(service, backend));
		const weight = live.reduce((sum, backend) => sum + this.#weight(service, backend), 0);
		const name = virtualServerName(service);
		const had = this.#quorums.get(name);
		const has = hasQuorum(had ?? false, weight, service);
		this.#quorums.set(name, has);
		// A service that begins without its quorum is only told of where that means something (keepalived, ipwrapper.c).
		const isNews = had === undefined ? has || service.sorryServer !== null : has !== had;
		if (isNews) this.#listener?.quorum(service, has, weight, occasion);
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
