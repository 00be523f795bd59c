import {
	AF_INET,
	IP_ADD_MEMBERSHIP,
	IP_MULTICAST_ALL,
	IP_MULTICAST_IF,
	IP_MULTICAST_LOOP,
	IP_MULTICAST_TTL,
	IP_TTL,
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
import type {Sharing} from '../../conf/model.js';
import {addressBytes} from '../../net/address.js';
import type {SyncSocket} from '../host.js';
import {named} from './refusal.js';

/** Some 5,000 datagrams: a second of everything that a peer tells to one who joins. */
const RECEIVE_BUFFER = 8 << 20;
/** Datagrams read in one go; the rest waits for the event loop to come round. */
const DRAIN_MAX = 256;
/** Longer ones are none of ours. */
const DATAGRAM_MAX = 2048;

export interface SyncSocketOptions extends Pick<Sharing, 'interface' | 'group' | 'peers' | 'source' | 'port' | 'ttl'> {
	readonly ifindex: number;
	/** `from` is the sender's IPv4 address. */
	readonly onDatagram: (bytes: Uint8Array, from: Uint8Array) => void;
}

/**
 * Speaks to a group or to peers, by one interface. What is sent by a group to our own addresses does not come in, so that
 * whoever is not on the link, and cannot be by a group that no router forwards, says nothing here. Throws KernelError.
 */
export function openSyncSocket(options: SyncSocketOptions): SyncSocket {
	const {group, peers, source, port} = options;
	return named(`sharing on ${options.interface}`, () => {
		const socket = new Socket(AF_INET, SOCK_DGRAM, 0);
		const isGroup = peers.length === 0;
		const to = (isGroup ? [group] : peers).map(address => sockaddrIn(addressBytes(address), port));
		try {
			socket.setOption(SOL_SOCKET, SO_BINDTODEVICE, Buffer.from(`${options.interface}\0`));
			if (isGroup) join(socket, options);
			else socket.setOption(SOL_IP, IP_TTL, options.ttl);
			enlarge(socket);
			socket.bind(sockaddrIn(addressBytes(isGroup ? group : (source ?? '0.0.0.0')), port));
			socket.onReadable(() => drain(socket, options.onDatagram));
		} catch (error) {
			socket.close();
			throw error;
		}
		return {
			// All are tried, also behind one that fails.
			send: bytes => to.map(one => sent(socket, bytes, one)).every(Boolean),
			close: () => socket.close(),
		};
	});
}

function join(socket: Socket, {ifindex, group, ttl}: SyncSocketOptions): void {
	const membership = ipMreqn({group: addressBytes(group), ifindex});
	socket.setOption(SOL_IP, IP_MULTICAST_ALL, 0);
	socket.setOption(SOL_IP, IP_ADD_MEMBERSHIP, membership);
	socket.setOption(SOL_IP, IP_MULTICAST_IF, membership);
	socket.setOption(SOL_IP, IP_MULTICAST_TTL, ttl);
	socket.setOption(SOL_IP, IP_MULTICAST_LOOP, 0);
}

/** Without CAP_NET_ADMIN the system's limit holds, and more may be lost. */
function enlarge(socket: Socket): void {
	try {
		socket.setOption(SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER);
	} catch {
		socket.setOption(SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER);
	}
}

function drain(socket: Socket, onDatagram: SyncSocketOptions['onDatagram']): void {
	for (let count = 0; count < DRAIN_MAX && socket.fd >= 0; count++) {
		try {
			const received = socket.receive(DATAGRAM_MAX);
			if (received === undefined) return;
			// Behind the family and the port of struct sockaddr_in.
			onDatagram(received.bytes, received.from.subarray(4, 8));
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
