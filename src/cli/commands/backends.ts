import type {BackendHealthReport, HealthReport} from '../../control/protocol.js';
import type {BackendView} from '../../xdp/view.js';
import {bytes, count, duration} from '../format.js';
import type {Report, Session} from '../session.js';
import {type Style, stateTone} from '../style.js';
import {type Column, renderTable} from '../table.js';

/** A backend as the maps have it, with what the daemon's checks say of it, or null without a daemon. */
export type BackendRow = BackendView & {readonly health: BackendHealthReport | null};

/** `lbctl backends` */
export async function backends(session: Session): Promise<Report> {
	const health = await session.health();
	return session.withView(view => {
		const rows = backendRows(view.backends(), health);
		return {json: rows, text: style => renderBackends(rows, style)};
	});
}

export function backendRows(views: readonly BackendView[], report: HealthReport | null): BackendRow[] {
	const found = new Map<string, BackendHealthReport>();
	for (const {service, backends} of report?.services ?? []) {
		for (const backend of backends) found.set(`${service} ${backend.backend}`, backend);
	}
	return views.map(view => ({...view, health: found.get(`${view.service} ${view.backend}`) ?? null}));
}

/** The backends of all services: what matters when one of them is out. */
function renderBackends(rows: readonly BackendRow[], style: Style): string {
	return renderTable([{title: 'SERVICE', cell: row => row.service}, ...stateColumns, ...reasonColumns], rows, style);
}

/** The backends of one service, which leaves room for their traffic. */
export function renderOwnBackends(rows: readonly BackendRow[], style: Style): string {
	return renderTable([...stateColumns, ...trafficColumns, ...reasonColumns], rows, style);
}

function why({state, nextHop, health}: BackendRow): string {
	const reasons = [...(state === 'up' && nextHop === null ? ['neighbour not known'] : []), health?.reason ?? '-'];
	return reasons.join(', ');
}

const stateColumns: readonly Column<BackendRow>[] = [
	{title: 'BACKEND', cell: row => row.backend},
	{title: 'STATE', cell: row => row.state, tone: row => stateTone(row.state)},
	{title: 'METHOD', cell: row => row.method},
	{title: 'WEIGHT', align: 'right', cell: row => count(row.weight)},
	{title: 'FLOWS', align: 'right', cell: row => count(row.liveFlows)},
	{title: 'CONNS', align: 'right', cell: row => count(row.connections)},
];

const trafficColumns: readonly Column<BackendRow>[] = [
	{title: 'IN', align: 'right', cell: row => bytes(row.bytesIn)},
	{title: 'OUT', align: 'right', cell: row => bytes(row.bytesOut)},
];

const reasonColumns: readonly Column<BackendRow>[] = [
	{title: 'FOR', align: 'right', cell: row => (row.health === null ? '-' : duration(row.health.sinceS))},
	{title: 'WHY', cell: why},
];
