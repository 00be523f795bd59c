/** Streams at full speed, TCP and UDP, both ways: iperf3 through the balancer. */
import {Daemon} from '../../lab/daemon.js';
import type {Lab} from '../../lab/lab.js';
import {inside} from '../../lab/namespace.js';
import {run} from '../../lab/run.js';
import {externalVip, type WebServerName} from '../../lab/topology.js';
import {waitFor} from '../../lab/wait.js';
import type {ServiceRow} from '../../src/cli/commands/services.js';
import {reference} from './jobs.js';
import {labOfFile, startPrimary, test} from './lab-test.js';

/** All connections of a test must find one server: the control connection tells it of the others. */
const TCP_PORT = 5201;
/** And of the datagrams, hence a service with one server. */
const UDP_PORT = 5202;
const STREAMS = 4;
const TCP_BYTES = 64 * 2 ** 20;
/** Bounds what can be in flight. */
const TCP_WINDOW = '256K';
const UDP_BYTES = 4 * 2 ** 20;
/** Slow enough that no receiver's buffer overflows on a busy machine: what is lost is then lost by the balancer. */
const UDP_BITS_PER_SECOND = 16_000_000;
/** Fits into one packet. */
const DATAGRAM_BYTES = 1400;
const LIMIT_S = 15;

/** iperf3 takes a health check for a test, so web servers are asked instead. */
const realServer = (address: string, port: number): string => `
	real_server ${address} ${port} {
		TCP_CHECK {
			connect_port 80
		}
	}`;

const virtualServer = (port: number, protocol: 'TCP' | 'UDP', ...addresses: string[]): string => `
virtual_server ${externalVip} ${port} {
	protocol ${protocol}
	lb_algo rr
	lb_kind NAT
	persistence_timeout 60
	${addresses.map(address => realServer(address, port)).join('')}
}
`;

const job = [
	reference.primary,
	virtualServer(TCP_PORT, 'TCP', '10.0.0.71', '10.0.0.72'),
	virtualServer(UDP_PORT, 'TCP', '10.0.0.71'),
	virtualServer(UDP_PORT, 'UDP', '10.0.0.71'),
].join('');

const lab = labOfFile({configs: {lb1: job}}, async built => {
	await Promise.all([
		startServer(built, 'web1', TCP_PORT),
		startServer(built, 'web2', TCP_PORT),
		startServer(built, 'web1', UDP_PORT),
	]);
	await startPrimary(built);
	const allUp = async () => (await services()).every(({backends, backendsUp}) => backendsUp === backends.length);
	await waitFor('all backends are up', allUp, {timeoutMs: 5000});
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
async function iperf(port: number, ...options: string[]): Promise<End> {
	const argv = ['iperf3', '--json', '--client', externalVip, '--port', String(port), ...options];
	const from = lab().client.freshAddress();
	const report = await lab().run('client', 'timeout', String(LIMIT_S), ...argv, '--bind', from);
	return JSON.parse(report).end;
}

const directions = [
	{direction: 'to the server', options: [], way: 'In'},
	{direction: 'to the client', options: ['--reverse'], way: 'Out'},
] as const;

for (const {direction, options, way} of directions) {
	test(`TCP ${direction}: ${STREAMS} streams of one client arrive whole, through the program`, async t => {
		const service = `${externalVip}:${TCP_PORT}`;
		const before = await counted(service);
		const size = ['--parallel', String(STREAMS), '--bytes', String(TCP_BYTES), '--window', TCP_WINDOW];
		const end = await iperf(TCP_PORT, ...size, ...options);
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

	test(`UDP ${direction}: every datagram arrives, through the program`, async t => {
		const service = `${externalVip}:${UDP_PORT}/udp`;
		const before = await counted(service);
		const rate = ['--bitrate', String(UDP_BITS_PER_SECOND), '--length', String(DATAGRAM_BYTES)];
		const {sum} = await iperf(UDP_PORT, '--udp', ...rate, '--bytes', String(UDP_BYTES), ...options);
		const after = await counted(service);
		t.true(sum.bytes >= UDP_BYTES, `${sum.bytes} bytes sent`);
		t.is(sum.lost_packets, 0);
		t.true(after[`packets${way}`] - before[`packets${way}`] >= sum.packets, 'the program has counted them');
		t.is(after.connections - before.connections, 1);
	});
}

test('not one packet was dropped on the way', async t => {
	t.deepEqual(await lab().lb1.lbctl('drops'), []);
});
