import {type Family, maskPrefix} from '../../net/address.js';
import {type Args, none, one, onOff, optional, pair} from '../args.js';
import {type Forwarding, type Place, type Protocol, type Scheduler, WEIGHT_MAX} from '../model.js';
import {accepted, block, type Draft, draftAt, full, type Keywords, type Row, refused, rows} from '../table.js';
import {integer, ip, ipv4, map, oneOf, Unsupported, type Value, word} from '../values.js';
import {type BackendDraft, backend, newBackend} from './backend.js';
import * as because from './because.js';
import {type CheckOptions, checkOptionKeywords, newCheckOptions} from './check-options.js';
import {forwardingArgs} from './forwarding.js';
import {port, readAddresses, refusesFwmark, type ServiceAddresses} from './group.js';
import {virtualHost} from './http-get.js';
import {newServiceNotify, type ServiceNotifyDraft, serviceNotifyKeywords} from './notify.js';

/** Which traffic a `virtual_server` takes: that of an address of its own, or of a group that `place` names. */
export type ServiceTarget = ServiceAddresses | {readonly group: string; readonly place: Place};

/** A prefix length; a netmask is only for IPv4. */
export interface Granularity {
	readonly prefix: number;
	readonly isMask: boolean;
}

/** `virtual_server`. null: not written. */
export interface ServiceDraft extends Draft, CheckOptions {
	readonly target: ServiceTarget;
	family: Family | null;
	protocol: Protocol | null;
	scheduler: Scheduler | null;
	hashPort: boolean;
	hashFallback: boolean;
	/** Flags that came before the scheduler that they are for, or without it. */
	readonly strayFlags: {readonly keyword: string; readonly place: Place}[];
	forwarding: Forwarding | null;
	persistenceTimeoutS: number | null;
	persistenceGranularity: Granularity | null;
	quorum: number;
	hysteresis: number;
	haSuspend: boolean;
	weight: number;
	inhibitOnFailure: boolean;
	readonly notify: ServiceNotifyDraft;
	virtualHost: string | null;
	readonly backends: BackendDraft[];
	sorryServer: BackendDraft | null;
	sorryInhibit: boolean;
	sorryForwarding: Forwarding | null;
}

export function newService(target: ServiceTarget, place: Place): ServiceDraft {
	return {
		target,
		family: null,
		protocol: null,
		scheduler: null,
		hashPort: false,
		hashFallback: false,
		strayFlags: [],
		forwarding: null,
		persistenceTimeoutS: null,
		persistenceGranularity: null,
		quorum: 1,
		hysteresis: 0,
		haSuspend: false,
		weight: 1,
		inhibitOnFailure: false,
		notify: newServiceNotify(),
		virtualHost: null,
		backends: [],
		sorryServer: null,
		sorryInhibit: false,
		sorryForwarding: null,
		...draftAt(place),
		...newCheckOptions(),
	};
}

const groupName: Value<string> = {...word, usage: 'group NAME'};
const oneAddress = map(ip, address => [address]);

export const serviceArgs: Args<ServiceTarget> = {
	usage: 'IP [PORT] | group NAME',
	read(words) {
		if (refusesFwmark(words)) return undefined;
		if (words.peek()?.text !== 'group') return readAddresses(words, oneAddress);
		words.shift();
		const {place} = words.peek() ?? words.keyword;
		const group = words.take(groupName);
		return group === undefined ? undefined : {group, place};
	},
};

const backendArgs = pair(ip, port, null);

const forProxies = new Unsupported('it is for proxy farms, by destination address');
const scheduler = oneOf<Scheduler>({
	rr: 'rr',
	wrr: 'wrr',
	lc: 'lc',
	wlc: 'wlc',
	sed: 'sed',
	nq: 'nq',
	sh: 'sh',
	dh: 'dh',
	mh: 'mh',
	fo: 'fo',
	ovf: 'ovf',
	lblc: forProxies,
	lblcr: forProxies,
	twos: new Unsupported('two random picks are for balancers that do not know every backend'),
});

const protocols = oneOf<Protocol>({
	TCP: 'tcp',
	UDP: 'udp',
	SCTP: new Unsupported('its associations move between addresses, and a flow here is one pair of them'),
});
/** In any case, as keepalived reads it. */
export const protocol: Value<Protocol> = {
	usage: protocols.usage,
	parse: text => protocols.parse(text.toUpperCase()),
};

