import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {createInterface} from 'node:readline';
import {inside} from './namespace.js';
import {waitFor} from './wait.js';

const PERIOD_MS = 5;
/** An answer that is later than this comes from a packet that waited for somebody to have the address. */
const PROMPT_MS = 250;

/** What came of a stream of pings. */
export interface PingLoss {
	readonly sent: number;
	/** Without a prompt answer, though a later one had one. */
	readonly lost: number;
	/** The longest time without one. */
	readonly gapMs: number;
}

/** A ping every 5 ms: to a virtual address, it shows whether somebody has it and its neighbours know who. */
export class Pings {
	readonly #child: ChildProcess;
	/** Numbers of those that were answered promptly. */
	readonly #answered = new Set<number>();

	private constructor(child: ChildProcess) {
		this.#child = child;
		if (child.stdout === null) throw new Error('ping has no output');
		createInterface(child.stdout).on('line', line => {
			const [, number, ms] = /icmp_seq=(\d+) .*time=([\d.]+)/.exec(line) ?? [];
			if (number !== undefined && Number(ms) < PROMPT_MS) this.#answered.add(Number(number));
		});
	}

	/** Resolves when the first ones were answered. */
	static async start(namespace: string, address: string): Promise<Pings> {
		const ping = ['ping', '-n', '-i', String(PERIOD_MS / 1000), address];
		const [command = '', ...args] = [...inside(namespace), ...ping];
		const pings = new Pings(spawn(command, args, {stdio: ['ignore', 'pipe', 'ignore'], detached: true}));
		await waitFor(`${address} answers pings`, () => pings.#answered.size > 10);
		return pings;
	}

	async stop(): Promise<PingLoss> {
		this.#child.kill('SIGINT');
		await once(this.#child, 'close');
		const numbers = [...this.#answered].sort((a, b) => a - b);
		const first = numbers[0] ?? 0;
		const sent = (numbers.at(-1) ?? 0) - first + 1;
		const gaps = numbers.slice(1).map((number, at) => number - (numbers[at] ?? 0));
		return {sent, lost: sent - numbers.length, gapMs: (Math.max(1, ...gaps) - 1) * PERIOD_MS};
	}
}
