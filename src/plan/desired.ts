/**
 * What the maps should hold, from the configuration, the health of the backends and the ways to reach them. Pure:
 * the same inputs give the same tables at every start.
 */
import type {Backend as ConfBackend, Service as ConfService} from '../conf/model.js';
import {Bug} from '../errors.js';
import {addressBits, addressBytes, family, prefixMask} from '../net/address.js';
import {
	BackendState,
	type Endpoint,
	FailedBackend,
	FilterSide,
	Limits,
	Method,
	type Nic,
	type RouterRoles,
	ServiceFlag,
} from '../xdp/layout.gen.js';
import {
	addressIn,
	type Backend,
	type BackendId,
	emptyTables,
	familyIn,
	familyOf,
	type Service,
	type ServiceId,
	serviceKeyText,
	type Tables,
	withRoom,
} from '../xdp/tables.js';
import {type Capacity, Ids} from './ids.js';
import {endpointKey, type NextHop, protocolNumber} from './key.js';
import {endpointBucket, filterBit, localHash} from './local-hash.js';
import {type Member, SCHEDULERS, Sequences} from './schedulers.js';
import {serviceTerms, type Way, wayTo} from './terms.js';
import {allocateTurns} from './turns.js';
import {planVirtual, type VirtualInstance} from './virtual.js';

/** Everything that the tables depend on beside the configuration. */
export interface Circumstances {
	/** What the maps hold now: what is still right stays in its place, so that live flows keep their backend. */
	readonly actual: Tables;
	readonly capacity: Capacity;
	readonly nics: ReadonlyMap<number, Nic>;
	/** Where this machine is part of virtual routers with MAC addresses of their own, by slot. */
	readonly routerRoles: ReadonlyMap<number, RouterRoles>;
	/** Jiffies a second. */
	readonly hz: number;
	/** Those whose interface there is. */
	readonly instances: readonly VirtualInstance[];
	/** Whether the backend's checks let it be used; a sorry server, whether it has to serve. */
	isUp(service: ConfService, backend: ConfBackend): boolean;
	/** null while the neighbour is unknown: nothing is dealt to such a backend. */
	nextHop(address: string): NextHop | null;
	/** How many flows name a backend. */
	liveFlows(backend: BackendId): number;
	/** What earlier looks have laid out; nothing unless given. */
	readonly sequences?: Sequences;
}

export interface Desired {
	readonly tables: Tables;
	/** What did not fit, for the log: never silent. */
	readonly problems: readonly string[];
	/** Backends that the file no longer has and that are kept for the sake of their flows. */
	readonly leaving: ReadonlySet<BackendId>;
}

/** Computes the tables. */
export function desired(services: readonly ConfService[], circumstances: Circumstances): Desired {
	const draft = new Draft(circumstances);
	for (const service of services) draft.addService(service);
	draft.keepRemoved();
	draft.markShared();
	draft.addTurns();
	draft.addInstances();
	circumstances.sequences?.settle();
	return draft;
}

class Draft implements Desired {
	readonly tables = emptyTables();
	readonly problems: string[] = [];
	readonly leaving = new Set<BackendId>();
	readonly #circumstances: Circumstances;
	readonly #ids: Ids;
	readonly #layouts: Sequences;
	readonly #sequences = new Map<ServiceId, readonly BackendId[]>();

	constructor(circumstances: Circumstances) {
		this.#circumstances = circumstances;
		this.#ids = new Ids(circumstances.actual, circumstances.capacity);
		this.#layouts = circumstances.sequences ?? new Sequences();
		for (const [slot, nic] of circumstances.nics) this.tables.nics.set(slot, nic);
		for (const [slot, roles] of circumstances.routerRoles) this.tables.routerRoles.set(slot, roles);
	}

