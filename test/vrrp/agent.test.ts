import test from 'ava';
import {ExitCode, KernelError} from '../../src/errors.js';
import {VrrpAgent} from '../../src/vrrp/agent.js';
import type {VrrpHost} from '../../src/vrrp/instance.js';
import type {FromVrrp, VrrpConfig} from '../../src/vrrp/protocol.js';
import {FakeClock, seconds} from '../fake/clock.js';
import {FakeLan, FakeStation} from '../fake/lan.js';
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
	let stopped = 0;
	const agent = new VrrpAgent({
		openHost: openHost ?? (() => ({clock: station.clock, sockets: station, netlink})),
		realTime: true,
		send: message => sent.push(message),
		onStopped: () => stopped++,
	});
	return {agent, clock, netlink, sent, stops: () => stopped, kinds: () => sent.map(message => message.kind)};
}

test('is ready, is configured, reports transitions with their log lines', async t => {
	const {agent, clock, sent, kinds} = setUp();
	agent.receive({kind: 'configure', config, tracked: []});
	await kernelEvents();
	t.deepEqual(kinds(), ['ready', 'log', 'transition', 'configured']);
	clock.advance(seconds(4));
	t.like(sent.at(-1), {kind: 'transition', transition: {name: 'external', from: 'backup', to: 'master'}});
});

test('answers for its status, before it is configured too', async t => {
	const {agent, sent} = setUp();
	agent.receive({kind: 'status', id: 1});
	agent.receive({kind: 'configure', config, tracked: []});
	agent.receive({kind: 'status', id: 2});
	await kernelEvents();
	const statuses = sent.flatMap(message => (message.kind === 'status' ? [message] : []));
	t.deepEqual(
		statuses.map(({id, status}) => [id, status.instances.map(({name, role}) => `${name} ${role}`)]),
		[
			[1, []],
			[2, ['external backup']],
		],
	);
});

test('what the kernel refuses is fatal and has an exit code', async t => {
	const {agent, sent} = setUp(() => {
		throw new KernelError('socket', 'rtnetlink', 'EPERM', '', {exitCode: ExitCode.permission});
	});
	agent.receive({kind: 'configure', config, tracked: []});
	await kernelEvents();
	t.deepEqual(sent.at(-1), {kind: 'fatal', exitCode: ExitCode.permission, text: 'socket: rtnetlink: EPERM'});
});

test('stops after what came before, once, with nothing left on the interface', async t => {
	const {agent, clock, netlink, kinds, stops} = setUp();
	agent.receive({kind: 'configure', config, tracked: []});
	await kernelEvents();
	clock.advance(seconds(4));
	t.true(netlink.owned().includes('192.168.1.1'));
	agent.receive({kind: 'stop'});
	agent.receive({kind: 'stop'});
	await kernelEvents();
	clock.advance(seconds(2));
	await kernelEvents();
	t.is(stops(), 1);
	t.deepEqual(netlink.owned(), ['192.168.1.10']);
	t.is(kinds().at(-1), 'transition');
	t.deepEqual(clock.timers(), []);
});
