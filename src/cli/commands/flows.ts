import type {FlowFilter, FlowView} from '../../xdp/view.js';
import {duration} from '../format.js';
import type {Report, Session} from '../session.js';
import {type Column, renderTable} from '../table.js';

/** `lbctl flows`: at most `limit` (0: all) of the flows that match. */
export async function flows(session: Session, limit: number, filter: FlowFilter): Promise<Report> {
	const rows = await session.list(limit, view => view.flows(filter));
	return {json: rows, text: style => renderTable(columns, rows, style)};
}

const columns: readonly Column<FlowView>[] = [
	{title: 'CLIENT', cell: row => row.client},
	{title: 'SERVICE', cell: row => row.service},
	{title: 'BACKEND', cell: row => row.backend},
	{title: 'STATE', cell: row => row.state},
	{title: 'IDLE', align: 'right', cell: row => duration(row.idleS)},
	{title: 'EXPIRES', align: 'right', cell: row => duration(row.expiresInS)},
];
