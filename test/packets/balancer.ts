/**
 * The data plane with a small job in its maps, to send frames through: the real object, the real plan, the kernel's
 * BPF_PROG_TEST_RUN. Two NICs exist in a network namespace of the test's own (`make test-root`).
 */
import {execFileSync} from 'node:child_process';
import {writeFileSync} from 'node:fs';
import test, {type ExecutionContext} from 'ava';
import {BpfMap, type Codec, type MapLayout, MapType, type RawMap} from 'libbpf-ts';
import type {
	Backend as ConfBackend,
	Service as ConfService,
	Forwarding,
	Place,
	Policy,
	Rate,
	Scheduler,
} from '../../src/conf/model.js';
import {
	addressBits,
	addressBytes,
	FAMILIES,
	type Family,
	family,
	formatAddress,
	formatMac,
} from '../../src/net/address.js';
import {desired} from '../../src/plan/desired.js';
import {rolesBehind} from '../../src/plan/nics.js';
import type {VirtualInstance} from '../../src/plan/virtual.js';
import {takeCensus} from '../../src/xdp/census.js';
import {type Entry, visitEntries} from '../../src/xdp/flows.js';
import {
	type Backend,
	type BackendState,
	type Event,
	type FlowSlot,
	flowBucket,
	type Lease,
	Limits,
	maps as layouts,
	type Nic,
	RouterRole,
	type Service,
	SettingFlag,
	type Settings,
	Verdict,
} from '../../src/xdp/layout.gen.js';
import {flowBucket6} from '../../src/xdp/layout6.gen.js';
import {Objects} from '../../src/xdp/load.js';
import {Maps} from '../../src/xdp/maps.js';
import type {EntryChangers} from '../../src/xdp/persistence.js';
import {settingsOf} from '../../src/xdp/read.js';
import {SharingPlane} from '../../src/xdp/sharing.js';
import {addressIn, emptyTables, familyOf, type Tables, virtualVerdicts} from '../../src/xdp/tables.js';
import {flowTimeouts, tickShifts} from '../../src/xdp/time.js';
import {endpointBucket, filterOf} from '../../src/xdp/write.js';
import {endpoint, mac} from './frame.js';

export const OBJECT_DIRECTORY = 'build';
export const XDP = {aborted: 0, drop: 1, pass: 2, tx: 3, redirect: 4} as const;

/** Flow ages are set by hand in tests, so any rate will do. */
export const HZ = 250;
export const FLOW_BUCKETS = 4096;
/** Less than a daemon has, so that clearing it takes less time. */
const ROOM = {services: 255, backends: 4095};
const FLOW_SLOTS = 4 * FLOW_BUCKETS;
/** Large arrays that are read as far as other maps say. */
const REACHED_BY_OTHERS: ReadonlySet<string> = new Set(['turns', 'shared_flows', 'shared_flows6']);
const PLACE: Place = {file: 'test', line: 1, column: 1};

export type Side = 'external' | 'internal';
export type Transport = 'tcp' | 'udp';
export type VerdictName = keyof typeof Verdict;

export const VERDICTS = (Object.keys(Verdict) as VerdictName[]).filter(
	name => name !== 'V_UNDECIDED' && name !== 'V_COUNT',
);

export interface JobService {
	/** `192.168.1.1:80` or `[2001:db8::1]:80` */
	readonly at: string;
	/** TCP unless told. */
	readonly protocol?: Transport;
	readonly backends: readonly string[];
	readonly persistenceS?: number;
	/** Prefix length under which clients count as one. */
	readonly granularity?: number;
	/** `rr` if not said. */
	readonly scheduler?: Scheduler;
	/** Of the backends, in their order; 1 for those that it does not reach. */
	readonly weights?: readonly number[];
	/** Upper and lower thresholds of the backends, in their order. */
	readonly thresholds?: ReadonlyArray<readonly [upper: number, lower: number]>;
	readonly hashPort?: boolean;
	readonly hashFallback?: boolean;
	/** NAT unless told. */
	readonly forwarding?: Forwarding;
	/** New connections; without limit unless told. */
	readonly perSource?: Rate;
	readonly perService?: Rate;
	/** Drops unless told, so that refusals have the name of their reason. */
	readonly policy?: Partial<Policy>;
}

