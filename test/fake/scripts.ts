import {setImmediate} from 'node:timers/promises';
import type {Script} from '../../src/conf/model.js';
import type {ScriptEnd, Scripts} from '../../src/host/host.js';

interface Running {
	readonly argv: readonly string[];
	readonly timeoutUs: number;
	readonly aborted: () => boolean;
	end(end: ScriptEnd): void;
}

/** Scripts that end when and how a test says; programs that it has not named are refused. */
export class FakeScripts implements Scripts {
	/** Those that run now, oldest first. */
	readonly running: Running[] = [];
	readonly #known: ReadonlySet<string>;
	started = 0;

	constructor(...known: readonly string[]) {
		this.#known = new Set(known);
	}

	run({argv}: Script, {timeoutUs, signal}: {timeoutUs: number; signal?: AbortSignal}): Promise<ScriptEnd> {
		if (!this.#known.has(argv[0])) throw new Error(`nobody expects ${argv.join(' ')}`);
		this.started++;
		return new Promise(resolve => {
			const running: Running = {
				argv,
				timeoutUs,
				aborted: () => signal?.aborted ?? false,
				end: end => {
					this.running.splice(this.running.indexOf(running), 1);
					resolve(end);
				},
			};
			this.running.push(running);
		});
	}

	/** Ends the oldest one, and lets whoever waited for it act. */
	async end(end: ScriptEnd): Promise<void> {
		const [oldest] = this.running;
		if (oldest === undefined) throw new Error('no script runs');
		oldest.end(end);
		await setImmediate();
	}

	async exit(status: number): Promise<void> {
		await this.end({kind: 'exited', status});
	}
}
