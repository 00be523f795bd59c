import type {Instance, MulticastGroups, Place, Statics, SyncGroup, TrackerReport} from '../conf/model.js';
import {ExitCode, KernelError} from '../errors.js';
import type {Cancel, Link, NetlinkEvent} from '../host/host.js';
import type {Log} from '../log.js';
import {KEEPALIVED} from '../net/netlink/ip-route.js';
import {virtualAddresses, Wanted} from './holdings.js';
import {InstanceRunner, type VrrpHost} from './instance.js';
import {Inventory, type Scope, takeInventory} from './inventory.js';
import {LinkDelays} from './link-delays.js';
import type {Role} from './machine.js';
import {Promotion} from './promotion.js';
import type {Legacy, PriorityChange, Rival, Transition, VrrpConfig, VrrpStatus} from './protocol.js';
import {SharedSockets} from './shared-sockets.js';
import {StaticHoldings} from './statics.js';
import {decideGroup} from './sync-group.js';
import {forgetUntracked, trackerName} from './tracking.js';
import {VirtualMacs} from './virtual-macs.js';

interface Group {
	readonly name: string;
	readonly members: readonly InstanceRunner[];
	role: Role;
}

/** Who hears of what happens. */
export interface RouterEvents {
	transition(transition: Transition): void;
	rival(rival: Rival): void;
	priorityChanged(change: PriorityChange): void;
}

/** All instances and sync groups of this machine, and what the kernel says about its links and addresses. */
export class Router {
	readonly #host: VrrpHost;
	readonly #sockets: SharedSockets;
	readonly #log: Log;
	readonly #events: RouterEvents;
	readonly #cancelEvents: Cancel;
	/** By interface, family, VRID and virtual MAC address, which is what makes an instance the same across a reload (keepalived §3.12). */
	#runners = new Map<string, InstanceRunner>();
	#groups: readonly Group[] = [];
	/** What is known of the trackers other than links, by `trackerName`; it holds until something newer is heard. */
	readonly #tracked = new Map<string, TrackerReport>();
	readonly #statics: StaticHoldings;
	/** See VrrpStatus. */
	readonly #deleted = {address: 0, route: 0, rule: 0};
	readonly #promotion: Promotion;
	readonly #virtualMacs: VirtualMacs;
	readonly #linkDelays: LinkDelays;
	/** Those in force. */
	#instances: readonly Instance[] = [];
	/** Names of the interfaces with `promote_secondaries`. */
	#promoting: ReadonlySet<string> = new Set();
	#waits = false;
	/** null: nothing is configured yet. */
	#scope: Scope | null = null;
	/** Group decisions wait while one event is being given to several members. */
	#settling = false;
	/** Work that reads links and addresses and acts on them goes one after the other: nothing may act on a stale reading. */
	#turn: Promise<unknown> = Promise.resolve();
	#refreshAsked = false;

	constructor(host: VrrpHost, log: Log, events: RouterEvents) {
		this.#host = host;
		this.#sockets = new SharedSockets(host.sockets);
		this.#log = log;
		this.#events = events;
		this.#statics = new StaticHoldings(host.netlink, log);
		this.#promotion = new Promotion(host.netlink, log);
		this.#virtualMacs = new VirtualMacs(host.netlink, log);
		this.#linkDelays = new LinkDelays(host.clock, () => this.#askRefresh());
		this.#cancelEvents = host.netlink.onEvent(event => this.#onNetlink(event));
	}

	/**
	 * Puts a configuration in force: at start, and again for each reload. Instances of the same VRID and family on the
	 * same interface keep their state; `legacies` are what other processes have left of theirs. Throws `KernelError`, and leaves everything as it was, when an interface does not exist or a
	 * socket is refused.
	 */
	configure(config: VrrpConfig, legacies: readonly Legacy[] = []): Promise<void> {
		return this.#inTurn(() => this.#configure(config, new Map(legacies.map(legacy => [legacy.key, legacy]))));
	}

	/** Whether preemption waits from now on, see protocol.ts. */
	wait(waits: boolean): void {
		this.#waits = waits;
	}