/** A VRRP instance. */
export interface JobInstance {
	readonly side: Side;
	readonly vrid: number;
	/** All of one family. */
	readonly addresses: readonly string[];
	readonly closed?: boolean;
}

export interface BalancerOptions {
	readonly persistenceEntries?: number;
	readonly virtual?: readonly JobInstance[];
}

/** What is the same in all tests: who has which MAC address. */
export const CLIENT_MAC = '02:00:00:00:00:99';
/** MAC address of a backend by the last byte of its address. */
export function backendMac(address: string): string {
	return formatMac(Uint8Array.of(2, 0, 0, 0, 1, addressBytes(address).at(-1) ?? 0));
}
/** Where tunnels begin. */
export const TUNNEL_SOURCE = {4: '10.0.0.10', 6: 'fd00::10'} as const;
/** Of both NICs. */
export const MTU = 1500;

export interface Outcome {
	readonly verdict: VerdictName;
	/** The XDP action. */
	readonly action: number;
	readonly frame: Uint8Array;
}

interface Port {
	readonly ifindex: number;
	readonly mac: string;
}

export class Balancer {
	readonly maps: Maps;
	tables: Tables;
	readonly ports: Readonly<Record<Side, Port>>;
	#virtual: readonly JobInstance[] = [];
	readonly #objects: Objects;

