/** Data planes under names of their own, whose pins go at the end of the test; NICs as in test/packets. */
import {execFileSync} from 'node:child_process';
import {readdirSync} from 'node:fs';
import type {ExecutionContext} from 'ava';
import {BpfProgram} from 'libbpf-ts';
import type {Service} from '../../src/conf/model.js';
import {realClock} from '../../src/host/real/clock.js';
import {type Circumstances, type Desired, desired} from '../../src/plan/desired.js';
import {diff} from '../../src/plan/diff.js';
import {DataPlane, type DataPlaneOptions} from '../../src/xdp/dataplane.js';
import {Pins} from '../../src/xdp/pins.js';
import type {Tables} from '../../src/xdp/tables.js';
import {FakeLog} from '../fake/log.js';
import {OBJECT_DIRECTORY} from '../packets/balancer.js';
import {mac} from '../packets/frame.js';

export const SIZES = {
	services: 1023,
	backends: 16_383,
	flows: 4096,
	flows6: 1024,
	persistenceEntries: 512,
	fragments: 256,
};
/** Its slot in `nics`: loopback's index. */
export const LOOPBACK = 1;
export const LOOPBACK_MAC = '00:00:00:00:00:00';

let names = 0;

/** A daemon's name that nobody else has; what is pinned under it goes at the end of the test. */
export function freshName(t: ExecutionContext): string {
	const name = `test-${process.pid}-${names++}`;
	t.teardown(() => new Pins(name).remove());
	return name;
}

/** Opens a data plane that is closed at the end of the test. */
export async function open(t: ExecutionContext, overrides: Partial<DataPlaneOptions> = {}): Promise<DataPlane> {
	const plane = await DataPlane.open({
		name: overrides.name ?? freshName(t),
		objectDirectory: OBJECT_DIRECTORY,
		sizes: SIZES,
		timeouts: {tcp: 900, tcpFin: 120, udp: 300},
		clock: realClock,
		log: new FakeLog(),
		...overrides,
	});
	t.teardown(() => plane.close());
	return plane;
}

/** What the tables should be for these services, with loopback as the only NIC and one MAC address for all backends. */
export function planFor(
	plane: DataPlane,
	services: readonly Service[],
	circumstances: Partial<Pick<Circumstances, 'actual' | 'liveFlows'>> = {},
): Desired {
	return desired(services, {
		actual: plane.tables,
		capacity: plane.capacity,
		nics: new Map([[LOOPBACK, {ifindex: LOOPBACK, mac: mac(LOOPBACK_MAC), mtu: 1500}]]),
		routerRoles: new Map(),
		hz: plane.settings.hz,
		instances: [],
		isUp: () => true,
		nextHop: () => ({mac: mac('02:00:00:00:00:71'), nic: LOOPBACK, source: null, isOnLink: true}),
		liveFlows: () => 0,
		...circumstances,
	});
}

/** The tables of a plan that has no problems. */
export function tablesOf({tables, problems}: Desired): Tables {
	if (problems.length > 0) throw new Error(problems.join('\n'));
	return tables;
}

/** Puts services in force, see planFor(). */
export function serve(plane: DataPlane, services: readonly Service[]): void {
	plane.apply(diff(plane.tables, tablesOf(planFor(plane, services))));
}

/** Sends frames through the pinned program, as if they came in on loopback; what is forwarded leaves there too (XDP_TX). */
export function send(t: ExecutionContext, name: string): (frame: Uint8Array) => {retval: number; data: Uint8Array} {
	const program = BpfProgram.openPinned(new Pins(name).program('lb'));
	t.teardown(() => program.close());
	return data => program.testRun({data, ifindex: LOOPBACK});
}

/** A veth NIC with its peer, until the end of the test; its name is one that test/packets allows in its namespace. */
export function veth(t: ExecutionContext): {readonly name: string; readonly ifindex: number} {
	const name = `int${process.pid}${names++}`;
	execFileSync('ip', ['link', 'add', name, 'type', 'veth', 'peer', 'name', `${name}p`]);
	t.teardown(() => removeLink(name));
	return {name, ifindex: ifindexOf(name)};
}

function ifindexOf(name: string): number {
	const [link] = JSON.parse(execFileSync('ip', ['-j', 'link', 'show', name], {encoding: 'utf8'}));
	return link.ifindex;
}

/** Removes a NIC, if it is still there. */
export function removeLink(name: string): void {
	try {
		execFileSync('ip', ['link', 'delete', name], {stdio: 'ignore'});
	} catch {
		// Gone already.
	}
}

/** What this process has open. */
export function descriptors(): number {
	return readdirSync('/proc/self/fd').length;
}
