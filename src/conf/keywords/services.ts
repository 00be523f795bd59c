/** What a `virtual_server` block means: a service, or one for each address of a group. */
import {addressBits, endpointName, type Family, family} from '../../net/address.js';
import {quote, type Report} from '../diagnostics.js';
import type {Backend, Place, Protocol, Scheduler, Service} from '../model.js';
import {placeOf} from '../table.js';
import {suggestion} from '../values.js';
import type {GlobalsDraft} from './globals.js';
import type {GroupDraft, PlacedAddresses} from './group.js';
import {toServiceNotify} from './notify.js';
import {toBackends} from './real-servers.js';
import {type Granularity, PERSISTENCE_S_DEFAULT, type ServiceDraft} from './service.js';
import type {PolicyOf} from './settings.js';
import {toSorryServers} from './sorry-server.js';
import type {TrackedFileDraft} from './trackers.js';

/** What a `virtual_server` block is read beside. */
export interface Surroundings {
	readonly groups: readonly GroupDraft[];
	readonly policyOf: PolicyOf;
	readonly globals: GlobalsDraft;
	readonly trackers: {readonly files: readonly TrackedFileDraft[]};
}

/** What decides which packets a service takes. */
type Endpoint = Pick<Service, 'place' | 'address' | 'port' | 'name'>;

/** The services with keepalived's defaults and corrections; none if the block cannot be or serves nothing. */
export function toServices(
	draft: ServiceDraft,
	{groups, policyOf, globals, trackers}: Surroundings,
	report: Report,
): Service[] {
	const {protocol, scheduler} = requireChoices(draft, report);
	if (protocol === null) return [];
	reportStrayFlags(draft, report);
	const endpoints = endpointsOf(draft, protocol, groups, report);
	if (endpoints.length === 0) return [];
	const group = 'group' in draft.target ? draft.target.group : null;
	if (draft.backends.length === 0) {
		const name = group === null ? endpoints[0]?.name : `group ${quote(group)}`;
		report.warning('missing', draft.place, `virtual_server ${name} has no real_server and is left out`, 'add one');
		return [];
	}
	checkFamily(draft, endpoints, report);
	const served = {protocol, endpoints, globals, trackFiles: trackers.files};
	const backends = toBackends(draft.backends, draft, served, report);
	const sorryServers = toSorryServers(draft, served, backends, report);
	const persistence = resolvePersistence(draft, endpoints, report);
	const {hashPort, hashFallback, haSuspend} = draft;
	const {quorum, hysteresis} = resolveQuorum(draft, backends[0] ?? [], report);
	const notify = toServiceNotify(draft.notify, globals);
	return endpoints.map(({place, name, address, port}, index) => ({
		place,
		name,
		address,
		port,
		group,
		protocol,
		scheduler,
		hashPort,
		hashFallback,
		haSuspend,
		quorum,
		hysteresis,
		notify,
		persistence: persistence && {
			timeoutS: persistence.timeoutS,
			granularity: persistence.granularity?.prefix ?? addressBits(family(address)),
		},
		...policyOf({address, port, protocol, group}),
		backends: backends[index] ?? [],
		sorryServer: sorryServers[index] ?? null,
	}));
}

/** keepalived's defaults, UDP, wlc and NAT, surprise most people. */
function requireChoices(
	draft: ServiceDraft,
	report: Report,
): {readonly protocol: Protocol | null; readonly scheduler: Scheduler} {
	const {place, scheduler, written} = draft;
	if (!written.has('protocol')) {
		report.warning('missing', place, 'virtual_server has no protocol, which means UDP', `add 'protocol TCP' or UDP`);
	}
	if (!written.has('lb_algo') && !written.has('lvs_sched')) {
		report.warning('missing', place, 'virtual_server has no lb_algo, which means wlc', `add 'lb_algo wlc'`);
	}
	if (!written.has('lb_kind') && !written.has('lvs_method')) {
		report.warning('missing', place, 'virtual_server has no lb_kind, which means NAT', `add 'lb_kind NAT'`);
	}
	return {protocol: protocolOf(draft), scheduler: scheduler ?? 'wlc'};
}

