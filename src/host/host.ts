/**
 * The outside world as the daemon sees it. Decisions never touch it; the rim (host/real) is its only implementation,
 * test/fake has the other one.
 */

import type {Fifo, Script} from '../conf/model.js';
import type {Family} from '../net/address.js';
import type {IpRoute, RouteEntry} from '../net/netlink/ip-route.js';
import type {IpRule} from '../net/netlink/ip-rule.js';
import type {
	Address,
	AddressEntry,
	Link,
	LinkSettings,
	Neighbour,
	NewAddress,
	NewMacvlan,
	RouteChange,
} from '../net/netlink/route.js';

export type {IpRoute, RouteEntry} from '../net/netlink/ip-route.js';
export type {IpRule} from '../net/netlink/ip-rule.js';
export type {
	Address,
	AddressEntry,
	Link,
	LinkSettings,
	Neighbour,
	NewAddress,
	NewMacvlan,
	RouteChange,
} from '../net/netlink/route.js';

export type Cancel = () => void;

/** Time and timers, in integer microseconds. */
export interface Clock {
	/** CLOCK_MONOTONIC. */
	nowUs(): number;
	/** Wall-clock time: for people, mail, and adverts that are signed with it. */
	wall(): Date;
	/** Calls `fn` once, `us` from now. `name` is for diagnostics. */
	after(us: number, name: string, fn: () => void): Cancel;
}

/** A packet as received: `from` is the sender's address in text, `bytes` start at the IP header (raw sockets) or the Ethernet header. */
export interface Packet {
	readonly bytes: Uint8Array;
	readonly from: string;
}

/** Sends and receives the datagrams of one protocol on one interface. */
export interface PacketSocket {
	send(bytes: Uint8Array): void;
	/** Reads everything that waits in the socket now, synchronously, handing each to the listener. Call before believing a timer. */
	drain(): void;
	close(): void;
}

export interface AdvertSocket extends Omit<PacketSocket, 'send'> {
	send(bytes: Uint8Array, to: string): void;
}

export interface Sockets {
	/**
	 * VRRP (IP protocol 112, or 51 with an authentication header before it) on an interface, from `source`: to and from `group`, or, without one, what comes to `source`
	 * itself.
	 */
	vrrp(options: {
		interface: string;
		ifindex: number;
		group: string | null;
		source: string;
		/** TTL or hop limit. */
		ttl: number;
		/** Packets of protocol 51, and what is sent has its IP header; IPv4 only. */
		authenticated?: boolean;
		/** `source` may be an address of another interface. */
		foreign?: boolean;
		onPacket: (packet: Packet) => void;
	}): AdvertSocket;
	/** Raw Ethernet frames out of an interface (announcements by ARP and NDP). */
	frames(options: {interface: string; ifindex: number}): PacketSocket;
}

/** A VRRP instance as the wire knows it. */
export interface VirtualRouter {
	readonly ifindex: number;
	readonly family: Family;
	readonly vrid: number;
}

/**
 * What a master tells the XDP program, which outlives it. Once a lease has run out and another router advertises, the
 * program lets nobody ask this machine for the addresses any more: whoever held them is dead or hangs.
 */
export interface Leases {
	/** Finds those of a daemon, by its name; again, where its maps may have been made anew. Throws KernelError. */
	open(daemon: string): void;
	/** An advert left at `sentUs` and keeps backups quiet until `untilUs`, on the clock. */
	renew(router: VirtualRouter, sentUs: number, untilUs: number): void;
	/** We are not master and have let go of the addresses. */
	end(router: VirtualRouter): void;
	/** Until when the last master here, perhaps of an earlier run, holds its lease; null: there was none, or it ended it. */
	heldUntilUs(router: VirtualRouter): number | null;
}

/** How the kernel would reach an address. */
export interface Route {
	readonly ifindex: number;
	/** Next hop, or the destination itself when it is on the link. */
	readonly gateway: string;
	readonly source: string | null;
	readonly local: boolean;
}

export type NetlinkEvent =
	| {readonly kind: 'link'; readonly link: Link; readonly removed: boolean}
	| {readonly kind: 'address'; readonly address: AddressEntry; readonly removed: boolean}
	| {readonly kind: 'neighbour'; readonly neighbour: Neighbour}
	| ({readonly kind: 'route'} & RouteChange)
	| {readonly kind: 'rule'; readonly removed: boolean}
	/** A sysctl of some interface. */
	| {readonly kind: 'setting'}
	/** The kernel dropped events: dump everything again. */
	| {readonly kind: 'overrun'};

/** rtnetlink. Errors are `KernelError` with the kernel's errno name as `code` (EEXIST, EADDRNOTAVAIL, ENODEV, ESRCH). */
export interface Netlink {
	links(): Promise<Link[]>;
	addresses(): Promise<AddressEntry[]>;
	neighbours(): Promise<Neighbour[]>;
	route(to: string): Promise<Route>;
	configureLink(ifindex: number, settings: LinkSettings): Promise<void>;
	addMacvlan(macvlan: NewMacvlan): Promise<void>;
	/** The kernel gives the link no IPv6 address of its own making. */
	withoutOwnAddress(ifindex: number): Promise<void>;
	/** Gives each link the `rp_filter` that holds for all of them, so that one can have another. */
	spreadReversePathFilter(): Promise<void>;
	/** The link speaks IPv4 alone. */
	withoutIpv6(name: string): Promise<void>;
	setLinkUp(ifindex: number, up: boolean): Promise<void>;
	deleteLink(ifindex: number): Promise<void>;
	addAddress(address: NewAddress): Promise<void>;
	deleteAddress(address: Address): Promise<void>;
	/** All routes of one maker (`rtm_protocol`). */
	routes(protocol: number): Promise<RouteEntry[]>;
	addRoute(route: IpRoute<number>): Promise<void>;
	deleteRoute(route: IpRoute<number>): Promise<void>;
	rules(): Promise<IpRule[]>;
	addRule(rule: IpRule): Promise<void>;
	deleteRule(rule: IpRule): Promise<void>;
	/** Asks the kernel to resolve a neighbour; the answer comes as an event. */
	resolve(ifindex: number, address: string): Promise<void>;
	onEvent(fn: (event: NetlinkEvent) => void): Cancel;
	close(): void;
}

