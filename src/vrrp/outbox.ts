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
		this.#drop(({kind}) => !NEWS.has(kind));
	}

	#drop(isOld: (message: FromVrrp) => boolean): void {
		const rest = this.#waiting.filter(message => !isOld(message));
		this.#waiting.splice(0, Number.POSITIVE_INFINITY, ...rest);
	}

	send(message: FromVrrp): void {
		if (this.#taker === null && !NEWS.has(message.kind)) return;
		// Whoever asks for it again does not wait for the one before any more.
		if (message.kind === 'status') this.#drop(({kind}) => kind === 'status');
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
