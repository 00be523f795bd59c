import {type ChildProcess, spawn} from 'node:child_process';
import {accessSync, constants, realpathSync, statSync} from 'node:fs';
import {delimiter, dirname, join, resolve} from 'node:path';
import type {Script} from '../../conf/model.js';
import type {Cancel, ScriptEnd, Scripts} from '../host.js';
import {accountOf} from './accounts.js';
import {realClock} from './clock.js';

/** Scripts that run at the same time; whoever has more to run has lost control of them. */
const RUNNING_MAX = 1024;
/** Between SIGTERM and SIGKILL, as keepalived has it. */
const GRACE_US = 2_000_000;
const WRITABLE_BY_GROUP = 0o020;
const WRITABLE_BY_OTHERS = 0o002;

export function realScripts(): Scripts {
	let running = 0;
	return {
		async run(script, options) {
			if (running >= RUNNING_MAX) return failed(`${RUNNING_MAX} scripts are running already`);
			running++;
			try {
				return await toItsEnd(start(script), options);
			} catch (error) {
				return failed((error as Error).message);
			} finally {
				running--;
			}
		},
	};
}

function failed(reason: string): ScriptEnd {
	return {kind: 'failed', reason};
}

/** In a session of its own, so that what it starts can be ended with it. */
function start(script: Script): ChildProcess {
	const account = accountOf(script);
	const program = locate(script.argv[0]);
	if (script.secured && account.uid === 0) requireRootsOwn(program);
	const isOwn = account.uid === process.getuid?.() && account.gid === process.getgid?.();
	return spawn(program, script.argv.slice(1), {
		cwd: '/',
		detached: true,
		env: safeEnvironment(),
		stdio: 'ignore',
		...(isOwn ? {} : account),
	});
}

/** Where a program is; one that is nowhere stays as it is, and cannot be started. */
function locate(program: string): string {
	if (program.includes('/')) return resolve(program);
	const places = (process.env.PATH ?? '').split(delimiter).map(directory => join(directory, program));
	return places.find(isExecutable) ?? program;
}

function isExecutable(path: string): boolean {
	try {
		accessSync(path, constants.X_OK);
		return true;
	} catch {
		return false;
	}
}

/** Throws if anybody but root could put another program there. */
function requireRootsOwn(program: string): void {
	for (const path of [...selfAndParents(program), ...selfAndParents(realpathSync(program))]) {
		const {uid, gid, mode} = statSync(path);
		const othersWrite = (mode & WRITABLE_BY_OTHERS) !== 0 || (gid !== 0 && (mode & WRITABLE_BY_GROUP) !== 0);
		if (uid === 0 && !othersWrite) continue;
		throw new Error(`${program}: enable_script_security does not let root run it: others can change ${path}`);
	}
}

function selfAndParents(path: string): string[] {
	const parent = dirname(path);
	return parent === path ? [path] : [path, ...selfAndParents(parent)];
}

/** Without what changes how a program is loaded or read. */
function safeEnvironment(): NodeJS.ProcessEnv {
	return Object.fromEntries(Object.entries(process.env).filter(([name]) => name !== 'IFS' && !name.startsWith('LD_')));
}

function toItsEnd(
	child: ChildProcess,
	{timeoutUs, signal}: {readonly timeoutUs: number; readonly signal?: AbortSignal},
): Promise<ScriptEnd> {
	return new Promise(resolve => {
		let terminated = false;
		let cancel: Cancel = () => {};
		const terminate = () => {
			if (terminated) return;
			terminated = true;
			cancel();
			killGroup(child, 'SIGTERM');
			cancel = realClock.after(GRACE_US, 'kill script', () => killGroup(child, 'SIGKILL'));
		};
		const settle = (end: ScriptEnd) => {
			cancel();
			signal?.removeEventListener('abort', terminate);
			resolve(end);
		};
		child.once('error', error => settle(failed(error.message)));
		child.once('exit', (status, by) => {
			// What it leaves behind must not outlive it, but only where it was told to go.
			if (terminated) killGroup(child, 'SIGKILL');
			if (terminated) settle({kind: 'timeout'});
			else settle(by === null ? {kind: 'exited', status: status ?? 0} : {kind: 'signalled', signal: by});
		});
		cancel = realClock.after(timeoutUs, 'script timeout', terminate);
		if (signal?.aborted) terminate();
		else signal?.addEventListener('abort', terminate);
	});
}

function killGroup({pid}: ChildProcess, signal: NodeJS.Signals): void {
	if (pid === undefined) return;
	try {
		process.kill(-pid, signal);
	} catch {
		// All of it is gone already.
	}
}
