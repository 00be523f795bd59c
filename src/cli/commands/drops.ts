import type {DropView} from '../../xdp/view.js';
import {count} from '../format.js';
import type {Report, Session} from '../session.js';
import type {Style} from '../style.js';
import {type Column, renderTable} from '../table.js';

/** `lbctl drops`: which packets went nowhere, and why, the most frequent first. */
export async function drops(session: Session): Promise<Report> {
	const rows = await session.withView(view => mostFirst(view.drops()));
	return {json: rows, text: style => renderDrops(rows, style)};
}

export function mostFirst(rows: readonly DropView[]): DropView[] {
	return rows.toSorted((a, b) => b.packets - a.packets);
}

export function renderDrops(rows: readonly DropView[], style: Style): string {
	return rows.length === 0 ? 'nothing was dropped\n' : renderTable(columns, rows, style);
}

const columns: readonly Column<DropView>[] = [
	{title: 'DROPPED', align: 'right', cell: row => count(row.packets)},
	{title: 'SERVICE', cell: row => row.service ?? 'none'},
	{title: 'VERDICT', cell: row => row.verdict},
];
