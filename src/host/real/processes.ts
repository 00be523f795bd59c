import {closeSync, openSync, readdirSync, readSync} from 'node:fs';
import type {Processes, RunningProcess} from '../host.js';

/** Of a command line; what is behind counts for nothing. */
const READ_MAX = 4096;

/** proc(5). A process that goes while it is being looked at is not there. */
export const realProcesses: Processes = {
	list({commands}) {
		const buffer = Buffer.alloc(READ_MAX);
		return readdirSync('/proc').flatMap(entry => (/^\d+$/.test(entry) ? readProcess(entry, commands, buffer) : []));
	},
};

function readProcess(pid: string, commands: boolean, buffer: Buffer): RunningProcess[] {
	try {
		// `PID (NAME) STATE …`, where NAME may hold anything.
		const stat = readInto(buffer, `/proc/${pid}/stat`);
		const end = stat.lastIndexOf(')');
		if (stat[end + 2] === 'Z') return [];
		const name = stat.slice(stat.indexOf('(') + 1, end);
		const command = commands ? readInto(buffer, `/proc/${pid}/cmdline`).split('\0').slice(0, -1) : [];
		return [{name, command}];
	} catch {
		return [];
	}
}

function readInto(buffer: Buffer, path: string): string {
	const fd = openSync(path, 'r');
	try {
		return buffer.toString('utf8', 0, readSync(fd, buffer, 0, buffer.length, 0));
	} finally {
		closeSync(fd);
	}
}
