import type {TrackerReport} from '../conf/model.js';
import {ControlError, ExitCode} from '../errors.js';
import type {Cancel, Clock, Subprocess, Subprocesses} from '../host/host.js';
import type {Log} from '../log.js';
import type {FromVrrp, PriorityChange, Rival, ToVrrp, Transition, VrrpConfig, VrrpStatus} from './protocol.js';
import {forgetUntracked, trackerName} from './tracking.js';

const STATUS_TIMEOUT_US = 1_000_000;
/** An orderly stop is two packets and a few netlink requests. */
const STOP_TIMEOUT_US = 5_000_000;
const RESTART_DELAY_MIN_US = 100_000;
const RESTART_DELAY_MAX_US = 10_000_000;
/** A process that ran this long before it died is started again without delay. */
const STABLE_US = 60_000_000;

export interface VrrpEvents {
	onTransition(transition: Transition): void;
	onRival(rival: Rival): void;
	onPriority(change: PriorityChange): void;
	/** VRRP does not run any more, and will not by itself. */
	onFatal(error: ControlError): void;
}

interface Waiting<Value> {
	resolve(value: Value): void;
	reject(error: ControlError): void;
}

interface Running {
	readonly process: Subprocess;
	readonly realTime: boolean;
	readonly sinceUs: number;
	ready: boolean;
}

/** The daemon's end of `lbd-vrrp`: keeps the process running, in real time if it may, with the last good configuration. */
export class VrrpChild {
	readonly #processes: Subprocesses;
	readonly #clock: Clock;
	readonly #log: Log;
	readonly #events: VrrpEvents;
	#running: Running | null = null;
	#realTime = true;
	#stopping: (() => void) | null = null;
	#accepted: VrrpConfig | null = null;
	#proposed: (Waiting<void> & {config: VrrpConfig}) | null = null;
	/** The last word of each tracker, by `trackerName`, for a process that starts again. */
	readonly #tracked = new Map<string, TrackerReport>();
	#nextId = 1;
	readonly #statusRequests = new Map<number, Waiting<VrrpStatus>>();
	#restartDelayUs = RESTART_DELAY_MIN_US;
	#cancelRestart: Cancel = () => {};

	constructor(options: {processes: Subprocesses; clock: Clock; log: Log; events: VrrpEvents}) {
		this.#processes = options.processes;
		this.#clock = options.clock;
		this.#log = options.log;
		this.#events = options.events;
	}

	/**
	 * Starts the process with this configuration, or gives it to the one that runs; resolves when it is in force. Rejects
	 * with a `ControlError` that has the exit code for a start; a running process then goes on with what it had.
	 */
	configure(config: VrrpConfig): Promise<void> {
		if (this.#proposed !== null)
			return Promise.reject(new ControlError('busy', 'vrrp: another configuration is being tried'));
		return new Promise((resolve, reject) => {
			this.#proposed = {config, resolve, reject};
			if (this.#running === null) this.#start();
			else if (this.#running.ready) this.#tellConfig(config);
		});
	}

	/** What a tracker has found; it holds until the next word of the same one. */
	track(report: TrackerReport): void {
		this.#tracked.set(trackerName(report), report);
		if (this.#running?.ready) this.#tell({kind: 'tracked', tracked: [report]});
	}

	/** Whether preemption waits from now on, see protocol.ts; a configuration says it, too. */
	wait(waits: boolean): void {
		if (this.#accepted !== null) this.#accepted = {...this.#accepted, waits};
		if (this.#running?.ready) this.#tell({kind: 'wait', waits});
	}

	/** Asks the process; rejects with a `ControlError` when it does not answer within a second. */
	status(): Promise<VrrpStatus> {
		if (this.#running === null) return Promise.reject(new ControlError('vrrp-down', 'vrrp: lbd-vrrp is not running'));
		const id = this.#nextId++;
		return new Promise((resolve, reject) => {
			const cancel = this.#clock.after(STATUS_TIMEOUT_US, 'vrrp status', () => {
				this.#statusRequests.delete(id);
				reject(new ControlError('timeout', 'vrrp: lbd-vrrp does not answer'));
			});
			this.#statusRequests.set(id, {
				resolve: status => {
					cancel();
					resolve(status);
				},
				reject: error => {
					cancel();
					reject(error);
				},
			});
			this.#tell({kind: 'status', id});
		});
	}

	/** Lets the process resign and take the addresses off; resolves when it is gone, by SIGKILL if need be. */
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
		});
	}

	#tellConfig(config: VrrpConfig): void {
		this.#tell({kind: 'configure', config, tracked: [...this.#tracked.values()]});
	}

	#tell(message: ToVrrp): void {
		this.#running?.process.send(message);
	}

	#start(): void {
		const realTime = this.#realTime;
		const process = this.#processes.startVrrp({
			realTime,
			onMessage: message => this.#receive(message as FromVrrp),
			onExit: how => this.#exited(how),
		});
		this.#running = {process, realTime, sinceUs: this.#clock.nowUs(), ready: false};
	}

	#receive(message: FromVrrp): void {
		switch (message.kind) {
			case 'ready':
				this.#onReady(message.realTime);
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
				this.#onStatus(message.id, message.status);
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

	#onReady(realTime: boolean): void {
		if (this.#running === null) return;
		this.#running.ready = true;
		if (!realTime) this.#log.warn({}, 'vrrp runs without real-time scheduling: adverts may be late on a busy machine');
		const config = this.#proposed?.config ?? this.#accepted;
		if (config !== null) this.#tellConfig(config);
	}

	#onConfigured(): void {
		if (this.#proposed === null) return;
		this.#accepted = this.#proposed.config;
		forgetUntracked(this.#tracked, this.#accepted.instances);
		this.#proposed.resolve();
		this.#proposed = null;
	}

	#onStatus(id: number, status: VrrpStatus): void {
		this.#statusRequests.get(id)?.resolve(status);
		this.#statusRequests.delete(id);
	}

	#refused(error: ControlError): void {
		const proposed = this.#proposed;
		this.#proposed = null;
		if (proposed === null) this.#events.onFatal(error);
		else proposed.reject(error);
	}

	#exited(how: string): void {
		const before = this.#running;
		this.#running = null;
		const error = new ControlError('vrrp-down', `vrrp: lbd-vrrp ended: ${how}`, {exitCode: ExitCode.bug});
		for (const request of this.#statusRequests.values()) request.reject(error);
		this.#statusRequests.clear();
		if (this.#stopping !== null) this.#stopping();
		else if (before?.realTime && !before.ready) this.#startWithoutRealTime(how);
		else this.#died(before, error);
	}

	#died(before: Running | null, error: ControlError): void {
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

	#restart(before: Running | null): void {
		const ranUs = before === null ? 0 : this.#clock.nowUs() - before.sinceUs;
		if (ranUs >= STABLE_US) this.#restartDelayUs = RESTART_DELAY_MIN_US;
		this.#cancelRestart = this.#clock.after(this.#restartDelayUs, 'vrrp restart', () => this.#start());
		this.#restartDelayUs = Math.min(this.#restartDelayUs * 2, RESTART_DELAY_MAX_US);
	}
}
