import type {Instance, VirtualAddress} from '../conf/model.js';
import type {Address, AddressEntry, Link, Netlink, NewAddress} from '../host/host.js';
import type {Log} from '../log.js';

/**
 * Which of an instance's virtual addresses are on this machine's interfaces, and the requests that put them there and take
 * them off. rtnetlink carries a request out before the call that sends it returns, so requests keep their order among the
 * other effects although nobody waits for their answers.
 */
export class Holdings {
	readonly #netlink: Netlink;
	readonly #log: Log;
	/** As they were found or added, see `keyOf`. */
	readonly #held = new Map<string, Address>();
	/** Requests that the kernel has not answered. */
	readonly #pending = new Set<Promise<void>>();

	constructor(netlink: Netlink, log: Log) {
		this.#netlink = netlink;
		this.#log = log;
	}

	/** Takes over what an earlier run has left behind. */
	adopt(instance: Instance, links: readonly Link[], addresses: readonly AddressEntry[]): void {
		const own = new Set(targets(instance, links).map(keyOf));
		for (const entry of addresses) if (own.has(keyOf(entry))) this.#held.set(keyOf(entry), entry);
	}

	addAll(instance: Instance, links: readonly Link[]): void {
		for (const target of targets(instance, links)) if (!this.#held.has(keyOf(target))) this.#add(target);
	}

	removeAll(): void {
		for (const entry of this.#held.values()) this.#remove(entry);
	}

	/** Takes off what is not, or not so, in a new configuration. */
	removeUnwanted(instance: Instance, links: readonly Link[]): void {
		const wanted = new Map(targets(instance, links).map(target => [keyOf(target), target]));
		for (const held of this.#held.values()) {
			if (wanted.get(keyOf(held))?.prefix !== held.prefix) this.#remove(held);
		}
	}

	/** The addresses that we held and that are not there any more; they count as not held from now on. */
	noticeLost(addresses: readonly AddressEntry[]): string[] {
		const present = new Set(addresses.map(keyOf));
		const lost = [...this.#held].filter(([key]) => !present.has(key));
		for (const [key] of lost) this.#held.delete(key);
		return lost.map(([, {address}]) => address);
	}

	/** Resolves when the kernel has answered every request. */
	async settled(): Promise<void> {
		await Promise.all(this.#pending);
	}

	#add(target: NewAddress): void {
		const key = keyOf(target);
		this.#held.set(key, target);
		this.#watch(this.#netlink.addAddress(target), 'EEXIST', `add ${target.address}`, () => this.#held.delete(key));
	}

	#remove(held: Address): void {
		this.#held.delete(keyOf(held));
		this.#watch(this.#netlink.deleteAddress(held), 'EADDRNOTAVAIL', `remove ${held.address}`, () => {});
	}

	/** `harmless` is the refusal that says the kernel is already where we want it. */
	#watch(answer: Promise<void>, harmless: string, what: string, onFailure: () => void): void {
		const watched = answer.catch((error: unknown) => {
			if (error instanceof Error && 'code' in error && error.code === harmless) return;
			onFailure();
			this.#log.error({error: String(error)}, `cannot ${what}`);
		});
		this.#pending.add(watched);
		void watched.finally(() => this.#pending.delete(watched));
	}
}

/** Those that go into adverts, and those that do not. */
export function virtualAddresses(instance: Instance): readonly VirtualAddress[] {
	return [...instance.addresses, ...instance.excludedAddresses];
}

/** What there is to hold, without what should be on interfaces that do not exist now. */
function targets(instance: Instance, links: readonly Link[]): readonly NewAddress[] {
	return virtualAddresses(instance).flatMap(({device, address, prefix, scope, label, broadcast, preferredS}) => {
		const link = links.find(candidate => candidate.name === device);
		return link === undefined ? [] : [{ifindex: link.ifindex, address, prefix, scope, label, broadcast, preferredS}];
	});
}

/** A link-local address may be on several links. */
function keyOf({ifindex, address}: Address): string {
	return `${ifindex} ${address}`;
}
