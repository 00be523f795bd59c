/**
 * Keeps the maps as they should be. Whatever happens (start, reload, a failed check, a new neighbour, a link that comes
 * or goes) leads here: compute what should be, apply the difference to what is.
 */
import type {Backend, Config, Instance, Service} from './conf/model.js';
import {ExitCode, KernelError} from './errors.js';
import type {Cancel, Clock, Link, Netlink} from './host/host.js';
import type {Log} from './log.js';
import {macBytes} from './net/address.js';
import {isVirtualMac} from './net/vrrp-mac.js';
import {type Desired, desired} from './plan/desired.js';
import {diff, entriesIn} from './plan/diff.js';
import type {NextHop} from './plan/key.js';
import {assignSlots, type RouterInterface, rolesBehind} from './plan/nics.js';
import {Sequences} from './plan/schedulers.js';
import type {VirtualInstance} from './plan/virtual.js';
import type {NextHops} from './reach/next-hops.js';
import type {DataPlane} from './xdp/dataplane.js';
import type {FlowCounts} from './xdp/flows.js';
import type {Nic} from './xdp/layout.gen.js';
import {entriesOf, mapName, type Op} from './xdp/tables.js';

/** What comes in a burst is answered once. */
const COALESCE_US = 0;
/** After a refused change, and while removed backends wait for their last flow to end. */
const AGAIN_US = 1_000_000;
/** That one glance takes in, which is half a millisecond of CPU. */
const GLANCE_ENTRIES = 100;

export interface ReconcilerSeams {
	readonly dataPlane: Pick<
		DataPlane,
		| 'tables'
		| 'capacity'
		| 'attach'
		| 'attached'
		| 'connect'
		| 'isInherited'
		| 'reattach'
		| 'leaveDrivers'
		| 'forgetGone'
		| 'apply'
		| 'countFlows'
		| 'holds'
		| 'readBack'
		| 'restore'
		| 'restorePins'
	> & {
		readonly settings: Pick<DataPlane['settings'], 'hz'>;
	};
	readonly nextHops: Pick<NextHops, 'watch' | 'reach' | 'interfaces'>;
	readonly netlink: Netlink;
	readonly clock: Clock;
	readonly log: Log;
	isUp(service: Service, backend: Backend): boolean;
	/** Likewise, of a configuration that may come. */
	willBeUp(service: Service, backend: Backend): boolean;
	/** The services with the weights that are in force. */
	weighed(services: readonly Service[]): readonly Service[];
}

/** What a configuration would change in the maps. */
export interface MapPlan {
	readonly ops: readonly Op[];
	/** What would not fit into them. */
	readonly problems: readonly string[];
}

export class Reconciler {
	readonly #seams: ReconcilerSeams;
	readonly #sequences = new Sequences();
	readonly #unsubscribe: Cancel;
	#config: Config | null = null;
	#links = new Map<number, Link>();
	#pending: {readonly dueUs: number; readonly cancel: Cancel} | null = null;
	#cancelRelink: Cancel | null = null;
	#closed = false;
	#problems = '';
	/** NICs that have refused the program, so that each is reported once. */
	#refused: ReadonlySet<number> = new Set();
	/** How often a look, before `reattach`, has put the program back on a NIC. */
	#reattached = 0;
	/** What the next glance goes on with. */
	#round: Iterator<Op, void>;

