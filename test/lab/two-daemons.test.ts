/** Two daemons on one machine, in one network namespace: each with a name, NICs and files of its own. */
import {existsSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import type {ExecutionContext} from 'ava';
import {Daemon} from '../../lab/daemon.js';
import {titled} from '../../lab/proc.js';
import {controlSocketOf, lockOf, vrrpSocketOf} from '../../lab/record.js';
import {externalVip, internalVip} from '../../lab/topology.js';
import {waitFor} from '../../lab/wait.js';
import type {InstanceReport, Status} from '../../src/control/protocol.js';
import {ExitCode} from '../../src/errors.js';
import {labOfFile, test} from './lab-test.js';
import {type Finished, finish, program, traces} from './observe.js';

/** VRRP and a service on one NIC. */
function job(device: string, vrid: number, vip: string, backend: string): string {
	return `vrrp_instance ${device} {
	interface ${device}
	virtual_router_id ${vrid}
	priority 200
	advert_int 0.1
	version 3
	virtual_ipaddress {
		${vip}/24
	}
}
virtual_server ${vip} 80 {
	protocol TCP
	lb_kind DR
	real_server ${backend} 80 {
	}
}
lbd {
	metrics off
	vrrp_grace 60
}
`;
}

const lab = labOfFile({configs: {lb1: job('eth0', 91, externalVip, '192.168.1.254')}});

const neighbour = () => `${lab().lb1.daemonName}-b`;

function lbctl(name: string, ...args: string[]): Promise<Finished> {
	return finish(lab().lb1, [...program('lbctl'), '--name', name, ...args]);
}

async function status(name: string): Promise<Status> {
	return JSON.parse((await lbctl(name, '--json', 'status')).stdout).daemon as Status;
}

/** The second daemon, on the same machine as lb1's; removed after the test with all its traces. */
async function startNeighbour(t: ExecutionContext): Promise<Daemon> {
	const {directory, lb1} = lab();
	const configFile = join(directory, 'neighbour.conf');
	writeFileSync(configFile, job('eth1', 92, internalVip, '10.0.0.71'));
	const daemon = await Daemon.start({
		name: 'the second lbd on lb1',
		namespace: lb1.namespace,
		argv: [...program('lbd'), '--name', neighbour(), '-f', configFile],
		logFile: join(directory, 'neighbour.log'),
		isReady: async () => (await lbctl(neighbour(), 'status')).code === ExitCode.ok,
		heirlooms: () => titled(`lbd-vrrp ${vrrpSocketOf(neighbour())}`),
	});
	t.teardown(async () => {
		if (daemon.running) await daemon.kill();
		await lbctl(neighbour(), 'unload');
		for (const file of [lockOf, controlSocketOf, vrrpSocketOf]) rmSync(file(neighbour()), {force: true});
	});
	return daemon;
}

async function areMasters(...names: readonly string[]): Promise<boolean> {
	const reports = await Promise.all(names.map(async name => (await status(name)).vrrp.instances));
	return reports.flat().every(({state}: InstanceReport) => state === 'master');
}

test('each has its NIC, its instance, its files; one ends or crashes, and the other does not notice', async t => {
	const {lb1} = lab();
	const [one, two] = [lb1.daemonName, neighbour()];
	await lb1.start();
	const daemon = await startNeighbour(t);
	await waitFor('both are masters', async () => (await areMasters(one, two)) && (await lb1.isMaster()));
	t.deepEqual((await traces(lb1)).xdp, ['eth0', 'eth1']);
	for (const [name, nic] of [
		[one, 'eth0'],
		[two, 'eth1'],
	] as const) {
		const {nics, vrrp} = await status(name);
		t.deepEqual(nics, [{name: nic, mode: 'native'}]);
		t.deepEqual(
			vrrp.instances.map(({instance}) => instance),
			[nic],
		);
		for (const file of [lockOf, controlSocketOf, vrrpSocketOf]) t.true(existsSync(file(name)));
		t.is(titled(`lbd-vrrp ${vrrpSocketOf(name)}`).length, 1);
	}

	const standing = (await status(two)).vrrp.instances[0]?.transitions;
	await lb1.kill();
	await lb1.start();
	await waitFor('the first one is master again', () => areMasters(one));
	await lb1.stop();
	t.is(lb1.exitReason, ExitCode.ok);
	t.deepEqual(await lb1.vips(), [internalVip]);
	t.is((await lbctl(one, 'unload')).code, ExitCode.ok);
	t.deepEqual((await traces(lb1)).xdp, ['eth1']);
	const {pid, vrrp} = await status(two);
	t.is(pid, daemon.pid);
	t.like(vrrp.instances[0], {state: 'master', transitions: standing});
	await daemon.stop();
	t.deepEqual(await lb1.vips(), []);
});
