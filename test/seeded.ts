/** A small generator of reproducible numbers (Numerical Recipes' LCG): `below(n)` is in [0, n). */
export class Seeded {
	#state: number;

	constructor(seed: number) {
		this.#state = seed >>> 0;
	}

	below(n: number): number {
		this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
		return Math.floor((this.#state / 2 ** 32) * n);
	}

	flip(): boolean {
		return this.below(2) === 1;
	}
}
