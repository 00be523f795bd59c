/** Streams at full speed, TCP and UDP, both ways: iperf3 through the balancer. */
import {Daemon} from '../../lab/daemon.js';
import type {Lab} from '../../lab/lab.js';
import {inside} from '../../lab/namespace.js';
import {run} from '../../lab/run.js';
import {externalVip, externalVip6, type NodeName, nodes, type WebServerName} from '../../lab/topology.js';
import {waitFor} from '../../lab/wait.js';
import type {ServiceRow} from '../../src/cli/commands/services.js';
import {endpointName, FAMILIES, type Family} from '../../src/net/address.js';
import {bothFamilies, reference} from './jobs.js';
import {labOfFile, startPrimary, test} from './lab-test.js';

/** All connections of a test must find one server: the control connection tells it of the others. */
const TCP_PORT = 5201;
/** And of the datagrams, hence a service with one server. */
const UDP_PORT = 5202;
const STREAMS = 4;
const TCP_BYTES = 64 * 2 ** 20;
/** Bounds what can be in flight. */
const TCP_WINDOW = '256K';
const UDP_BYTES = 2 * 2 ** 20;
/** Slow enough that a receiver's buffer seldom overflows on a busy machine. */
const UDP_BITS_PER_SECOND = 16_000_000;
/** Fits into one packet. */
const DATAGRAM_BYTES = 1400;
const LIMIT_S = 60;

/** iperf3 takes a health check for a test, so web servers are asked instead. */
const realServer = (address: string, port: number): string => `
	real_server ${address} ${port} {
		TCP_CHECK {
			connect_port 80
		}
	}`;

const VIPS = {4: externalVip, 6: externalVip6} as const;

function virtualServer(of: Family, port: number, protocol: 'TCP' | 'UDP', ...servers: WebServerName[]): string {
	const addresses = servers.map(server => nodes[server].nics[0]?.[of === 4 ? 'address' : 'address6'] ?? '');
	return `
virtual_server ${VIPS[of]} ${port} {
	protocol ${protocol}
	lb_algo rr
	lb_kind NAT
	persistence_timeout 60
	${addresses.map(address => realServer(address, port)).join('')}
}
`;
}

const virtualServers = FAMILIES.flatMap(family => [
	virtualServer(family, TCP_PORT, 'TCP', 'web1', 'web2'),
	virtualServer(family, UDP_PORT, 'TCP', 'web1'),
	virtualServer(family, UDP_PORT, 'UDP', 'web1'),
]);
const job = [bothFamilies(reference.primary), ...virtualServers].join('\n');
/** The reference job's, and these. */
const SERVICES = FAMILIES.length + virtualServers.length;

const lab = labOfFile({configs: {lb1: job}}, async built => {
	await Promise.all([
		startServer(built, 'web1', TCP_PORT),
		startServer(built, 'web2', TCP_PORT),
		startServer(built, 'web1', UDP_PORT),
	]);
	await startPrimary(built);
	const isReady = ({backends, backendsUp}: ServiceRow) =>
		backendsUp === backends.length && backends.every(({nextHop}) => nextHop !== null);
	const allReady = async () => (await services()).filter(isReady).length === SERVICES;
	await waitFor('all backends are up and reachable', allReady);
});

/** The server ends with the laboratory, as all that lives in its namespaces does. */
async function startServer(built: Lab, name: WebServerName, port: number): Promise<void> {
	const namespace = built.namespace(name);
	await Daemon.start({
		name: `iperf3 on ${name}`,
		namespace,
		argv: ['iperf3', '--server', '--port', String(port)],
		logFile: `${built.directory}/${name}/iperf-${port}.log`,
		isReady: async () => (await run([...inside(namespace), 'ss', '-Hlnt'])).includes(`:${port} `),
	});
}

async function services(): Promise<ServiceRow[]> {
	return (await lab().lb1.lbctl('services')) as ServiceRow[];
}

/** What the program's counters say of a service. */
async function counted(name: string): Promise<ServiceRow> {
	const row = (await services()).find(({service}) => service === name);
	if (row === undefined) throw new Error(`no service ${name}`);
	return row;
}