	/** Takes in what trackers have found; those that are not named stay as they were. */
	track(reports: readonly TrackerReport[]): void {
		for (const report of reports) this.#tracked.set(trackerName(report), report);
		this.#together(() => {
			for (const runner of this.#runners.values()) runner.reconsider();
		});
	}

	status(): Omit<VrrpStatus, 'realTime'> {
		return {
			instances: [...this.#runners.values()].map(runner => runner.status()),
			groups: this.#groups.map(({name, role, members}) => ({
				name,
				role,
				instances: members.map(member => member.name),
			})),
			deleted: {...this.#deleted},
		};
	}

	/**
	 * Leaves mastership of an instance, or of a sync group, to another router; of a member, that of its group. Resolves when
	 * somebody has taken over, or nobody has in time and we are master again: to the names of those it concerns, none where
	 * there is nothing of that name.
	 */
	async release(name: string): Promise<string[]> {
		const concerned = this.#called(name);
		this.#together(() => {
			for (const runner of concerned) runner.dispatch({kind: 'release'});
		});
		await Promise.all(concerned.map(runner => runner.lingered()));
		return concerned.map(runner => runner.name);
	}

	/** Ends a release. Returns the names of those it concerns, as `release` does. */
	reclaim(name: string): string[] {
		const concerned = this.#called(name);
		for (const runner of concerned) runner.dispatch({kind: 'reclaim'});
		return concerned.map(runner => runner.name);
	}

	/** An instance with those that share its fate, or the members of a sync group. */
	#called(name: string): readonly InstanceRunner[] {
		const group = this.#groups.find(group => group.name === name || group.members.some(member => member.name === name));
		return group?.members ?? [...this.#runners.values()].filter(runner => runner.name === name);
	}

	/**
	 * Hands over everywhere and takes off what we hold; resolves when it is gone, which is when the successors are there.
	 * The router is used up then.
	 */
	stop(): Promise<void> {
		this.#quiet();
		return this.#inTurn(async () => {
			const stopped: Promise<void>[] = [];
			this.#together(() => stopped.push(...[...this.#runners.values()].map(runner => runner.stop({orderly: true}))));
			await Promise.all(stopped);
			await this.#statics.removeAll();
			await this.#virtualMacs.retire([]);
			await this.#promotion.enforce(new Set(), []);
		});
	}

	/** Leaves everything as it is, without a word, for another process to go on with. The router is used up then. */
	async handOn(): Promise<{legacies: Legacy[]; tracked: TrackerReport[]}> {
		this.#quiet();
		let legacies: Legacy[] = [];
		await this.#inTurn(async () => {
			legacies = await Promise.all(
				[...this.#runners].map(async ([key, runner]) => ({key, ...(await runner.handOn())})),
			);
		});
		return {legacies, tracked: [...this.#tracked.values()]};
	}

	#quiet(): void {
		this.#cancelEvents();
		this.#linkDelays.stop();
	}

	/** Static addresses come first: an instance may need one to speak from. */
	async #configure(config: VrrpConfig, legacies: ReadonlyMap<string, Legacy>): Promise<void> {
		this.#openLeases(config.daemon);
		this.#waits = config.waits;
		const scope = scopeOf(config);
		const found = await this.#look(this.#scope === null ? EVERYTHING : scope);
		if (!config.dynamicInterfaces) requireInterfaces(config, found.links);
		const statics = this.#statics.config;
		await this.#virtualMacs.provide(config.instances, found.links);
		await this.#statics.configure(config, found);
		try {
			await this.#configureInstances(config, legacies, await this.#look(scope));
		} catch (error) {
			await this.#statics.configure(statics, await this.#look(scope));
			await this.#virtualMacs.retire(this.#instances);
			throw error;
		}
		await this.#virtualMacs.retire(config.instances);
		this.#instances = config.instances;
		this.#linkDelays.delays = config.linkDelays;
		if (this.#scope === null) this.#reportStrangers(config, found);
		this.#scope = scope;
		const promoting = config.instances.filter(({promoteSecondaries}) => promoteSecondaries);
		this.#promoting = new Set(promoting.map(instance => instance.interface));
		await this.#promotion.enforce(this.#promoting, found.links);
	}

	#openLeases(daemon: string): void {
		try {
			this.#host.leases.open(daemon);
		} catch (error) {
			this.#log.warn({error: String(error)}, 'no lease: killed, this machine would go on answering for its addresses');
		}
	}

	async #configureInstances(
		config: VrrpConfig,
		legacies: ReadonlyMap<string, Legacy>,
		inventory: Inventory,
	): Promise<void> {
		const grouped = new Set(config.syncGroups.flatMap(group => group.instances));
		const before = this.#runners;
		const wanted = new Map(config.instances.map(instance => [keyOf(instance), instance]));
		const leaving = [...before].filter(([key]) => !wanted.has(key)).map(([, runner]) => runner);
		const stopped: Promise<void>[] = [];
		this.#together(() => {
			const added = config.instances.filter(instance => !before.has(keyOf(instance)));
			const started = this.#startAll(added, grouped, config.multicastGroups, legacies, inventory);
			stopped.push(...leaving.map(runner => runner.stop({orderly: false})));
			this.#runners = new Map();
			for (const [key, instance] of wanted) {
				const kept = before.get(key);
				kept?.reconfigure(instance, grouped.has(instance.name), config.multicastGroups[instance.family], inventory);
				const runner = kept ?? started.get(key);
				if (runner !== undefined) this.#runners.set(key, runner);
			}
			this.#groups = config.syncGroups.map(group => this.#formGroup(group));
			forgetUntracked(this.#tracked, config.instances);
		});
		await Promise.all(stopped);
	}

	/** All of them, by key, or none: when one cannot start, those before it are stopped again. */
	#startAll(
		instances: readonly Instance[],
		grouped: ReadonlySet<string>,
		multicastGroups: MulticastGroups,
		legacies: ReadonlyMap<string, Legacy>,
		inventory: Inventory,
	): Map<string, InstanceRunner> {
		const started = new Map<string, InstanceRunner>();
		try {
			for (const instance of instances) {
				const runner = this.#createRunner(instance, grouped.has(instance.name), multicastGroups[instance.family]);
				runner.start(inventory, legacies.get(keyOf(instance)) ?? null);
				started.set(keyOf(instance), runner);
			}
			return started;
		} catch (error) {
			for (const runner of started.values()) void runner.stop({orderly: false});
			throw error;
		}
	}

	#createRunner(instance: Instance, grouped: boolean, multicastGroup: string): InstanceRunner {
		const runner: InstanceRunner = new InstanceRunner({
			instance,
			grouped,
			multicastGroup,
			host: {...this.#host, sockets: this.#sockets.of(instance.vrid)},
			log: this.#log,
			tracked: this.#tracked,
			owner: {
				waits: () => this.#waits,
				drain: () => this.#sockets.drain(),
				settled: () => this.#settle(),
				transition: transition => this.#events.transition(transition),
				rival: rival => this.#events.rival(rival),
				priorityChanged: change => this.#events.priorityChanged(change),
				resigned: () => this.#doubtMaster(runner),
				lacks: () => this.#statics.missingFor(runner.name),
			},
		});
		return runner;
	}

	// Sync groups

	#formGroup({name, instances}: SyncGroup): Group {
		const before = this.#groups.find(group => group.name === name);
		const members = [...this.#runners.values()].filter(runner => instances.includes(runner.name));
		return {name, members, role: before?.role ?? 'init'};
	}

	/** Gives several instances their event before any group decides upon what became of one of them. */
	#together(act: () => void): void {
		this.#settling = true;
		try {
			act();
		} finally {
			this.#settling = false;
		}
		this.#settle();
	}

	#settle(): void {
		if (this.#settling) return;
		for (const group of this.#groups) this.#settleGroup(group);
	}

	/** Each decision leads to another after one more at most: fault to backup, backup to master. */
	#settleGroup(group: Group): void {
		const decision = decideGroup(group.members.map(member => member.state));
		if (decision !== null) {
			const state = decision.role.toUpperCase();
			this.#log.info({group: group.name}, `VRRP_Group(${group.name}) Syncing instances to ${state} state`);
			this.#together(() => {
				for (const member of group.members) member.dispatch(decision);
			});
			return;
		}
		const roles = new Set(group.members.map(member => member.state.role));
		// A member that waits for its trackers holds the group.
		const [role] = roles.has('init') ? [] : roles;
		if (role !== undefined) this.#reportGroup(group, role);
	}

	#reportGroup(group: Group, to: Role): void {
		const from = group.role;
		if (from === to) return;
		group.role = to;
		this.#events.transition({scope: 'group', name: group.name, from, to, cause: 'sync-group', priority: 0});
	}

	/** A master resigns from all instances of its group at once, even where its word cannot reach us any more. */
	#doubtMaster(runner: InstanceRunner): void {
		const others = this.#groups
			.filter(group => group.members.includes(runner))
			.flatMap(group => group.members)
			.filter(member => member !== runner);
		for (const other of others) other.dispatch({kind: 'doubt-master'});
	}

	// What the kernel has. An event says only that something changed; what is true now is asked for anew, so that lost,
	// late and repeated events all come to the same.

	#onNetlink(event: NetlinkEvent): void {
		if (concerns(event, this.#scope ?? EVERYTHING)) this.#askRefresh();
	}

	#askRefresh(): void {
		if (this.#refreshAsked) return;
		this.#refreshAsked = true;
		void this.#inTurn(() => this.#refresh()).catch((error: unknown) =>
			this.#log.error({error: String(error)}, 'cannot read links, addresses and routes'),
		);
	}

	async #refresh(): Promise<void> {
		this.#refreshAsked = false;
		if (this.#scope === null) return;
		const found = await this.#look(this.#scope);
		const isStale = await this.#virtualMacs.provide(this.#instances, found.links);
		const inventory = isStale ? await this.#look(this.#scope) : found;
		await this.#promotion.enforce(this.#promoting, inventory.links);
		const deleted = await this.#statics.observe(inventory);
		const held = [...this.#runners.values()].flatMap(runner => runner.observe(inventory));
		for (const {kind} of [...deleted, ...held]) this.#deleted[kind]++;
	}

	/** What there is, with links that have changed for good. */
	async #look(scope: Scope): Promise<Inventory> {
		const {links, addresses, routes, rules} = await takeInventory(this.#host.netlink, scope);
		return new Inventory(this.#linkDelays.settle(links), addresses, routes, rules);
	}

	/** Nobody can tell whether these are what a killed run with another configuration left, or somebody else's. */
	#reportStrangers(config: VrrpConfig, found: Inventory): void {
		const strangers = strangersIn(config, found);
		if (strangers.length === 0) return;
		this.#log.warn(
			{routes: strangers.slice(0, STRANGERS_TOLD)},
			`${strangers.length} routes and rules of protocol keepalived are not of this configuration and stay`,
		);
	}

	#inTurn(work: () => Promise<void>): Promise<void> {
		const done = this.#turn.then(work);
		this.#turn = done.catch(() => {});
		return done;
	}
}

