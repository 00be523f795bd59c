/** A connection's life, as both directions tell it. */

import {execFileSync} from 'node:child_process';
import {FAMILIES} from '../../src/net/address.js';
import {BackendState, FlowShift, type FlowSlot, FlowState} from '../../src/xdp/layout.gen.js';
import {isHalfOpen} from '../../src/xdp/time.js';
import {
	type Balancer,
	balancer,
	CLIENT_MAC,
	enableForwarding,
	type JobService,
	MTU,
	packetTest,
	type VerdictName,
} from './balancer.js';
import {Connection, client, SERVER_ISN} from './connection.js';
import {describe, endpoint, tagged, translated} from './frame.js';

const VIP = '192.168.1.1:80';
const JOB = [{at: VIP, backends: ['10.0.0.71:80', '10.0.0.72:8080']}] as const;
const UDP_JOB: readonly JobService[] = [{...JOB[0], protocol: 'udp'}];
const PAYLOAD = Buffer.from('GET / HTTP/1.1\r\n\r\n');

function states(b: Balancer): string[] {
	return FAMILIES.flatMap(of => b.flows(of)).map(({word}) => {
		const state = Number((word >> BigInt(FlowShift.FLOW_STATE_SHIFT)) & 15n);
		return Object.entries(FlowState).find(([, value]) => value === state)?.[0] ?? '';
	});
}

/** Lets time pass for every flow. */
function age(b: Balancer, seconds: number): void {
	const settings = b.maps.settings.get(0);
	if (settings === undefined) throw new Error('no settings');
	const aged = (slot: FlowSlot): FlowSlot => {
		const state = Number((slot.word >> BigInt(FlowShift.FLOW_STATE_SHIFT)) & 15n);
		const halfOpen = isHalfOpen(state);
		const ticks = BigInt(Math.ceil(seconds * settings.hz) >> (halfOpen ? settings.fineShift : settings.coarseShift));
		const mask = halfOpen ? 0xffffn : 0xffff_ffffn;
		return {...slot, word: (slot.word & ~mask) | (((slot.word & mask) - ticks) & mask)};
	};
	for (const of of FAMILIES) b.changeFlows(aged, of);
}

/** The same job, and one of its clients, in each family. */
const FAMILY_JOBS = {
	4: {vip: VIP, backends: JOB[0].backends, client: '192.168.1.50:40000'},
	6: {
		vip: '[2001:db8:1::1]:80',
		backends: ['[fd00:10::47]:80', '[fd00:10::48]:8080'],
		client: '[2001:db8:c::50]:40000',
	},
} as const;

for (const of of FAMILIES)
	packetTest(`a whole connection of IPv${of}, both directions, checksums computed in full`, t => {
		const {vip, backends, client} = FAMILY_JOBS[of];
		const b = balancer(t, [{at: vip, backends}]);
		const c = new Connection(b, client, vip);
		c.assertForwarded(t, c.request('S'), 'V_FORWARD_NEW');
		t.deepEqual(states(b), ['FLOW_SYN_RECV']);
		c.assertReplied(t, c.answer('SA', {seq: SERVER_ISN}));
		t.deepEqual(states(b), ['FLOW_SYN_ACK']);
		c.assertForwarded(t, c.request('A', {ack: SERVER_ISN + 1}));
		t.deepEqual(states(b), ['FLOW_ESTABLISHED']);
		for (let length = 0; length < 40; length++) {
			c.assertForwarded(t, c.request('PA', {payload: PAYLOAD.subarray(0, length), ttl: 2 + length}));
			c.assertReplied(t, c.answer('PA', {payload: PAYLOAD.subarray(0, length), ttl: 255 - length}));
		}
		c.assertForwarded(t, c.request('FA'));
		t.deepEqual(states(b), ['FLOW_CLOSE_WAIT']);
		c.assertReplied(t, c.answer('A'));
		c.assertReplied(t, c.answer('FA'));
		t.deepEqual(states(b), ['FLOW_TIME_WAIT']);
		c.assertForwarded(t, c.request('A'));
		t.deepEqual(states(b), ['FLOW_TIME_WAIT']);
		c.assertForwarded(t, c.request('S'), 'V_FORWARD_NEW');
		t.is(c.backend, backends[1], 'a SYN after the end starts anew, with the next backend');
		t.deepEqual(states(b), ['FLOW_SYN_RECV'], 'in the same slot');
	});

