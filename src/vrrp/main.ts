/**
 * `lbd-vrrp SOCKET`: VRRP and netlink in a process of their own, so that nothing else the daemon does can delay an advert.
 * `lbd` starts it and talks to it over the socket; when `lbd` dies, this goes on and waits some time for another one.
 */
import {closeSync, writeSync} from 'node:fs';
import {lockCode, schedulingClass} from 'libbpf-ts/net';
import {ControlError, ExitCode} from '../errors.js';
import {build} from '../host/real/build.js';
import {realClock} from '../host/real/clock.js';
import {openNetlink} from '../host/real/netlink.js';
import {realSockets} from '../host/real/sockets.js';
import {VrrpEar} from '../host/real/vrrp-ear.js';
import {vrrpTitle} from '../host/real/vrrp-process.js';
import {PinnedLeases} from '../xdp/leases.js';
import {VrrpAgent} from './agent.js';
import {parseToVrrp} from './protocol.js';

/** A pipe from `lbd`, which waits for a byte of it before it connects. */
const LISTENING_FD = 3;

function isRealTime(): boolean {
	const {policy} = schedulingClass();
	return policy === 'fifo' || policy === 'rr';
}

async function main(socket: string): Promise<void> {
	process.title = vrrpTitle(socket);
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
		clock: realClock,
		build: build(),
		realTime: isRealTime(),
		onFault: fail,
		onStopping: () => ear.close(),
		onStopped: () => void ear.flush().then(() => process.exit(exitCode)),
	});
	const ear = new VrrpEar({
		connected: send => agent.connected(send),
		message: said => {
			const message = parseToVrrp(said);
			if (message !== null) agent.receive(message);
			return message !== null;
		},
		drained: () => agent.drained(),
		disconnected: () => agent.disconnected(),
	});
	process.on('uncaughtException', fail);
	try {
		lockCode();
	} catch (error) {
		agent.complain('warn', `adverts may have to wait for a disk: ${(error as Error).message}`);
	}
	await ear.listen(socket);
	writeSync(LISTENING_FD, '\n');
	closeSync(LISTENING_FD);

	function fail(error: unknown): void {
		// The second one comes from the stopping itself.
		if (exitCode === ExitCode.bug) process.exit(exitCode);
		exitCode = ExitCode.bug;
		agent.complain('error', `lbd-vrrp: ${error instanceof Error ? error.stack : String(error)}`);
		agent.receive({kind: 'stop'});
	}
}

const [, , socket] = process.argv;
if (socket === undefined) {
	process.stderr.write('lbd-vrrp: started by lbd, not by hand\n');
	process.exitCode = ExitCode.usage;
} else {
	try {
		await main(socket);
	} catch (error) {
		process.stderr.write(`lbd-vrrp: ${error instanceof ControlError ? error.message : String(error)}\n`);
		process.exit(ExitCode.failure);
	}
}
