/** The pinned maps as an operator wants to see them, with or without a daemon. */
import {BpfProgram, MapType} from 'libbpf-ts';
import {ExitCode, KernelError} from '../errors.js';
import {
	addressBytes,
	endpointName,
	type Family,
	formatAddress,
	formatMac,
	maskPrefix,
	parseAddress,
} from '../net/address.js';
import {isDrop, readTraffic, readVerdicts} from './counters.js';
import {countFlows, type Entry, type FlowCounts, flowStateName, liveFlows, visitEntries} from './flows.js';
import {
	type Backend,
	BackendState,
	FlowShift,
	maps as layouts,
	Method,
	Scheduler,
	type Service,
	type Settings,
} from './layout.gen.js';
import {maps as layouts6} from './layout6.gen.js';
import {leaseState} from './leases.js';
import {type KernelTime, openPinnedMaps, readClock} from './load.js';
import type {Maps} from './maps.js';
import {deleteEntry} from './persistence.js';
import {Pins} from './pins.js';
import {readTables, settingsOf} from './read.js';
import {addressIn, type BackendId, familyIn, familyOf, type ServiceId, type Tables} from './tables.js';
import type {
	BackendView,
	DropView,
	FlowFilter,
	FlowView,
	LeaseView,
	MapEntry,
	MapInfo,
	MapView,
	PersistenceView,
	ServiceView,
	Traffic,
} from './view.js';

export {unload} from './dataplane.js';

/** Names of interfaces by index, as the network namespace of the caller has them. */
export type InterfaceNames = ReadonlyMap<number, string>;

/**
 * Opens what the daemon called `name` has pinned. Throws KernelError when there is nothing, or nothing of this version.
 */
export async function openView(name: string, interfaces: InterfaceNames): Promise<MapView> {
	const pins = new Pins(name);
	if (!pins.exist()) {
		throw new KernelError('open maps', pins.directory, 'ENOENT', `no daemon named "${name}" has run on this machine`, {
			exitCode: ExitCode.failure,
		});
	}
	const maps = openPinnedMaps(pins);
	try {
		return new PinnedView(pins, maps, await readTables(maps), interfaces);
	} catch (error) {
		maps.close();
		throw error;
	}
}

class PinnedView implements MapView {
	readonly #pins: Pins;
	readonly #maps: Maps;
	readonly #settings: Settings;
	readonly #tables: Tables;
	readonly #interfaces: InterfaceNames;
	readonly #now: KernelTime;

	constructor(pins: Pins, maps: Maps, tables: Tables, interfaces: InterfaceNames) {
		this.#pins = pins;
		this.#maps = maps;
		this.#settings = settingsOf(maps);
		this.#tables = tables;
		this.#interfaces = interfaces;
		this.#now = timeNow(pins);
	}