	constructor(seams: ReconcilerSeams) {
		this.#seams = seams;
		this.#round = entriesIn(seams.dataPlane.tables);
		this.#unsubscribe = seams.netlink.onEvent(event => {
			if (event.kind === 'link' || event.kind === 'overrun') this.#relinkSoon(COALESCE_US);
		});
	}

	/**
	 * Puts a configuration in force before it resolves; to what did not fit into the maps. Throws KernelError when a NIC is
	 * missing or refuses the program.
	 */
	async configure(config: Config): Promise<readonly string[]> {
		await this.#refreshLinks();
		const due = [...config.instances.map(({interface: name}) => name), ...config.settings.nics];
		if (!config.globals.dynamicInterfaces) for (const name of due) this.#requireLink(name);
		await this.#seams.nextHops.watch(config.services.flatMap(backendAddresses));
		this.#config = config;
		const links = this.interfaces();
		for (const link of links) if (!this.#seams.dataPlane.isInherited(link.ifindex)) this.#attachTo(link);
		const problems = this.#run(config);
		// Again, since to `#run` one that refuses is no reason to stop.
		for (const link of links) this.#attachTo(link);
		return problems;
	}

	/**
	 * What `configure` would change in the maps, without touching anything. Backends whose neighbours nobody has asked for
	 * yet have no next hop in it.
	 */
	plan(config: Config): MapPlan {
		const {dataPlane, willBeUp} = this.#seams;
		const nics = this.#slots(this.#interfacesOf(config));
		const {tables, problems} = this.#desired(config, nics, willBeUp, this.#sequences.branch());
		return {ops: diff(dataPlane.tables, tables), problems};
	}

	/** Puts the program back on NICs from which somebody has taken it, and says how many those were since the last time. */
	reattach(): number {
		const found = this.#reattached + this.#seams.dataPlane.reattach(this.#links);
		this.#reattached = 0;
		return found;
	}

	/**
	 * Undoes what somebody else has done to maps and pins since they were written, and says to how many entries of
	 * which: state that packets make, such as flows, is nobody's to compare.
	 */
	async repair(): Promise<ReadonlyMap<string, number>> {
		const {dataPlane} = this.#seams;
		const pins = dataPlane.restorePins();
		const repaired = this.#restore();
		if (pins > 0) repaired.set('pins', pins);
		const actual = await dataPlane.readBack();
		return this.#rewrite(actual === null || this.#closed ? [] : diff(actual, dataPlane.tables), repaired);
	}

	/**
	 * The same at once for what every packet needs and for some of the entries that should be there: the next ones, so that
	 * all of them come in turn, and few often.
	 */
	glance(): ReadonlyMap<string, number> {
		const {dataPlane} = this.#seams;
		const repaired = this.#restore();
		return this.#rewrite(
			[...this.#nextEntries()].filter(op => !dataPlane.holds(op)),
			repaired,
		);
	}

	*#nextEntries(): Generator<Op> {
		for (let left = GLANCE_ENTRIES; left > 0; ) {
			const op = this.#round.next().value;
			if (op === undefined) {
				this.#round = entriesIn(this.#seams.dataPlane.tables);
				return;
			}
			left -= entriesOf(op);
			yield op;
		}
	}

	/** By map. */
	#restore(): Map<string, number> {
		return new Map(this.#seams.dataPlane.restore(this.#links));
	}

	/** Adds to what was repaired. */
	#rewrite(ops: readonly Op[], repaired: Map<string, number>): ReadonlyMap<string, number> {
		this.#seams.dataPlane.apply(ops);
		for (const op of ops) {
			const map = mapName(op);
			repaired.set(map, (repaired.get(map) ?? 0) + entriesOf(op));
		}
		if (repaired.size > 0) this.request();
		return repaired;
	}

	/** Asks for a look; several requests are one look, at the earliest time that any of them named. */
	request(afterUs = COALESCE_US): void {
		const {clock} = this.#seams;
		const dueUs = clock.nowUs() + afterUs;
		if (this.#closed || (this.#pending !== null && this.#pending.dueUs <= dueUs)) return;
		this.#pending?.cancel();
		this.#pending = {dueUs, cancel: clock.after(afterUs, 'reconcile', () => this.#look())};
	}

	#look(): void {
		this.#pending = null;
		if (this.#config === null) return;
		try {
			this.#run(this.#config);
		} catch (error) {
			this.#seams.log.error({error}, 'the maps could not be brought up to date');
			this.request(AGAIN_US);
		}
	}

	close(): void {
		this.#closed = true;
		this.#unsubscribe();
		this.#pending?.cancel();
		this.#cancelRelink?.();
	}

	/** The NICs that should carry the program: where the virtual addresses live, where the backends are, and those named. */
	interfaces(): Link[] {
		return this.#interfacesOf(this.#config);
	}

	#interfacesOf(config: Config | null): Link[] {
		const ofInstances = config?.instances.flatMap(({interface: name, addresses, excludedAddresses}) => [
			name,
			...[...addresses, ...excludedAddresses].map(({device}) => device),
		]);
		const names = new Set([...(ofInstances ?? []), ...(config?.settings.nics ?? [])]);
		const towardsBackends = this.#seams.nextHops.interfaces();
		const wanted = [...this.#links.values()].filter(
			({name, ifindex}) => names.has(name) || towardsBackends.has(ifindex),
		);
		const carriers = new Set(wanted.map(({ifindex}) => this.#carrier(ifindex)));
		return [...this.#links.values()].filter(({ifindex}) => carriers.has(ifindex));
	}

	/** The NIC that packets routed to an interface leave by: a virtual router's is over one. */
	#carrier(ifindex: number): number {
		return routerInterface(this.#links.get(ifindex))?.nic ?? ifindex;
	}

	#routerInterfaces(): RouterInterface[] {
		return [...this.#links.values()].flatMap(link => routerInterface(link) ?? []);
	}

	#relinkSoon(afterUs: number): void {
		this.#cancelRelink ??= this.#seams.clock.after(afterUs, 'read interfaces', () => {
			this.#cancelRelink = null;
			void this.#relink();
		});
	}

	async #relink(): Promise<void> {
		try {
			await this.#refreshLinks();
			this.request();
		} catch (error) {
			if (this.#closed) return;
			this.#seams.log.error({error}, 'the interfaces could not be read');
			this.#relinkSoon(AGAIN_US);
		}
	}

	async #refreshLinks(): Promise<void> {
		const links = await this.#seams.netlink.links();
		this.#links = new Map(links.map(link => [link.ifindex, link]));
	}

	#requireLink(name: string): void {
		for (const link of this.#links.values()) if (link.name === name) return;
		const present = [...this.#links.values()].map(link => link.name).join(' ');
		throw new KernelError('find interface', name, 'ENODEV', `this machine has ${present}`, {
			exitCode: ExitCode.noInterface,
		});
	}

	/** The maps first, so that a program finds what it needs, which takes an earlier run's place. */
	#run(config: Config): readonly string[] {
		const {dataPlane, log} = this.#seams;
		const gone = dataPlane.forgetGone();
		const wanted = this.interfaces();
		const nics = this.#slots(wanted);
		const {tables, problems, leaving} = this.#desired(config, nics, this.#seams.isUp, this.#sequences);
		const ops = diff(dataPlane.tables, tables);
		dataPlane.apply(ops);
		dataPlane.connect();
		this.#attach(wanted, gone);
		if (ops.length > 0) log.debug({ops: ops.length}, 'maps changed');
		this.#reportProblems(problems);
		if (leaving.size > 0) this.request(AGAIN_US);
		return problems;
	}

	/** Without what is on interfaces that do not exist now. */
	#onLinks(instance: Instance): VirtualInstance[] {
		const ifindexOf = new Map([...this.#links.values()].map(({name, ifindex}) => [name, ifindex]));
		const {name, family, vrid, addresses, excludedAddresses} = instance;
		const ifindex = ifindexOf.get(instance.interface);
		if (ifindex === undefined) return [];
		const located = [...addresses, ...excludedAddresses].flatMap(({address, device}) => {
			const on = ifindexOf.get(device);
			return on === undefined ? [] : {address, ifindex: this.#carrier(on)};
		});
		return [{name, router: {ifindex, family, vrid}, addresses: located, closed: !instance.accept}];
	}

	#desired(
		config: Config,
		nics: ReadonlyMap<number, Nic>,
		isUp: ReconcilerSeams['isUp'],
		sequences: Sequences,
	): Desired {
		const {dataPlane, weighed} = this.#seams;
		return desired(weighed(config.services), {
			actual: dataPlane.tables,
			capacity: dataPlane.capacity,
			nics,
			routerRoles: rolesBehind(nics, this.#routerInterfaces()),
			hz: dataPlane.settings.hz,
			instances: config.instances.flatMap(instance => this.#onLinks(instance)),
			isUp,
			nextHop: address => this.#nextHop(address, nics),
			liveFlows: once(() => dataPlane.countFlows()),
			sequences,
		});
	}

	/** Attaches the program to every NIC that needs it and takes it. `gone`: those that have lost it. */
	#attach(wanted: readonly Link[], gone: ReadonlySet<number>): void {
		this.#refused = new Set(wanted.filter(link => !this.#attachOne(link)).map(({ifindex}) => ifindex));
		this.#reattached += wanted.filter(({ifindex}) => gone.has(ifindex) && !this.#refused.has(ifindex)).length;
		this.#levelModes(wanted);
	}

	/** All drivers have the program, or none: what a driver redirects is lost on its way to a NIC that has no native XDP. */
	#levelModes(wanted: readonly Link[]): void {
		const {dataPlane, log} = this.#seams;
		const modes = dataPlane.attached();
		const slow = wanted.find(link => leadsOut(link) && modes.get(link.ifindex) === 'generic');
		if (slow === undefined || ![...modes.values()].includes('native')) return;
		log.warn(
			{nic: slow.name},
			'this NIC has the program in generic mode, where no driver can redirect to: all others get it so, too',
		);
		dataPlane.leaveDrivers();
	}

	#slots(links: readonly Link[]): ReadonlyMap<number, Nic> {
		const {dataPlane} = this.#seams;
		const identities = links.flatMap(({ifindex, mac, mtu}) => {
			const bytes = macBytes(mac);
			return bytes === undefined ? [] : {ifindex, mac: bytes, mtu};
		});
		return assignSlots(identities, dataPlane.tables.nics, dataPlane.capacity.nics);
	}

	/** One NIC that refuses must not keep the news about backends from the maps. */
	#attachOne(link: Link): boolean {
		const {ifindex, name} = link;
		try {
			this.#attachTo(link);
			return true;
		} catch (error) {
			if (!(error instanceof KernelError)) throw error;
			if (!this.#refused.has(ifindex)) this.#seams.log.error({nic: name, error}, 'a NIC does not take the program');
			return false;
		}
	}

	/** In a bond, drivers show a program their own interfaces and not the bond, whose addresses and neighbours they have. */
	#attachTo({ifindex, name, kind}: Link): void {
		this.#seams.dataPlane.attach(ifindex, name, kind === 'bond' ? 'generic' : 'native');
	}

	#nextHop(address: string, nics: ReadonlyMap<number, Nic>): NextHop | null {
		const reach = this.#seams.nextHops.reach(address);
		const mac = macBytes(reach?.mac ?? '');
		if (reach === null || mac === undefined) return null;
		const {source, gateway} = reach;
		const carrier = this.#carrier(reach.ifindex);
		for (const [slot, {ifindex}] of nics) {
			if (ifindex === carrier) return {mac, nic: slot, source, isOnLink: gateway === address};
		}
		return null;
	}

	/** Each problem once, not at every look. */
	#reportProblems(problems: readonly string[]): void {
		const text = problems.join('\n');
		if (text !== this.#problems)
			for (const problem of problems) this.#seams.log.error({problem}, 'a part of the configuration is not in force');
		this.#problems = text;
	}
}

/** Whether frames can leave by an interface: loopback has no MAC address, and dummies only carry addresses. */
function leadsOut({kind, mac}: Link): boolean {
	return kind !== 'dummy' && (macBytes(mac)?.some(byte => byte !== 0) ?? false);
}

/** What the interface of a virtual router says, or null for other ones. */
function routerInterface(link: Link | undefined): RouterInterface | null {
	const mac = macBytes(link?.mac ?? '');
	if (link === undefined || link.kind !== 'macvlan' || link.base === null) return null;
	return mac !== undefined && isVirtualMac(mac) ? {nic: link.base, mac, isMaster: link.up} : null;
}

/** Those of the sorry server included. */
function backendAddresses({backends, sorryServer}: Service): string[] {
	const all = sorryServer === null ? backends : [...backends, sorryServer.backend];
	return all.map(({address}) => address);
}

/** Counts flows at the first question only: most looks have no removed backend to ask for. */
function once(count: () => FlowCounts): (backend: number) => number {
	let counts: FlowCounts | null = null;
	return backend => {
		counts ??= count();
		return counts.byBackend.get(backend) ?? 0;
	};
}
