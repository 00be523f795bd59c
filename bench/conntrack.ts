/** Room for the kernel's connection tracking, so that nftables is not beaten for the lack of it. */
import {readFileSync, writeFileSync} from 'node:fs';

/** Entries, and hash buckets: about one an entry, as the kernel's own defaults have it. */
const WANTED = {nf_conntrack_max: 2 ** 22, nf_conntrack_buckets: 2 ** 21} as const;

/** Enlarges the tables, which all network namespaces share; returns what puts them back. */
export function enlargeConntrack(): () => void {
	const before = Object.keys(WANTED).map(name => [name, readFileSync(path(name), 'utf8')] as const);
	for (const [name, entries] of Object.entries(WANTED)) writeFileSync(path(name), String(entries));
	return () => {
		for (const [name, text] of before) writeFileSync(path(name), text);
	};
}

function path(name: string): string {
	return `/proc/sys/net/netfilter/${name}`;
}
