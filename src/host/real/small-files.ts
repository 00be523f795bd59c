import {constants, watch} from 'node:fs';
import {open, writeFile} from 'node:fs/promises';
import {basename, dirname} from 'node:path';
import type {SmallFiles} from '../host.js';

/** As much as anybody writes to say a number. */
const READ_MAX = 128;

export const realSmallFiles: SmallFiles = {
	async read(path) {
		try {
			// Without waiting: what stands there may be a pipe that nobody writes to.
			const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
			try {
				const {buffer, bytesRead} = await file.read({buffer: Buffer.alloc(READ_MAX)});
				return buffer.toString('latin1', 0, bytesRead);
			} finally {
				await file.close();
			}
		} catch {
			return null;
		}
	},
	async write(path, text) {
		try {
			await writeFile(path, text, {
				flag: constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW,
			});
			return null;
		} catch (error) {
			return (error as Error).message;
		}
	},
	watch(path, onChange) {
		const file = basename(path);
		try {
			// The directory: the file may not be there yet, or be replaced.
			const watcher = watch(dirname(path), (_event, name) => {
				if (name === file) onChange();
			});
			watcher.on('error', () => watcher.close());
			return () => watcher.close();
		} catch {
			return () => {};
		}
	},
};
