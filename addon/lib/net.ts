import {constants} from 'node:os';
import {loadAddon} from './addon.js';
import {NetError} from './errors.js';
import {
	AF_INET,
	AF_INET6,
	AF_NETLINK,
	AF_PACKET,
	SO_TIMESTAMPNS,
	SOCK_DGRAM,
	SOCK_RAW,
	SOL_SOCKET,
} from './net-constants.js';
import {domainOf} from './sockaddr.js';

export {NetError} from './errors.js';
export * from './net-constants.js';
export * from './sockaddr.js';

type Status = number;

interface NativeSocket {
	readonly fd: number;
	setOption(level: number, name: number, value: number | Uint8Array): Status;
	bind(address: Uint8Array): Status;
	send(bytes: Uint8Array, address: Uint8Array | undefined): Status;
	receive(max: number): Omit<Received, 'timestampNs'> | Status;
	onReadable(listener: () => void): Status;
	setRef(keepsLoop: boolean): void;
	close(): void;
}

interface NativeDialer {
	open(domain: number): number | Status;
	bind(number: number, address: Uint8Array): Status;
	connect(number: number, address: Uint8Array): Status;
	drop(number: number): void;
}

interface NativeNet {
	openSocket(domain: number, type: number, protocol: number): NativeSocket | Status;
	openDialer(listener: (number: number, errno: number) => void): NativeDialer | Status;
	schedulingClass(): {policy: number; priority: number} | Status;
	lockCode(): Status;
}

let loaded: NativeNet | undefined;

function native(): NativeNet {
	loaded ??= loadAddon('net') as NativeNet;
	return loaded;
}

/** What the kernel says beside a datagram when an option of the socket asks for it (cmsg(3)). */
export interface ControlMessage {
	readonly level: number;
	readonly type: number;
	readonly bytes: Uint8Array;
}

/** A datagram as received. */
export interface Received {
	readonly bytes: Uint8Array;
	/** The sender's address as the kernel writes it; see `parseSockaddr`. Empty where the family has none. */
	readonly from: Uint8Array;
	readonly control: readonly ControlMessage[];
	/** When the kernel received it, in nanoseconds since 1970; null unless SO_TIMESTAMPNS is set. */
	readonly timestampNs: bigint | null;
	/** The datagram was longer than `max`; `bytes` is its beginning. */
	readonly truncated: boolean;
}

/** No IP datagram and no netlink answer is longer. */
const DATAGRAM_MAX = 65_536;

const {EAGAIN} = constants.errno;

/** A non-blocking datagram socket: raw, packet, netlink or UDP. Refusals are NetError, EBADF once it is closed. */
export class Socket {
	readonly #socket: NativeSocket;
	/** For messages. */
	readonly #name: string;

