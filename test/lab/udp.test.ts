/** UDP services of both families: datagrams are dealt in turn, answered from the virtual address, and never stuck to a dead server. */
import type {Daemon} from '../../lab/daemon.js';
import {externalVip, externalVip6, nodes, type WebServerName} from '../../lab/topology.js';
import {waitFor} from '../../lab/wait.js';
import type {BackendRow} from '../../src/cli/commands/backends.js';
import {endpointName, FAMILIES, type Family} from '../../src/net/address.js';
import type {FlowView} from '../../src/xdp/view.js';
import {ask as askService, startServer} from './datagrams.js';
import {bothFamilies, reference} from './jobs.js';
import {inTurn, labOfFile, only, other, startPrimary, test} from './lab-test.js';
import {lbctl, met} from './observe.js';

const PORT = 5300;
/** With the question and the header a little more than 5 * 1,480 bytes, which is what fits into as many packets (IPv6: 1,448). */
const LARGE = 8192;
const FRAGMENTS = 6;
const VIPS = {4: externalVip, 6: externalVip6} as const;
const SERVERS: readonly WebServerName[] = ['web1', 'web2'];

function addressOf(server: WebServerName, family: Family): string {
	const [nic] = nodes[server].nics;
	return (family === 4 ? nic?.address : nic?.address6) ?? '';
}

function serviceOf(family: Family): string {
	return endpointName(VIPS[family], PORT, 'udp');
}

const realServer = (address: string): string => `
	real_server ${address} ${PORT} {
		TCP_CHECK {
			connect_port 80
			connect_timeout 1
		}
	}`;

const virtualServer = (family: Family): string => `
virtual_server ${VIPS[family]} ${PORT} {
	protocol UDP
	delay_loop 1
	lb_algo rr
	lb_kind NAT
	${SERVERS.map(server => realServer(addressOf(server, family))).join('')}
}
`;

const job = [bothFamilies(reference.primary), ...FAMILIES.map(virtualServer)].join('\n');

const servers: Partial<Record<WebServerName, Daemon>> = {};

const lab = labOfFile({configs: {lb1: job}}, async built => {
	[servers.web1, servers.web2] = await Promise.all([
		startServer(built, 'web1', PORT),
		startServer(built, 'web2', PORT),
	]);
	await startPrimary(built);
	await becomeUp(2);
});

async function upBackends(): Promise<BackendRow[]> {
	const rows = (await lab().lb1.lbctl('backends')) as BackendRow[];
	const services = FAMILIES.map(serviceOf);
	return rows.filter(({service, state, nextHop}) => services.includes(service) && state === 'up' && nextHop !== null);
}

/** Waits until each service has so many backends. */
async function becomeUp(backends: number): Promise<void> {
	const look = async () => (await upBackends()).length === backends * FAMILIES.length;
	await waitFor(`${backends} backends of each service are up`, look);
}

/** The answer to one datagram, with so many random bytes, from a port of the client's. */
function ask(address: string, port: number, bytes = 0): Promise<string> {
	return askService(lab(), {address, port}, PORT, bytes);
}

/** A client of each family that was never seen before, and which server it has. */
async function clients(port: number): Promise<{readonly address: string; readonly server: WebServerName}[]> {
	const addresses = FAMILIES.map(family => lab().client.freshAddress(VIPS[family]));
	return Promise.all(addresses.map(async address => ({address, server: (await ask(address, port)) as WebServerName})));
}

for (const family of FAMILIES) {
	test(`IPv${family}: new clients alternate, an old one stays`, async t => {
		const address = lab().client.freshAddress(VIPS[family]);
		const answers: string[] = [];
		for (let port = 7000; port < 7006; port++) answers.push(await ask(address, port));
		const [first = ''] = answers;
		t.deepEqual(answers, inTurn(first, 6));
		const again: string[] = [];
		for (let n = 0; n < 3; n++) again.push(await ask(address, 7001));
		t.deepEqual(again, only(other(first), 3));
	});

	test(`IPv${family}: lbctl names the service and its flows by their protocol`, async t => {
		const service = serviceOf(family);
		const flows = (await lab().lb1.lbctl('flows', '--service', service)) as FlowView[];
		t.is(flows.length, 6);
		for (const flow of flows) t.like(flow, {service, state: 'udp_both_ways'});
		const {stdout, code} = await lbctl(lab().lb1, 'services', service);
		t.is(code, 0);
		t.true(stdout.includes(endpointName(addressOf('web1', family), PORT, 'udp')), stdout);
	});

	test(`IPv${family}: a datagram of 8 KB goes and returns in fragments, through the program`, async t => {
		const address = lab().client.freshAddress(VIPS[family]);
		const before = {in: await met(lab().lb1, 'V_FORWARD'), out: await met(lab().lb1, 'V_REPLY')};
		const server = await ask(address, 7050, LARGE);
		t.regex(server, /^web[12]$/, 'all of it has come back');
		t.is(await met(lab().lb1, 'V_FORWARD'), before.in + FRAGMENTS - 1, 'all but the first, which opens the flow');
		t.is(await met(lab().lb1, 'V_REPLY'), before.out + FRAGMENTS);
		t.is(await ask(address, 7050, LARGE), server);
		t.deepEqual(await lab().lb1.lbctl('drops'), []);
	});
}

test('clients of a server that dies are served by the other, from the same port', async t => {
	const all = await clients(7100);
	for (const stopped of SERVERS) {
		const own = all.filter(({server}) => server === stopped);
		if (own.length === 0) continue;
		await lab()[stopped].stop();
		await becomeUp(1);
		for (const {address} of own) t.is(await ask(address, 7100), other(stopped));
		await lab()[stopped].start();
		await becomeUp(2);
		for (const {address} of own) t.is(await ask(address, 7100), other(stopped), 'and stays there');
	}
});

test('the ICMP error of a server without the port reaches the client', async t => {
	const all = await clients(7200);
	await Promise.all(Object.values(servers).map(server => server.kill()));
	for (const {address} of all) t.is(await ask(address, 7200), 'refused', address);
});
