/**
 * Path MTU discovery through the balancer (RFC 1191, RFC 8201): a router refuses what is too large, and its word reaches the
 * sender.
 */
import {createHash, randomBytes} from 'node:crypto';
import {readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import type {Annex} from '../../lab/annex.js';
import {inside} from '../../lab/namespace.js';
import {run} from '../../lab/run.js';
import {externalVip, externalVip6, nodes} from '../../lab/topology.js';
import {waitFor} from '../../lab/wait.js';
import {WebServer} from '../../lab/web-server.js';
import type {BackendRow} from '../../src/cli/commands/backends.js';
import {FAMILIES, type Family} from '../../src/net/address.js';
import {bothFamilies, quick, reference} from './jobs.js';
import {labOfFile, startPrimary, test} from './lab-test.js';
import {met} from './observe.js';

const MTU = 1280;
const BYTES = 8 * 2 ** 20;
/** A body that is sent again and again in vain ends here. */
const LIMIT_S = 60;
const FAR_CLIENTS = {network: '198.19.0', network6: '2001:db8:a', mtu: MTU} as const;
const FAR_SERVERS = {network: '10.9.0', network6: '2001:db8:b', mtu: MTU} as const;
const VIPS = {4: externalVip, 6: externalVip6} as const;

/** The reference job in both families with one server, which is behind web2. */
const job = bothFamilies(quick(reference.primary))
	.replaceAll(/^ {4}real_server (?:10\.0\.0\.|2001:db8:1::)71 .*?^ {4}\}\n/gms, '')
	.replace('real_server 10.0.0.72', `real_server ${FAR_SERVERS.network}.2`)
	.replace('real_server 2001:db8:1::72', `real_server ${FAR_SERVERS.network6}::2`);

let client: Annex;
let server: WebServer;
let far: Annex;

const lab = labOfFile({configs: {lb1: job}}, async built => {
	client = await built.annex('client', FAR_CLIENTS);
	far = await built.annex('web2', FAR_SERVERS);
	server = new WebServer('far', far.namespace, built.directory);
	await server.start();
	const [gateway] = nodes.web2.nics;
	await built.run('lb1', 'ip', 'route', 'add', `${far.address}/32`, 'via', gateway?.address ?? '');
	await built.run('lb1', 'ip', 'route', 'add', `${far.address6}/128`, 'via', gateway?.address6 ?? '');
	await startPrimary(built);
	const reachable = async () =>
		((await built.lb1.lbctl('backends')) as BackendRow[]).filter(({nextHop}) => nextHop !== null);
	await waitFor('the backends are reachable', async () => (await reachable()).length === FAMILIES.length);
});

function addressOf(annex: Annex, family: Family): string {
	return family === 4 ? annex.address : annex.address6;
}

function url(family: Family, path: string): string {
	return `http://${family === 4 ? VIPS[4] : `[${VIPS[6]}]`}${path}`;
}

/** Runs curl for so long at most. */
function curl(namespace: string, ...args: string[]): Promise<string> {
	return run([...inside(namespace), 'curl', '-sS', '--fail', '-g', '--max-time', String(LIMIT_S), ...args]);
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

for (const family of FAMILIES) {
	test(`IPv${family}: a download through a narrow hop before the client: the backend learns of it`, async t => {
		const [sent, received] = [join(server.directory, 'big'), join(lab().directory, 'received')];
		const path = [server.namespace, addressOf(client, family), addressOf(far, family)] as const;
		writeFileSync(sent, randomBytes(BYTES));
		const before = await met(lab().lb1, 'V_FORWARD_ICMP');
		t.is(await learnt(...path), null);
		await curl(client.namespace, '--output', received, url(family, '/big'));
		t.is(digest(received), digest(sent));
		t.is(await learnt(...path), MTU);
		t.true((await met(lab().lb1, 'V_FORWARD_ICMP')) > before, 'the program has translated the word of the router');
	});

	test(`IPv${family}: an upload through a narrow hop before the backend: the client learns of it`, async t => {
		const name = `received-${family}`;
		const [sent, received] = [join(lab().directory, 'sent'), join(server.directory, 'put', name)];
		const from = lab().client.freshAddress(VIPS[family]);
		const path = [lab().namespace('client'), VIPS[family], from] as const;
		writeFileSync(sent, randomBytes(BYTES));
		const before = await met(lab().lb1, 'V_REPLY_ICMP');
		t.is(await learnt(...path), null);
		const to = url(family, `/put/${name}`);
		await curl(lab().namespace('client'), '--interface', from, '--upload-file', sent, to);
		t.is(digest(received), digest(sent));
		t.is(await learnt(...path), MTU);
		t.true((await met(lab().lb1, 'V_REPLY_ICMP')) > before, 'the program has translated the word of the router');
	});
}
