/**
 * Clients on both sides: some come by the external NIC, as ever, and some by the very NIC that leads to the backend, where
 * their packets leave as they came. For those the balancer has one arm.
 */
import {randomBytes} from 'node:crypto';
import {readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {hearTransmitted} from '../../lab/one-arm.js';
import {externalVip, externalVip6, internalVip, internalVip6, nodes} from '../../lab/topology.js';
import {PATIENCE_MS, waitFor} from '../../lab/wait.js';
import type {BackendRow} from '../../src/cli/commands/backends.js';
import type {ServiceRow} from '../../src/cli/commands/services.js';
import {endpointName, FAMILIES, type Family} from '../../src/net/address.js';
import type {FlowView} from '../../src/xdp/view.js';
import {bothFamilies, reference} from './jobs.js';
import {labOfFile, startPrimary, test} from './lab-test.js';

const BYTES = 2 ** 20;
const LIMIT_S = 60;
const VIPS = {4: externalVip, 6: externalVip6} as const;
const GATEWAYS = {4: internalVip, 6: internalVip6} as const;
const [nic] = nodes.web2.nics;
/** Of the machine that is a client here. */
const INSIDER = {4: nic?.address ?? '', 6: nic?.address6 ?? ''} as const;

/** The reference job in both families, web1 its only server. */
const job = bothFamilies(reference.primary).replaceAll(
	/^ {4}real_server (?:10\.0\.0\.|2001:db8:1::)72 .*?^ {4}\}\n/gms,
	'',
);

const lab = labOfFile({configs: {lb1: job}}, async built => {
	// The server would answer its neighbour directly, from an address that this one has not asked.
	for (const family of FAMILIES) {
		await built.run('web1', 'ip', 'route', 'add', INSIDER[family], 'via', GATEWAYS[family], 'dev', 'eth0');
	}
	// What the balancer's kernel forwards itself, it tells the server a shorter way for; IPv4 is told not to.
	await built.run('web1', 'sysctl', '-qw', 'net.ipv6.conf.eth0.accept_redirects=0');
	await hearTransmitted(built, 'lb1', 'internal');
	await startPrimary(built);
	const reachable = async () =>
		((await built.lb1.lbctl('backends')) as BackendRow[]).filter(({nextHop}) => nextHop !== null);
	await waitFor('the backends are reachable', async () => (await reachable()).length === FAMILIES.length, {
		timeoutMs: PATIENCE_MS,
	});
});

async function counted(name: string): Promise<ServiceRow> {
	const row = ((await lab().lb1.lbctl('services')) as ServiceRow[]).find(({service}) => service === name);
	if (row === undefined) throw new Error(`no service ${name}`);
	return row;
}

/** The large file, as a client of the service gets it. */
async function fetched(node: 'client' | 'web2', family: Family, from: string): Promise<Buffer> {
	const url = `http://${endpointName(VIPS[family], 80, 'tcp')}/big`;
	const file = join(lab().directory, `${node}-${family}`);
	const limits = ['--fail', '-g', '--max-time', String(LIMIT_S)];
	await lab().run(node, 'curl', '-sS', ...limits, '--interface', from, '--output', file, url);
	return readFileSync(file);
}

for (const family of FAMILIES) {
	test(`IPv${family}: clients of both NICs at once are served by the same server, through the program`, async t => {
		const body = randomBytes(BYTES);
		writeFileSync(join(lab().web1.directory, 'big'), body);
		const service = endpointName(VIPS[family], 80, 'tcp');
		const before = await counted(service);
		const outsider = lab().client.freshAddress(VIPS[family]);
		const both = [fetched('client', family, outsider), fetched('web2', family, INSIDER[family])];
		for (const received of await Promise.all(both)) t.true(received.equals(body));
		const after = await counted(service);
		t.is(after.connections - before.connections, 2);
		t.true(after.bytesOut - before.bytesOut > 2 * BYTES, 'both answers have come through the program');
		for (const client of [outsider, INSIDER[family]]) {
			const flows = (await lab().lb1.lbctl('flows', '--client', client)) as FlowView[];
			t.like(flows, {length: 1, 0: {service}}, client);
		}
	});
}

test('not one packet was dropped on the way', async t => {
	t.deepEqual(await lab().lb1.lbctl('drops'), []);
});
