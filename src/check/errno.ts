import {type Failure, failed, type Reason} from './checker.js';

const REASONS: Readonly<Record<string, Reason>> = {
	ECONNREFUSED: 'refused',
	ETIMEDOUT: 'timeout',
	EHOSTUNREACH: 'unreachable',
	ENETUNREACH: 'unreachable',
	EHOSTDOWN: 'unreachable',
	ECONNRESET: 'reset',
	EPIPE: 'reset',
	EMFILE: 'not-made',
	ENFILE: 'not-made',
	ENOBUFS: 'not-made',
	ENOMEM: 'not-made',
	EAGAIN: 'not-made',
	EADDRINUSE: 'not-made',
};

/** The part of an error that Node's sockets and ours have. */
type SocketError = Pick<NodeJS.ErrnoException, 'code' | 'syscall' | 'message'>;

/** What an error of a socket says about the backend. */
export function socketFailure(error: SocketError): Failure {
	return failed(reasonOf(error), error.message);
}

function reasonOf({code = '', syscall}: SocketError): Reason {
	// EADDRNOTAVAIL of bind(2) is a wrong `bindto`; of connect(2) it means that all local ports are in use.
	if (code === 'EADDRNOTAVAIL') return syscall === 'bind' ? 'bind-failed' : 'not-made';
	if (/^ERR_(?:SSL|TLS)_|^EPROTO$/.test(code)) return 'tls';
	return REASONS[code] ?? 'error';
}
