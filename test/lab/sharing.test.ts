/**
 * Connections outlive their balancer: what the master knows of them, its backup knows as well. The reference job, with
 * sharing by the internal network, loses its master and gets it back, under load.
 */
import type {Balancer} from '../../lab/balancer.js';
import {type HeldConnection, inBatches, type Stream} from '../../lab/client.js';
import type {Lab} from '../../lab/lab.js';
import type {Outcome} from '../../lab/protocol.js';
import {nodes} from '../../lab/topology.js';
import {monotonicMs, waitFor} from '../../lab/wait.js';
import {quick, reference} from './jobs.js';
import {answers, inTurn, labOfFile, other, startPrimary, test} from './lab-test.js';
import {service, sharing} from './observe.js';

const KEY = '5f1d0c2b9e8a47763344aabbccddeeff';
const [primary, backup] = [quick(reference.primary), quick(reference.backup)];
/** By the internal network, which the configuration shows, and to a group. */
const SYNC = sync('');
/** Connections without traffic, of as many clients that persistence knows. */
const HELD = 1000;
const DOWNLOADS = 100;
/** The age from which on a connection is kept. */
const YOUNG_MS = 100;

function sync(more: string): string {
	return `\nlbd {\n    sync {\n        key "${KEY}"\n        ${more}\n    }\n}\n`;
}

const lab = labOfFile({configs: {lb1: primary + SYNC, lb2: backup + SYNC}}, async built => {
	await Promise.all([startPrimary(built), built.lb2.start()]);
	await settled(built);
});

/** lb1 is the only master, and both know what the other one knows. */
async function settled({lb1, lb2}: Lab): Promise<void> {
	const look = async () => {
		if (!(await lb1.isMaster()) || (await lb2.vips()).length > 0) return false;
		const states = await Promise.all([lb1, lb2].map(async one => (await sharing(one))?.state));
		return states.every(state => state === 'in-sync');
	};
	await waitFor('lb1 is master and both are in sync', look, {seen: () => `${lb1.log()}\n${lb2.log()}`});
}

/** Those that do not answer as they did at first. */
async function broken(held: readonly HeldConnection[]): Promise<string[]> {
	const outcomes = await inBatches(held, async one => ({one, now: await one.ask()}));
	return outcomes.flatMap(({one, now}) =>
		now.body === one.first.body ? [] : [`${one.from}: ${one.first.body}, then ${now.error ?? now.body}`],
	);
}

async function flows(balancer: Balancer): Promise<number> {
	return ((await balancer.lbctl('flows', '--state', 'established', '--limit', '0')) as unknown[]).length;
}

async function clientsOf(balancer: Balancer): Promise<Set<string>> {
	const found = (await balancer.lbctl('flows', '--state', 'established', '--limit', '0')) as {client: string}[];
	return new Set(found.map(({client}) => client.slice(0, client.lastIndexOf(':'))));
}

async function knows(balancer: Balancer, connections: readonly HeldConnection[]): Promise<boolean> {
	const clients = await clientsOf(balancer);
	return connections.every(({from}) => clients.has(from));
}

let held: HeldConnection[] = [];

/** The machine loses its power: no process runs and no cable carries anything. */
async function powerLoss(balancer: Balancer): Promise<void> {
	await Promise.all([balancer.kill('SIGKILL'), balancer.linkDown('eth0'), balancer.linkDown('eth1')]);
}

test('the master loses power: downloads and idle connections go on at the other one, clients stay where they were', async t => {
	const {client, lb1, lb2} = lab();
	held = await client.holdMany(HELD);
	const downloads = Array.from({length: DOWNLOADS}, () => client.download({path: '/slow'}));
	const stream = client.stream({periodMs: 20});
	await waitFor('the peer knows the connections', async () => (await flows(lb2)) >= HELD + DOWNLOADS, {
		seen: () => lb2.log(),
	});
	const young = await client.holdMany(20);
	await new Promise(resolve => setTimeout(resolve, YOUNG_MS));
	await powerLoss(lb1);
	await waitFor('lb2 is master', () => lb2.isMaster(), {seen: () => lb2.log()});
	const takenOverMs = monotonicMs();
	const isServed = ({error, startedMs}: Outcome) => error === null && startedMs > takenOverMs;
	await waitFor('new connections are served', () => stream.outcomes.filter(isServed).length > 50);
	t.deepEqual(await broken([...held, ...young]), []);
	const clients = await inBatches(held, ({from}) => client.get({from}));
	t.deepEqual(
		clients.map(({body}) => body),
		held.map(({first}) => first.body),
		'every persistent client is where it was',
	);
	await stream.stop();
	const goesOn = ({outcomes}: Stream) => outcomes.some(({startedMs, ms}) => startedMs + ms > takenOverMs);
	await waitFor('all downloads go on', () => downloads.every(goesOn));
	const ends = (await Promise.all(downloads.map(download => download.stop()))).map(outcomes => outcomes.at(-1)?.error);
	t.deepEqual(
		ends.filter(error => error !== 'ABORT_ERR'),
		[],
		'no download was reset',
	);
	t.log(`${held.length + young.length} connections and ${ends.length} downloads kept of as many`);
	await Promise.all(young.map(connection => connection.close()));
});

