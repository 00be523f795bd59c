import test from 'ava';
import {ExitCode, KernelError} from '../../src/errors.js';
import {VrrpAgent} from '../../src/vrrp/agent.js';
import type {VrrpHost} from '../../src/vrrp/instance.js';
import type {Taker} from '../../src/vrrp/outbox.js';
import type {FromVrrp, ToVrrp, VrrpConfig} from '../../src/vrrp/protocol.js';
import {FakeClock, milliseconds, seconds} from '../fake/clock.js';
import {FakeLan, FakeStation} from '../fake/lan.js';
import {FakeLeases} from '../fake/leases.js';
import {FakeNetlink} from '../fake/netlink.js';
import {instance, kernelEvents, multicastGroups, noStatics} from './segment.js';

const config: VrrpConfig = {instances: [instance()], syncGroups: [], multicastGroups, ...noStatics};

function setUp(openHost?: () => VrrpHost) {
	const clock = new FakeClock();
	const netlink = new FakeNetlink();
	netlink.setLink({ifindex: 2, name: 'eth0'});
	netlink.give(2, '192.168.1.10', 24);
	const station = new FakeStation('a', clock, {eth0: new FakeLan(clock)});
	const sent: FromVrrp[] = [];
	const ends: string[] = [];
	const agent = new VrrpAgent({
		openHost: openHost ?? (() => ({clock: station.clock, sockets: station, netlink, leases: new FakeLeases()})),
		clock,
		build: 'this',
		realTime: true,
		onFault: error => ends.push(String(error)),
		onStopping: () => ends.push('stopping'),
		onStopped: () => ends.push('stopped'),
	});
	agent.connected(takerOf(sent));
	return {agent, clock, netlink, sent, ends, kinds: () => sent.map(message => message.kind)};
}

function takerOf(sent: FromVrrp[]): Taker {
	return message => sent.push(message) > 0;
}

/** A process that is master. */
async function master() {
	const all = setUp();
	all.agent.receive({kind: 'configure', config, tracked: [], legacies: []});
	await kernelEvents();
	all.clock.advance(seconds(4));
	all.sent.length = 0;
	return all;
}

test('is ready, is configured, reports transitions with their log lines', async t => {
	const {agent, clock, sent, kinds} = setUp();
	agent.receive({kind: 'configure', config, tracked: [], legacies: []});
	await kernelEvents();
	t.deepEqual(kinds(), ['ready', 'log', 'transition', 'configured']);
	clock.advance(seconds(4));
	t.like(sent.at(-1), {kind: 'transition', transition: {name: 'external', from: 'backup', to: 'master'}});
});

test('answers for its status', async t => {
	const {agent, sent} = setUp();
	agent.receive({kind: 'configure', config, tracked: [], legacies: []});
	agent.receive({kind: 'status', id: 2});
	await kernelEvents();
	const statuses = sent.flatMap(message => (message.kind === 'status' ? [message] : []));
	t.deepEqual(
		statuses.map(({id, status}) => [id, status.instances.map(({name, role}) => `${name} ${role}`)]),
		[[2, ['external backup']]],
	);
});

test('what the kernel refuses is fatal and has an exit code', async t => {
	const {agent, sent} = setUp(() => {
		throw new KernelError('socket', 'rtnetlink', 'EPERM', '', {exitCode: ExitCode.permission});
	});
	agent.receive({kind: 'configure', config, tracked: [], legacies: []});
	await kernelEvents();
	t.deepEqual(sent.at(-1), {kind: 'fatal', exitCode: ExitCode.permission, text: 'socket: rtnetlink: EPERM'});
});

test('stops after what came before, once, with nothing left on the interface', async t => {
	const {agent, clock, netlink, kinds, ends} = setUp();
	agent.receive({kind: 'configure', config, tracked: [], legacies: []});
	await kernelEvents();
	clock.advance(seconds(4));
	t.true(netlink.owned().includes('192.168.1.1'));
	agent.receive({kind: 'stop'});
	agent.receive({kind: 'stop'});
	await kernelEvents();
	clock.advance(seconds(2));
	await kernelEvents();
	t.deepEqual(ends, ['stopping', 'stopped']);
	t.deepEqual(netlink.owned(), ['192.168.1.10']);
	t.is(kinds().at(-1), 'transition');
	t.deepEqual(clock.timers(), []);
});

test('without its daemon it goes on, and tells the next one what has happened', async t => {
	const {agent, clock, netlink, sent} = await master();
	agent.disconnected();
	netlink.take('192.168.1.1');
	await kernelEvents();
	clock.advance(seconds(9));
	t.deepEqual(sent, []);
	agent.connected(takerOf(sent));
	t.is(sent.length, 1, 'news are for who has begun to work');
	agent.receive({kind: 'configure', config, tracked: [], legacies: []});
	await kernelEvents();
	const [ready, ...news] = sent;
	t.like(ready, {kind: 'ready', build: 'this', realTime: true});
	t.is(ready?.kind === 'ready' && ready.status?.instances[0]?.role, 'master');
	const transitions = news.flatMap(message => (message.kind === 'transition' ? [message.transition.to] : []));
	t.deepEqual(transitions, ['backup', 'master']);
	clock.advance(seconds(60));
	t.true(netlink.owned().includes('192.168.1.1'), 'the grace was not needed');
});

