/** Watches that maps and NICs stay as they were left: whoever else changes them, by accident or on purpose, is noticed. */
import type {Cancel, Clock} from './host/host.js';
import type {Log} from './log.js';
import type {Reconciler} from './reconcile.js';

/** After the end of one comparison, which at 1,000 services of 10 backends takes some 0.1 s of CPU, the next begins. */
const COMPARE_US = 10_000_000;
/** The kernel sends no event when a link is detached or a map changed; to ask for some takes half a millisecond. */
const GLANCE_US = 100_000;

export interface DriftSeams {
	readonly reconciler: Pick<Reconciler, 'glance' | 'reattach' | 'repair'>;
	readonly clock: Clock;
	readonly log: Log;
}

/** Compares and repairs from time to time, and counts what it had to. */
export class DriftWatch {
	readonly #seams: DriftSeams;
	readonly #counts = new Map<string, number>();
	readonly #cancels = new Map<string, Cancel>();
	#stopped = false;

	constructor(seams: DriftSeams) {
		this.#seams = seams;
		this.#scheduleLinks();
		this.#scheduleGlance(GLANCE_US);
		this.#scheduleMaps();
	}

	/** Entries that were not as they had been written, by the name of the map; `links` and `pins` are no maps, but watched as well. */
	counts(): Readonly<Record<string, number>> {
		return Object.fromEntries(this.#counts);
	}

	stop(): void {
		this.#stopped = true;
		for (const cancel of this.#cancels.values()) cancel();
	}

	#scheduleLinks(): void {
		this.#after(GLANCE_US, 'look at links', () => this.#lookAtLinks());
	}

	#scheduleGlance(afterUs: number): void {
		this.#after(afterUs, 'glance at maps', () => this.#glance());
	}

	#scheduleMaps(): void {
		this.#after(COMPARE_US, 'compare maps', () => void this.#compare());
	}

	#after(us: number, name: string, act: () => void): void {
		if (!this.#stopped) this.#cancels.set(name, this.#seams.clock.after(us, name, act));
	}

	#lookAtLinks(): void {
		const links = this.#seams.reconciler.reattach();
		if (links > 0) this.#count('links', links);
		this.#scheduleLinks();
	}

	/** What failed is not tried again ten times a second. */
	#glance(): void {
		try {
			this.#repaired(this.#seams.reconciler.glance());
			this.#scheduleGlance(GLANCE_US);
		} catch (error) {
			this.#failed(error);
			this.#scheduleGlance(COMPARE_US);
		}
	}

	async #compare(): Promise<void> {
		try {
			this.#repaired(await this.#seams.reconciler.repair());
		} catch (error) {
			this.#failed(error);
		}
		this.#scheduleMaps();
	}

	#failed(error: unknown): void {
		if (!this.#stopped) this.#seams.log.error({error}, 'the maps could not be compared with what they should hold');
	}

	#repaired(found: ReadonlyMap<string, number>): void {
		for (const [map, entries] of found) this.#count(map, entries);
	}

	#count(map: string, entries: number): void {
		this.#counts.set(map, (this.#counts.get(map) ?? 0) + entries);
		this.#seams.log.warn({map, entries}, 'somebody else has changed what is ours: repaired');
	}
}