/** What an instance is known by, across reloads and processes. */
export function keyOf({interface: device, family, vrid, virtualMac}: Instance): string {
	const {name = '', sendFromBase = false} = virtualMac ?? {};
	return `${device}/${family}/${vrid}/${name}/${sendFromBase}`;
}

/** What has keepalived's number and is not wanted by anybody here. */
function strangersIn({instances, statics}: VrrpConfig, found: Inventory): string[] {
	const ours = [statics, ...instances].flatMap(lines => new Wanted(lines).on(found.links));
	return found.strangers(KEEPALIVED, new Set(ours.map(({slot}) => slot)));
}

/** Strange routes and rules that a log line names. */
const STRANGERS_TOLD = 10;

/** What there is to know before the first configuration. */
const EVERYTHING: Scope = {routeProtocols: new Set([KEEPALIVED]), rules: true};

/** Without routes or rules to hold, those of the kernel are not read: there may be a million. */
function scopeOf({instances, statics}: VrrpConfig): Scope {
	const all = [statics, ...instances];
	return {
		routeProtocols: new Set(all.flatMap(({routes}) => routes.map(({protocol}) => protocol))),
		rules: all.some(({rules}) => rules.length > 0),
	};
}

function concerns(event: NetlinkEvent, scope: Scope): boolean {
	if (event.kind === 'route') return event.removed && scope.routeProtocols.has(event.protocol);
	if (event.kind === 'rule') return event.removed && scope.rules;
	return event.kind !== 'neighbour';
}

