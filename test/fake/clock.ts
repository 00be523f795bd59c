import type {Cancel, Clock} from '../../src/host/host.js';

interface Pending {
	readonly dueUs: number;
	readonly order: number;
	readonly name: string;
	readonly fn: () => void;
}

/** Time that passes only when a test says so. */
export class FakeClock implements Clock {
	#nowUs = 0;
	#order = 0;
	#broken: unknown;
	readonly #pending = new Set<Pending>();

	nowUs(): number {
		return this.#nowUs;
	}

	wall(): Date {
		return new Date(this.#nowUs / 1000);
	}

	after(us: number, name: string, fn: () => void): Cancel {
		if (!Number.isInteger(us) || us < 0) throw new Error(`timer ${name}: ${us} is not a whole number of microseconds`);
		const pending = {dueUs: this.#nowUs + us, order: this.#order++, name, fn};
		this.#pending.add(pending);
		return () => this.#pending.delete(pending);
	}

	/** Names of the timers that are running. */
	timers(): string[] {
		return [...this.#pending].map(pending => pending.name).sort();
	}

	/**
	 * Lets time pass, running timers in the order they are due, those they set included. Refuses to go on after a timer
	 * has thrown: what follows would be the behaviour of a program that has crashed.
	 */
	advance(us: number): void {
		if (this.#broken !== undefined) throw new Error('the clock stopped at an exception', {cause: this.#broken});
		const endUs = this.#nowUs + us;
		for (let next = this.#next(endUs); next !== undefined; next = this.#next(endUs)) {
			this.#pending.delete(next);
			this.#nowUs = next.dueUs;
			this.#run(next);
		}
		this.#nowUs = endUs;
	}

	#run(pending: Pending): void {
		try {
			pending.fn();
		} catch (error) {
			this.#broken = error;
			throw error;
		}
	}

	#next(endUs: number): Pending | undefined {
		let next: Pending | undefined;
		for (const pending of this.#pending) {
			if (pending.dueUs > endUs) continue;
			const sooner =
				next === undefined ||
				pending.dueUs < next.dueUs ||
				(pending.dueUs === next.dueUs && pending.order < next.order);
			if (sooner) next = pending;
		}
		return next;
	}
}

export const seconds = (count: number): number => Math.round(count * 1_000_000);
export const milliseconds = (count: number): number => Math.round(count * 1_000);
