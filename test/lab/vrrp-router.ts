/** `lbd-vrrp` without the daemon around it, and how routers of either kind come to their end. */
import {type ChildProcess, execFileSync} from 'node:child_process';
import type {TrackerReport} from '../../src/conf/model.js';
import type {Subprocess, Subprocesses} from '../../src/host/host.js';
import {build} from '../../src/host/real/build.js';
import {realClock} from '../../src/host/real/clock.js';
import {realSubprocesses} from '../../src/host/real/vrrp-process.js';
import {VrrpChild} from '../../src/vrrp/child.js';
import type {VrrpConfig, VrrpStatus} from '../../src/vrrp/protocol.js';
import {FakeLog} from '../fake/log.js';

/** Longer than an orderly end takes, on a machine that is busy with other tests. */
const END_MS = 15_000;

/** The daemon's side of one of our processes, in a network namespace and listening on `socket`. */
export class VrrpRouter {
	readonly log = new FakeLog();
	readonly #child: VrrpChild;
	#process: Subprocess | null = null;
	/** Called at the end of a process that nobody is to start again. */
	#onKilled: (() => void) | null = null;

	/** More than one real-time process on a machine of two CPUs can starve it: such tests go without. */
	constructor(namespace: string, socket: string, {realTime} = {realTime: true}) {
		const real = realSubprocesses(['nsenter', `--net=/run/netns/${namespace}`]);
		const processes: Subprocesses = {
			...real,
			startVrrp: ({onExit, ...options}) => {
				this.#process = real.startVrrp({
					...options,
					realTime: realTime && options.realTime,
					onExit: how => (this.#onKilled ?? (() => onExit(how)))(),
				});
				return this.#process;
			},
		};
		this.#child = new VrrpChild({processes, clock: realClock, log: this.log, socket, build: build()});
	}

	/** Puts a configuration in force, starting the process for the first one. */
	put(config: VrrpConfig): Promise<void> {
		return this.#child.configure(config);
	}

	track(report: TrackerReport): void {
		this.#child.track(report);
	}

	status(): Promise<VrrpStatus> {
		return this.#child.status();
	}

	stop(): Promise<void> {
		return this.#child.stop();
	}

	/** SIGKILL, as if the machine went with it: nobody starts it again, and this one is used up. */
	kill(): Promise<void> {
		return new Promise(resolve => {
			this.#onKilled = resolve;
			this.#process?.kill();
		});
	}
}

/** Ends keepalived without a word, its VRRP process included, which would resign when it finds itself alone. */
export async function killed(child: ChildProcess): Promise<void> {
	if (child.pid === undefined) throw new Error('it does not run');
	// It would start another VRRP process before its own end comes.
	child.kill('SIGSTOP');
	const family = execFileSync('ps', ['-o', 'pid=', '--ppid', String(child.pid)], {encoding: 'utf8'});
	for (const pid of family.split(/\s+/).filter(text => text !== '')) process.kill(Number(pid), 'SIGKILL');
	await ended(child, 'SIGKILL');
}

/** Ends a process with a signal, and with SIGKILL should it not listen. */
export function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
	if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
	return new Promise(resolve => {
		const deadline = AbortSignal.timeout(END_MS);
		deadline.addEventListener('abort', () => child.kill('SIGKILL'));
		child.on('exit', () => resolve());
		if (child.connected) child.disconnect();
		child.kill(signal);
	});
}
