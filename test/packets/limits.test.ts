/** Limits of new connections: who is let in, who is not, and what strangers can do about it. */
import {maps as layouts} from '../../src/xdp/layout.gen.js';
import {type Balancer, balancer, type JobService, packetTest, type VerdictName, XDP} from './balancer.js';
import {Connection} from './connection.js';

const [A, B] = ['192.168.1.1:80', '192.168.1.2:80'] as const;
const [A6, B6] = ['[2001:db8:1::1]:80', '[2001:db8:1::2]:80'] as const;
const rate = (perSecond: number, burst: number) => ({perSecond, burst});

/** Two services with one limit each; their rates are low enough for nothing to be paid back in a test. */
const perSource = (burst: number): readonly JobService[] => [
	{at: A, backends: ['10.0.0.71:80'], perSource: rate(1, burst)},
	{at: B, backends: ['10.0.0.72:80'], perSource: rate(1, burst)},
	{at: A6, backends: ['[fd00:10::71]:80'], perSource: rate(1, burst)},
	{at: B6, backends: ['[fd00:10::72]:80'], perSource: rate(1, burst)},
];

let port = 1024;

/** How many of `count` new connections of a source are let in. */
function admitted(b: Balancer, source: string, service: string, count: number): number {
	return Array.from({length: count}, () => connect(b, source, service)).filter(isNew).length;
}

function isNew(verdict: VerdictName): boolean {
	return verdict === 'V_FORWARD_NEW';
}

function connect(b: Balancer, source: string, service: string): VerdictName {
	return b.send(new Connection(b, `${source}:${port++}`, service).request('S')).verdict;
}

/** Makes the clock of all limits stand still, as far as a test lasts: a jiffy pays back a millionth of a connection. */
function stopClock(b: Balancer): void {
	b.changeSettings(() => ({hz: 1_000_000}));
}

packetTest('each source has its own bucket at each service; a /64 of IPv6 is one source', t => {
	const b = balancer(t, perSource(5));
	stopClock(b);
	t.is(admitted(b, '10.1.0.1', A, 9), 5);
	t.is(admitted(b, '10.1.0.2', A, 9), 5);
	t.is(admitted(b, '10.1.0.1', B, 9), 5);
	t.is(admitted(b, '[2001:db8:5::1]', A6, 9), 5);
	t.is(admitted(b, '[2001:db8:5:0:ffff::1]', A6, 9), 0);
	t.is(admitted(b, '[2001:db8:5:1::1]', A6, 9), 5);
	t.is(admitted(b, '[2001:db8:5::1]', B6, 9), 5);
});

packetTest('what is refused takes no slot, and what repeats itself costs nothing', t => {
	const b = balancer(t, perSource(2));
	stopClock(b);
	const first = new Connection(b, '10.1.0.1:1', A);
	t.is(first.fromClient('S').verdict, 'V_FORWARD_NEW');
	for (let n = 0; n < 5; n++) t.is(first.fromClient('S').verdict, 'V_FORWARD', 'a SYN again');
	t.is(admitted(b, '10.1.0.1', A, 100), 1);
	t.is(b.flows().length, 2);
	t.is(first.fromServer('SA').verdict, 'V_REPLY');
	t.is(first.fromClient('A').verdict, 'V_FORWARD', 'whoever is in, stays in');
});

packetTest('the source is asked first: one source does not use up what its service has left', t => {
	const b = balancer(t, [{at: A, backends: ['10.0.0.71:80'], perSource: rate(1, 3), perService: rate(1, 5)}]);
	stopClock(b);
	t.is(admitted(b, '10.1.0.1', A, 100), 3);
	t.is(admitted(b, '10.1.0.2', A, 100), 2);
	t.is(connect(b, '10.1.0.1', A), 'V_DROP_RATE_SOURCE');
	t.is(connect(b, '10.1.0.3', A), 'V_DROP_RATE_SERVICE');
});

