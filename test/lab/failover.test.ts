/**
 * The reference job loses its master: by SIGKILL, by a cable on either side, in good order. Both virtual addresses move
 * together, clients are interrupted no longer than keepalived's timing rules allow, and everybody is told by ARP.
 */
import type {ExecutionContext} from 'ava';
import type {Balancer} from '../../lab/balancer.js';
import type {Capture, Frame} from '../../lab/capture.js';
import {type Interruption, interruption} from '../../lab/interruption.js';
import {externalVip, internalVip, macOf, nodes, vips} from '../../lab/topology.js';
import {monotonicMs, waitFor} from '../../lab/wait.js';
import {reference} from './jobs.js';
import {labOfFile, startPrimary, test} from './lab-test.js';
import {onlyMaster} from './observe.js';

const ADVERT_MS = 1000;
/** Of the backup's priority 100, by the rule of version 2: (256 - priority) / 256 s. */
const SKEW_MS = ((256 - 100) / 256) * 1000;
/** Three silent adverts and the skew: when a master is given up that said nothing. */
const MASTER_DOWN_MS = 3 * ADVERT_MS + SKEW_MS;
/** What a busy machine may add to the time stamps that its kernel gives frames; lbd-vrrp runs in real time. */
const TOLERANCE_MS = 700;
/** And to what its clients measure, which have to wait for their turn on the CPU. */
const CLIENT_TOLERANCE_MS = 2000;
const PERIOD_MS = 20;

const lab = labOfFile({configs: {lb1: reference.primary, lb2: reference.backup}}, async built => {
	await Promise.all([startPrimary(built), built.lb2.start()]);
	await onlyMaster(built.lb1, built.lb2);
});

interface Failover {
	readonly felt: Interruption;
	/** From the fault until the successor had announced each of the addresses, external and internal. */
	readonly movedMs: readonly number[];
	/** What it has announced each with, in the order in which it came. */
	readonly gratuitous: readonly (readonly Frame[])[];
}

/** The two wires, and what moves there. */
const WIRES = [
	{node: 'client', vip: externalVip, nic: 0},
	{node: 'web1', vip: internalVip, nic: 1},
] as const;

/** The gratuitous ARPs of a balancer for an address. */
function announcements(wire: Capture, {name}: Balancer, {vip, nic}: (typeof WIRES)[number]): Frame[] {
	const mac = macOf(nodes[name].nics[nic]?.address ?? '');
	return wire.matching(new RegExp(`^${mac} > ff:ff:ff:ff:ff:ff.*who-has ${vip} .*tell ${vip}`));
}

/**
 * Makes the fault while clients ask all the time, until the successor is master, has announced each address so often, and
 * requests go on.
 */
async function failover(fault: () => Promise<void>, successor: Balancer, times = 1): Promise<Failover> {
	const captures = await Promise.all(WIRES.map(({node}) => lab().capture(node, 'eth0', 'arp')));
	const stream = lab().client.stream({periodMs: PERIOD_MS});
	await waitFor('the stream runs', () => stream.outcomes.length > 10);
	const beganMs = monotonicMs();
	const faulty = fault();
	const seen = () => successor.log();
	await waitFor(`${successor.name} is master`, () => successor.isMaster(), {seen});
	const sinceTakeOver = stream.outcomes.length;
	await waitFor('the stream goes on', () => stream.outcomes.length > sinceTakeOver + 50);
	await faulty;
	const outcomes = await stream.stop();
	const heard = () =>
		captures.map((wire, n) => announcements(wire, successor, WIRES[n] ?? WIRES[0]).filter(({atMs}) => atMs > beganMs));
	const enough = () => heard().every(frames => frames.length >= times);
	await waitFor(`${times} announcements of each address`, enough, {seen});
	const gratuitous = heard();
	await Promise.all(captures.map(wire => wire.close()));
	const movedMs = gratuitous.map(([first]) => (first?.atMs ?? Number.NaN) - beganMs);
	return {felt: interruption(outcomes), movedMs, gratuitous};
}

function assertTogether(
	t: ExecutionContext,
	{movedMs: [external = Number.NaN, internal = Number.NaN]}: Failover,
): void {
	t.true(Math.abs(external - internal) <= 100, `the instances moved ${Math.abs(external - internal)} ms apart`);
}

function report(t: ExecutionContext, {felt, movedMs}: Failover, boundMs: number): void {
	const lastMs = Math.max(...movedMs);
	t.log(
		`addresses moved after ${Math.round(lastMs)} ms; clients interrupted for ${felt.ms} ms, ${felt.lost} of ${felt.requests} requests lost; bound ${Math.round(boundMs)} ms`,
	);
	t.true(lastMs <= boundMs + TOLERANCE_MS, `moved after ${lastMs} ms`);
	t.true(felt.ms <= boundMs + CLIENT_TOLERANCE_MS, `interrupted for ${felt.ms} ms`);
}

test('SIGKILL of lbd and lbd-vrrp: the backup takes over after the master-down time, and tells by ARP', async t => {
	const {lb1, lb2} = lab();
	// garp_master_repeat 5 at once, and 5 again after garp_master_delay, 5 s.
	const moved = await failover(() => lb1.kill('SIGKILL'), lb2, 10);
	report(t, moved, MASTER_DOWN_MS);
	t.deepEqual((await lb2.vips()).toSorted(), [...vips].toSorted());
	assertTogether(t, moved);
	for (const frames of moved.gratuitous) {
		const [first, , , , fifth, sixth] = frames.map(({atMs}) => atMs);
		t.true(Number(fifth) - Number(first) < 200);
		t.true(Math.abs(Number(sixth) - Number(first) - 5000) < TOLERANCE_MS);
	}
});

test('the higher priority returns and is master again', async t => {
	const {lb1, lb2} = lab();
	const moved = await failover(() => lb1.start(), lb1);
	t.true(moved.felt.ms <= ADVERT_MS + CLIENT_TOLERANCE_MS, `interrupted for ${moved.felt.ms} ms`);
	await onlyMaster(lab().lb1, lab().lb2);
	assertTogether(t, moved);
	t.deepEqual(await lb2.vips(), []);
});

for (const [device, vip] of [
	['eth0', externalVip],
	['eth1', internalVip],
] as const) {
	test(`the cable of ${device}: both instances leave, although only one is cut off`, async t => {
		const {lb1, lb2} = lab();
		const moved = await failover(() => lb1.linkDown(device), lb2);
		report(t, moved, MASTER_DOWN_MS);
		assertTogether(t, moved);
		await waitFor(`lb1 gives up ${vips}`, async () => (await lb1.vips()).length === 0);
		t.false((await lb1.vips()).includes(vip));
		await lb1.linkUp(device);
		await onlyMaster(lab().lb1, lab().lb2);
	});
}

test('an orderly stop: priority 0, and the backup waits for the skew time alone', async t => {
	const {lb1, lb2} = lab();
	const wire = await lab().capture('client', 'eth0', 'vrrp');
	const moved = await failover(() => lb1.stop(), lb2);
	report(t, moved, SKEW_MS);
	assertTogether(t, moved);
	await wire.close();
	t.is(wire.matching(/vrid 91, prio 0,/).length, 1);
	t.deepEqual(await lb1.vips(), []);
});