	constructor(domain: number, type: number, protocol: number) {
		this.#name = socketName(domain, type, protocol);
		const socket = native().openSocket(domain, type, protocol);
		if (typeof socket === 'number') throw new NetError('socket', this.#name, -socket);
		this.#socket = socket;
	}

	/** The descriptor; -1 when closed. */
	get fd(): number {
		return this.#socket.fd;
	}

	/** A number is passed as a C `int` (of 32 bits, signed or not), anything else as its bytes. */
	setOption(level: number, name: number, value: number | Uint8Array): void {
		if (typeof value === 'number' && value !== (value | 0) && value !== value >>> 0)
			throw new RangeError(`set option ${level}/${name}: ${value} is not an integer of 32 bits`);
		this.#check(`set option ${level}/${name}`, this.#socket.setOption(level, name, value));
	}

	bind(sockaddr: Uint8Array): void {
		this.#check('bind', this.#socket.bind(sockaddr));
	}

	/** Bytes sent. EAGAIN: the send buffer is full. */
	send(bytes: Uint8Array, sockaddr?: Uint8Array): number {
		const sent = this.#socket.send(bytes, sockaddr);
		this.#check('send', sent);
		return sent;
	}

	/**
	 * The next datagram, or undefined when none waits. Also throws what befell the socket since: ENETDOWN when its
	 * interface went down, ENOBUFS when netlink events were lost; it works on after that.
	 */
	receive(max = DATAGRAM_MAX): Received | undefined {
		const received = this.#socket.receive(max);
		if (typeof received !== 'number') return {...received, timestampNs: timestampNs(received.control)};
		if (received === -EAGAIN) return undefined;
		throw new NetError('receive', this.#name, -received);
	}

	/**
	 * Calls `fn` whenever something waits, be it an error, and again while anything is left: read until `receive()` has
	 * no more. One listener; a new one replaces it. What it throws is an uncaught exception.
	 */
	onReadable(fn: () => void): void {
		this.#check('on readable', this.#socket.onReadable(fn));
	}

	/** Listening keeps the event loop alive; it does unless told. */
	ref(): void {
		this.#socket.setRef(true);
	}

	unref(): void {
		this.#socket.setRef(false);
	}

	/** No callback comes any more. Closing again is fine. */
	close(): void {
		this.#socket.close();
	}

	#check(operation: string, status: Status): void {
		if (status < 0) throw new NetError(operation, this.#name, -status);
	}
}

/** `struct timespec` under SO_TIMESTAMPNS. */
function timestampNs(control: readonly ControlMessage[]): bigint | null {
	const message = control.find(({level, type}) => level === SOL_SOCKET && type === SO_TIMESTAMPNS);
	if (message === undefined) return null;
	const [seconds = 0n, nanoseconds = 0n] = new BigInt64Array(message.bytes.slice().buffer);
	return seconds * 1_000_000_000n + nanoseconds;
}

const DOMAINS: Readonly<Record<number, string>> = {
	[AF_INET]: 'inet',
	[AF_INET6]: 'inet6',
	[AF_NETLINK]: 'netlink',
	[AF_PACKET]: 'packet',
};
const TYPES: Readonly<Record<number, string>> = {[SOCK_DGRAM]: 'datagram', [SOCK_RAW]: 'raw'};

function socketName(domain: number, type: number, protocol: number): string {
	return `${DOMAINS[domain] ?? `family ${domain}`} ${TYPES[type] ?? `type ${type}`} socket, protocol ${protocol}`;
}

/**
 * Makes TCP connections and ends each by RST as soon as it is there: for those who only ask whether it can be made, thousands
 * of times a second. One that is being made keeps the event loop alive; the dialer itself lives as long as its thread.
 */
export class Dialer {
	readonly #dialer: NativeDialer;
	readonly #waiting = new Map<number, (error: NetError | null) => void>();

	constructor() {
		const dialer = native().openDialer((number, errno) => this.#settle(number, errno));
		if (typeof dialer === 'number') throw new NetError('dialer', TCP_SOCKET, -dialer);
		this.#dialer = dialer;
	}

	/**
	 * Connects, and calls `onEnd` once, later, with null or with why the connection could not be made. Returns what breaks it
	 * off without another call. Throws NetError of `socket`, `bind` or `connect` when that is refused at once.
	 */
	dial(to: Uint8Array, from: Uint8Array | null, onEnd: (error: NetError | null) => void): () => void {
		const number = checked('socket', this.#dialer.open(domainOf(to)));
		try {
			if (from !== null) checked('bind', this.#dialer.bind(number, from));
			checked('connect', this.#dialer.connect(number, to));
		} catch (error) {
			this.#dialer.drop(number);
			throw error;
		}
		this.#waiting.set(number, onEnd);
		return () => {
			if (this.#waiting.delete(number)) this.#dialer.drop(number);
		};
	}

	#settle(number: number, errno: number): void {
		const onEnd = this.#waiting.get(number);
		this.#waiting.delete(number);
		onEnd?.(errno === 0 ? null : new NetError('connect', TCP_SOCKET, errno));
	}
}

const TCP_SOCKET = 'TCP socket';

function checked(operation: string, status: Status): number {
	if (status < 0) throw new NetError(operation, TCP_SOCKET, -status);
	return status;
}

/** SCHED_* of linux/sched.h. */
const POLICIES: Readonly<Record<number, SchedulingPolicy>> = {
	0: 'other',
	1: 'fifo',
	2: 'rr',
	3: 'batch',
	5: 'idle',
	6: 'deadline',
};
export type SchedulingPolicy = 'other' | 'fifo' | 'rr' | 'batch' | 'idle' | 'deadline';

/** How the kernel schedules this thread; `fifo` and `rr` are real time, with a priority of 1 to 99. */
export function schedulingClass(): {policy: SchedulingPolicy; priority: number} {
	const scheduling = native().schedulingClass();
	if (typeof scheduling === 'number') throw new NetError('scheduling class', 'this thread', -scheduling);
	return {policy: POLICIES[scheduling.policy] ?? 'other', priority: scheduling.priority};
}

/**
 * Keeps the program and its libraries in memory, page by page from their first use on (mlock2(2), MLOCK_ONFAULT), so that
 * code that has run once never waits for a disk again. Throws `NetError` when the limit for locked memory is too low.
 */
export function lockCode(): void {
	const status = native().lockCode();
	if (status < 0) throw new NetError('lock memory', 'program and libraries', -status);
}
