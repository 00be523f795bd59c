/** Changes of the block list. It goes by the configuration alone, so a reload applies them and no look at the backends does. Pure. */
import type {BlockChanges} from '../xdp/tables.js';

/** The fewest changes that make `wanted` of `actual`, both in canonical text (`Settings.blocked`). */
export function blockChanges(actual: ReadonlySet<string>, wanted: readonly string[]): BlockChanges {
	const kept = new Set(wanted);
	return {
		added: wanted.filter(prefix => !actual.has(prefix)),
		removed: [...actual].filter(prefix => !kept.has(prefix)),
	};
}
