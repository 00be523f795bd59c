import {endpointName, maskPrefix} from '../../net/address.js';
import {type Args, none, one, onOff, optional, pair} from '../args.js';
import {formatPlace, type Report} from '../diagnostics.js';
import type {Backend, Forwarding, Place, Protocol, Scheduler, Service} from '../model.js';
import {
	accepted,
	block,
	type Draft,
	draftAt,
	fixed,
	full,
	type Keywords,
	placeOf,
	type Row,
	refused,
	rows,
} from '../table.js';
import {integer, ipv4, oneOf, Unsupported, type Value} from '../values.js';
import {type BackendDraft, backend, newBackend, toBackend, WEIGHT_MAX} from './backend.js';
import * as because from './because.js';
import {type CheckOptions, checkOptionKeywords, newCheckOptions} from './check-options.js';
import {forwarding} from './forwarding.js';

/** Which traffic a `virtual_server` takes. */
export interface ServiceAddress {
	readonly address: string;
	readonly port: number;
}

/** `virtual_server`. null: not written. */
export interface ServiceDraft extends Draft, CheckOptions, ServiceAddress {
	protocol: Protocol | null;
	scheduler: Scheduler | null;
	hashPort: boolean;
	hashFallback: boolean;
	/** Flags that came before the scheduler that they are for, or without it. */
	readonly strayFlags: {readonly keyword: string; readonly place: Place}[];
	forwarding: Forwarding | null;
	persistenceTimeoutS: number | null;
	persistenceGranularity: number | null;
	quorum: number;
	hysteresis: number;
	weight: number;
	inhibitOnFailure: boolean;
	readonly backends: BackendDraft[];
}

export function newService({address, port}: ServiceAddress, place: Place): ServiceDraft {
	return {
		...draftAt(place),
		...newCheckOptions(),
		address,
		port,
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
		weight: 1,
		inhibitOnFailure: false,
		backends: [],
	};
}

const port = integer(0, 65_535);

export const serviceArgs: Args<ServiceAddress> = {
	usage: 'IP PORT',
	read(words) {
		const first = words.peek();
		if (first?.text === 'fwmark' || first?.text === 'group') {
			const text = `virtual_server ${first.text} is not supported yet`;
			words.report.error('not-supported', first.place, text, 'name IP and port');
			return undefined;
		}
		const address = words.take(ipv4);
		const second = words.peek();
		const number = second === undefined ? 0 : words.take(port);
		if (address === undefined || number === undefined) return undefined;
		if (number !== 0) return {address, port: number};
		const text = 'virtual_server without a port, for all ports, is not supported yet';
		words.report.error('not-supported', (second ?? words.keyword).place, text, 'name the port');
		return undefined;
	},
};

const backendArgs = pair(ipv4, port, null);

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
	SCTP: new Unsupported('TCP and UDP are the only protocols yet'),
});
const protocol: Value<Protocol> = {
	usage: protocols.usage,
	parse: text => protocols.parse(text.toUpperCase()),
};

/** The longest time an IPVS service remembers a client: 31 days. */
const PERSISTENCE_S_MAX = 31 * 24 * 3600;
/** What keepalived takes when persistence is asked for without a time. */
const PERSISTENCE_S_DEFAULT = 360;

/** `24` or `255.255.255.0`. */
const granularity: Value<number> = {
	usage: 'NETMASK|PREFIX',
	parse(text) {
		if (!text.includes('.')) return integer(1, 32).parse(text);
		const mask = ipv4.parse(text);
		if ('why' in mask) return mask;
		const prefix = maskPrefix(mask.value);
		return prefix === undefined || prefix === 0 ? {why: 'is not a netmask'} : {value: prefix};
	},
};

