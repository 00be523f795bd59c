import {createSocket, type Socket} from 'node:dgram';
import type {CheckTarget} from '../conf/model.js';
import {family} from '../net/address.js';
import {firstResult, guarded, type Look, type Result} from './checker.js';
import {socketFailure} from './errno.js';

/**
 * Sends a datagram to a backend and lets `hear` judge what it answers, until that is a result. The socket is connected,
 * so that ICMP errors are heard of and strangers are not.
 */
export function ask(
	target: CheckTarget,
	look: Look,
	question: Uint8Array,
	hear: (bytes: Buffer) => Result | undefined,
): Promise<Result> {
	const socket = createSocket(family(target.connectAddress) === 6 ? 'udp6' : 'udp4');
	return firstResult(
		look,
		() => socket.close(),
		(settle, isOver) => {
			socket.on('error', error => settle(socketFailure(error)));
			socket.on('message', bytes => {
				const result = guarded(() => hear(bytes));
				if (result !== undefined) settle(result);
			});
			open(socket, target, () => {
				// What goes wrong comes as an error of the socket.
				if (!isOver()) socket.send(question);
			});
		},
	);
}

function open(socket: Socket, target: CheckTarget, onOpen: () => void): void {
	const {connectAddress, connectPort, bindAddress, bindPort} = target;
	socket.bind({port: bindPort, exclusive: true, ...(bindAddress === null ? {} : {address: bindAddress})}, () => {
		socket.connect(connectPort, connectAddress);
	});
	socket.once('connect', onOpen);
}
