/** What the `real_server` blocks of a `virtual_server` mean in each of its services. */
import {endpointName, family} from '../../net/address.js';
import {formatPlace, type Report} from '../diagnostics.js';
import type {Backend, Forwarding, Place, Protocol, Service} from '../model.js';
import {placeOf} from '../table.js';
import type {BackendDraft} from './backend.js';
import {type CheckOptions, inherit} from './check-options.js';
import type {GlobalsDraft} from './globals.js';
import {toBackendNotify} from './notify.js';
import type {TrackedFileDraft} from './trackers.js';

/** What real servers take from their `virtual_server`. */
export interface RealServerDefaults extends CheckOptions {
	readonly forwarding: Forwarding | null;
	readonly weight: number;
	readonly inhibitOnFailure: boolean;
	readonly virtualHost: string | null;
}

/** The services of the `virtual_server`, as far as real servers depend on them. */
export interface Served {
	readonly protocol: Protocol;
	readonly endpoints: readonly Pick<Service, 'address' | 'port'>[];
	readonly globals: GlobalsDraft;
	readonly trackFiles: readonly TrackedFileDraft[];
}

/** The backends of each endpoint, in its order. What is said of a real server is said once. */
export function toBackends(
	drafts: readonly BackendDraft[],
	defaults: RealServerDefaults,
	served: Served,
	report: Report,
): (readonly Backend[])[] {
	const realServers = drafts.map(draft => toRealServer(draft, defaults, served, report));
	const duplicates = new Map<Place, string>();
	const backends = served.endpoints.map(({port}) => {
		const all = realServers.map(realServer => atPort(realServer, port, served.protocol));
		return withoutDuplicates(all, duplicates);
	});
	for (const [place, text] of duplicates) report.warning('duplicate', place, text, 'remove one');
	return backends;
}

/** A backend as its checks see it, and the port that is written: 0 where it has that of the service. */
interface RealServer {
	readonly backend: Backend;
	readonly ownPort: number;
}

function toRealServer(draft: BackendDraft, defaults: RealServerDefaults, served: Served, report: Report): RealServer {
	const {place, address} = draft;
	const forwarding = draft.forwarding ?? defaults.forwarding ?? {method: 'nat'};
	checkFamilies(draft, forwarding, served, report);
	reportIgnoredPort(draft, forwarding, served, report);
	if (draft.alpha && draft.checks.length === 0) {
		report.warning('contradiction', placeOf(draft, 'alpha'), 'alpha is ignored without a check', 'add a TCP_CHECK');
	}
	const ownPort = forwarding.method === 'nat' ? (draft.port ?? 0) : 0;
	const port = checkedPort(ownPort, served);
	const name = endpointName(address, port, served.protocol);
	const {upperThreshold, lowerThreshold} = resolveThresholds(draft, report);
	const backend = {
		place,
		realServer: name,
		address,
		forwarding,
		weight: draft.weight ?? defaults.weight,
		inhibitOnFailure: draft.inhibitOnFailure ?? defaults.inhibitOnFailure,
		upperThreshold,
		lowerThreshold,
		notify: toBackendNotify(draft.notify, served.globals),
		alpha: draft.checks.some(check => inherit('alpha', check.draft, draft, defaults) ?? false),
		checks: draft.checks.flatMap(check =>
			check.toChecks({
				address,
				port,
				outer: [draft, defaults],
				virtualHost: draft.virtualHost ?? defaults.virtualHost,
				globals: served.globals,
				trackFiles: served.trackFiles,
				report,
			}),
		),
		name,
		port,
	};
	return {backend, ownPort};
}

/** The one port that it is reached at, or 0 if there are many. */
function checkedPort(ownPort: number, {endpoints}: Served): number {
	const [first = 0, ...others] = endpoints.map(({port}) => backendPort(ownPort, port));
	return others.every(port => port === first) ? first : ownPort;
}

/** IPVS keeps the port of a connection to a service with all ports (net/netfilter/ipvs/ip_vs_core.c). */
function backendPort(ownPort: number, servicePort: number): number {
	return servicePort === 0 ? 0 : ownPort || servicePort;
}

function atPort({backend, ownPort}: RealServer, servicePort: number, protocol: Protocol): Backend {
	const port = backendPort(ownPort, servicePort);
	return port === backend.port ? backend : {...backend, name: endpointName(backend.address, port, protocol), port};
}

function checkFamilies({address, place}: BackendDraft, {method}: Forwarding, served: Served, report: Report): void {
	const other = served.endpoints.find(endpoint => family(endpoint.address) !== family(address));
	if (other === undefined || method === 'tun') return;
	const name = endpointName(other.address, other.port, served.protocol);
	const text = `real_server ${address} and virtual_server ${name} are of different families, which only TUN can join`;
	report.error('contradiction', place, text, `use 'lb_kind TUN', or addresses of one family`);
}

function reportIgnoredPort(draft: BackendDraft, {method}: Forwarding, {endpoints}: Served, report: Report): void {
	const {port, address, place} = draft;
	if (!port || endpoints.every(endpoint => backendPort(method === 'nat' ? port : 0, endpoint.port) === port)) return;
	const why = method === 'nat' ? 'a virtual_server with all ports keeps them' : `${method.toUpperCase()} keeps ports`;
	report.warning('adjusted', place, `port ${port} of real_server ${address} is ignored: ${why}`, 'remove it');
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

/** The first of each name; what to say of the others, by their place. */
function withoutDuplicates(backends: readonly Backend[], duplicates: Map<Place, string>): readonly Backend[] {
	const places = new Map<string, Place>();
	return backends.filter(({name, place}) => {
		const earlier = places.get(name);
		if (earlier === undefined) {
			places.set(name, place);
			return true;
		}
		duplicates.set(place, `real_server ${name} is there already, at ${formatPlace(earlier)}; this one is ignored`);
		return false;
	});
}