packetTest('a bucket fills again at its rate, up to its burst', t => {
	const b = balancer(t, [{at: A, backends: ['10.0.0.71:80'], perService: rate(50, 100)}]);
	const buckets = b.map(layouts.serviceLimits);
	const turnBack = (jiffies: bigint): void => {
		const {tokens} = buckets.get(1) ?? {tokens: 0n};
		const stamp = 2n ** 28n - 1n;
		buckets.set(1, {tokens: (tokens & ~stamp) | ((tokens - jiffies) & stamp)});
	};
	const second = 250n;
	// What a slow machine takes for two hundred packets is paid back, too.
	const isAbout = (many: number, expected: number) => t.true(many >= expected && many <= expected + 40, `${many}`);
	isAbout(admitted(b, '10.1.0.1', A, 200), 100);
	turnBack(second);
	isAbout(admitted(b, '10.1.0.1', A, 200), 50);
	turnBack(second / 5n);
	isAbout(admitted(b, '10.1.0.1', A, 200), 10);
	turnBack(3600n * second);
	isAbout(admitted(b, '10.1.0.1', A, 200), 100);
	turnBack(-2n);
	isAbout(admitted(b, '10.1.0.1', A, 200), 0); // a stamp of a CPU that is ahead pays nothing back
});

packetTest('other limits hold at once after a reload, whatever is owed', t => {
	const b = balancer(t, [{at: A, backends: ['10.0.0.71:80'], perService: rate(10_000_000, 10_000_000)}]);
	t.is(admitted(b, '10.1.0.1', A, 50), 50);
	stopClock(b);
	const [[id, service] = [0, undefined]] = b.tables.services;
	if (service === undefined) throw new Error('no service');
	b.maps.services.set(id, {...service, serviceRate: 1, serviceBurst: 3});
	t.true(admitted(b, '10.1.0.2', A, 50) <= 3);
	b.maps.services.set(id, {...service, serviceRate: 0, serviceBurst: 0});
	t.is(admitted(b, '10.1.0.2', A, 50), 50);
});

packetTest('a flood of sources forgets nobody who owes more than they, and refuses none of them', t => {
	const b = balancer(t, perSource(3));
	stopClock(b);
	t.is(admitted(b, '10.1.0.1', A, 9), 3);
	const sources = 2 ** 17; // twice as many as are remembered
	let refused = 0;
	for (let n = 0; n < sources; n++) {
		const source = `11.${n >> 16}.${(n >> 8) & 255}.${n & 255}`;
		const {retval} = b.run('lb', new Connection(b, `${source}:1`, A).request('S'), 'external');
		if (retval === XDP.drop) refused++;
	}
	t.is(refused, 0);
	t.is(connect(b, '10.1.0.1', A), 'V_DROP_RATE_SOURCE');
});

packetTest('an established flow is looked for in the block list in every tick, and when the list has changed', t => {
	const b = balancer(t, [{at: A, backends: ['10.0.0.71:80']}]);
	const flow = new Connection(b, '10.1.0.1:1', A);
	for (const flags of ['S', 'A'] as const) {
		flow.fromClient(flags);
		if (flags === 'S') flow.fromServer('SA');
	}
	b.block('10.9.0.0/16');
	t.is(flow.fromClient('A').verdict, 'V_FORWARD');
	flow.fromServer('A');
	b.block('10.1.0.0/16');
	flow.fromServer('A');
	t.is(flow.fromClient('A').verdict, 'V_DROP_BLOCKED', 'at once, whoever keeps the flow current');

	b.unblock('10.1.0.0/16');
	b.changeSettings(() => ({blocksChanged: 0}));
	t.is(flow.fromClient('A').verdict, 'V_FORWARD');
	b.maps.blocked[4].set({length: 16, addr: Uint8Array.of(10, 1, 0, 0)}, 1);
	age(b);
	flow.fromServer('A');
	t.is(flow.fromClient('A').verdict, 'V_DROP_BLOCKED', 'in the next tick without being told');
});

/** Lets a tick pass for all flows. */
function age(b: Balancer): void {
	b.changeFlows(slot => (slot.word === 0n ? slot : {...slot, word: slot.word - 1n}));
}
