import type {PersistenceView} from '../../xdp/view.js';
import {duration} from '../format.js';
import type {Report, Session} from '../session.js';
import {type Column, renderTable} from '../table.js';

/** `lbctl persistence`: which client is bound to which backend, at most `limit` (0: all) of them. */
export async function persistence(session: Session, limit: number): Promise<Report> {
	const rows = await session.list(limit, view => view.persistence());
	return {json: rows, text: style => renderTable(columns, rows, style)};
}

const columns: readonly Column<PersistenceView>[] = [
	{title: 'CLIENT', cell: row => row.client},
	{title: 'SERVICE', cell: row => row.service},
	{title: 'BACKEND', cell: row => row.backend},
	{title: 'EXPIRES', align: 'right', cell: row => duration(row.expiresInS)},
];
