import {constants} from 'node:fs';
import {open} from 'node:fs/promises';
import type {FileCheck} from '../conf/model.js';
import {type Checker, failed, type Result} from './checker.js';

/** A number needs no more. */
const READ_BYTES_MAX = 64;
/** A file is read in less, unless its disk is gone. */
const TIMEOUT_US = 5_000_000;
/** From this on down, keepalived does without the backend. */
const WEIGHT_MIN = -(2 ** 31 - 1);

/** FILE_CHECK: takes the number in a file for a change of the weight, or with weight 0 for a state. */
export function fileChecker({path, weight}: FileCheck): Checker {
	return {timeoutUs: TIMEOUT_US, check: async () => verdict(await readNumber(path), weight)};
}

function verdict(value: number, weight: number): Result {
	if (weight === 0) return value === 0 ? {ok: true} : failed('status', `the file says ${value}`);
	const by = value * weight;
	return by <= WEIGHT_MIN ? failed('status', `the file says ${value}`) : {ok: true, weight: {by}};
}

/** As keepalived reads it: what is not there or no number is 0. */
async function readNumber(path: string): Promise<number> {
	const text = await readStart(path);
	return Number(/^\s*([+-]?\d{1,15})/.exec(text)?.[1] ?? 0);
}

async function readStart(path: string): Promise<string> {
	try {
		// Without O_NONBLOCK, a pipe would keep a thread for ever.
		const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
		try {
			const {buffer, bytesRead} = await file.read(Buffer.alloc(READ_BYTES_MAX), 0, READ_BYTES_MAX, 0);
			return buffer.toString('latin1', 0, bytesRead);
		} finally {
			await file.close();
		}
	} catch {
		return '';
	}
}
