/** Where a daemon's kernel objects are pinned, so that they outlive it: bpffs/lbd/NAME/{maps,links,programs}/… */
import {existsSync, mkdirSync, readdirSync, rmdirSync, rmSync} from 'node:fs';
import {join} from 'node:path';

export const BPFFS = '/sys/fs/bpf';

/** Where the program runs: in the driver, or in the kernel's slower generic receive path. */
export type AttachMode = 'native' | 'generic';

export interface PinnedLink {
	readonly path: string;
	readonly ifindex: number;
	readonly mode: AttachMode;
}

/** The pins of one daemon. */
export class Pins {
	readonly directory: string;

	constructor(name: string) {
		this.directory = join(BPFFS, 'lbd', name);
	}

	map(name: string): string {
		return join(this.directory, 'maps', name);
	}

	program(name: string): string {
		return join(this.directory, 'programs', name);
	}

	/** Puts a program's pin in the place of the one before. */
	replaceProgram(name: string, pin: (path: string) => void): void {
		rmSync(this.program(name), {force: true});
		pin(this.program(name));
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

	linkOf(ifindex: number): PinnedLink | null {
		return this.links().find(link => link.ifindex === ifindex) ?? null;
	}

	/** Detaches, when nobody holds a descriptor of the link. */
	removeLink(link: PinnedLink): void {
		rmSync(link.path, {force: true});
	}

	exist(): boolean {
		return existsSync(join(this.directory, 'maps'));
	}

	/** Makes the directories. */
	create(): void {
		for (const kind of ['maps', 'programs', 'links']) mkdirSync(join(this.directory, kind), {recursive: true});
	}

	/** Removes every pin: maps, programs and links are freed as soon as no descriptor holds them. */
	remove(): void {
		for (const kind of ['links', 'programs', 'maps']) {
			const directory = join(this.directory, kind);
			if (!existsSync(directory)) continue;
			for (const pin of readdirSync(directory)) rmSync(join(directory, pin));
			rmdirSync(directory);
		}
		if (existsSync(this.directory)) rmdirSync(this.directory);
	}
}
