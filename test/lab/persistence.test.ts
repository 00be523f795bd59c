/** One client, one backend: for as long as `persistence_timeout` says, and not longer. */
import {externalVip} from '../../lab/topology.js';
import {monotonicMs, waitFor} from '../../lab/wait.js';
import type {PersistenceView} from '../../src/xdp/view.js';
import {reference, variant} from './jobs.js';
import {answers, inTurn, labOfFile, only, other, startPrimary, test} from './lab-test.js';
import {backendName, lbctl, service} from './observe.js';

/** Instead of 7,200 s; long enough for several looks by `lbctl` on a busy machine. */
const SHORT_S = 5;

const lab = labOfFile({configs: {lb1: reference.primary}}, startPrimary);

/** The client's entry; undefined when it has none. */
async function entryOf(client: string): Promise<PersistenceView | undefined> {
	const entries = (await lab().lb1.lbctl('persistence', '--limit', '0')) as PersistenceView[];
	return entries.find(entry => entry.client === client);
}

test('a client returns to its backend, and takes nobody else their turn', async t => {
	const {client} = lab();
	const from = client.freshAddress();
	const own = [];
	const others = [];
	for (let n = 0; n < 10; n++) {
		own.push(await client.get({from}));
		others.push(await client.get());
	}
	const server = own[0]?.body ?? '';
	t.deepEqual(answers(own), only(server, 10));
	t.deepEqual(answers(others), inTurn(other(server), 10));
});

test('lbctl shows the entry and the time that is left; a new connection restarts it', async t => {
	const {client} = lab();
	const from = client.freshAddress();
	t.is(await entryOf(from), undefined);
	const {body} = await client.get({from});
	const first = await waitFor('some seconds have passed, more than lbctl takes', async () => {
		const entry = await entryOf(from);
		return entry !== undefined && entry.expiresInS < 7196 ? entry : null;
	});
	t.like(first, {service: `${externalVip}:80`, backend: backendName(body)});
	t.true(first.expiresInS > 7190);
	await client.get({from});
	const second = await entryOf(from);
	t.like(second, {backend: backendName(body)});
	t.true((second?.expiresInS ?? 0) > first.expiresInS);
});

test('after the timeout the client is dealt anew', async t => {
	const {client, lb1} = lab();
	lb1.configure(variant(reference.primary, {persistence_timeout: SHORT_S}));
	t.is((await lbctl(lb1, 'reload')).code, 0);
	t.is((await service(lb1)).persistenceS, SHORT_S);

	const from = client.freshAddress();
	const firstMs = monotonicMs();
	const {body: server} = await client.get({from});
	// From here on it is the other backend's turn all the time: this client's returns take no turn.
	while (monotonicMs() - firstMs < (SHORT_S + 1) * 1000) {
		await waitFor('the entry has aged', async () => ((await entryOf(from))?.expiresInS ?? SHORT_S) < SHORT_S - 0.5);
		t.is((await client.get({from})).body, server, 'each new connection restarts the timeout');
	}
	await waitFor('the entry has expired', async () => (await entryOf(from)) === undefined);
	t.is((await client.get({from})).body, other(server));
	t.like(await entryOf(from), {backend: backendName(other(server))});
	t.is((await client.get({from})).body, other(server), 'and stays there');
});
