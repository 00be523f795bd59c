import type {TrackerReport} from '../conf/model.js';
import {ControlError, ExitCode} from '../errors.js';
import type {Cancel, Clock, Subprocess, Subprocesses} from '../host/host.js';
import type {Log} from '../log.js';
import type {
	FromVrrp,
	InstanceStatus,
	Legacy,
	PriorityChange,
	Rival,
	ToVrrp,
	Transition,
	VrrpConfig,
	VrrpStatus,
} from './protocol.js';
import {forgetUntracked, trackerName} from './tracking.js';

const STATUS_TIMEOUT_US = 1_000_000;
/** A release waits for a successor, some 10 s at most. */
const RELEASE_TIMEOUT_US = 15_000_000;
/** An orderly stop waits as long, and is a few netlink requests. */
const STOP_TIMEOUT_US = 15_000_000;
/** A process that an earlier daemon left has nothing to do but to answer. */
const FOUND_TIMEOUT_US = 2_000_000;
/** To write a list of its instances. */
const HAND_ON_TIMEOUT_US = 1_000_000;
const RESTART_DELAY_MIN_US = 100_000;
const RESTART_DELAY_MAX_US = 10_000_000;
/** A process that ran this long before it died is started again without delay. */
const STABLE_US = 60_000_000;

export interface VrrpEvents {
	onTransition(transition: Transition): void;
	onRival(rival: Rival): void;
	onPriority(change: PriorityChange): void;
	/** A process that an earlier daemon left goes on with us; how it was then. */
	onAdopted(status: VrrpStatus): void;
	/** VRRP does not run any more, and will not by itself. */
	onFatal(error: ControlError): void;
}

interface Waiting<Value> {
	resolve(value: Value): void;
	reject(error: ControlError): void;
}

interface Running {
	readonly process: Subprocess;
	/** `found`: an earlier daemon has left it. */
	readonly origin: 'found' | 'started';
	readonly realTime: boolean;
	readonly sinceUs: number;
	/** Its first word, while it waits for ours. */
	greeting: Greeting | null;
	/** It knows what to do. */
	ready: boolean;
}

type Greeting = Extract<FromVrrp, {kind: 'ready'}>;

/** What the process before has handed on. */
interface Estate {
	readonly legacies: readonly Legacy[];
	readonly tracked: readonly TrackerReport[];
}

/**
 * The daemon's end of `lbd-vrrp`: keeps the process running, in real time if it may, with the last good configuration. One
 * that an earlier daemon has left goes on; one of another build hands on what it has to a new one.
 */
export class VrrpChild {
	readonly #processes: Subprocesses;
	readonly #clock: Clock;
	readonly #log: Log;
	#events: VrrpEvents = UNHEARD;
	/** Where the process listens. */
	readonly #socket: string;
	readonly #build: string;
	#running: Running | null = null;
	#searched = false;
	#endSearch: () => void = () => {};
	/** Of another build, while it is being replaced. */
	#outgoing: Subprocess | null = null;
	#cancelTimeout: Cancel = () => {};
	#estate: Estate = NOTHING;
	#realTime = true;
	#stopping: (() => void) | null = null;
	#accepted: VrrpConfig | null = null;
	#proposed: (Waiting<void> & {config: VrrpConfig}) | null = null;
	/** The last word of each tracker, by `trackerName`, for a process that starts again. */
	readonly #tracked = new Map<string, TrackerReport>();
	#nextId = 1;
	readonly #statusRequests = new Map<number, Waiting<VrrpStatus>>();
	readonly #releaseRequests = new Map<number, Waiting<readonly InstanceStatus[]>>();
	#restartDelayUs = RESTART_DELAY_MIN_US;
	#cancelRestart: Cancel = () => {};

	constructor(options: {
		processes: Subprocesses;
		clock: Clock;
		log: Log;
		socket: string;
		build: string;
	}) {
		this.#processes = options.processes;
		this.#clock = options.clock;
		this.#log = options.log;
		this.#socket = options.socket;
		this.#build = options.build;
	}

