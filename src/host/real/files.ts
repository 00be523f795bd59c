import {readdirSync, readFileSync, statSync} from 'node:fs';
import type {FileReason, Files} from '../../conf/files.js';

const EXECUTABLE = 0o111;
/** Anything that the group or others may do. */
const NOT_OWNER = 0o077;

/** Configuration files on the disk. */
export const realFiles: Files = {
	read(path: string, sizeMax: number): Uint8Array | FileReason {
		try {
			const status = statSync(path);
			if (!status.isFile() || (status.mode & EXECUTABLE) !== 0) return 'not-regular';
			return status.size > sizeMax ? 'too-large' : readFileSync(path);
		} catch (error) {
			return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'missing' : 'unreadable';
		}
	},
	isExposed(path: string): boolean {
		const status = statSync(path, {throwIfNoEntry: false});
		return status !== undefined && (status.mode & NOT_OWNER) !== 0;
	},
	list(directory: string): readonly string[] {
		try {
			return readdirSync(directory);
		} catch {
			return [];
		}
	},
};
