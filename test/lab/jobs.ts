import {readFileSync} from 'node:fs';

function text(file: string): string {
	return readFileSync(new URL(`../../../test/conf/${file}`, import.meta.url), 'utf8');
}

/** The two files of the reference job, as they are. */
export const reference = {primary: text('reference-primary.conf'), backup: text('reference-backup.conf')} as const;

/** A copy with other values. Throws for a keyword that is not there: the test would run without what it is about. */
export function variant(configuration: string, values: Readonly<Record<string, number | string>>): string {
	return Object.entries(values).reduce((copy, [keyword, value]) => {
		const place = new RegExp(`^(\\s*${keyword}) \\S+`, 'gm');
		if (!place.test(copy)) throw new Error(`no ${keyword} in the configuration`);
		return copy.replace(place, `$1 ${value}`);
	}, configuration);
}

/** A copy without one of the real servers. */
export function withoutBackend(configuration: string, address: string): string {
	const block = new RegExp(`^ {4}real_server ${address} .*?^ {4}\\}\\n`, 'ms');
	if (!block.test(configuration)) throw new Error(`no real_server ${address} in the configuration`);
	return configuration.replace(block, '');
}

/** A copy in which one of the real servers has another weight. */
export function withWeight(configuration: string, address: string, weight: number): string {
	const place = new RegExp(`(real_server ${address} .*?weight) \\d+`, 's');
	if (!place.test(configuration)) throw new Error(`no weight of real_server ${address} in the configuration`);
	return configuration.replace(place, `$1 ${weight}`);
}
