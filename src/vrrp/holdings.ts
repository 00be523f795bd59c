import type {Instance, Statics, VirtualAddress, VirtualRoute, VirtualRule} from '../conf/model.js';
import type {IpRoute, Link, Netlink, NewAddress} from '../host/host.js';
import type {Log} from '../log.js';
import {destinationText, routeSlot} from '../net/netlink/ip-route.js';
import {ruleKey} from '../net/netlink/ip-rule.js';
import {addressKey, type Inventory} from './inventory.js';

/** An address, a route or a rule that the kernel is to have. */
export interface Holding {
	readonly kind: 'address' | 'route' | 'rule';
	/** Alike only for what is the same in all that is said of it. */
	readonly key: string;
	/** What it takes in the kernel's tables: see `addressKey`, `routeSlot` and `ruleKey`. */
	readonly slot: string;
	/** For people: `address 192.168.1.1`. */
	readonly text: string;
	/** Whether it is put back when somebody else removes it. */
	readonly tracked: boolean;
	readonly trackGroup: string | null;
	/** The refusals that say the kernel is already where we want it. */
	readonly alreadyThere: string | null;
	readonly alreadyGone: string;
	add(netlink: Netlink): Promise<void>;
	remove(netlink: Netlink): Promise<void>;
	isIn(inventory: Inventory): boolean;
	/** What an earlier run, perhaps with another configuration, has left of it. */
	remains(inventory: Inventory): readonly Holding[];
}

/** What depends on others goes first, as in keepalived. */
const REMOVAL_ORDER = ['rule', 'route', 'address'] as const;

/**
 * What an instance, or this machine by its static blocks, has in the kernel's tables, and the requests that put it there
 * and take it off. rtnetlink carries a request out before the call that sends it returns, so requests keep their order
 * among the other effects although nobody waits for their answers.
 */
export class Holdings {
	readonly #netlink: Netlink;
	readonly #log: Log;
	readonly #held = new Map<string, Holding>();
	/** Requests that the kernel has not answered. */
	readonly #pending = new Set<Promise<void>>();
	/** What could not be added, with the reason: it is tried again, but not told again. */
	readonly #refused = new Map<string, string>();

	constructor(netlink: Netlink, log: Log) {
		this.#netlink = netlink;
		this.#log = log;
	}

	/** Takes over what an earlier run has left behind. */
	adopt(wanted: readonly Holding[], inventory: Inventory): void {
		for (const found of wanted.flatMap(holding => holding.remains(inventory))) this.#held.set(found.key, found);
	}

	/** Adds what is not held, in the given order. */
	addAll(wanted: readonly Holding[]): void {
		for (const holding of wanted) if (!this.#held.has(holding.key)) this.#add(holding);
	}

	removeAll(): void {
		this.#removeEach([...this.#held.values()]);
	}

	/** Takes off what is not, or not so, in a new configuration. */
	removeUnwanted(wanted: readonly Holding[]): void {
		const keys = new Set(wanted.map(({key}) => key));
		this.#removeEach([...this.#held.values()].filter(({key}) => !keys.has(key)));
	}

	has({key}: Holding): boolean {
		return this.#held.has(key);
	}

	/** What we held, should still hold, and is not there any more; it counts as not held from now on. */
	noticeLost(inventory: Inventory): Holding[] {
		const lost = [...this.#held.values()].filter(holding => holding.tracked && !holding.isIn(inventory));
		for (const {key} of lost) this.#held.delete(key);
		return lost;
	}

	/** Resolves when the kernel has answered every request. */
	async settled(): Promise<void> {
		await Promise.all(this.#pending);
	}

	#add(holding: Holding): void {
		this.#held.set(holding.key, holding);
		this.#watch(holding.add(this.#netlink), holding.alreadyThere, error => {
			this.#held.delete(holding.key);
			const known = this.#refused.get(holding.key) === error;
			this.#refused.set(holding.key, error);
			this.#log[known ? 'debug' : 'error']({error}, `cannot add ${holding.text}`);
		});
	}

	#removeEach(holdings: readonly Holding[]): void {
		for (const kind of REMOVAL_ORDER) {
			for (const holding of holdings.filter(holding => holding.kind === kind)) this.#remove(holding);
		}
	}

	#remove(holding: Holding): void {
		this.#held.delete(holding.key);
		this.#watch(holding.remove(this.#netlink), holding.alreadyGone, error => {
			this.#log.error({error}, `cannot remove ${holding.text}`);
		});
	}

	/** `harmless` is the refusal that need not be told. */
	#watch(answer: Promise<void>, harmless: string | null, onRefusal: (error: string) => void): void {
		const watched = answer.catch((error: unknown) => {
			if (error instanceof Error && 'code' in error && error.code === harmless) return;
			onRefusal(String(error));
		});
		this.#pending.add(watched);
		void watched.finally(() => this.#pending.delete(watched));
	}
}

