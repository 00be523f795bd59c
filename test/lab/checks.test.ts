/** A web server that fails is out of the turn within the check's own time, and nobody else notices. */
import type {HeldConnection} from '../../lab/client.js';
import {namespaceOf} from '../../lab/record.js';
import {run} from '../../lab/run.js';
import {externalVip, port} from '../../lab/topology.js';
import {waitFor} from '../../lab/wait.js';
import type {DropView} from '../../src/xdp/view.js';
import {inVersion3, reference, variant} from './jobs.js';
import {answers, inTurn, labOfFile, only, startPrimary, test} from './lab-test.js';
import {allServe, backend, isServing, saidAt, sentences} from './observe.js';

const DELAY_LOOP_S = 1;
const CONNECT_TIMEOUT_S = 1;
/** keepalived's defaults for TCP_CHECK. */
const RETRY = 1;
const DELAY_BEFORE_RETRY_S = 1;
/** For a busy machine. */
const TOLERANCE_S = 1;
/** For a question that is sent again until its server is back, each time after twice as long. */
const PATIENT_MS = 60_000;

/** The last good check was just before the failure; then each attempt takes its time-out at most. */
const DOWN_MS = (DELAY_LOOP_S + RETRY * DELAY_BEFORE_RETRY_S + (RETRY + 1) * CONNECT_TIMEOUT_S + TOLERANCE_S) * 1000;
/** Where the machine answers with a reset, no attempt takes any time. */
const REFUSED_MS = DOWN_MS - (RETRY + 1) * CONNECT_TIMEOUT_S * 1000;
/** One good check is enough. */
const UP_MS = (DELAY_LOOP_S + CONNECT_TIMEOUT_S + TOLERANCE_S) * 1000;

const fast = variant(inVersion3(reference.primary, 0.1), {
	delay_loop: DELAY_LOOP_S,
	connect_timeout: CONNECT_TIMEOUT_S,
});

const lab = labOfFile({configs: {lb1: fast}}, async built => {
	await startPrimary(built);
	const passed = (server: string) => sentences(built.lb1).includes(`TCP connection to [${server}]:tcp:80 success.`);
	await waitFor('both backends have passed a check', () => passed('10.0.0.71') && passed('10.0.0.72'));
	await allServe(built.lb1);
});

const CHANGES = {
	down: 'Removing service [10.0.0.71]:tcp:80 from VS [192.168.1.1]:tcp:80',
	up: 'Adding service [10.0.0.71]:tcp:80 to VS [192.168.1.1]:tcp:80',
} as const;

/** Does what changes web1's state; resolves when lbctl gives it the new one, to how long after that the daemon said so. */
async function changes(state: 'up' | 'down', act: () => Promise<unknown>): Promise<number> {
	const {lb1} = lab();
	const skip = sentences(lb1).length;
	const beforeMs = Date.now();
	await act();
	// A server that starts may be found up from then on, and one that ends is missed from the beginning.
	const beganMs = state === 'up' ? Date.now() : beforeMs;
	const look = async () => {
		const row = await backend(lb1, 'web1');
		return state === 'up' ? isServing(row) : row.state === 'down';
	};
	await waitFor(`web1 is ${state}`, look, {seen: () => lb1.log()});
	const saidMs = await waitFor('the daemon says so', () => saidAt(lb1, CHANGES[state], skip));
	return saidMs - beganMs;
}

/** Connections held open, by the server that they were dealt to. */
async function hold(perServer: number): Promise<{web1: HeldConnection[]; web2: HeldConnection[]}> {
	const held = {web1: [] as HeldConnection[], web2: [] as HeldConnection[]};
	for (let n = 0; n < 2 * perServer; n++) {
		const connection = await lab().client.hold({timeoutMs: PATIENT_MS});
		held[connection.first.body === 'web1' ? 'web1' : 'web2'].push(connection);
	}
	return held;
}

function ask(connections: readonly HeldConnection[]) {
	return Promise.all(connections.map(connection => connection.ask()));
}

test('a stopped server is left out in time; connections to the other one never notice', async t => {
	const {client, lb1, web1: server} = lab();
	const held = await hold(3);
	t.is(held.web2.length, 3);
	const linesBefore = sentences(lb1).length;

	const tookMs = await changes('down', () => server.stop());
	t.true(tookMs <= REFUSED_MS, `down after ${tookMs} ms, allowed are ${REFUSED_MS}`);

	t.deepEqual(answers(await client.sequence(10)), only('web2', 10));
	t.deepEqual(answers(await ask(held.web2)), only('web2', 3));
	t.deepEqual(answers(await ask(held.web1)), only('ECONNRESET', 3));
	t.like((await backend(lb1, 'web1')).health, {up: false, reason: 'tcp check: refused (10.0.0.71:80)'});

	const backMs = await changes('up', () => server.start());
	t.true(backMs <= UP_MS, `up after ${backMs} ms, allowed are ${UP_MS}`);
	const [first, ...others] = answers(await client.sequence(10));
	t.deepEqual([first, ...others], inTurn(first ?? '', 10));
	t.deepEqual(answers(await ask(held.web2)), only('web2', 3));

	const ofServer = sentences(lb1, linesBefore).filter(sentence => sentence.includes('[10.0.0.71]:tcp:80'));
	t.deepEqual(ofServer, [
		'TCP connection to [10.0.0.71]:tcp:80 failed.',
		'TCP_CHECK on service [10.0.0.71]:tcp:80 failed after 1 retries.',
		CHANGES.down,
		'TCP connection to [10.0.0.71]:tcp:80 success.',
		CHANGES.up,
	]);
	await Promise.all([...held.web1, ...held.web2].map(connection => connection.close()));
});

test('flows to a server that cannot be reached are dropped by name, and live on if it returns', async t => {
	const {id, client, lb1} = lab();
	const cable = (state: 'up' | 'down') =>
		run(['ip', '-n', namespaceOf(id, 'switch'), 'link', 'set', port('web1', 'internal'), state]);
	const held = await hold(2);
	t.is(held.web1.length, 2);
	t.deepEqual(await lb1.lbctl('drops'), []);

	const tookMs = await changes('down', () => cable('down'));
	t.true(tookMs <= DOWN_MS, `down after ${tookMs} ms, allowed are ${DOWN_MS}`);

	const waiting = ask(held.web1);
	const drops = () => lb1.lbctl('drops') as Promise<DropView[]>;
	await waitFor('questions are dropped', async () => (await drops()).length > 0);
	t.deepEqual(answers(await client.sequence(10)), only('web2', 10));
	t.deepEqual(answers(await ask(held.web2)), only('web2', 2));
	t.like(await drops(), [{service: `${externalVip}:80`, verdict: 'drop_backend_down'}]);
	t.is((await drops()).length, 1);

	const backMs = await changes('up', () => cable('up'));
	t.true(backMs <= UP_MS, `up after ${backMs} ms, allowed are ${UP_MS}`);
	const [first, ...others] = answers(await client.sequence(10));
	t.deepEqual([first, ...others], inTurn(first ?? '', 10));
	t.deepEqual(answers(await waiting), only('web1', 2), 'sent again until it was back');
	t.deepEqual(answers(await ask(held.web2)), only('web2', 2));
	await Promise.all([...held.web1, ...held.web2].map(connection => connection.close()));
});
