import {chmodSync, mkdirSync, rmSync} from 'node:fs';
import type {Server} from 'node:net';
import {dirname} from 'node:path';
import {pathError} from './path-error.js';

/**
 * Listens on the unix socket `path`, which root alone may open, in place of what is there. `what` is for the ControlError
 * that is thrown when it cannot.
 */
export async function listenPrivately(server: Server, what: string, path: string): Promise<void> {
	try {
		mkdirSync(dirname(path), {recursive: true, mode: 0o755});
		rmSync(path, {force: true});
		await listening(server, path);
		chmodSync(path, 0o600);
	} catch (cause) {
		throw pathError(what, path, cause);
	}
}

/** Binds with a mask that leaves nobody but root a moment to connect before chmod. */
function listening(server: Server, path: string): Promise<void> {
	return new Promise((resolve, reject) => {
		server.once('error', reject);
		const mask = process.umask(0o177);
		try {
			server.listen(path, () => {
				server.off('error', reject);
				resolve();
			});
		} finally {
			process.umask(mask);
		}
	});
}
