/** Whatever a program says on lbd-vrrp's socket: what is not of a message's form is none, and what is does no harm. */
import test from 'ava';
import {VrrpAgent} from '../../src/vrrp/agent.js';
import {parseToVrrp, type ToVrrp, type VrrpConfig} from '../../src/vrrp/protocol.js';
import {FakeClock, milliseconds, seconds} from '../fake/clock.js';
import {FakeLan, FakeStation, seeded} from '../fake/lan.js';
import {FakeLeases} from '../fake/leases.js';
import {FakeNetlink} from '../fake/netlink.js';
import {instance, kernelEvents, multicastGroups, noStatics} from './segment.js';

const config: VrrpConfig = {instances: [instance()], syncGroups: [], multicastGroups, ...noStatics};

/** What is looked at of a configuration. */
const SURFACE = ['instances', 'syncGroups', 'trackGroups', 'statics', 'multicastGroups', 'graceUs'] as const;

/** One of each kind; a new kind is a new line here. */
const messages = {
	hello: {kind: 'hello'},
	configure: {kind: 'configure', config, tracked: [], legacies: []},
	tracked: {kind: 'tracked', tracked: [{kind: 'script', name: 'chk', result: 'up'}]},
	status: {kind: 'status', id: 1},
	release: {kind: 'release', id: 2, name: 'external'},
	reclaim: {kind: 'reclaim', id: 3, name: 'external'},
	wait: {kind: 'wait', waits: false},
	'hand-on': {kind: 'hand-on'},
	stop: {kind: 'stop'},
} as const satisfies Record<ToVrrp['kind'], ToVrrp>;

test('every message is of its form; with a field less, it is none', t => {
	for (const message of Object.values(messages)) {
		t.is(parseToVrrp(message), message);
		for (const field of Object.keys(message)) {
			const {[field as 'kind']: _, ...rest} = message;
			t.is(parseToVrrp(rest), null, `${message.kind} without ${field}`);
		}
	}
	for (const field of SURFACE) {
		const {[field]: _, ...rest} = config;
		t.is(parseToVrrp({...messages.configure, config: rest}), null, `a configuration without ${field}`);
	}
});

test('a kind that no lbd says is none', t => {
	for (const kind of ['', 'ready', 'toString', '__proto__', 'constructor', 1, null, {}, ['stop']])
		t.is(parseToVrrp({kind}), null, JSON.stringify(kind));
	t.is(parseToVrrp([]), null);
});

const SEEDS = 300;
const SAID = 30;
const strange: readonly unknown[] = [
	null,
	true,
	-1,
	1e300,
	'',
	'external',
	'__proto__',
	[],
	[null],
	{},
	{kind: 'stop'},
];

/** A copy in which some values, at any depth, are others. */
function damaged(value: unknown, random: () => number): unknown {
	if (random() < 0.05) return strange[Math.floor(random() * strange.length)];
	if (Array.isArray(value)) return value.map(each => damaged(each, random));
	if (typeof value !== 'object' || value === null) return value;
	return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, damaged(each, random)]));
}

/** Those that do not end a master by what they mean. */
const harmless = [messages.hello, messages.tracked, messages.status, messages.wait];

test('damaged messages are no fault of ours, and a master stays one', async t => {
	for (let seed = 1; seed <= SEEDS; seed++) {
		const random = seeded(seed);
		const {agent, clock, faults, isMaster} = await master();
		for (let n = 0; n < SAID; n++) {
			const said = damaged(harmless[Math.floor(random() * harmless.length)], random);
			const message = typeof said === 'object' && said !== null ? parseToVrrp(said) : null;
			if (message === null || message.kind === 'stop') continue;
			agent.receive(message);
			await kernelEvents();
			clock.advance(milliseconds(100));
		}
		t.deepEqual(faults, [], `seed ${seed}`);
		t.true(isMaster(), `seed ${seed}`);
	}
});

async function master() {
	const clock = new FakeClock();
	const netlink = new FakeNetlink();
	netlink.setLink({ifindex: 2, name: 'eth0'});
	netlink.give(2, '192.168.1.10', 24);
	const station = new FakeStation('a', clock, {eth0: new FakeLan(clock)});
	const faults: unknown[] = [];
	const agent = new VrrpAgent({
		openHost: () => ({clock: station.clock, sockets: station, netlink, leases: new FakeLeases()}),
		clock,
		build: 'this',
		realTime: true,
		onFault: error => faults.push(error),
		onStopping: () => faults.push('stops'),
		onStopped: () => {},
	});
	agent.connected(() => true);
	agent.receive(messages.configure);
	await kernelEvents();
	clock.advance(seconds(4));
	await kernelEvents();
	const isMaster = (): boolean => netlink.owned().includes('192.168.1.1');
	return {agent, clock, faults, isMaster};
}
