import {posix} from 'node:path';
import type {FileReason, Files} from '../../src/conf/files.js';

/** A disk of `path: content`; a content may also be the reason why the file cannot be read. Who is called `open` is open to all. */
export class MemoryFiles implements Files {
	readonly #contents: ReadonlyMap<string, string | Uint8Array>;
	readonly #refused: ReadonlyMap<string, FileReason>;

	constructor(
		contents: Readonly<Record<string, string | Uint8Array>>,
		refused: Readonly<Record<string, FileReason>> = {},
	) {
		this.#contents = new Map(Object.entries(contents));
		this.#refused = new Map(Object.entries(refused));
	}

	read(path: string, sizeMax: number): Uint8Array | FileReason {
		const refused = this.#refused.get(path);
		if (refused !== undefined) return refused;
		const content = this.#contents.get(path);
		if (content === undefined) return this.list(path).length > 0 ? 'not-regular' : 'missing';
		const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
		return bytes.length > sizeMax ? 'too-large' : bytes;
	}

	isExposed(path: string): boolean {
		return posix.basename(path).startsWith('open');
	}

	list(directory: string): readonly string[] {
		const prefix = directory === '.' ? '' : posix.join(directory, '/');
		const paths = [...this.#contents.keys(), ...this.#refused.keys()].filter(path => path.startsWith(prefix));
		return [...new Set(paths.map(path => path.slice(prefix.length).split('/')[0] ?? ''))];
	}
}
