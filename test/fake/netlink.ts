import {KernelError} from '../../src/errors.js';
import type {
	Address,
	AddressEntry,
	Cancel,
	IpRoute,
	IpRule,
	Link,
	LinkSettings,
	Neighbour,
	Netlink,
	NetlinkEvent,
	NewAddress,
	NewMacvlan,
	Route,
	RouteEntry,
} from '../../src/host/host.js';
import {family} from '../../src/net/address.js';
import {destinationText, ROUTE_TYPES, routeSlot} from '../../src/net/netlink/ip-route.js';
import {ruleKey} from '../../src/net/netlink/ip-rule.js';

/** One machine's links and addresses, refusing what the kernel refuses. Requests act at once, events follow. */
export class FakeNetlink implements Netlink {
	readonly #links = new Map<number, Link>();
	readonly #addresses: AddressEntry[] = [];
	readonly #neighbours: Neighbour[] = [];
	readonly #routes = new Map<string, Route>();
	readonly #ipRoutes: IpRoute<number>[] = [];
	readonly #rules: IpRule[] = [];
	#heldRoute: Promise<void> | null = null;
	readonly #listeners = new Set<(event: NetlinkEvent) => void>();
	#closed = false;
	/** Dumps that the kernel refuses. */
	readonly refused = new Set<'links' | 'neighbours'>();
	/** What was to be added, oldest first. */
	readonly requested: NewAddress[] = [];
	/** Neighbours that the kernel was asked to resolve, oldest first: `192.0.2.1 at 3`. */
	readonly resolutions: string[] = [];
	/** Called when an address has come or gone, at once, where the event is only read later. */
	onAddresses: () => void = () => {};

	// What a test does to the machine

	setLink(link: Partial<Link> & Pick<Link, 'ifindex' | 'name'>): void {
		const known = this.#links.get(link.ifindex);
		const mac = `02:00:00:00:00:${link.ifindex.toString(16).padStart(2, '0')}`;
		const whole: Link = {
			mac,
			up: link.running ?? true,
			running: true,
			mtu: 1500,
			kind: 'veth',
			base: null,
			forwardsIpv6: false,
			promotesSecondaries: false,
			reversePathFilter: 0,
			...known,
			...link,
		};
		this.#links.set(whole.ifindex, whole);
		this.#emit({kind: 'link', link: whole, removed: false});
	}

