import type {TrackerReport} from '../conf/model.js';
import {ExitCode, KernelError} from '../errors.js';
import type {Log} from '../log.js';
import type {VrrpHost} from './instance.js';
import type {FromVrrp, LogLevel, ToVrrp, VrrpConfig, VrrpStatus} from './protocol.js';
import {Router} from './router.js';

/** The inside of `lbd-vrrp`: carries out the daemon's messages one after the other and reports what happens. */
export class VrrpAgent {
	readonly #openHost: () => VrrpHost;
	#router: Router | null = null;
	readonly #send: (message: FromVrrp) => void;
	readonly #realTime: boolean;
	readonly #onStopped: () => void;
	#work: Promise<void> = Promise.resolve();
	#stopped = false;

	/** `openHost` is called for the first configuration; what it throws refuses that. */
	constructor(options: {
		openHost: () => VrrpHost;
		realTime: boolean;
		send: (message: FromVrrp) => void;
		onStopped: () => void;
	}) {
		this.#openHost = options.openHost;
		this.#send = options.send;
		this.#realTime = options.realTime;
		this.#onStopped = options.onStopped;
		this.#send({kind: 'ready', realTime: this.#realTime});
	}

	receive(message: ToVrrp): void {
		this.#work = this.#work.then(() => this.#carryOut(message));
	}

	async #carryOut(message: ToVrrp): Promise<void> {
		if (this.#stopped) return;
		switch (message.kind) {
			case 'configure':
				return this.#configure(message.config, message.tracked);
			case 'tracked':
				return this.#router?.track(message.tracked);
			case 'wait':
				return this.#router?.wait(message.waits);
			case 'status':
				return this.#send({kind: 'status', id: message.id, status: this.#status()});
			case 'stop':
				this.#stopped = true;
				await this.#router?.stop();
				return this.#onStopped();
			default:
				message satisfies never;
		}
	}

	#openRouter(): Router {
		return new Router(this.#openHost(), new MessageLog(this.#send), {
			transition: transition => this.#send({kind: 'transition', transition}),
			rival: rival => this.#send({kind: 'rival', rival}),
			priorityChanged: change => this.#send({kind: 'priority', change}),
		});
	}

	#status(): VrrpStatus {
		const {instances, groups} = this.#router?.status() ?? {instances: [], groups: []};
		return {realTime: this.#realTime, instances, groups};
	}

	async #configure(config: VrrpConfig, tracked: readonly TrackerReport[]): Promise<void> {
		try {
			this.#router ??= this.#openRouter();
			this.#router.track(tracked);
			await this.#router.configure(config);
			this.#send({kind: 'configured'});
		} catch (error) {
			const exitCode = error instanceof KernelError ? error.exitCode : ExitCode.bug;
			this.#send({kind: 'fatal', exitCode, text: error instanceof Error ? error.message : String(error)});
		}
	}
}

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
