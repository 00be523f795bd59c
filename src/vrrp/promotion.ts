import type {Link, Netlink} from '../host/host.js';
import type {Log} from '../log.js';

/**
 * `promote_secondaries` on the interfaces that ask for it, where it was off; and off again when nobody asks any more. Without
 * it, removing one address of a network removes those that were added after it.
 */
export class Promotion {
	readonly #netlink: Netlink;
	readonly #log: Log;
	/** Indices of the interfaces that we have switched. */
	readonly #switched = new Set<number>();

	constructor(netlink: Netlink, log: Log) {
		this.#netlink = netlink;
		this.#log = log;
	}

	/** `interfaces` are the names of those that ask. */
	async enforce(interfaces: ReadonlySet<string>, links: readonly Link[]): Promise<void> {
		const asking = links.filter(({name}) => interfaces.has(name));
		for (const {ifindex, promotesSecondaries} of asking) if (!promotesSecondaries) await this.#switch(ifindex, true);
		const indices = new Set(asking.map(({ifindex}) => ifindex));
		for (const ifindex of this.#switched) if (!indices.has(ifindex)) await this.#switch(ifindex, false);
	}

	async #switch(ifindex: number, on: boolean): Promise<void> {
		if (on) this.#switched.add(ifindex);
		else this.#switched.delete(ifindex);
		try {
			await this.#netlink.configureLink(ifindex, {promote_secondaries: Number(on)});
		} catch (error) {
			// An interface that is gone has taken the setting along.
			const gone = error instanceof Error && 'code' in error && error.code === 'ENODEV';
			if (!gone) this.#log.warn({error: String(error)}, 'cannot set promote_secondaries');
		}
	}
}
