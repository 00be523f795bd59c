import {readFileSync} from 'node:fs';

/** Bits of CAP_NET_ADMIN, CAP_SYS_ADMIN and CAP_BPF, capabilities(7). */
const CAPABILITIES = [12n, 21n, 39n];

/** Why the laboratory cannot work here, in one sentence; null when it can. */
export function obstacle(): string | null {
	if (process.platform !== 'linux') return 'this needs Linux';
	if (process.getuid?.() !== 0) return 'this needs root (it makes network namespaces and loads XDP programs): try sudo';
	const effective = BigInt(`0x${/^CapEff:\s*(\w+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'}`);
	if (CAPABILITIES.some(bit => (effective & (1n << bit)) === 0n)) {
		return 'this needs the capabilities to administer networks and BPF, which this container does not give to its root';
	}
	if (!/\tbpf$/m.test(readFileSync('/proc/filesystems', 'utf8'))) {
		return 'this needs a kernel with BPF (CONFIG_BPF_SYSCALL), Linux 6.1 or newer';
	}
	return null;
}
