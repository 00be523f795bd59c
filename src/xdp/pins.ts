/** Where a daemon's kernel objects are pinned, so that they outlive it: bpffs/lbd/NAME/{maps,links,programs}/… */
import {
	existsSync,
	mkdirSync,
	readdirSync,
	readlinkSync,
	renameSync,
	rmdirSync,
	rmSync,
	statSync,
	symlinkSync,
} from 'node:fs';
import {join} from 'node:path';
import {ExitCode, KernelError} from '../errors.js';

export const BPFFS = '/sys/fs/bpf';

/** Maps of a start that has not come to its end. */
const UNFINISHED = 'maps-unfinished';
/** Maps of an earlier version, while those of this one take their place. */
const REPLACED = 'maps-replaced';

/** Among the programs, where every version's `unload` removes it. */
const SEAL = 'seal';

/** Where the program runs: in the driver, or in the kernel's slower generic receive path. */
export type AttachMode = 'native' | 'generic';

export interface PinnedLink {
	readonly path: string;
	readonly ifindex: number;
	readonly mode: AttachMode;
}

/** The pins of one daemon. */
export class Pins {
	/** The daemon's. */
	readonly name: string;
	readonly directory: string;
	readonly #maps: string;

	constructor(name: string) {
		this.name = name;
		// bpffs keeps dots for itself (kernel/bpf/inode.c, bpf_lookup); a daemon's name may have them, but never a `+`.
		this.directory = join(BPFFS, 'lbd', name.replaceAll('.', '+'));
		this.#maps = join(this.directory, 'maps');
	}

	/** Those of all daemons that have any. */
	static all(): Pins[] {
		const directory = join(BPFFS, 'lbd');
		return existsSync(directory) ? readdirSync(directory).map(name => new Pins(name.replaceAll('+', '.'))) : [];
	}

	map(name: string): string {
		return join(this.#maps, name);
	}

	program(name: string): string {
		return join(this.directory, 'programs', name);
	}

	/** Pins a program in the place of an earlier run's, without a moment in which there is none. */
	replaceProgram(name: string, pin: (path: string) => void): void {
		const next = this.program(`${name}-next`);
		rmSync(next, {force: true});
		pin(next);
		renameSync(next, this.program(name));
	}

	/** What was left by `seal`; null where nothing was, or something else is. */
	readSeal(): string | null {
		try {
			return readlinkSync(this.program(SEAL));
		} catch {
			return null;
		}
	}

	/** Leaves a word for the next run, in place of an earlier one. It is a symbolic link, as a bpffs has no files. */
	seal(word: string): void {
		const next = this.program(`${SEAL}-next`);
		rmSync(next, {force: true});
		symlinkSync(word, next);
		renameSync(next, this.program(SEAL));
	}

	breakSeal(): void {
		rmSync(this.program(SEAL), {force: true});
	}

	/** Links are named by interface index, since an interface may be renamed, and by mode, which the kernel does not tell. */
	link(ifindex: number, mode: AttachMode): string {
		return join(this.directory, 'links', `${ifindex}-${mode}`);
	}

	links(): PinnedLink[] {
		const directory = join(this.directory, 'links');
		if (!existsSync(directory)) return [];
		return readdirSync(directory).map(name => ({
			path: join(directory, name),
			ifindex: Number.parseInt(name, 10),
			mode: name.endsWith('-generic') ? 'generic' : 'native',
		}));
	}

	/** Detaches, when nobody holds a descriptor of the link. */
	removeLink(path: string): void {
		rmSync(path, {force: true});
	}

	/** The names of the maps that are pinned. */
	mapNames(): string[] {
		return readdirSync(this.#maps);
	}

	/** Ends what a daemon began that was killed in the middle of `replaceMaps`. To be called by whoever has the name's lock. */
	recover(): void {
		const replaced = join(this.directory, REPLACED);
		if (!existsSync(replaced)) return;
		if (existsSync(this.#maps)) removeAll(replaced);
		else renameSync(replaced, this.#maps);
	}

	/** Whether maps are pinned; they always are all of them. Throws KernelError when this user may not look. */
	exist(): boolean {
		try {
			statSync(this.#maps);
			return true;
		} catch (cause) {
			const {code = 'error'} = cause as NodeJS.ErrnoException;
			if (code === 'ENOENT') return false;
			throw new KernelError('open maps', this.directory, code, 'root only', {cause, exitCode: ExitCode.permission});
		}
	}

	/** Makes the directories, of a daemon that has none. */
	create(): void {
		for (const kind of ['programs', 'links', UNFINISHED]) mkdirSync(join(this.directory, kind), {recursive: true});
	}

	/** Pins the maps, which appear all at once: a start that is killed here has not begun, as far as the next one can tell. */
	pinMaps(names: readonly string[], pin: (name: string, path: string) => void): void {
		const unfinished = join(this.directory, UNFINISHED);
		for (const name of names) pin(name, join(unfinished, name));
		renameSync(unfinished, this.#maps);
	}

	/** Pins other maps in the place of an earlier version's. Killed in between, `recover` finds one set or the other. */
	replaceMaps(names: readonly string[], pin: (name: string, path: string) => void): void {
		removeAll(join(this.directory, UNFINISHED));
		this.create();
		const unfinished = join(this.directory, UNFINISHED);
		for (const name of names) pin(name, join(unfinished, name));
		renameSync(this.#maps, join(this.directory, REPLACED));
		renameSync(unfinished, this.#maps);
		removeAll(join(this.directory, REPLACED));
	}

	/** Pins those maps anew whose pins somebody has removed; returns how many. */
	restoreMaps(names: readonly string[], pin: (name: string, path: string) => void): number {
		const missing = names.filter(name => !existsSync(this.map(name)));
		for (const kind of ['programs', 'links']) mkdirSync(join(this.directory, kind), {recursive: true});
		if (missing.length === names.length) {
			this.create();
			this.pinMaps(names, pin);
		} else for (const name of missing) pin(name, this.map(name));
		return missing.length;
	}

	/** Removes every pin: maps, programs and links are freed as soon as no descriptor holds them. */
	remove(): void {
		for (const kind of ['links', 'programs', 'maps', UNFINISHED, REPLACED]) removeAll(join(this.directory, kind));
		if (existsSync(this.directory)) rmdirSync(this.directory);
	}
}

/** A directory of pins, which need not be there. */
function removeAll(directory: string): void {
	if (!existsSync(directory)) return;
	for (const pin of readdirSync(directory)) rmSync(join(directory, pin));
	rmdirSync(directory);
}
