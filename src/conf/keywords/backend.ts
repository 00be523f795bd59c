import {endpointName} from '../../net/address.js';
import {none, one, onOff} from '../args.js';
import type {Report} from '../diagnostics.js';
import type {Backend, Place, Protocol} from '../model.js';
import {accepted, block, type Draft, draftAt, fixed, full, type Keywords, placeOf, refused, rows} from '../table.js';
import {integer} from '../values.js';
import * as because from './because.js';
import {type CheckOptions, checkOptionKeywords, inherit, newCheckOptions} from './check-options.js';
import {forwarding} from './forwarding.js';
import {newTcpCheck, type TcpCheckDraft, tcpCheck, toTcpCheck} from './tcp-check.js';

/** `real_server`. null: not written. */
export interface BackendDraft extends Draft, CheckOptions {
	readonly address: string;
	/** null or 0: the port of the service. */
	readonly port: number | null;
	weight: number | null;
	inhibitOnFailure: boolean | null;
	/** 0: none. */
	upperThreshold: number;
	lowerThreshold: number;
	readonly checks: TcpCheckDraft[];
}

export function newBackend(address: string, port: number | null, place: Place): BackendDraft {
	return {
		...draftAt(place),
		...newCheckOptions(),
		address,
		port,
		weight: null,
		inhibitOnFailure: null,
		upperThreshold: 0,
		lowerThreshold: 0,
		checks: [],
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
	lvs_method: fixed(one(forwarding)),
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
	...rows('notify_up notify_down', accepted(because.noScripts)),
	virtualhost: accepted('only HTTP_GET and SSL_GET need it'),
	snmp_name: accepted(because.noSnmp),
	smtp_alert: accepted(because.noMail, onOff),
};

/** What a backend takes from its service. */
export interface BackendDefaults extends CheckOptions {
	readonly port: number;
	readonly weight: number;
	readonly inhibitOnFailure: boolean;
}

export function toBackend(draft: BackendDraft, service: BackendDefaults, protocol: Protocol, report: Report): Backend {
	const {place, address} = draft;
	if (draft.alpha && draft.checks.length === 0) {
		report.warning('contradiction', placeOf(draft, 'alpha'), 'alpha is ignored without a check', 'add a TCP_CHECK');
	}
	const port = draft.port || service.port;
	return {
		place,
		name: endpointName(address, port, protocol),
		address,
		port,
		weight: draft.weight ?? service.weight,
		inhibitOnFailure: draft.inhibitOnFailure ?? service.inhibitOnFailure,
		...resolveThresholds(draft, report),
		alpha: draft.checks.some(check => inherit('alpha', check, draft, service) ?? false),
		checks: draft.checks.map(check => toTcpCheck(check, address, port, [draft, service])),
	};
}

/** Without an lthreshold, IPVS deals again below three quarters of the uthreshold (net/netfilter/ipvs/ip_vs_conn.c). */
function resolveThresholds(
	draft: BackendDraft,
	report: Report,
): {readonly upperThreshold: number; readonly lowerThreshold: number} {
	const {upperThreshold, lowerThreshold} = draft;
	if (upperThreshold === 0 && lowerThreshold > 0) {
		const text = 'lthreshold is ignored without uthreshold';
		report.warning('contradiction', placeOf(draft, 'lthreshold'), text, 'add a uthreshold');
	}
	if (upperThreshold > 0 && lowerThreshold > upperThreshold) {
		const text = `lthreshold ${lowerThreshold} is above uthreshold ${upperThreshold}, which goes first`;
		report.warning('contradiction', placeOf(draft, 'lthreshold'), text, 'lower it');
	}
	return {upperThreshold, lowerThreshold: lowerThreshold || Math.ceil((upperThreshold * 3) / 4)};
}
