import {connect, type Socket} from 'node:net';
import {connect as secure, type TLSSocket} from 'node:tls';
import type {CheckTarget} from '../conf/model.js';
import {failed, firstResult, guarded, type Look, type Result} from './checker.js';
import {socketFailure} from './errno.js';

/** Our side of a connection with a backend. It is over as soon as there is a result. */
export interface Speaker {
	/** The backend has taken the connection. */
	begin(say: (text: string) => void): void;
	/** It has said something. */
	hear(bytes: Buffer): Result | undefined;
	/** It has nothing more to say. */
	end(): Result;
}

/** What a TLS handshake needs. Certificates are not verified: keepalived does not, and backends are seldom given proper ones. */
export interface Tls {
	readonly serverName: string | null;
}

/** Connects to a backend and lets `speaker` talk to it. To connect and to shake hands are steps of the look. */
export function converse(target: CheckTarget, look: Look, speaker: Speaker, tls: Tls | null = null): Promise<Result> {
	const socket = open(target);
	const close = (result: Result): void => {
		// By RST: probes must not leave sockets in TIME_WAIT on either side.
		if (result.ok) socket.resetAndDestroy();
		else socket.destroy();
	};
	return firstResult(look, close, (settle, isOver) => {
		/** What a stream still says when all is over is not heard, and what a backend says ends nothing but its check. */
		const turn = (speak: () => Result | undefined) => {
			if (isOver()) return;
			const result = guarded(speak);
			if (result !== undefined) settle(result);
		};
		const talk = (stream: Socket) => {
			look.advance();
			turn(() => {
				speaker.begin(text => stream.write(text));
				return undefined;
			});
			stream.on('data', bytes => turn(() => speaker.hear(bytes)));
			stream.on('end', () => turn(() => speaker.end()));
		};
		// Stays for good: a socket may report one more error while it is being destroyed.
		socket.on('error', error => settle(socketFailure(error)));
		socket.once('connect', () => {
			if (tls === null) return talk(socket);
			look.advance();
			const shielded = shield(socket, tls);
			shielded.on('error', error => settle(tlsFailure(error)));
			shielded.once('secureConnect', () => talk(shielded));
		});
	});
}

function open({connectAddress, connectPort, bindAddress, bindPort}: CheckTarget): Socket {
	return connect({
		host: connectAddress,
		port: connectPort,
		...(bindAddress === null ? {} : {localAddress: bindAddress}),
		...(bindPort === 0 ? {} : {localPort: bindPort}),
	});
}

function shield(socket: Socket, {serverName}: Tls): TLSSocket {
	return secure({socket, rejectUnauthorized: false, ...(serverName === null ? {} : {servername: serverName})});
}

function tlsFailure(error: NodeJS.ErrnoException): Result {
	const failure = socketFailure(error);
	return failure.reason === 'error' ? failed('tls', error.message) : failure;
}
