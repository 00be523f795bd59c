/** The reference job with IPv6 addresses, alone and beside its IPv4 original in one file: HTTP, persistence, failover. */
import type {ExecutionContext} from 'ava';
import {type Interruption, interruption} from '../../lab/interruption.js';
import type {Lab} from '../../lab/lab.js';
import {type BalancerName, externalVip, externalVip6, internalVip6} from '../../lab/topology.js';
import {monotonicMs, waitFor} from '../../lab/wait.js';
import type {BackendRow} from '../../src/cli/commands/backends.js';
import type {ServiceRow} from '../../src/cli/commands/services.js';
import type {FlowView, PersistenceView} from '../../src/xdp/view.js';
import {bothFamilies, inVersion3, ipv6Copy, reference} from './jobs.js';
import {answers, inTurn, labOfFile, only, other, test} from './lab-test.js';
import {allServe, lbctl} from './observe.js';

const SERVICE = `[${externalVip6}]:80`;
const BACKENDS = {web1: '[2001:db8:1::71]:80', web2: '[2001:db8:1::72]:80'} as const;
const ADVERT_MS = 300;
/** Three adverts and the backup's skew, and what a busy machine adds to what is looked up by a command. */
const TAKE_OVER_MS = (3 + (256 - 100) / 256) * ADVERT_MS + 2500;

const primary = inVersion3(reference.primary, ADVERT_MS / 1000);
const backup = inVersion3(reference.backup, ADVERT_MS / 1000);
const lab = labOfFile({configs: {lb1: ipv6Copy(primary), lb2: ipv6Copy(backup)}}, async built => {
	await Promise.all([built.lb1.start(), built.lb2.start()]);
	await master(built, 'lb1');
	await allServe(built.lb1);
});

/** Resolves when one balancer has the IPv6 addresses and the other has not. */
async function master(of: Lab, name: BalancerName): Promise<void> {
	const [others] = (['lb1', 'lb2'] as const).filter(each => each !== name);
	const look = async () =>
		(await holds(of, name)) && !(of[others ?? 'lb2'].running && (await holds(of, others ?? 'lb2')));
	await waitFor(`${name} is master`, look, {seen: () => of[name].log()});
}

async function holds(of: Lab, name: BalancerName): Promise<boolean> {
	const addresses = await of.run(name, 'ip', '-6', '-o', 'address');
	return [externalVip6, internalVip6].every(vip => addresses.includes(` ${vip}/`));
}

/** Asks services all the time while their master dies, until the backup has taken over and serves them. */
async function killed(vips: readonly string[]): Promise<{readonly movedMs: number; readonly felt: Interruption[]}> {
	const {client, lb1} = lab();
	const streams = vips.map(to => client.stream({to}));
	const answered = (): number[] => streams.map(({outcomes}) => outcomes.filter(({error}) => error === null).length);
	await waitFor('the streams run', () => answered().every(count => count > 10));
	const beganMs = monotonicMs();
	await lb1.kill('SIGKILL');
	await master(lab(), 'lb2');
	const movedMs = monotonicMs() - beganMs;
	const before = answered();
	const goOn = () => answered().every((count, n) => count > (before[n] ?? 0) + 50);
	await waitFor('the streams go on', goOn, {seen: () => lab().lb2.log()});
	return {movedMs, felt: await Promise.all(streams.map(async stream => interruption(await stream.stop())))};
}

async function assertTakenOver(t: ExecutionContext, vips: readonly string[]): Promise<void> {
	const {movedMs, felt} = await killed(vips);
	t.true(movedMs <= TAKE_OVER_MS, `moved after ${movedMs} ms`);
	for (const {ms, lost, requests} of felt) {
		t.log(
			`moved after ${Math.round(movedMs)} ms; clients interrupted for ${ms} ms, ${lost} of ${requests} requests lost`,
		);
		t.true(ms <= TAKE_OVER_MS);
	}
	const services = (await lab().lb2.lbctl('services')) as ServiceRow[];
	t.is(services.length, vips.length);
	t.true(
		services.every(({connections}) => connections > 0),
		'the backup serves them all',
	);
}

test('HTTP to the IPv6 address is dealt in turn, and a client returns to its backend', async t => {
	const {client} = lab();
	const first = await client.get({to: externalVip6});
	t.is(first.error, null);
	t.deepEqual(answers(await client.sequence(6, {to: externalVip6})), inTurn(other(first.body), 6));
	const from = client.freshAddress(externalVip6);
	const own = [];
	for (let n = 0; n < 6; n++) own.push(await client.get({from, to: externalVip6}));
	t.deepEqual(answers(own), only(own[0]?.body ?? '', 6));
});

test('hundreds of IPv6 connections at once all get their answer, the backends half each', async t => {
	const outcomes = answers(await lab().client.burst(400, {to: externalVip6}));
	t.deepEqual([...new Set(outcomes)].toSorted(), ['web1', 'web2']);
	t.is(outcomes.filter(name => name === 'web1').length, 200);
});

test('lbctl shows services, backends, flows and persistence entries by their IPv6 names', async t => {
	const {client, lb1} = lab();
	const connection = await client.hold({to: externalVip6});
	const backend = BACKENDS[connection.first.body as keyof typeof BACKENDS];
	const [service] = (await lb1.lbctl('services')) as ServiceRow[];
	t.is(service?.service, SERVICE);
	const backends = (await lb1.lbctl('backends')) as BackendRow[];
	t.deepEqual(backends.map(row => [row.backend, row.state]).toSorted(), [
		[BACKENDS.web1, 'up'],
		[BACKENDS.web2, 'up'],
	]);
	const expected = {service: SERVICE, backend, state: 'established'};
	for (const filter of [
		['--client', connection.from],
		['--service', SERVICE, '--state', 'established'],
	]) {
		// The end of one of the test before may be still to come.
		const only = async () => {
			const [flow, ...others] = (await lb1.lbctl('flows', '--limit', '0', ...filter)) as FlowView[];
			return others.length === 0 && flow;
		};
		const flow = await waitFor(`one flow by ${filter.join(' ')}`, only);
		t.like(flow, expected);
		t.true(flow.client.startsWith(`[${connection.from}]:`));
	}
	const entries = (await lb1.lbctl('persistence', '--limit', '0')) as PersistenceView[];
	t.like(
		entries.find(({client: name}) => name === connection.from),
		{service: SERVICE, backend},
	);
	t.regex((await lbctl(lb1, 'services', SERVICE)).stdout, /2001:db8:1::71/);
	await connection.close();
});

test('SIGKILL of the master: the backup serves IPv6 after the master-down time', async t => {
	await assertTakenOver(t, [externalVip6]);
	await lab().lb1.start();
	await master(lab(), 'lb1');
});

test('services of both families in one file: served, and taken over together', async t => {
	const {client, lb1, lb2} = lab();
	await Promise.all([lb1.stop(), lb2.stop()]);
	lb1.configure(bothFamilies(primary));
	lb2.configure(bothFamilies(backup));
	await Promise.all([lb1.start(), lb2.start()]);
	await master(lab(), 'lb1');
	await allServe(lb1);
	for (const to of [externalVip, externalVip6]) {
		const [first] = answers([await client.get({to})]);
		t.deepEqual(answers(await client.sequence(4, {to})), inTurn(other(first ?? ''), 4), to);
	}
	const services = (await lb1.lbctl('services')) as ServiceRow[];
	t.deepEqual(services.map(row => row.service).toSorted(), [`${externalVip}:80`, SERVICE].toSorted());
	await assertTakenOver(t, [externalVip, externalVip6]);
});
