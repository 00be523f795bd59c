import {
	existsSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	renameSync,
	rmSync,
	writeFileSync,
} from 'node:fs';
import {join} from 'node:path';
import {type Identity, identify, inhabitants, isAlive, signal} from './proc.js';
import {runSync} from './run.js';
import {nodes} from './topology.js';

/**
 * What exists of a laboratory outside the program that made it: a directory with its owner, network namespaces, pins,
 * sockets. All carry its id, so that whoever comes later can remove it completely without asking anybody.
 */

const root = '/run/sluice-lab';

interface Owner extends Identity {
	/** Left running on purpose: only an explicit removal ends it. */
	readonly kept: boolean;
}

export function directoryOf(id: string): string {
	return join(root, id);
}

export function namespaceOf(id: string, node: string): string {
	return `sl-${id}-${node}`;
}

export function namespacesOf(id: string): string[] {
	return [...Object.keys(nodes), 'switch'].map(node => namespaceOf(id, node));
}

/** Those of them that exist, and those of annexes. */
function presentNamespaces(id: string): string[] {
	const directory = '/run/netns';
	return existsSync(directory) ? readdirSync(directory).filter(name => name.startsWith(namespaceOf(id, ''))) : [];
}

/** What a balancer's daemon is called (`lbd --name`). */
export function daemonNameOf(id: string, balancer: string): string {
	return `${id}-${balancer}`;
}

export function controlSocketOf(daemonName: string): string {
	return `/run/lbd/${daemonName}.sock`;
}

export function vrrpSocketOf(daemonName: string): string {
	return `/run/lbd/${daemonName}.vrrp`;
}

/** Has the process id of the daemon that has the name. */
export function lockOf(daemonName: string): string {
	return `/run/lbd/${daemonName}.lock`;
}

/** Everything that a daemon of that name may leave in the file system. */
function remainsOf(daemonName: string): string[] {
	return [`/sys/fs/bpf/lbd/${daemonName}`, controlSocketOf(daemonName), vrrpSocketOf(daemonName), lockOf(daemonName)];
}

function ownerFile(directory: string): string {
	return join(directory, 'owner.json');
}

/** At once: who reads half of it takes the laboratory for an abandoned one. */
function writeOwner(directory: string, kept: boolean): void {
	const owner: Owner = {...identify(process.pid), kept};
	const [file, draft] = [ownerFile(directory), `${ownerFile(directory)}.new`];
	writeFileSync(draft, `${JSON.stringify(owner)}\n`);
	renameSync(draft, file);
}

/** Takes an id for this program and returns the laboratory's directory. The directory appears with its owner in it, never without. */
export function claim(id: string): string {
	if (!/^[a-z0-9]{1,12}$/.test(id)) throw new Error(`laboratory ${id}: an id is 1 to 12 lower-case letters and digits`);
	mkdirSync(root, {recursive: true});
	const fresh = mkdtempSync(join(root, '.claim-'));
	writeOwner(fresh, false);
	try {
		renameSync(fresh, directoryOf(id));
	} catch (cause) {
		rmSync(fresh, {recursive: true});
		throw new Error(`laboratory ${id}: exists already (remove it: node build/lab/clean.js ${id})`, {cause});
	}
	return directoryOf(id);
}

/** Marks a laboratory as one that outlives its owner. */
export function keep(id: string): void {
	writeOwner(directoryOf(id), true);
}

/** The ids of all laboratories on this machine. */
export function list(): string[] {
	try {
		return readdirSync(root).filter(name => !name.startsWith('.'));
	} catch {
		return [];
	}
}

function isAbandoned(id: string): boolean {
	try {
		const owner: Owner = JSON.parse(readFileSync(ownerFile(directoryOf(id)), 'utf8'));
		return !owner.kept && !isAlive(owner);
	} catch {
		return true;
	}
}

/** Removes the laboratories whose owner died without doing so, and returns their ids. */
export function sweep(): string[] {
	const abandoned = list().filter(isAbandoned);
	abandoned.forEach(remove);
	return abandoned;
}

/**
 * Removes every trace of a laboratory, whatever state it is in. Synchronous, because it also runs while this program
 * exits. Programs are found by the namespace they live in, so that none that lost its parent escapes.
 */
export function remove(id: string): void {
	const namespaces = presentNamespaces(id);
	for (const inhabitant of inhabitants(namespaces)) signal(inhabitant, 'SIGKILL');
	runSync(['ip', '-force', '-batch', '-'], namespaces.map(name => `netns delete ${name}\n`).join(''));
	const remains = Object.keys(nodes).flatMap(node => remainsOf(daemonNameOf(id, node)));
	// Whoever has been killed may still come to the end of writing a file there.
	for (const path of [...remains, directoryOf(id)]) rmSync(path, {recursive: true, force: true, maxRetries: 10});
}
