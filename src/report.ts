/** What the daemon tells about itself: for lbctl (control/protocol.ts) and for Prometheus (metrics/snapshot.ts). */
import {type BackendHealth, type CheckHealth, type CheckRunner, healthKey} from './check/runner.js';
import type {Backend, Config, Service} from './conf/model.js';
import type {
	BackendHealthReport,
	CheckReport,
	HealthReport,
	InstanceReport,
	NicStatus,
	ReloadReport,
	SharingReport,
	Status,
	VrrpReport,
} from './control/protocol.js';
import type {Cancel, Clock, Link} from './host/host.js';
import type {Log} from './log.js';
import type {
	BackendSample,
	CheckSample,
	InstanceSample,
	ServiceSample,
	Snapshot,
	TrackerSample,
} from './metrics/snapshot.js';
import {Ids} from './plan/ids.js';
import type {SharingChild} from './sync/child.js';
import {VERSION} from './version.js';
import {isIdle, type VrrpChild} from './vrrp/child.js';
import type {InstanceStatus, VrrpStatus} from './vrrp/protocol.js';
import type {TrackStatus} from './vrrp/tracking.js';
import {readTraffic, readVerdicts} from './xdp/counters.js';
import type {DataPlane} from './xdp/dataplane.js';
import {type FlowCounts, flowStateName} from './xdp/flows.js';
import {SWEEP_S} from './xdp/persistence.js';

const SWEEP_US = SWEEP_S * 1_000_000;
/** Packets that belong to no service are counted under this id. */
const NO_SERVICE = 0;

export interface ReporterSeams {
	readonly name: string;
	readonly clock: Clock;
	readonly log: Log;
	readonly dataPlane: DataPlane;
	readonly checks: CheckRunner;
	readonly vrrp: VrrpChild;
	readonly sharing: SharingChild;
	/** The NICs that carry the program. */
	interfaces(): readonly Link[];
	/** How notifications ended, by channel and outcome. */
	notifications(): Snapshot['notifications'];
	/** What somebody else has changed in maps, links and pins. */
	drift(): Snapshot['drift'];
}

export class Reporter {
	readonly #seams: ReporterSeams;
	readonly #startedUs: number;
	#config: Config | null = null;
	#loadedAt = '';
	#lastReload: ReloadReport | null = null;
	#reloads = {applied: 0, refused: 0};
	#persistenceEntries = 0;

	constructor(seams: ReporterSeams) {
		this.#seams = seams;
		this.#startedUs = seams.clock.nowUs();
	}

	/** A configuration is in force. */
	configured(config: Config): void {
		this.#config = config;
		this.#loadedAt = this.#seams.clock.wall().toISOString();
	}

	reloaded(report: ReloadReport): void {
		this.#lastReload = report;
		this.#reloads[report.applied ? 'applied' : 'refused']++;
	}

	/** Sweeps the persistence entries from time to time, which also counts them. */
	keepSweeping(): Cancel {
		const {clock, dataPlane, log} = this.#seams;
		let cancel: Cancel = () => {};
		const sweep = (): void => {
			try {
				this.#persistenceEntries = dataPlane.sweepPersistence();
			} catch (error) {
				log.error({error}, 'persistence entries could not be looked through');
			}
			cancel = clock.after(SWEEP_US, 'sweep persistence', sweep);
		};
		sweep();
		return () => cancel();
	}

