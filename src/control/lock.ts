import {spawnSync} from 'node:child_process';
import {closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync} from 'node:fs';
import {dirname} from 'node:path';
import {ControlError, ExitCode} from '../errors.js';
import {pathError} from './path-error.js';
import {lockPath, RUN_DIRECTORY} from './protocol.js';

/** Held until `release`, or until the process is gone, however it went. */
export interface NameLock {
	release(): void;
}

/**
 * Makes sure that one daemon at most has a name on this machine, across network namespaces. Throws ControlError
 * `already-running` when another process holds the lock.
 *
 * The lock is flock(2): the kernel frees it when its holder dies, so it can neither go stale nor be won twice, which
 * no scheme of pid files achieves. Node has no flock, so flock(1) of util-linux takes it on our descriptor; the lock
 * belongs to the open file and stays with us when that command has ended. The file itself is never removed, because
 * two processes could then lock two files of one name.
 */
export function lockName(name: string, directory = RUN_DIRECTORY): NameLock {
	const path = lockPath(name, directory);
	const fd = open(path);
	try {
		takeLock(fd, name, path);
		ftruncateSync(fd);
		writeSync(fd, `${process.pid}\n`, 0);
	} catch (error) {
		closeSync(fd);
		throw error;
	}
	return {release: () => closeSync(fd)};
}

function open(path: string): number {
	try {
		mkdirSync(dirname(path), {recursive: true, mode: 0o755});
		return openSync(path, 'a+', 0o600);
	} catch (cause) {
		throw pathError('lock', path, cause);
	}
}

function takeLock(fd: number, name: string, path: string): void {
	const {error, status, stderr} = spawnSync('flock', ['--exclusive', '--nonblock', '3'], {
		stdio: ['ignore', 'ignore', 'pipe', fd],
		encoding: 'utf8',
	});
	if (error !== undefined) {
		throw new ControlError('lock', `lock: ${path}: cannot run flock: ${error.message} (install util-linux)`, {
			cause: error,
		});
	}
	if (status === 0) return;
	if (status === 1) throw alreadyRunning(name, path);
	throw new ControlError('lock', `lock: ${path}: flock: ${stderr.trim()}`);
}

function alreadyRunning(name: string, path: string): ControlError {
	const pid = readFileSync(path, 'utf8').trim();
	return new ControlError(
		'already-running',
		`a daemon named "${name}" already runs${pid === '' ? '' : ` with pid ${pid}`} (stop it first, or choose another --name)`,
		{exitCode: ExitCode.alreadyRunning},
	);
}
