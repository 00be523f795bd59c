/**
 * What a configuration would change and whom that touches: computed in one way for `lbctl plan`, which prints it, and for
 * a reload, which does it.
 */
import type {Config} from './conf/model.js';
import type {ChangeReport} from './control/protocol.js';
import {changes} from './plan/changes.js';
import {Ids} from './plan/ids.js';
import {type Live, type TouchedChange, touched} from './plan/touched.js';
import type {Reconciler} from './reconcile.js';
import type {DataPlane} from './xdp/dataplane.js';
import {type BackendId, entriesOf, type ServiceId} from './xdp/tables.js';

export interface PreviewSeams {
	readonly dataPlane: Pick<DataPlane, 'tables' | 'capacity' | 'countFlows' | 'countPersistence'>;
	readonly reconciler: Pick<Reconciler, 'plan'>;
}

export interface Preview {
	readonly changes: readonly ChangeReport[];
	readonly mapEntries: number;
	/** What would not fit into the maps. */
	readonly problems: readonly string[];
}

/** `before` is in force. */
export async function preview(before: Config, after: Config, seams: PreviewSeams): Promise<Preview> {
	const {ops, problems} = seams.reconciler.plan(after);
	const differences = changes(before, after);
	const live = differences.length === 0 ? NOBODY : await liveOf(before, seams);
	return {
		changes: touched(differences, before, after, live).map(report),
		mapEntries: ops.reduce((sum, op) => sum + entriesOf(op), 0),
		problems,
	};
}

const NOBODY: Live = {connections: () => 0, persistenceEntries: () => 0};

function report({service: _, backend: __, itself: ___, ...change}: TouchedChange): ChangeReport {
	return change;
}

/** Counts what there is, by the names of the configuration. */
async function liveOf(config: Config, {dataPlane}: PreviewSeams): Promise<Live> {
	const names = namesOf(config, dataPlane);
	const entries = dataPlane.countPersistence();
	return {
		connections: counter(dataPlane.countFlows().byBackend, names),
		persistenceEntries: counter(entries, names),
	};
}

interface Names {
	readonly services: ReadonlyMap<string, ServiceId>;
	/** By `SERVICE BACKEND`. */
	readonly backends: ReadonlyMap<string, BackendId>;
	/** Those of a service, which a reload may have removed before. */
	readonly serviceOf: (backend: BackendId) => ServiceId | undefined;
}

function namesOf({services}: Config, {tables, capacity}: PreviewSeams['dataPlane']): Names {
	const ids = new Ids(tables, capacity);
	const names = {services: new Map<string, ServiceId>(), backends: new Map<string, BackendId>()};
	for (const service of services) {
		const id = ids.service(service);
		if (id === null) continue;
		names.services.set(service.name, id);
		const all = service.sorryServer === null ? service.backends : [...service.backends, service.sorryServer.backend];
		for (const backend of all) {
			const backendId = ids.backend(id, backend);
			if (backendId !== null) names.backends.set(`${service.name} ${backend.name}`, backendId);
		}
	}
	return {...names, serviceOf: backend => tables.backends.get(backend)?.service};
}

function counter(byBackend: ReadonlyMap<BackendId, number>, names: Names): Live['connections'] {
	const byService = new Map<ServiceId | undefined, number>();
	let all = 0;
	for (const [backend, count] of byBackend) {
		const service = names.serviceOf(backend);
		byService.set(service, (byService.get(service) ?? 0) + count);
		all += count;
	}
	return (service, backend) => {
		if (service === null) return all;
		const id = backend === null ? names.services.get(service) : names.backends.get(`${service} ${backend}`);
		return id === undefined ? 0 : ((backend === null ? byService : byBackend).get(id) ?? 0);
	};
}
