/** The reference files, unchanged: new connections are dealt strictly in turn, and each stays where it was dealt to. */
import {createHash, randomBytes} from 'node:crypto';
import {writeFileSync} from 'node:fs';
import {availableParallelism} from 'node:os';
import {join} from 'node:path';
import type {Balancer} from '../../lab/balancer.js';
import {externalVip} from '../../lab/topology.js';
import {BIG_BYTES} from '../../lab/web-server.js';
import {Verdict} from '../../src/xdp/layout.gen.js';
import type {FlowView, MapInfo} from '../../src/xdp/view.js';
import {reference} from './jobs.js';
import {answers, inTurn, labOfFile, only, other, startPrimary, test} from './lab-test.js';
import {allServe, backend, countersByCpu, onlyMaster, service} from './observe.js';

const lab = labOfFile({configs: {lb1: reference.primary, lb2: reference.backup}}, async built => {
	await Promise.all([startPrimary(built), built.lb2.start()]);
	await onlyMaster(built.lb1, built.lb2);
	await allServe(built.lb1);
});

/** New connections that each CPU has dealt so far, read from the program's own counters. */
async function dealtByCpu(balancer: Balancer): Promise<number[]> {
	const maps = (await balancer.lbctl('maps')) as MapInfo[];
	const services = maps.find(({map}) => map === 'services')?.maxEntries ?? 0;
	const dealt = Array.from({length: availableParallelism()}, () => 0);
	for (const {key, value} of await countersByCpu(balancer)) {
		const cpu = Math.floor(key / services);
		dealt[cpu] = (dealt[cpu] ?? 0) + (value.packets[Verdict.V_FORWARD_NEW] ?? 0);
	}
	return dealt;
}

test('clients that come one after the other alternate, in the order of the file', async t => {
	t.deepEqual(answers(await lab().client.sequence(20)), inTurn('web1', 20));
});

test('1,000 clients at once on all CPUs: exactly 500 each', async t => {
	const {client, lb1} = lab();
	const look = async () => ({
		dealt: await dealtByCpu(lb1),
		web1: (await backend(lb1, 'web1')).connections,
		web2: (await backend(lb1, 'web2')).connections,
	});
	const before = await look();
	const outcomes = await client.burst(1000);
	const after = await look();
	const answered = answers(outcomes).toSorted();
	t.is(new Set(outcomes.map(({from}) => from)).size, 1000);
	t.deepEqual(answered, [...only('web1', 500), ...only('web2', 500)]);
	t.is(after.web1 - before.web1, 500);
	t.is(after.web2 - before.web2, 500);
	const dealt = after.dealt.map((count, cpu) => count - (before.dealt[cpu] ?? 0));
	t.is(
		dealt.reduce((sum, count) => sum + count),
		1000,
	);
	t.true(
		dealt.every(count => count >= 100),
		`every CPU has a real share: ${dealt}`,
	);
});

test('64 MiB arrive as they were sent', async t => {
	const {client, directory} = lab();
	const bytes = randomBytes(BIG_BYTES);
	for (const name of ['web1', 'web2']) writeFileSync(join(directory, name, 'big'), bytes);
	const fetch = `curl -sS --max-time 60 --interface ${client.freshAddress()} http://${externalVip}/big | sha256sum`;
	const received = await lab().run('client', 'sh', '-c', fetch);
	t.is(received.split(' ')[0], createHash('sha256').update(bytes).digest('hex'));
});

test('a connection stays on its backend while others are dealt', async t => {
	const {client, lb1} = lab();
	const held = await client.hold();
	const server = held.first.body;
	const others = [];
	const own = [];
	for (let n = 0; n < 20; n++) {
		others.push(await client.get());
		own.push(await held.ask());
	}
	t.deepEqual(answers(others), inTurn(other(server), 20));
	t.deepEqual(answers(own), only(server, 20));
	const flows = (await lb1.lbctl('flows', '--client', held.from)) as FlowView[];
	t.like(flows, [{service: `${externalVip}:80`, state: 'established'}]);
	t.is(flows.length, 1);
	await held.close();
});

test('not one packet was dropped on the way', async t => {
	t.deepEqual(await lab().lb1.lbctl('drops'), []);
	t.is((await service(lab().lb1)).backendsUp, 2);
});
