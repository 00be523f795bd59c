import type {Instance, MulticastGroups, SyncGroup, TrackerReport, TrackerResult} from '../conf/model.js';
import {ExitCode, KernelError} from '../errors.js';
import type {AddressEntry, Cancel, Link, NetlinkEvent} from '../host/host.js';
import type {Log} from '../log.js';
import {InstanceRunner, type VrrpHost} from './instance.js';
import type {Role} from './machine.js';
import type {GroupStatus, InstanceStatus, Transition, VrrpConfig} from './protocol.js';
import {decideGroup} from './sync-group.js';
import {forgetUntracked, trackerName} from './tracking.js';

interface Group {
	readonly name: string;
	readonly members: readonly InstanceRunner[];
	role: Role;
}

/** All instances and sync groups of this machine, and what the kernel says about its links and addresses. */
export class Router {
	readonly #host: VrrpHost;
	readonly #log: Log;
	readonly #onTransition: (transition: Transition) => void;
	readonly #cancelEvents: Cancel;
	/** By interface, family and VRID, which is what makes an instance the same across a reload (keepalived §3.12). */
	#runners = new Map<string, InstanceRunner>();
	#groups: readonly Group[] = [];
	/** What is known of the trackers other than links, by `trackerName`; it holds until something newer is heard. */
	readonly #tracked = new Map<string, TrackerResult>();
	/** Group decisions wait while one event is being given to several members. */
	#settling = false;
	/** Work that reads links and addresses and acts on them goes one after the other: nothing may act on a stale reading. */
	#turn: Promise<unknown> = Promise.resolve();
	#refreshAsked = false;

	constructor(host: VrrpHost, log: Log, onTransition: (transition: Transition) => void) {
		this.#host = host;
		this.#log = log;
		this.#onTransition = onTransition;
		this.#cancelEvents = host.netlink.onEvent(event => this.#onNetlink(event));
	}

	/**
	 * Puts a configuration in force: at start, and again for each reload. Instances of the same VRID and family on the
	 * same interface keep their state. Throws `KernelError`, and leaves everything as it was, when an interface does not exist or a
	 * socket is refused.
	 */
	configure(config: VrrpConfig): Promise<void> {
		return this.#inTurn(() => this.#configure(config));
	}

	/** Takes in what trackers have found; those that are not named stay as they were. */
	track(reports: readonly TrackerReport[]): void {
		for (const report of reports) this.#tracked.set(trackerName(report), report.result);
		this.#together(() => {
			for (const runner of this.#runners.values()) runner.reconsider();
		});
	}

	status(): {instances: InstanceStatus[]; groups: GroupStatus[]} {
		return {
			instances: [...this.#runners.values()].map(runner => runner.status()),
			groups: this.#groups.map(({name, role, members}) => ({
				name,
				role,
				instances: members.map(member => member.name),
			})),
		};
	}

	/** Resigns everywhere and takes our addresses off; resolves when they are gone. The router is used up then. */
	stop(): Promise<void> {
		this.#cancelEvents();
		return this.#inTurn(async () => {
			await Promise.all([...this.#runners.values()].map(runner => runner.stop()));
		});
	}

	async #configure(config: VrrpConfig): Promise<void> {
		const [links, addresses] = await Promise.all([this.#host.netlink.links(), this.#host.netlink.addresses()]);
		for (const instance of config.instances) requireInterfaces(instance, links);
		const grouped = new Set(config.syncGroups.flatMap(group => group.instances));
		const before = this.#runners;
		const wanted = new Map(config.instances.map(instance => [keyOf(instance), instance]));
		const leaving = [...before].filter(([key]) => !wanted.has(key)).map(([, runner]) => runner);
		const stopped: Promise<void>[] = [];
		this.#together(() => {
			const added = config.instances.filter(instance => !before.has(keyOf(instance)));
			const started = this.#startAll(added, grouped, config.multicastGroups, {links, addresses});
			stopped.push(...leaving.map(runner => runner.stop()));
			this.#runners = new Map();
			for (const [key, instance] of wanted) {
				const kept = before.get(key);
				kept?.reconfigure(instance, grouped.has(instance.name), links, addresses);
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
		present: {links: readonly Link[]; addresses: readonly AddressEntry[]},
	): Map<string, InstanceRunner> {
		const started = new Map<string, InstanceRunner>();
		try {
			for (const instance of instances) {
				const runner = this.#createRunner(instance, grouped.has(instance.name), multicastGroups[instance.family]);
				runner.start(present.links, present.addresses);
				started.set(keyOf(instance), runner);
			}
			return started;
		} catch (error) {
			for (const runner of started.values()) void runner.stop();
			throw error;
		}
	}

	#createRunner(instance: Instance, grouped: boolean, multicastGroup: string): InstanceRunner {
		const runner: InstanceRunner = new InstanceRunner({
			instance,
			grouped,
			multicastGroup,
			host: this.#host,
			log: this.#log,
			tracked: this.#tracked,
			owner: {
				drain: () => this.#drain(),
				settled: () => this.#settle(),
				transition: this.#onTransition,
				resigned: () => this.#doubtMaster(runner),
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
		this.#onTransition({scope: 'group', name: group.name, from, to, cause: 'sync-group', priority: 0});
	}

	/** A master resigns from all instances of its group at once, even where its word cannot reach us any more. */
	#doubtMaster(runner: InstanceRunner): void {
		const others = this.#groups
			.filter(group => group.members.includes(runner))
			.flatMap(group => group.members)
			.filter(member => member !== runner);
		for (const other of others) other.dispatch({kind: 'doubt-master'});
	}

	#drain(): void {
		for (const runner of this.#runners.values()) runner.drain();
	}

	// Links and addresses. An event says only that something changed; what is true now is asked for anew, so that lost,
	// late and repeated events all come to the same.

	#onNetlink(event: NetlinkEvent): void {
		if (event.kind === 'neighbour' || event.kind === 'route' || this.#refreshAsked) return;
		this.#refreshAsked = true;
		void this.#inTurn(() => this.#refresh()).catch((error: unknown) =>
			this.#log.error({error: String(error)}, 'cannot read links and addresses'),
		);
	}

	async #refresh(): Promise<void> {
		this.#refreshAsked = false;
		const [links, addresses] = await Promise.all([this.#host.netlink.links(), this.#host.netlink.addresses()]);
		for (const runner of this.#runners.values()) runner.observe(links, addresses);
	}

	#inTurn(work: () => Promise<void>): Promise<void> {
		const done = this.#turn.then(work);
		this.#turn = done.catch(() => {});
		return done;
	}
}

function keyOf(instance: Instance): string {
	return `${instance.interface}/${instance.family}/${instance.vrid}`;
}

function requireInterfaces(instance: Instance, links: readonly Link[]): void {
	const names = new Set(links.map(link => link.name));
	const devices = [
		{device: instance.interface, place: instance.place},
		...instance.addresses,
		...instance.excludedAddresses,
		...instance.tracks.flatMap(({kind, name, place}) => (kind === 'interface' ? [{device: name, place}] : [])),
	];
	for (const {device, place} of devices) {
		if (names.has(device)) continue;
		throw new KernelError(
			'vrrp configure',
			`instance ${instance.name}: interface ${device}`,
			'ENODEV',
			`${place.file}:${place.line}:${place.column} names an interface that this machine does not have; \`ip link\` lists those it has`,
			{exitCode: ExitCode.noInterface},
		);
	}
}
