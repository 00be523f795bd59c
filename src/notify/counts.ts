/** How notifications ended, by the way they take. */
export type Channel = 'script' | 'fifo' | 'mail';

/** `failed`: it was tried in vain. `lost`: there was no room to let it wait. */
export type Outcome = 'delivered' | 'failed' | 'lost';

export class Counts {
	readonly #counts: Record<Channel, Record<Outcome, number>> = {
		script: {delivered: 0, failed: 0, lost: 0},
		fifo: {delivered: 0, failed: 0, lost: 0},
		mail: {delivered: 0, failed: 0, lost: 0},
	};

	add(channel: Channel, outcome: Outcome, count = 1): void {
		this.#counts[channel][outcome] += count;
	}

	read(): Readonly<Record<Channel, Readonly<Record<Outcome, number>>>> {
		return structuredClone(this.#counts);
	}
}
