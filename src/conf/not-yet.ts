import type {Report} from './diagnostics.js';
import type {ConfigDraft} from './keywords/top.js';
import type {Place} from './model.js';

/** Something that can be said, and where it is. */
export interface NotYet {
	readonly what: string;
	places(draft: ConfigDraft): readonly Place[];
}

/**
 * What the language, the model and the plan have and the program has not. Each row refuses one thing by name; a row goes
 * when the program does it, and the rest of this file with the last of them.
 */
export const notYet: readonly NotYet[] = [setting('fragments')];

export function refuse(refused: readonly NotYet[], draft: ConfigDraft, report: Report): void {
	for (const {what, places} of refused) {
		for (const place of new Set(places(draft))) {
			report.error('not-supported', place, `${what} is not supported yet`, 'remove it if you can do without');
		}
	}
}

/** Of the `lbd` block or of a `service` in it. */
function setting(keyword: string): NotYet {
	return {
		what: keyword,
		places: ({settings}) => [settings, ...settings.services].flatMap(block => block.written.get(keyword) ?? []),
	};
}