test('hands over and ends when no other daemon comes', async t => {
	const {agent, clock, netlink, sent, ends} = await master();
	agent.disconnected();
	clock.advance(seconds(9.9));
	t.deepEqual(ends, []);
	clock.advance(seconds(0.1));
	await kernelEvents();
	t.deepEqual(ends, ['stopping']);
	agent.connected(takerOf(sent));
	t.false(
		sent.some(({kind}) => kind === 'ready'),
		'too late',
	);
	t.true(netlink.owned().includes('192.168.1.1'), 'until a successor is there, or has had time to be');
	clock.advance(seconds(1.3));
	await kernelEvents();
	t.deepEqual(ends, ['stopping', 'stopped']);
	t.false(netlink.owned().includes('192.168.1.1'));
});

test('a daemon that comes and goes without a word has put the end off, not away', async t => {
	const {agent, clock, sent, ends} = await master();
	agent.disconnected();
	clock.advance(seconds(6));
	agent.connected(takerOf(sent));
	clock.advance(seconds(600));
	agent.disconnected();
	clock.advance(seconds(3.9));
	t.deepEqual(ends, []);
	clock.advance(seconds(0.1));
	await kernelEvents();
	t.deepEqual(ends, ['stopping']);
});

test('a daemon that says nothing to what it has started is none', async t => {
	const {agent, clock, ends} = setUp();
	agent.disconnected();
	clock.advance(seconds(10));
	await kernelEvents();
	t.deepEqual(ends, ['stopping', 'stopped']);
});

test('releases and reclaims, and says how it went; a name that is not there concerns nobody', async t => {
	const {agent, clock, sent} = await master();
	agent.receive({kind: 'release', id: 1, name: 'external'});
	await kernelEvents();
	agent.receive({kind: 'status', id: 2});
	await kernelEvents();
	t.like(sent.at(-1), {kind: 'status', id: 2}, 'it does not wait for the release');
	clock.advance(seconds(2));
	await kernelEvents();
	agent.receive({kind: 'reclaim', id: 3, name: 'nobody'});
	await kernelEvents();
	const answers = sent.flatMap(message => (message.kind === 'released' ? [message] : []));
	t.deepEqual(
		answers.map(({id, instances}) => [id, instances.map(({name, role}) => `${name} ${role}`)]),
		[
			[1, ['external master']],
			[3, []],
		],
	);
});

test('hands on: another process goes on from there, and nobody on the segment can tell', async t => {
	const {agent, clock, netlink, sent, ends} = await master();
	clock.advance(seconds(0.5));
	agent.receive({kind: 'hand-on'});
	await kernelEvents();
	t.deepEqual(ends, ['stopped']);
	const [last] = sent;
	if (last?.kind !== 'handed-on') throw new Error(`no ${last?.kind}`);
	const [legacy] = last.legacies;
	t.deepEqual(legacy, {
		key: 'eth0/4/91//false',
		masterForUs: 3_000_000 - (4_500_000 - 3_609_375),
		released: false,
		sequence: 0,
		trailers: {sent: null, heard: []},
	});
	t.true(netlink.owned().includes('192.168.1.1'));
	t.deepEqual(clock.timers(), []);

	const next = setUp(() => ({
		clock,
		sockets: new FakeStation('a', clock, {eth0: new FakeLan(clock)}),
		netlink,
		leases: new FakeLeases(),
	}));
	next.agent.receive({kind: 'configure', config, tracked: [], legacies: last.legacies});
	await kernelEvents();
	const transitions = next.sent.flatMap(message => (message.kind === 'transition' ? [message.transition] : []));
	t.like(transitions, [{from: 'init', to: 'master', cause: 'resumed'}]);
	t.is(transitions.length, 1);
	t.true(netlink.owned().includes('192.168.1.1'));
});

test('what was handed on too long ago is no mastery', async t => {
	const {agent, clock, netlink} = setUp();
	netlink.give(2, '192.168.1.1', 24);
	const track = {place: instance().place, kind: 'script', name: 'check', weight: 0, reverse: false} as const;
	const waiting = {...config, instances: [instance({tracks: [track]})]};
	const legacies = [{key: 'eth0/4/91//false', masterForUs: 500_000, released: true}];
	agent.receive({kind: 'configure', config: waiting, tracked: [], legacies});
	await kernelEvents();
	clock.advance(milliseconds(499));
	t.true(netlink.owned().includes('192.168.1.1'), 'the script may still say that all is well');
	clock.advance(milliseconds(1));
	t.false(netlink.owned().includes('192.168.1.1'));
	agent.receive({kind: 'tracked', tracked: [{kind: 'script', name: 'check', result: 'up'}]});
	agent.receive({kind: 'status', id: 1});
	await kernelEvents();
	t.false(netlink.owned().includes('192.168.1.1'));
});

test('a fault in a message is told, and the next message is carried out all the same', async t => {
	const {agent, ends} = await master();
	agent.receive({kind: 'tracked'} as unknown as ToVrrp);
	agent.receive({kind: 'stop'});
	await kernelEvents();
	t.regex(ends[0] ?? '', /^TypeError/);
	t.is(ends[1], 'stopping');
});