interface Sum {
	readonly bytes: number;
	readonly packets: number;
	readonly lost_packets: number;
}

/** The end of iperf3's report: `sum` for datagrams, the others for TCP. */
interface End {
	readonly sum: Sum;
	readonly sum_sent: Sum;
	readonly sum_received: Sum;
	readonly streams: readonly unknown[];
}

/** A test from a client that was never seen before; rejects when iperf3 fails. */
async function iperf(family: Family, port: number, ...options: string[]): Promise<End> {
	const argv = ['iperf3', '--json', '--client', VIPS[family], '--port', String(port), ...options];
	const from = lab().client.freshAddress(VIPS[family]);
	const report = await lab().run('client', 'timeout', String(LIMIT_S), ...argv, '--bind', from);
	return JSON.parse(report).end;
}

/** Datagrams that have arrived at a machine whose program was too slow to take them. */
async function overflowed(node: NodeName): Promise<number> {
	const {kernel}: {kernel: Record<string, number>} = JSON.parse(await lab().run(node, 'nstat', '-a', '-s', '-z', '-j'));
	return (kernel.UdpRcvbufErrors ?? Number.NaN) + (kernel.Udp6RcvbufErrors ?? Number.NaN);
}

const DIRECTIONS = [
	{direction: 'to the server', options: [], way: 'In', receiver: 'web1'},
	{direction: 'to the client', options: ['--reverse'], way: 'Out', receiver: 'client'},
] as const;

for (const {family, direction, options, way, receiver} of FAMILIES.flatMap(family =>
	DIRECTIONS.map(direction => ({family, ...direction})),
)) {
	test(`IPv${family}, TCP ${direction}: ${STREAMS} streams of one client arrive whole, through the program`, async t => {
		const service = endpointName(VIPS[family], TCP_PORT, 'tcp');
		const before = await counted(service);
		const size = ['--parallel', String(STREAMS), '--bytes', String(TCP_BYTES), '--window', TCP_WINDOW];
		const end = await iperf(family, TCP_PORT, ...size, ...options);
		const after = await counted(service);
		t.is(end.streams.length, STREAMS);
		t.true(end.sum_sent.bytes >= TCP_BYTES, `${end.sum_sent.bytes} bytes sent`);
		// What is in flight when the sender says that it has done, nobody counts.
		t.true(end.sum_received.bytes > 0.9 * TCP_BYTES, `${end.sum_received.bytes} bytes received`);
		t.true(after[`bytes${way}`] - before[`bytes${way}`] > 0.9 * TCP_BYTES, 'the program has counted them');
		t.is(after.connections - before.connections, STREAMS + 1, 'the streams, and the connection that controls them');
		t.deepEqual(
			after.backends.map(({connections}, n) => connections - (before.backends[n]?.connections ?? 0)).toSorted(),
			[0, STREAMS + 1],
			'persistence keeps them together',
		);
	});

	test(`IPv${family}, UDP ${direction}: every datagram arrives, through the program`, async t => {
		const service = endpointName(VIPS[family], UDP_PORT, 'udp');
		const before = await counted(service);
		const missed = await overflowed(receiver);
		const rate = ['--bitrate', String(UDP_BITS_PER_SECOND), '--length', String(DATAGRAM_BYTES)];
		const {sum} = await iperf(family, UDP_PORT, '--udp', ...rate, '--bytes', String(UDP_BYTES), ...options);
		const after = await counted(service);
		t.true(sum.bytes >= UDP_BYTES, `${sum.bytes} bytes sent`);
		const lost = sum.lost_packets - ((await overflowed(receiver)) - missed);
		t.true(lost <= 0, `${lost} lost on the way`);
		t.true(after[`packets${way}`] - before[`packets${way}`] >= sum.packets, 'the program has counted them');
		t.is(after.connections - before.connections, 1);
	});
}

test('not one packet was dropped on the way', async t => {
	t.deepEqual(await lab().lb1.lbctl('drops'), []);
});
