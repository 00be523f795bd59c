import {none, one, onOff} from '../args.js';
import type {Forwarding, Place} from '../model.js';
import {accepted, block, type Draft, draftAt, full, type Keywords, refused, rows} from '../table.js';
import {integer} from '../values.js';
import * as because from './because.js';
import {type CheckOptions, checkOptionKeywords, newCheckOptions} from './check-options.js';
import {forwardingArgs} from './forwarding.js';
import {type BackendNotifyDraft, backendNotifyKeywords, newBackendNotify} from './notify.js';
import {newTcpCheck, type TcpCheckDraft, tcpCheck} from './tcp-check.js';

/** `real_server`. null: not written. */
export interface BackendDraft extends Draft, CheckOptions {
	readonly address: string;
	/** null or 0: the port of the service. */
	readonly port: number | null;
	forwarding: Forwarding | null;
	weight: number | null;
	inhibitOnFailure: boolean | null;
	/** 0: none. */
	upperThreshold: number;
	lowerThreshold: number;
	readonly checks: TcpCheckDraft[];
	readonly notify: BackendNotifyDraft;
}

export function newBackend(address: string, port: number | null, place: Place): BackendDraft {
	return {
		...draftAt(place),
		...newCheckOptions(),
		address,
		port,
		forwarding: null,
		weight: null,
		inhibitOnFailure: null,
		upperThreshold: 0,
		lowerThreshold: 0,
		checks: [],
		notify: newBackendNotify(),
	};
}

/** keepalived's largest weight. */
export const WEIGHT_MAX = 2 ** 31 - 1;

const threshold = integer(0, 2 ** 32 - 1);

export const backend: Keywords<BackendDraft> = {
	weight: full(one(integer(0, WEIGHT_MAX)), (draft, weight) => {
		draft.weight = weight;
	}),
	inhibit_on_failure: full(onOff, (draft, inhibit) => {
		draft.inhibitOnFailure = inhibit;
	}),
	...checkOptionKeywords<BackendDraft>(),
	lvs_method: full(forwardingArgs, (draft, forwarding) => {
		draft.forwarding = forwarding;
	}),
	TCP_CHECK: block(tcpCheck, none, ({checks}, _, place) => {
		const check = newTcpCheck(place);
		checks.push(check);
		return check;
	}),
	...rows('HTTP_GET SSL_GET SMTP_CHECK DNS_CHECK', refused('TCP_CHECK is the only check yet')),
	...rows('MISC_CHECK UDP_CHECK PING_CHECK BFD_CHECK FILE_CHECK', refused('TCP_CHECK is the only check yet')),
	uthreshold: full(one(threshold), (draft, connections) => {
		draft.upperThreshold = connections;
	}),
	lthreshold: full(one(threshold), (draft, connections) => {
		draft.lowerThreshold = connections;
	}),
	...backendNotifyKeywords<BackendDraft>(),
	virtualhost: accepted('only HTTP_GET and SSL_GET need it'),
	snmp_name: accepted(because.noSnmp),
};
