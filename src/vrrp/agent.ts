import type {TrackerReport} from '../conf/model.js';
import {ExitCode, KernelError} from '../errors.js';
import type {Cancel, Clock} from '../host/host.js';
import type {Log} from '../log.js';
import type {VrrpHost} from './instance.js';
import {Outbox, type Taker} from './outbox.js';
import type {FromVrrp, Legacy, LogLevel, ToVrrp, VrrpConfig, VrrpStatus} from './protocol.js';
import {Router} from './router.js';

/** How long a daemon may take to say its first word to a process that it has just started. */
const FIRST_GRACE_US = 10_000_000;

/** The inside of `lbd-vrrp`: carries out the daemon's messages one after the other and reports what happens. */
export class VrrpAgent {
	readonly #openHost: () => VrrpHost;
	readonly #clock: Clock;
	#router: Router | null = null;
	readonly #outbox = new Outbox();
	readonly #log: Log = new MessageLog(message => this.#outbox.send(message));
	readonly #build: string;
	readonly #realTime: boolean;
	readonly #onFault: (error: unknown) => void;
	readonly #onStopping: () => void;
	readonly #onStopped: () => void;
	#work: Promise<void> = Promise.resolve();
	#stopped = false;
	/** Who has come, until it says what is to be done. */
	#newcomer: Taker | null = null;
	#graceUs = FIRST_GRACE_US;
	/** What is left of it: a daemon that comes and goes without having said what to do has only interrupted it. */
	#graceLeftUs = FIRST_GRACE_US;
	#waitsSinceUs = 0;
	#cancelGrace: Cancel = () => {};

	/**
	 * `openHost` is called for the first configuration; what it throws refuses that. `onFault`: of ours; it may tell us to
	 * stop. At `onStopping` the ear is to close: no other daemon is wanted.
	 */
	constructor(options: {
		openHost: () => VrrpHost;
		clock: Clock;
		build: string;
		realTime: boolean;
		onFault: (error: unknown) => void;
		onStopping: () => void;
		onStopped: () => void;
	}) {
		this.#openHost = options.openHost;
		this.#clock = options.clock;
		this.#build = options.build;
		this.#realTime = options.realTime;
		this.#onFault = options.onFault;
		this.#onStopping = options.onStopping;
		this.#onStopped = options.onStopped;
		this.#waitForDaemon();
	}

