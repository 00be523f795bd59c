import {ExitCode} from '../../errors.js';
import type {PersistenceView} from '../../xdp/view.js';
import {duration} from '../format.js';
import type {Report, Session} from '../session.js';
import {type Column, renderTable} from '../table.js';

/** `lbctl persistence`: which client is bound to which backend, at most `limit` (0: all) of them. */
export async function persistence(session: Session, limit: number): Promise<Report> {
	const rows = await session.list(limit, view => view.persistence());
	return {json: rows, text: style => renderTable(columns, rows, style)};
}

/** `lbctl persistence delete SERVICE CLIENT`: the client is dealt a backend anew. */
export async function forgetClient(session: Session, service: string, client: string): Promise<Report> {
	const deleted = await session.withView(view => view.forgetClient(service, client));
	return {
		json: {service, client: deleted ?? client, deleted: deleted !== null},
		text: () =>
			deleted === null
				? `${client} has no persistence entry with ${service}\n`
				: `${deleted} is not bound to a backend of ${service} any more\n`,
		exitCode: deleted === null ? ExitCode.failure : ExitCode.ok,
	};
}

const columns: readonly Column<PersistenceView>[] = [
	{title: 'CLIENT', cell: row => row.client},
	{title: 'SERVICE', cell: row => row.service},
	{title: 'BACKEND', cell: row => row.backend},
	{title: 'EXPIRES', align: 'right', cell: row => duration(row.expiresInS)},
];
