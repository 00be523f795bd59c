/** What is taken from whom: one source's flood, blocked prefixes that a reload brings and takes away; and all ports. */
import {randomBytes} from 'node:crypto';
import {existsSync, readFileSync, statSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {externalVip} from '../../lab/topology.js';
import {monotonicMs, waitFor} from '../../lab/wait.js';
import {SLOW_BYTES_PER_SECOND} from '../../lab/web-server.js';
import type {BackendRow} from '../../src/cli/commands/backends.js';
import {ask, startServer} from './datagrams.js';
import {reference} from './jobs.js';
import {labOfFile, only, startPrimary, test} from './lab-test.js';
import {finish, lbctl, met} from './observe.js';

const [RATE, BURST] = [5, 10];
/** Attempts of the source that wants too much, and how long it waits for each. */
const ATTEMPTS = 200;
const ATTEMPT_MS = 3000;
/** Of the download that is blocked on its way. */
const SLOW_S = 6;
const PORTS = [5300, 5301] as const;

const realServer = (address: string): string => `
	real_server ${address} {
		TCP_CHECK {
			connect_port 80
			connect_timeout 1
		}
	}`;

const job = `${reference.primary}
virtual_server ${externalVip} {
	protocol UDP
	delay_loop 1
	lb_algo rr
	lb_kind NAT
	persistence_timeout 60
	${['10.0.0.71', '10.0.0.72'].map(realServer).join('')}
}
`;
const withSettings = (...lines: string[]): string => `${job}\nlbd {\n${lines.join('\n')}\n}\n`;
const limited = withSettings(`new_connections_per_source ${RATE} ${BURST}`);

const lab = labOfFile({configs: {lb1: limited}}, async built => {
	const servers = PORTS.flatMap(port => [startServer(built, 'web1', port), startServer(built, 'web2', port)]);
	await Promise.all(servers);
	await startPrimary(built);
	await waitFor('all backends are up', async () => (await upBackends()) === 4);
});

async function upBackends(): Promise<number> {
	const rows = (await lab().lb1.lbctl('backends')) as BackendRow[];
	return rows.filter(({state, nextHop}) => state === 'up' && nextHop !== null).length;
}

async function reload(configuration: string): Promise<void> {
	lab().lb1.configure(configuration);
	const {code, stderr} = await lbctl(lab().lb1, 'reload');
	if (code !== 0) throw new Error(stderr);
}

test('a source that opens too many connections gets its rate, and nobody else notices', async t => {
	const {client, lb1} = lab();
	const others = client.stream();
	const greedy = client.freshAddress();
	const beganMs = monotonicMs();
	const attempts = Array.from({length: ATTEMPTS}, () => client.get({from: greedy, timeoutMs: ATTEMPT_MS}));
	const served = (await Promise.all(attempts)).filter(({status}) => status === 200).length;
	const tookS = (monotonicMs() - beganMs) / 1000;
	const outcomes = await others.stop();
	t.log(`${served} of ${ATTEMPTS} in ${tookS} s`);
	t.true(served >= BURST);
	t.true(served <= BURST + RATE * tookS + 1);
	t.true(outcomes.length > 50);
	t.deepEqual(
		outcomes.filter(({status}) => status !== 200),
		[],
	);
	t.true((await met(lb1, 'V_DROP_RATE_SOURCE')) >= ATTEMPTS - served);
	t.regex((await lbctl(lb1, 'drops')).stdout, /drop_rate_source/);
});

test('a prefix that a reload blocks stops a running download, and lets it go on when it is gone', async t => {
	const {client, lb1} = lab();
	const body = randomBytes(SLOW_S * SLOW_BYTES_PER_SECOND);
	for (const server of [lab().web1, lab().web2]) writeFileSync(join(server.directory, 'big'), body);
	const from = client.freshAddress();
	const file = join(lab().directory, 'blocked');
	const url = `http://${externalVip}/slow`;
	const argv = ['curl', '-sS', '--fail', '--max-time', '60', '--interface', from, '--output', file, url];
	const download = finish({namespace: lab().namespace('client')}, argv);
	const bytes = (): number => (existsSync(file) ? statSync(file).size : 0);
	await waitFor('the download is under way', () => bytes() > SLOW_BYTES_PER_SECOND / 2);

	await reload(withSettings(`block ${from}/32`));
	const before = await met(lb1, 'V_DROP_BLOCKED');
	await waitFor('its acknowledgements are dropped', async () => (await met(lb1, 'V_DROP_BLOCKED')) > before);
	t.is((await client.get({from, timeoutMs: 500})).status, null);
	t.is((await client.get()).status, 200, 'others are served');
	t.true(bytes() < body.length);

	await reload(job);
	const {code, stderr} = await download;
	t.is(code, 0, stderr);
	t.true(readFileSync(file).equals(body));
	const after = await met(lb1, 'V_DROP_BLOCKED');
	t.is((await client.get({from})).status, 200);
	t.is(await met(lb1, 'V_DROP_BLOCKED'), after);
});

test('a daemon that starts again knows what it has blocked', async t => {
	const {client, lb1} = lab();
	const from = client.freshAddress();
	await reload(withSettings(`block ${from}/32 2001:db8::/32`));
	await lb1.kill();
	await startPrimary(lab());
	t.is((await client.get({from, timeoutMs: 500})).status, null);
	await reload(job);
	t.is((await client.get({from})).status, 200);
});

test('a client has one server for all ports of a service', async t => {
	const first = {address: lab().client.freshAddress(), port: 7000};
	const name = await ask(lab(), first, PORTS[0]);
	t.regex(name, /^web/);
	const answers: string[] = [];
	for (const port of PORTS) answers.push(await ask(lab(), first, port), await ask(lab(), {...first, port: 7001}, port));
	t.deepEqual(answers, only(name, 4));
});