	services(): ServiceView[] {
		const backends = this.#backendsByService();
		return [...this.#tables.services].map(([id, service]) => ({
			service: nameOf(service),
			scheduler: SCHEDULER_NAMES.get(service.scheduler) ?? String(service.scheduler),
			persistenceS: this.#seconds(service.persistenceJiffies),
			nextTicket: Number(this.#maps.ticket(id)),
			...this.#sum(backends.get(id) ?? []),
		}));
	}

	#backendsByService(): ReadonlyMap<ServiceId, readonly BackendId[]> {
		const found = new Map<ServiceId, BackendId[]>();
		for (const [id, {service}] of this.#tables.backends) {
			const backends = found.get(service) ?? [];
			backends.push(id);
			found.set(service, backends);
		}
		return found;
	}

	#sum(backends: readonly BackendId[]): Traffic {
		const sum = {connections: 0, packetsIn: 0, packetsOut: 0, bytesIn: 0, bytesOut: 0};
		for (const id of backends) {
			const traffic = this.#traffic(id);
			sum.connections += traffic.connections;
			sum.packetsIn += traffic.packetsIn;
			sum.packetsOut += traffic.packetsOut;
			sum.bytesIn += traffic.bytesIn;
			sum.bytesOut += traffic.bytesOut;
		}
		return sum;
	}

	#traffic(id: BackendId): Traffic {
		const {connections, packetsIn, packetsOut, bytesIn, bytesOut} = readTraffic(this.#maps.traffic, this.#settings, id);
		return {
			connections: Number(connections),
			packetsIn: Number(packetsIn),
			packetsOut: Number(packetsOut),
			bytesIn: Number(bytesIn),
			bytesOut: Number(bytesOut),
		};
	}

	backends(): BackendView[] {
		const flows: FlowCounts = countFlows(this.#maps.flows, this.#settings, this.#now.jiffies);
		return [...this.#tables.backends].map(([id, backend]) => ({
			service: this.#serviceName(backend.service),
			backend: nameOf(backend),
			state: STATE_WORDS[backend.state] ?? 'down',
			method: METHOD_NAMES.get(backend.method) ?? String(backend.method),
			weight: backend.weight,
			nextHop: this.#nextHop(backend.nextHop),
			liveFlows: flows.byBackend.get(id) ?? 0,
			...this.#traffic(id),
		}));
	}

	#nextHop(word: bigint): BackendView['nextHop'] {
		if (word === 0n) return null;
		const bytes = new Uint8Array(8);
		new DataView(bytes.buffer).setBigUint64(0, word, true);
		const slot = Number((word >> BigInt(FlowShift.NEXT_HOP_NIC_SHIFT)) & 0xffn);
		const ifindex = this.#tables.nics.get(slot)?.ifindex ?? 0;
		return {mac: formatMac(bytes.subarray(0, 6)), nic: this.#nicName(ifindex)};
	}

	async *flows(filter: FlowFilter): AsyncGenerator<FlowView> {
		for (const flow of liveFlows(this.#maps.flows, this.#settings, this.#now.jiffies)) {
			const view = {
				client: nameAt(flow.clientAddr, flow.clientPort, TCP),
				service: nameAt(flow.serviceAddr, flow.servicePort, flow.proto),
				backend: this.#backendName(flow.backend),
				state: flowStateName(flow.state),
				idleS: this.#seconds(flow.idleJiffies),
				expiresInS: this.#seconds(flow.leftJiffies),
			};
			if (matches(view, this.#ownerOf(flow.backend), filter)) yield view;
		}
	}

	async *persistence(): AsyncGenerator<PersistenceView> {
		const entries: Entry[] = [];
		visitEntries(this.#maps.persistence, this.#settings, this.#now.jiffies, (_, read) => entries.push(read()));
		for (const {client, service, backend, leftJiffies} of entries) {
			yield {
				client: this.#clientName(service, client),
				service: this.#serviceName(service),
				backend: this.#backendName(backend),
				expiresInS: this.#seconds(leftJiffies),
			};
		}
	}

	forgetClient(service: string, client: string): string | null {
		const [id, {family, persistenceMask}] = this.#serviceNamed(service);
		const address = parseAddress(client.replace(/\/.*/, ''));
		const bytes = address === undefined ? new Uint8Array() : addressBytes(address);
		const mask = addressIn({addr: persistenceMask, family});
		if (bytes.length !== mask.length) {
			const hint = `one of IPv${family}, as in the list of lbctl persistence`;
			throw new KernelError('delete persistence entry', client, 'no such client', hint, {exitCode: ExitCode.usage});
		}
		const network = bytes.map((byte, at) => byte & (mask[at] ?? 0));
		const changers = {4: this.#program('change_entry4'), 6: this.#program('change_entry6')};
		try {
			const name = {family: familyIn({family}), client: network, service: id};
			return deleteEntry(changers, name) ? this.#clientName(id, network) : null;
		} finally {
			for (const changer of Object.values(changers)) changer.close();
		}
	}

	#program(name: string): BpfProgram {
		return BpfProgram.openPinned(this.#pins.program(name));
	}

	#serviceNamed(name: string): [ServiceId, Service] {
		const found = [...this.#tables.services].find(([, service]) => nameOf(service) === name);
		if (found !== undefined) return found;
		const known = [...this.#tables.services.values()].map(nameOf).join(' ');
		throw new KernelError('look up service', name, 'ENOENT', `services are ${known}`, {exitCode: ExitCode.usage});
	}

	/** A client as persistence knows it: an address, or a network. */
	#clientName(service: ServiceId, client: Uint8Array): string {
		const prefix = this.#persistencePrefix(service);
		return prefix < client.length * 8 ? `${formatAddress(client)}/${prefix}` : formatAddress(client);
	}

	/** Bits of a client's address that count. */
	#persistencePrefix(id: ServiceId): number {
		const service = this.#tables.services.get(id);
		if (service === undefined) return Number.POSITIVE_INFINITY;
		const mask = addressIn({addr: service.persistenceMask, family: service.family});
		return maskPrefix(formatAddress(mask)) ?? Number.POSITIVE_INFINITY;
	}

	drops(): DropView[] {
		return [NO_SERVICE, ...this.#tables.services.keys()].flatMap(id => {
			const {verdicts} = readVerdicts(this.#maps.verdicts, this.#settings, id);
			return [...verdicts]
				.filter(([verdict]) => isDrop(verdict))
				.map(([verdict, packets]) => ({
					service: id === NO_SERVICE ? null : this.#serviceName(id),
					verdict,
					packets: Number(packets),
				}));
		});
	}

	#nicName(ifindex: number): string {
		return this.#interfaces.get(ifindex) ?? `#${ifindex}`;
	}

	leases(): LeaseView[] {
		const {ns: nowNs} = this.#now;
		const since = (ns: bigint): number | null => (ns === 0n ? null : Math.max(0, Number(nowNs - ns) / 1e9));
		return [...this.#tables.leases].flatMap(([index, {ifindex, family, vrid}]) => {
			const lease = this.#maps.leases.get(index);
			if (lease === undefined) return [];
			return {
				interface: this.#nicName(ifindex),
				family: familyIn({family}),
				vrid,
				state: leaseState(lease, nowNs),
				sentS: since(lease.sentNs),
				heardS: since(lease.heardNs),
			};
		});
	}

	maps(): MapInfo[] {
		const {services, backends, endpoints, turns, nics, routerRoles, serviceKeys} = this.#tables;
		const keysOf = (family: Family) =>
			[...serviceKeys.values()].filter(({key}) => familyOf(key.addr) === family).length;
		const entries = new Map<string, number>([
			['services', services.size],
			['services_by_key', keysOf(4)],
			['services_by_key6', keysOf(6)],
			['backends', backends.size],
			['endpoints', [...endpoints[4].values()].flat().length],
			['endpoints6', [...endpoints[6].values()].flat().length],
			['turns', [...turns.values()].reduce((sum, {length}) => sum + length, 0)],
			['nic_ports', nics.size],
			['router_roles', routerRoles.size],
		]);
		return [...this.#maps.all()].map(([name, map]) => ({
			map: name,
			type: MAP_TYPE_NAMES.get(map.type) ?? String(map.type),
			keyBytes: map.keySize,
			valueBytes: map.valueSize,
			maxEntries: map.maxEntries,
			entries: entries.get(name) ?? null,
			pin: this.#pins.map(name),
		}));
	}

	async *dump(map: string): AsyncGenerator<MapEntry> {
		const layout = [...Object.values(layouts), ...Object.values(layouts6)].find(({name}) => name === map);
		const raw = this.#maps.all().get(map);
		if (layout === undefined || raw === undefined) {
			throw new KernelError('dump', map, 'ENOENT', `maps are ${[...this.#maps.all().keys()].join(' ')}`, {
				exitCode: ExitCode.usage,
			});
		}
		const {keys, values, count} = await raw.dump();
		for (let index = 0; index < count; index++) {
			const value = slice(values, index, layout.value.size);
			if (raw.type === MapType.array && value.every(byte => byte === 0)) continue;
			yield {key: decode(layout.key, slice(keys, index, layout.key.size)), value: decode(layout.value, value)};
		}
	}

	close(): void {
		this.#maps.close();
	}

	#serviceName(id: ServiceId): string {
		const service: Service | undefined = this.#tables.services.get(id);
		return service === undefined ? `service ${id}` : nameOf(service);
	}

	#backendName(id: BackendId): string {
		const backend = this.#tables.backends.get(id);
		return backend === undefined ? `backend ${id}` : nameOf(backend);
	}

	/** The service that a flow belongs to by its backend: one of all ports is not that of the port in the flow. */
	#ownerOf(id: BackendId): string | undefined {
		const backend = this.#tables.backends.get(id);
		return backend === undefined ? undefined : this.#serviceName(backend.service);
	}

	#seconds(jiffies: bigint | number): number {
		return Number(jiffies) / this.#settings.hz;
	}
}

