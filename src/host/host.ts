/**
 * The outside world as the daemon sees it. Decisions never touch it; the rim (host/real) is its only implementation,
 * test/fake has the other one.
 */

import type {Fifo, Script} from '../conf/model.js';
import type {IpRoute, RouteEntry} from '../net/netlink/ip-route.js';
import type {IpRule} from '../net/netlink/ip-rule.js';
import type {Address, AddressEntry, Link, Neighbour, NewAddress, RouteChange} from '../net/netlink/route.js';

export type {IpRoute, RouteEntry} from '../net/netlink/ip-route.js';
export type {IpRule} from '../net/netlink/ip-rule.js';
export type {Address, AddressEntry, Link, Neighbour, NewAddress, RouteChange} from '../net/netlink/route.js';

export type Cancel = () => void;

/** Monotonic time and timers, in integer microseconds. */
export interface Clock {
	nowUs(): number;
	/** Wall-clock time, for people and mail only. */
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
	 * VRRP (IP protocol 112) on an interface, from `source`: to and from `group`, or, without one, what comes to `source`
	 * itself.
	 */
	vrrp(options: {
		interface: string;
		ifindex: number;
		group: string | null;
		source: string;
		/** TTL or hop limit. */
		ttl: number;
		onPacket: (packet: Packet) => void;
	}): AdvertSocket;
	/** Raw Ethernet frames out of an interface (announcements by ARP and NDP). */
	frames(options: {interface: string; ifindex: number}): PacketSocket;
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
	/** The sysctl of one link. */
	promoteSecondaries(ifindex: number, on: boolean): Promise<void>;
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

/** A process that we started, with a channel of JSON messages; the end of the channel tells it that we are gone. */
export interface Subprocess {
	send(message: object): void;
	/** SIGKILL. */
	kill(): void;
}

export interface Subprocesses {
	/**
	 * Starts `lbd-vrrp`, under SCHED_FIFO where `realTime`. Nothing is thrown: a process that cannot be started exits.
	 * `onExit` comes once, last, with a reason for people.
	 */
	startVrrp(options: {
		realTime: boolean;
		onMessage: (message: unknown) => void;
		onExit: (how: string) => void;
	}): Subprocess;
}

/** Datagrams of a multicast group on one link. */
export interface GroupSocket {
	/** false: the kernel did not take it. */
	send(bytes: Uint8Array): boolean;
	close(): void;
}

export interface SharingProcesses {
	/** Starts `lbd-sync`; otherwise as `startVrrp`. */
	startSync(options: {onMessage: (message: unknown) => void; onExit: (how: string) => void}): Subprocess;
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
	/** Throws KernelError when the kernel refuses. */
	openNetlink(): Netlink;
}
