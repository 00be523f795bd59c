/** How long a change of a link must last before it counts (`interface_up_down_delays`). */
import type {LinkDelay} from '../conf/model.js';
import type {Cancel, Clock, Link} from '../host/host.js';

/** What is believed of a link. */
interface Belief {
	readonly running: boolean;
	/** It has been up since we look. */
	readonly wasUp: boolean;
	/** Since when the kernel says otherwise; null: it does not. */
	readonly doubtedUs: number | null;
}

/**
 * Holds back news of links that may be over before their time. As in keepalived, what has no delay, an interface that is
 * there for the first time or is gone, and the first time that a link is up, count at once.
 */
export class LinkDelays {
	/** In force from the next look on. */
	delays: readonly LinkDelay[] = [];
	readonly #clock: Clock;
	readonly #onDue: () => void;
	/** By index of the interface. */
	#beliefs: ReadonlyMap<number, Belief> = new Map();
	#cancelTimer: Cancel = () => {};

	/** `onDue` is called when a change has lasted, and is to look at the links again. */
	constructor(clock: Clock, onDue: () => void) {
		this.#clock = clock;
		this.#onDue = onDue;
	}

	/** The links as they count, where the kernel has `links` now. */
	settle(links: readonly Link[]): readonly Link[] {
		const nowUs = this.#clock.nowUs();
		const settled = links.map(link => ({link, belief: this.#believe(link, nowUs)}));
		this.#beliefs = new Map(settled.map(({link, belief}) => [link.ifindex, belief]));
		this.#awaitNext(settled, nowUs);
		return settled.map(({link, belief: {running}}) => ({...link, running}));
	}

	stop(): void {
		this.#cancelTimer();
	}

	#believe(link: Link, nowUs: number): Belief {
		const {ifindex, running} = link;
		const before = this.#beliefs.get(ifindex);
		const settled = {running, wasUp: running || before?.wasUp === true, doubtedUs: null};
		if (before === undefined || running === before.running || (running && !before.wasUp)) return settled;
		const doubtedUs = before.doubtedUs ?? nowUs;
		return nowUs < doubtedUs + this.#delayUs(link) ? {...before, doubtedUs} : settled;
	}

	/** Until what the kernel says now counts. */
	#delayUs({name, running}: Link): number {
		const delay = this.delays.find(delay => delay.name === name);
		return (running ? delay?.upUs : delay?.downUs) ?? 0;
	}

	#awaitNext(settled: readonly {readonly link: Link; readonly belief: Belief}[], nowUs: number): void {
		this.#cancelTimer();
		const due = settled.flatMap(({link, belief: {doubtedUs}}) =>
			doubtedUs === null ? [] : [doubtedUs + this.#delayUs(link)],
		);
		if (due.length === 0) return;
		this.#cancelTimer = this.#clock.after(Math.min(...due) - nowUs, 'a link has changed for good', this.#onDue);
	}
}
