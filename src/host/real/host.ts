import {hostname} from 'node:os';
import type {Host} from '../host.js';
import {realClock} from './clock.js';
import {realMailer} from './mailer.js';
import {openNetlink} from './netlink.js';
import {realPipes} from './pipes.js';
import {realScripts} from './scripts.js';
import {realSubprocesses} from './vrrp-process.js';

/** This machine. Netlink is opened when it is first asked for, since that can be refused. */
export const realHost: Host = {
	clock: realClock,
	random: Math.random,
	subprocesses: realSubprocesses,
	scripts: realScripts(),
	pipes: realPipes,
	mailer: realMailer,
	name: hostname(),
	openNetlink: () => openNetlink(['links', 'addresses', 'neighbours', 'routes']),
};
