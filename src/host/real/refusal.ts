import {NetError} from 'libbpf-ts/net';
import {ExitCode, KernelError} from '../../errors.js';

/** Runs socket calls about `object`; what the kernel refuses becomes a `KernelError` that names it. */
export function named<Value>(object: string, calls: () => Value): Value {
	try {
		return calls();
	} catch (error) {
		if (!(error instanceof NetError)) throw error;
		throw refusal(error.operation, object, error.code, error);
	}
}

export function refusal(operation: string, object: string, code: string, cause?: unknown): KernelError {
	if (code !== 'EPERM' && code !== 'EACCES') return new KernelError(operation, object, code, '', {cause});
	return new KernelError(operation, object, code, 'needs root, or CAP_NET_ADMIN and CAP_NET_RAW', {
		cause,
		exitCode: ExitCode.permission,
	});
}
