import {
	AF_INET,
	AF_PACKET,
	IP_ADD_MEMBERSHIP,
	IP_MTU_DISCOVER,
	IP_MULTICAST_ALL,
	IP_MULTICAST_IF,
	IP_MULTICAST_LOOP,
	IP_MULTICAST_TTL,
	IP_PMTUDISC_DONT,
	IP_TOS,
	IPPROTO_VRRP,
	ipMreqn,
	NetError,
	parseSockaddr,
	SO_BINDTODEVICE,
	SO_PRIORITY,
	SOCK_RAW,
	SOL_IP,
	SOL_SOCKET,
	Socket,
	sockaddrIn,
	sockaddrLl,
} from 'libbpf-ts/net';
import {addressBytes, formatAddress} from '../../net/address.js';
import {VRRP_TTL} from '../../net/vrrp-packet.js';
import type {PacketSocket, Sockets} from '../host.js';
import {named} from './refusal.js';

/** Internetwork control: as keepalived marks its adverts, so that a loaded switch or queue sends them first. */
const TOS_INTERNETWORK_CONTROL = 0xc0;
const PRIORITY_CONTROL = 6;
/** Datagrams read in one go; the rest waits for the event loop to come round, so that a flood cannot stop the clock. */
const DRAIN_MAX = 1024;

export const realSockets: Sockets = {
	vrrp: options => named(`vrrp on ${options.interface}`, () => openVrrp(options)),
	frames: options => named(`frames on ${options.interface}`, () => openFrames(options)),
};

function openVrrp(options: Parameters<Sockets['vrrp']>[0]): PacketSocket {
	const socket = new Socket(AF_INET, SOCK_RAW, IPPROTO_VRRP);
	try {
		configureVrrp(socket, options);
		const to = sockaddrIn(addressBytes(options.group));
		const drain = (): void => receiveAll(socket, options.onPacket);
		socket.onReadable(drain);
		return {
			send: bytes => named(`vrrp on ${options.interface}`, () => void socket.send(bytes, to)),
			drain,
			close: () => socket.close(),
		};
	} catch (error) {
		socket.close();
		throw error;
	}
}

/** Multicast on this interface and no other, not to ourselves, from the given address, never routed, never delayed. */
function configureVrrp(
	socket: Socket,
	options: {interface: string; ifindex: number; group: string; source: string},
): void {
	const membership = ipMreqn({group: addressBytes(options.group), ifindex: options.ifindex});
	const outgoing = membership.slice();
	// `imr_address`, the middle of the three fields: the source address of what is sent.
	outgoing.set(addressBytes(options.source), 4);
	socket.setOption(SOL_SOCKET, SO_BINDTODEVICE, Buffer.from(`${options.interface}\0`));
	socket.setOption(SOL_SOCKET, SO_PRIORITY, PRIORITY_CONTROL);
	socket.setOption(SOL_IP, IP_MULTICAST_ALL, 0);
	socket.setOption(SOL_IP, IP_ADD_MEMBERSHIP, membership);
	socket.setOption(SOL_IP, IP_MULTICAST_IF, outgoing);
	socket.setOption(SOL_IP, IP_MULTICAST_TTL, VRRP_TTL);
	socket.setOption(SOL_IP, IP_MULTICAST_LOOP, 0);
	socket.setOption(SOL_IP, IP_TOS, TOS_INTERNETWORK_CONTROL);
	// Otherwise the kernel sets DF, which keepalived's adverts do not carry.
	socket.setOption(SOL_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
}

function receiveAll(socket: Socket, onPacket: Parameters<Sockets['vrrp']>[0]['onPacket']): void {
	for (let count = 0; count < DRAIN_MAX && socket.fd >= 0; count++) {
		const received = receiveOne(socket);
		if (received === undefined) return;
		const from = parseSockaddr(received.from);
		if (from?.family === 'in') onPacket({bytes: received.bytes, from: formatAddress(from.address)});
	}
}

/** An error that befell the interface (ENETDOWN) is told by netlink too; there may be packets behind it. */
function receiveOne(socket: Socket): ReturnType<Socket['receive']> {
	try {
		return socket.receive();
	} catch (error) {
		if (error instanceof NetError) return socket.receive();
		throw error;
	}
}

function openFrames(options: {ifindex: number; interface: string}): PacketSocket {
	// Protocol 0: it only sends, and is given no frames to read.
	const socket = new Socket(AF_PACKET, SOCK_RAW, 0);
	const to = sockaddrLl({ifindex: options.ifindex, protocol: 0});
	return {
		send: bytes => named(`frames on ${options.interface}`, () => void socket.send(bytes, to)),
		drain: () => {},
		close: () => socket.close(),
	};
}
