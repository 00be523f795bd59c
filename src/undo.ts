/** What must be taken back, last first: when a start fails half-way, and at the end. */
export class Undo {
	readonly #steps: Array<() => void | Promise<void>> = [];

	/** Remembers how to take back what has just been done. */
	add(step: () => void | Promise<void>): void {
		this.#steps.push(step);
	}

	/** Takes everything back, whatever a step throws; the first error is thrown at the end. */
	async all(): Promise<void> {
		const errors: unknown[] = [];
		for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
			try {
				await step();
			} catch (error) {
				errors.push(error);
			}
		}
		if (errors.length > 0) throw errors[0];
	}
}
