/** The data plane with the bench's job in its maps: the real object, the real plan, a flow table for the load. */
import {fileURLToPath} from 'node:url';
import type {BpfProgram} from 'libbpf-ts';
import type {Service as ConfService, Place} from '../conf/model.js';
import type {Clock} from '../host/host.js';
import type {Log} from '../log.js';
import {type Family, macBytes} from '../net/address.js';
import {desired} from '../plan/desired.js';
import {diff} from '../plan/diff.js';
import {assignSlots} from '../plan/nics.js';
import {DataPlane} from '../xdp/dataplane.js';
import {Verdict, verdictCounters} from '../xdp/layout.gen.js';
import type {SharingPlane} from '../xdp/sharing.js';
import {addressAndPort} from './frame.js';
import {SERVERS_NETWORK6} from './traffic.js';

const OBJECT_DIRECTORY = fileURLToPath(new URL('../..', import.meta.url));

export type VerdictName = keyof typeof Verdict;

/** An end of a wire. */
export interface Port {
	readonly name: string;
	readonly ifindex: number;
	readonly mac: string;
}

/** The balancer's NICs, and the client's at the other end of the external one's wire. */
export interface Wires {
	readonly client: Port;
	readonly external: Port;
	readonly internal?: Port;
}

export interface PlaneOptions {
	readonly clock: Clock;
	/** Of the services; default IPv4. */
	readonly family?: Family;
	/** How many the family's flow table is made for. */
	readonly connections: number;
	/** Default 1,024. */
	readonly persistentClients?: number;
}

/** The first client's address as a number: each flow has a client of its own from here on. */
export const FIRST_CLIENT = 0x0a_00_00_00;
export const SERVERS = 8;
/** Networks of servers: each service has its own. */
export const NETWORKS = 2;
export const serverAddress = (network: number, server: number): string => `172.16.${network}.${server + 1}`;

/** Two services with servers of their own; with the second, clients stay with their server. */
export const SERVICE = '198.51.100.1:80';
export const PERSISTENT_SERVICE = '198.51.100.2:80';
/** A service of IPv6, likewise with servers of its own. */
export const SERVICE6 = '[2001:db8::1]:80';
/** What is no service. */
export const FOREIGN = '198.51.100.3:80';

/** Its servers, in the order of the turn. */
export const SERVERS_OF_SERVICE: readonly string[] = serversOf(0);
export const SERVERS_OF_SERVICE6: readonly string[] = Array.from(
	{length: SERVERS},
	(_, server) => `[${SERVERS_NETWORK6}${server + 1}]:8080`,
);

const PLACE: Place = {file: 'bench', line: 1, column: 1};

/** The load at which the flow table is still said to be large enough; see flow_table.h. */
const FLOW_TABLE_LOAD = 0.4;
/** Of the flow table of the family that has no services. */
const SLOTS_OF_THE_IDLE = 1024;
/** Far more than the job has, and far less than a daemon's: making and clearing it is no part of a bench. */
const ROOM = {services: 255, backends: 4095};

const SILENT: Log = {
	debug() {},
	info() {},
	warn() {},
	error() {},
	child: () => SILENT,
};

export class Plane {
	/** The program under test. */
	readonly program: BpfProgram;
	readonly #plane: DataPlane;
	readonly #family: Family;
	readonly #wires: Wires;

	private constructor(wires: Wires, plane: DataPlane, family: Family) {
		this.program = plane.program;
		this.#plane = plane;
		this.#family = family;
		this.#wires = wires;
	}

	/** Loads a copy of the program that nobody else uses; the servers are at the client's side. */
	static async open(wires: Wires, options: PlaneOptions): Promise<Plane> {
		const {clock, family = 4, connections, persistentClients = 1024} = options;
		const slots = (of: Family): number => (of === family ? connections / FLOW_TABLE_LOAD : SLOTS_OF_THE_IDLE);
		const plane = await DataPlane.openPrivate({
			objectDirectory: OBJECT_DIRECTORY,
			sizes: {...ROOM, flows: slots(4), flows6: slots(6), persistenceEntries: persistentClients, fragments: 64},
			timeouts: {tcp: 900, tcpFin: 120, udp: 300},
			clock,
			log: SILENT,
		});
		const made = new Plane(wires, plane, family);
		made.serveThrough(wires.external, wires.client);
		return made;
	}

