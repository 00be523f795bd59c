/** Path MTU discovery (RFC 1191) through the balancer: a router refuses what is too large, and its word reaches the sender. */
import {createHash, randomBytes} from 'node:crypto';
import {readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import type {Annex} from '../../lab/annex.js';
import {inside} from '../../lab/namespace.js';
import {run} from '../../lab/run.js';
import {externalVip} from '../../lab/topology.js';
import {waitFor} from '../../lab/wait.js';
import {WebServer} from '../../lab/web-server.js';
import {reference} from './jobs.js';
import {labOfFile, startPrimary, test} from './lab-test.js';
import {met, service} from './observe.js';

const MTU = 1280;
const BYTES = 8 * 2 ** 20;
/** A body that is sent again and again in vain ends here. */
const LIMIT_S = 15;
const FAR_CLIENTS = '198.19.0';
const FAR_SERVERS = '10.9.0';

/** The reference job with one server, which is behind web2. */
const job = reference.primary
	.replace(/^ {4}real_server 10\.0\.0\.71 .*?^ {4}\}\n/ms, '')
	.replace('real_server 10.0.0.72', `real_server ${FAR_SERVERS}.2`);

let client: Annex;
let server: WebServer;

const lab = labOfFile({configs: {lb1: job}}, async built => {
	client = await built.annex('client', {network: FAR_CLIENTS, mtu: MTU});
	const {namespace} = await built.annex('web2', {network: FAR_SERVERS, mtu: MTU});
	server = new WebServer('far', namespace, built.directory);
	await server.start();
	await built.run('lb1', 'ip', 'route', 'add', `${FAR_SERVERS}.0/24`, 'via', '10.0.0.72');
	await startPrimary(built);
	const isUp = async () => (await service(built.lb1)).backends[0]?.nextHop !== null;
	await waitFor('the backend is up and reachable', isUp, {timeoutMs: 5000});
});

/** Runs curl for so long at most. */
function curl(namespace: string, ...args: string[]): Promise<string> {
	return run([...inside(namespace), 'curl', '-sS', '--fail', '--max-time', String(LIMIT_S), ...args]);
}

/** The path MTU that a machine has learnt, null when it has not. */
async function learnt(namespace: string, to: string, from: string): Promise<number | null> {
	const route = await run([...inside(namespace), 'ip', 'route', 'get', to, 'from', from]);
	const mtu = /\bmtu (\d+)/.exec(route)?.[1];
	return mtu === undefined ? null : Number(mtu);
}

function digest(file: string): string {
	return createHash('sha256').update(readFileSync(file)).digest('hex');
}

test('a download through a narrow hop before the client: the backend learns of it', async t => {
	const [sent, received] = [join(server.directory, 'big'), join(lab().directory, 'received')];
	const path = [server.namespace, client.address, `${FAR_SERVERS}.2`] as const;
	writeFileSync(sent, randomBytes(BYTES));
	const before = await met(lab().lb1, 'V_FORWARD_ICMP');
	t.is(await learnt(...path), null);
	await curl(client.namespace, '--output', received, `http://${externalVip}/big`);
	t.is(digest(received), digest(sent));
	t.is(await learnt(...path), MTU);
	t.true((await met(lab().lb1, 'V_FORWARD_ICMP')) > before, 'the program has translated the word of the router');
});

test('an upload through a narrow hop before the backend: the client learns of it', async t => {
	const [sent, received] = [join(lab().directory, 'sent'), join(server.directory, 'put/received')];
	const from = lab().client.freshAddress();
	const path = [lab().namespace('client'), externalVip, from] as const;
	writeFileSync(sent, randomBytes(BYTES));
	const before = await met(lab().lb1, 'V_REPLY_ICMP');
	t.is(await learnt(...path), null);
	const url = `http://${externalVip}/put/received`;
	await curl(lab().namespace('client'), '--interface', from, '--upload-file', sent, url);
	t.is(digest(received), digest(sent));
	t.is(await learnt(...path), MTU);
	t.true((await met(lab().lb1, 'V_REPLY_ICMP')) > before, 'the program has translated the word of the router');
});
