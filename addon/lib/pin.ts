import {constants} from 'node:os';
import {dirname} from 'node:path';
import {isBpffs} from './bpffs.js';
import {check, checked} from './check.js';
import {EMEDIUMTYPE, type FailureDetail} from './errors.js';
import type {Status} from './native.js';

const {EEXIST, ENOENT, EPERM} = constants.errno;

/** For opening a pinned map, program or link. */
export function checkedPin<T extends object>(kind: string, path: string, answer: T | Status): T {
	return checked(`open pinned ${kind}`, path, answer, pinDetail(kind, answer));
}

function pinDetail(kind: string, answer: object | Status): FailureDetail {
	if (answer === -ENOENT) return {hint: 'nothing is pinned there'};
	if (answer === -EMEDIUMTYPE) return {hint: `what is pinned there is not a ${kind}`};
	return {};
}

/** For pinning one. */
export function checkPinning(kind: string, path: string, status: Status): void {
	check(`pin ${kind}`, path, status, pinningDetail(path, status));
}

function pinningDetail(path: string, status: Status): FailureDetail {
	if (status === -EEXIST) return {hint: 'something is pinned there'};
	if (status === -EPERM && !isBpffs(dirname(path))) return {hint: 'its directory is not in a bpffs'};
	return {};
}
