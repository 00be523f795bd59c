import {KernelError} from '../../src/errors.js';
import type {AdvertSocket, Cancel, Clock, Packet, PacketSocket, Sockets} from '../../src/host/host.js';
import {addressBytes, family} from '../../src/net/address.js';
import {concatBytes, viewOf} from '../../src/net/bytes.js';
import {encodeIpv6} from '../../src/net/ip.js';
import {VRRP_PROTOCOL} from '../../src/net/vrrp-packet.js';
import type {FakeClock} from './clock.js';

type VrrpOptions = Parameters<Sockets['vrrp']>[0];
type FrameOptions = Parameters<Sockets['frames']>[0];

/** A pseudo-random number in [0, 1) for each call, the same sequence for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
	let state = seed >>> 0;
	return () => {
		state = (state + 0x6d2b79f5) >>> 0;
		let mixed = Math.imul(state ^ (state >>> 15), state | 1);
		mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
	};
}

/** An IPv4 header before a payload, as a raw socket would deliver it. */
export function ipv4(
	source: string,
	destination: string,
	payload: Uint8Array,
	fields: {ttl?: number; protocol?: number} = {},
): Uint8Array {
	const header = new Uint8Array(20);
	const view = viewOf(header);
	view.setUint8(0, 0x45);
	view.setUint8(1, 0xc0);
	view.setUint16(2, 20 + payload.length);
	view.setUint8(8, fields.ttl ?? 255);
	view.setUint8(9, fields.protocol ?? 112);
	header.set(addressBytes(source), 12);
	header.set(addressBytes(destination), 16);
	return concatBytes(header, payload);
}

function datagramOf({source, ttl, authenticated}: VrrpOptions, destination: string, payload: Uint8Array): Uint8Array {
	if (authenticated) return payload;
	if (family(source) === 4) return ipv4(source, destination, payload, {ttl});
	return encodeIpv6({source, destination, protocol: VRRP_PROTOCOL, ttl, payload});
}

/**
 * One Ethernet segment: delivers what a socket sends to every other VRRP socket of it, late, and not always. A station's
 * event loop can be stalled; when it wakes, its timers run before its sockets are read, as libuv has it.
 */
export class FakeLan {
	readonly #clock: FakeClock;
	readonly #random: () => number;
	readonly #sockets = new Set<FakeVrrpSocket>();
	/** Stations that hear each other; everybody when empty. */
	#islands: readonly ReadonlySet<string>[] = [];
	latencyUs = 100;
	/** Share of packets that get lost on the way to each receiver. */
	loss = 0;
	/** Ethernet frames sent on this segment, oldest first. */
	readonly frames: {readonly station: string; readonly atUs: number; readonly bytes: Uint8Array}[] = [];
	/** VRRP messages sent on this segment, without IP header, oldest first. */
	readonly adverts: {readonly station: string; readonly atUs: number; readonly bytes: Uint8Array}[] = [];

	/** Called for whatever is sent. */
	onSent: (what: 'frame' | 'advert', station: string) => void = () => {};

	constructor(clock: FakeClock, seed = 1) {
		this.#clock = clock;
		this.#random = seeded(seed);
	}

	/** Splits the segment: stations hear only those of their own island, and those of none hear nobody. */
	partition(...islands: readonly (readonly string[])[]): void {
		this.#islands = islands.map(island => new Set(island));
	}

	heal(): void {
		this.#islands = [];
	}

