import {ControlError, ExitCode} from '../errors.js';

/** What the file system refused, as `operation: path: why`, with the way out where the errno tells one. */
export function pathError(operation: string, path: string, cause: unknown): ControlError {
	const {code = 'error', message} = cause as NodeJS.ErrnoException;
	const denied = code === 'EACCES' || code === 'EPERM';
	const text = `${operation}: ${path}: ${denied ? `${code} (root is needed)` : message}`;
	return new ControlError(code, text, {cause, exitCode: denied ? ExitCode.permission : ExitCode.failure});
}
