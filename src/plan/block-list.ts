/** Changes of the block list. It goes by the configuration alone, so a reload applies them and no look at the backends does. Pure. */

export interface BlockChanges {
	readonly added: readonly string[];
	readonly removed: readonly string[];
}

/** The fewest changes that make `wanted` of `actual`, both in canonical text (`Settings.blocked`). */
export function blockChanges(actual: readonly string[], wanted: readonly string[]): BlockChanges {
	return {added: without(wanted, new Set(actual)), removed: without(actual, new Set(wanted))};
}

function without(prefixes: readonly string[], others: ReadonlySet<string>): string[] {
	return prefixes.filter(prefix => !others.has(prefix));
}
