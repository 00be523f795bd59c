/**
 * `lbd-vrrp`: VRRP and netlink in a process of their own, so that nothing else the daemon does can delay an advert. `lbd`
 * starts it and talks to it over Node's IPC channel; when the channel ends, `lbd` is dead, and this process takes its
 * addresses off and follows.
 */
import {schedulingClass} from 'libbpf-ts/net';
import {ExitCode} from '../errors.js';
import {realClock} from '../host/real/clock.js';
import {openNetlink} from '../host/real/netlink.js';
import {realSockets} from '../host/real/sockets.js';
import {PinnedLeases} from '../xdp/leases.js';
import {VrrpAgent} from './agent.js';
import type {FromVrrp, ToVrrp} from './protocol.js';

function send(message: FromVrrp): void {
	// With a callback, a channel that is just closing is no exception.
	if (process.connected) process.send?.(message, undefined, undefined, () => {});
}

function isRealTime(): boolean {
	const {policy} = schedulingClass();
	return policy === 'fifo' || policy === 'rr';
}

function main(): void {
	process.title = 'lbd-vrrp';
	// A signal to the whole process group is meant for the daemon, which stops us in its own order.
	for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
	let exitCode: ExitCode = ExitCode.ok;
	const agent = new VrrpAgent({
		openHost: () => ({
			clock: realClock,
			sockets: realSockets,
			leases: new PinnedLeases(),
			netlink: openNetlink(['links', 'addresses', 'routes', 'rules', 'settings']),
		}),
		realTime: isRealTime(),
		send,
		onStopped: () => process.exit(exitCode),
	});
	process.on('message', message => agent.receive(message as ToVrrp));
	process.on('disconnect', () => agent.receive({kind: 'stop'}));
	process.on('uncaughtException', error => {
		// The second one comes from the stopping itself.
		if (exitCode === ExitCode.bug) process.exit(exitCode);
		exitCode = ExitCode.bug;
		send({kind: 'log', level: 'error', fields: {}, text: `lbd-vrrp: ${error.stack}`});
		agent.receive({kind: 'stop'});
	});
}

if (process.send === undefined) {
	process.stderr.write('lbd-vrrp: started by lbd, not by hand\n');
	process.exitCode = ExitCode.usage;
} else {
	main();
}