const schedulerRow = full<ServiceDraft, Scheduler>(one(scheduler), (draft, value) => {
	draft.scheduler = value;
});
const forwardingRow = full<ServiceDraft, Forwarding>(one(forwarding), (draft, value) => {
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

	sorry_server: refused('a service without backends refuses connections'),
	...rows('sorry_server_inhibit sorry_server_lvs_method', accepted('there is no sorry server yet')),
	ops: refused('datagrams of a client belong to a flow'),
	persistence_engine: refused('SIP Call-ID affinity needs payload parsing'),
	'sh-port': hashFlag('sh-port', 'hashPort', ['sh']),
	'sh-fallback': hashFlag('sh-fallback', 'hashFallback', ['sh']),
	'mh-port': hashFlag('mh-port', 'hashPort', ['mh']),
	'mh-fallback': hashFlag('mh-fallback', 'hashFallback', ['mh']),
	'flag-1': hashFlag('flag-1', 'hashFallback', ['sh', 'mh']),
	'flag-2': hashFlag('flag-2', 'hashPort', ['sh', 'mh']),
	...rows('flag-3 hashed', accepted('no scheduler goes by it')),
	ip_family: fixed(one(oneOf({inet: 4, inet6: new Unsupported(because.noIpv6)}))),
	...rows('quorum_up quorum_down omega', accepted(because.noScripts)),
	ha_suspend: accepted('checks always run'),
	virtualhost: accepted('only HTTP_GET and SSL_GET need it'),
	snmp_name: accepted(because.noSnmp),
	smtp_alert: accepted(because.noMail, onOff),
};

/** The service with keepalived's defaults and corrections, or null if it cannot be or serves nothing. */
export function toService(draft: ServiceDraft, report: Report): Service | null {
	const {place, address, port} = draft;
	const {protocol, scheduler} = requireChoices(draft, report);
	if (protocol === null) return null;
	reportStrayFlags(draft, report);
	const name = endpointName(address, port, protocol);
	if (draft.backends.length === 0) {
		report.warning('missing', place, `virtual_server ${name} has no real_server and is left out`, 'add one');
		return null;
	}
	const backends = withoutDuplicates(
		draft.backends.map(backend => toBackend(backend, draft, protocol, report)),
		report,
	);
	return {
		place,
		name,
		address,
		port,
		protocol,
		scheduler,
		hashPort: draft.hashPort,
		hashFallback: draft.hashFallback,
		forwarding: draft.forwarding ?? 'nat',
		persistence: resolvePersistence(draft),
		...resolveQuorum(draft, backends, report),
		backends,
	};
}

/** keepalived's defaults, UDP, wlc and NAT, surprise most people. */
function requireChoices(
	draft: ServiceDraft,
	report: Report,
): {readonly protocol: Protocol | null; readonly scheduler: Scheduler} {
	const {place, protocol, scheduler, written} = draft;
	if (!written.has('protocol')) {
		report.warning('missing', place, 'virtual_server has no protocol, which means UDP', `add 'protocol TCP' or UDP`);
	}
	if (!written.has('lb_algo') && !written.has('lvs_sched')) {
		report.warning('missing', place, 'virtual_server has no lb_algo, which means wlc', `add 'lb_algo wlc'`);
	}
	if (!written.has('lb_kind') && !written.has('lvs_method')) {
		report.warning('missing', place, 'virtual_server has no lb_kind, which means NAT', `add 'lb_kind NAT'`);
	}
	return {protocol: written.has('protocol') ? protocol : 'udp', scheduler: scheduler ?? 'wlc'};
}

function reportStrayFlags({strayFlags}: ServiceDraft, report: Report): void {
	for (const {keyword, place} of strayFlags) {
		const text = `${keyword} is ignored: no lb_algo that it is for stands before it`;
		report.warning('contradiction', place, text, `remove it, or put it behind 'lb_algo sh' or 'lb_algo mh'`);
	}
}

function withoutDuplicates(backends: readonly Backend[], report: Report): readonly Backend[] {
	const places = new Map<string, Place>();
	return backends.filter(({name, place}) => {
		const earlier = places.get(name);
		if (earlier === undefined) {
			places.set(name, place);
			return true;
		}
		const text = `real_server ${name} is there already, at ${formatPlace(earlier)}; this one is ignored`;
		report.warning('duplicate', place, text, 'remove one');
		return false;
	});
}

function resolvePersistence(draft: ServiceDraft): Service['persistence'] {
	const {persistenceTimeoutS: timeoutS, persistenceGranularity: granularity} = draft;
	if (timeoutS === null && granularity === null) return null;
	return {timeoutS: timeoutS ?? PERSISTENCE_S_DEFAULT, granularity: granularity ?? 32};
}

/** A quorum beyond all weights, or a hysteresis beyond the quorum, could never be met: keepalived lowers both. */
function resolveQuorum(
	draft: ServiceDraft,
	backends: readonly Backend[],
	report: Report,
): {readonly quorum: number; readonly hysteresis: number} {
	const weight = backends.reduce((sum, backend) => sum + backend.weight, 0);
	const quorum = Math.max(1, Math.min(draft.quorum, weight));
	if (quorum !== draft.quorum) {
		const text = `quorum ${draft.quorum} is more than all backends weigh together, so it is ${quorum}`;
		report.warning('adjusted', placeOf(draft, 'quorum'), text);
	}
	const hysteresis = Math.min(draft.hysteresis, quorum - 1);
	if (hysteresis !== draft.hysteresis) {
		const text = `hysteresis ${draft.hysteresis} is not below quorum ${quorum}, so it is ${hysteresis}`;
		report.warning('adjusted', placeOf(draft, 'hysteresis'), text);
	}
	return {quorum, hysteresis};
}
