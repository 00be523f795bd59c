import type {FromVrrp} from './protocol.js';

/** Of these the daemon wants to hear even if it, or another one, comes later. */
const NEWS: ReadonlySet<FromVrrp['kind']> = new Set(['transition', 'rival', 'priority', 'log']);
/** A hundred instances that change their state some times each. */
const NEWS_MAX = 1000;

/** Takes a message, or says that there is no room now; `sent` is to be called when there is again. */
export type Taker = (message: FromVrrp) => boolean;

/** What is on its way to the daemon. While there is none, or it does not read, the latest news wait for it. */
export class Outbox {
	#taker: Taker | null = null;
	readonly #waiting: FromVrrp[] = [];
	#lost = 0;

	/** Sends to this one from now on, what has waited first. */
	connect(taker: Taker): void {
		this.#taker = taker;
		this.flush();
	}

	disconnect(): void {
		this.#taker = null;
		// Answers were for the one that asked.
		const news = this.#waiting.filter(({kind}) => NEWS.has(kind));
		this.#waiting.splice(0, Number.POSITIVE_INFINITY, ...news);
	}

	send(message: FromVrrp): void {
		if (this.#taker === null && !NEWS.has(message.kind)) return;
		this.#waiting.push(message);
		this.flush();
		if (this.#waiting.length <= NEWS_MAX) return;
		this.#waiting.shift();
		this.#lost++;
	}

	/** There may be room again. */
	flush(): void {
		if (this.#lost > 0 && this.#taker?.(this.#confession())) this.#lost = 0;
		for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
			if (!this.#taker?.(next)) return;
			this.#waiting.shift();
		}
	}

	#confession(): FromVrrp {
		const text = `${this.#lost} messages of lbd-vrrp were lost while lbd did not read them`;
		return {kind: 'log', level: 'warn', fields: {}, text};
	}
}
