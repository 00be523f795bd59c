import type {Script} from '../../src/conf/model.js';
import type {ScriptEnd, Scripts} from '../../src/host/host.js';

type Options = Parameters<Scripts['run']>[1];

interface Running {
	readonly words: string;
	readonly options: Options;
	readonly settle: (end: ScriptEnd) => void;
}

/** Programs that run until the test ends them. One is known by its argv, joined by blanks. */
export class FakeScripts implements Scripts {
	/** All that were started, in order. */
	readonly started: string[] = [];
	readonly #running: Running[] = [];

	run(script: Script, options: Options): Promise<ScriptEnd> {
		const words = script.argv.join(' ');
		this.started.push(words);
		return new Promise(resolve => {
			const running: Running = {
				words,
				options,
				settle: end => {
					this.#running.splice(this.#running.indexOf(running), 1);
					resolve(end);
				},
			};
			this.#running.push(running);
			options.signal?.addEventListener('abort', () => running.settle({kind: 'timeout'}));
		});
	}

	running(): string[] {
		return this.#running.map(({words}) => words);
	}

	/** Ends the oldest one of that name; refuses one that does not run. */
	ends(words: string, end: ScriptEnd = {kind: 'exited', status: 0}): void {
		const running = this.#running.find(candidate => candidate.words === words);
		if (running === undefined) throw new Error(`${words} does not run; what does: ${this.running().join(', ')}`);
		running.settle(end);
	}

	timeoutUs(words: string): number | undefined {
		return this.#running.find(candidate => candidate.words === words)?.options.timeoutUs;
	}
}

/** A script that runs as whoever. */
export function script(program: string, ...args: string[]): Script {
	return {argv: [program, ...args], user: null, group: null, secured: false};
}