/** The longest time an IPVS service remembers a client: 31 days. */
const PERSISTENCE_S_MAX = 31 * 24 * 3600;
/** What keepalived takes when persistence is asked for without a time. */
export const PERSISTENCE_S_DEFAULT = 360;

/** `24`, `64` or `255.255.255.0`. */
const granularity: Value<Granularity> = {
	usage: 'NETMASK|LENGTH',
	parse(text) {
		if (!text.includes('.')) return map(integer(1, 128), prefix => ({prefix, isMask: false})).parse(text);
		const mask = ipv4.parse(text);
		if ('why' in mask) return mask;
		const prefix = maskPrefix(mask.value);
		return prefix === undefined || prefix === 0 ? {why: 'is not a netmask'} : {value: {prefix, isMask: true}};
	},
};

const schedulerRow = full<ServiceDraft, Scheduler>(one(scheduler), (draft, value) => {
	draft.scheduler = value;
});
const forwardingRow = full<ServiceDraft, Forwarding>(forwardingArgs, (draft, value) => {
	draft.forwarding = value;
});

/** What a scheduler's flag sets. */
type HashFlag = 'hashPort' | 'hashFallback';

/** A flag that only means something after its scheduler, as keepalived reads it; IPVS numbers them. */
function hashFlag(keyword: string, flag: HashFlag, schedulers: readonly Scheduler[]): Row<ServiceDraft> {
	return full(none, (draft, _, place) => {
		if (draft.scheduler !== null && schedulers.includes(draft.scheduler)) draft[flag] = true;
		else draft.strayFlags.push({keyword, place});
	});
}

export const service: Keywords<ServiceDraft> = {
	protocol: full(one(protocol), (draft, value) => {
		draft.protocol = value;
	}),
	lb_algo: schedulerRow,
	lvs_sched: schedulerRow,
	lb_kind: forwardingRow,
	lvs_method: forwardingRow,
	persistence_timeout: full(optional(integer(1, PERSISTENCE_S_MAX), PERSISTENCE_S_DEFAULT), (draft, seconds) => {
		draft.persistenceTimeoutS = seconds;
	}),
	persistence_granularity: full(one(granularity), (draft, prefix) => {
		draft.persistenceGranularity = prefix;
	}),
	quorum: full(one(integer(1, 2 ** 32 - 1)), (draft, quorum) => {
		draft.quorum = quorum;
	}),
	hysteresis: full(one(integer(0, 2 ** 32 - 1)), (draft, hysteresis) => {
		draft.hysteresis = hysteresis;
	}),
	weight: full(one(integer(1, WEIGHT_MAX)), (draft, weight) => {
		draft.weight = weight;
	}),
	inhibit_on_failure: full(onOff, (draft, inhibit) => {
		draft.inhibitOnFailure = inhibit;
	}),
	...checkOptionKeywords<ServiceDraft>(),
	real_server: block(backend, backendArgs, ({backends}, [address, port], place) => {
		const draft = newBackend(address, port, place);
		backends.push(draft);
		return draft;
	}),

	sorry_server: full(backendArgs, (draft, [address, port], place) => {
		draft.sorryServer = newBackend(address, port, place);
	}),
	sorry_server_inhibit: full(none, draft => {
		draft.sorryInhibit = true;
	}),
	sorry_server_lvs_method: full(forwardingArgs, (draft, forwarding) => {
		draft.sorryForwarding = forwarding;
	}),
	ops: refused('datagrams of a client belong to a flow'),
	persistence_engine: refused('SIP Call-ID affinity needs payload parsing'),
	'sh-port': hashFlag('sh-port', 'hashPort', ['sh']),
	'sh-fallback': hashFlag('sh-fallback', 'hashFallback', ['sh']),
	'mh-port': hashFlag('mh-port', 'hashPort', ['mh']),
	'mh-fallback': hashFlag('mh-fallback', 'hashFallback', ['mh']),
	'flag-1': hashFlag('flag-1', 'hashFallback', ['sh', 'mh']),
	'flag-2': hashFlag('flag-2', 'hashPort', ['sh', 'mh']),
	...rows('flag-3 hashed', accepted('no scheduler goes by it')),
	ip_family: full(one(oneOf<Family>({inet: 4, inet6: 6})), (draft, family) => {
		draft.family = family;
	}),
	...serviceNotifyKeywords<ServiceDraft>(),
	ha_suspend: full(none, draft => {
		draft.haSuspend = true;
	}),
	virtualhost: virtualHost,
	snmp_name: accepted(because.noSnmp),
};
