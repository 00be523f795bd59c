import {type Entry, supportOf, usageOf} from '../../conf/reference.js';
import {suggestion} from '../../conf/values.js';
import {ControlError, ExitCode} from '../../errors.js';
import type {Report} from '../session.js';
import {paint, type Tone} from '../style.js';

const tones: Readonly<Record<Entry['support'], Tone>> = {
	full: 'good',
	fixed: 'warning',
	accepted: 'warning',
	refused: 'bad',
};

/**
 * `lbctl check --explain KEYWORD`: in which blocks it may stand, how it is written, and how far it is supported. A word that
 * is no keyword but may follow one, such as `NAT` or `label`, is shown where it may.
 */
export function explain(keyword: string, reference: readonly Entry[]): Report {
	const own = reference.filter(entry => entry.keyword === keyword);
	const entries = own.length > 0 ? own : reference.filter(entry => wordsOf(entry).includes(keyword));
	if (entries.length === 0) {
		const wayOut = suggestion(
			keyword,
			reference.map(entry => entry.keyword),
		);
		const text = `"${keyword}" is no keyword of keepalived.conf or of ours${wayOut === '' ? '' : ` (${wayOut})`}`;
		throw new ControlError('unknown-keyword', text, {exitCode: ExitCode.unknownKeyword});
	}
	return {
		json: {keyword, entries},
		text: style =>
			entries
				.map(entry => {
					const where = ['the file', ...entry.blocks].join(' › ');
					const support = paint(style, tones[entry.support], supportOf(entry));
					return `${paint(style, 'bold', usageOf(entry))}\n    in ${where}: ${support}\n`;
				})
				.join(''),
	};
}

function wordsOf(entry: Entry): readonly string[] {
	return usageOf(entry).split(/[^\w-]+/);
}
