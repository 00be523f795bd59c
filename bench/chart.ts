/** The figures as bars, for the README: an SVG that is read on light and on dark paper. Pure. */
import type {Figure} from '../src/bench/figure.js';
import {amount} from './report.js';

const WIDTH = 760;
const LABELS = 300;
const VALUES = 90;
const BAR = 14;
const LINE = 24;
const HEADING = 44;
const MARGIN = 20;

/** Colours stand in the style sheet alone, once for each paper. */
const STYLE = `
	svg { font: 13px ui-sans-serif, system-ui, sans-serif; fill: #24292f; }
	.heading { font-weight: 600; font-size: 15px; }
	.value { font-variant-numeric: tabular-nums; }
	.note { font-size: 11px; opacity: .7; }
	.ours { fill: #0969da; }
	.other { fill: #8c959f; }
	@media (prefers-color-scheme: dark) { svg { fill: #e6edf3; } .ours { fill: #4493f8; } .other { fill: #6e7681; } }
`;

export interface Panel {
	readonly heading: string;
	readonly figures: readonly Figure[];
	/** Whether a bar is one of ours, or something to compare with. */
	isOurs(figure: Figure): boolean;
}

/** Panels of horizontal bars, each with a scale of its own that begins at 0; `note` says where the figures are from. */
export function chart(panels: readonly Panel[], note: string): string {
	let y = MARGIN;
	const drawn = panels.map(panel => {
		const at = y;
		y += HEADING + panel.figures.length * LINE;
		return drawPanel(panel, at);
	});
	const height = y + 2 * MARGIN;
	return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">
<style>${STYLE}</style>
${drawn.join('\n')}
<text class="note" x="${MARGIN}" y="${height - MARGIN}">${escaped(note)}</text>
</svg>
`;
}

function drawPanel({heading, figures, isOurs}: Panel, y: number): string {
	const largest = Math.max(...figures.map(({median}) => median), Number.MIN_VALUE);
	const bars = figures.map((figure, index) => {
		const top = y + HEADING + index * LINE;
		const length = (Math.max(figure.median, 0) / largest) * (WIDTH - LABELS - VALUES - MARGIN);
		return `<text x="${LABELS - 10}" y="${top}" text-anchor="end">${escaped(figure.name)}</text>
<rect class="${isOurs(figure) ? 'ours' : 'other'}" x="${LABELS}" y="${top - BAR + 3}" width="${Math.max(length, 1).toFixed(1)}" height="${BAR}" rx="2"/>
<text class="value" x="${(LABELS + length + 8).toFixed(1)}" y="${top}">${amount(figure.median, figure.unit)} ${figure.unit}</text>`;
	});
	return [`<text class="heading" x="${MARGIN}" y="${y + 12}">${escaped(heading)}</text>`, ...bars].join('\n');
}

function escaped(text: string): string {
	return text.replace(/[&<>"]/g, sign => `&#${sign.charCodeAt(0)};`);
}
