import type {Cancel, Clock, SharingProcesses} from '../host/host.js';
import type {Log} from '../log.js';
import type {FromSync, SharingConfig, SharingStatus} from './protocol.js';

const RESTART_US = 1_000_000;
/** A status that is older says nothing any more. */
const STATUS_VALID_US = 5_000_000;

export interface SharingEvents {
	onStatus(status: SharingStatus): void;
}

/** The daemon's end of `lbd-sync`: keeps it running as long as something is shared. */
export class SharingChild {
	readonly #processes: SharingProcesses;
	readonly #clock: Clock;
	readonly #log: Log;
	readonly #events: SharingEvents;
	#config: SharingConfig | null = null;
	#process: ReturnType<SharingProcesses['startSync']> | null = null;
	#status: {readonly status: SharingStatus; readonly atUs: number} | null = null;
	#cancelRestart: Cancel = () => {};

	constructor(options: {processes: SharingProcesses; clock: Clock; log: Log; events: SharingEvents}) {
		this.#processes = options.processes;
		this.#clock = options.clock;
		this.#log = options.log;
		this.#events = options.events;
	}

	/** Shares in this way from now on; null: nothing. */
	configure(config: SharingConfig | null): void {
		if (JSON.stringify(config) === JSON.stringify(this.#config)) return;
		this.#config = config;
		this.#status = null;
		if (config === null) this.stop();
		else if (this.#process === null) this.#start();
		else this.#process.send({kind: 'configure', config});
	}

	/** What it said last; null while it does not say anything. */
	status(): SharingStatus | null {
		if (this.#status === null || this.#clock.nowUs() - this.#status.atUs > STATUS_VALID_US) return null;
		return this.#status.status;
	}

	stop(): void {
		this.#config = null;
		this.#cancelRestart();
		this.#process?.kill();
		this.#process = null;
	}

	#start(): void {
		const process = this.#processes.startSync({
			onMessage: message => {
				if (this.#process === process) this.#receive(message as FromSync);
			},
			onExit: how => {
				if (this.#process === process) this.#exited(how);
			},
		});
		this.#process = process;
	}

	#receive(message: FromSync): void {
		switch (message.kind) {
			case 'ready':
				if (this.#config !== null) this.#process?.send({kind: 'configure', config: this.#config});
				return;
			case 'status':
				this.#status = {status: message.status, atUs: this.#clock.nowUs()};
				return this.#events.onStatus(message.status);
			case 'log':
				return this.#log[message.level](message.fields, message.text);
			default:
				message satisfies never;
		}
	}

	#exited(how: string): void {
		this.#process = null;
		this.#status = null;
		this.#log.error({how}, 'sharing: lbd-sync ended; it starts again');
		this.#cancelRestart = this.#clock.after(RESTART_US, 'sharing: restart', () => this.#start());
	}
}
