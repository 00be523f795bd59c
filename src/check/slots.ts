import type {Cancel} from '../host/host.js';

/** Lets at most `count` tasks run at once; the others wait their turn, first come first served. */
export class Slots {
	#free: number;
	/** A set, because it keeps the order of arrival and lets a waiter leave from the middle. */
	readonly #waiting = new Set<() => void>();

	constructor(count: number) {
		this.#free = count;
	}

	/**
	 * Calls `start` at once or when a slot is free; the task says `done` once, later, or is cancelled by what `start`
	 * returns. The cancel that `run` returns leaves the queue, or cancels the task and frees its slot.
	 */
	run(start: (done: () => void) => Cancel): Cancel {
		const begin = () => {
			const cancel = start(() => this.#release());
			stop = () => {
				cancel();
				this.#release();
			};
		};
		let stop: Cancel = () => void this.#waiting.delete(begin);
		if (this.#free > 0) {
			this.#free--;
			begin();
		} else {
			this.#waiting.add(begin);
		}
		return () => stop();
	}

	#release(): void {
		const [next] = this.#waiting;
		if (next === undefined) {
			this.#free++;
			return;
		}
		this.#waiting.delete(next);
		next();
	}
}
