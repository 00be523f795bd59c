import {
	AF_INET,
	IP_ADD_MEMBERSHIP,
	IP_MULTICAST_ALL,
	IP_MULTICAST_IF,
	IP_MULTICAST_LOOP,
	IP_MULTICAST_TTL,
	ipMreqn,
	NetError,
	SO_BINDTODEVICE,
	SO_RCVBUF,
	SO_RCVBUFFORCE,
	SOCK_DGRAM,
	SOL_IP,
	SOL_SOCKET,
	Socket,
	sockaddrIn,
} from 'libbpf-ts/net';
import {addressBytes} from '../../net/address.js';
import type {GroupSocket} from '../host.js';
import {named} from './refusal.js';

/** Some 5,000 datagrams: a second of everything that a peer tells to one who joins. */
const RECEIVE_BUFFER = 8 << 20;
/** Datagrams read in one go; the rest waits for the event loop to come round. */
const DRAIN_MAX = 256;
/** Longer ones are none of ours. */
const DATAGRAM_MAX = 2048;

export interface GroupOptions {
	readonly interface: string;
	readonly ifindex: number;
	readonly group: string;
	readonly port: number;
	readonly ttl: number;
	readonly onDatagram: (bytes: Uint8Array) => void;
}

/**
 * Joins a group. What is sent to our own addresses does not come in, so that whoever is not on the link, and cannot be by a
 * group that no router forwards, says nothing here. Throws KernelError.
 */
export function openGroupSocket(options: GroupOptions): GroupSocket {
	const what = `sharing on ${options.interface}`;
	return named(what, () => {
		const socket = new Socket(AF_INET, SOCK_DGRAM, 0);
		const to = sockaddrIn(addressBytes(options.group), options.port);
		try {
			configure(socket, options);
			socket.bind(to);
			socket.onReadable(() => drain(socket, options.onDatagram));
		} catch (error) {
			socket.close();
			throw error;
		}
		return {send: bytes => sent(socket, bytes, to), close: () => socket.close()};
	});
}

function configure(socket: Socket, {interface: device, ifindex, group, ttl}: GroupOptions): void {
	const membership = ipMreqn({group: addressBytes(group), ifindex});
	socket.setOption(SOL_SOCKET, SO_BINDTODEVICE, Buffer.from(`${device}\0`));
	socket.setOption(SOL_IP, IP_MULTICAST_ALL, 0);
	socket.setOption(SOL_IP, IP_ADD_MEMBERSHIP, membership);
	socket.setOption(SOL_IP, IP_MULTICAST_IF, membership);
	socket.setOption(SOL_IP, IP_MULTICAST_TTL, ttl);
	socket.setOption(SOL_IP, IP_MULTICAST_LOOP, 0);
	enlarge(socket);
}

/** Without CAP_NET_ADMIN the system's limit holds, and more may be lost. */
function enlarge(socket: Socket): void {
	try {
		socket.setOption(SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER);
	} catch {
		socket.setOption(SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER);
	}
}

function drain(socket: Socket, onDatagram: (bytes: Uint8Array) => void): void {
	for (let count = 0; count < DRAIN_MAX && socket.fd >= 0; count++) {
		try {
			const received = socket.receive(DATAGRAM_MAX);
			if (received === undefined) return;
			onDatagram(received.bytes);
		} catch (error) {
			// What befell the interface; there may be datagrams behind it.
			if (!(error instanceof NetError)) throw error;
		}
	}
}

/** A full buffer, or an interface that is down. */
function sent(socket: Socket, bytes: Uint8Array, to: Uint8Array): boolean {
	try {
		socket.send(bytes, to);
		return true;
	} catch (error) {
		if (error instanceof NetError) return false;
		throw error;
	}
}
