import {paint, printable, type Style, type Tone} from './style.js';

export interface Column<Row> {
	readonly title: string;
	/** Numbers stand right, so that their digits line up. */
	readonly align?: 'right';
	cell(row: Row): string;
	tone?(row: Row): Tone | null;
}

const GAP = '  ';

/**
 * Rows under aligned titles, one line each; where a line would be too wide, its last cell loses its end. Only the
 * titles when there is no row, so that the reader knows what there is none of.
 */
export function renderTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[], style: Style): string {
	const laidOut = columns.map((column, index) => {
		const cells = rows.map(row => printable(column.cell(row)));
		const width = cells.reduce((widest, {length}) => Math.max(widest, length), column.title.length);
		return {column, cells, width, last: index === columns.length - 1};
	});
	const before = laidOut.reduce((sum, {width, last}) => sum + (last ? 0 : width + GAP.length), 0);
	const lines = [-1, ...rows.keys()].map(line =>
		laidOut
			.map(({column, cells, width, last}) => {
				const row = rows[line];
				const room = last ? Math.max(Math.min(width, style.width - before), column.title.length) : width;
				const tone = row === undefined ? 'bold' : (column.tone?.(row) ?? null);
				return pad(cells[line] ?? column.title, room, column.align ?? 'left', text => paint(style, tone, text));
			})
			.join(GAP)
			.trimEnd(),
	);
	return lines.map(line => `${line}\n`).join('');
}

/** Colours come last: their bytes take no room on the screen. */
function pad(text: string, width: number, align: 'left' | 'right', colour: (text: string) => string): string {
	const shown = text.length <= width ? text : `${text.slice(0, width - 1)}…`;
	const blank = ' '.repeat(width - shown.length);
	return align === 'right' ? blank + colour(shown) : colour(shown) + blank;
}
