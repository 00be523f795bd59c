import {execFileSync} from 'node:child_process';
import {closeSync, constants, fchownSync, fstatSync, openSync, rmSync, writeSync} from 'node:fs';
import {KernelError} from '../../errors.js';
import type {Pipe, Pipes} from '../host.js';
import {accountOf} from './accounts.js';

type Fifo = Parameters<Pipes['open']>[0];

/** Reading as well keeps it open while nobody else reads; a link could lead anywhere. */
const FLAGS = constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOFOLLOW;

/** Named pipes in the file system, for readers that come and go. */
export const realPipes: Pipes = {
	open(fifo) {
		const isOurs = make(fifo);
		try {
			return openPipe(fifo, isOurs);
		} catch (error) {
			if (isOurs) rmSync(fifo.path, {force: true});
			throw refusal(fifo, error);
		}
	},
};

/** Whether it was not there. */
function make({path, mode}: Fifo): boolean {
	try {
		// Node has no call for it.
		execFileSync('mkfifo', ['-m', mode.toString(8), '--', path], {stdio: 'ignore'});
		return true;
	} catch {
		// It is there already, or opening it will tell what is wrong.
		return false;
	}
}

function openPipe(fifo: Fifo, isOurs: boolean): Pipe {
	const {path} = fifo;
	const fd = openSync(path, FLAGS);
	try {
		if (!fstatSync(fd).isFIFO()) throw new Error('it is there, and is no named pipe');
		if (isOurs) giveAway(fd, fifo);
	} catch (error) {
		closeSync(fd);
		throw error;
	}
	return {
		write: line => write(fd, line),
		close() {
			closeSync(fd);
			if (isOurs) rmSync(path, {force: true});
		},
	};
}

function giveAway(fd: number, fifo: Fifo): void {
	const {uid, gid} = accountOf(fifo);
	const {uid: ownUid, gid: ownGid} = fstatSync(fd);
	if (uid !== ownUid || gid !== ownGid) fchownSync(fd, uid, gid);
}

/** A line of up to PIPE_BUF bytes is written as a whole or not at all (pipe(7)). */
function write(fd: number, line: string): boolean {
	const bytes = Buffer.from(line);
	try {
		return writeSync(fd, bytes) === bytes.length;
	} catch {
		return false;
	}
}

function refusal({path}: Fifo, cause: unknown): KernelError {
	const {code = 'EINVAL', message} = cause as NodeJS.ErrnoException;
	const hint = code === 'ELOOP' ? 'it is a link' : message;
	return new KernelError('open fifo', path, code, hint, {cause});
}
