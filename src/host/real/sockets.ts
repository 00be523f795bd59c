import {
	AF_INET,
	AF_INET6,
	AF_PACKET,
	type ControlMessage,
	IP_ADD_MEMBERSHIP,
	IP_HDRINCL,
	IP_MTU_DISCOVER,
	IP_MULTICAST_ALL,
	IP_MULTICAST_IF,
	IP_MULTICAST_LOOP,
	IP_MULTICAST_TTL,
	IP_PMTUDISC_DONT,
	IP_TOS,
	IP_TRANSPARENT,
	IP_TTL,
	IPV6_ADD_MEMBERSHIP,
	IPV6_FREEBIND,
	IPV6_HOPLIMIT,
	IPV6_MULTICAST_ALL,
	IPV6_MULTICAST_HOPS,
	IPV6_MULTICAST_IF,
	IPV6_MULTICAST_LOOP,
	IPV6_PKTINFO,
	IPV6_RECVHOPLIMIT,
	IPV6_RECVPKTINFO,
	IPV6_TCLASS,
	IPV6_UNICAST_HOPS,
	ipMreqn,
	ipv6Mreq,
	NetError,
	parseSockaddr,
	type Received,
	SO_BINDTODEVICE,
	SO_PRIORITY,
	SO_RCVBUFFORCE,
	SOCK_RAW,
	SOL_IP,
	SOL_IPV6,
	SOL_SOCKET,
	Socket,
	sockaddrIn,
	sockaddrIn6,
	sockaddrLl,
} from 'libbpf-ts/net';
import {Bug} from '../../errors.js';
import {addressBytes, family, formatAddress} from '../../net/address.js';
import {LITTLE_ENDIAN, viewOf} from '../../net/bytes.js';
import {encodeIpv6} from '../../net/ip.js';
import {AH_PROTOCOL} from '../../net/ip-auth.js';
import {VRRP_PROTOCOL, VRRP_TOS} from '../../net/vrrp-packet.js';
import type {AdvertSocket, Packet, PacketSocket, Sockets} from '../host.js';
import {named} from './refusal.js';

const PRIORITY_CONTROL = 6;
/** Datagrams read in one go; the rest waits for the event loop to come round, so that a flood cannot stop the clock. */
const DRAIN_MAX = 1024;
/** Room for some rounds of adverts of 255 instances, each of which the kernel counts as a page or so. */
const RECEIVE_BUFFER_BYTES = 4 << 20;

export const realSockets: Sockets = {
	vrrp: options => named(`vrrp on ${options.interface}`, () => openVrrp(options)),
	frames: options => named(`frames on ${options.interface}`, () => openFrames(options)),
};

type VrrpOptions = Parameters<Sockets['vrrp']>[0];

function openVrrp(options: VrrpOptions): AdvertSocket {
	const isIpv6 = family(options.source) === 6;
	const protocol = options.authenticated ? AH_PROTOCOL : VRRP_PROTOCOL;
	const socket = new Socket(isIpv6 ? AF_INET6 : AF_INET, SOCK_RAW, protocol);
	try {
		socket.setOption(SOL_SOCKET, SO_BINDTODEVICE, Buffer.from(`${options.interface}\0`));
		socket.setOption(SOL_SOCKET, SO_PRIORITY, PRIORITY_CONTROL);
		socket.setOption(SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES);
		if (isIpv6) configureIpv6(socket, options);
		else configureIpv4(socket, options);
		const addressOf = (to: string): Uint8Array =>
			isIpv6 ? sockaddrIn6(addressBytes(to), {ifindex: options.ifindex}) : sockaddrIn(addressBytes(to));
		const drain = (): void => receiveAll(socket, options.onPacket);
		socket.onReadable(drain);
		return {
			send: (bytes, to) => named(`vrrp on ${options.interface}`, () => void socket.send(bytes, addressOf(to))),
			drain,
			close: () => socket.close(),
		};
	} catch (error) {
		socket.close();
		throw error;
	}
}