packetTest('the server closes first', t => {
	const b = balancer(t, JOB);
	const c = new Connection(b, client(1), VIP).establish();
	c.fromServer('FA');
	t.deepEqual(states(b), ['FLOW_FIN_WAIT']);
	c.fromClient('FA');
	t.deepEqual(states(b), ['FLOW_TIME_WAIT']);
});

for (const from of ['client', 'server'] as const)
	packetTest(`a reset by the ${from} closes the flow`, t => {
		const b = balancer(t, JOB);
		const c = new Connection(b, client(1), VIP).establish();
		t.is(
			(from === 'client' ? c.fromClient('R') : c.fromServer('R')).verdict,
			from === 'client' ? 'V_FORWARD' : 'V_REPLY',
		);
		t.deepEqual(states(b), ['FLOW_CLOSED']);
		t.is(c.fromClient('S').verdict, 'V_FORWARD_NEW');
	});

packetTest('only the acknowledgement of the server’s own number establishes a flow', t => {
	const b = balancer(t, JOB);
	const c = new Connection(b, client(1), VIP);
	c.fromClient('S');
	c.fromClient('A', {ack: 1});
	t.deepEqual(states(b), ['FLOW_SYN_RECV']);
	c.fromServer('SA', {seq: SERVER_ISN});
	for (const ack of [0, SERVER_ISN, SERVER_ISN + 2]) c.fromClient('A', {ack});
	c.fromClient('R', {ack: SERVER_ISN + 1});
	t.deepEqual(states(b), ['FLOW_SYN_ACK']);
	c.fromClient('PA', {ack: SERVER_ISN + 1});
	t.deepEqual(states(b), ['FLOW_ESTABLISHED']);
});

for (const [title, seconds, open] of [
	['half-open', 60, (c: Connection) => c.fromClient('S')],
	['established', 900, (c: Connection) => c.establish()],
	[
		'half-closed by the client',
		60,
		(c: Connection) => {
			c.establish().fromClient('FA');
		},
	],
	[
		'half-closed by the server',
		120,
		(c: Connection) => {
			c.establish().fromServer('FA');
		},
	],
	[
		'reset',
		10,
		(c: Connection) => {
			c.establish().fromServer('R');
		},
	],
] as const)
	packetTest(`a flow that is ${title} lives ${seconds} s without a packet`, t => {
		const b = balancer(t, JOB);
		const c = new Connection(b, client(1), VIP);
		open(c);
		age(b, seconds - 4);
		t.is(c.fromClient('A').verdict, 'V_FORWARD');
		const d = new Connection(b, client(2), VIP);
		open(d);
		age(b, seconds + 4);
		t.is(d.fromClient('A').verdict, 'V_PASS_NO_FLOW');
		t.is(d.fromServer('A').verdict, 'V_PASS_BACKEND_NO_FLOW');
		t.is(d.fromClient('S').verdict, 'V_FORWARD_NEW');
	});

packetTest('a conversation in datagrams: one way, then both', t => {
	const b = balancer(t, UDP_JOB);
	const c = new Connection(b, client(1), VIP, 'udp');
	c.assertForwarded(t, c.request(), 'V_FORWARD_NEW');
	c.assertForwarded(t, c.request());
	t.deepEqual(states(b), ['FLOW_UDP_ONE_WAY']);
	c.assertReplied(t, c.answer());
	t.deepEqual(states(b), ['FLOW_UDP_BOTH_WAYS']);
	for (let length = 0; length < 40; length++) {
		c.assertForwarded(t, c.request('', {payload: PAYLOAD.subarray(0, length), ttl: 2 + length}));
		c.assertReplied(t, c.answer('', {payload: PAYLOAD.subarray(0, length), ttl: 255 - length}));
	}
	t.deepEqual(states(b), ['FLOW_UDP_BOTH_WAYS']);
	t.is(b.maps.ticket(1), 1n, 'one ticket of the turn');
});

