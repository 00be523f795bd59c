/** Both CPUs at once: what the program promises must hold however they interleave. */
import {execFile, execFileSync} from 'node:child_process';
import {mkdtempSync, rmdirSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import type {ExecutionContext} from 'ava';
import {mountBpffs} from 'libbpf-ts';
import {BackendState, FlowShift, FlowState, maps as layouts, Verdict} from '../../src/xdp/layout.gen.js';
import {type Balancer, balancer, CLIENT_MAC, packetTest, type Transport} from './balancer.js';
import {Connection, SERVER_ISN} from './connection.js';
import {tcpFrame} from './frame.js';
import type {Storm} from './storm.js';

const VIP = '192.168.1.1:80';
const JOB = [{at: VIP, backends: ['10.0.0.71:80', '10.0.0.72:80']}];
const PROCESS = fileURLToPath(new URL('storm.js', import.meta.url));
const SOURCE = fileURLToPath(new URL('../../../test/packets/storm.bpf.c', import.meta.url));
const FLOOD = 0xac14_0000; // 172.20.0.0
const ESTABLISHED = 0xac13_0000; // 172.19.0.0
const PORT = 7000;

/** What every client of a storm gets: a TCP packet with these flags, or a datagram; its server's if it names one. */
interface Packet {
	readonly flags: string;
	readonly server?: string;
	readonly seq?: number;
	readonly ack?: number;
	readonly behind?: number;
	readonly packets?: number;
}

const SYN: Packet = {flags: 'S'};

interface Weather extends Pick<Storm, 'firstClient' | 'clients' | 'stride' | 'packets'> {
	readonly steps: readonly Packet[];
	readonly protocol?: Transport;
}

function frameOf(b: Balancer, {flags, server, seq = 0, ack = 0}: Packet, protocol: Transport): Uint8Array {
	const payload = new Uint8Array(protocol === 'tcp' ? 10 : 22);
	const client = `172.20.0.0:${PORT}`;
	const toMac = b.ports.external.mac;
	if (server === undefined) return new Connection(b, client, VIP, protocol).request(flags, {ack, payload});
	return tcpFrame({toMac, fromMac: CLIENT_MAC, from: server, to: client, flags, seq, payload});
}

/** Runs storms at the same time, each on a CPU of its own; returns how often a verdict was counted meanwhile, by all or one. */
async function rage(
	t: ExecutionContext,
	b: Balancer,
	storms: readonly Weather[],
): Promise<(verdict: keyof typeof Verdict, cpu?: number) => number> {
	const folder = mkdtempSync(join(tmpdir(), 'sluice-storm-'));
	const bpffs = mkdtempSync(join(tmpdir(), 'sluice-bpffs-'));
	mountBpffs(bpffs);
	t.teardown(() => {
		execFileSync('umount', [bpffs]);
		rmdirSync(bpffs);
		rmSync(folder, {recursive: true});
	});
	const object = join(folder, 'storm.bpf.o');
	const triplet = execFileSync('gcc', ['-print-multiarch'], {encoding: 'utf8'}).trim();
	execFileSync('clang', ['-O2', '-g', '-target', 'bpf', `-I/usr/include/${triplet}`, '-c', SOURCE, '-o', object]);
	b.pin('lb', join(bpffs, 'lb'));

	const countersOf = (): BigUint64Array[] => [b.counters(), ...storms.map((_, cpu) => b.counters(cpu))];
	const before = countersOf();
	await Promise.all(
		storms.map(async ({steps: packets, protocol = 'tcp', ...rest}, cpu) => {
			const steps = packets.map(packet => ({
				frame: Buffer.from(frameOf(b, packet, protocol)).toString('hex'),
				fromServer: packet.server !== undefined,
				behind: packet.behind ?? 0,
				packets: packet.packets ?? 1,
			}));
			const program = join(bpffs, 'lb');
			const {ifindex} = b.ports.external;
			const storm: Storm = {object, program, ifindex, steps, ...rest};
			const argv = ['-c', String(cpu), process.execPath, PROCESS, JSON.stringify(storm)];
			const {stdout} = await promisify(execFile)('taskset', argv);
			t.log(`CPU ${cpu}, ${protocol} ${packets.map(({flags}) => flags)}: ${stdout.trim()} ns a packet`);
		}),
	);
	const after = countersOf();
	return (verdict, cpu = -1) => {
		const [now, then] = [after, before].map(counters => counters[cpu + 1]?.[Verdict[verdict]] ?? 0n);
		return Number((now ?? 0n) - (then ?? 0n));
	};
}

/** Flows of clients of their own, from ESTABLISHED on. */
function establish(b: Balancer, count: number): void {
	for (let n = 0; n < count; n++) new Connection(b, `172.19.0.${n}:${PORT}`, VIP).establish();
}

/** The bucket that each flow is in, by the words of its key. */
function places(b: Balancer): Map<string, number> {
	const places = new Map<string, number>();
	b.changeFlows((slot, bucket) => {
		places.set(`${slot.addrs} ${slot.ports}`, bucket);
		return slot;
	});
	return places;
}

/** Makes the table small, so that slots are fought for. */
function shrink(b: Balancer, buckets: number): void {
	b.changeSettings(() => ({flowBucketMask: buckets - 1}));
}

/** How many connections each backend has been dealt, over all CPUs. */
function connectionsOf({tables, maps: {traffic}}: Balancer): number[] {
	return [...tables.backends.keys()].map(id =>
		Number(traffic.sumU64(id * 64, 4096 * 64, traffic.size / (4096 * 64), 1)[0] ?? 0n),
	);
}

function assertSound(t: ExecutionContext, b: Balancer): void {
	const flows = b.flows();
	const state = (word: bigint): number => Number((word >> BigInt(FlowShift.FLOW_STATE_SHIFT)) & 15n);
	t.true(
		flows.every(({word}) => ((word >> BigInt(FlowShift.FLOW_LOCK_SHIFT)) & 1n) === 0n),
		'no lock is left',
	);
	t.true(
		flows.every(({word}) => state(word) !== FlowState.FLOW_BUSY),
		'no slot is left BUSY',
	);
	const live = flows.filter(({word}) => state(word) !== FlowState.FLOW_EMPTY);
	t.is(new Set(live.map(({addrs, ports}) => `${addrs} ${ports}`)).size, live.length, 'no key has two slots');
}

for (const [title, buckets, clients] of [
	['a roomy table', 4096, 4096],
	['a table far too small', 16, 4096],
	['a few keys that both CPUs insert', 16, 32],
] as const)
	packetTest(`two CPUs insert at once into ${title}`, async t => {
		const b = balancer(t, JOB);
		shrink(b, buckets);
		const storm = {steps: [SYN], firstClient: FLOOD, clients, packets: 1_000_000};
		const counted = await rage(t, b, [
			{...storm, stride: 1},
			{...storm, stride: 2_654_435_761},
		]);
		assertSound(t, b);
		const inserts = counted('V_FORWARD_NEW');
		t.true(inserts >= Math.min(clients, 64));
		t.is(b.maps.ticket(1), BigInt(inserts), 'every ticket is a connection');
		t.is(inserts + counted('V_FORWARD') + counted('V_DROP_CONTENDED'), 2_000_000);
		t.deepEqual(connectionsOf(b), [Math.ceil(inserts / 2), Math.floor(inserts / 2)], 'dealt exactly in turn');
		t.log(`${inserts} inserts, ${counted('V_DROP_CONTENDED')} contended`);
	});

packetTest('two CPUs let in exactly as many as a service may have', async t => {
	const burst = 1000;
	const b = balancer(t, [{at: VIP, backends: ['10.0.0.71:80'], perService: {perSecond: 1, burst}}]);
	b.changeSettings(() => ({hz: 1_000_000})); // so that nothing is paid back meanwhile
	const storm = {steps: [SYN], firstClient: FLOOD, clients: 2 ** 20, packets: 500_000};
	const counted = await rage(t, b, [
		{...storm, stride: 1},
		{...storm, stride: 2_654_435_761},
	]);
	assertSound(t, b);
	t.is(counted('V_FORWARD_NEW') + counted('V_DROP_CONTENDED'), burst);
	t.is(counted('V_DROP_RATE_SERVICE') + counted('V_FORWARD'), 1_000_000 - burst);
});

packetTest('two CPUs let in exactly as many as sources may have', async t => {
	const [burst, clients] = [100, 256];
	const b = balancer(t, [{at: VIP, backends: ['10.0.0.71:80'], perSource: {perSecond: 1, burst}}]);
	b.changeSettings(() => ({hz: 1_000_000}));
	shrink(b, 1); // eight slots: nearly every SYN opens its flow again
	const storm = {steps: [SYN], firstClient: FLOOD, clients, packets: 500_000};
	const counted = await rage(t, b, [
		{...storm, stride: 1},
		{...storm, stride: 2_654_435_761},
	]);
	const sets = await b.map(layouts.sourceLimits).entries();
	const debts = sets.flatMap(([, {sources}]) => sources.map(({tokens}) => Math.ceil(Number(tokens >> 28n) / 1e6)));
	t.true(debts.every(debt => debt <= burst));
	// The last flows in the table are never opened again, because all others are refused.
	t.true(debts.filter(debt => debt === burst).length >= clients - 8);
	// What both CPUs open at once is one connection, charged twice.
	const letIn = 1_000_000 - counted('V_DROP_RATE_SOURCE') - counted('V_FORWARD');
	t.true(letIn <= debts.reduce((sum, debt) => sum + debt));
});

packetTest('two CPUs deal 3:1 exactly', async t => {
	const b = balancer(t, [{at: VIP, backends: ['10.0.0.71:80', '10.0.0.72:80'], scheduler: 'wrr', weights: [3, 1]}]);
	const storm = {steps: [SYN], firstClient: FLOOD, clients: 4096, packets: 500_000};
	const counted = await rage(t, b, [
		{...storm, stride: 1},
		{...storm, stride: 2_654_435_761},
	]);
	assertSound(t, b);
	const inserts = counted('V_FORWARD_NEW');
	t.true(inserts >= 4000);
	const cycles = Math.floor(inserts / 4);
	t.deepEqual(connectionsOf(b), [3 * cycles + (inserts % 4), cycles], 'in the order A A A B');
});

packetTest('two CPUs that compare backends lose no count, and keep them even', async t => {
	const b = balancer(t, [{at: VIP, backends: ['10.0.0.71:80', '10.0.0.72:80'], scheduler: 'wlc'}]);
	const storm = {steps: [SYN], firstClient: FLOOD, clients: 4096, packets: 500_000};
	const counted = await rage(t, b, [
		{...storm, stride: 1},
		{...storm, stride: 2_654_435_761},
	]);
	assertSound(t, b);
	const connections = connectionsOf(b);
	const [first = 0, second = 0] = connections;
	t.is(first + second, counted('V_FORWARD_NEW'));
	t.deepEqual(
		[...b.tables.backends.keys()].map(id => Number(b.maps.opened(id))),
		connections,
	);
	t.true(Math.abs(first - second) <= 2, `both CPUs may choose the same at once, no more: ${connections}`);
});

packetTest('two CPUs open UDP flows once each, and deal those of a failed backend anew once each', async t => {
	const b = balancer(t, [{at: VIP, protocol: 'udp', backends: ['10.0.0.71:80', '10.0.0.72:80']}]);
	const clients = 1024;
	const storm: Weather = {
		steps: [{flags: ''}],
		protocol: 'udp',
		firstClient: FLOOD,
		clients,
		packets: 200_000,
		stride: 1,
	};
	const storms = [storm, {...storm, stride: 2_654_435_761}];
	const opened = await rage(t, b, storms);
	t.is(opened('V_FORWARD_NEW') + opened('V_FORWARD') + opened('V_DROP_CONTENDED'), 400_000);
	t.is(opened('V_FORWARD_NEW'), clients);
	t.is(b.maps.ticket(1), BigInt(clients), 'every ticket is a flow');

	b.setState('10.0.0.71', BackendState.BACKEND_DOWN);
	const again = await rage(t, b, storms);
	t.is(again('V_FORWARD_NEW') + again('V_FORWARD') + again('V_DROP_CONTENDED'), 400_000);
	t.is(again('V_FORWARD_NEW'), clients / 2);
	const backends = b.flows().map(({word}) => Number((word >> BigInt(FlowShift.FLOW_BACKEND_SHIFT)) & 0xffffn));
	t.is(backends.length, clients);
	t.is(new Set(backends).size, 1);
	assertSound(t, b);
});

packetTest('no packet of an established flow is lost while another CPU floods the table', async t => {
	const b = balancer(t, JOB);
	shrink(b, 16);
	establish(b, 16);
	const counted = await rage(t, b, [
		// More clients than packets: a client that came again while its half-open flow lasts would be forwarded too.
		{steps: [SYN], firstClient: FLOOD, clients: 2 ** 20, stride: 1, packets: 1_000_000},
		{steps: [{flags: 'PA'}], firstClient: ESTABLISHED, clients: 16, stride: 1, packets: 2_000_000},
	]);
	assertSound(t, b);
	t.is(counted('V_FORWARD'), 2_000_000);
	t.is(counted('V_PASS_NO_FLOW'), 0);
});

packetTest('no packet of an established flow is lost while flows move to make room for others', async t => {
	const server = '10.0.0.71:80';
	const b = balancer(t, [{at: VIP, backends: [server]}]);
	shrink(b, 4);
	establish(b, 4);
	const before = places(b);
	const opening: Packet[] = [SYN, {flags: 'SA', server, seq: SERVER_ISN}];
	const request: Packet = {flags: 'A', ack: SERVER_ISN + 1};
	const reset: Packet = {flags: 'R'};
	const storm = {clients: 2 ** 20, stride: 1, packets: 3_060_000};
	const counted = await rage(t, b, [
		{...storm, firstClient: FLOOD, steps: [...opening, request, {...reset, behind: 8}]},
		{...storm, firstClient: FLOOD + 2 ** 20, steps: [...opening, {...request, packets: 99}, reset]},
	]);
	assertSound(t, b);
	const now = places(b);
	const moved = [...before].filter(([key, bucket]) => now.get(key) !== bucket);
	t.true(moved.length > 0 && moved.every(([key]) => now.has(key)));
	// A half-open flow may be evicted, and then nothing of it is forwarded; of all others, each and every packet.
	const forwarded = counted('V_FORWARD', 1);
	t.log(`${forwarded / 100} connections opened, ${counted('V_DROP_CONTENDED', 1)} packets contended`);
	t.is(forwarded % 100, 0);
	t.true(forwarded > 1_000_000);
});