/** Those that go into adverts, and those that do not. */
export function virtualAddresses(instance: Instance): readonly VirtualAddress[] {
	return [...instance.addresses, ...instance.excludedAddresses];
}

/**
 * What lines of a configuration ask for, in the order in which keepalived adds it; made anew only when an interface has
 * come, gone or changed its number, as there may be thousands of lines.
 */
export class Wanted {
	readonly #lines: Statics;
	#interfaces: string | null = null;
	#holdings: readonly Holding[] = [];

	/** `lines` may be an instance. */
	constructor(lines: Statics | Instance) {
		this.#lines = 'excludedAddresses' in lines ? {...lines, addresses: virtualAddresses(lines)} : lines;
	}

	/** Those that can be: nothing can be on interfaces that do not exist now. */
	on(links: readonly Link[]): readonly Holding[] {
		const interfaces = links.map(({ifindex, name}) => `${ifindex} ${name}`).join('\n');
		if (interfaces !== this.#interfaces) this.#holdings = holdings(this.#lines, links);
		this.#interfaces = interfaces;
		return this.#holdings;
	}
}

function holdings({addresses, routes, rules}: Statics, links: readonly Link[]): readonly Holding[] {
	return [
		...addresses.flatMap(address => addressHolding(address, links) ?? []),
		...routes.flatMap(route => routeHolding(route, links) ?? []),
		...rules.map(ruleHolding),
	];
}

function addressHolding(virtual: VirtualAddress, links: readonly Link[]): Holding | null {
	const {place, device, tracked, trackGroup, ...rest} = virtual;
	const ifindex = indexOf(device, links);
	return ifindex === null ? null : heldAddress({...rest, ifindex}, tracked, trackGroup);
}

function heldAddress(address: NewAddress, tracked: boolean, trackGroup: string | null): Holding {
	const slot = addressKey(address);
	const holding: Holding = {
		kind: 'address',
		key: JSON.stringify(address),
		slot,
		text: `address ${address.address}`,
		tracked,
		trackGroup,
		alreadyThere: 'EEXIST',
		alreadyGone: 'EADDRNOTAVAIL',
		add: netlink => netlink.addAddress(address),
		remove: netlink => netlink.deleteAddress(address),
		isIn: inventory => inventory.hasAddress(address),
		// With another prefix, it would still answer for the address.
		remains: ({addresses}) =>
			addresses
				.filter(entry => entry.ifindex === address.ifindex && entry.address === address.address)
				.map(entry =>
					addressKey(entry) === slot ? holding : heldAddress({...address, ...entry}, tracked, trackGroup),
				),
	};
	return holding;
}

function routeHolding(virtual: VirtualRoute, links: readonly Link[]): Holding | null {
	const {place, tracked, trackGroup, hops, ...rest} = virtual;
	const located = hops.map(hop => ({...hop, device: hop.device === null ? null : indexOf(hop.device, links)}));
	if (located.some(({device}, index) => device === null && hops[index]?.device !== null)) return null;
	const route: IpRoute<number> = {...rest, hops: located};
	const holding: Holding = {
		kind: 'route',
		key: JSON.stringify(route),
		slot: routeSlot(route),
		text: `route ${destinationText(route.destination)}`,
		tracked,
		trackGroup,
		// `add` is for those who do not want another one's route.
		alreadyThere: route.placement === 'add' ? null : 'EEXIST',
		alreadyGone: 'ESRCH',
		add: netlink => netlink.addRoute(route),
		remove: netlink => netlink.deleteRoute(route),
		isIn: inventory => inventory.hasRoute(route),
		remains: inventory => (inventory.hasRoute(route) ? [holding] : []),
	};
	return holding;
}

function ruleHolding({place, tracked, trackGroup, ...rule}: VirtualRule): Holding {
	const holding: Holding = {
		kind: 'rule',
		key: ruleKey(rule),
		slot: ruleKey(rule),
		text: `rule ${rule.priority}`,
		tracked,
		trackGroup,
		alreadyThere: 'EEXIST',
		alreadyGone: 'ENOENT',
		add: netlink => netlink.addRule(rule),
		remove: netlink => netlink.deleteRule(rule),
		isIn: inventory => inventory.hasRule(rule),
		remains: inventory => (inventory.hasRule(rule) ? [holding] : []),
	};
	return holding;
}

function indexOf(device: string, links: readonly Link[]): number | null {
	return links.find(({name}) => name === device)?.ifindex ?? null;
}
