/**
 * The link-layer way to each backend, kept as the kernel knows it: its routes say through which NIC and gateway, its
 * neighbour table says to which MAC. The program itself never waits for a neighbour. The ways to the clients it looks up
 * by itself, once a flow; here it is noticed when they may have changed.
 */
import type {Cancel, Clock, Neighbour, Netlink, NetlinkEvent, Route, RouteEntry} from '../host/host.js';
import type {Log} from '../log.js';
import {KEEPALIVED, RTPROT_BOOT, RTPROT_STATIC} from '../net/netlink/ip-route.js';

/** Where frames leave, and for whom. */
interface Way {
	readonly ifindex: number;
	/** The neighbour that frames go to: a gateway, or the address itself. */
	readonly gateway: string;
}

/** How an address is reached. */
export interface Reach extends Way {
	/** The address that the kernel would send from. */
	readonly source: string | null;
	/** null while the kernel has not resolved the gateway. */
	readonly mac: string | null;
}

/** Asked again this often while a gateway is unresolved (the kernel gives up after three probes) or a look has failed. */
const AGAIN_US = 1_000_000;
/** Routes change in bursts (a link going down takes many with it); one look afterwards is enough. */
const ROUTES_SETTLE_US = 50_000;

/** Neighbours whose MAC address is remembered; the kernel itself keeps 1,024 of each family unless told otherwise. */
const REMEMBERED_MAX = 65_536;

/**
 * Addresses that nobody has (RFC 5737, RFC 6666): the ways to them are the default routes, behind which most clients are.
 * Their gateways are kept resolved, since the program looks up clients in the kernel's neighbour table, and the kernel
 * follows a gateway to another MAC address only while it knows the gateway.
 */
const NOBODY = ['192.0.2.1', '100::1'] as const;
/**
 * Who makes routes to some of the clients whose gateways nobody else keeps resolved: administrators, and lbd-vrrp. What a
 * routing daemon learns comes from routers that it talks with.
 */
const MAKERS: readonly number[] = [RTPROT_BOOT, RTPROT_STATIC, KEEPALIVED];
/** Their gateways that are kept resolved. */
const GATEWAYS_MAX = 64;

/** Watches the ways to a set of addresses. */
export class NextHops {
	readonly #netlink: Netlink;
	readonly #clock: Clock;
	readonly #log: Log;
	readonly #onChange: () => void;
	readonly #routes = new Map<string, Route>();
	#gateways: readonly Way[] = [];
	#madeRoutesChanged = true;
	/** By gateway, see `gatewayKey`: those of `#routes` and `#gateways` only. */
	readonly #macs = new Map<string, string | null>();
	/** The latest MAC address of every neighbour, see `gatewayKey`; the one heard of longest ago comes first. */
	readonly #remembered = new Map<string, string>();
	/** Addresses whose lack of a route has been reported. */
	readonly #unreachable = new Set<string>();
	readonly #unsubscribe: Cancel;
	#cancelRetry: Cancel | null = null;
	#cancelLook: Cancel | null = null;
	#addresses: readonly string[] = [];
	/** Counts looks, so that an answer to an older look is not believed. */
	#look = 0;
	#closed = false;

	/** `onChange` is called whenever some `reach` may answer differently, or a client may be reached differently. */
	constructor(seams: {netlink: Netlink; clock: Clock; log: Log; onChange: () => void}) {
		this.#netlink = seams.netlink;
		this.#clock = seams.clock;
		this.#log = seams.log;
		this.#onChange = seams.onChange;
		this.#unsubscribe = seams.netlink.onEvent(event => this.#onEvent(event));
	}

	/** Sets which addresses are watched and looks them up; resolves when the kernel has answered for all of them. */
	async watch(addresses: readonly string[]): Promise<void> {
		this.#addresses = [...new Set(addresses)];
		this.#unreachable.clear();
		await this.#lookUp();
	}

	/** null: the kernel has no route, or delivers the address to itself. */
	reach(address: string): Reach | null {
		const route = this.#routes.get(address);
		if (route === undefined || route.local) return null;
		const {ifindex, gateway, source} = route;
		return {ifindex, gateway, source, mac: this.#macs.get(gatewayKey(ifindex, gateway)) ?? null};
	}

	/** The interfaces that lead to the watched addresses. */
	interfaces(): ReadonlySet<number> {
		return new Set(this.#addresses.flatMap(address => this.reach(address)?.ifindex ?? []));
	}

	close(): void {
		this.#closed = true;
		this.#unsubscribe();
		this.#cancelRetry?.();
		this.#cancelLook?.();
		this.#look++;
	}

	#onEvent(event: NetlinkEvent): void {
		const isMade = event.kind === 'route' && MAKERS.includes(event.protocol);
		if (isMade || event.kind === 'overrun') this.#madeRoutesChanged = true;
		if (event.kind === 'neighbour') this.#onNeighbour(event.neighbour);
		else if (event.kind !== 'address' || event.removed) this.#lookSoon();
	}

	#onNeighbour(neighbour: Neighbour): void {
		const {ifindex, address, mac} = neighbour;
		const key = gatewayKey(ifindex, address);
		const before = this.#macs.get(key);
		const hasMoved = this.#remember(neighbour);
		// Clients may be behind it, or it may be one.
		if (before === undefined && hasMoved) this.#lookSoon();
		if (before === undefined || before === mac) return;
		this.#macs.set(key, mac);
		this.#log.info({gateway: address, from: before, to: mac}, 'neighbour changed');
		if (mac === null) this.#resolve(ifindex, address);
		this.#onChange();
	}