	addService(service: ConfService): void {
		const id = this.#ids.service(service);
		if (id === null) {
			this.problems.push(`${service.name}: no service id is left; it is not served`);
			return;
		}
		const key = {addr: addressBytes(service.address), port: service.port, proto: protocolNumber(service.protocol)};
		this.tables.services.set(id, {
			addr: withRoom(key.addr),
			port: key.port,
			proto: key.proto,
			family: family(service.address),
			scheduler: SCHEDULERS[service.scheduler].number,
			turn: 0n,
			persistenceJiffies: BigInt((service.persistence?.timeoutS ?? 0) * this.#circumstances.hz),
			persistenceMask: withRoom(persistenceMask(service)),
			flags: serviceFlags(service),
			...serviceTerms(service),
		});
		this.tables.serviceKeys.set(serviceKeyText(key), {key, id});
		this.tables.filter.add(filterBit(FilterSide.FILTER_SERVICE, localHash(key)));
		this.#sequences.set(id, this.#sequence(id, service, this.#addBackends(service, id)));
	}

	/** Those that are dealt to, as far as they are up. While the sorry server serves, that is nobody else. */
	#addBackends(service: ConfService, id: ServiceId): readonly Member[] {
		const {backends, sorryServer} = service;
		const {isUp} = this.#circumstances;
		const failed = this.#stateOfFailed(id);
		if (sorryServer === null || !isUp(service, sorryServer.backend)) {
			return backends.flatMap(
				backend => this.#addBackend(service, id, backend, backendState(backend, isUp(service, backend), failed)) ?? [],
			);
		}
		const replaced = sorryServer.inhibit ? BackendState.BACKEND_DRAIN : failed;
		for (const backend of backends) this.#addBackend(service, id, backend, replaced);
		const member = this.#addBackend(service, id, sorryServer.backend, BackendState.BACKEND_UP);
		return member === null ? [] : [member];
	}

