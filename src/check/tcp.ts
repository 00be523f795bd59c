import {connect} from 'node:net';
import type {Check} from '../conf/model.js';
import type {Checker, Reason, Result} from './checker.js';

const REASONS: Readonly<Record<string, Reason>> = {
	ECONNREFUSED: 'refused',
	ETIMEDOUT: 'timeout',
	EHOSTUNREACH: 'unreachable',
	ENETUNREACH: 'unreachable',
	EHOSTDOWN: 'unreachable',
	ECONNRESET: 'reset',
	EMFILE: 'not-made',
	ENFILE: 'not-made',
	ENOBUFS: 'not-made',
	ENOMEM: 'not-made',
	EAGAIN: 'not-made',
};

/** TCP_CHECK: passes when the backend completes a handshake within `connect_timeout`. Nothing is sent. */
export function tcpChecker(check: Check): Checker {
	return {timeoutUs: check.connectTimeoutUs, check: signal => handshake(check, signal)};
}

function handshake(check: Check, signal: AbortSignal): Promise<Result> {
	return new Promise(resolve => {
		const socket = connect({
			host: check.connectAddress,
			port: check.connectPort,
			...(check.bindAddress === null ? {} : {localAddress: check.bindAddress}),
		});
		const settle = (result: Result) => {
			signal.removeEventListener('abort', onAbort);
			// By RST: thousands of probes a second must not leave sockets in TIME_WAIT on either side.
			if (result.ok) socket.resetAndDestroy();
			else socket.destroy();
			resolve(result);
		};
		const onAbort = () => settle({ok: false, reason: 'timeout', detail: 'no answer in time'});
		socket.once('connect', () => settle({ok: true}));
		// Stays for good: a socket may report one more error while it is being destroyed.
		socket.on('error', error => settle(failure(error)));
		if (signal.aborted) onAbort();
		else signal.addEventListener('abort', onAbort);
	});
}

function failure(error: NodeJS.ErrnoException): Result {
	return {ok: false, reason: reasonOf(error), detail: error.message};
}

function reasonOf({code, syscall}: NodeJS.ErrnoException): Reason {
	// EADDRNOTAVAIL of bind(2) is a wrong `bindto`; of connect(2) it means that all local ports are in use.
	if (code === 'EADDRNOTAVAIL') return syscall === 'bind' ? 'bind-failed' : 'not-made';
	return REASONS[code ?? ''] ?? 'error';
}
