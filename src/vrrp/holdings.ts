import type {Instance, VirtualAddress} from '../conf/model.js';
import type {AddressEntry, Link, Netlink} from '../host/host.js';
import type {Log} from '../log.js';

/**
 * Which of an instance's virtual addresses are on this machine's interfaces, and the requests that put them there and take
 * them off. rtnetlink carries a request out before the call that sends it returns, so requests keep their order among the
 * other effects although nobody waits for their answers.
 */
export class Holdings {
	readonly #netlink: Netlink;
	readonly #log: Log;
	/** By address, as they were found or added. */
	readonly #held = new Map<string, AddressEntry>();
	/** Requests that the kernel has not answered. */
	readonly #pending = new Set<Promise<void>>();

	constructor(netlink: Netlink, log: Log) {
		this.#netlink = netlink;
		this.#log = log;
	}

	/** Takes over what an earlier run has left behind. */
	adopt(instance: Instance, links: readonly Link[], addresses: readonly AddressEntry[]): void {
		for (const entry of ownEntries(instance, links, addresses)) this.#held.set(entry.address, entry);
	}

	addAll(instance: Instance, links: readonly Link[]): void {
		for (const virtual of virtualAddresses(instance)) if (!this.#held.has(virtual.address)) this.#add(virtual, links);
	}

	removeAll(): void {
		for (const entry of this.#held.values()) this.#remove(entry);
	}

	/** Takes off what is not, or not so, in a new configuration. */
	removeUnwanted(instance: Instance): void {
		const wanted = new Set(virtualAddresses(instance).map(({address, prefix}) => `${address}/${prefix}`));
		for (const entry of this.#held.values()) {
			if (!wanted.has(`${entry.address}/${entry.prefix}`)) this.#remove(entry);
		}
	}

	/** The addresses that we held and that are not there any more; they count as not held from now on. */
	noticeLost(instance: Instance, links: readonly Link[], addresses: readonly AddressEntry[]): string[] {
		const present = new Set(ownEntries(instance, links, addresses).map(entry => entry.address));
		const lost = [...this.#held.keys()].filter(address => !present.has(address));
		for (const address of lost) this.#held.delete(address);
		return lost;
	}

	/** Resolves when the kernel has answered every request. */
	async settled(): Promise<void> {
		await Promise.all(this.#pending);
	}

	#add(virtual: VirtualAddress, links: readonly Link[]): void {
		const {address, prefix, scope, label, broadcast, device} = virtual;
		const link = links.find(candidate => candidate.name === device);
		if (link === undefined) {
			this.#log.error({address, device}, `cannot add ${address}: no interface ${device}`);
			return;
		}
		const entry = {ifindex: link.ifindex, address, prefix, scope, label, broadcast, secondary: false};
		this.#held.set(address, entry);
		this.#watch(this.#netlink.addAddress(entry), 'EEXIST', `add ${address}`, () => this.#held.delete(address));
	}

	#remove(entry: AddressEntry): void {
		this.#held.delete(entry.address);
		this.#watch(this.#netlink.deleteAddress(entry), 'EADDRNOTAVAIL', `remove ${entry.address}`, () => {});
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

function ownEntries(
	instance: Instance,
	links: readonly Link[],
	addresses: readonly AddressEntry[],
): readonly AddressEntry[] {
	const indexOf = new Map(links.map(link => [link.name, link.ifindex]));
	return virtualAddresses(instance).flatMap(({address, device}) =>
		addresses.filter(entry => entry.address === address && entry.ifindex === indexOf.get(device)),
	);
}
