/**
 * `lbd-sync`: shares flows with the other balancers, in a process of its own, so that a busy daemon delays nothing and a
 * million flows for one who joins delay no health check. `lbd` starts it and talks to it over Node's IPC channel, with whose
 * end it ends: what happens meanwhile waits in the program's rings, or is told by the next round.
 */
import {randomBytes} from 'node:crypto';
import {ExitCode} from '../errors.js';
import type {AddressEntry, Netlink, SyncSocket} from '../host/host.js';
import {realClock} from '../host/real/clock.js';
import {openNetlink} from '../host/real/netlink.js';
import {openSyncSocket} from '../host/real/sync-socket.js';
import type {Log} from '../log.js';
import {addressBytes, family} from '../net/address.js';
import {viewOf} from '../net/bytes.js';
import {SharingPlane} from '../xdp/sharing.js';
import {SyncNode} from './node.js';
import type {FromSync, SharingConfig, ToSync} from './protocol.js';
import {Seal} from './wire.js';

const STATUS_US = 1_000_000;
const RETRY_US = 2_000_000;

function send(message: FromSync): void {
	if (process.connected) process.send?.(message, undefined, undefined, () => {});
}

function messageLog(fields: object = {}): Log {
	const line =
		(level: 'info' | 'warn' | 'error') =>
		(more: object, text: string): void =>
			send({kind: 'log', level, fields: {...fields, ...more}, text});
	return {
		debug: () => {},
		info: line('info'),
		warn: line('warn'),
		error: line('error'),
		child: more => messageLog({...fields, ...more}),
	};
}

const log = messageLog();

/** What runs under one configuration. */
class Running {
	readonly #config: SharingConfig;
	readonly #netlink: Netlink;
	readonly #plane: SharingPlane;
	#socket: SyncSocket | null = null;
	#node: SyncNode | null = null;
	#complained = false;
	#stopped = false;

	constructor(config: SharingConfig) {
		this.#config = config;
		this.#netlink = openNetlink(['links', 'addresses']);
		this.#plane = SharingPlane.open(config.daemon);
		this.#try();
	}

	/** Begins as soon as there is such an interface. */
	#try(): void {
		if (this.#stopped) return;
		this.#begin().catch(error => {
			if (!this.#complained) log.warn({error: String(error)}, 'sharing cannot begin yet');
			this.#complained = true;
			realClock.after(RETRY_US, 'sharing: try again', () => this.#try());
		});
	}

	async #begin(): Promise<void> {
		const {interface: device, peers, key, id, datagramMax} = this.#config;
		const link = (await this.#netlink.links()).find(({name}) => name === device);
		if (link === undefined) throw new Error(`there is no interface ${device}`);
		const addresses = await this.#netlink.addresses();
		if (this.#stopped) return;
		const {ifindex} = link;
		const socket = openSyncSocket({
			...this.#config,
			ifindex,
			onDatagram: (bytes, from) => this.#node?.receive(bytes, nodeNumber(from)),
		});
		this.#socket = socket;
		this.#node = new SyncNode({
			clock: realClock,
			log,
			plane: this.#plane,
			seal: new Seal(key, id),
			node: nodeNumber(ownAddress(addresses.filter(entry => entry.ifindex === ifindex))),
			senders: peers.length === 0 ? null : new Set(peers.map(peer => nodeNumber(addressBytes(peer)))),
			datagramMax,
			send: bytes => socket.send(bytes),
			interfaces: async () => new Map((await this.#netlink.links()).map(one => [one.ifindex, one.name])),
			onState: () => this.tell(),
		});
		await this.#node.start();
	}

	tell(): void {
		if (this.#node !== null) send({kind: 'status', status: this.#node.status()});
	}

	stop(): void {
		this.#stopped = true;
		this.#node?.stop();
		this.#socket?.close();
		this.#netlink.close();
		this.#plane.close();
	}
}

/** Our first address on the link, which is nobody else's; without any, one that hardly is. */
function ownAddress(addresses: readonly AddressEntry[]): Uint8Array {
	const own = addresses.find(({address}) => family(address) === 4)?.address;
	return own === undefined ? randomBytes(4) : addressBytes(own);
}

/** What stands for an IPv4 address on the wire. */
function nodeNumber(address: Uint8Array): number {
	return viewOf(address).getUint32(0, true);
}

function main(): void {
	process.title = 'lbd-sync';
	for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
	let running: Running | null = null;
	process.on('message', (message: ToSync) => {
		running?.stop();
		running = new Running(message.config);
	});
	process.on('disconnect', () => process.exit(ExitCode.ok));
	const tell = (): void => {
		running?.tell();
		realClock.after(STATUS_US, 'sharing: status', tell);
	};
	tell();
	send({kind: 'ready'});
}

if (process.send === undefined) {
	process.stderr.write('lbd-sync: started by lbd, not by hand\n');
	process.exitCode = ExitCode.usage;
} else {
	main();
}
