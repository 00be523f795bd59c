import {type ChildProcess, spawn} from 'node:child_process';
import {closeSync, openSync} from 'node:fs';
import {dirname} from 'node:path';
import {run} from './run.js';

/**
 * The start of a command line that runs in a network namespace. `ip netns exec` would also give it a mount namespace
 * with a fresh /sys, and the BPF file system would be out of sight.
 */
export function inside(namespace: string): string[] {
	return ['nsenter', `--net=/run/netns/${namespace}`, '--'];
}

/** Runs shell commands in a namespace; the first that fails ends them. */
export async function script(namespace: string, lines: readonly string[]): Promise<void> {
	await run([...inside(namespace), 'sh', '-e'], {input: `${lines.join('\n')}\n`});
}

/** The daemons of the laboratory run under the same Node as the laboratory. */
const environment = {...process.env, PATH: `${dirname(process.execPath)}:${process.env.PATH ?? ''}`};

/**
 * Starts a program that outlives this one if it is left alone: in a session of its own, so that Ctrl-C in the terminal
 * does not reach it, and with its output in a file.
 */
export function launch(namespace: string, argv: readonly string[], logFile: string): ChildProcess {
	const [command = '', ...args] = [...inside(namespace), ...argv];
	const log = openSync(logFile, 'a');
	const child = spawn(command, args, {stdio: ['ignore', log, log], detached: true, env: environment});
	closeSync(log);
	child.unref();
	return child;
}
