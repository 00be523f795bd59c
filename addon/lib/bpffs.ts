import {statfsSync, unlinkSync} from 'node:fs';
import {check} from './check.js';
import {BpfError} from './errors.js';
import {native} from './native.js';

/** BPF_FS_MAGIC of linux/magic.h. */
const BPF_FS_MAGIC = 0xcafe4a11;

/** Mounts a bpffs, for root's eyes only, on a directory that exists. */
export function mountBpffs(path: string): void {
	check('mount bpffs', path, native().mountBpffs(path));
}

/** Whether a path is in a bpffs; false also where nothing is. */
export function isBpffs(path: string): boolean {
	try {
		return statfsSync(path).type === BPF_FS_MAGIC;
	} catch {
		return false;
	}
}

/** Removes a pin: what was pinned ends with its last descriptor. False where nothing was pinned. */
export function unpin(path: string): boolean {
	try {
		unlinkSync(path);
		return true;
	} catch (error) {
		const {code, errno = 0} = error as NodeJS.ErrnoException;
		if (code === 'ENOENT') return false;
		throw new BpfError('unpin', path, -errno);
	}
}

/** How many CPUs this machine may ever have: the number of values in an entry of a per-CPU map. */
export function possibleCpus(): number {
	const count = native().possibleCpus();
	check('possible cpus', '/sys/devices/system/cpu/possible', count);
	return count;
}