const TCP = 6;
const NO_SERVICE = 0;
const PROTOCOL_NAMES = new Map([
	[6, 'tcp'],
	[17, 'udp'],
	[132, 'sctp'],
]);
const SCHEDULER_NAMES = new Map<number, string>(
	Object.entries(Scheduler).map(([name, number]) => [number, name.slice('SCHED_'.length).toLowerCase()]),
);
/** `METHOD_IPIP` is `ipip`. */
const METHOD_NAMES = new Map<number, string>(
	Object.entries(Method).map(([name, number]) => [number, name.slice('METHOD_'.length).toLowerCase()]),
);
const STATE_WORDS: Readonly<Record<number, BackendView['state']>> = {
	[BackendState.BACKEND_UP]: 'up',
	[BackendState.BACKEND_DRAIN]: 'drain',
	[BackendState.BACKEND_DOWN]: 'down',
	[BackendState.BACKEND_KEPT]: 'kept',
};
const MAP_TYPE_NAMES = new Map<number, string>(Object.entries(MapType).map(([name, type]) => [type, name]));

function timeNow(pins: Pins): KernelTime {
	const reader = BpfProgram.openPinned(pins.program('read_clock'));
	try {
		return readClock(reader);
	} finally {
		reader.close();
	}
}

/** What a service or backend is called. */
export function nameOf(entry: Service | Backend): string {
	return nameAt(addressIn(entry), entry.port, entry.proto);
}

function nameAt(addr: Uint8Array, port: number, proto: number): string {
	return endpointName(formatAddress(addr), port, PROTOCOL_NAMES.get(proto) ?? String(proto));
}

/** A client matches with or without its port, a service as the client sees it or as `owner`, the configured one. */
function matches(view: FlowView, owner: string | undefined, {client, service, backend, state}: FlowFilter): boolean {
	return (
		(client === undefined || view.client === client || isOfAddress(view.client, client)) &&
		(service === undefined || view.service === service || owner === service) &&
		(backend === undefined || view.backend === backend) &&
		(state === undefined || view.state === state)
	);
}

/** Whether an address is the one of an endpoint's name; `2001:db8::1` is that of `[2001:db8::1]:80`. */
function isOfAddress(name: string, address: string): boolean {
	const canonical = parseAddress(address);
	return canonical !== undefined && name.startsWith(endpointName(canonical, 0, 'tcp').slice(0, -1));
}

function slice(bytes: Uint8Array, index: number, size: number): Uint8Array {
	return bytes.subarray(index * size, (index + 1) * size);
}

function decode(codec: {decode(view: DataView): unknown}, bytes: Uint8Array): unknown {
	return codec.decode(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
}
