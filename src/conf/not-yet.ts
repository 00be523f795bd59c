import type {Report} from './diagnostics.js';
import type {ConfigDraft} from './keywords/top.js';
import type {Forwarding, Place} from './model.js';
import {type Draft, placeOf} from './table.js';

/** Something that can be said, and where it is. */
export interface NotYet {
	readonly what: string;
	places(draft: ConfigDraft): readonly Place[];
}

/**
 * What the language, the model and the plan have and the program has not. Each row refuses one thing by name; a row goes
 * when the program does it, and the rest of this file with the last of them.
 */
export const notYet: readonly NotYet[] = [
	{what: 'DR', places: draft => forwardings(draft, 'dr')},
	{what: 'TUN', places: draft => forwardings(draft, 'tun')},
];

export function refuse(refused: readonly NotYet[], draft: ConfigDraft, report: Report): void {
	for (const {what, places} of refused) {
		for (const place of new Set(places(draft))) {
			report.error('not-supported', place, `${what} is not supported yet`, 'remove it if you can do without');
		}
	}
}

function forwardings({services}: ConfigDraft, method: Forwarding['method']): Place[] {
	const blocks: (Draft & {readonly forwarding: Forwarding | null})[] = services.flatMap(service => [
		service,
		...service.backends,
	]);
	return blocks
		.filter(({forwarding}) => forwarding?.method === method)
		.map(block => placeOf(block, block.written.has('lb_kind') ? 'lb_kind' : 'lvs_method'));
}
