/** DR and tunnels with real traffic: bodies both ways, answers that never come through the balancer, both families and a mix. */
import {createHash, randomBytes} from 'node:crypto';
import {readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {nodes, type WebServerName} from '../../lab/topology.js';
import {becomeTunnelEnd} from '../../lab/tunnel-end.js';
import {waitFor} from '../../lab/wait.js';
import type {BackendRow} from '../../src/cli/commands/backends.js';
import type {FlowView} from '../../src/xdp/view.js';
import {inVersion3, reference} from './jobs.js';
import {labOfFile, startPrimary, test} from './lab-test.js';
import {allServe, finish} from './observe.js';

const BYTES = 4 * 2 ** 20;
const LIMIT_S = 60;
const SERVERS: readonly WebServerName[] = ['web1', 'web2'];

interface Job {
	readonly address: string;
	readonly kind: string;
	/** As `lbctl backends` calls it. */
	readonly method: string;
	readonly backends: readonly string[];
}

const ipv4 = SERVERS.map(server => nodes[server].nics[0]?.address ?? '');
const ipv6 = SERVERS.map(server => nodes[server].nics[0]?.address6 ?? '');
const JOBS: readonly Job[] = [
	{address: '192.168.1.1', kind: 'DR', method: 'dr', backends: ipv4},
	{address: '192.168.1.2', kind: 'TUN', method: 'ipip', backends: ipv4},
	{address: '192.168.1.3', kind: 'TUN type gre csum', method: 'gre', backends: ipv4},
	{address: '192.168.1.4', kind: 'TUN type gue port 6080', method: 'gue', backends: ipv4},
	{address: '192.168.1.5', kind: 'TUN type gue port 6080 csum', method: 'gue', backends: ipv6},
	{address: '2001:db8::1', kind: 'DR', method: 'dr', backends: ipv6},
	{address: '2001:db8::2', kind: 'TUN', method: 'ipip', backends: ipv6},
	{address: '2001:db8::3', kind: 'TUN', method: 'ipip', backends: ipv4},
	{address: '2001:db8::4', kind: 'TUN type gre', method: 'gre', backends: ipv6},
];

function isIpv6(address: string): boolean {
	return address.includes(':');
}

const addresses = JOBS.map(({address}) => address);
const virtualServers = JOBS.map(
	({address, kind, backends}) => `
virtual_server ${address} 80 {
	protocol TCP
	delay_loop 1
	lb_algo rr
	lb_kind ${kind}
	${backends.map(backend => `real_server ${backend} 80 { TCP_CHECK { connect_timeout 1 } }`).join('\n\t')}
}`,
);
/** The VRRP of the reference job with more addresses, and other services. */
const job = inVersion3(reference.primary, 0.1)
	.replace(/\n# Define a virtual HTTP server.*/s, '\n')
	.replace(
		'192.168.1.1/24\n    }',
		`${addresses
			.filter(address => !isIpv6(address))
			.map(address => `${address}/24`)
			.join('\n')}\n    }\n` +
			`    virtual_ipaddress_excluded {\n${addresses
				.filter(isIpv6)
				.map(address => `${address}/64`)
				.join('\n')}\n    }`,
	)
	.concat(...virtualServers);

const lab = labOfFile({configs: {lb1: job}}, async built => {
	const local = addresses.map(address => `${address}/${isIpv6(address) ? 128 : 32}`);
	await Promise.all([startPrimary(built), ...SERVERS.map(server => becomeTunnelEnd(built, server, local))]);
	await allServe(built.lb1);
});

async function rows(): Promise<BackendRow[]> {
	return (await lab().lb1.lbctl('backends')) as BackendRow[];
}

function digest(file: string): string {
	return createHash('sha256').update(readFileSync(file)).digest('hex');
}

/** curl as the client; `path` is below the virtual server. */
async function curl(address: string, path: string, ...options: string[]): Promise<string> {
	const host = isIpv6(address) ? `[${address}]` : address;
	const argv = ['curl', '-sS', '--fail', '-g', '--max-time', String(LIMIT_S), ...options, `http://${host}${path}`];
	const {code, stdout, stderr} = await finish({namespace: lab().namespace('client')}, argv);
	if (code !== 0) throw new Error(`${argv.join(' ')}: ${code}: ${stderr}`);
	return stdout;
}

for (const [n, {address, kind, method, backends}] of JOBS.entries()) {
	const of = `${isIpv6(address) ? 'IPv6' : 'IPv4'} to ${isIpv6(backends[0] ?? '') ? 'IPv6' : 'IPv4'}`;
	test(`${kind}, ${of}: bodies arrive both ways, and no answer comes through the balancer`, async t => {
		const [sent, received, name] = [join(lab().directory, 'sent'), join(lab().directory, 'received'), `put-${n}`];
		writeFileSync(sent, randomBytes(BYTES));
		for (const server of SERVERS) writeFileSync(join(lab()[server].directory, 'big'), readFileSync(sent));

		const answers = [await curl(address, '/'), await curl(address, '/')].map(answer => answer.trim());
		t.deepEqual(answers.toSorted(), ['web1', 'web2']);
		for (let download = 0; download < 2; download++) {
			await curl(address, '/big', '--output', received);
			t.is(digest(received), digest(sent));
		}
		await curl(address, `/put/${name}`, '--upload-file', sent);
		t.is(digest(join(lab()[await keeper(name)].directory, 'put', name)), digest(sent));

		const service = isIpv6(address) ? `[${address}]:80` : `${address}:80`;
		const own = (await rows()).filter(row => row.service === service);
		t.deepEqual(
			own.map(row => row.method),
			[method, method],
		);
		t.is(
			own.reduce((sum, row) => sum + row.connections, 0),
			5,
		);
		t.true(own.reduce((sum, row) => sum + row.bytesIn, 0) > BYTES);
		t.deepEqual(
			own.map(row => row.packetsOut),
			[0, 0],
		);
		const flows = async () => (await lab().lb1.lbctl('flows', '--service', service)) as FlowView[];
		await waitFor('clients have closed', async () =>
			(await flows()).every(({state}) => state === 'one_sided_close_wait'),
		);
		t.is((await flows()).length, 5);
	});
}

/** Who has what was sent to `/put/NAME`. */
async function keeper(name: string): Promise<WebServerName> {
	const found = await Promise.all(
		SERVERS.map(async server => (await lab().run(server, 'ls', join(lab()[server].directory, 'put'))).includes(name)),
	);
	const index = found.indexOf(true);
	return SERVERS[index] ?? 'web1';
}
