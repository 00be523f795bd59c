import type {Cancel, Clock} from '../host/host.js';
import type {SharingState} from './protocol.js';

/** From the start on, until the others have told us their connections or somebody has waited long enough. */
export class SyncWait {
	readonly #clock: Clock;
	readonly #onEnd: (how: 'in-sync' | 'alone' | 'in vain') => void;
	#cancel: Cancel = () => {};
	#waits = false;

	constructor(options: {clock: Clock; onEnd: (how: 'in-sync' | 'alone' | 'in vain') => void}) {
		this.#clock = options.clock;
		this.#onEnd = options.onEnd;
	}

	get waits(): boolean {
		return this.#waits;
	}

	/** Waits so long at most; 0: not at all. */
	begin(us: number): void {
		if (us === 0) return;
		this.#waits = true;
		this.#cancel = this.#clock.after(us, 'wait for sync', () => this.#end('in vain'));
	}

	/** What lbd-sync says. */
	heard(state: SharingState): void {
		if (state !== 'joining') this.#end(state);
	}

	cancel(): void {
		this.#cancel();
	}

	#end(how: 'in-sync' | 'alone' | 'in vain'): void {
		if (!this.#waits) return;
		this.#waits = false;
		this.#cancel();
		this.#onEnd(how);
	}
}