	/** Whether the neighbour had another MAC address the last time it had one. */
	#remember({ifindex, address, mac}: Neighbour): boolean {
		if (mac === null) return false;
		const key = gatewayKey(ifindex, address);
		const before = this.#remembered.get(key);
		this.#remembered.delete(key);
		this.#remembered.set(key, mac);
		const [oldest] = this.#remembered.keys();
		if (this.#remembered.size > REMEMBERED_MAX && oldest !== undefined) this.#remembered.delete(oldest);
		return before !== undefined && before !== mac;
	}

	#lookSoon(afterUs = ROUTES_SETTLE_US): void {
		this.#cancelLook ??= this.#clock.after(afterUs, 'look up routes', () => {
			this.#cancelLook = null;
			void this.#lookAgain();
		});
	}

	async #lookAgain(): Promise<void> {
		try {
			if (await this.#lookUp()) this.#onChange();
		} catch (error) {
			if (this.#closed) return;
			this.#log.error({error}, 'routes to the backends could not be read');
			this.#lookSoon(AGAIN_US);
		}
	}

	/** False when a newer look has begun meanwhile, or the end has come: then nothing has changed. */
	async #lookUp(): Promise<boolean> {
		const look = ++this.#look;
		const addresses = [...this.#addresses, ...NOBODY];
		const neighbours = await this.#netlink.neighbours();
		await this.#readGateways();
		const routes = await Promise.all(addresses.map(address => this.#route(address)));
		if (look !== this.#look) return false;
		this.#routes.clear();
		for (const [index, address] of addresses.entries()) {
			const route = routes[index];
			if (route) this.#routes.set(address, route);
		}
		this.#macs.clear();
		for (const {ifindex, gateway} of this.#ways()) this.#macs.set(gatewayKey(ifindex, gateway), null);
		for (const neighbour of neighbours) {
			const key = gatewayKey(neighbour.ifindex, neighbour.address);
			if (this.#macs.has(key)) this.#macs.set(key, neighbour.mac);
			this.#remember(neighbour);
		}
		this.#resolveMissing();
		return true;
	}

	/** Only after a change: on a machine that speaks BGP, the kernel walks over all its routes to find these. */
	async #readGateways(): Promise<void> {
		if (!this.#madeRoutesChanged) return;
		const routes = await Promise.all(MAKERS.map(maker => this.#netlink.routes(maker)));
		this.#gateways = waysOf(routes.flat());
		this.#madeRoutesChanged = false;
	}

	#ways(): Way[] {
		return [...[...this.#routes.values()].filter(({local}) => !local), ...this.#gateways];
	}

	async #route(address: string): Promise<Route | null> {
		try {
			const route = await this.#netlink.route(address);
			this.#unreachable.delete(address);
			return route;
		} catch (error) {
			this.#reportUnreachable(address, error);
			return null;
		}
	}

	#reportUnreachable(address: string, error: unknown): void {
		if (this.#unreachable.has(address) || !this.#addresses.includes(address)) return;
		this.#unreachable.add(address);
		this.#log.warn({address, error}, 'no route to backend');
	}

	/** Asks the kernel for every gateway whose MAC is not known, and again until it is. */
	#resolveMissing(): void {
		this.#cancelRetry?.();
		this.#cancelRetry = null;
		const missing = new Map<string, Way>();
		for (const way of this.#ways()) {
			const key = gatewayKey(way.ifindex, way.gateway);
			if (this.#macs.get(key) === null) missing.set(key, way);
		}
		for (const {ifindex, gateway} of missing.values()) this.#resolve(ifindex, gateway);
	}

	#resolve(ifindex: number, gateway: string): void {
		this.#netlink.resolve(ifindex, gateway).catch((error: unknown) => {
			this.#log.debug({gateway, error}, 'neighbour not resolved');
		});
		this.#cancelRetry ??= this.#clock.after(AGAIN_US, 'resolve neighbours', () => this.#resolveMissing());
	}
}

/** The gateways of routes, as many as are kept resolved. */
function waysOf(routes: readonly RouteEntry[]): Way[] {
	const ways = routes.flatMap(({hops}) =>
		hops.flatMap(({device, gateway}) => (device === null || gateway === null ? [] : {ifindex: device, gateway})),
	);
	return ways.slice(0, GATEWAYS_MAX);
}

function gatewayKey(ifindex: number, address: string): string {
	return `${ifindex} ${address}`;
}