function requireInterfaces({instances, statics, linkDelays}: VrrpConfig, links: readonly Link[]): void {
	const made = instances.flatMap(({virtualMac}) => virtualMac?.name ?? []);
	const names = new Set([...links.map(link => link.name), ...made]);
	const users = [
		...devicesOf('static blocks', statics),
		...linkDelays.map(({name, place}) => ({user: 'interface_up_down_delays', device: name, place})),
		...instances.flatMap(instance => devicesOf(`instance ${instance.name}`, instance)),
	];
	for (const {user, device, place} of users) {
		if (names.has(device)) continue;
		throw new KernelError(
			'vrrp configure',
			`${user}: interface ${device}`,
			'ENODEV',
			`${place.file}:${place.line}:${place.column} names an interface that this machine does not have; \`ip link\` lists those it has`,
			{exitCode: ExitCode.noInterface},
		);
	}
}

/** Rules may name interfaces that come later. */
function devicesOf(user: string, of: Instance | Statics): {user: string; device: string; place: Place}[] {
	const addresses = 'interface' in of ? virtualAddresses(of) : of.addresses;
	return [
		...('interface' in of ? [{user, device: of.interface, place: of.place}, ...trackedInterfaces(user, of)] : []),
		...addresses.map(({device, place}) => ({user, device, place})),
		...of.routes.flatMap(({hops, place}) =>
			hops.flatMap(({device}) => (device === null ? [] : [{user, device, place}])),
		),
	];
}

function trackedInterfaces(user: string, {tracks}: Instance): {user: string; device: string; place: Place}[] {
	return tracks.flatMap(({kind, name, place}) => (kind === 'interface' ? [{user, device: name, place}] : []));
}
