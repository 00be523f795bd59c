import {Dialer, NetError, sockaddrIn, sockaddrIn6} from 'libbpf-ts/net';
import type {TcpCheck} from '../conf/model.js';
import {addressBytes, endpointName, family} from '../net/address.js';
import {type Checker, type Failure, firstResult, type Look, type Result} from './checker.js';
import {socketFailure} from './errno.js';

/** TCP_CHECK: passes when the backend completes a handshake within `connect_timeout`. Nothing is sent. */
export function tcpChecker(check: TcpCheck): Checker {
	const {connectAddress, connectPort, connectTimeoutUs: timeoutUs, bindAddress, bindPort} = check;
	const to = sockaddr(connectAddress, connectPort);
	const any = family(connectAddress) === 4 ? '0.0.0.0' : '::';
	const from = bindAddress === null && bindPort === 0 ? null : sockaddr(bindAddress ?? any, bindPort);
	const failure = ({operation: syscall, code}: NetError): Failure => {
		const message = `${syscall} ${code} ${endpointName(connectAddress, connectPort, 'tcp')}`;
		return socketFailure({code, syscall, message});
	};
	return {timeoutUs, check: look => dial(look, to, from, failure)};
}

/** For all checks, since it costs as much as a connection of Node's. */
let dialer: Dialer | undefined;

function dial(
	look: Look,
	to: Uint8Array,
	from: Uint8Array | null,
	failure: (error: NetError) => Failure,
): Promise<Result> {
	let drop = (): void => {};
	return firstResult(
		look,
		() => drop(),
		settle => {
			try {
				dialer ??= new Dialer();
				drop = dialer.dial(to, from, error => settle(error === null ? {ok: true} : failure(error)));
			} catch (error) {
				if (!(error instanceof NetError)) throw error;
				settle(failure(error));
			}
		},
	);
}

function sockaddr(address: string, port: number): Uint8Array {
	const bytes = addressBytes(address);
	return family(address) === 4 ? sockaddrIn(bytes, port) : sockaddrIn6(bytes, {port});
}
