/**
 * What a configuration would change and whom that touches: computed in one way for `lbctl plan`, which prints it, and for
 * a reload, which does it.
 */
import type {Config} from './conf/model.js';
import type {ChangeReport} from './control/protocol.js';
import {changes} from './plan/changes.js';
import {type Count, type Live, type TouchedChange, touched} from './plan/touched.js';
import type {Reconciler} from './reconcile.js';
import type {DataPlane} from './xdp/dataplane.js';
import {nameOf} from './xdp/reader.js';
import {type BackendId, entriesOf, type Tables} from './xdp/tables.js';

export interface PreviewSeams {
	readonly dataPlane: Pick<DataPlane, 'tables' | 'countFlows' | 'countPersistence'>;
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
	const live = differences.length === 0 ? NOBODY : liveOf(seams.dataPlane);
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

/** Counts what there is. */
function liveOf(dataPlane: PreviewSeams['dataPlane']): Live {
	return {
		connections: counter(dataPlane.countFlows().byBackend, dataPlane.tables),
		persistenceEntries: counter(dataPlane.countPersistence(), dataPlane.tables),
	};
}

/** Looks counts up by what the configuration calls backends and their services. */
function counter(byBackend: ReadonlyMap<BackendId, number>, {services, backends}: Tables): Count {
	const counts = new Map<string | null, Map<string | null, number>>();
	const add = (service: string | null, backend: string | null, count: number): void => {
		const ofService = counts.get(service) ?? new Map<string | null, number>();
		counts.set(service, ofService.set(backend, (ofService.get(backend) ?? 0) + count));
	};
	for (const [id, count] of byBackend) {
		add(null, null, count);
		const backend = backends.get(id);
		const service = backend && services.get(backend.service);
		if (backend === undefined || service === undefined) continue;
		add(nameOf(service), null, count);
		add(nameOf(service), nameOf(backend), count);
	}
	return (service, backend) => counts.get(service)?.get(backend) ?? 0;
}
