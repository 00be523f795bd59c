import {readFileSync} from 'node:fs';
import {externalVip6, internalVip6} from '../../lab/topology.js';

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

/** A copy in version 3, which knows advert intervals below a second and no passwords; whoever is alone is master sooner, too. */
export function inVersion3(configuration: string, advertS: number): string {
	return variant(configuration, {advert_int: advertS}).replaceAll(/authentication \{[^}]*\}/g, 'version 3');
}

/** A copy whose take-overs take part of a second. */
export function quick(configuration: string): string {
	return inVersion3(configuration, 0.2);
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

/** A copy in which all addresses are those of IPv6; a router has link-local ones as well (RFC 5798, 6.1). */
export function ipv6Copy(configuration: string): string {
	return configuration
		.replace('192.168.1.1/24', `fe80::1\n${externalVip6}/64`)
		.replace('10.0.0.100/24', `${internalVip6}/64`)
		.replace('virtual_server 192.168.1.1', `virtual_server ${externalVip6}`)
		.replaceAll(/real_server 10\.0\.0\.(\d+)/g, 'real_server 2001:db8:1::$1');
}

/** A copy with a second service like the first, of IPv6: its addresses move with those of IPv4. */
export function bothFamilies(configuration: string): string {
	const copy = ipv6Copy(configuration);
	const service = copy.slice(copy.indexOf(`virtual_server ${externalVip6}`));
	const excluded = (vip: string): string => `$1\n    virtual_ipaddress_excluded {\n        ${vip}/64\n    }`;
	const original = configuration
		.replace(/(192\.168\.1\.1\/24\s+\})/, excluded(externalVip6))
		.replace(/(10\.0\.0\.100\/24\s+\})/, excluded(internalVip6));
	return `${original}\n${service}`;
}
