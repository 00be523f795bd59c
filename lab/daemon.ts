import type {ChildProcess} from 'node:child_process';
import {existsSync, readFileSync} from 'node:fs';
import {launch} from './namespace.js';
import {type Identity, isAlive, signal, titleOf, tree} from './proc.js';
import {waitFor} from './wait.js';

/** Loading the program is work for the verifier: seconds on a machine that is busy with other tests. */
const START_MS = 60_000;
/** Longer than lbd waits for those who are told of its end. */
const STOP_MS = 30_000;

export interface DaemonOptions {
	readonly name: string;
	readonly namespace: string;
	readonly argv: readonly string[];
	readonly logFile: string;
	/** Whether it does its work, as seen from outside. */
	readonly isReady: (pid: number) => boolean | Promise<boolean>;
	/** Programs of its that are not its children, as another one has started them. */
	readonly heirlooms?: () => Identity[];
}

/** A program that runs in a namespace until it is stopped, with all the programs that it starts. */
export class Daemon {
	readonly #options: DaemonOptions;
	readonly #child: ChildProcess;

	private constructor(options: DaemonOptions) {
		this.#options = options;
		this.#child = launch(options.namespace, options.argv, options.logFile);
	}

	/** Resolves when it is ready; rejects with the end of its log when it ends first, or is not ready in time and is killed. */
	static async start(options: DaemonOptions): Promise<Daemon> {
		const daemon = new Daemon(options);
		const look = () => {
			if (daemon.running) return options.isReady(daemon.pid);
			throw new Error(`${options.name}: ended at its start: ${daemon.exitReason}\n${tail(options.logFile)}`);
		};
		try {
			await waitFor(`${options.name} is ready`, look, {timeoutMs: START_MS, seen: () => tail(options.logFile)});
		} catch (error) {
			if (daemon.running) await daemon.kill();
			throw error;
		}
		return daemon;
	}

	get pid(): number {
		return this.#child.pid ?? 0;
	}

	get running(): boolean {
		return this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
	}

	/** Exit code or signal, null while it runs. */
	get exitReason(): number | string | null {
		return this.#child.exitCode ?? this.#child.signalCode;
	}

	/** Sends a signal to the program alone, as `kill` would (SIGHUP: reload). */
	signal(name: NodeJS.Signals): void {
		this.#child.kill(name);
	}

	/** Sends a signal to it and all its programs, or to those of them that call themselves so; they may live on (SIGSTOP). */
	signalAll(name: NodeJS.Signals, title?: string): void {
		const programs = this.#family().filter(({pid}) => title === undefined || titleOf(pid) === title);
		if (programs.length === 0) throw new Error(`${this.#options.name}: no program called ${title}`);
		for (const program of programs) signal(program, name);
	}

	/** All that are alive of it, its children and heirlooms. */
	programs(): Identity[] {
		const byPid = new Map(this.#family().map(identity => [identity.pid, identity]));
		return [...byPid.values()].filter(isAlive);
	}

	/** Ends it with all its children at once, without a word of warning: none sees another one end, and takes leave or starts it. */
	async kill(name: NodeJS.Signals = 'SIGKILL'): Promise<void> {
		const victims = this.#family();
		for (const step of ['SIGSTOP', name, 'SIGCONT'] as const) for (const victim of victims) signal(victim, step);
		await this.#gone(victims);
	}

	/** Asks it to stop and waits until it has, its children included. */
	async stop(): Promise<void> {
		const leaving = this.#family();
		this.signal('SIGTERM');
		await this.#gone(leaving);
	}

	/** Ends the program alone, at once; what it has started lives on. */
	async killAlone(): Promise<void> {
		this.signal('SIGKILL');
		await this.#gone([]);
	}

	#family(): Identity[] {
		return [...tree(this.pid), ...(this.#options.heirlooms?.() ?? [])];
	}

	async #gone(identities: readonly Identity[]): Promise<void> {
		const look = () => !this.running && !identities.some(isAlive);
		await waitFor(`${this.#options.name} has ended`, look, {
			timeoutMs: STOP_MS,
			seen: () => tail(this.#options.logFile),
		});
	}
}

/** The last lines of a log; '' where there is none yet. */
export function tail(file: string, lines = 20): string {
	if (!existsSync(file)) return '';
	return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
}
