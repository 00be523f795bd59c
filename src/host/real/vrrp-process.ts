import {type ChildProcess, spawn} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import type {Subprocesses} from '../host.js';

const PROGRAM = fileURLToPath(new URL('../../vrrp/main.js', import.meta.url));
/** Above ordinary work, below the kernel's own threads at 50. */
const FIFO_PRIORITY = '10';

/** Every thread of the process must be real-time, V8's too, so `chrt` sets the class before Node makes any. */
export const realSubprocesses: Subprocesses = {
	startVrrp({realTime, onMessage, onExit}) {
		const node = [process.execPath, PROGRAM];
		const [command, ...args] = realTime ? ['chrt', '-f', FIFO_PRIORITY, ...node] : node;
		const child = spawn(command ?? '', args, {stdio: ['ignore', 'inherit', 'inherit', 'ipc']});
		const exitOnce = once(onExit);
		child.on('message', onMessage);
		child.on('error', error => {
			if (child.pid === undefined) exitOnce(error.message);
		});
		child.on('exit', (code, signal) => {
			const how = signal === null ? `exit code ${code}` : `signal ${signal}`;
			// Its last words may still be in the channel.
			if (child.connected) child.once('disconnect', () => exitOnce(how));
			else exitOnce(how);
		});
		return {
			send: message => send(child, message),
			kill: () => void child.kill('SIGKILL'),
		};
	},
};

/** A message to a process that has just gone is lost; its exit is reported anyhow. */
function send(child: ChildProcess, message: object): void {
	if (child.connected) child.send(message, () => {});
}

function once(fn: (how: string) => void): (how: string) => void {
	let called = false;
	return how => {
		if (called) return;
		called = true;
		fn(how);
	};
}
