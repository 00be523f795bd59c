import type {Script} from '../conf/model.js';
import type {ScriptEnd, Scripts} from '../host/host.js';
import type {Log} from '../log.js';
import type {Counts} from './counts.js';

/** Events of one subject that wait while the scripts of an earlier one run. */
const WAITING_MAX = 16;
/** Events whose scripts run at the same time, all subjects together. */
const RUNNING_MAX = 64;

/**
 * Runs scripts in the order of events, subject by subject: those of one event together, those of the next one when they
 * have ended. keepalived starts them all at once, and a change of mind within a second may end the wrong way round.
 */
export class ScriptQueue {
	readonly #scripts: Scripts;
	readonly #log: Log;
	readonly #counts: Counts;
	readonly #timeoutUs: () => number;
	/** One for each script that runs. */
	readonly #aborts = new Set<AbortController>();
	/** What waits, by subject; a subject whose scripts run is there with what comes after them. */
	readonly #waiting = new Map<string, (readonly Script[])[]>();
	/** Subjects that have something to run and run nothing, in the order in which their turn comes. */
	readonly #ready: string[] = [];
	#running = 0;
	#onIdle: () => void = () => {};

	constructor(options: {
		readonly scripts: Scripts;
		readonly log: Log;
		readonly counts: Counts;
		readonly timeoutUs: () => number;
	}) {
		this.#scripts = options.scripts;
		this.#log = options.log;
		this.#counts = options.counts;
		this.#timeoutUs = options.timeoutUs;
	}

	add(subject: string, scripts: readonly Script[]): void {
		if (scripts.length === 0) return;
		const waiting = this.#waiting.get(subject);
		if (waiting === undefined) {
			this.#waiting.set(subject, [scripts]);
			this.#ready.push(subject);
			this.#startReady();
			return;
		}
		waiting.push(scripts);
		if (waiting.length > WAITING_MAX) this.#lose(subject, waiting.shift() ?? []);
	}

	/** Resolves when nothing runs and nothing waits. */
	idle(): Promise<void> {
		if (this.#waiting.size === 0) return Promise.resolve();
		return new Promise(resolve => {
			this.#onIdle = resolve;
		});
	}

	/** Drops what waits and ends what runs. */
	close(): void {
		for (const [subject, waiting] of this.#waiting) {
			for (const scripts of waiting.splice(0)) this.#lose(subject, scripts);
		}
		for (const abort of this.#aborts) abort.abort();
	}

	/** The later of two states is the one that holds, so the older goes. */
	#lose(subject: string, scripts: readonly Script[]): void {
		this.#counts.add('script', 'lost', scripts.length);
		this.#log.error({subject, scripts: scripts.map(({argv}) => argv)}, 'notify scripts are not run: too many wait');
	}

	#startReady(): void {
		while (this.#running < RUNNING_MAX) {
			const subject = this.#ready.shift();
			if (subject === undefined) return;
			this.#running++;
			void this.#runNext(subject);
		}
	}

	async #runNext(subject: string): Promise<void> {
		const next = this.#waiting.get(subject)?.shift() ?? [];
		await Promise.all(next.map(script => this.#run(subject, script)));
		this.#running--;
		if (this.#waiting.get(subject)?.length === 0) this.#waiting.delete(subject);
		else this.#ready.push(subject);
		if (this.#waiting.size === 0) this.#onIdle();
		this.#startReady();
	}

	async #run(subject: string, script: Script): Promise<void> {
		const abort = new AbortController();
		this.#aborts.add(abort);
		const end = await this.#scripts.run(script, {timeoutUs: this.#timeoutUs(), signal: abort.signal});
		this.#aborts.delete(abort);
		const delivered = end.kind === 'exited' && end.status === 0;
		this.#counts.add('script', delivered ? 'delivered' : 'failed');
		if (!delivered) this.#log.warn({subject, script: script.argv}, `notify script ${script.argv[0]}: ${endWords(end)}`);
	}
}

/** How a script ended, for people. */
export function endWords(end: ScriptEnd): string {
	switch (end.kind) {
		case 'exited':
			return `exit status ${end.status}`;
		case 'signalled':
			return `ended by ${end.signal}`;
		case 'timeout':
			return 'took too long and was ended';
		case 'failed':
			return `not run: ${end.reason}`;
		default:
			return end satisfies never;
	}
}