for (const answered of [false, true])
	packetTest(`a UDP flow that was ${answered ? '' : 'not '}answered lives 300 s without a packet`, t => {
		const b = balancer(t, UDP_JOB);
		const open = (n: number): Connection => {
			const c = new Connection(b, client(n), VIP, 'udp');
			c.fromClient();
			if (answered) c.fromServer();
			return c;
		};
		const c = open(1);
		age(b, 296);
		t.is(c.fromClient().verdict, 'V_FORWARD');
		age(b, 296);
		t.is(c.fromServer().verdict, 'V_REPLY', 'a packet of either side keeps it');
		const d = open(2);
		age(b, 304);
		t.is(d.fromServer().verdict, 'V_PASS_BACKEND_NO_FLOW');
		t.is(d.fromClient().verdict, 'V_FORWARD_NEW');
	});

packetTest(
	'a client in datagrams never hangs on a failed backend, and takes one ticket for each that it is dealt',
	t => {
		const b = balancer(t, UDP_JOB);
		const c = new Connection(b, client(1), VIP, 'udp');
		c.fromClient();
		c.fromServer();
		const failed = c.answer();
		t.is(c.backend, '10.0.0.71:80');
		b.setState('10.0.0.71', BackendState.BACKEND_DOWN);
		t.is(b.send(failed, 'internal').verdict, 'V_DROP_BACKEND_DOWN', 'until the client speaks again');
		c.assertForwarded(t, c.request(), 'V_FORWARD_NEW');
		t.is(c.backend, '10.0.0.72:8080');
		t.deepEqual(states(b), ['FLOW_UDP_ONE_WAY'], 'in the same slot');
		c.assertForwarded(t, c.request());
		t.is(b.send(failed, 'internal').verdict, 'V_PASS_BACKEND_NO_FLOW');
		t.is(b.maps.ticket(1), 2n);

		b.setState('10.0.0.72', BackendState.BACKEND_DOWN);
		t.is(c.fromClient().verdict, 'V_DROP_NO_BACKEND');
		t.deepEqual(states(b), ['FLOW_EMPTY']);
		b.setState('10.0.0.71', BackendState.BACKEND_UP);
		c.assertForwarded(t, c.request(), 'V_FORWARD_NEW');
		t.is(c.backend, '10.0.0.71:80');
		b.setState('10.0.0.71', BackendState.BACKEND_DRAIN);
		c.assertForwarded(t, c.request());
		t.is(c.backend, '10.0.0.71:80', 'a drained backend keeps its clients');
	},
);

packetTest('UDP flows give way to TCP, never the other way round', t => {
	const b = balancer(t, [...JOB, {at: VIP, protocol: 'udp', backends: ['10.0.0.71:80']}]);
	const settings = b.maps.settings.get(0);
	if (settings === undefined) return t.fail();
	b.maps.settings.set(0, {...settings, flowBucketMask: 1});
	for (let n = 0; n < 100; n++) {
		const c = new Connection(b, client(n), VIP, 'udp');
		t.is(c.fromClient().verdict, 'V_FORWARD_NEW');
		c.fromServer();
	}
	const live = Array.from({length: 4}, (_, n) => new Connection(b, client(n), VIP).establish());
	for (let n = 0; n < 100; n++) new Connection(b, client(100 + n), VIP, 'udp').fromClient();
	for (const c of live) c.assertForwarded(t, c.request('PA'));
});

packetTest('established flows survive a flood of SYNs', t => {
	const b = balancer(t, JOB);
	const settings = b.maps.settings.get(0);
	if (settings === undefined) return t.fail();
	b.maps.settings.set(0, {...settings, flowBucketMask: 15});
	const live = Array.from({length: 24}, (_, n) => new Connection(b, client(n), VIP).establish());
	for (let n = 0; n < 2000; n++) new Connection(b, client(1000 + n), VIP).fromClient('S');
	for (const c of live) {
		const {backend} = c;
		c.assertForwarded(t, c.request('PA'));
		t.is(c.backend, backend);
		c.assertReplied(t, c.answer('PA'));
	}
});

const ROUTES = {
	4: {own: '198.18.1.2/24', router: '198.18.1.1', network: '198.18.2.0/24', client: '198.18.2.7:5000'},
	6: {own: '2001:2:1::2/64', router: '2001:2:1::1', network: '2001:2:2::/64', client: '[2001:2:2::7]:5000'},
} as const;

