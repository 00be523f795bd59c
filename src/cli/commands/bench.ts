import type {Ratio} from '../../bench/figure.js';
import {describe} from '../../bench/machine.js';
import type {Measurement} from '../../bench/program-time.js';
import type {Report, Session} from '../session.js';
import type {Style} from '../style.js';
import {type Column, renderTable} from '../table.js';

/** Net time of a packet of a kind in the program, in ns: the median of the rounds, and how far they lie apart. */
interface BenchRow {
	readonly packet: string;
	readonly medianNs: number;
	readonly lowNs: number;
	readonly highNs: number;
	/** By cases of the same rounds. */
	readonly ratios: readonly Ratio[];
}

/** `lbctl bench`: what a packet costs in the program on this machine. */
export async function bench(session: Session, measure: () => Promise<Measurement>): Promise<Report> {
	session.note('measuring for some ten seconds with a copy of the program; traffic is not touched');
	const {machine, figures} = await measure();
	const rows = figures.map(({name, median, low, high, ratios}) => ({
		packet: name,
		medianNs: median,
		lowNs: low,
		highNs: high,
		ratios,
	}));
	return {json: {machine, programTime: rows}, text: style => render(describe(machine), rows, style)};
}

function render(machine: readonly string[], rows: readonly BenchRow[], style: Style): string {
	return [...machine, '', renderTable(columns, rows, style)].join('\n');
}

/** What costs nothing may come out below it, since two measurements were subtracted. */
function ns(value: number): string {
	return String(Math.max(Math.round(value), 0));
}

const columns: readonly Column<BenchRow>[] = [
	{title: 'PACKET', cell: row => row.packet},
	{title: 'NS', align: 'right', cell: row => ns(row.medianNs)},
	{title: 'LOW', align: 'right', cell: row => ns(row.lowNs)},
	{title: 'HIGH', align: 'right', cell: row => ns(row.highNs)},
	{title: 'RATIO', cell: row => row.ratios.map(({to, median}) => `${median.toFixed(2)}x ${to}`).join(', ')},
];
