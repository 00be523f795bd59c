import {randomBytes, randomInt} from 'node:crypto';
import {
	AF_INET,
	AF_INET6,
	IPPROTO_ICMP,
	IPPROTO_ICMPV6,
	NetError,
	parseSockaddr,
	SOCK_DGRAM,
	SOCK_RAW,
	Socket,
	sockaddrIn,
	sockaddrIn6,
} from 'libbpf-ts/net';
import type {PingCheck} from '../conf/model.js';
import {addressBytes, type Family, family} from '../net/address.js';
import {compareBytes} from '../net/bytes.js';
import {echoReplyPayload, encodeEchoRequest} from '../net/icmp-echo.js';
import {type Checker, failed, firstResult, type Look, type Result} from './checker.js';
import {socketFailure} from './errno.js';

/** As much as ping(8) sends. */
const PAYLOAD_BYTES = 56;
/** Datagrams read in one go, as others' replies arrive here, too. */
const DRAIN_MAX = 64;

/** PING_CHECK: passes when the backend answers an ICMP echo request. */
export function pingChecker(check: PingCheck): Checker {
	return {
		timeoutUs: check.connectTimeoutUs,
		check: async look => {
			const socket = openSocket(family(check.connectAddress));
			return socket instanceof NetError ? failed('not-made', socket.message) : echo(socket, check, look);
		},
	};
}

function echo(socket: Socket, target: PingCheck, look: Look): Promise<Result> {
	// Nobody who has not seen the request can make up its reply.
	const payload = randomBytes(PAYLOAD_BYTES);
	return firstResult(
		look,
		() => socket.close(),
		settle => {
			const attempt = (step: () => void) => {
				try {
					step();
				} catch (error) {
					if (!(error instanceof NetError)) throw error;
					settle(refusal(error));
				}
			};
			attempt(() => {
				if (target.bindAddress !== null) socket.bind(sockaddr(target.bindAddress));
				socket.onReadable(() =>
					attempt(() => {
						if (hasReply(socket, target.connectAddress, payload)) settle({ok: true});
					}),
				);
				const request = encodeEchoRequest(family(target.connectAddress), randomInt(0x10000), payload);
				socket.send(request, sockaddr(target.connectAddress));
			});
		},
	);
}

/** The kernel sorts the replies to a ping socket, but makes none for groups outside net.ipv4.ping_group_range. */
function openSocket(of: Family): Socket | NetError {
	const [domain, protocol] = of === 4 ? [AF_INET, IPPROTO_ICMP] : [AF_INET6, IPPROTO_ICMPV6];
	const socket = tryToOpen(domain, SOCK_DGRAM, protocol);
	return socket instanceof NetError && socket.code === 'EACCES' ? tryToOpen(domain, SOCK_RAW, protocol) : socket;
}

function tryToOpen(domain: number, type: number, protocol: number): Socket | NetError {
	try {
		return new Socket(domain, type, protocol);
	} catch (error) {
		if (error instanceof NetError) return error;
		throw error;
	}
}

function sockaddr(address: string): Uint8Array {
	const bytes = addressBytes(address);
	return family(address) === 4 ? sockaddrIn(bytes) : sockaddrIn6(bytes);
}

function hasReply(socket: Socket, from: string, payload: Uint8Array): boolean {
	for (let count = 0; count < DRAIN_MAX; count++) {
		const received = socket.receive();
		if (received === undefined) return false;
		const sender = parseSockaddr(received.from);
		if (sender === undefined || !('address' in sender) || compareBytes(sender.address, addressBytes(from)) !== 0)
			continue;
		const found = echoReplyPayload(family(from), withoutIpHeader(received.bytes));
		if (found !== null && compareBytes(found, payload) === 0) return true;
	}
	return false;
}

/** A raw IPv4 socket gives the whole packet, which begins with its version; no echo reply begins so. */
function withoutIpHeader(bytes: Uint8Array): Uint8Array {
	const first = bytes[0] ?? 0;
	return first >> 4 === 4 ? bytes.subarray((first & 0xf) * 4) : bytes;
}

function refusal(error: NetError): Result {
	if (error.operation === 'bind') return failed('bind-failed', error.message);
	return socketFailure(error);
}
