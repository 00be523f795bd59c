/** `lbd-vrrp` without the daemon around it, and how routers of either kind come to their end. */
import {type ChildProcess, execFileSync} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import type {TrackerReport} from '../../src/conf/model.js';
import type {Subprocesses} from '../../src/host/host.js';
import {realClock} from '../../src/host/real/clock.js';
import {VrrpChild} from '../../src/vrrp/child.js';
import type {VrrpConfig, VrrpStatus} from '../../src/vrrp/protocol.js';
import {FakeLog} from '../fake/log.js';

const PROGRAM = fileURLToPath(new URL('../../src/vrrp/main.js', import.meta.url));
/** Longer than an orderly end takes, on a machine that is busy with other tests. */
const END_MS = 15_000;

/** The daemon's side of one of our processes; `spawn` starts a command in its namespace, with an IPC channel. */
export class VrrpRouter {
	readonly log = new FakeLog();
	readonly #child: VrrpChild;
	process: ChildProcess | undefined;
	#abandoned = false;

	/** More than one real-time process on a machine of two CPUs can starve it: such tests go without. */
	constructor(spawn: (command: readonly string[]) => ChildProcess, realTime = true) {
		const processes: Subprocesses = {
			startVrrp: ({onMessage, onExit}) => {
				const child = spawn([...(realTime ? ['chrt', '-f', '10'] : []), process.execPath, PROGRAM]);
				child.on('message', onMessage);
				child.on('exit', code => this.#abandoned || onExit(`exit code ${code}`));
				this.process = child;
				return {send: message => void child.send(message), kill: () => void child.kill('SIGKILL')};
			},
		};
		this.#child = new VrrpChild({
			processes,
			clock: realClock,
			log: this.log,
			events: {onTransition: () => {}, onRival: () => {}, onPriority: () => {}, onFatal: () => {}},
		});
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
		return this.#abandoned ? Promise.resolve() : this.#child.stop();
	}

	/** SIGKILL, as if the machine went with it: nobody starts it again. */
	async kill(): Promise<void> {
		this.#abandoned = true;
		if (this.process !== undefined) await ended(this.process, 'SIGKILL');
	}
}

/** Ends keepalived without a word, its VRRP process included, which would resign when it finds itself alone. */
export async function killed(child: ChildProcess): Promise<void> {
	if (child.pid === undefined) throw new Error('it does not run');
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
