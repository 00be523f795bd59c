import {BpfError, type FailureDetail} from './errors.js';
import type {Status} from './native.js';

/** Throws BpfError for a negative status. */
export function check(operation: string, object: string, status: Status, detail?: FailureDetail): void {
	if (status < 0) throw new BpfError(operation, object, -status, detail);
}

/** The result of a native call that answers with an object or with a status. */
export function checked<T extends object>(
	operation: string,
	object: string,
	answer: T | Status,
	detail?: FailureDetail,
): T {
	if (typeof answer !== 'number') return answer;
	throw new BpfError(operation, object, -answer, detail);
}
