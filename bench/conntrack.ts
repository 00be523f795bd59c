/** Room for the kernel's connection tracking, so that nftables is not beaten for the lack of it. */
import {spawnSync} from 'node:child_process';
import {existsSync, readFileSync, writeFileSync} from 'node:fs';

/** Entries, and hash buckets for them. */
const WANTED = [
	['nf_conntrack_max', 2 ** 22],
	['nf_conntrack_buckets', 2 ** 21],
] as const;

/** Enlarges the tables, which all network namespaces share; returns what puts them back. */
export function enlargeConntrack(): () => void {
	spawnSync('modprobe', ['--quiet', 'nf_conntrack']); // where it is built in, there may be no modprobe
	const present = WANTED.filter(([name]) => existsSync(path(name)));
	if (present.length === 0)
		process.stderr.write('bench: connection tracking keeps its size: nftables may drop flows\n');
	const before = present.map(([name]) => [name, readFileSync(path(name), 'utf8')] as const);
	for (const [name, entries] of present) writeFileSync(path(name), String(entries));
	return () => {
		for (const [name, text] of before) writeFileSync(path(name), text);
	};
}

function path(name: string): string {
	return `/proc/sys/net/netfilter/${name}`;
}
