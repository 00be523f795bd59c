/**
 * The reference job loses its master: by SIGKILL, by a cable on either side, in good order. Both virtual addresses move
 * together, clients are interrupted no longer than keepalived's timing rules allow, and everybody is told by ARP.
 */
import type {ExecutionContext} from 'ava';
import type {Balancer} from '../../lab/balancer.js';
import {type Interruption, interruption} from '../../lab/interruption.js';
import type {Lab} from '../../lab/lab.js';
import {externalVip, internalVip, macOf, nodes, vips} from '../../lab/topology.js';
import {monotonicMs, waitFor} from '../../lab/wait.js';
import {reference} from './jobs.js';
import {labOfFile, startPrimary, test} from './lab-test.js';

const ADVERT_MS = 1000;
/** Of the backup's priority 100, by the rule of version 2: (256 - priority) / 256 s. */
const SKEW_MS = ((256 - 100) / 256) * 1000;
/** Three silent adverts and the skew: when a master is given up that said nothing. */
const MASTER_DOWN_MS = 3 * ADVERT_MS + SKEW_MS;
/** What a busy test machine may add: late timers, slow starts of processes. */
const TOLERANCE_MS = 700;
const PERIOD_MS = 20;

const lab = labOfFile({configs: {lb1: reference.primary, lb2: reference.backup}}, async built => {
	await Promise.all([startPrimary(built), built.lb2.start()]);
	await settled(built);
});

/** lb1 is master of both instances and lb2 of none, which has time to hear it. */
async function settled({lb1, lb2}: Lab): Promise<void> {
	const look = async () => (await lb1.isMaster()) && (await lb2.vips()).length === 0;
	await waitFor('lb1 is the only master', look, {timeoutMs: 15_000, seen: () => `${lb1.log()}\n${lb2.log()}`});
}

interface Failover {
	readonly felt: Interruption;
	/** From the fault until the successor owned both addresses. */
	readonly movedMs: number;
}

/** Makes the fault while clients ask all the time, until the successor is master and some time after. */
async function failover(fault: () => Promise<void>, successor: Balancer): Promise<Failover> {
	const stream = lab().client.stream({periodMs: PERIOD_MS});
	await waitFor('the stream runs', () => stream.outcomes.length > 10, {timeoutMs: 5000});
	const beganMs = monotonicMs();
	const faulty = fault();
	await waitFor(`${successor.name} is master`, () => successor.isMaster(), {
		timeoutMs: 15_000,
		seen: () => successor.log(),
	});
	const movedMs = monotonicMs() - beganMs;
	const sinceTakeOver = stream.outcomes.length;
	await waitFor('the stream goes on', () => stream.outcomes.length > sinceTakeOver + 50, {timeoutMs: 10_000});
	await stream.stop();
	await faulty;
	return {felt: interruption(stream.outcomes), movedMs};
}

/** When the balancer's instances became master the last time, in ms of wall-clock time. */
function masterSince(balancer: Balancer): number[] {
	const lines = balancer.log(Number.POSITIVE_INFINITY).split('\n');
	return ['external', 'internal'].map(instance => {
		const line = lines.findLast(text => text.includes(`"(${instance}) Entering MASTER STATE"`));
		return line === undefined ? Number.NaN : Date.parse(JSON.parse(line).time);
	});
}

function assertTogether(t: ExecutionContext, balancer: Balancer): void {
	const [external = Number.NaN, internal = Number.NaN] = masterSince(balancer);
	t.true(Math.abs(external - internal) <= 100, `the instances moved ${Math.abs(external - internal)} ms apart`);
}

function report(t: ExecutionContext, {felt, movedMs}: Failover, boundMs: number): void {
	t.log(
		`addresses moved after ${Math.round(movedMs)} ms; clients interrupted for ${felt.ms} ms, ${felt.lost} of ${felt.requests} requests lost; bound ${Math.round(boundMs)} ms`,
	);
	t.true(movedMs <= boundMs + TOLERANCE_MS, `moved after ${movedMs} ms`);
	t.true(felt.ms <= boundMs + TOLERANCE_MS, `interrupted for ${felt.ms} ms`);
}

test('SIGKILL of lbd and lbd-vrrp: the backup takes over after the master-down time, and tells by ARP', async t => {
	const {lb1, lb2} = lab();
	const outside = await lab().capture('client', 'eth0', 'arp');
	const inside = await lab().capture('web1', 'eth0', 'arp');
	const moved = await failover(() => lb1.kill('SIGKILL'), lb2);
	report(t, moved, MASTER_DOWN_MS);
	t.deepEqual((await lb2.vips()).toSorted(), [...vips].toSorted());
	assertTogether(t, lb2);
	for (const [capture, vip, nic] of [
		[outside, externalVip, 0],
		[inside, internalVip, 1],
	] as const) {
		const mac = macOf(nodes.lb2.nics[nic]?.address ?? '');
		const gratuitous = new RegExp(`^${mac} > ff:ff:ff:ff:ff:ff.*who-has ${vip} .*tell ${vip}`);
		const look = () => capture.matching(gratuitous).length >= 10;
		// garp_master_repeat 5 at once, and 5 again after garp_master_delay, 5 s.
		await waitFor(`ten gratuitous ARPs for ${vip}`, look, {timeoutMs: 8000});
		const [first, , , , fifth, sixth] = capture.matching(gratuitous).map(({atMs}) => atMs);
		t.true(Number(fifth) - Number(first) < 200);
		t.true(Math.abs(Number(sixth) - Number(first) - 5000) < TOLERANCE_MS);
		await capture.close();
	}
});

test('the higher priority returns and is master again', async t => {
	const {lb1, lb2} = lab();
	const moved = await failover(() => lb1.start(), lb1);
	t.true(moved.felt.ms <= ADVERT_MS + TOLERANCE_MS, `interrupted for ${moved.felt.ms} ms`);
	await settled(lab());
	assertTogether(t, lb1);
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
		assertTogether(t, lb2);
		await waitFor(`lb1 gives up ${vips}`, async () => (await lb1.vips()).length === 0, {timeoutMs: 5000});
		t.false((await lb1.vips()).includes(vip));
		await lb1.linkUp(device);
		await settled(lab());
	});
}

test('an orderly stop: priority 0, and the backup waits for the skew time alone', async t => {
	const {lb1, lb2} = lab();
	const wire = await lab().capture('client', 'eth0', 'vrrp');
	const moved = await failover(() => lb1.stop(), lb2);
	report(t, moved, SKEW_MS);
	assertTogether(t, lb2);
	t.is(wire.matching(/vrid 91, prio 0,/).length, 1);
	t.deepEqual(await lb1.vips(), []);
	await wire.close();
});