	removeLink(ifindex: number): void {
		const link = this.#links.get(ifindex);
		if (link === undefined) throw new Error(`no link ${ifindex}`);
		for (const entry of this.#addresses.filter(entry => entry.ifindex === ifindex)) this.#forget(entry);
		this.#links.delete(ifindex);
		this.#emit({kind: 'link', link, removed: true});
	}

	/** Every address on the machine, as text. */
	owned(): string[] {
		return this.#addresses.map(entry => entry.address);
	}

	/** Adds an address as `ip address add` would; `usable` is false while the kernel looks for another owner. */
	give(ifindex: number, address: string, prefix: number, usable = true): void {
		this.#add({ifindex, address, prefix, scope: 0, peer: null, label: null, broadcast: null}, usable);
	}

	/** Removes an address as `ip address delete` would. */
	take(address: string): void {
		const entry = this.#addresses.find(entry => entry.address === address);
		if (entry === undefined) throw new Error(`no address ${address}`);
		this.#forget(entry);
	}

	/** What `ip route` and `ip rule` would show of the routes and rules that were added, oldest first. */
	forwarding(): string[] {
		const routes = this.#ipRoutes.map(
			({destination, hops}) => `${destinationText(destination)} via ${hops.map(({gateway}) => gateway).join(' ')}`,
		);
		return [...routes, ...this.#rules.map(({priority, table}) => `${priority}: lookup ${table}`)];
	}

	/** Removes a route as `ip route delete` would. */
	takeRoute(destination: string): void {
		const route = this.#ipRoutes.find(route => destinationText(route.destination) === destination);
		if (route === undefined) throw new Error(`no route ${destination}`);
		this.#forgetRoute(route);
	}

	/** Makes an address reachable on a link, or through a gateway there; null: not any more. */
	setRoute(to: string, route: (Pick<Route, 'ifindex'> & Partial<Route>) | null): void {
		if (route === null) this.#routes.delete(to);
		else this.#routes.set(to, {gateway: to, source: null, local: false, ...route});
		this.#emit({kind: 'route', removed: route === null, protocol: 3});
	}

	/** The next question for a route is answered when the returned function is called, with what was true when it was asked. */
	holdNextRoute(): () => void {
		let release = (): void => {};
		this.#heldRoute = new Promise(resolve => {
			release = resolve;
		});
		return release;
	}

	setNeighbour(neighbour: Neighbour): void {
		const index = this.#neighbours.findIndex(
			({ifindex, address}) => ifindex === neighbour.ifindex && address === neighbour.address,
		);
		this.#neighbours.splice(index < 0 ? this.#neighbours.length : index, 1, neighbour);
		this.#emit({kind: 'neighbour', neighbour});
	}

	/** Changes the kernel's tables without a word, as when events are lost. */
	silently(change: () => void): void {
		const listeners = [...this.#listeners];
		this.#listeners.clear();
		change();
		queueMicrotask(() => {
			for (const listener of listeners) this.#listeners.add(listener);
		});
	}

	/** Says that events were lost. */
	overrun(): void {
		this.#emit({kind: 'overrun'});
	}

	// Netlink

	async links(): Promise<Link[]> {
		this.#requireOpen();
		this.#requireWilling('links');
		return [...this.#links.values()];
	}

	async addresses(): Promise<AddressEntry[]> {
		this.#requireOpen();
		return [...this.#addresses];
	}

	async neighbours(): Promise<Neighbour[]> {
		this.#requireOpen();
		this.#requireWilling('neighbours');
		return [...this.#neighbours];
	}

	async route(to: string): Promise<Route> {
		this.#requireOpen();
		const route = this.#routes.get(to);
		const held = this.#heldRoute;
		this.#heldRoute = null;
		await held;
		if (route === undefined) throw new KernelError('route get', to, 'ENETUNREACH');
		return route;
	}

	async configureLink(ifindex: number, settings: LinkSettings): Promise<void> {
		const link = this.#linkFor('link set', ifindex);
		const {promote_secondaries: promotes} = settings;
		if (promotes !== undefined) this.setLink({...link, promotesSecondaries: promotes === 1});
	}

	async addMacvlan({name, base, mac}: NewMacvlan): Promise<void> {
		this.#linkFor('link add', base);
		if ([...this.#links.values()].some(link => link.name === name)) throw new KernelError('link add', name, 'EEXIST');
		const ifindex = Math.max(...this.#links.keys()) + 1;
		this.setLink({ifindex, name, mac, base, kind: 'macvlan', up: false, running: false});
	}

	async withoutOwnAddress(ifindex: number): Promise<void> {
		this.#linkFor('link set', ifindex);
	}

	async spreadReversePathFilter(): Promise<void> {
		this.#requireOpen();
	}

	async withoutIpv6(name: string): Promise<void> {
		this.#requireOpen();
		if (![...this.#links.values()].some(link => link.name === name)) throw new KernelError('link set', name, 'ENOENT');
	}

	async setLinkUp(ifindex: number, up: boolean): Promise<void> {
		const link = this.#linkFor('link set', ifindex);
		const base = this.#links.get(link.base ?? ifindex);
		if (up && base?.up === false) throw new KernelError('link set', link.name, 'ENETDOWN');
		this.setLink({...link, up, running: up && base?.running !== false});
	}

	async deleteLink(ifindex: number): Promise<void> {
		this.#linkFor('link delete', ifindex);
		this.removeLink(ifindex);
	}

	async addAddress(address: NewAddress): Promise<void> {
		this.#requireOpen();
		this.requested.push(address);
		this.#add(address, true);
	}

	async deleteAddress(entry: Address): Promise<void> {
		this.#requireOpen();
		this.#requireLink('address delete', entry);
		const found = this.#addresses.find(other => sameAddress(other, entry));
		if (found === undefined) throw new KernelError('address delete', entry.address, 'EADDRNOTAVAIL');
		this.#forget(found);
	}

	async routes(protocol: number): Promise<RouteEntry[]> {
		this.#requireOpen();
		return this.#ipRoutes
			.filter(route => route.protocol === protocol)
			.map(route => ({...route, type: ROUTE_TYPES[route.type]}));
	}

	async addRoute(route: IpRoute<number>): Promise<void> {
		this.#requireOpen();
		const text = destinationText(route.destination);
		for (const {device} of route.hops) {
			if (device !== null) this.#requireLink('route add', {ifindex: device, address: text});
			if (device !== null && this.#links.get(device)?.running === false)
				throw new KernelError('route add', text, 'ENETDOWN');
		}
		if (this.#ipRoutes.some(other => sameRoute(other, route))) throw new KernelError('route add', text, 'EEXIST');
		this.#ipRoutes.push(route);
		this.#emit({kind: 'route', removed: false, protocol: route.protocol});
	}

	async deleteRoute(route: IpRoute<number>): Promise<void> {
		this.#requireOpen();
		const found = this.#ipRoutes.find(other => sameRoute(other, route));
		if (found === undefined) throw new KernelError('route delete', destinationText(route.destination), 'ESRCH');
		this.#forgetRoute(found);
	}

	async rules(): Promise<IpRule[]> {
		this.#requireOpen();
		return [...this.#rules];
	}

	async addRule(rule: IpRule): Promise<void> {
		this.#requireOpen();
		if (this.#ruleIndex(rule) >= 0) throw new KernelError('rule add', String(rule.priority), 'EEXIST');
		this.#rules.push(rule);
	}

	async deleteRule(rule: IpRule): Promise<void> {
		this.#requireOpen();
		const index = this.#ruleIndex(rule);
		if (index < 0) throw new KernelError('rule delete', String(rule.priority), 'ENOENT');
		this.#rules.splice(index, 1);
		this.#emit({kind: 'rule', removed: true});
	}

	async resolve(ifindex: number, address: string): Promise<void> {
		this.#requireOpen();
		this.#requireLink('neighbour resolve', {ifindex, address});
		this.resolutions.push(`${address} at ${ifindex}`);
	}

	onEvent(fn: (event: NetlinkEvent) => void): Cancel {
		this.#listeners.add(fn);
		return () => this.#listeners.delete(fn);
	}

	close(): void {
		this.#closed = true;
	}

	#add(entry: Address, usable: boolean): void {
		this.#requireLink('address add', entry);
		if (this.#addresses.some(other => sameAddress(other, entry))) {
			throw new KernelError('address add', entry.address, 'EEXIST');
		}
		const secondary =
			family(entry.address) === 4 &&
			this.#addresses.some(other => other.ifindex === entry.ifindex && other.prefix === entry.prefix);
		const whole = {...entry, usable, secondary: secondary && entry.prefix < 32};
		this.#addresses.push(whole);
		this.onAddresses();
		this.#emit({kind: 'address', address: whole, removed: false});
	}

	#forget(entry: AddressEntry): void {
		this.#addresses.splice(this.#addresses.indexOf(entry), 1);
		this.onAddresses();
		this.#emit({kind: 'address', address: entry, removed: true});
	}

	#forgetRoute(route: IpRoute<number>): void {
		this.#ipRoutes.splice(this.#ipRoutes.indexOf(route), 1);
		this.#emit({kind: 'route', removed: true, protocol: route.protocol});
	}

	#ruleIndex(rule: IpRule): number {
		return this.#rules.findIndex(other => ruleKey(other) === ruleKey(rule));
	}

	#requireOpen(): void {
		if (this.#closed) throw new Error('netlink is closed');
	}

	#requireWilling(dump: 'links' | 'neighbours'): void {
		if (this.refused.has(dump)) throw new KernelError('dump', dump, 'ENOBUFS');
	}

	#linkFor(operation: string, ifindex: number): Link {
		this.#requireOpen();
		const link = this.#links.get(ifindex);
		if (link === undefined) throw new KernelError(operation, String(ifindex), 'ENODEV');
		return link;
	}

	#requireLink(operation: string, {ifindex, address}: {ifindex: number; address: string}): void {
		if (!this.#links.has(ifindex)) throw new KernelError(operation, address, 'ENODEV');
	}

	/** The kernel's events are read later, when the event loop comes round to them. */
	#emit(event: NetlinkEvent): void {
		queueMicrotask(() => {
			for (const listener of this.#listeners) listener(event);
		});
	}
}

function sameRoute(a: IpRoute<number>, b: IpRoute<number>): boolean {
	return routeSlot(a) === routeSlot(b) && a.type === b.type && JSON.stringify(a.hops) === JSON.stringify(b.hops);
}

function sameAddress(a: Address, b: Address): boolean {
	return a.ifindex === b.ifindex && a.address === b.address && a.prefix === b.prefix;
}