test('the master returns, is told everything and takes over: nothing is lost on the way back', async t => {
	const {client, lb1} = lab();
	await Promise.all([lb1.linkUp('eth0'), lb1.linkUp('eth1')]);
	const before = answers(await client.sequence(4));
	t.deepEqual(before, inTurn(before[0] ?? '', 4));
	await lb1.start();
	await settled(lab());
	t.deepEqual(await broken(held), []);
	t.deepEqual(answers(await client.sequence(4)), inTurn(before[0] ?? '', 4), 'the turn goes on');
});

test('mastership changes hands in good order: a release, an orderly stop and a crash of lbd alone lose nothing', async t => {
	const {lb1, lb2} = lab();
	await lb1.lbctl('vrrp', 'release', 'VRRP1');
	const later = await lab().client.holdMany(20);
	t.deepEqual(await broken([...held, ...later]), [], 'released');
	await lb1.lbctl('vrrp', 'reclaim', 'VRRP1');
	await settled(lab());
	await lb1.stop();
	t.true(await lb2.isMaster(), 'the one who leaves waits for its successor');
	t.deepEqual(await broken([...held, ...later]), [], 'stopped');
	await lb1.start();
	await settled(lab());
	await lb1.killAlone();
	await lb1.start();
	await settled(lab());
	t.deepEqual(await broken([...held, ...later]), [], 'lbd crashed');
	await Promise.all(later.map(connection => connection.close()));
});

test('connections that open while no daemon runs are told of when one runs again', async t => {
	const {client, lb1, lb2} = lab();
	// lbd-vrrp stays for some seconds: had lb2 taken over meanwhile, nobody could have told it of them.
	await lb1.killAlone();
	const unattended = await client.holdMany(20);
	await lb1.start();
	await settled(lab());
	await waitFor('the peer knows them', () => knows(lb2, unattended), {seen: () => lb2.log()});
	t.is((await sharing(lb1))?.overwritten, 0);
	await lb1.lbctl('vrrp', 'release', 'VRRP1');
	t.deepEqual(await broken([...held, ...unattended]), []);
	await lb1.lbctl('vrrp', 'reclaim', 'VRRP1');
	await settled(lab());
	await Promise.all(unattended.map(connection => connection.close()));
});

test('a cable is pulled: the same without the death of anybody', async t => {
	const {client, lb1, lb2} = lab();
	const before = answers(await client.sequence(3));
	const later = await client.holdMany(20);
	const isTold = async () =>
		(await knows(lb2, later)) && (await service(lb2)).nextTicket === (await service(lb1)).nextTicket;
	await waitFor('the peer knows them and the turn', isTold, {seen: () => lb2.log()});
	await lb1.linkDown('eth0');
	await waitFor('lb2 is master', () => lb2.isMaster(), {seen: () => lb2.log()});
	t.deepEqual(await broken([...held, ...later]), []);
	const after = answers(await client.sequence(3));
	t.deepEqual(after, inTurn(other(before[2] ?? ''), 3), 'the turn goes on');
	await lb1.linkUp('eth0');
	await settled(lab());
	t.deepEqual(await broken([...held, ...later]), []);
	await Promise.all([...held, ...later].map(connection => connection.close()));
});

test('a reload makes them share by unicast; whoever is no peer is not believed, and that is said', async t => {
	const {client, lb1, lb2} = lab();
	const internal = Object.fromEntries((['lb1', 'lb2'] as const).map(name => [name, nodes[name].nics[1]?.address]));
	const reload = async (balancer: Balancer, config: string, peer: string): Promise<void> => {
		balancer.configure(config + sync(`peer ${peer}`));
		await balancer.lbctl('reload');
	};
	await reload(lb1, primary, internal.lb2 ?? '');
	await reload(lb2, backup, '10.0.0.9');
	const isRefused = async () => ((await sharing(lb2))?.refusals.sender ?? 0) > 0;
	await waitFor('lb2 refuses a stranger', isRefused, {seen: () => lb2.log()});
	t.regex(lb2.log(100), /nothing is taken from it, as it is no peer of the configuration/);
	await reload(lb2, backup, internal.lb1 ?? '');
	await settled(lab());
	t.like(await sharing(lb2), {interface: 'eth1', keyFrom: 'sync', peers: [{address: internal.lb1}]});
	const {from} = await client.get();
	const later = await client.hold({from});
	await waitFor('lb2 knows the client', async () => (await clientsOf(lb2)).has(from));
	await later.close();
});