	async status(): Promise<Status> {
		const {name, clock} = this.#seams;
		return {
			name,
			version: VERSION,
			pid: process.pid,
			uptimeS: Math.floor((clock.nowUs() - this.#startedUs) / 1e6),
			file: this.#config?.file ?? '',
			loadedAt: this.#loadedAt,
			nics: this.#nics(),
			health: this.health(),
			vrrp: await this.vrrp(),
			sharing: this.#sharing(),
			notSharing: this.#config?.notSharing ?? null,
			lastReload: this.#lastReload,
		};
	}

	#nics(): NicStatus[] {
		const modes = this.#seams.dataPlane.attached();
		return this.#seams.interfaces().flatMap(({name, ifindex}) => {
			const mode = modes.get(ifindex);
			return mode === undefined ? [] : [{name, mode}];
		});
	}

	#sharing(): SharingReport | null {
		const status = this.#seams.sharing.status();
		const config = this.#config?.sharing ?? null;
		return status === null || config === null
			? null
			: {...status, interface: config.interface, keyFrom: config.keyFrom};
	}

	health(): HealthReport {
		const {checks} = this.#seams;
		const health = checks.health();
		return {
			services: this.#services().map(service => ({
				service: service.name,
				scheduler: service.scheduler,
				forwarding: [...new Set(service.backends.map(({forwarding}) => forwarding.method))].join(' '),
				persistenceS: service.persistence?.timeoutS ?? null,
				quorumUp: checks.hasQuorum(service),
				backends: service.backends.flatMap(backend => {
					const state = health.get(healthKey(service, backend));
					return state === undefined ? [] : [this.#backendHealth(backend, state)];
				}),
			})),
		};
	}

	#services(): readonly Service[] {
		return this.#config?.services ?? [];
	}

	#backendHealth(backend: Backend, {up, weight, reason, sinceUs, checks}: BackendHealth): BackendHealthReport {
		return {
			backend: backend.name,
			up,
			weight,
			reason,
			sinceS: this.#secondsSince(sinceUs),
			checks: checks.map(check => this.#checkReport(check)),
		};
	}

	#checkReport({kind, state, lastResult, lastAtUs, lastDurationUs, failures}: CheckHealth): CheckReport {
		return {
			kind,
			state,
			lastResult: lastResult === null ? null : lastResult.ok ? 'passed' : `${lastResult.reason} (${lastResult.detail})`,
			lastS: lastAtUs === null ? null : this.#secondsSince(lastAtUs),
			durationS: lastDurationUs === null ? null : lastDurationUs / 1e6,
			failures,
		};
	}

	#secondsSince(us: number): number {
		return (this.#seams.clock.nowUs() - us) / 1e6;
	}

	async vrrp(): Promise<VrrpReport> {
		return {instances: (await this.#instances()).map(instance => this.#instanceReport(instance))};
	}

	/** Those that a release, or its end, concerned. */
	async released(instances: Promise<readonly InstanceStatus[]>): Promise<VrrpReport> {
		return {instances: (await instances).map(instance => this.#instanceReport(instance))};
	}

	async #instances(): Promise<readonly InstanceStatus[]> {
		return (await this.#vrrp())?.instances ?? [];
	}

	/** null: nothing is asked of lbd-vrrp. */
	async #vrrp(): Promise<VrrpStatus | null> {
		return this.#config === null || isIdle(this.#config) ? null : this.#seams.vrrp.status();
	}

	#instanceReport(status: InstanceStatus): InstanceReport {
		const group = this.#config?.syncGroups.find(({instances}) => instances.includes(status.name));
		return {
			instance: status.name,
			state: status.role,
			sinceS: this.#secondsSinceWall(status.since),
			reason: status.cause ?? '',
			released: status.released,
			lingers: status.lingers,
			interface: status.interface,
			family: status.family,
			vrid: status.vrid,
			priority: status.priority,
			basePriority: status.basePriority,
			trackers: status.tracks,
			waits: status.waits,
			syncGroup: group?.name ?? null,
			addresses: status.addresses,
			master: status.master?.address ?? null,
			advertsSent: status.advertsSent,
			advertsReceived: status.advertsReceived,
			transitions: transitionsOf(status),
			rival: this.#rivalReport(status),
		};
	}

	#rivalReport({rival}: InstanceStatus): InstanceReport['rival'] {
		if (rival === null) return null;
		const {address, refused, since} = rival;
		return {address, refused, sinceS: this.#secondsSinceWall(since)};
	}

	#secondsSinceWall(since: string): number {
		return (this.#seams.clock.wall().getTime() - Date.parse(since)) / 1000;
	}

	/** Everything for one scrape. */
	async snapshot(): Promise<Snapshot> {
		const {dataPlane} = this.#seams;
		const {maps, settings} = dataPlane;
		const flows = dataPlane.countFlows();
		const vrrp = await this.#vrrp();
		return {
			build: {version: VERSION, layoutVersion: settings.layoutVersion},
			nics: this.#nics(),
			services: this.#serviceSamples(flows),
			otherVerdicts: numbers(readVerdicts(maps.verdicts, settings, NO_SERVICE).verdicts),
			flows: Object.fromEntries([...flows.byState].map(([state, count]) => [flowStateName(state), count])),
			flowSlots: maps.slots(4) + maps.slots(6),
			persistenceEntries: this.#persistenceEntries,
			persistenceEntriesMax: 2 * maps.persistenceEntries,
			instances: (vrrp?.instances ?? []).map(status => this.#instanceSample(status)),
			notifications: this.#seams.notifications(),
			drift: {...this.#seams.drift(), ...(vrrp === null ? {} : driftOf(vrrp))},
			sharing: this.#seams.sharing.status(),
			reloads: {...this.#reloads, lastApplied: this.#lastReload?.applied ?? true},
		};
	}

	#instanceSample(status: InstanceStatus): InstanceSample {
		return {
			instance: status.name,
			state: status.role,
			priority: status.priority,
			basePriority: status.basePriority,
			trackers: status.tracks.flatMap(trackerSample),
			advertsSent: status.advertsSent,
			advertsReceived: status.advertsReceived,
			advertsRefused: status.refused,
			released: status.released,
			timerLatenessMaxS: status.timerLatenessMaxUs / 1e6,
			transitions: transitionsOf(status),
			rivalS: status.rival === null ? 0 : this.#secondsSinceWall(status.rival.since),
			rivals: status.rivalsTotal,
		};
	}

	#serviceSamples(flows: FlowCounts): ServiceSample[] {
		const {dataPlane, checks} = this.#seams;
		const ids = new Ids(dataPlane.tables, dataPlane.capacity);
		const health = checks.health();
		return this.#services().flatMap(service => {
			const id = ids.service(service);
			if (id === null) return [];
			return {
				service: service.name,
				verdicts: numbers(readVerdicts(dataPlane.maps.verdicts, dataPlane.settings, id).verdicts),
				quorumUp: checks.hasQuorum(service),
				backends: service.backends.flatMap(backend => {
					const backendId = ids.backend(id, backend);
					const state = health.get(healthKey(service, backend));
					if (backendId === null || state === undefined) return [];
					return this.#backendSample(backend, state, backendId, flows);
				}),
			};
		});
	}

	#backendSample(backend: Backend, health: BackendHealth, id: number, flows: FlowCounts): BackendSample {
		const {maps, settings} = this.#seams.dataPlane;
		const traffic = readTraffic(maps.traffic, settings, id);
		return {
			backend: backend.name,
			up: health.up,
			weight: health.weight,
			liveFlows: flows.byBackend.get(id) ?? 0,
			connections: Number(traffic.connections),
			packetsIn: Number(traffic.packetsIn),
			packetsOut: Number(traffic.packetsOut),
			bytesIn: Number(traffic.bytesIn),
			bytesOut: Number(traffic.bytesOut),
			checks: health.checks.map(checkSample),
		};
	}
}

/** What was deleted of addresses, routes and rules. */
function driftOf({deleted}: VrrpStatus): Snapshot['drift'] {
	const counts = {addresses: deleted.address, routes: deleted.route, rules: deleted.rule};
	return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0));
}

function checkSample({kind, totals, lastDurationUs}: CheckHealth): CheckSample {
	return {kind, ...totals, durationS: lastDurationUs === null ? null : lastDurationUs / 1e6};
}

/** None before the first result. */
function trackerSample({kind, name, result}: TrackStatus): TrackerSample[] {
	if (result === null || result === 'absent') return [];
	return [{kind, tracker: name, value: typeof result === 'number' ? result : Number(result === 'up')}];
}

function transitionsOf({transitions}: InstanceStatus): number {
	return Object.values(transitions).reduce((sum, count) => sum + count, 0);
}

function numbers(counts: ReadonlyMap<string, bigint>): Record<string, number> {
	return Object.fromEntries([...counts].map(([name, count]) => [name, Number(count)]));
}
