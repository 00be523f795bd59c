import {type ChildProcess, spawn} from 'node:child_process';
import {readdirSync, readFileSync, statSync} from 'node:fs';
import {connect} from 'node:net';
import {fileURLToPath} from 'node:url';
import type {Subprocess, Subprocesses} from '../host.js';
import {MessageSocket} from './message-socket.js';

const PROGRAM = fileURLToPath(new URL('../../vrrp/main.js', import.meta.url));
/** Above ordinary work, below the kernel's own threads at 50. */
const FIFO_PRIORITY = '10';
/**
 * A thread that computes for so long without ever sleeping is out of its senses, and in real time nobody else of its CPU gets
 * to run: the kernel ends the process (SIGXCPU), and the next one goes on from its lease. Microseconds, see RLIMIT_RTTIME.
 */
const REAL_TIME_US = 2_000_000;

/** A command that runs the one behind it in real time; every thread of it, V8's too, as it is so before Node makes any. */
export const REAL_TIME = [
	'prlimit',
	`--rttime=${REAL_TIME_US}:${2 * REAL_TIME_US}`,
	'chrt',
	'-f',
	FIFO_PRIORITY,
] as const;

/** What `ps` shows of the `lbd-vrrp` that listens on `socket`. */
export function vrrpTitle(socket: string): string {
	return `lbd-vrrp ${socket}`;
}

/** `prefix` is a command that runs the command behind it, such as `nsenter --net=…`. */
export function realSubprocesses(prefix: readonly string[] = []): Subprocesses {
	return {
		startVrrp: ({socket, realTime, ...events}) => {
			const scheduler = realTime ? REAL_TIME : [];
			return new Started([...prefix, ...scheduler, process.execPath, PROGRAM, socket], socket, events);
		},
		findVrrp: ({socket, ...events}) => new Found(socket, events),
	};
}

interface Events {
	readonly onMessage: (message: unknown) => void;
	readonly onExit: (how: string) => void;
}

/** One that was there before us: its end is that of the connection. */
class Found implements Subprocess {
	readonly #path: string;
	readonly #link: MessageSocket;
	/** Those that were there then; the one that is to take the place of a found one listens there, too. */
	readonly #pids: ReadonlySet<number>;
	#left = false;

	constructor(path: string, {onMessage, onExit}: Events) {
		this.#path = path;
		this.#pids = new Set(processesOf(path));
		const closed = (how: string): void => {
			// One that lives on, but does not let us in, would be in the way of the next.
			if (!this.#left) this.#end();
			onExit(how);
		};
		this.#link = new MessageSocket(connect(path), {message: onMessage, closed});
		this.send({kind: 'hello'});
	}

	send(message: object): void {
		this.#link.send(message);
	}

	kill(): void {
		this.#end();
		this.leave();
	}

	leave(): void {
		this.#left = true;
		this.#link.close('left');
	}

	#end(): void {
		for (const pid of processesOf(this.#path)) if (this.#pids.has(pid)) killIfThere(pid);
	}
}

/** Our child, in a session of its own. It says on its fourth descriptor when it listens. */
class Started implements Subprocess {
	readonly #child: ChildProcess;
	#link: MessageSocket | null = null;
	/** How it has ended, while its last words may still be on their way. */
	#how: string | null = null;
	#left = false;
	#onExit: ((how: string) => void) | null;

	constructor([command = '', ...args]: readonly string[], path: string, {onMessage, onExit}: Events) {
		this.#onExit = onExit;
		this.#child = spawn(command, args, {stdio: ['ignore', 'ignore', 'inherit', 'pipe'], detached: true});
		this.#child.on('error', error => {
			if (this.#child.pid === undefined) this.#exited(error.message);
		});
		this.#child.on('exit', (code, signal) => this.#exited(signal === null ? `exit code ${code}` : `signal ${signal}`));
		this.#child.stdio[3]?.once('data', () => this.#connect(path, onMessage));
	}

	send(message: object): void {
		this.#link?.send(message);
	}

	kill(): void {
		this.#child.kill('SIGKILL');
	}

	leave(): void {
		this.#child.unref();
		this.#left = true;
		this.#link?.close('left');
	}

	#connect(path: string, onMessage: (message: unknown) => void): void {
		const closed = (): void => {
			this.#link = null;
			if (this.#how !== null) this.#exited(this.#how);
			// One that lives on without us would be in the way of the next.
			else if (!this.#left) this.kill();
		};
		this.#link = new MessageSocket(connect(path), {message: onMessage, closed});
		this.send({kind: 'hello'});
	}

	#exited(how: string): void {
		this.#how = how;
		if (this.#link !== null) return;
		this.#onExit?.(how);
		this.#onExit = null;
	}
}

/** It may end by itself at the same moment. */
function killIfThere(pid: number): void {
	try {
		process.kill(pid, 'SIGKILL');
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
	}
}

/** Ours by that title; there may be one that does not answer any more. */
function processesOf(socket: string): number[] {
	const pids = readdirSync('/proc').flatMap(entry => (/^\d+$/.test(entry) ? [Number(entry)] : []));
	return pids.filter(pid => {
		try {
			const title = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0];
			return title === vrrpTitle(socket) && statSync(`/proc/${pid}`).uid === process.getuid?.();
		} catch {
			return false;
		}
	});
}
