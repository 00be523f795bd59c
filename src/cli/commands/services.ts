import type {HealthReport, ServiceHealth} from '../../control/protocol.js';
import {ControlError} from '../../errors.js';
import type {MapView, ServiceView} from '../../xdp/view.js';
import {bytes, count, duration} from '../format.js';
import type {Report, Session} from '../session.js';
import type {Style, Tone} from '../style.js';
import {type Column, renderTable} from '../table.js';
import {type BackendRow, backendRows, renderOwnBackends} from './backends.js';

/** A service with its backends; the forwarding and the quorum are the daemon's knowledge, null without it. */
export interface ServiceRow extends ServiceView {
	readonly forwarding: string | null;
	readonly quorumUp: boolean | null;
	readonly backendsUp: number;
	readonly backends: readonly BackendRow[];
}

/** `lbctl services [VIP:PORT]`: all services, or one with its backends. */
export async function services(session: Session, only: string | undefined): Promise<Report> {
	const health = await session.health();
	return session.withView(view => {
		const rows = serviceRows(view, health);
		if (only === undefined) return {json: rows, text: style => renderServices(rows, style)};
		const row = rows.find(({service}) => service === withoutTcp(only));
		if (row === undefined) throw unknownService(only, rows);
		return {
			json: [row],
			text: style => `${renderServices([row], style)}\n${renderOwnBackends(row.backends, style)}`,
		};
	});
}

export function serviceRows(view: MapView, report: HealthReport | null): ServiceRow[] {
	const found = new Map<string, ServiceHealth>(report?.services.map(service => [service.service, service]) ?? []);
	const backends = backendRows(view.backends(), report);
	return view.services().map(service => {
		const known = found.get(service.service);
		const own = backends.filter(backend => backend.service === service.service);
		return {
			...service,
			forwarding: known?.forwarding ?? null,
			quorumUp: known?.quorumUp ?? null,
			backendsUp: own.filter(({state}) => state === 'up').length,
			backends: own,
		};
	});
}

export function renderServices(rows: readonly ServiceRow[], style: Style): string {
	return renderTable(columns, rows, style);
}

/** TCP is what a service is if nothing is said, so `/tcp` may be said. */
function withoutTcp(service: string): string {
	return service.replace(/\/tcp$/, '');
}

function unknownService(wanted: string, rows: readonly ServiceRow[]): ControlError {
	const known = rows.map(({service}) => service).join(', ');
	return new ControlError('unknown-service', `no service ${wanted} (there is ${known === '' ? 'none' : known})`);
}

function upTone({backendsUp, backends}: ServiceRow): Tone {
	if (backendsUp === 0) return 'bad';
	return backendsUp < backends.length ? 'warning' : 'good';
}

const columns: readonly Column<ServiceRow>[] = [
	{title: 'SERVICE', cell: row => row.service},
	{title: 'SCHED', cell: row => row.scheduler},
	{title: 'PERSIST', align: 'right', cell: row => (row.persistenceS === 0 ? '-' : duration(row.persistenceS))},
	{title: 'UP', align: 'right', cell: row => `${row.backendsUp}/${row.backends.length}`, tone: upTone},
	{title: 'CONNS', align: 'right', cell: row => count(row.connections)},
	{title: 'PKTS IN', align: 'right', cell: row => count(row.packetsIn)},
	{title: 'PKTS OUT', align: 'right', cell: row => count(row.packetsOut)},
	{title: 'IN', align: 'right', cell: row => bytes(row.bytesIn)},
	{title: 'OUT', align: 'right', cell: row => bytes(row.bytesOut)},
];