	#sequence(id: ServiceId, {name, scheduler}: ConfService, members: readonly Member[]): readonly BackendId[] {
		const {most} = SCHEDULERS[scheduler];
		if (members.length > most) {
			this.problems.push(`${name}: ${scheduler} compares ${most} backends at most; nothing is dealt to the others`);
		}
		return this.#layouts.of(id, scheduler, members.slice(0, most));
	}

	#addBackend(service: ConfService, serviceId: ServiceId, backend: ConfBackend, state: BackendState): Member | null {
		const addr = addressBytes(backend.address);
		const id = this.#ids.backend(serviceId, backend, addr);
		if (id === null) {
			this.problems.push(`${service.name}: no id is left for backend ${backend.name}; nothing is dealt to it`);
			return null;
		}
		const entry: Backend = {
			addr: withRoom(addr),
			family: familyOf(addr),
			port: backend.port,
			proto: protocolNumber(service.protocol),
			state,
			service: serviceId,
			shared: 0,
			weight: backend.weight,
			upperThreshold: backend.upperThreshold,
			lowerThreshold: backend.lowerThreshold,
			...this.#wayTo(service, backend),
		};
		if (!this.#putEndpoint(entry, addr)) {
			this.problems.push(
				`${service.name}: backend ${backend.name}: its endpoint bucket is full; nothing is dealt to it`,
			);
			return null;
		}
		this.tables.backends.set(id, entry);
		return {id, addr, port: entry.port, weight: entry.weight};
	}

	#wayTo(service: ConfService, backend: ConfBackend): Way {
		const hop = this.#circumstances.nextHop(backend.address);
		if (backend.forwarding.method === 'dr' && hop?.isOnLink === false) {
			this.problems.push(
				`${service.name}: backend ${backend.name} is behind a gateway, where DR does not lead; nothing reaches it`,
			);
		}
		return wayTo(backend, hop);
	}

	/**
	 * Enters the endpoint by which the replies of a backend are known; false when its bucket is full. Only NAT's replies
	 * come back this way.
	 */
	#putEndpoint(backend: Backend, addr = addressIn(backend)): boolean {
		const {port, proto, service, method} = backend;
		if (method !== Method.METHOD_NAT) return true;
		const at = this.tables.services.get(service);
		if (at === undefined) throw new Bug(`a backend names service ${service}, which is not planned`);
		const endpoints = this.tables.endpoints[familyIn(at)];
		const hash = localHash({addr, port, proto});
		const bucket = endpointBucket(hash);
		const residents = endpoints.get(bucket) ?? [];
		if (residents.length >= Limits.LIMIT_ENDPOINTS_PER_BUCKET) return false;
		const endpoint: Endpoint = {addr, port, proto, serviceAddr: addressIn(at), servicePort: at.port, service};
		endpoints.set(bucket, [...residents, endpoint]);
		this.tables.filter.add(filterBit(FilterSide.FILTER_BACKEND, hash));
		return true;
	}

	/** TCP flows may be kept; those of UDP lose nothing by another backend. */
	#stateOfFailed(id: ServiceId): BackendState {
		const service = this.tables.services.get(id);
		const isKept = service?.failedBackend === FailedBackend.FAILED_KEEP && service.proto === protocolNumber('tcp');
		return isKept ? BackendState.BACKEND_KEPT : BackendState.BACKEND_DOWN;
	}

	/**
	 * Backends that the file no longer has stay, as failed ones, until no flow names them: their ids must not be given away
	 * before. One that may still be dealt to stays in any case, since a flow may be made for it at this moment.
	 */
	keepRemoved(): void {
		const {actual, liveFlows} = this.#circumstances;
		for (const [id, entry] of actual.backends) {
			if (this.tables.backends.has(id)) continue;
			if (FAILED_STATES.has(entry.state) && liveFlows(id) === 0) continue;
			const service = actual.services.get(entry.service);
			if (service === undefined) continue;
			if (!this.tables.services.has(entry.service)) this.#keepService(entry.service, service);
			const failed = {...entry, state: this.#stateOfFailed(entry.service), shared: 0};
			this.#putEndpoint(failed);
			this.tables.backends.set(id, failed);
			this.leaving.add(id);
		}
	}

	/** A service that the file no longer has deals to nobody; its flows are looked for only where they go on. */
	#keepService(id: ServiceId, service: Service): void {
		this.tables.services.set(id, {...service, turn: 0n});
		if (this.#stateOfFailed(id) !== BackendState.BACKEND_KEPT) return;
		this.tables.filter.add(filterBit(FilterSide.FILTER_SERVICE, localHash({...service, addr: addressIn(service)})));
	}

	/** NAT's replies of an endpoint that serves several services are told apart by flow, so flows must stay unambiguous. */
	markShared(): void {
		const replying = [...this.tables.backends].filter(([, {method}]) => method === Method.METHOD_NAT);
		const users = counts(replying.map(([, entry]) => endpointKey(entry)));
		// A backend of port 0 answers from all ports, those of its neighbours included.
		const hasAllPorts = replying.some(([, {port}]) => port === 0);
		const neighbours = hasAllPorts ? counts(replying.map(([, entry]) => endpointKey(entry, 0))) : users;
		const usersOf = (key: string): number => users.get(key) ?? 0;
		for (const [id, entry] of replying) {
			const answering = hasAllPorts && entry.port !== 0 ? usersOf(endpointKey(entry, 0)) : 0;
			const sharing =
				entry.port === 0 ? (neighbours.get(endpointKey(entry)) ?? 0) : usersOf(endpointKey(entry)) + answering;
			if (sharing > 1) this.tables.backends.set(id, {...entry, shared: 1});
		}
	}

	addTurns(): void {
		const {actual, capacity} = this.#circumstances;
		const {turns, words, refused} = allocateTurns(this.#sequences, actual, capacity.turns);
		for (const [offset, stretch] of turns) this.tables.turns.set(offset, stretch);
		for (const [id, service] of this.tables.services) {
			this.tables.services.set(id, {...service, turn: words.get(id) ?? 0n});
		}
		for (const id of refused) this.problems.push(`service id ${id}: no room is left for its turn; it deals to nobody`);
	}

	addInstances(): void {
		const {instances, actual} = this.#circumstances;
		const {leases, virtualAddresses, problems} = planVirtual(instances, actual);
		for (const [index, router] of leases) this.tables.leases.set(index, router);
		for (const [key, entry] of virtualAddresses) this.tables.virtualAddresses.set(key, entry);
		this.problems.push(...problems);
	}
}

function persistenceMask({address, persistence}: ConfService): Uint8Array {
	const of = family(address);
	return prefixMask(persistence?.granularity ?? addressBits(of), of);
}

/** How often each stands in a list. */
function counts(keys: readonly string[]): ReadonlyMap<string, number> {
	const found = new Map<string, number>();
	for (const key of keys) found.set(key, (found.get(key) ?? 0) + 1);
	return found;
}

function serviceFlags({scheduler, hashPort, hashFallback, backends}: ConfService): number {
	const isCounted = SCHEDULERS[scheduler].counts || backends.some(({upperThreshold}) => upperThreshold > 0);
	return (
		(hashPort ? ServiceFlag.SERVICE_HASH_PORT : 0) |
		(hashFallback ? ServiceFlag.SERVICE_HASH_FALLBACK : 0) |
		(isCounted ? ServiceFlag.SERVICE_COUNTED : 0)
	);
}

/** Of backends that are dealt nothing and have failed their checks or been removed. */
const FAILED_STATES: ReadonlySet<number> = new Set([BackendState.BACKEND_DOWN, BackendState.BACKEND_KEPT]);

function backendState(backend: ConfBackend, isUp: boolean, failed: BackendState): BackendState {
	if (backend.weight === 0) return BackendState.BACKEND_DRAIN;
	if (isUp) return BackendState.BACKEND_UP;
	return backend.inhibitOnFailure ? BackendState.BACKEND_DRAIN : failed;
}