	/** Delivers a datagram of a stranger to every station. */
	inject(datagram: Uint8Array, from: string): void {
		for (const socket of this.#sockets) socket.deliver({bytes: datagram, from});
	}

	attach(station: FakeStation, options: VrrpOptions): AdvertSocket {
		const socket: FakeVrrpSocket = new FakeVrrpSocket(station, options, (bytes, to) => this.#carry(socket, bytes, to));
		this.#sockets.add(socket);
		socket.onClose = () => this.#sockets.delete(socket);
		return socket;
	}

	attachFrames(station: FakeStation): PacketSocket {
		let closed = false;
		return {
			send: bytes => {
				if (closed) throw new Error('send after close');
				this.frames.push({station: station.name, atUs: this.#clock.nowUs(), bytes});
				this.onSent('frame', station.name);
			},
			drain: () => {},
			close: () => {
				closed = true;
			},
		};
	}

	#carry(sender: FakeVrrpSocket, bytes: Uint8Array, to: string): void {
		this.adverts.push({station: sender.station.name, atUs: this.#clock.nowUs(), bytes});
		this.onSent('advert', sender.station.name);
		const packet = {bytes: datagramOf(sender.options, to, bytes), from: sender.options.source};
		for (const receiver of this.#sockets) {
			if (receiver === sender || !receiver.hears(to) || !this.#connected(sender.station, receiver.station)) continue;
			if (this.#random() < this.loss) continue;
			this.#clock.after(this.latencyUs, 'lan', () => receiver.deliver(packet));
		}
	}

	#connected(a: FakeStation, b: FakeStation): boolean {
		return this.#islands.length === 0 || this.#islands.some(island => island.has(a.name) && island.has(b.name));
	}
}

class FakeVrrpSocket implements AdvertSocket {
	readonly station: FakeStation;
	readonly options: VrrpOptions;
	readonly #carry: (bytes: Uint8Array, to: string) => void;
	readonly #waiting: Packet[] = [];
	#closed = false;
	onClose: () => void = () => {};

	constructor(station: FakeStation, options: VrrpOptions, carry: (bytes: Uint8Array, to: string) => void) {
		this.station = station;
		this.options = options;
		this.#carry = carry;
	}

	send(bytes: Uint8Array, to: string): void {
		if (this.#closed) throw new Error('send after close');
		this.#carry(bytes, to);
	}

	hears(to: string): boolean {
		return to === (this.options.group ?? this.options.source);
	}

	deliver(packet: Packet): void {
		if (this.#closed || this.station.dead) return;
		this.#waiting.push(packet);
		this.station.readable(() => this.drain());
	}

	drain(): void {
		for (let packet = this.#waiting.shift(); packet !== undefined; packet = this.#waiting.shift()) {
			this.options.onPacket(packet);
		}
	}

	close(): void {
		this.#closed = true;
		this.onClose();
	}
}

/** One machine's process: its sockets on the segments its interfaces are plugged into, and its event loop. */
export class FakeStation implements Sockets {
	readonly name: string;
	readonly #clock: FakeClock;
	readonly #lans: ReadonlyMap<string, FakeLan>;
	readonly #dueTimers: (() => void)[] = [];
	readonly #readables: (() => void)[] = [];
	#stalled = false;
	dead = false;
	/** How far the machine's wall clock is ahead of the others'. */
	wallAheadS = 0;
	/** Interfaces on which the kernel refuses sockets. */
	readonly forbidden = new Set<string>();

	constructor(name: string, clock: FakeClock, lans: Readonly<Record<string, FakeLan>>) {
		this.name = name;
		this.#clock = clock;
		this.#lans = new Map(Object.entries(lans));
	}

	/** The machine's clock; its timers wait while the process is stalled and never come once it is dead. */
	readonly clock: Clock = {
		nowUs: () => this.#clock.nowUs(),
		wall: () => new Date(this.#clock.wall().getTime() + this.wallAheadS * 1000),
		after: (us, name, fn) => this.#after(us, name, fn),
	};

	vrrp(options: VrrpOptions): AdvertSocket {
		return this.#lan(options.interface).attach(this, options);
	}

	frames(options: FrameOptions): PacketSocket {
		return this.#lan(options.interface).attachFrames(this);
	}

	readable(fn: () => void): void {
		if (this.#stalled) this.#readables.push(fn);
		else fn();
	}

	stall(): void {
		this.#stalled = true;
	}

	/** Timers first, then sockets. */
	wake(): void {
		this.#stalled = false;
		for (const fn of [...this.#dueTimers.splice(0), ...this.#readables.splice(0)]) fn();
	}

	/** SIGKILL: nothing is sent, nothing is cleaned up. */
	kill(): void {
		this.dead = true;
	}

	#after(us: number, name: string, fn: () => void): Cancel {
		let cancelled = false;
		const run = (): void => {
			if (!cancelled && !this.dead) fn();
		};
		const cancel = this.#clock.after(us, `${this.name}: ${name}`, () => {
			if (this.#stalled) this.#dueTimers.push(run);
			else run();
		});
		return () => {
			cancelled = true;
			cancel();
		};
	}

	#lan(name: string): FakeLan {
		const lan = this.#lans.get(name);
		if (lan === undefined) throw new Error(`${this.name} has no interface ${name}`);
		if (this.forbidden.has(name)) throw new KernelError('socket', `vrrp on ${name}`, 'EPERM');
		return lan;
	}
}
