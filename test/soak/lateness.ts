import {monotonicMs} from '../../lab/wait.js';

const PERIOD_MS = 20;

/** By how much this machine is late: a timer is asked for all the time, and what is not its fault is nobody's. */
export class Lateness {
	readonly #timer: NodeJS.Timeout;
	#dueMs = monotonicMs() + PERIOD_MS;
	#worstMs = 0;
	#worstOfAllMs = 0;

	constructor() {
		this.#timer = setInterval(() => this.#look(), PERIOD_MS);
	}

	#look(): void {
		const nowMs = monotonicMs();
		this.#worstMs = Math.max(this.#worstMs, nowMs - this.#dueMs);
		this.#worstOfAllMs = Math.max(this.#worstOfAllMs, this.#worstMs);
		this.#dueMs = nowMs + PERIOD_MS;
	}

	/** The most since the last call. */
	worstMs(): number {
		const worstMs = this.#worstMs;
		this.#worstMs = 0;
		return worstMs;
	}

	/** Looks no more; the most of all. */
	end(): number {
		clearInterval(this.#timer);
		return this.#worstOfAllMs;
	}
}
