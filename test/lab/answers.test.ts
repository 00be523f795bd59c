/** What the balancer says itself: to packets that run out of hops, that are too big, and that no backend takes. */
import {truncateSync} from 'node:fs';
import {join} from 'node:path';
import type {ExecutionContext} from 'ava';
import {namespaceOf} from '../../lab/record.js';
import {run} from '../../lab/run.js';
import {externalVip, port} from '../../lab/topology.js';
import {monotonicMs, waitFor} from '../../lab/wait.js';
import {inVersion3, reference, variant, withoutBackend} from './jobs.js';
import {labOfFile, startPrimary, test} from './lab-test.js';
import {allServe, backend, type Finished, finish, met} from './observe.js';

/** After a failure: the loop, a check, another one a second later, each until its time-out; and the machine's slowness. */
const DOWN_MS = 5000;
/** curl sends keep-alives that often, once it hears nothing. */
const KEEPALIVE_S = 1;
const TOLERANCE_MS = 5000;
/** A download that does not end by itself. */
const ENDLESS_BYTES = 2 ** 40;
const BODY_BYTES = 2 ** 20;
/** For a segment that is sent again some times, each after twice as long. */
const PATIENT_MS = 20_000;
const NARROW = 1280;
const URL = `http://${externalVip}`;

const fast = variant(withoutBackend(inVersion3(reference.primary, 0.1), '10.0.0.72'), {
	delay_loop: 1,
	connect_timeout: 1,
});
const lab = labOfFile({configs: {lb1: `${fast}\nlbd {\n    failed_backend reset\n}\n`}}, async built => {
	truncateSync(join(built.web1.directory, 'big'), ENDLESS_BYTES);
	await startPrimary(built);
	await allServe(built.lb1);
});

/**
 * Why a connection is not made, by the word that its first SYN is answered with. The client may ask once more, after a second:
 * Linux keeps an ICMP error to itself, until the next, that comes while connect() still has the socket (tcp_v4_err).
 */
async function failsAtOnce(t: ExecutionContext, answer: RegExp): Promise<string | null> {
	const {client} = lab();
	const from = client.freshAddress();
	const wire = await lab().capture('client', 'eth0', `host ${from}`);
	const {error} = await client.get({from});
	await wire.frame(answer);
	await wire.close();
	const [question, reply] = wire.frames;
	t.regex(question?.text ?? '', /Flags \[S\]/);
	t.regex(reply?.text ?? '', answer, 'before a SYN was sent again');
	return error;
}

function curl(...args: string[]): Promise<Finished> {
	return finish({namespace: lab().namespace('client')}, ['curl', '-sS', ...args]);
}

/** How many hops the client's packets may take. */
function allowHops(hops: number): Promise<string> {
	return lab().run('client', 'sysctl', '-qw', `net.ipv4.ip_default_ttl=${hops}`);
}

test('a packet that ends at the balancer is answered, and its connection does not mind', async t => {
	const {client, lb1} = lab();
	const held = await client.hold({timeoutMs: PATIENT_MS});
	t.is(held.first.body, 'web1');
	const before = await met(lb1, 'V_ANSWER_TIME_EXCEEDED');

	t.teardown(() => allowHops(64));
	await allowHops(1);
	t.is(await failsAtOnce(t, /ICMP time exceeded/), 'EHOSTUNREACH', 'what a connecting client makes of it');
	const told = await met(lb1, 'V_ANSWER_TIME_EXCEEDED');
	t.true(told > before);
	const asked = held.ask();
	await waitFor('the connection is told as well', async () => (await met(lb1, 'V_ANSWER_TIME_EXCEEDED')) > told);

	await allowHops(2);
	t.like(await asked, {error: null, body: 'web1'}, 'retransmitted, with enough hops');
	t.is((await client.get()).body, 'web1', 'the next hop is the backend');
	await held.close();
});

test('the network of the clients is narrower than that of the backends: those are told', async t => {
	const {lb1} = lab();
	const learnt = async () => {
		const to = (await run(['ip', '-n', lab().namespace('web1'), 'route', 'get', '192.168.1.254'])).match(/mtu (\d+)/);
		return Number(to?.[1] ?? 0);
	};
	const download = () =>
		curl(
			'--output',
			'/dev/null',
			'--max-time',
			'60',
			'--write-out',
			'%{size_download}',
			'--range',
			`0-${BODY_BYTES - 1}`,
			`${URL}/big`,
		);
	const before = await met(lb1, 'V_ANSWER_TOO_BIG');
	t.is((await download()).stdout, String(BODY_BYTES));
	t.is(await met(lb1, 'V_ANSWER_TOO_BIG'), before);
	t.is(await learnt(), 0);
	await run(['ip', '-n', lb1.namespace, 'link', 'set', 'eth0', 'mtu', String(NARROW)]);
	try {
		const told = async () => (await download()).stdout === String(BODY_BYTES) && (await learnt()) === NARROW;
		await waitFor('the backend has learnt the MTU', told);
		t.true((await met(lb1, 'V_ANSWER_TOO_BIG')) > before);
	} finally {
		await run(['ip', '-n', lb1.namespace, 'link', 'set', 'eth0', 'mtu', '1500']);
	}
});

test('a download that hangs ends with the check; whoever comes then is refused at once, until the backend is back', async t => {
	const {id, client, lb1} = lab();
	const cable = (state: 'up' | 'down') =>
		run(['ip', '-n', namespaceOf(id, 'switch'), 'link', 'set', port('web1', 'internal'), state]);
	const keepalive = ['--keepalive-time', String(KEEPALIVE_S)];
	const downloading = curl('--output', '/dev/null', ...keepalive, `${URL}/big`);
	await waitFor('the download is under way', async () => (await backend(lb1, 'web1')).packetsOut > 1000);

	const pulledMs = monotonicMs();
	await cable('down');
	try {
		const {code, stderr} = await downloading;
		const tookMs = monotonicMs() - pulledMs;
		t.is(code, 56, stderr);
		t.regex(stderr, /reset/);
		t.true(tookMs < DOWN_MS + KEEPALIVE_S * 1000 + TOLERANCE_MS, `${tookMs} ms`);
		t.true((await met(lb1, 'V_ANSWER_RESET')) > 0);

		t.is(await failsAtOnce(t, /ICMP .* tcp port 80 unreachable/), 'ECONNREFUSED');
		t.true((await met(lb1, 'V_ANSWER_UNREACHABLE')) > 0);
		const drops = (await lb1.lbctl('drops')) as {verdict: string}[];
		t.true(
			drops.some(({verdict}) => verdict === 'answer_unreachable'),
			'nothing that is lost has no name',
		);
	} finally {
		await cable('up');
	}
	await allServe(lb1);
	t.is((await client.get()).body, 'web1');
});
