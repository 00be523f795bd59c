/** What the orders are about. */
interface Obedient {
	reload(): unknown;
	stop(): unknown;
}

/**
 * What signals ask for: SIGTERM and SIGINT a stop, SIGHUP a reload. To be there from the process's first moment on, since a
 * signal nobody listens to ends it out of order; so it imports nothing.
 */
export class Orders {
	readonly #stop = new AbortController();
	#reload = false;
	#daemon: Obedient | null = null;

	constructor() {
		for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => this.#onStop());
		process.on('SIGHUP', () => this.#onReload());
	}

	/** For what is under way before there is a daemon. */
	get stop(): AbortSignal {
		return this.#stop.signal;
	}

	/** Gives the orders to the daemon from now on; those that came earlier, at once. */
	giveTo(daemon: Obedient): void {
		this.#daemon = daemon;
		if (this.stop.aborted) daemon.stop();
		else if (this.#reload) daemon.reload();
	}

	#onStop(): void {
		this.#stop.abort();
		this.#daemon?.stop();
	}

	#onReload(): void {
		this.#reload = true;
		this.#daemon?.reload();
	}
}
