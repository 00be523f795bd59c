import type {AddressEntry, IpRoute, IpRule, Link, Netlink, RouteEntry} from '../host/host.js';
import {destinationText, isRoute, routeSlot} from '../net/netlink/ip-route.js';
import {ruleKey} from '../net/netlink/ip-rule.js';

/** What the kernel has, read at one time. */
export class Inventory {
	readonly links: readonly Link[];
	readonly addresses: readonly AddressEntry[];
	readonly routes: readonly RouteEntry[];
	readonly rules: readonly IpRule[];
	/** See `routeSlot`. */
	readonly #routeSlots = new Map<string, RouteEntry[]>();
	/** See `addressKey`. */
	readonly #addressKeys: ReadonlySet<string>;
	/** See `ruleKey`. */
	readonly #ruleKeys: ReadonlySet<string>;

	constructor(
		links: readonly Link[],
		addresses: readonly AddressEntry[],
		routes: readonly RouteEntry[] = [],
		rules: readonly IpRule[] = [],
	) {
		this.links = links;
		this.addresses = addresses;
		this.routes = routes;
		this.rules = rules;
		for (const entry of routes) {
			const slot = routeSlot(entry);
			this.#routeSlots.set(slot, [...(this.#routeSlots.get(slot) ?? []), entry]);
		}
		this.#addressKeys = new Set(addresses.map(addressKey));
		this.#ruleKeys = new Set(rules.map(ruleKey));
	}

	/** Whether the very address is there, with its prefix and its peer. */
	hasAddress(address: Pick<AddressEntry, 'ifindex' | 'address' | 'prefix' | 'peer'>): boolean {
		return this.#addressKeys.has(addressKey(address));
	}

	hasRoute(route: IpRoute<number>): boolean {
		return this.#routeSlots.get(routeSlot(route))?.some(entry => isRoute(entry, route)) ?? false;
	}

	/** The routes and rules of a maker that are in none of the given slots, in words. */
	strangers(protocol: number, slots: ReadonlySet<string>): string[] {
		const routes = this.routes.filter(entry => entry.protocol === protocol && !slots.has(routeSlot(entry)));
		const rules = this.rules.filter(rule => rule.protocol === protocol && !slots.has(ruleKey(rule)));
		return [
			...routes.map(({destination, table}) => `route ${destinationText(destination)} table ${table}`),
			...rules.map(({priority, family: of}) => `rule ${priority} of IPv${of}`),
		];
	}

	hasRule(rule: IpRule): boolean {
		return this.#ruleKeys.has(ruleKey(rule));
	}
}

/** A link-local address may be on several links, and any address with several prefixes. */
export function addressKey({
	ifindex,
	address,
	prefix,
	peer,
}: Pick<AddressEntry, 'ifindex' | 'address' | 'prefix' | 'peer'>): string {
	return `${ifindex} ${address}/${prefix} ${peer ?? ''}`;
}

/** What of the kernel's tables is worth reading. */
export interface Scope {
	/** Makers of routes (`rtm_protocol`). */
	readonly routeProtocols: ReadonlySet<number>;
	readonly rules: boolean;
}

export async function takeInventory(netlink: Netlink, {routeProtocols, rules}: Scope): Promise<Inventory> {
	const [links, addresses, routes, ruleEntries] = await Promise.all([
		netlink.links(),
		netlink.addresses(),
		Promise.all([...routeProtocols].map(protocol => netlink.routes(protocol))),
		rules ? netlink.rules() : [],
	]);
	return new Inventory(links, addresses, routes.flat(), ruleEntries);
}
