import type {Instance, Track, TrackerReport, TrackerResult} from '../conf/model.js';
import type {
	AddressEntry,
	AdvertSocket,
	Cancel,
	Clock,
	Leases,
	Link,
	Netlink,
	Packet,
	Sockets,
	VirtualRouter,
} from '../host/host.js';
import type {Log} from '../log.js';
import {addressBytes, family, isLinkLocal} from '../net/address.js';
import {compareBytes} from '../net/bytes.js';
import type {Path} from '../net/ip.js';
import {encodeAuthenticated} from '../net/ip-auth.js';
import {type Signature, Trailers} from '../net/vrrp-hmac.js';
import {
	type Advert,
	type AuthHeaders,
	encodeAdvert,
	type ReceivedAdvert,
	type RefusalReason,
	receiveAdvert,
	VRRP_PROTOCOL,
	VRRP_TOS,
	VRRP_TTL,
} from '../net/vrrp-packet.js';
import {Announcer} from './announce.js';
import {type Holding, Holdings, virtualAddresses, Wanted} from './holdings.js';
import type {Inventory} from './inventory.js';
import {
	type Ailment,
	type Cause,
	type Effect,
	initialState,
	type MachineConfig,
	type MachineEvent,
	type MachineState,
	type Role,
	silentUs,
	step,
	type TimerName,
} from './machine.js';
import type {InstanceStatus, Legacy, PriorityChange, Rival, Transition} from './protocol.js';
import {isRefusedMaster, type OtherMaster, RivalWatch} from './rival-watch.js';
import {Timers} from './timers.js';
import {type Tracking, track, trackerName} from './tracking.js';

/** The part of the outside world that VRRP lives in. */
export interface VrrpHost {
	readonly clock: Clock;
	readonly sockets: Sockets;
	readonly netlink: Netlink;
	readonly leases: Leases;
}

/** What an instance asks of the router it belongs to. */
export interface InstanceOwner {
	/** Whether nobody preempts a master now. */
	waits(): boolean;
	/** Reads whatever waits in the sockets of all instances. */
	drain(): void;
	/** The instance has taken a step. */
	settled(): void;
	transition(transition: Transition): void;
	rival(rival: Rival): void;
	priorityChanged(change: PriorityChange): void;
	/** The master of this instance resigned. */
	resigned(): void;
	/** What of the static blocks the instance cannot do without, and is not there; null: nothing. */
	lacks(): string | null;
}

/** The interface and the address that adverts go out from. */
interface Ends {
	readonly link: Link;
	/** The one with the virtual MAC address, if adverts are to have that. */
	readonly virtual: Link | null;
	readonly source: string;
}

/** The sockets of an instance, and what they were opened for. */
interface Attachment extends Ends {
	readonly base: AdvertSocket;
	/** That of the interface with the virtual MAC address. */
	readonly own: AdvertSocket | null;
	readonly group: string | null;
	readonly ttl: number;
	readonly authenticated: boolean;
}

/** One `vrrp_instance` at work: feeds its state machine with packets, timers and links, and performs the effects. */
export class InstanceRunner {
	#instance: Instance;
	#lines: Wanted;
	#machineConfig: MachineConfig;
	#state: MachineState;
	readonly #host: VrrpHost;
	readonly #owner: InstanceOwner;
	readonly #log: Log;
	/** What all instances of the family use that name no other. */
	#defaultGroup: string;
	readonly #timers: Timers;
	readonly #holdings: Holdings;
	readonly #announcer: Announcer;
	readonly #tracked: ReadonlyMap<string, TrackerReport>;
	#links: readonly Link[] = [];
	/** What ails it, or did last. */
	#ailing: Ailment = 'interface-down';
	#attachment: Attachment | null = null;
	/** What the attachment was opened for is not there any more. */
	#isCutOff = false;
	/** The interface with the virtual MAC address is up. */
	#isRaised = false;
	#since: Date;
	#master: {address: string; priority: number} | null = null;
	/** The router whose lower priority was last reported: each is reported once. */
	#reportedLower: string | null = null;
	/** Before then, a router that ranks below us is no news, and needs no answer by announcements. */
	#rivalQuietUntilUs = 0;
	#advertsSent = 0;
	/** When the last advert of a master went out. */
	#advertisedUs = 0;
	/** Until then it is master still, as it was in another process. */
	#resumableUntilUs = 0;
	#cancelResumption: Cancel = () => {};
	#advertsReceived = 0;
	#sendErrors = 0;
	readonly #rivals = new RivalWatch();
	#rivalSince: Date | null = null;
	/** Of the last authentication header that was sent or believed. */
	#sequence = 0;
	readonly #trailers = new Trailers();
	/** Since when clocks are nearly too far apart, and whether that has been said. */
	#skewedSinceUs: number | null = null;
	#isSkewTold = false;
	readonly #refused: Partial<Record<RefusalReason, number>> = {};
	readonly #transitions: Partial<Record<Role, number>> = {};
	/** Why it is what it is. */
	#cause: Cause | null = null;
	/** Who waits until it lingers no more. */
	#awaitingEnd: (() => void)[] = [];

