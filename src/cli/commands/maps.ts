import type {MapInfo} from '../../xdp/view.js';
import {count, json} from '../format.js';
import type {Report, Session} from '../session.js';
import {type Column, renderTable} from '../table.js';

/** `lbctl maps`: what is pinned. */
export async function maps(session: Session): Promise<Report> {
	const rows = await session.withView(view => view.maps());
	return {json: rows, text: style => renderTable(columns, rows, style)};
}

/** `lbctl maps dump MAP`: its entries as they are, one a line. */
export async function dumpMap(session: Session, map: string, limit: number): Promise<Report> {
	const entries = await session.list(limit, view => view.dump(map));
	return {json: entries, text: () => entries.map(({key, value}) => `${json(key)}  ${json(value)}\n`).join('')};
}

const columns: readonly Column<MapInfo>[] = [
	{title: 'MAP', cell: row => row.map},
	{title: 'TYPE', cell: row => row.type},
	{title: 'KEY', align: 'right', cell: row => `${row.keyBytes} B`},
	{title: 'VALUE', align: 'right', cell: row => `${row.valueBytes} B`},
	{title: 'ENTRIES', align: 'right', cell: row => (row.entries === null ? '-' : count(row.entries))},
	{title: 'MAX', align: 'right', cell: row => count(row.maxEntries)},
	{title: 'PIN', cell: row => row.pin},
];