for (const of of FAMILIES)
	packetTest(`an IPv${of} reply takes the way that the routes say, and a new one after they changed`, t => {
		const {vip, backends} = FAMILY_JOBS[of];
		const {own, router, network, client} = ROUTES[of];
		const b = balancer(t, [{at: vip, backends}]);
		const gateway = '02:00:00:00:00:fe';
		const name = `ext${process.pid}`;
		enableForwarding();
		for (const argv of [
			['addr', 'add', own, 'dev', name, ...(of === 6 ? ['nodad'] : [])],
			['neigh', 'add', router, 'lladdr', gateway, 'dev', name],
			['route', 'add', network, 'via', router],
		])
			execFileSync('ip', argv);
		const routed = new Connection(b, client, vip);
		routed.fromClient('S');
		const reply = routed.answer('SA');
		const way = (toMac: string) => describe(translated(reply, {toMac, fromMac: b.ports.external.mac, from: vip}));
		t.deepEqual(describe(b.send(reply, 'internal').frame), way(gateway), 'not to the MAC address the SYN came from');

		execFileSync('ip', ['neigh', 'replace', router, 'lladdr', CLIENT_MAC, 'dev', name]);
		t.deepEqual(describe(b.send(reply, 'internal').frame), way(gateway), 'until the daemon says that routes changed');
		const settings = b.maps.settings.get(0);
		if (settings === undefined) return t.fail();
		b.maps.settings.set(0, {...settings, routeGeneration: 2});
		t.deepEqual(describe(b.send(reply, 'internal').frame), way(CLIENT_MAC));
		execFileSync('ip', ['route', 'del', network]);
		b.maps.settings.set(0, {...settings, routeGeneration: 259});
		t.deepEqual(
			describe(b.send(reply, 'internal').frame),
			way(CLIENT_MAC),
			'what was good then is better than nothing',
		);
	});

packetTest('the clock reader writes jiffies and nanoseconds', t => {
	const b = balancer(t, JOB);
	const clock = () => {
		const {data} = b.run('read_clock', new Uint8Array(64), 'external');
		const view = new DataView(data.buffer, data.byteOffset);
		return [view.getBigUint64(0, true), view.getBigUint64(8, true)] as const;
	};
	const [jiffies, ns] = clock();
	const [laterJiffies, laterNs] = clock();
	t.true(laterJiffies >= jiffies && laterNs > ns && ns > 0n && jiffies > 0n);
});

for (const of of FAMILIES)
	packetTest(`a SYN of IPv${of} that goes nowhere opens no flow`, t => {
		const {vip, backends, client} = FAMILY_JOBS[of];
		const [backend] = backends;
		const b = balancer(t, [{at: vip, backends: [backend], persistenceS: 60}]);
		b.limitAnswers(0);
		const c = new Connection(b, client, vip);
		const syn = c.request('S', {payload: new Uint8Array(600)});
		const [address] = endpoint(backend);
		const {nextHop = 0n} = [...b.tables.backends.values()][0] ?? {};
		const connections = (): bigint | undefined => b.maps.traffic.sumU64(0, 64, b.maps.traffic.size / 64, 1)[0];
		const assertRefused = (frame: Uint8Array, verdict: VerdictName): void => {
			t.is(b.send(frame).verdict, verdict);
			t.deepEqual(
				states(b).filter(state => state !== 'FLOW_EMPTY'),
				[],
				verdict,
			);
			t.is(connections(), 0n, verdict);
		};

		assertRefused(c.request('S', {ttl: 1}), 'V_DROP_TTL');
		t.is(b.maps.ticket(1), 0n, 'nor does it take a turn');
		assertRefused(tagged(syn, 1), 'V_DROP_VLAN');
		b.setMtu('internal', 600);
		assertRefused(syn, 'V_DROP_TOO_BIG');
		b.setMtu('internal', MTU);
		b.setBackend(address, {nextHop: 0n});
		assertRefused(syn, 'V_DROP_NO_NEIGHBOUR');
		b.setBackend(address, {nextHop});
		b.maps.nicPorts.delete(b.ports.internal.ifindex);
		assertRefused(syn, 'V_DROP_NO_NIC');
		b.maps.nicPorts.set(b.ports.internal.ifindex, b.ports.internal.ifindex);
		c.assertForwarded(t, syn, 'V_FORWARD_NEW');
		t.is(connections(), 1n);
	});