	constructor(options: {
		instance: Instance;
		grouped: boolean;
		multicastGroup: string;
		/** Results of trackers by `trackerName`; `reconsider` is called when they change. */
		tracked: ReadonlyMap<string, TrackerReport>;
		host: VrrpHost;
		owner: InstanceOwner;
		log: Log;
	}) {
		const {instance, host, owner} = options;
		this.#instance = instance;
		this.#lines = new Wanted(instance);
		this.#machineConfig = {...instance, grouped: options.grouped};
		this.#state = initialState(this.#machineConfig);
		this.#host = host;
		this.#owner = owner;
		this.#log = options.log.child({instance: instance.name});
		this.#tracked = options.tracked;
		this.#defaultGroup = options.multicastGroup;
		this.#timers = new Timers(
			host.clock,
			instance.name,
			() => owner.drain(),
			name => this.#expired(name),
		);
		this.#holdings = new Holdings(host.netlink, this.#log);
		this.#announcer = new Announcer(host.sockets);
		this.#since = host.clock.wall();
		this.#trailers.configure(instance.authHmac, instance.unicast?.peers.length);
	}

	get name(): string {
		return this.#instance.name;
	}

	get state(): MachineState {
		return this.#state;
	}

	/**
	 * Starts from what is there: what an earlier run left is taken over, and removed unless this instance is master at
	 * once, or still. Throws `KernelError` when the sockets are refused.
	 */
	start(inventory: Inventory, legacy: Legacy | null): void {
		this.#links = inventory.links;
		this.#holdings.adopt(this.#wanted(), inventory);
		this.#attach(this.#wantedEnds(inventory.addresses));
		this.#inherit(legacy ?? {masterForUs: this.#leftOfLeaseUs(), released: false});
		this.#machineConfig = {...this.#machineConfig, priority: this.#tracking().priority};
		const {awaited} = this.#tracking();
		if (awaited === null) return this.reconsider();
		this.#log.info({}, `(${this.name}) waits for the first result of ${awaited}`);
		if (!this.#isStillMaster()) this.dispatch({kind: 'hold'});
	}

	/** Of a run that was killed: for so long nobody takes over from it. */
	#leftOfLeaseUs(): number {
		const router = this.#router();
		const untilUs = router === null ? null : this.#host.leases.heldUntilUs(router);
		return untilUs === null ? 0 : Math.max(0, untilUs - this.#host.clock.nowUs());
	}

	#inherit({masterForUs, released, sequence = 0, trailers}: Omit<Legacy, 'key'>): void {
		this.#sequence = sequence;
		if (trailers !== undefined) this.#trailers.recall(trailers);
		if (released) this.dispatch({kind: 'release'});
		this.#resumableUntilUs = this.#host.clock.nowUs() + masterForUs;
		if (masterForUs === 0) return;
		this.#cancelResumption = this.#host.clock.after(masterForUs, `${this.name}: resumption`, () =>
			this.dispatch({kind: 'hold'}),
		);
	}

	#isStillMaster(): boolean {
		return this.#host.clock.nowUs() < this.#resumableUntilUs;
	}

	/** Acts upon what is known of links and trackers now. */
	reconsider(): void {
		const {priority, awaited} = this.#tracking();
		this.#setPriority(priority);
		const ailment = this.#ailment()?.kind ?? null;
		const recovery = this.#ailing === 'tracker-down' ? 'tracker-up' : 'interface-up';
		if (ailment !== null) this.#ailing = ailment;
		if (this.#state.role !== 'init') {
			if ((ailment === null) !== this.#state.healthy) this.dispatch({kind: ailment ?? recovery});
		} else if (awaited === null) {
			this.dispatch(ailment === null && this.#isStillMaster() ? {kind: 'resume'} : {kind: 'start', ailment});
		}
	}

	/**
	 * Compares what the kernel has now with what the machine believes, and tells it the difference. Returns what somebody else
	 * has deleted.
	 */
	observe(inventory: Inventory): readonly Holding[] {
		this.#links = inventory.links;
		// Somebody else took it down, or it is another one.
		if (this.#virtualLink()?.up === false) this.#isRaised = false;
		this.#reattach(inventory.addresses);
		const lost = this.#holdings.noticeLost(inventory);
		if (lost.length > 0) {
			this.#log.warn({lost: lost.map(({text}) => text)}, `(${this.name}) deleted by somebody else`);
		}
		if (lost.some(({kind}) => kind === 'address')) this.dispatch({kind: 'address-lost'});
		// A route that went with its link, or that somebody took, is no reason to let go of the addresses.
		if (this.#state.role === 'master') this.#holdings.addAll(this.#wanted().filter(({kind}) => kind !== 'address'));
		return lost;
	}

	/** Puts a changed configuration of the same VRID on the same interface in force, keeping state and counters. */
	reconfigure(instance: Instance, grouped: boolean, multicastGroup: string, inventory: Inventory): void {
		this.#instance = instance;
		this.#lines = new Wanted(instance);
		this.#trailers.configure(instance.authHmac, instance.unicast?.peers.length);
		this.#defaultGroup = multicastGroup;
		this.#links = inventory.links;
		const before = this.#machineConfig;
		this.#machineConfig = {...instance, grouped, priority: this.#tracking().priority};
		if (this.#priority !== before.priority) this.#reportPriority();
		this.#holdings.removeUnwanted(this.#wanted());
		this.#reattach(inventory.addresses);
		this.dispatch({kind: 'reconfigured', before: this.#withWait(before)});
	}

	/** Who waits for the connections of the others does not preempt. */
	#withWait(config: MachineConfig): MachineConfig {
		return {...config, preempt: config.preempt && !this.#owner.waits()};
	}

	dispatch(event: MachineEvent): void {
		const {state, effects} = step(this.#state, event, this.#withWait(this.#machineConfig));
		this.#state = state;
		for (const effect of effects) this.#perform(effect);
		if (state.role !== 'master' && this.#rivals.ends()) this.#reportRivalGone();
		this.#owner.settled();
		if (!this.#state.lingers) for (const resolve of this.#awaitingEnd.splice(0)) resolve();
	}

	/** Resolves when it has let go of what it gave up, or is master again. */
	lingered(): Promise<void> {
		return this.#state.lingers ? new Promise(resolve => this.#awaitingEnd.push(resolve)) : Promise.resolve();
	}

	/** Closes everything and leaves it as it is, for another process to go on with. */
	async handOn(): Promise<Omit<Legacy, 'key'>> {
		const {role, released} = this.#state;
		const silentForUs = this.#host.clock.nowUs() - this.#advertisedUs;
		const masterForUs = role === 'master' ? Math.max(0, silentUs(this.#machineConfig) - silentForUs) : 0;
		this.#timers.cancelAll();
		this.#detach();
		this.#announcer.close();
		await this.#holdings.settled();
		return {masterForUs, released, sequence: this.#sequence, trailers: this.#trailers.memory()};
	}

	/**
	 * Resigns, takes the addresses off and closes the sockets; resolves when the kernel has answered. `orderly`: not before
	 * the successor is there.
	 */
	async stop({orderly}: {readonly orderly: boolean}): Promise<void> {
		this.dispatch({kind: 'stop', orderly});
		if (this.#state.lingers) await this.lingered();
		this.#cancelResumption();
		this.#detach();
		this.#announcer.close();
		await this.#holdings.settled();
	}

	status(): InstanceStatus {
		return {
			name: this.#instance.name,
			interface: this.#instance.interface,
			family: this.#instance.family,
			vrid: this.#instance.vrid,
			role: this.#state.role,
			cause: this.#cause,
			released: this.#state.released,
			lingers: this.#state.lingers,
			since: this.#since.toISOString(),
			priority: this.#priority,
			basePriority: this.#instance.priority,
			tracks: this.#tracking().tracks,
			waits: this.#state.role === 'backup' && this.#machineConfig.preempt && this.#owner.waits(),
			master: this.#state.role === 'master' ? this.#ownRank() : this.#master,
			addresses: this.#instance.addresses.map(virtual => virtual.address),
			advertsSent: this.#advertsSent,
			advertsReceived: this.#advertsReceived,
			refused: {...this.#refused},
			sendErrors: this.#sendErrors,
			transitions: {...this.#transitions},
			rival: this.#rivalStatus(),
			rivalsTotal: this.#rivals.count,
			timerLatenessMaxUs: this.#timers.latenessMaxUs,
		};
	}

	/** What there is to hold as a master. */
	#wanted(): readonly Holding[] {
		return this.#lines.on(this.#links);
	}

	#ownRank(): {address: string; priority: number} | null {
		if (this.#attachment === null) return null;
		return {address: this.#attachment.source, priority: this.#priority};
	}

	/** In effect now. */
	get #priority(): number {
		return this.#machineConfig.priority;
	}

	#perform(effect: Effect): void {
		switch (effect.kind) {
			case 'send-advert':
				if (this.#state.role === 'master') this.#raise();
				this.#sendAdvert(effect.priority);
				break;
			case 'add-addresses':
				this.#raise();
				this.#holdings.addAll(this.#wanted());
				break;
			case 'remove-addresses':
				this.#holdings.removeAll();
				this.#endLease();
				this.#lower();
				break;
			case 'announce':
				this.#announce(effect.rounds);
				break;
			case 'set-timer':
				this.#timers.set(effect.timer, effect.us);
				break;
			case 'shorten-timer':
				this.#timers.shorten(effect.timer, effect.us);
				break;
			case 'shift-timer':
				this.#timers.shift(effect.timer, effect.us);
				break;
			case 'cancel-timer':
				this.#timers.cancel(effect.timer);
				break;
			case 'cancel-timers':
				this.#timers.cancelAll();
				break;
			case 'transition':
				this.#reportTransition(effect);
				break;
			case 'report-lower-priority':
				this.#reportLowerPriority();
				this.#reportRival();
				break;
			case 'report-resigned':
				this.#log.info({}, `(${this.name}) Backup received priority 0 advertisement`);
				this.#owner.resigned();
				break;
			default:
				effect satisfies never;
		}
	}

	#expired(timer: TimerName): void {
		if (timer === 'master-down') this.#log.info({}, `(${this.name}) Receive advertisement timeout`);
		this.dispatch({kind: 'timer', timer});
	}

	// The interface

	#wantedEnds(addresses: readonly AddressEntry[]): Ends | null {
		const link = this.#link();
		if (link === undefined) return null;
		const source = this.#source(link.ifindex, addresses);
		const virtual = this.#virtualLink();
		if (source === null || virtual === undefined) return null;
		return {link, source, virtual: this.#instance.virtualMac?.sendFromBase ? null : virtual};
	}

	#link(): Link | undefined {
		return this.#links.find(candidate => candidate.name === this.#instance.interface);
	}

	/** The interface with the virtual MAC address; null: the instance has none, undefined: it is not there. */
	#virtualLink(): Link | null | undefined {
		const {virtualMac} = this.#instance;
		return virtualMac === null ? null : this.#links.find(({name}) => name === virtualMac.name);
	}

	/**
	 * The virtual MAC address is on the wire while we are master, and only then: a backup that says anything with it, as
	 * the kernel does when it joins a group, draws the frames of the master to its own port of the switch.
	 */
	#raise(): void {
		const link = this.#virtualLink();
		if (link === null || link === undefined || this.#isRaised) return;
		this.#isRaised = true;
		this.#switch(link, true);
	}

	#lower(): void {
		this.#isRaised = false;
		const link = this.#virtualLink();
		if (link !== null && link !== undefined) this.#switch(link, false);
	}

	#switch({ifindex, name}: Link, up: boolean): void {
		this.#host.netlink.setLinkUp(ifindex, up).catch((error: unknown) => {
			this.#log.error({error: String(error)}, `(${this.name}) cannot take ${name} ${up ? 'up' : 'down'}`);
		});
	}

	/** As in keepalived, any IPv4 address may be the source of multicast, but otherwise only one that is there. */
	#source(ifindex: number, addresses: readonly AddressEntry[]): string | null {
		const {sourceAddress, trackSourceAddress, family: of, unicast} = this.#instance;
		if (sourceAddress === null) return this.#primaryAddress(ifindex, addresses);
		const isThere = addresses.some(
			entry =>
				entry.address === sourceAddress && entry.usable && (entry.ifindex === ifindex || !isLinkLocal(sourceAddress)),
		);
		const isNeeded = of === 6 || unicast !== null || trackSourceAddress;
		return isThere || !isNeeded ? sourceAddress : null;
	}

	/**
	 * The address that the kernel itself would send from: the first that is not a secondary one, nor virtual; of IPv6, the
	 * first that is link-local (RFC 9568 §5.1.2.1), unless the peers are not.
	 */
	#primaryAddress(ifindex: number, addresses: readonly AddressEntry[]): string | null {
		const {unicast} = this.#instance;
		const onLink = unicast === null || unicast.peers.some(({address}) => isLinkLocal(address));
		const virtual = new Set(virtualAddresses(this.#instance).map(({address}) => address));
		const primary = addresses.find(
			entry =>
				entry.ifindex === ifindex &&
				!entry.secondary &&
				entry.usable &&
				family(entry.address) === this.#instance.family &&
				(this.#instance.family === 4 || isLinkLocal(entry.address) === onLink) &&
				// An owner's virtual address is its own (RFC 3768 §1.6).
				(this.#instance.priority === 255 || !virtual.has(entry.address)),
		);
		return primary?.address ?? null;
	}

	/** Why there is nothing to be master of (keepalived §3.4), or null. */
	#ailment(): {readonly kind: Ailment; readonly words: string} | null {
		const wrong = this.#wrongWithInterface();
		if (wrong !== null) return {kind: 'interface-down', words: wrong};
		const {fault} = this.#tracking();
		return fault === null ? null : {kind: 'tracker-down', words: fault};
	}

	#wrongWithInterface(): string | null {
		const link = this.#link();
		if (link === undefined) return `interface ${this.#instance.interface} is gone`;
		if (this.#instance.trackPrimary && !link.running) return `interface ${link.name} is down`;
		if (this.#virtualLink() === undefined) return `interface ${this.#instance.virtualMac?.name} is gone`;
		const lacking = this.#owner.lacks();
		if (this.#attachment !== null && !this.#isCutOff) return lacking === null ? null : `${lacking} is gone`;
		return `interface ${link.name} has no usable ${this.#sourceText()} address`;
	}

	#sourceText(): string {
		const {family: of, sourceAddress, trackSourceAddress, unicast} = this.#instance;
		if (unicast !== null || trackSourceAddress) return sourceAddress ?? `IPv${of}`;
		return of === 4 ? 'IPv4' : 'IPv6 link-local';
	}

	/** Follows the interface, and tells the machine when its health has changed. */
	#reattach(addresses: readonly AddressEntry[]): void {
		const ends = this.#wantedEnds(addresses);
		this.#isCutOff = ends === null;
		try {
			// Who is cut off resigns by the sockets that it still has.
			if (ends !== null) this.#attach(ends);
		} catch (error) {
			this.#log.error({error: String(error)}, `(${this.name}) cannot open sockets on ${this.#instance.interface}`);
		}
		this.reconsider();
		if (ends === null) this.#detach();
	}

	/** Where adverts go by multicast, or null. */
	#group(): string | null {
		return this.#instance.unicast === null ? (this.#instance.multicastGroup ?? this.#defaultGroup) : null;
	}

	/** Keeps the socket while what it was opened for stays the same, whatever else changed about the link. */
	#attach(ends: Ends | null): void {
		const current = this.#attachment;
		const group = this.#group();
		const ttl = this.#instance.unicast?.ttl ?? VRRP_TTL;
		const same = ends !== null && current !== null && sameEnds(current, ends);
		const authenticated = this.#instance.usesAuthHeader;
		if (same && current.group === group && current.ttl === ttl && current.authenticated === authenticated) return;
		this.#detach();
		if (ends === null) return;
		const {virtual, source} = ends;
		const open = (link: Link): AdvertSocket =>
			this.#host.sockets.vrrp({
				interface: link.name,
				ifindex: link.ifindex,
				group,
				source,
				ttl,
				authenticated,
				foreign: link === virtual,
				onPacket: packet => this.#heard(packet, link === virtual),
			});
		const base = open(ends.link);
		this.#attachment = {...ends, base, own: virtual === null ? null : open(virtual), group, ttl, authenticated};
	}

	#detach(): void {
		this.#attachment?.base.close();
		this.#attachment?.own?.close();
		this.#attachment = null;
	}

	// Trackers

	#tracking(): Tracking {
		return track(this.#instance.priority, this.#instance.tracks, track => this.#resultOf(track));
	}

	#resultOf(track: Track): TrackerResult | null {
		if (track.kind !== 'interface') return this.#tracked.get(trackerName(track))?.result ?? null;
		return this.#links.some(({name, running}) => name === track.name && running) ? 'up' : 'down';
	}

	#setPriority(priority: number): void {
		const before = this.#priority;
		if (priority === before) return;
		this.#machineConfig = {...this.#machineConfig, priority};
		this.#log.info({}, `(${this.name}) Changing effective priority from ${before} to ${priority}`);
		this.dispatch({kind: 'priority-changed', before});
		this.#reportPriority();
	}

	#reportPriority(): void {
		const {role} = this.#state;
		if (role !== 'master' && role !== 'backup') return;
		this.#owner.priorityChanged({instance: this.name, master: role === 'master', priority: this.#priority});
	}

	// Packets

	#ownAdvert(priority: number): Advert {
		const {version, vrid, advertUs, addresses, password, usesAuthHeader} = this.#instance;
		const advert = {version, vrid, priority, advertUs, addresses: addresses.map(virtual => virtual.address)};
		return usesAuthHeader ? {...advert, password: null, inAuthHeader: true} : {...advert, password};
	}

	/** What goes into the socket: with an authentication header, the whole packet. */
	#encode(advert: Advert, path: Path, ttl: number, signature: Signature | null): Uint8Array {
		const message = encodeAdvert(advert, path, signature);
		const {password, usesAuthHeader} = this.#instance;
		if (!usesAuthHeader || password === null) return message;
		this.#sequence++;
		const identification = this.#sequence & 0xffff || 1;
		const packet = {...path, protocol: VRRP_PROTOCOL, ttl, payload: message, typeOfService: VRRP_TOS, identification};
		return encodeAuthenticated(packet, {key: password, sequence: this.#sequence});
	}

	#authHeaders(): AuthHeaders | null {
		const {password, usesAuthHeader} = this.#instance;
		return usesAuthHeader && password !== null ? {key: password, sequence: this.#sequence} : null;
	}

	#sendAdvert(priority: number): void {
		this.#lookForRival();
		if (this.#attachment === null) return;
		const {base, own, source, group, ttl} = this.#attachment;
		const adverts = own ?? base;
		const advert = this.#ownAdvert(priority);
		const destinations = group === null ? (this.#instance.unicast?.peers ?? []).map(({address}) => address) : [group];
		const signature = this.#trailers.next(this.#host.clock.wall().getTime());
		const sent = destinations.filter(to =>
			this.#sends(() => adverts.send(this.#encode(advert, {source, destination: to}, ttl, signature), to)),
		);
		if (sent.length === 0) return;
		this.#advertsSent++;
		this.#advertisedUs = this.#host.clock.nowUs();
		if (priority > 0) this.#renewLease();
		if (priority === 0) this.#log.info({}, `(${this.name}) sent 0 priority`);
	}

	#renewLease(): void {
		const router = this.#router();
		const sentUs = this.#advertisedUs;
		if (router !== null) this.#host.leases.renew(router, sentUs, sentUs + silentUs(this.#machineConfig));
	}

	/** The addresses are there, but a successor is the one to ask for them, and none of ours goes on from here. */
	#passLease(): void {
		const router = this.#router();
		const nowUs = this.#host.clock.nowUs();
		if (router !== null) this.#host.leases.renew(router, nowUs, nowUs);
	}

	#endLease(): void {
		const router = this.#router();
		if (router !== null) this.#host.leases.end(router);
	}

	#router(): VirtualRouter | null {
		const link = this.#link();
		const {family: of, vrid} = this.#instance;
		return link === undefined ? null : {ifindex: link.ifindex, family: of, vrid};
	}

	#announce(rounds: number): void {
		this.#sends(() => this.#announcer.announce(this.#instance, this.#links, rounds));
	}

	/** A packet that the kernel does not take is a lost packet: VRRP lives with those. */
	#sends(send: () => void): boolean {
		try {
			send();
			return true;
		} catch (error) {
			this.#sendErrors++;
			this.#log.debug({error: String(error)}, `(${this.name}) send failed`);
			return false;
		}
	}

	/**
	 * While the interface with the virtual MAC address is up, frames from that address go to it alone, and all others of the
	 * group to both; otherwise everything is heard on the interface below.
	 */
	#heard(packet: Packet, onVirtual: boolean): void {
		if (onVirtual === (this.#isRaised && this.#attachment?.own !== null)) this.#receive(packet);
	}

	#receive(packet: Packet): void {
		if (this.#attachment === null) return;
		const own = this.#attachment.source;
		const received = receiveAdvert(packet.bytes, this.#ownAdvert(this.#priority), own, {
			unicast: this.#instance.unicast,
			headers: this.#authHeaders(),
			distrusts: sealed => this.#trailers.check(sealed, this.#host.clock.wall().getTime()),
		});
		if (!received.ok) {
			this.#refused[received.reason] = (this.#refused[received.reason] ?? 0) + 1;
			if (isRefusedMaster(received.reason)) this.#hearRival({address: packet.from, refused: received.reason});
			return;
		}
		this.#advertsReceived++;
		this.#sequence = received.value.sequence ?? this.#sequence;
		this.#lookAtSkew(received.value.source);
		this.#noteMaster(received.value);
		const {advert, source} = received.value;
		this.dispatch({
			kind: 'advert',
			priority: advert.priority,
			higherAddress: compareBytes(addressBytes(source), addressBytes(own)) > 0,
			advertUs: advert.advertUs,
		});
		if (advert.priority === 0) this.#endRival();
		else this.#hearRival({address: source, refused: null});
	}

	/**
	 * Before clocks are so far apart that adverts are refused. Said once, and again after a better time, but not of adverts that
	 * have waited for us in the socket.
	 */
	#lookAtSkew(source: string): void {
		const {authHmac, advertUs} = this.#instance;
		const {skewS} = this.#trailers;
		const nearness = authHmac?.antiReplay === 'time' ? Math.abs(skewS) / authHmac.windowS : 0;
		if (nearness <= 0.25) this.#isSkewTold = false;
		if (nearness <= 0.5) this.#skewedSinceUs = null;
		if (nearness <= 0.5 || this.#isSkewTold) return;
		const nowUs = this.#host.clock.nowUs();
		this.#skewedSinceUs ??= nowUs;
		if (nowUs - this.#skewedSinceUs < advertUs) return;
		this.#isSkewTold = true;
		const text = `the clock of ${source} is ${Math.abs(skewS)} s ${skewS > 0 ? 'behind' : 'ahead of'} ours`;
		this.#log.warn({source, skewS}, `(${this.name}) ${text}: beyond ${authHmac?.windowS} s its adverts are refused`);
	}

	// Two masters: what is heard after our own adverts have said who should be it

	#hearRival(rival: OtherMaster): void {
		if (this.#state.role !== 'master') return;
		const began = this.#rivals.hears(rival, this.#host.clock.nowUs(), this.#instance.advertUs);
		if (!began) return;
		this.#rivalSince = this.#host.clock.wall();
		const why = rival.refused === null ? '' : `, whose adverts are refused: ${rival.refused}`;
		this.#log.error(rival, `(${this.name}) two masters: ${rival.address} is one, too${why}`);
	}

	/** Who falls silent may have kept the segment's attention until then. */
	#lookForRival(): void {
		if (this.#rivals.passes(this.#host.clock.nowUs(), this.#instance.advertUs)) this.#winOverRival();
	}

	/** Who resigns has been a master, heard before or not. Strangers who do so all the time get one answer an interval. */
	#endRival(): void {
		if (this.#state.role !== 'master') return;
		if (this.#rivals.ends()) return this.#winOverRival();
		const nowUs = this.#host.clock.nowUs();
		if (nowUs < this.#rivalQuietUntilUs) return;
		this.#rivalQuietUntilUs = nowUs + this.#instance.advertUs;
		this.#announce(this.#instance.garp.lowerPriorityRepeat);
	}

	#winOverRival(): void {
		this.#announce(this.#instance.garp.lowerPriorityRepeat);
		this.#reportRivalGone();
	}

	#reportRivalGone(): void {
		this.#rivalSince = null;
		this.#log.info({}, `(${this.name}) two masters no more`);
	}

	#rivalStatus(): InstanceStatus['rival'] {
		const {rival} = this.#rivals;
		return rival && {...rival, since: (this.#rivalSince ?? this.#host.clock.wall()).toISOString()};
	}

	#noteMaster({advert, source}: ReceivedAdvert): void {
		this.#master = advert.priority === 0 ? null : {address: source, priority: advert.priority};
	}

	// Reports, in keepalived's words where users' scripts look for them

	#reportTransition({from, to, cause}: Extract<Effect, {kind: 'transition'}>): void {
		this.#since = this.#host.clock.wall();
		this.#cause = cause;
		// One that was counted in another process.
		if (cause !== 'resumed') this.#transitions[to] = (this.#transitions[to] ?? 0) + 1;
		this.#reportedLower = null;
		if (from === 'master') this.#reportOutranked(cause);
		if (this.#state.lingers) this.#passLease();
		const ailment = to === 'fault' ? this.#ailment() : null;
		if (ailment !== null) this.#log.warn({}, `(${this.name}) ${ailment.words}`);
		if (to !== 'stopped') {
			const initial = from === 'init' ? ' (init)' : '';
			this.#log.info({from, to, cause}, `(${this.name}) Entering ${to.toUpperCase()} STATE${initial}`);
		}
		this.#owner.transition({scope: 'instance', name: this.name, from, to, cause, priority: this.#priority});
	}

	#reportOutranked(cause: string): void {
		if (this.#master === null) return;
		const {address, priority} = this.#master;
		const lead = `(${this.name}) Master received advert from ${address} with`;
		const ours = this.#priority;
		if (cause === 'higher-priority') this.#log.info({}, `${lead} higher priority ${priority}, ours ${ours}`);
		if (cause === 'higher-address')
			this.#log.info({}, `${lead} same priority ${priority} but higher IP address than ours`);
	}

	#reportLowerPriority(): void {
		if (this.#master === null || this.#master.address === this.#reportedLower) return;
		const {address, priority} = this.#master;
		this.#reportedLower = address;
		const ours = this.#priority;
		const text =
			this.#state.role === 'master'
				? `Received advert from ${address} with lower priority ${priority}, ours ${ours}, forcing new election`
				: `received lower priority (${priority}) advert from ${address} - discarding`;
		this.#log.info({}, `(${this.name}) ${text}`);
	}

	/** Once an interval, which is as often as an honest router advertises: a flood of adverts is not passed on. */
	#reportRival(): void {
		const nowUs = this.#host.clock.nowUs();
		if (this.#state.role !== 'master' || nowUs < this.#rivalQuietUntilUs) return;
		const {name: instance, advertUs} = this.#instance;
		this.#rivalQuietUntilUs = nowUs + advertUs;
		this.#owner.rival({instance, priority: this.#priority});
	}
}

function sameEnds(a: Ends, b: Ends): boolean {
	return a.link.ifindex === b.link.ifindex && a.virtual?.ifindex === b.virtual?.ifindex && a.source === b.source;
}
