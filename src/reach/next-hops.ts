/**
 * The link-layer way to each backend, kept as the kernel knows it: its routes say through which NIC and gateway, its
 * neighbour table says to which MAC. The program itself never waits for a neighbour.
 */
import type {Cancel, Clock, Neighbour, Netlink, NetlinkEvent, Route} from '../host/host.js';
import type {Log} from '../log.js';

/** How an address is reached. */
export interface Reach {
	readonly ifindex: number;
	/** The neighbour that frames go to: a gateway, or the address itself. */
	readonly gateway: string;
	/** null while the kernel has not resolved the gateway. */
	readonly mac: string | null;
}

/** Asked again this often while a gateway is unresolved: the kernel gives up after three probes. */
const RESOLVE_AGAIN_US = 1_000_000;
/** Routes change in bursts (a link going down takes many with it); one look afterwards is enough. */
const ROUTES_SETTLE_US = 50_000;

/** Watches the ways to a set of addresses. */
export class NextHops {
	readonly #netlink: Netlink;
	readonly #clock: Clock;
	readonly #log: Log;
	readonly #onChange: () => void;
	readonly #routes = new Map<string, Route>();
	readonly #neighbours = new Map<string, Neighbour>();
	readonly #unsubscribe: Cancel;
	#cancelRetry: Cancel | null = null;
	#cancelLook: Cancel | null = null;
	#addresses: readonly string[] = [];
	/** Counts looks, so that an answer to an older look is not believed. */
	#look = 0;

	/** `onChange` is called whenever some `reach` may answer differently. */
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
		await this.#lookUp();
	}

	/** null: the kernel has no route, or delivers the address to itself. */
	reach(address: string): Reach | null {
		const route = this.#routes.get(address);
		if (route === undefined || route.local) return null;
		const neighbour = this.#neighbours.get(neighbourKey(route.ifindex, route.gateway));
		return {ifindex: route.ifindex, gateway: route.gateway, mac: neighbour?.mac ?? null};
	}

	/** The interfaces that lead to the watched addresses. */
	interfaces(): ReadonlySet<number> {
		return new Set(this.#addresses.flatMap(address => this.reach(address)?.ifindex ?? []));
	}

	close(): void {
		this.#unsubscribe();
		this.#cancelRetry?.();
		this.#cancelLook?.();
		this.#look++;
	}

	#onEvent(event: NetlinkEvent): void {
		if (event.kind === 'neighbour') this.#onNeighbour(event.neighbour);
		else if (event.kind !== 'address' || event.removed) this.#lookSoon();
	}

	#onNeighbour(neighbour: Neighbour): void {
		if (!this.#isGateway(neighbour)) return;
		const key = neighbourKey(neighbour.ifindex, neighbour.address);
		const before = this.#neighbours.get(key)?.mac ?? null;
		this.#neighbours.set(key, neighbour);
		if (before === neighbour.mac) return;
		this.#log.info({gateway: neighbour.address, from: before, to: neighbour.mac}, 'neighbour changed');
		this.#resolveMissing();
		this.#onChange();
	}

	#isGateway(neighbour: Neighbour): boolean {
		return [...this.#routes.values()].some(
			route => route.ifindex === neighbour.ifindex && route.gateway === neighbour.address,
		);
	}

	#lookSoon(): void {
		this.#cancelLook ??= this.#clock.after(ROUTES_SETTLE_US, 'routes changed', () => {
			this.#cancelLook = null;
			this.#lookUp().then(this.#onChange, (error: unknown) => {
				this.#log.error({error}, 'routes to the backends could not be read');
			});
		});
	}

	async #lookUp(): Promise<void> {
		const look = ++this.#look;
		const neighbours = await this.#netlink.neighbours();
		const routes = await Promise.all(this.#addresses.map(address => this.#route(address)));
		if (look !== this.#look) return;
		this.#neighbours.clear();
		for (const neighbour of neighbours) {
			this.#neighbours.set(neighbourKey(neighbour.ifindex, neighbour.address), neighbour);
		}
		this.#routes.clear();
		this.#addresses.forEach((address, index) => {
			const route = routes[index];
			if (route) this.#routes.set(address, route);
		});
		this.#resolveMissing();
	}

	async #route(address: string): Promise<Route | null> {
		try {
			return await this.#netlink.route(address);
		} catch (error) {
			this.#log.warn({address, error}, 'no route to backend');
			return null;
		}
	}

	/** Asks the kernel for every gateway whose MAC is not known, and again until it is. */
	#resolveMissing(): void {
		this.#cancelRetry?.();
		this.#cancelRetry = null;
		const missing = new Map<string, Reach>();
		for (const address of this.#addresses) {
			const reach = this.reach(address);
			if (reach !== null && reach.mac === null) missing.set(neighbourKey(reach.ifindex, reach.gateway), reach);
		}
		if (missing.size === 0) return;
		for (const {ifindex, gateway} of missing.values()) {
			this.#netlink.resolve(ifindex, gateway).catch((error: unknown) => {
				this.#log.debug({gateway, error}, 'neighbour not resolved');
			});
		}
		this.#cancelRetry = this.#clock.after(RESOLVE_AGAIN_US, 'resolve neighbours', () => this.#resolveMissing());
	}
}

function neighbourKey(ifindex: number, address: string): string {
	return `${ifindex} ${address}`;
}
