/** One client, one backend: for as long as `persistence_timeout` says, and not longer. */
import type {ExecutionContext} from 'ava';
import {externalVip} from '../../lab/topology.js';
import {monotonicMs, waitFor} from '../../lab/wait.js';
import type {PersistenceView} from '../../src/xdp/view.js';
import {quick, reference, variant} from './jobs.js';
import {answers, inTurn, labOfFile, only, other, startPrimary, test} from './lab-test.js';
import {backendName, lbctl, service} from './observe.js';

/** Of the reference job, and one whose end can be awaited: a client that returns so often keeps its entry. */
const [LONG_S, SHORT_S] = [7200, 3];
const RETURN_MS = 100;
/** The clock of the entries goes in steps of a good second: a larger age is surely seen. */
const [AGE_S, CLOCK_S] = [3, 1.5];

const primary = quick(reference.primary);

const lab = labOfFile({configs: {lb1: primary}}, startPrimary);

/** The client's entry; undefined when it has none. */
async function entryOf(client: string): Promise<PersistenceView | undefined> {
	const entries = (await lab().lb1.lbctl('persistence', '--limit', '0')) as PersistenceView[];
	return entries.find(entry => entry.client === client);
}

/** Puts another timeout in force. */
async function setTimeoutOfService(t: ExecutionContext, seconds: number): Promise<void> {
	const {lb1} = lab();
	lb1.configure(variant(primary, {persistence_timeout: seconds}));
	t.is((await lbctl(lb1, 'reload')).code, 0);
	t.is((await service(lb1)).persistenceS, seconds);
}

function secondsSince(ms: number): number {
	return (monotonicMs() - ms) / 1000;
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
	const begunMs = monotonicMs();
	const {body} = await client.get({from});
	const first = await waitFor('the entry has aged', async () => {
		const entry = await entryOf(from);
		return entry !== undefined && entry.expiresInS < LONG_S - AGE_S ? entry : null;
	});
	t.like(first, {service: `${externalVip}:80`, backend: backendName(body)});
	t.true(first.expiresInS >= LONG_S - secondsSince(begunMs) - CLOCK_S);
	const againMs = monotonicMs();
	await client.get({from});
	const second = await entryOf(from);
	t.like(second, {backend: backendName(body)});
	t.true((second?.expiresInS ?? 0) >= LONG_S - secondsSince(againMs) - CLOCK_S);
});

test('after the timeout the client is dealt anew', async t => {
	const {client} = lab();
	await setTimeoutOfService(t, SHORT_S);
	const from = client.freshAddress();
	const {body: server} = await client.get({from});
	// From here on it is the other backend's turn all the time: this client's returns take no turn.
	const longMs = monotonicMs() + (SHORT_S + 1) * 1000;
	const returns = client.stream({from: [from], periodMs: RETURN_MS});
	const isLong = () => returns.outcomes.some(({startedMs}) => startedMs > longMs);
	await waitFor('the client has returned for longer than the timeout', isLong);
	const returned = answers(await returns.stop());
	t.deepEqual(returned, only(server, returned.length), 'each new connection restarts the timeout');
	await waitFor('the entry has expired', async () => (await entryOf(from)) === undefined);
	await setTimeoutOfService(t, LONG_S);
	t.is((await client.get({from})).body, other(server));
	t.like(await entryOf(from), {backend: backendName(other(server))});
	t.is((await client.get({from})).body, other(server), 'and stays there');
});
