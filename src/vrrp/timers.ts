import type {Cancel, Clock} from '../host/host.js';
import type {TimerName} from './machine.js';

interface Timer {
	readonly dueUs: number;
	readonly cancel: Cancel;
}

/**
 * The timers of one instance, at most one of each name. After a stall the event loop runs timers before it reads sockets,
 * and a backup would take over from a master whose adverts lie waiting. So `drain` is called first, which empties the
 * sockets, and only a timer that survives that has expired.
 */
export class Timers {
	readonly #clock: Clock;
	readonly #owner: string;
	readonly #drain: () => void;
	readonly #onExpired: (name: TimerName) => void;
	readonly #running = new Map<TimerName, Timer>();
	#latenessMaxUs = 0;

	/** `owner` is for diagnostics. */
	constructor(clock: Clock, owner: string, drain: () => void, onExpired: (name: TimerName) => void) {
		this.#clock = clock;
		this.#owner = owner;
		this.#drain = drain;
		this.#onExpired = onExpired;
	}

	/** How late the latest of all timers came. */
	get latenessMaxUs(): number {
		return this.#latenessMaxUs;
	}

	set(name: TimerName, us: number): void {
		this.cancel(name);
		const dueUs = this.#clock.nowUs() + us;
		const cancel = this.#clock.after(us, `${this.#owner}: ${name}`, () => this.#fired(name, timer));
		const timer: Timer = {dueUs, cancel};
		this.#running.set(name, timer);
	}

	/** Makes a running timer expire in `us`, unless it does earlier anyway. */
	shorten(name: TimerName, us: number): void {
		const timer = this.#running.get(name);
		if (timer !== undefined && timer.dueUs > this.#clock.nowUs() + us) this.set(name, us);
	}

	/** Lets a running timer expire `us` later, or earlier where that is negative, but not before now. */
	shift(name: TimerName, us: number): void {
		const timer = this.#running.get(name);
		if (timer !== undefined) this.set(name, Math.max(0, timer.dueUs - this.#clock.nowUs() + us));
	}

	cancel(name: TimerName): void {
		this.#running.get(name)?.cancel();
		this.#running.delete(name);
	}

	cancelAll(): void {
		for (const name of this.#running.keys()) this.cancel(name);
	}

	#fired(name: TimerName, timer: Timer): void {
		this.#latenessMaxUs = Math.max(this.#latenessMaxUs, this.#clock.nowUs() - timer.dueUs);
		this.#drain();
		if (this.#running.get(name) !== timer) return;
		this.#running.delete(name);
		this.#onExpired(name);
	}
}
