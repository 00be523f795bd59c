import {one, onOff} from '../args.js';
import {type Forwarding, type Place, WEIGHT_MAX} from '../model.js';
import {accepted, type Draft, draftAt, full, type Keywords} from '../table.js';
import {integer} from '../values.js';
import * as because from './because.js';
import type {WrittenCheck} from './check-draft.js';
import {type CheckOptions, checkOptionKeywords, newCheckOptions} from './check-options.js';
import {checkRows} from './checks.js';
import {forwardingArgs} from './forwarding.js';
import {virtualHost} from './http-get.js';
import {type BackendNotifyDraft, backendNotifyKeywords, newBackendNotify} from './notify.js';

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
	virtualHost: string | null;
	readonly checks: WrittenCheck[];
	readonly notify: BackendNotifyDraft;
}

export function newBackend(address: string, port: number | null, place: Place): BackendDraft {
	return {
		address,
		port,
		forwarding: null,
		weight: null,
		inhibitOnFailure: null,
		upperThreshold: 0,
		lowerThreshold: 0,
		virtualHost: null,
		checks: [],
		notify: newBackendNotify(),
		// Last, here and wherever there are ten thousand: what follows a spread costs V8 ten times as much.
		...draftAt(place),
		...newCheckOptions(),
	};
}

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
	...checkRows<BackendDraft>(),
	uthreshold: full(one(threshold), (draft, connections) => {
		draft.upperThreshold = connections;
	}),
	lthreshold: full(one(threshold), (draft, connections) => {
		draft.lowerThreshold = connections;
	}),
	...backendNotifyKeywords<BackendDraft>(),
	virtualhost: virtualHost,
	snmp_name: accepted(because.noSnmp),
};
