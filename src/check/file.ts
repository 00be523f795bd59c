import type {FileCheck} from '../conf/model.js';
import type {SmallFiles} from '../host/host.js';
import {type Checker, failed, type Means, type Result} from './checker.js';

/** A file is read in less, unless its disk is gone. */
const TIMEOUT_US = 5_000_000;
/** From this on down, keepalived does without the backend. */
const WEIGHT_MIN = -(2 ** 31 - 1);

/** FILE_CHECK: takes the number in a file for a change of the weight, or with weight 0 for a state. */
export function fileChecker({path, weight}: FileCheck, {smallFiles}: Means): Checker {
	return {timeoutUs: TIMEOUT_US, check: async () => verdict(await readNumber(path, smallFiles), weight)};
}

function verdict(value: number, weight: number): Result {
	if (weight === 0) return value === 0 ? {ok: true} : failed('status', `the file says ${value}`);
	const by = value * weight;
	return by <= WEIGHT_MIN ? failed('status', `the file says ${value}`) : {ok: true, weight: {by}};
}

/** As keepalived reads it: what is not there or no number is 0. */
async function readNumber(path: string, files: SmallFiles): Promise<number> {
	const text = (await files.read(path)) ?? '';
	return Number(/^\s*([+-]?\d{1,15})/.exec(text)?.[1] ?? 0);
}
