/** keepalived's names and sentences, word for word: people's log filters look for them. */
import type {Backend, Check, Service} from '../conf/model.js';
import {backendWord, serviceWord} from '../conf/words.js';
import type {Result} from './checker.js';
import type {CheckState} from './machine.js';

/** `TCP connection to [10.0.0.71]:tcp:80 failed.` */
export function resultWords(check: Check, result: Result): string {
	return `TCP connection to ${targetWord(check)} ${outcomeWord(result)}.`;
}

function outcomeWord(result: Result): string {
	if (result.ok) return 'success';
	return result.reason === 'timeout' ? 'timeout' : 'failed';
}

/** What is said when a check takes its backend down; `before` tells whether it had retried. */
export function giveUpWords(check: Check, before: CheckState): string {
	const retries = before.proven && check.retry > 0 ? ` after ${check.retry} retries` : '';
	return `TCP_CHECK on service ${targetWord(check)} failed${retries}.`;
}

function targetWord({connectAddress, connectPort}: Check): string {
	return `[${connectAddress}]:tcp:${connectPort}`;
}

/** `Removing service [10.0.0.71]:tcp:80 from VS [192.168.1.1]:tcp:80` */
export function changeWords(service: Service, backend: Backend, up: boolean): string {
	const [enter, leave] = backend.inhibitOnFailure ? ['Enabling', 'Disabling'] : ['Adding', 'Removing'];
	return up
		? `${enter} service ${backendWord(service, backend)} to VS ${serviceWord(service)}`
		: `${leave} service ${backendWord(service, backend)} from VS ${serviceWord(service)}`;
}

/** `Gained quorum 1+0=1 <= 2 for VS [192.168.1.1]:tcp:80` */
export function quorumWords(service: Service, gained: boolean, weight: number): string {
	const {quorum, hysteresis} = service;
	return gained
		? `Gained quorum ${quorum}+${hysteresis}=${quorum + hysteresis} <= ${weight} for VS ${serviceWord(service)}`
		: `Lost quorum ${quorum}-${hysteresis}=${quorum - hysteresis} > ${weight} for VS ${serviceWord(service)}`;
}
