import type {TcpCheck} from '../conf/model.js';
import type {Checker} from './checker.js';
import {failed} from './checker.js';
import {converse, type Speaker} from './conversation.js';

const SILENT: Speaker = {
	begin: () => ({ok: true}),
	hear: () => undefined,
	end: () => failed('closed', 'hung up'),
};

/** TCP_CHECK: passes when the backend completes a handshake within `connect_timeout`. Nothing is sent. */
export function tcpChecker(check: TcpCheck): Checker {
	return {timeoutUs: check.connectTimeoutUs, check: look => converse(check, look, SILENT)};
}