/** On this interface and no other, not to ourselves, from the given address, never delayed. */
function configureIpv4(socket: Socket, {group, ifindex, source, ttl, authenticated = false}: VrrpOptions): void {
	if (authenticated) socket.setOption(SOL_IP, IP_HDRINCL, 1);
	// From an address that is not there any more, or never was, as keepalived does.
	socket.setOption(SOL_IP, IP_TRANSPARENT, 1);
	socket.setOption(SOL_IP, IP_TOS, VRRP_TOS);
	// Otherwise the kernel sets DF, which keepalived's adverts do not carry.
	socket.setOption(SOL_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
	if (group === null) {
		socket.setOption(SOL_IP, IP_TTL, ttl);
		socket.bind(sockaddrIn(addressBytes(source)));
		return;
	}
	const membership = ipMreqn({group: addressBytes(group), ifindex});
	const outgoing = membership.slice();
	// `imr_address`, the middle of the three fields: the source address of what is sent.
	outgoing.set(addressBytes(source), 4);
	socket.setOption(SOL_IP, IP_MULTICAST_ALL, 0);
	socket.setOption(SOL_IP, IP_ADD_MEMBERSHIP, membership);
	socket.setOption(SOL_IP, IP_MULTICAST_IF, outgoing);
	socket.setOption(SOL_IP, IP_MULTICAST_TTL, ttl);
	socket.setOption(SOL_IP, IP_MULTICAST_LOOP, 0);
}

/** The same for IPv6; hop limit and destination of what is received come as control messages. */
function configureIpv6(socket: Socket, {group, ifindex, source, ttl, foreign = false}: VrrpOptions): void {
	if (foreign) socket.setOption(SOL_IPV6, IPV6_FREEBIND, 1);
	if (group === null) {
		socket.setOption(SOL_IPV6, IPV6_UNICAST_HOPS, ttl);
	} else {
		socket.setOption(SOL_IPV6, IPV6_MULTICAST_ALL, 0);
		socket.setOption(SOL_IPV6, IPV6_ADD_MEMBERSHIP, ipv6Mreq({group: addressBytes(group), ifindex}));
		socket.setOption(SOL_IPV6, IPV6_MULTICAST_IF, ifindex);
		socket.setOption(SOL_IPV6, IPV6_MULTICAST_HOPS, ttl);
		socket.setOption(SOL_IPV6, IPV6_MULTICAST_LOOP, 0);
	}
	socket.setOption(SOL_IPV6, IPV6_TCLASS, VRRP_TOS);
	socket.setOption(SOL_IPV6, IPV6_RECVHOPLIMIT, 1);
	socket.setOption(SOL_IPV6, IPV6_RECVPKTINFO, 1);
	socket.bind(sockaddrIn6(addressBytes(source), {ifindex}));
}

function receiveAll(socket: Socket, onPacket: VrrpOptions['onPacket']): void {
	for (let count = 0; count < DRAIN_MAX && socket.fd >= 0; count++) {
		const received = receiveOne(socket);
		if (received === undefined) return;
		const from = parseSockaddr(received.from);
		if (from?.family === 'in') onPacket({bytes: received.bytes, from: formatAddress(from.address)});
		if (from?.family === 'in6') onPacket(ipv6Packet(received, formatAddress(from.address)));
	}
}

/** A raw IPv6 socket delivers the payload alone (RFC 3542 §3); the header it came with is put before it again. */
function ipv6Packet({bytes, control}: Received, source: string): Packet {
	const destination = controlBytes(control, IPV6_PKTINFO).subarray(0, 16);
	const hopLimit = viewOf(controlBytes(control, IPV6_HOPLIMIT)).getInt32(0, LITTLE_ENDIAN);
	const header = {source, destination: formatAddress(destination), protocol: VRRP_PROTOCOL, ttl: hopLimit};
	return {bytes: encodeIpv6({...header, payload: bytes}), from: source};
}

function controlBytes(control: readonly ControlMessage[], type: number): Uint8Array {
	const message = control.find(candidate => candidate.level === SOL_IPV6 && candidate.type === type);
	if (message === undefined) throw new Bug(`a datagram without control message ${type}`);
	return message.bytes;
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
