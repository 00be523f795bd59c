/** A UDP service: datagrams are dealt in turn, answered from the virtual address, and never stuck to a dead server. */
import type {Daemon} from '../../lab/daemon.js';
import {externalVip, type WebServerName} from '../../lab/topology.js';
import {waitFor} from '../../lab/wait.js';
import type {BackendRow} from '../../src/cli/commands/backends.js';
import type {FlowView} from '../../src/xdp/view.js';
import {ask as askService, startServer} from './datagrams.js';
import {reference} from './jobs.js';
import {inTurn, labOfFile, only, other, startPrimary, test} from './lab-test.js';
import {lbctl, met} from './observe.js';

const PORT = 5300;
/** With the question and the header a little more than 5 * 1,480 bytes, which is what fits into as many packets. */
const LARGE = 8192;
const FRAGMENTS = 6;
const SERVICE = `${externalVip}:${PORT}/udp`;
/** More than checks need to see a failure: delay_loop 1, one retry after 1 s, and the machine's slowness. */
const DOWN_MS = 8000;

const realServer = (address: string): string => `
	real_server ${address} ${PORT} {
		TCP_CHECK {
			connect_port 80
			connect_timeout 1
		}
	}`;

const job = `${reference.primary}
virtual_server ${externalVip} ${PORT} {
	protocol UDP
	delay_loop 1
	lb_algo rr
	lb_kind NAT
	${['10.0.0.71', '10.0.0.72'].map(realServer).join('')}
}
`;

const servers: Partial<Record<WebServerName, Daemon>> = {};

const lab = labOfFile({configs: {lb1: job}}, async built => {
	[servers.web1, servers.web2] = await Promise.all([
		startServer(built, 'web1', PORT),
		startServer(built, 'web2', PORT),
	]);
	await startPrimary(built);
	await waitFor('both backends are up', async () => (await upBackends()).length === 2, {timeoutMs: 5000});
});

async function upBackends(): Promise<BackendRow[]> {
	const rows = (await lab().lb1.lbctl('backends')) as BackendRow[];
	return rows.filter(({service, state, nextHop}) => service === SERVICE && state === 'up' && nextHop !== null);
}

/** The answer to one datagram, with so many random bytes, from a port of the client's. */
function ask(address: string, port: number, bytes = 0): Promise<string> {
	return askService(lab(), {address, port}, PORT, bytes);
}

test('new clients alternate, an old one stays', async t => {
	const address = lab().client.freshAddress();
	const answers: string[] = [];
	for (let port = 7000; port < 7006; port++) answers.push(await ask(address, port));
	const [first = ''] = answers;
	t.deepEqual(answers, inTurn(first, 6));
	const again: string[] = [];
	for (let n = 0; n < 3; n++) again.push(await ask(address, 7001));
	t.deepEqual(again, only(other(first), 3));
});

test('lbctl names the service and its flows by their protocol', async t => {
	const flows = (await lab().lb1.lbctl('flows', '--service', SERVICE)) as FlowView[];
	t.is(flows.length, 6);
	for (const flow of flows) t.like(flow, {service: SERVICE, state: 'udp_both_ways'});
	const {stdout, code} = await lbctl(lab().lb1, 'services', SERVICE);
	t.is(code, 0);
	t.regex(stdout, /10\.0\.0\.71:5300\/udp/);
});

test('a datagram of 8 KB goes and returns in fragments, through the program', async t => {
	const address = lab().client.freshAddress();
	const before = {in: await met(lab().lb1, 'V_FORWARD'), out: await met(lab().lb1, 'V_REPLY')};
	const server = await ask(address, 7050, LARGE);
	t.regex(server, /^web[12]$/, 'all of it has come back');
	t.is(await met(lab().lb1, 'V_FORWARD'), before.in + FRAGMENTS - 1, 'all but the first, which opens the flow');
	t.is(await met(lab().lb1, 'V_REPLY'), before.out + FRAGMENTS);
	t.is(await ask(address, 7050, LARGE), server);
	t.deepEqual(await lab().lb1.lbctl('drops'), []);
});

test('a client of a server that dies is served by the other, from the same port', async t => {
	const address = lab().client.freshAddress();
	const server = (await ask(address, 7100)) as WebServerName;
	await lab()[server].stop();
	await waitFor(`${server} is down`, async () => (await upBackends()).length === 1, {timeoutMs: DOWN_MS});
	t.is(await ask(address, 7100), other(server));
	await lab()[server].start();
	await waitFor(`${server} is up`, async () => (await upBackends()).length === 2, {timeoutMs: DOWN_MS});
	t.is(await ask(address, 7100), other(server), 'and stays there');
});

test('the ICMP error of a server without the port reaches the client', async t => {
	const address = lab().client.freshAddress();
	const server = (await ask(address, 7200)) as WebServerName;
	await servers[server]?.kill();
	t.is(await ask(address, 7200), 'refused');
});
