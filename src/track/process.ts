import type {TrackedProcess} from '../conf/model.js';
import type {Cancel, Clock, Processes, RunningProcess} from '../host/host.js';
import type {Log} from '../log.js';

/** The kernel keeps so much of a process's name (TASK_COMM_LEN). */
const NAME_MAX = 15;
const SCAN_US = 250_000;
/** Of the time, at most one part in so many goes into looking: a machine with many processes is looked at less often. */
const IDLE_PARTS = 20;

/** Whether a process is one of those that are counted. */
export function matches(tracked: TrackedProcess, running: RunningProcess): boolean {
	const {process, fullCommand, parameters} = tracked;
	if (!fullCommand) return running.name === process.slice(0, NAME_MAX);
	const [program, ...args] = running.command;
	return program === process && (parameters === null || matchesParameters(parameters, args));
}

function matchesParameters(
	{match, values}: NonNullable<TrackedProcess['parameters']>,
	args: readonly string[],
): boolean {
	const last = values.length - 1;
	if (args.length < values.length || (match === 'exact' && args.length > values.length)) return false;
	return values.every((value, index) =>
		match === 'initial' && index === last ? args[index]?.startsWith(value) : args[index] === value,
	);
}

interface Counted {
	readonly tracked: TrackedProcess;
	up: boolean | null;
	/** Since when the count has said otherwise. */
	sinceUs: number | null;
}

/** Counts processes, and says when as many run as should, or not any more. */
export class ProcessWatch {
	readonly #clock: Clock;
	readonly #processes: Processes;
	readonly #log: Log;
	readonly #onResult: (name: string, result: 'up' | 'down') => void;
	#counted: readonly Counted[] = [];
	#cancel: Cancel = () => {};

	constructor(options: {
		readonly clock: Clock;
		readonly processes: Processes;
		readonly log: Log;
		readonly onResult: (name: string, result: 'up' | 'down') => void;
	}) {
		this.#clock = options.clock;
		this.#processes = options.processes;
		this.#log = options.log;
		this.#onResult = options.onResult;
	}

	/** Those that were counted before keep what is known of them. */
	configure(all: readonly TrackedProcess[]): void {
		this.#counted = all.map(tracked => {
			const known = this.#counted.find(({tracked: {name}}) => name === tracked.name);
			return {tracked, up: known?.up ?? null, sinceUs: null};
		});
		this.stop();
		if (all.length > 0) this.#scan();
	}

	stop(): void {
		this.#cancel();
	}

	#scan(): void {
		const startUs = this.#clock.nowUs();
		const running = this.#processes.list({commands: this.#counted.some(({tracked}) => tracked.fullCommand)});
		for (const counted of this.#counted) {
			this.#count(counted, running.filter(process => matches(counted.tracked, process)).length);
		}
		const tookUs = this.#clock.nowUs() - startUs;
		this.#cancel = this.#clock.after(Math.max(SCAN_US, tookUs * IDLE_PARTS), 'processes', () => this.#scan());
	}

	/** A change counts when it has lasted for its delay. */
	#count(counted: Counted, count: number): void {
		const {name, quorum, quorumMax, upDelayUs, downDelayUs} = counted.tracked;
		const up = quorum <= count && count <= quorumMax;
		if (up === counted.up) {
			counted.sinceUs = null;
			return;
		}
		counted.sinceUs ??= this.#clock.nowUs();
		const lastedUs = this.#clock.nowUs() - counted.sinceUs;
		if (counted.up !== null && lastedUs < (up ? upDelayUs : downDelayUs)) return;
		if (counted.up !== null) this.#log.info({}, `Quorum ${up ? 'gained' : 'lost'} for tracked process ${name}`);
		counted.up = up;
		counted.sinceUs = null;
		this.#onResult(name, up ? 'up' : 'down');
	}
}
