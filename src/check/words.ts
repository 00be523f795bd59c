/** keepalived's names and sentences, word for word: people's log filters look for them. */
import type {Backend, Check, Protocol, Service, SorryServer} from '../conf/model.js';
import {backendWord, serviceWord} from '../conf/words.js';
import {endpointName} from '../net/address.js';
import type {Failure, Result} from './checker.js';
import type {CheckState} from './machine.js';

/** What keepalived says of one kind of check. `to` is its target. */
interface Phrases {
	/** In its sentence on a check that takes its backend down. */
	readonly keyword: string;
	passed(to: string): string;
	failed(to: string, failure: Failure): string;
}

function connection(protocol: string): Omit<Phrases, 'keyword'> {
	return {
		passed: to => `${protocol} connection to ${to} success.`,
		failed: (to, {reason}) => `${protocol} connection to ${to} ${reason === 'timeout' ? 'timeout' : 'failed'}.`,
	};
}

const web: Phrases = {
	keyword: 'HTTP_CHECK',
	passed: to => `Remote Web server ${to} succeed on service.`,
	failed(to, {reason}) {
		if (reason === 'status') return `HTTP status code error to server ${to}.`;
		if (reason === 'mismatch') return `MD5 digest or regex error to server ${to}.`;
		return `${reason === 'timeout' ? 'Timeout' : 'Error'} connecting server ${to}.`;
	},
};

const PHRASES: Readonly<Record<Check['kind'], Phrases>> = {
	tcp: {keyword: 'TCP_CHECK', ...connection('TCP')},
	http: web,
	https: web,
	smtp: {
		keyword: 'SMTP_CHECK',
		passed: to => `Remote SMTP server ${to} succeed on service.`,
		failed: (to, {reason}) => `SMTP_CHECK to ${to} ${reason === 'timeout' ? 'timeout' : 'failed'}.`,
	},
	dns: {
		keyword: 'DNS_CHECK',
		passed: to => `DNS_CHECK (${to}) success.`,
		failed: (to, {reason}) => `DNS_CHECK (${to}) ${reason === 'timeout' ? 'timeout' : 'failed'}.`,
	},
	udp: {keyword: 'UDP_CHECK', ...connection('UDP')},
	ping: {keyword: 'ICMP CHECK', ...connection('ICMP')},
	file: {
		keyword: 'FILE_CHECK',
		passed: to => `Track file ${to} is up.`,
		failed: to => `Track file ${to} is down.`,
	},
	misc: {
		keyword: 'MISC_CHECK',
		passed: to => `Misc check for ${to} success.`,
		failed: (to, {reason}) => `Misc check for ${to} ${reason === 'timeout' ? 'timed out' : 'failed'}.`,
	},
};

/** `TCP connection to [10.0.0.71]:tcp:80 failed.` */
export function resultWords(check: Check, result: Result): string {
	const {passed, failed} = PHRASES[check.kind];
	return result.ok ? passed(targetWord(check)) : failed(targetWord(check), result);
}

/** What is said when a check takes its backend down; `before` tells whether it had retried. */
export function giveUpWords(check: Check, before: CheckState): string {
	const retries = before.proven && check.retry > 0 ? ` after ${check.retry} retries` : '';
	return `${PHRASES[check.kind].keyword} on service ${targetWord(check)} failed${retries}.`;
}

/** keepalived's word for what is asked: `[10.0.0.71]:tcp:80`. */
function targetWord(check: Check): string {
	switch (check.kind) {
		case 'misc':
			return `[${check.script.argv.join(' ')}]`;
		case 'file':
			return `[${check.path}]`;
		case 'ping':
			return `[${check.connectAddress}]`;
		default:
			return `[${check.connectAddress}]:${protocolOf(check)}:${check.connectPort}`;
	}
}

/** Our own: `10.0.0.71:80`, `10.0.0.71:53/udp`, `10.0.0.71`, `/usr/bin/check`. */
export function targetName(check: Check): string {
	switch (check.kind) {
		case 'misc':
			return check.script.argv[0];
		case 'file':
			return check.path;
		case 'ping':
			return check.connectAddress;
		default:
			return endpointName(check.connectAddress, check.connectPort, protocolOf(check));
	}
}

function protocolOf({kind}: Check): Protocol {
	return kind === 'dns' || kind === 'udp' ? 'udp' : 'tcp';
}

/** `Changing weight from 1 to 5 for service [10.0.0.71]:tcp:80 of VS [192.168.1.1]:tcp:80` */
export function weightWords(service: Service, backend: Backend, from: number, to: number): string {
	const of = `${backendWord(service, backend)} of VS ${serviceWord(service)}`;
	return `Changing weight from ${from} to ${to} for service ${of}`;
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

/** `Adding sorry server [192.168.1.9]:tcp:80 to VS [192.168.1.1]:tcp:80` */
export function sorryWords(service: Service, {backend}: SorryServer, hasQuorum: boolean): string {
	const [change, preposition] = hasQuorum ? ['Removing', 'from'] : ['Adding', 'to'];
	return `${change} sorry server ${backendWord(service, backend)} ${preposition} VS ${serviceWord(service)}`;
}
