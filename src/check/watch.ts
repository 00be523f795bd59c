import {isDeepStrictEqual} from 'node:util';
import {type Backend, type Check, type Service, WEIGHT_MAX} from '../conf/model.js';
import {backendWord, serviceWord, virtualServerName} from '../conf/words.js';
import type {Log} from '../log.js';
import {type CheckHealth, Probe, type ProbeSetting} from './probe.js';
import {changeWords, weightWords} from './words.js';

/** Whether a backend may be used, since when and why. Times are of the host's monotonic clock. */
export interface BackendHealth {
	readonly up: boolean;
	/** As configured, and what the checks make of it. */
	readonly weight: number;
	readonly checks: readonly CheckHealth[];
	readonly sinceUs: number;
	readonly reason: string;
}

/** What a check that has changed its mind thinks now, and whether that decided about its backend. */
export interface CheckTurn {
	readonly check: Check;
	readonly passed: boolean;
	readonly decided: boolean;
}

/** Who hears what a watch finds out. */
export interface WatchListener {
	/** A check has changed its mind, and perhaps the backend with it. */
	onTurn(watch: Watch, turn: CheckTurn): void;
	/** The backend's weight is another. */
	onWeight(watch: Watch): void;
}

/** All checks of one backend: it is up while every one of them is. */
export class Watch {
	service: Service;
	backend: Backend;
	readonly #setting: ProbeSetting;
	readonly #log: Log;
	readonly #listener: WatchListener;
	#probes: readonly Probe[] = [];
	#up: boolean;
	#weight: number;
	#sinceUs: number;
	#reason: string;

	constructor(setting: ProbeSetting, log: Log, service: Service, backend: Backend, listener: WatchListener) {
		this.#setting = setting;
		this.#log = log.child({service: virtualServerName(service), backend: backend.realServer});
		this.service = service;
		this.backend = backend;
		this.#listener = listener;
		this.#up = startsUp(backend);
		this.#weight = backend.weight;
		this.#sinceUs = setting.clock.nowUs();
		this.#reason = 'at start';
		this.configure(service, backend);
	}

	get up(): boolean {
		return this.#up;
	}

	get weight(): number {
		return this.#weight;
	}

	health(): BackendHealth {
		return {
			up: this.#up,
			weight: this.#weight,
			checks: this.#probes.map(probe => probe.health()),
			sinceUs: this.#sinceUs,
			reason: this.#reason,
		};
	}

	/**
	 * Takes over a (changed) configuration. Checks that stay the same go on as if nothing had happened; new ones start
	 * from the backend's present state, so that a reload by itself never takes a backend out or in.
	 */
	configure(service: Service, backend: Backend): void {
		this.service = service;
		this.backend = backend;
		const old = [...this.#probes];
		this.#probes = backend.checks.map(check => {
			const same = old.findIndex(probe => sameCheck(probe.check, check));
			const [kept] = same === -1 ? [] : old.splice(same, 1);
			return kept ?? this.#probe(check);
		});
		for (const probe of old) probe.stop();
		this.#weigh();
		this.#settle('its checks were changed');
	}

	stop(): void {
		for (const probe of this.#probes) probe.stop();
	}

	#probe(check: Check): Probe {
		const probe = new Probe(this.#setting, check, this.#up, this.#log, {
			isSuspended: () => this.service.haSuspend && !this.#setting.isHere(this.service.address),
			onChange: reason => {
				if (this.#weigh()) this.#listener.onWeight(this);
				if (probe.up !== passed) this.#listener.onTurn(this, {check, passed: probe.up, decided: this.#settle(reason)});
				passed = probe.up;
			},
		});
		let passed = probe.up;
		return probe;
	}

	/** What all checks together make of the weight; whether that is news. */
	#weigh(): boolean {
		const {weight} = this.backend;
		const changes = this.#probes.map(({weight: change}) => {
			if (change === null) return 0;
			return 'to' in change ? change.to - weight : change.by;
		});
		const sum = changes.reduce((total, change) => total + change, weight);
		const before = this.#weight;
		this.#weight = Math.min(Math.max(sum, 0), WEIGHT_MAX);
		if (this.#weight === before) return false;
		this.#log.info({weight: this.#weight}, weightWords(this.service, this.backend, before, this.#weight));
		return true;
	}

	#settle(reason: string): boolean {
		const up = this.#probes.every(probe => probe.up);
		if (up === this.#up) return false;
		this.#up = up;
		this.#reason = reason;
		this.#sinceUs = this.#setting.clock.nowUs();
		this.#log.info(
			{up, reason, rs: backendWord(this.service, this.backend), vs: serviceWord(this.service)},
			changeWords(this.service, this.backend, up),
		);
		return true;
	}
}

/** keepalived uses a backend from the start, before any check, unless it is `alpha`. */
export function startsUp({alpha, checks}: Backend): boolean {
	return !alpha || checks.length === 0;
}

/** Equal but for where it stands in the file. */
function sameCheck(a: Check, b: Check): boolean {
	return isDeepStrictEqual({...a, place: null}, {...b, place: null});
}
