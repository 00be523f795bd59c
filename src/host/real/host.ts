import {hostname} from 'node:os';
import type {Host} from '../host.js';
import {build} from './build.js';
import {realClock} from './clock.js';
import {realMailer} from './mailer.js';
import {openNetlink} from './netlink.js';
import {realPipes} from './pipes.js';
import {realProcesses} from './processes.js';
import {realScripts} from './scripts.js';
import {realSmallFiles} from './small-files.js';
import {realSharingProcesses} from './sync-process.js';
import {realSubprocesses} from './vrrp-process.js';

/** This machine. Netlink is opened when it is first asked for, since that can be refused. */
export const realHost: Host = {
	clock: realClock,
	random: Math.random,
	subprocesses: realSubprocesses(),
	sharingProcesses: realSharingProcesses,
	scripts: realScripts(),
	smallFiles: realSmallFiles,
	processes: realProcesses,
	pipes: realPipes,
	mailer: realMailer,
	name: hostname(),
	get build() {
		return build();
	},
	openNetlink: () => openNetlink(['links', 'addresses', 'neighbours', 'routes']),
};
