/** Other schedulers than round robin, each put in force by a reload, with real connections. */
import {isDeepStrictEqual} from 'node:util';
import type {HeldConnection} from '../../lab/client.js';
import {waitFor} from '../../lab/wait.js';
import {addressBytes} from '../../src/net/address.js';
import type {PersistenceView} from '../../src/xdp/view.js';
import {quick, reference, variant, withWeight} from './jobs.js';
import {answers, labOfFile, only, startPrimary, test} from './lab-test.js';
import {backendName, lbctl, service} from './observe.js';

const primary = quick(reference.primary);
const weighted = withWeight(variant(primary, {lb_algo: 'wrr'}), '10.0.0.71', 3);

const lab = labOfFile({configs: {lb1: weighted}}, startPrimary);

interface BackendEntry {
	readonly key: number;
	/** The address as `maps dump` has it, in hexadecimal digits. */
	readonly value: {readonly addr: string; readonly port: number};
}

interface CensusEntry {
	readonly key: number;
	readonly value: {readonly active: number | string};
}

/** How many of the clients have a persistence entry. */
async function remembered(clients: ReadonlyMap<string, string>): Promise<number> {
	const entries = (await lab().lb1.lbctl('persistence', '--limit', '0')) as PersistenceView[];
	return entries.filter(({client}) => clients.has(client)).length;
}

/** Active connections of both web servers, as the program has them from the daemon. */
async function active(): Promise<number[]> {
	const {lb1} = lab();
	const backends = (await lb1.lbctl('maps', 'dump', 'backends', '--limit', '0')) as BackendEntry[];
	const census = (await lb1.lbctl('maps', 'dump', 'census', '--limit', '0')) as CensusEntry[];
	return ['web1', 'web2'].map(server => {
		const [address = ''] = backendName(server).split(':');
		const bytes = Buffer.from(addressBytes(address)).toString('hex');
		const id = backends.find(({value}) => value.addr.startsWith(bytes))?.key;
		return Number(census.find(({key}) => key === id)?.value.active ?? 0);
	});
}

/** Waits until the census has so many. */
async function counted(web1: number, web2: number): Promise<void> {
	await waitFor(`the census says ${web1} and ${web2}`, async () => isDeepStrictEqual(await active(), [web1, web2]));
}

test('wrr 3:1: three of four clients, in every cycle', async t => {
	const answered = answers(await lab().client.sequence(40));
	const cycle = answered.slice(0, 4);
	t.deepEqual(cycle.toSorted(), [...only('web1', 3), 'web2']);
	t.deepEqual(answered, Array.from({length: 10}, () => cycle).flat());
	t.is((await service(lab().lb1)).scheduler, 'wrr');
});

test('wlc evens out the connections that live', async t => {
	const {client, lb1} = lab();
	lb1.configure(variant(primary, {lb_algo: 'wlc'}));
	t.is((await lbctl(lb1, 'reload')).code, 0);
	t.is((await service(lb1)).scheduler, 'wlc');

	await counted(0, 0);
	const held: HeldConnection[] = [];
	for (let n = 0; n < 6; n++) held.push(await client.hold());
	const [onWeb1 = [], onWeb2 = []] = ['web1', 'web2'].map(server => held.filter(({first}) => first.body === server));
	// What opens during a census counts twice until the next one.
	t.true(Math.abs(onWeb1.length - onWeb2.length) <= 2, `${onWeb1.length} and ${onWeb2.length}`);
	await counted(onWeb1.length, onWeb2.length);
	for (const connection of onWeb1) await connection.close();
	await counted(0, onWeb2.length);
	const next = [];
	for (let n = 0; n < onWeb2.length - 1; n++) next.push(await client.hold());
	t.deepEqual(answers(next.map(({first}) => first)), only('web1', next.length));
	for (const connection of [...onWeb2, ...next]) await connection.close();
});

test('sh: a client comes back to its backend without being remembered', async t => {
	const {client, lb1} = lab();
	lb1.configure(variant(primary, {lb_algo: 'sh', persistence_timeout: 1}));
	t.is((await lbctl(lb1, 'reload')).code, 0);
	const first = new Map<string, string>();
	for (let n = 0; n < 20; n++) {
		const from = client.freshAddress();
		const {body} = await client.get({from});
		first.set(from, body);
	}
	await waitFor('all are forgotten', async () => (await remembered(first)) === 0);
	for (const [from, body] of first) t.is((await client.get({from})).body, body);
	t.is(new Set(first.values()).size, 2, 'not all on one');
});
