/** keepalived's arguments, FIFO lines, subjects and texts, word for word: people's scripts and filters look for them. */
import type {Backend, Check, Service} from '../conf/model.js';
import {backendWord, serviceWord} from '../conf/words.js';
import type {NotifyEvent, Standing, State} from './event.js';

/** What a mail says, but for who sends it and who gets it. */
export interface Message {
	readonly subject: string;
	readonly text: string;
}

type Quorum = Extract<NotifyEvent, {kind: 'quorum'}>;
type CheckEvent = Extract<NotifyEvent, {kind: 'check'}>;

/** What `notify` gets behind its own arguments: `INSTANCE VI_1 MASTER 100`. */
export function stateArguments({scope, name, state, priority}: Standing): readonly string[] {
	return [scope.toUpperCase(), name, state, String(priority)];
}

/** `INSTANCE "VI_1" MASTER 100`; `state` may also be one of keepalived's pseudo states. */
export function stateLine({scope, name, priority}: Omit<Standing, 'state'>, state: string): string {
	return `${scope.toUpperCase()} "${name}" ${state} ${priority}`;
}

/** `RS [10.0.0.71]:tcp:80 [192.168.1.1]:tcp:80 DOWN` */
export function backendLine(service: Service, backend: Backend, up: boolean): string {
	return `RS ${backendWord(service, backend)} ${serviceWord(service)} ${upWord(up)}`;
}

/** `VS [192.168.1.1]:tcp:80 UP` */
export function quorumLine(service: Service, up: boolean): string {
	return `VS ${serviceWord(service)} ${upWord(up)}`;
}

function upWord(up: boolean): string {
	return up ? 'UP' : 'DOWN';
}

const instanceMessages: Readonly<Record<State, readonly [what: string, text: string]>> = {
	MASTER: ['Entering MASTER state', 'VRRP Instance is now owning VRRP VIPs'],
	BACKUP: ['Entering BACKUP state', 'VRRP Instance is no longer owning VRRP VIPs'],
	FAULT: ['Entering FAULT state', 'VRRP Instance is no longer owning VRRP VIPs'],
	STOP: ['Stopping', 'VRRP Instance stopping'],
	DELETED: ['Deleted', 'VRRP Deleted at reload'],
};

/** `[lb1] VRRP Instance VI_1 - Entering MASTER state` */
export function stateMessage({scope, name, state}: Standing): Message {
	const [what, ofInstance] = instanceMessages[state];
	if (scope === 'instance') return message(`VRRP Instance ${name} - ${what}`, ofInstance);
	const text = state === 'STOP' ? 'stopping' : `in ${state} state`;
	return message(`VRRP Group ${name} - ${what}`, `All VRRP group instances are now ${text}`);
}

/** What each check calls itself in a mail, and what it says of a success and of a failure. */
const checkTexts: Readonly<Record<Check['kind'], readonly [passed: string, failed: string]>> = {
	tcp: ['TCP CHECK succeed on service', 'TCP CHECK failed on service'],
	http: ['CHECK succeed on service', 'CHECK failed on service : HTTP request failed'],
	https: ['CHECK succeed on service', 'CHECK failed on service : HTTP request failed'],
	smtp: ['CHECK succeed on service', 'CHECK failed on service : SMTP request failed'],
	udp: ['UDP CHECK succeed on service', 'UDP CHECK failed on service'],
	ping: ['ICMP CHECK succeed on service', 'ICMP CHECK failed on service'],
	dns: ['DNS_CHECK: succeed on service', 'DNS_CHECK: failed on service'],
	file: ['FILE CHECK succeed on service', 'FILE CHECK failed on service'],
	misc: ['MISC CHECK succeeded on service', 'MISC CHECK failed on service'],
};

/** `[lb1] Realserver [10.0.0.71]:tcp:80 of virtual server [192.168.1.1]:tcp:80 - DOWN` */
export function checkMessage({service, backend, check, passed, up}: CheckEvent): Message {
	const [success, failure] = checkTexts[check];
	return message(backendSubject(service, backend, up), passed ? success : failure);
}

/** A backend that is taken out without a check having failed. */
export function removalMessage(service: Service, backend: Backend, occasion: 'removal' | 'shutdown'): Message {
	return message(backendSubject(service, backend, false), occasion === 'removal' ? 'Removing' : 'Shutting down');
}

/** `[lb1] Virtualserver [192.168.1.1]:tcp:80 - DOWN` */
export function quorumMessage({service, up, weight, occasion}: Quorum): Message {
	const subject = `Virtualserver ${serviceWord(service)} - ${upWord(up)}`;
	if (occasion === 'shutdown') return message(subject, 'Shutting down');
	const {quorum, hysteresis} = service;
	const threshold = up ? quorum + hysteresis : quorum - hysteresis;
	const what =
		occasion === 'start' ? `Starting with quorum ${up ? 'up' : 'down'}` : up ? 'Gained quorum' : 'Lost quorum';
	return message(subject, `${what} ${quorum}+${hysteresis}=${threshold} <= ${weight}`);
}

function backendSubject(service: Service, backend: Backend, up: boolean): string {
	const names = `${backendWord(service, backend)} of virtual server ${serviceWord(service)}`;
	return `Realserver ${names} - ${upWord(up)}`;
}

function message(subject: string, text: string): Message {
	return {subject, text: `=> ${text} <=`};
}
