/** Watches that the maps stay as they were written: whoever else changes them, by accident or on purpose, is noticed. */
import type {Cancel, Clock} from './host/host.js';
import type {Log} from './log.js';
import type {Reconciler} from './reconcile.js';

/** After the end of one comparison, which at 1,000 services of 10 backends takes some 0.1 s of CPU, the next begins. */
const COMPARE_US = 10_000_000;

export interface DriftSeams {
	readonly reconciler: Pick<Reconciler, 'repair'>;
	readonly clock: Clock;
	readonly log: Log;
}

/** Compares and repairs from time to time, and counts what it had to. */
export class DriftWatch {
	readonly #seams: DriftSeams;
	readonly #counts = new Map<string, number>();
	#cancel: Cancel = () => {};
	#stopped = false;

	constructor(seams: DriftSeams) {
		this.#seams = seams;
		this.#schedule();
	}

	/** Entries that were not as they had been written, by the name of the map; `links` and `pins` are no maps, but watched as well. */
	counts(): Readonly<Record<string, number>> {
		return Object.fromEntries(this.#counts);
	}

	stop(): void {
		this.#stopped = true;
		this.#cancel();
	}

	#schedule(): void {
		if (!this.#stopped) this.#cancel = this.#seams.clock.after(COMPARE_US, 'compare maps', () => void this.#compare());
	}

	async #compare(): Promise<void> {
		const {reconciler, log} = this.#seams;
		try {
			for (const [map, entries] of await reconciler.repair()) {
				this.#counts.set(map, (this.#counts.get(map) ?? 0) + entries);
				log.warn({map, entries}, 'somebody else has changed what is ours: repaired');
			}
		} catch (error) {
			if (!this.#stopped) log.error({error}, 'the maps could not be compared with what they should hold');
		}
		this.#schedule();
	}
}