/** null: it is written, and wrong. */
export function protocolOf({written, protocol}: ServiceDraft): Protocol | null {
	return written.has('protocol') ? protocol : 'udp';
}

function reportStrayFlags({strayFlags}: ServiceDraft, report: Report): void {
	for (const {keyword, place} of strayFlags) {
		const text = `${keyword} is ignored: no lb_algo that it is for stands before it`;
		report.warning('contradiction', place, text, `remove it, or put it behind 'lb_algo sh' or 'lb_algo mh'`);
	}
}

function endpointsOf(
	{target, place}: ServiceDraft,
	protocol: Protocol,
	groups: readonly GroupDraft[],
	report: Report,
): Endpoint[] {
	const lines = 'group' in target ? linesOf(target, groups, report) : [{...target, place}];
	return lines.flatMap(({place, addresses, port}) =>
		addresses.map(address => ({place, name: endpointName(address, port, protocol), address, port})),
	);
}

function linesOf(
	{group, place}: {readonly group: string; readonly place: Place},
	groups: readonly GroupDraft[],
	report: Report,
): readonly PlacedAddresses[] {
	const named = groups.find(({name}) => name === group);
	if (named === undefined) {
		const text = `virtual_server names group ${quote(group)}, which is no virtual_server_group`;
		const names = groups.map(({name}) => name);
		report.error('missing', place, text, suggestion(group, names) || 'correct the name or add the group');
	} else if (named.lines.length === 0) {
		const text = `virtual_server_group ${quote(group)} has no addresses, so this virtual_server is left out`;
		report.warning('missing', place, text, 'add one');
	}
	return named?.lines ?? [];
}

/** keepalived skips an ip_family that is not that of the address; it only decides for marks. */
function checkFamily(draft: ServiceDraft, endpoints: readonly Endpoint[], report: Report): void {
	const other = endpoints.find(({address}) => draft.family !== null && family(address) !== draft.family);
	if (other === undefined) return;
	const text = `ip_family is not that of virtual_server ${other.name}`;
	report.error('contradiction', placeOf(draft, 'ip_family'), text, 'remove it');
}

/** IPVS serves all ports only to clients that it remembers; keepalived makes it so. */
function resolvePersistence(
	draft: ServiceDraft,
	endpoints: readonly Endpoint[],
	report: Report,
): {readonly timeoutS: number; readonly granularity: Granularity | null} | null {
	const {persistenceTimeoutS: timeoutS, persistenceGranularity: granularity} = draft;
	for (const {address, name} of endpoints) checkGranularity(draft, family(address), name, report);
	const allPorts = endpoints.find(({port}) => port === 0);
	if (timeoutS === null && granularity === null) {
		if (allPorts === undefined) return null;
		const text = `virtual_server ${allPorts.name} has all ports and so remembers clients, for ${PERSISTENCE_S_DEFAULT} s`;
		report.warning('adjusted', draft.place, text, `add 'persistence_timeout ${PERSISTENCE_S_DEFAULT}', or a port`);
	}
	return {timeoutS: timeoutS ?? PERSISTENCE_S_DEFAULT, granularity};
}

function checkGranularity(draft: ServiceDraft, of: Family, name: string, report: Report): void {
	const granularity = draft.persistenceGranularity;
	if (granularity === null) return;
	const {prefix, isMask} = granularity;
	if (of === 4 ? prefix <= 32 : !isMask) return;
	const [what, wayOut] = of === 4 ? [`length ${prefix}`, 'at most 32'] : ['netmask', 'write a prefix length'];
	const text = `persistence_granularity: a ${what} does not fit virtual_server ${name}`;
	report.error('contradiction', placeOf(draft, 'persistence_granularity'), text, wayOut);
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