	/** Who is to hear of what happens, before the first configuration. */
	report(events: VrrpEvents): void {
		this.#events = events;
	}

	/**
	 * Looks for the process that an earlier daemon left; resolves when there is none, or it knows of us and waits, however
	 * long we take to come to a configuration.
	 */
	find(): Promise<void> {
		this.#searched = true;
		const search = new Promise<void>(resolve => {
			this.#endSearch = resolve;
		});
		const found = this.#run('found', false, on => this.#processes.findVrrp({socket: this.#socket, ...on}));
		this.#cancelTimeout = this.#clock.after(FOUND_TIMEOUT_US, 'vrrp hello', () => {
			this.#log.warn({}, 'an lbd-vrrp that an earlier lbd left does not answer, and is killed');
			found.process.kill();
		});
		return search;
	}

	/** Lets go of a process that was found; it may wait for another daemon. */
	leave(): void {
		this.#cancelTimeout();
		this.#running?.process.leave();
	}

	/**
	 * Gives this configuration to the process that runs, or to the one that was found, or starts one if there is anything
	 * for it to do; resolves when it is in force. Rejects with a `ControlError` that has the exit code for a start; a
	 * running process then goes on with what it had.
	 */
	configure(config: VrrpConfig): Promise<void> {
		if (this.#proposed !== null)
			return Promise.reject(new ControlError('busy', 'vrrp: another configuration is being tried'));
		return new Promise((resolve, reject) => {
			this.#proposed = {config, resolve, reject};
			if (this.#running === null) this.#begin(config);
			else if (this.#running.ready) this.#tellConfig(config);
			else this.#greet();
		});
	}

	/** What a tracker has found; it holds until the next word of the same one. */
	track(report: TrackerReport): void {
		this.#tracked.set(trackerName(report), report);
		if (this.#running?.ready) this.#tell({kind: 'tracked', tracked: [report]});
	}

	/** Whether preemption waits from now on, see protocol.ts, whatever a configuration said that is still being tried. */
	wait(waits: boolean): void {
		if (this.#accepted !== null) this.#accepted = {...this.#accepted, waits};
		if (this.#proposed !== null) this.#proposed.config = {...this.#proposed.config, waits};
		if (this.#running?.ready) this.#tell({kind: 'wait', waits});
	}

	/** Asks the process; rejects with a `ControlError` when it does not answer within a second. */
	status(): Promise<VrrpStatus> {
		return this.#ask(this.#statusRequests, STATUS_TIMEOUT_US, id => ({kind: 'status', id}));
	}

	/**
	 * Leaves mastership of an instance or sync group to another router, or competes for it again. Resolves, when that is done,
	 * to how the instances are that it concerned; rejects with a `ControlError` when there are none.
	 */
	async release(kind: 'release' | 'reclaim', name: string): Promise<readonly InstanceStatus[]> {
		const instances = await this.#ask(this.#releaseRequests, RELEASE_TIMEOUT_US, id => ({kind, id, name}));
		if (instances.length > 0) return instances;
		throw new ControlError('no-instance', `vrrp: there is no instance or sync group ${JSON.stringify(name)}`);
	}

	#ask<Value>(requests: Map<number, Waiting<Value>>, timeoutUs: number, say: (id: number) => ToVrrp): Promise<Value> {
		if (!this.#running?.ready) return Promise.reject(new ControlError('vrrp-down', 'vrrp: lbd-vrrp is not running'));
		const id = this.#nextId++;
		return new Promise((resolve, reject) => {
			const cancel = this.#clock.after(timeoutUs, 'vrrp answer', () => {
				requests.delete(id);
				reject(new ControlError('timeout', 'vrrp: lbd-vrrp does not answer'));
			});
			requests.set(id, {
				resolve: value => {
					cancel();
					resolve(value);
				},
				reject: error => {
					cancel();
					reject(error);
				},
			});
			this.#tell(say(id));
		});
	}

	/** Lets the process hand over and take the addresses off; resolves when it is gone, by SIGKILL if need be. */
	stop(): Promise<void> {
		this.#cancelRestart();
		const running = this.#running;
		if (running === null) return Promise.resolve();
		return new Promise(resolve => {
			const cancel = this.#clock.after(STOP_TIMEOUT_US, 'vrrp stop', () => running.process.kill());
			this.#stopping = () => {
				cancel();
				resolve();
			};
			this.#tell({kind: 'stop'});
			this.#outgoing?.send({kind: 'stop'});
		});
	}

	#tellConfig(config: VrrpConfig): void {
		const {legacies, tracked} = this.#estate;
		this.#estate = NOTHING;
		this.#tell({kind: 'configure', config, tracked: [...tracked, ...this.#tracked.values()], legacies});
	}

	#tell(message: ToVrrp): void {
		this.#running?.process.send(message);
	}

	#begin(config: VrrpConfig): void {
		if (!this.#searched) void this.find();
		else if (isIdle(config)) this.#onConfigured();
		else this.#start();
	}

	#start(): void {
		const realTime = this.#realTime;
		this.#run('started', realTime, on => this.#processes.startVrrp({socket: this.#socket, realTime, ...on}));
	}

	#run(
		origin: Running['origin'],
		realTime: boolean,
		begin: (on: {onMessage: (message: unknown) => void; onExit: (how: string) => void}) => Subprocess,
	): Running {
		const process: Subprocess = begin({
			onMessage: message => this.#receive(process, message as FromVrrp),
			onExit: how => this.#exited(process, how),
		});
		this.#running = {process, origin, realTime, sinceUs: this.#clock.nowUs(), greeting: null, ready: false};
		return this.#running;
	}

	#receive(process: Subprocess, message: FromVrrp): void {
		switch (message.kind) {
			case 'ready':
				this.#onReady(message);
				break;
			case 'configured':
				this.#onConfigured();
				break;
			case 'transition':
				this.#events.onTransition(message.transition);
				break;
			case 'rival':
				this.#events.onRival(message.rival);
				break;
			case 'priority':
				this.#events.onPriority(message.change);
				break;
			case 'status':
				answer(this.#statusRequests, message.id, message.status);
				break;
			case 'released':
				answer(this.#releaseRequests, message.id, message.instances);
				break;
			case 'handed-on':
				if (process === this.#outgoing) this.#goOn(message);
				break;
			case 'log':
				this.#log[message.level](message.fields, message.text);
				break;
			case 'fatal':
				this.#refused(new ControlError('vrrp', message.text, {exitCode: message.exitCode}));
				break;
			default:
				message satisfies never;
		}
	}

	#onReady(greeting: Greeting): void {
		if (this.#running === null) return;
		this.#cancelTimeout();
		this.#running.greeting = greeting;
		this.#endSearch();
		// One that has only begun could not be told yet.
		if (this.#stopping !== null) return this.#tell({kind: 'stop'});
		if (this.#proposed !== null || this.#accepted !== null) this.#greet();
	}

	/** Once both sides have something to say. */
	#greet(): void {
		const running = this.#running;
		if (running === null || running.greeting === null) return;
		const {build, realTime, status} = running.greeting;
		running.greeting = null;
		if (running.origin === 'found') {
			if (status !== null) this.#events.onAdopted(status);
			if (build !== this.#build) return this.#replace(running);
			this.#log.info({}, 'lbd-vrrp goes on as an earlier lbd has left it');
		}
		if (!realTime) this.#log.warn({}, 'vrrp runs without real-time scheduling: adverts may be late on a busy machine');
		if (this.#outgoing === null) this.#beginWork();
		else this.#takeFrom(this.#outgoing);
	}

	#beginWork(): void {
		if (this.#running === null) return;
		this.#running.ready = true;
		const config = this.#proposed?.config ?? this.#accepted;
		if (config !== null) this.#tellConfig(config);
	}

	// From one build to another. The new process is there before the old one says its last word, as no advert waits for that.

	#replace({process}: Running): void {
		this.#log.info({}, 'lbd-vrrp is of another build, and hands on to a new one');
		this.#outgoing = process;
		this.#start();
	}

	#takeFrom(outgoing: Subprocess): void {
		this.#cancelTimeout = this.#clock.after(HAND_ON_TIMEOUT_US, 'vrrp hand-on', () => {
			this.#log.error({}, 'lbd-vrrp of another build does not hand on, and is killed');
			outgoing.kill();
		});
		outgoing.send({kind: 'hand-on'});
	}

	#goOn(estate: Estate): void {
		this.#cancelTimeout();
		this.#outgoing = null;
		this.#estate = estate;
		this.#beginWork();
	}

	#onConfigured(): void {
		if (this.#proposed === null) return;
		this.#accepted = this.#proposed.config;
		forgetUntracked(this.#tracked, this.#accepted.instances);
		this.#proposed.resolve();
		this.#proposed = null;
	}

	#refused(error: ControlError): void {
		const proposed = this.#proposed;
		this.#proposed = null;
		if (proposed === null) this.#events.onFatal(error);
		else proposed.reject(error);
	}

	#exited(process: Subprocess, how: string): void {
		if (process === this.#outgoing) return this.#goOn(NOTHING);
		const before = this.#running;
		if (before?.process !== process) return;
		this.#cancelTimeout();
		this.#running = null;
		const error = new ControlError('vrrp-down', `vrrp: lbd-vrrp ended: ${how}`, {exitCode: ExitCode.bug});
		for (const requests of [this.#statusRequests, this.#releaseRequests]) {
			for (const request of requests.values()) request.reject(error);
			requests.clear();
		}
		if (this.#stopping !== null) this.#stopping();
		else if (before.origin === 'found' && !before.ready) this.#foundNobody();
		else if (before.realTime && !before.ready) this.#startWithoutRealTime(how);
		else this.#died(before, error);
	}

	#foundNobody(): void {
		this.#endSearch();
		if (this.#proposed !== null) this.#begin(this.#proposed.config);
	}

	#died(before: Running, error: ControlError): void {
		this.#log.error({}, error.message);
		if (this.#proposed !== null) this.#refused(error);
		if (this.#accepted !== null) this.#restart(before);
	}

	/** `chrt` is missing, or the kernel refuses: it ends before Node has begun. */
	#startWithoutRealTime(how: string): void {
		this.#realTime = false;
		this.#log.warn({how}, 'real-time scheduling refused: `chrt -f` needs CAP_SYS_NICE and a limit for RTPRIO');
		this.#start();
	}

	#restart(before: Running): void {
		const ranUs = this.#clock.nowUs() - before.sinceUs;
		if (ranUs >= STABLE_US) this.#restartDelayUs = RESTART_DELAY_MIN_US;
		this.#cancelRestart = this.#clock.after(this.#restartDelayUs, 'vrrp restart', () => this.#start());
		this.#restartDelayUs = Math.min(this.#restartDelayUs * 2, RESTART_DELAY_MAX_US);
	}
}

const UNHEARD: VrrpEvents = {
	onTransition: () => {},
	onRival: () => {},
	onPriority: () => {},
	onAdopted: () => {},
	onFatal: () => {},
};

const NOTHING: Estate = {legacies: [], tracked: []};

/** Whether it asks for nothing of lbd-vrrp. */
export function isIdle({
	instances,
	statics: {addresses, routes, rules},
}: Pick<VrrpConfig, 'instances' | 'statics'>): boolean {
	return [instances, addresses, routes, rules].every(({length}) => length === 0);
}

function answer<Value>(requests: Map<number, Waiting<Value>>, id: number, value: Value): void {
	requests.get(id)?.resolve(value);
	requests.delete(id);
}
