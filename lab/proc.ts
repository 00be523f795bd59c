import {readdirSync, readFileSync, readlinkSync, statSync} from 'node:fs';
import {constants} from 'node:os';

/** A running program that cannot be mistaken for a later one with the same pid. */
export interface Identity {
	readonly pid: number;
	/** Clock ticks since boot, field 22 of /proc/PID/stat (proc(5)). */
	readonly startTicks: number;
}

interface Stat {
	readonly state: string;
	readonly parent: number;
	readonly startTicks: number;
}

function stat(pid: number): Stat | null {
	try {
		const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
		// The second field is the program's name in parentheses and may contain anything, so count from the last one.
		const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
		return {state: fields[0] ?? '', parent: Number(fields[1]), startTicks: Number(fields[19])};
	} catch {
		return null;
	}
}

export function identify(pid: number): Identity {
	return {pid, startTicks: stat(pid)?.startTicks ?? 0};
}

/** Zombies count as dead: they hold no socket and no namespace. */
export function isAlive(identity: Identity): boolean {
	const now = stat(identity.pid);
	return now !== null && now.state !== 'Z' && now.startTicks === identity.startTicks;
}

function allPids(): number[] {
	return readdirSync('/proc')
		.filter(name => /^\d+$/.test(name))
		.map(Number);
}

/** `pid` and all its descendants, parents first. */
export function tree(pid: number): Identity[] {
	const children = new Map<number, number[]>();
	for (const candidate of allPids()) {
		const parent = stat(candidate)?.parent;
		if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), candidate]);
	}
	const found = [pid];
	for (const next of found) found.push(...(children.get(next) ?? []));
	return found.map(identify);
}

/** Programs that call themselves so, whoever started them. */
export function titled(title: string): Identity[] {
	return allPids()
		.filter(pid => {
			try {
				return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0] === title;
			} catch {
				return false;
			}
		})
		.map(identify);
}

/** Everything that runs in one of the named network namespaces, whoever started it. */
export function inhabitants(namespaces: readonly string[]): Identity[] {
	const wanted = new Set(namespaces.map(netnsLink));
	return allPids()
		.filter(pid => {
			try {
				return wanted.has(readlinkSync(`/proc/${pid}/ns/net`));
			} catch {
				return false;
			}
		})
		.map(identify);
}

/** The namespace as /proc/PID/ns/net spells it, or '' when there is no such namespace. */
function netnsLink(namespace: string): string {
	const inode = statSync(`/run/netns/${namespace}`, {throwIfNoEntry: false})?.ino;
	return inode === undefined ? '' : `net:[${inode}]`;
}

/** What a running program calls itself, without what it says behind; '' for one that is gone. */
export function titleOf(pid: number): string {
	try {
		return readFileSync(`/proc/${pid}/comm`, 'latin1').trim().split(' ')[0] ?? '';
	} catch {
		return '';
	}
}

/** Whether a signal is heard by the program that has this pid, and does not just end it (`SigCgt`, proc(5)). */
export function hears(pid: number, name: NodeJS.Signals): boolean {
	const [, caught = '0'] = /^SigCgt:\s*(\w+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? [];
	return (BigInt(`0x${caught}`) & (1n << BigInt(constants.signals[name] - 1))) !== 0n;
}

/** Sends `signal` unless the program is gone already. */
export function signal(identity: Identity, name: NodeJS.Signals): void {
	if (!isAlive(identity)) return;
	try {
		process.kill(identity.pid, name);
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
	}
}

/** What a running program takes, or null: it is gone. */
export interface Usage {
	/** Of its own, in RAM: without files and what it maps of the kernel's. */
	readonly residentBytes: number;
	readonly descriptors: number;
	readonly threads: number;
}

export function usage(pid: number): Usage | null {
	try {
		const status = readFileSync(`/proc/${pid}/status`, 'latin1');
		const [, kib] = /^RssAnon:\s+(\d+) kB/m.exec(status) ?? [];
		const [, threads] = /^Threads:\s+(\d+)/m.exec(status) ?? [];
		const descriptors = readdirSync(`/proc/${pid}/fd`).length;
		return {residentBytes: Number(kib) * 1024, descriptors, threads: Number(threads)};
	} catch {
		return null;
	}
}