	/** Buckets of the flow table. */
	get buckets(): number {
		return this.#plane.maps.buckets(this.#family);
	}

	/** Bytes of the flow table. */
	get bytes(): number {
		return this.#plane.maps.flows[this.#family].size;
	}

	/** Has the servers reached out of a NIC, all of them at one neighbour: replans as the daemon does. */
	serveThrough(nic: Port, neighbour: Port): void {
		const {external, internal} = this.#wires;
		const ports = internal === undefined ? [external] : [external, internal];
		const identities = ports.map(({ifindex, mac}) => ({ifindex, mac: bytesOf(mac), mtu: 0}));
		const {tables: actual, capacity, settings} = this.#plane;
		const nics = assignSlots(identities, actual.nics, capacity.nics);
		const [slot] = [...nics].find(([, {ifindex}]) => ifindex === nic.ifindex) ?? [];
		if (slot === undefined) throw new Error(`no slot for ${nic.name}`);
		const {tables, problems} = desired(JOBS[this.#family], {
			actual,
			capacity,
			nics,
			routerRoles: new Map(),
			hz: settings.hz,
			instances: [],
			isUp: () => true,
			nextHop: () => ({mac: bytesOf(neighbour.mac), nic: slot, source: null, isOnLink: true}),
			liveFlows: () => 0,
		});
		if (problems.length > 0) throw new Error(problems.join('\n'));
		this.#plane.apply(diff(actual, tables));
	}

	/** Puts prefixes on the block list. */
	async block(added: readonly string[]): Promise<void> {
		await this.#plane.block({added, removed: []});
	}

	/** What lbd-sync works with; the program notes what peers should know from now on. It ends with the plane. */
	sharing(): SharingPlane {
		this.#plane.setSharing(true);
		return this.#plane.sharing();
	}

	/** Flows that live. */
	flows(): number {
		return [...this.#plane.countFlows().byState.values()].reduce((sum, count) => sum + count, 0);
	}

	/** How often a verdict has been reached. */
	count(verdict: VerdictName): number {
		const {size} = verdictCounters;
		const {verdicts} = this.#plane.maps;
		return Number(verdicts.sumU64(0, size, verdicts.size / size, size / 8)[Verdict[verdict]]);
	}

	/** Runs something and makes sure that it was what it claims to be: exactly so many packets met the verdict. */
	expect<T>(verdict: VerdictName, packets: number, run: () => T): T {
		const before = this.count(verdict);
		const result = run();
		const met = this.count(verdict) - before;
		if (met !== packets) throw new Error(`${met} of ${packets} packets met ${verdict}`);
		return result;
	}

	close(): void {
		this.#plane.close();
	}
}

/** What configurations of a few `virtual_server` blocks mean. */
const JOBS: {readonly [F in Family]: readonly ConfService[]} = {
	4: [service(SERVICE, serversOf(0)), service(PERSISTENT_SERVICE, serversOf(1))],
	6: [service(SERVICE6, SERVERS_OF_SERVICE6)],
};

function service(name: string, servers: readonly string[]): ConfService {
	return {
		place: PLACE,
		name,
		group: null,
		...addressAndPort(name),
		protocol: 'tcp',
		scheduler: 'rr',
		hashPort: false,
		hashFallback: false,
		persistence: name === PERSISTENT_SERVICE ? {timeoutS: 7200, granularity: 32} : null,
		policy: {failedBackend: 'drop', noBackend: 'reject'},
		limits: {perSource: null, perService: null},
		quorum: 1,
		hysteresis: 0,
		haSuspend: false,
		sorryServer: null,
		notify: null,
		backends: servers.map(server => ({
			place: PLACE,
			name: server,
			realServer: server,
			...addressAndPort(server),
			forwarding: {method: 'nat'},
			weight: 1,
			upperThreshold: 0,
			lowerThreshold: 0,
			inhibitOnFailure: false,
			alpha: false,
			checks: [],
			notify: null,
		})),
	};
}

function serversOf(network: number): string[] {
	return Array.from({length: SERVERS}, (_, server) => `${serverAddress(network, server)}:8080`);
}

function bytesOf(mac: string): Uint8Array {
	const bytes = macBytes(mac);
	if (bytes === undefined) throw new Error(`${mac} is no MAC address`);
	return bytes;
}
