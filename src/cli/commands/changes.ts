import type {ChangeReport} from '../../control/protocol.js';
import {count} from '../format.js';
import {printable, type Style, type Tone} from '../style.js';
import {type Column, renderTable} from '../table.js';

/** What a plan or a reload says: complaints, changes and the sentence at the end. */
export interface Outcome {
	readonly diagnostics: readonly string[];
	readonly changes: readonly ChangeReport[];
	readonly summary: string;
}

/** As text, with the first `limit` changes (0: all). */
export function outcomeText({diagnostics, changes, summary}: Outcome, limit: number, style: Style): string {
	const shown = limit === 0 ? changes : changes.slice(0, limit);
	const hidden = changes.length - shown.length;
	// Whole lines: what a change is stands at their end.
	const table = shown.length === 0 ? '' : renderTable(columns, shown, {...style, width: Number.POSITIVE_INFINITY});
	const more = hidden === 0 ? [] : [`${count(hidden)} more changes; --limit 0 shows all`];
	const lines = (texts: readonly string[]): string => texts.map(line => `${printable(line)}\n`).join('');
	return lines(diagnostics) + table + lines([...more, summary]);
}

const columns: readonly Column<ChangeReport>[] = [
	{title: 'CONNECTIONS', align: 'right', cell: row => count(row.connections)},
	{title: 'WHICH', cell: row => (row.connections === 0 ? '-' : row.fate), tone: row => fateTone(row)},
	{title: 'PERSISTENCE', align: 'right', cell: row => count(row.persistenceEntries)},
	{title: 'CHANGE', cell: changeText},
];

function changeText({blocks, kind, what, before, after}: ChangeReport): string {
	const change = kind === 'changed' ? `${what} ${before} → ${after}` : `${what} ${kind}`;
	return [...blocks, change].join(': ');
}

function fateTone({connections, fate}: ChangeReport): Tone | null {
	return connections === 0 || fate === 'stay' ? null : 'warning';
}
