/**
 * Both networks fall apart and grow together again: two masters meanwhile, and afterwards everybody sends to the better one,
 * because it says where the addresses are. Where one balancer cannot hear the other, it gives the alarm.
 */

import {join} from 'node:path';
import {launch} from '../../lab/namespace.js';
import {namespaceOf} from '../../lab/record.js';
import {run} from '../../lab/run.js';
import {externalVip, internalVip, macOf, type NodeName, nodes, port, type SwitchName} from '../../lab/topology.js';
import {monotonicMs, waitFor} from '../../lab/wait.js';
import {reference} from './jobs.js';
import {labOfFile, startPrimary, test} from './lab-test.js';

const NETWORKS: readonly SwitchName[] = ['external', 'internal'];
/** One advert interval: until then one of the two has advertised, and the other answered. */
const SETTLED_MS = 1000 + 500;

const lab = labOfFile({configs: {lb1: reference.primary, lb2: reference.backup}}, async built => {
	await Promise.all([startPrimary(built), built.lb2.start()]);
	await waitFor('lb2 is backup', async () => (await built.lb2.vips()).length === 0);
});

function switches(...command: readonly string[]): Promise<string> {
	return run(['ip', '-n', namespaceOf(lab().id, 'switch'), ...command]);
}

/** Plugs lb1 into switches of its own: no link goes down. */
async function partition(): Promise<void> {
	for (const network of NETWORKS) {
		await switches('link', 'add', `${network}-2`, 'type', 'bridge', 'mcast_snooping', '0');
		await switches('link', 'set', `${network}-2`, 'up');
		await switches('link', 'set', port('lb1', network), 'master', `${network}-2`);
	}
}

async function heal(): Promise<void> {
	for (const network of NETWORKS) {
		await switches('link', 'set', port('lb1', network), 'master', network);
		await switches('link', 'delete', `${network}-2`);
	}
}

async function macFor(node: NodeName, vip: string): Promise<string | undefined> {
	const [entry] = JSON.parse(await lab().run(node, 'ip', '-j', 'neigh', 'show', 'to', vip));
	return entry?.lladdr;
}

/** Who uses which address, and on which NIC a balancer has it. */
const USERS = [
	{node: 'client', vip: externalVip, nic: 0},
	{node: 'web1', vip: internalVip, nic: 1},
] as const;

async function sendsTo(balancer: 'lb1' | 'lb2'): Promise<void> {
	for (const {node, vip, nic} of USERS) {
		const mac = macOf(nodes[balancer].nics[nic]?.address ?? '');
		await waitFor(`${node} sends to ${balancer}`, async () => (await macFor(node, vip)) === mac, {
			seen: () => `${lab().lb1.log()}\n${lab().lb2.log()}`,
		});
	}
}

/** Of lb1's instances, by their names. */
async function metric(name: string): Promise<Record<string, number>> {
	const page = await lab().run('lb1', 'curl', '-s', 'http://127.0.0.1:9633/metrics');
	const found = page.matchAll(new RegExp(`^lbd_vrrp_${name}{instance="(\\w+)"} (.*)$`, 'gm'));
	return Object.fromEntries([...found].map(([, instance, value]) => [instance, Number(value)]));
}

test('a partition heals: the better master announces its addresses within an advert interval', async t => {
	await lab().client.sequence(2);
	await partition();
	await waitFor('lb2 is master, too', () => lab().lb2.isMaster());
	t.true(await lab().lb1.isMaster());
	await sendsTo('lb2');
	const wires = await Promise.all(USERS.map(({node}) => lab().capture(node, 'eth0', 'arp')));
	await heal();
	const healedMs = monotonicMs();
	for (const [n, {vip, nic}] of USERS.entries()) {
		const mac = macOf(nodes.lb1.nics[nic]?.address ?? '');
		const announced = await wires[n]?.frame(new RegExp(`^${mac} > ff:ff:ff:ff:ff:ff.*who-has ${vip} .*tell ${vip}`));
		const tookMs = (announced?.atMs ?? Number.NaN) - healedMs;
		t.true(tookMs <= SETTLED_MS, `${vip} announced after ${tookMs} ms`);
	}
	await Promise.all(wires.map(wire => wire.close()));
	await sendsTo('lb1');
	await waitFor('lb2 lets go', async () => (await lab().lb2.vips()).length === 0);
	await lab().client.sequence(2);
});

test('another master that goes on and on: log, metrics and lbctl say so, and when it is over', async t => {
	const before = await metric('rival_masters_total');
	const rival = new URL('./rival.js', import.meta.url).pathname;
	const index = JSON.parse(await lab().run('client', 'ip', '-j', 'link', 'show', 'dev', 'eth0'))[0].ifindex;
	const address = nodes.client.nics[0]?.address ?? '';
	const argv = [process.execPath, rival, String(index), address, '600'];
	const other = launch(lab().namespace('client'), argv, join(lab().directory, 'rival.log'));
	t.teardown(() => other.kill('SIGKILL'));
	const rivalOf = async () => ((await lab().lb1.lbctl('vrrp')) as {rival: {address: string} | null}[])[0]?.rival;
	const found = await waitFor('the rival is found', rivalOf, {seen: () => lab().lb1.log()});
	t.is(found?.address, address);
	const {external = 0, internal} = before;
	t.deepEqual(await metric('rival_masters_total'), {external: external + 1, internal});
	const seconds = async () => (await metric('rival_master_seconds')).external ?? 0;
	await waitFor('its time is counted', async () => (await seconds()) > 0);
	other.kill('SIGKILL');
	const said = () => lab().lb1.log().includes('(external) two masters no more');
	await waitFor('it is over', said);
	t.is(await seconds(), 0);
});