	/** A daemon is there, in the place of the one before. It may have to load a program before it can say what to do. */
	connected(taker: Taker): void {
		// It comes too late, and sees us end.
		if (this.#stopped) return;
		this.#cancelGrace();
		this.#graceLeftUs -= this.#clock.nowUs() - this.#waitsSinceUs;
		this.#outbox.disconnect();
		this.#newcomer = taker;
		const status = this.#router === null ? null : this.#status();
		taker({kind: 'ready', build: this.#build, realTime: this.#realTime, status});
	}

	/** It can hear the news, and has nothing to answer for any more if it goes. */
	#attend(): void {
		if (this.#newcomer !== null) this.#outbox.connect(this.#newcomer);
		this.#newcomer = null;
		this.#graceLeftUs = this.#graceUs;
	}

	/** The daemon reads again. */
	drained(): void {
		this.#outbox.flush();
	}

	/** The daemon is gone. Another one may come; when none does, this ends as if it had been told to. */
	disconnected(): void {
		this.#outbox.disconnect();
		this.#newcomer = null;
		const seconds = this.#graceLeftUs / 1e6;
		this.#log.warn({}, `lbd is gone: lbd-vrrp goes on, and hands over unless lbd is back within ${seconds} s`);
		this.#waitForDaemon();
	}

	/** Tells the daemon what is wrong with this process. */
	complain(level: 'warn' | 'error', text: string): void {
		this.#log[level]({}, text);
	}

	receive(message: ToVrrp): void {
		this.#work = this.#work.then(() => this.#carryOut(message)).catch(this.#onFault);
	}

	#waitForDaemon(): void {
		this.#cancelGrace();
		if (this.#stopped) return;
		this.#waitsSinceUs = this.#clock.nowUs();
		const leftUs = Math.max(0, this.#graceLeftUs);
		this.#cancelGrace = this.#clock.after(leftUs, 'grace', () => this.receive({kind: 'stop'}));
	}

	async #carryOut(message: ToVrrp): Promise<void> {
		if (this.#stopped) return;
		switch (message.kind) {
			case 'hello':
				return;
			case 'configure':
				return this.#configure(message.config, message.tracked, message.legacies);
			case 'tracked':
				return this.#router?.track(message.tracked);
			case 'wait':
				return this.#router?.wait(message.waits);
			case 'status':
				return this.#outbox.send({kind: 'status', id: message.id, status: this.#status()});
			case 'release':
				// Meanwhile there is other work.
				void this.#router?.release(message.name).then(names => this.#report(message.id, names));
				return;
			case 'reclaim':
				return this.#report(message.id, this.#router?.reclaim(message.name) ?? []);
			case 'hand-on':
				this.#attend();
				// The ear stays: the socket may be that of the next one already.
				this.#beginEnd();
				this.#outbox.send({kind: 'handed-on', legacies: [], tracked: [], ...(await this.#router?.handOn())});
				return this.#onStopped();
			case 'stop':
				this.#beginEnd();
				this.#onStopping();
				await this.#router?.stop();
				return this.#onStopped();
			default:
				message satisfies never;
		}
	}

	#beginEnd(): void {
		this.#stopped = true;
		this.#cancelGrace();
	}

	#report(id: number, names: readonly string[]): void {
		const instances = this.#status().instances.filter(({name}) => names.includes(name));
		this.#outbox.send({kind: 'released', id, instances});
	}

	#openRouter(): Router {
		return new Router(this.#openHost(), this.#log, {
			transition: transition => this.#outbox.send({kind: 'transition', transition}),
			rival: rival => this.#outbox.send({kind: 'rival', rival}),
			priorityChanged: change => this.#outbox.send({kind: 'priority', change}),
		});
	}

	#status(): VrrpStatus {
		return {realTime: this.#realTime, ...(this.#router?.status() ?? NOTHING)};
	}

	async #configure(config: VrrpConfig, tracked: readonly TrackerReport[], legacies: readonly Legacy[]): Promise<void> {
		try {
			this.#graceUs = config.graceUs;
			this.#attend();
			this.#router ??= this.#openRouter();
			this.#router.track(tracked);
			await this.#router.configure(config, legacies);
			this.#outbox.send({kind: 'configured'});
		} catch (error) {
			const exitCode = error instanceof KernelError ? error.exitCode : ExitCode.bug;
			this.#outbox.send({kind: 'fatal', exitCode, text: error instanceof Error ? error.message : String(error)});
		}
	}
}

/** Before there is a configuration. */
export const NOTHING: Omit<VrrpStatus, 'realTime'> = {
	instances: [],
	groups: [],
	deleted: {address: 0, route: 0, rule: 0},
};

/** Log lines go to the daemon, which writes all there are. */
class MessageLog implements Log {
	readonly #send: (message: FromVrrp) => void;
	readonly #fields: object;

	constructor(send: (message: FromVrrp) => void, fields: object = {}) {
		this.#send = send;
		this.#fields = fields;
	}

	debug(fields: object, text: string): void {
		this.#line('debug', fields, text);
	}

	info(fields: object, text: string): void {
		this.#line('info', fields, text);
	}

	warn(fields: object, text: string): void {
		this.#line('warn', fields, text);
	}

	error(fields: object, text: string): void {
		this.#line('error', fields, text);
	}

	child(fields: object): Log {
		return new MessageLog(this.#send, {...this.#fields, ...fields});
	}

	#line(level: LogLevel, fields: object, text: string): void {
		this.#send({kind: 'log', level, fields: {...this.#fields, ...fields}, text});
	}
}
