import {spawn} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import type {SharingProcesses} from '../host.js';

const PROGRAM = fileURLToPath(new URL('../../sync/main.js', import.meta.url));

export const realSharingProcesses: SharingProcesses = {
	startSync({onMessage, onExit}) {
		const child = spawn(process.execPath, [PROGRAM], {stdio: ['ignore', 'inherit', 'inherit', 'ipc']});
		child.on('message', onMessage);
		child.on('error', error => {
			if (child.pid === undefined) onExit(error.message);
		});
		child.on('exit', (code, signal) => onExit(signal === null ? `exit code ${code}` : `signal ${signal}`));
		return {
			// To a process that has just gone it is lost; the exit is reported anyhow.
			send: message => {
				if (child.connected) child.send(message, () => {});
			},
			kill: () => void child.kill('SIGKILL'),
		};
	},
};