/** `lbd-vrrp`, as its daemon has it: a channel of JSON messages, whose end tells it that we are gone. */
export interface Subprocess {
	/** What a process that has just gone is told is lost; its exit is reported anyhow. */
	send(message: object): void;
	/** SIGKILL. */
	kill(): void;
	/** Ends the connection: it goes on without us. */
	leave(): void;
}

/** Nothing is thrown: a process that cannot be had exits. `onExit` comes once, last, with a reason for people. */
export interface Subprocesses {
	/** Starts `lbd-vrrp`, which outlives us and listens on `socket`; under SCHED_FIFO where `realTime`. */
	startVrrp(options: {
		socket: string;
		realTime: boolean;
		onMessage: (message: unknown) => void;
		onExit: (how: string) => void;
	}): Subprocess;
	/** The `lbd-vrrp` that listens on `socket` already, since another daemon has died. */
	findVrrp(options: {socket: string; onMessage: (message: unknown) => void; onExit: (how: string) => void}): Subprocess;
}

/** Datagrams of a multicast group on one link. */
export interface SyncSocket {
	/** false: the kernel did not take it. */
	send(bytes: Uint8Array): boolean;
	close(): void;
}

export interface SharingProcesses {
	/** Starts `lbd-sync`, which ends with us; otherwise as `startVrrp`. */
	startSync(options: {onMessage: (message: unknown) => void; onExit: (how: string) => void}): Omit<Subprocess, 'leave'>;
}

/** How a script ended. `failed`: it was not run at all. */
export type ScriptEnd =
	| {readonly kind: 'exited'; readonly status: number}
	| {readonly kind: 'signalled'; readonly signal: string}
	| {readonly kind: 'timeout'}
	| {readonly kind: 'failed'; readonly reason: string};

export interface Scripts {
	/**
	 * Runs a script, with nothing to read and nobody who reads what it writes; resolves, never rejects, when it has ended.
	 * One that takes longer than `timeoutUs`, or until `signal` fires, is ended with all it has started: by SIGTERM, and
	 * by SIGKILL 2 s later.
	 */
	run(script: Script, options: {readonly timeoutUs: number; readonly signal?: AbortSignal}): Promise<ScriptEnd>;
}

/** Files of a few bytes, by which other programs say something. */
export interface SmallFiles {
	/** Its beginning; null if it cannot be read. */
	read(path: string): Promise<string | null>;
	/** Why it could not be written, or null. */
	write(path: string, text: string): Promise<string | null>;
	/** Calls `onChange` when the file may have changed, come or gone; some changes are missed. */
	watch(path: string, onChange: () => void): Cancel;
}

export interface RunningProcess {
	/** At most 15 bytes, as the kernel keeps it. */
	readonly name: string;
	/** The program and its arguments; none where they were not asked for, or of a kernel thread. */
	readonly command: readonly string[];
}

export interface Processes {
	/** All that run now, zombies left out. Reading `commands` may wait for swapped-out memory. */
	list(options: {readonly commands: boolean}): readonly RunningProcess[];
}

/** The end of a named pipe that we write to. */
export interface Pipe {
	/** Never waits; false if there was no room for all of the line. */
	write(line: string): boolean;
	/** Removes the pipe if it was made by us. */
	close(): void;
}

export interface Pipes {
	/** Throws KernelError. */
	open(fifo: Pick<Fifo, 'path' | 'user' | 'group' | 'mode'>): Pipe;
}

export interface Mail {
	readonly server: {readonly host: string; readonly port: number};
	/** What we call ourselves. */
	readonly heloName: string;
	readonly from: string;
	readonly to: readonly string[];
	readonly subject: string;
	readonly text: string;
	/** For connecting, and for each answer. */
	readonly timeoutUs: number;
}

/** `failed`: it may be accepted later. `refused`: it will not. */
export type MailEnd = {readonly kind: 'sent'} | {readonly kind: 'failed' | 'refused'; readonly reason: string};

export interface Mailer {
	/** Resolves, never rejects; soon after `signal` has fired. */
	send(mail: Mail, signal: AbortSignal): Promise<MailEnd>;
}

/** Everything that the daemon needs of a machine. */
export interface Host {
	readonly clock: Clock;
	/** Uniform in [0, 1). */
	readonly random: () => number;
	readonly subprocesses: Subprocesses;
	readonly sharingProcesses: SharingProcesses;
	readonly scripts: Scripts;
	readonly smallFiles: SmallFiles;
	readonly processes: Processes;
	readonly pipes: Pipes;
	readonly mailer: Mailer;
	/** What the machine calls itself. */
	readonly name: string;
	/** What tells these programs from those of another build. */
	readonly build: string;
	/** Throws KernelError when the kernel refuses. */
	openNetlink(): Netlink;
}