	constructor(persistenceEntries: number) {
		this.ports = ports();
		const sizes = {...ROOM, flows: FLOW_SLOTS, flows6: FLOW_SLOTS, persistenceEntries, fragments: 1024};
		this.#objects = Objects.load(OBJECT_DIRECTORY, sizes);
		this.maps = new Maps(name => this.#objects.map(name));
		this.#objects.connect(this.maps);
		this.tables = this.#plan([]);
	}

	/** Writes a job's tables, into maps that are empty. */
	begin(job: readonly JobService[], virtual: readonly JobInstance[]): void {
		this.#virtual = virtual;
		this.tables = this.#plan(job);
		this.#write();
	}

	/** Empties the maps: as good as a new balancer, without another verification. */
	forget(): void {
		for (const [name, map] of this.maps.all())
			if (map.type !== MapType.programArray && !REACHED_BY_OTHERS.has(name)) clear(map);
	}

	/** One frame through the program. Exactly one verdict must have been counted, whatever came in. */
	send(frame: Uint8Array, side: Side = 'external'): Outcome {
		const before = this.counters();
		const {retval, data} = this.run('lb', frame, side);
		const after = this.counters();
		const counted = Object.entries(Verdict).filter(([, index]) => after[index] !== before[index]);
		const [name, index] = counted[0] ?? ['', 0];
		if (counted.length !== 1 || (after[index] ?? 0n) - (before[index] ?? 0n) !== 1n)
			throw new Error(`${counted.length} verdicts counted: ${counted.map(([verdict]) => verdict).join(' ')}`);
		return {verdict: name as VerdictName, action: retval, frame: data.slice()};
	}

	/** A program on a frame, `repeat` times. */
	run(
		program: string,
		data: Uint8Array,
		side: Side,
		repeat = 1,
	): {retval: number; data: Uint8Array; durationNs: number} {
		return this.#objects.program(program).testRun({data, ifindex: this.ports[side].ifindex, repeat});
	}

	/** Counts connections, as the daemon does every second. */
	takeCensus(): void {
		const settings = this.maps.settings.get(0);
		if (settings === undefined) throw new Error('no settings');
		takeCensus(this.maps, this.tables, settings, this.jiffies());
	}

	jiffies(): bigint {
		const {data} = this.run('read_clock', new Uint8Array(64), 'external');
		return new DataView(data.buffer, data.byteOffset, data.byteLength).getBigUint64(0, true);
	}

	/** What lbd-sync works with; it ends with the balancer. */
	sharing(): SharingPlane {
		const programs = (name: string) => ({4: this.#objects.program(name, 4), 6: this.#objects.program(name, 6)});
		return new SharingPlane(this.maps, {
			takeFlows: programs('take_flows'),
			takeClients: programs('take_clients'),
			clock: this.#objects.program('read_clock'),
		});
	}

	/** Live persistence entries. */
	entries(): Entry[] {
		const settings = this.maps.settings.get(0);
		if (settings === undefined) throw new Error('no settings');
		const entries: Entry[] = [];
		visitEntries(this.maps.persistence, settings, this.jiffies(), (_, read) => entries.push(read()));
		return entries;
	}

	get entryChangers(): EntryChangers {
		return {4: this.#objects.program('change_entry', 4), 6: this.#objects.program('change_entry', 6)};
	}

	/** Pins a program at a path of a bpffs. */
	pin(program: string, path: string): void {
		this.#objects.program(program).pin(path);
	}

	/** How often an event was counted, of all services and CPUs. */
	events(event: Event): bigint {
		const {buffer, byteOffset, byteLength} = this.counters();
		return layouts.verdicts.value.decode(new DataView(buffer, byteOffset, byteLength)).events[event] ?? 0n;
	}

	/** Packets by verdict, then events, of all services; on all CPUs or one. */
	counters(cpu?: number): BigUint64Array {
		const {size} = layouts.verdicts.value;
		const {maxEntries} = this.maps.services.raw;
		if (cpu === undefined) return this.maps.verdicts.sumU64(0, size, this.maps.verdicts.size / size, size / 8);
		return this.maps.verdicts.sumU64(cpu * maxEntries * size, size, maxEntries, size / 8);
	}

	setBackend(address: string, change: Partial<Backend>): void {
		for (const [id, entry] of this.tables.backends) {
			if (formatAddress(addressIn(entry)) !== address) continue;
			this.tables.backends.set(id, {...entry, ...change});
			this.maps.backends.set(id, {...entry, ...change});
		}
	}

	/** Changes all services. */
	setServices(change: Partial<Service>): void {
		for (const [id, entry] of this.tables.services) this.maps.services.set(id, {...entry, ...change});
	}

	setNic(slot: number, nic: Nic): void {
		this.changeSettings(({nics}) => ({nics: nics.with(slot, nic)}));
	}

	setMtu(side: Side, mtu: number): void {
		const port = this.ports[side];
		this.setNic(port.ifindex, {...nicOf(port), mtu});
	}

	/** What this machine is in the virtual router of a MAC address, behind the external NIC. */
	setRole(router: string, role: RouterRole): void {
		const {ifindex} = this.ports.external;
		const routers = [{nic: ifindex, mac: mac(router), isMaster: role === RouterRole.ROUTER_MASTER}];
		for (const [slot, roles] of rolesBehind(this.tables.nics, routers)) this.maps.routerRoles.set(slot, roles);
	}

	/** Each CPU may still answer so often, and has not for some seconds. A second gets as many jiffies as can be: hours. */
	limitAnswers(count: number, idleS = 0): void {
		const settings = this.maps.settings.get(0);
		const answers = this.maps.all().get('answers');
		if (settings === undefined || answers === undefined) throw new Error('no settings or no answers');
		const hz = 0xffff_ffff;
		this.maps.settings.set(0, {...settings, hz});
		const refilled = this.jiffies() - BigInt(Math.ceil(idleS * hz));
		const left = {verdict: 0, service: 0, mtu: 0, credit: BigInt(count) * BigInt(hz), refilled};
		const typed = BpfMap.of(answers, layouts.answers);
		for (let cpu = 0; cpu < answers.maxEntries; cpu++) typed.set(cpu, left);
	}

	/** What was sent and heard for the virtual router of that index; nothing unless told. */
	setLease(index: number, words: Partial<Omit<Lease, 'router'>>): void {
		const router = this.tables.leases.get(index);
		if (router === undefined) throw new Error(`no router ${index}`);
		this.maps.leases.set(index, {router, sentNs: 0n, sentUntilNs: 0n, heardNs: 0n, heardUntilNs: 0n, ...words});
	}

	setState(address: string, state: BackendState): void {
		this.setBackend(address, {state});
	}

	/** A map that the daemon has no use for. */
	map<K, V>(layout: MapLayout<K, V>): BpfMap<K, V> {
		return BpfMap.of(this.#objects.map(layout.name), layout);
	}

	/** Puts a prefix on the block list. */
	block(prefix: string): void {
		const [address = '', length] = prefix.split('/');
		this.maps.blocked[family(address)].set({length: Number(length), addr: addressBytes(address)}, 1);
		this.changeSettings(({flags, coarseShift}) => ({
			flags: flags | (family(address) === 4 ? SettingFlag.SETTING_BLOCKS : SettingFlag.SETTING_BLOCKS6),
			blocksChanged: Number(BigInt.asUintN(32, this.jiffies() >> BigInt(coarseShift))),
		}));
	}

	/** Takes it off again; the program goes on looking. */
	unblock(prefix: string): void {
		const [address = '', length] = prefix.split('/');
		this.maps.blocked[family(address)].delete({length: Number(length), addr: addressBytes(address)});
	}

	changeSettings(change: (settings: Settings) => Partial<Settings>): void {
		const settings = this.maps.settings.get(0);
		if (settings === undefined) throw new Error('no settings');
		this.maps.settings.set(0, {...settings, ...change(settings)});
	}

	/** Rewrites every slot of a flow table that is in use. */
	changeFlows(change: (slot: FlowSlot, bucket: number) => FlowSlot, of: Family = 4): void {
		const {map: flows, bucket: flowBucket} = this.#flowTable(of);
		const key = new Uint8Array(4);
		for (let index = 0; index < FLOW_BUCKETS; index++) {
			new DataView(key.buffer).setUint32(0, index, true);
			const bytes = flows.lookup(key);
			if (bytes === undefined || bytes.every(byte => byte === 0)) continue;
			const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
			const bucket = flowBucket.decode(view);
			flowBucket.encode(
				{slots: bucket.slots.map(slot => (slot.addrs.every(word => word === 0n) ? slot : change(slot, index)))},
				view,
			);
			flows.update(key, bytes);
		}
	}

	/** Puts the same slots into every bucket of a flow table. */
	fillFlows(slots: readonly FlowSlot[], of: Family = 4): void {
		const {map: flows, bucket: flowBucket} = this.#flowTable(of);
		const key = new Uint8Array(4);
		const bytes = new Uint8Array(flowBucket.size);
		flowBucket.encode({slots}, new DataView(bytes.buffer));
		for (let index = 0; index < FLOW_BUCKETS; index++) {
			new DataView(key.buffer).setUint32(0, index, true);
			flows.update(key, bytes);
		}
	}

	/** All slots of a flow table that are in use. */
	flows(of: Family = 4): FlowSlot[] {
		const slots: FlowSlot[] = [];
		this.changeFlows(slot => {
			slots.push(slot);
			return slot;
		}, of);
		return slots;
	}

	close(): void {
		this.maps.close();
		this.#objects.close();
	}

	/** The map, and how its buckets are read. */
	#flowTable(of: Family): {readonly map: RawMap; readonly bucket: Codec<{readonly slots: readonly FlowSlot[]}>} {
		return of === 4
			? {map: this.#objects.map('flows'), bucket: flowBucket}
			: {map: this.#objects.map('flows6'), bucket: flowBucket6};
	}

	#plan(job: readonly JobService[]): Tables {
		const {tables, problems} = desired(job.map(confService), {
			actual: emptyTables(),
			capacity: {
				services: this.maps.services.raw.maxEntries,
				backends: this.maps.backends.raw.maxEntries,
				turns: this.maps.turns.raw.maxEntries,
			},
			nics: new Map(Object.values(this.ports).map(port => [port.ifindex, nicOf(port)])),
			routerRoles: new Map(),
			hz: HZ,
			instances: this.#virtual.map((instance, index) => this.#onPorts(instance, `instance ${index}`)),
			isUp: () => true,
			nextHop: address => ({
				mac: mac(backendMac(address)),
				nic: this.ports.internal.ifindex,
				source: TUNNEL_SOURCE[family(address)],
				isOnLink: true,
			}),
			liveFlows: () => 0,
		});
		if (problems.length > 0) throw new Error(problems.join('\n'));
		return tables;
	}

	#onPorts({side, vrid, addresses, closed = false}: JobInstance, name: string): VirtualInstance {
		const {ifindex} = this.ports[side];
		const [first = ''] = addresses;
		return {
			name,
			router: {ifindex, family: family(first), vrid},
			addresses: addresses.map(address => ({address, ifindex})),
			closed,
		};
	}

	#write(): void {
		const {maps, tables} = this;
		const shifts = tickShifts(HZ);
		maps.settings.set(0, {
			layoutVersion: Limits.LIMIT_LAYOUT_VERSION,
			flowBucketMask: FLOW_BUCKETS - 1,
			flow6BucketMask: FLOW_BUCKETS - 1,
			persistenceBucketMask: maps.persistenceBuckets - 1,
			services: maps.services.raw.maxEntries,
			backends: maps.backends.raw.maxEntries,
			fineShift: shifts.fine,
			coarseShift: shifts.coarse,
			hz: HZ,
			routeGeneration: 1,
			flags: [...tables.services.values()].some(({port}) => port === 0) ? SettingFlag.SETTING_ALL_PORTS : 0,
			virtualVerdicts: virtualVerdicts(tables),
			sharedPerCpu: maps.sharedPerCpu,
			blocksChanged: 0,
			timeouts: flowTimeouts({tcp: 900, tcpFin: 120, udp: 300}, HZ),
			filter: filterOf(tables.filter),
			nics: settingsOf(maps).nics.map((unused, slot) => tables.nics.get(slot) ?? unused),
		});
		for (const [index, value] of tables.backends) maps.backends.set(index, value);
		for (const [offset, turns] of tables.turns) maps.turns.setMany(turns.map((backend, n) => [offset + n, backend]));
		for (const [index, value] of tables.services) maps.services.set(index, value);
		for (const {key, id} of tables.serviceKeys.values()) maps.servicesByKey[familyOf(key.addr)].set(key, id);
		for (const family of FAMILIES) {
			for (const [index, endpoints] of tables.endpoints[family]) {
				maps.endpoints[family].set(index, endpointBucket(family, endpoints));
			}
		}
		for (const [index, value] of tables.nics) maps.nicPorts.set(index, value.ifindex);
		for (const [index, router] of tables.leases) {
			this.setLease(index, {});
			maps.leaseOfRouter.set(router, index);
		}
		for (const {key, value} of tables.virtualAddresses.values()) maps.virtualAddresses.set(key, value);
	}
}

/** Deletes what a map holds; an array's elements become zeroes. */
function clear(map: RawMap): void {
	if (map.type === MapType.array) {
		const indices = Uint32Array.from({length: map.maxEntries}, (_, index) => index);
		map.updateBatch(new Uint8Array(indices.buffer), new Uint8Array(map.valueSize * map.maxEntries), map.maxEntries);
		return;
	}
	for (let key = map.nextKey(); key !== undefined; key = map.nextKey(key)) map.delete(key);
}

/** Looked for once: it takes a process to know. */
let missing: {readonly privilege: string | null} | undefined;

/** Registers a test of the data plane, which needs root and a network namespace that may be littered. */
export function packetTest(title: string, body: (t: ExecutionContext) => void | Promise<void>): void {
	missing ??= {privilege: missingPrivilege()};
	const {privilege} = missing;
	if (privilege !== null) test.skip(`${title} [skipped: ${privilege}]`, body);
	else test.serial(title, body);
}

/** Of ended tests of the file, by their room for persistence entries. */
const idle = new Map<number, Balancer[]>();
test.after.always(() => {
	for (const one of [...idle.values()].flat()) one.close();
});

/** A balancer for the test, which forgets all that others have done with it: verifying the program takes a second. */
export function balancer(t: ExecutionContext, job: readonly JobService[], options: BalancerOptions = {}): Balancer {
	const {persistenceEntries = 1024, virtual = []} = options;
	const used = idle.get(persistenceEntries) ?? [];
	idle.set(persistenceEntries, used);
	const found = used.pop();
	found?.forget();
	const made = found ?? new Balancer(persistenceEntries);
	t.teardown(() => used.push(made));
	made.begin(job, virtual);
	return made;
}

function missingPrivilege(): string | null {
	if (process.getuid?.() !== 0) return 'needs root, to load BPF';
	const strangers = links().filter(({ifname}) => ifname !== 'lo' && !OWN_LINK.test(ifname));
	return strangers.length === 0 ? null : 'needs a network namespace of its own: unshare --net npx ava …';
}

interface Link {
	readonly ifname: string;
	readonly ifindex: number;
	readonly address: string;
}

function links(): Link[] {
	return JSON.parse(execFileSync('ip', ['-j', 'link'], {encoding: 'utf8'}));
}

/** External and internal NICs of test processes, and their peers. */
const OWN_LINK = /^(?:ext|int)\d+p?$/;

let made: Readonly<Record<Side, Port>> | undefined;

/** Two veth NICs of this process; they end with the namespace. */
function ports(): Readonly<Record<Side, Port>> {
	made ??= {external: port(`ext${process.pid}`), internal: port(`int${process.pid}`)};
	return made;
}

function nicOf({ifindex, mac: text}: Port): Nic {
	return {ifindex, mac: mac(text), mtu: 1500};
}

function port(name: string): Port {
	execFileSync('ip', ['link', 'add', name, 'type', 'veth', 'peer', 'name', `${name}p`]);
	execFileSync('ip', ['link', 'set', name, 'up']);
	execFileSync('ip', ['link', 'set', `${name}p`, 'up']);
	const link = links().find(({ifname}) => ifname === name);
	if (link === undefined) throw new Error(`${name} was not created`);
	return {ifindex: link.ifindex, mac: link.address};
}

/** Lets the kernel route between NICs of the namespace, which its route lookups insist on. */
export function enableForwarding(): void {
	writeFileSync('/proc/sys/net/ipv4/ip_forward', '1');
	writeFileSync('/proc/sys/net/ipv6/conf/all/forwarding', '1');
}

export function nextHopMac(word: bigint): string {
	return formatMac(Uint8Array.from({length: 6}, (_, index) => Number((word >> BigInt(8 * index)) & 255n)));
}

function confService(job: JobService): ConfService {
	const {at, protocol = 'tcp', persistenceS, granularity} = job;
	const {scheduler = 'rr', hashPort = false, hashFallback = false} = job;
	const [address, portNumber] = endpoint(at);
	return {
		place: PLACE,
		name: at,
		group: null,
		address,
		port: portNumber,
		protocol,
		scheduler,
		hashPort,
		hashFallback,
		persistence:
			persistenceS === undefined
				? null
				: {timeoutS: persistenceS, granularity: granularity ?? addressBits(family(address))},
		policy: {failedBackend: 'drop', noBackend: 'drop', ...job.policy},
		limits: {perSource: job.perSource ?? null, perService: job.perService ?? null},
		quorum: 1,
		hysteresis: 0,
		haSuspend: false,
		sorryServer: null,
		notify: null,
		backends: job.backends.map((name, index) =>
			confBackend(name, job.weights?.[index] ?? 1, job.thresholds?.[index] ?? [0, 0], job.forwarding),
		),
	};
}

function confBackend(
	name: string,
	weight: number,
	[upperThreshold, lowerThreshold]: readonly [number, number],
	forwarding: Forwarding = {method: 'nat'},
): ConfBackend {
	const [address, portNumber] = endpoint(name);
	return {
		place: PLACE,
		name,
		realServer: name,
		address,
		port: portNumber,
		forwarding,
		weight,
		inhibitOnFailure: false,
		upperThreshold,
		lowerThreshold,
		alpha: false,
		checks: [],
		notify: null,
	};
}
