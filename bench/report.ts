/** The figures as a text table. Pure. */

import type {Figure, Goal, Unit} from '../src/bench/figure.js';
import {renderTable} from '../src/cli/table.js';

const DIGITS: Readonly<Record<Unit, number>> = {
	ns: 0,
	µs: 1,
	Mpps: 2,
	'req/s': 0,
	bytes: 1,
	flows: 0,
	percent: 1,
	MB: 0,
	ms: 1,
};

/** One table a section; `width` in columns. */
export function report(figures: readonly Figure[], width: number, colour: boolean): string {
	const sections = [...new Set(figures.map(({section}) => section))];
	return sections
		.map(section => {
			const rows = figures.filter(figure => figure.section === section);
			return renderTable(
				[
					{title: section, cell: ({name}) => name},
					{title: 'median', align: 'right', cell: figure => `${amount(figure.median, figure.unit)} ${figure.unit}`},
					{title: 'spread', align: 'right', cell: spread},
					{
						title: 'ratios',
						cell: ({ratios}) => ratios.map(({to, median}) => `${times(median)} ${short(to)}`).join(', '),
					},
					{
						title: 'goals',
						cell: ({goals}) => goals.map(goal => `${goal.met ? '✓' : '✗'} ${goalText(goal)}`).join(', '),
						tone: ({goals}) => (goals.length === 0 ? null : goals.every(({met}) => met) ? 'good' : 'warning'),
					},
				],
				rows,
				{colour, width},
			);
		})
		.join('\n');
}

/** `160`, `2.15` */
export function amount(value: number, unit: Unit): string {
	const text = value.toFixed(DIGITS[unit]);
	return Number(text) === 0 ? '0' : text;
}

export function times(ratio: number): string {
	return `${ratio.toFixed(ratio < 3 ? 2 : 1)}x`;
}

function spread({low, high, unit}: Figure): string {
	return `${amount(low, unit)}..${amount(high, unit)}`;
}

function goalText({ratio, bound, value}: Goal): string {
	const sign = bound === 'at most' ? '≤' : '≥';
	return ratio === undefined ? `${sign} ${value}` : `${sign} ${value}x ${short(ratio)}`;
}

/** `64K flows: nftables DNAT` beside figures of the same flows is `nftables DNAT`. */
function short(name: string): string {
	return name.split(': ').at(-1) ?? name;
}
