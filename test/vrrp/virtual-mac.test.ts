/** Instances with `use_vmac`: an interface of their own that is there with them, and up while they are master. */
import test from 'ava';
import type {Link} from '../../src/host/host.js';
import {FakeClock, seconds} from '../fake/clock.js';
import {FakeLan} from '../fake/lan.js';
import {Balancer, instance, kernelEvents, virtualAddress} from './segment.js';

const virtualMac = {name: 'vrrp.91', mac: '00:00:5e:00:01:5b', sendFromBase: false};
const withVirtualMac = instance({virtualMac, addresses: [virtualAddress('192.168.1.1', 'vrrp.91')]});

function balancer(name = 'a', host = 10, clock = new FakeClock(), lan = new FakeLan(clock)) {
	return {clock, lan, a: new Balancer(name, host, clock, {eth0: lan, 'vrrp.91': lan})};
}

async function virtualLink(of: Balancer): Promise<Link | undefined> {
	return (await of.netlink.links()).find(({name}) => name === 'vrrp.91');
}

test('made at the start, up as a master, gone at the end', async t => {
	const {clock, lan, a} = balancer();
	await a.configure([withVirtualMac]);
	t.like(await virtualLink(a), {kind: 'macvlan', base: 2, mac: virtualMac.mac, up: false, promotesSecondaries: true});
	clock.advance(seconds(4));
	t.like(await virtualLink(a), {up: true});
	t.true(a.owns('192.168.1.1'));
	t.deepEqual(
		[...new Set(lan.frames.map(({bytes}) => Buffer.from(bytes.subarray(6, 12)).toString('hex')))],
		['00005e00015b'],
		'announced with the virtual MAC address',
	);
	const stopped = a.router.stop();
	await kernelEvents();
	clock.advance(seconds(2));
	await stopped;
	t.is(await virtualLink(a), undefined);
});

test('down again as a backup; both are heard, and each advert counts once', async t => {
	const {clock, lan, a} = balancer();
	const b = new Balancer('b', 11, clock, {eth0: lan, 'vrrp.91': lan});
	await a.configure([withVirtualMac]);
	clock.advance(seconds(4));
	await b.configure([{...withVirtualMac, priority: 200}]);
	clock.advance(seconds(10));
	await kernelEvents();
	t.deepEqual([a.roles(), b.roles()], [['backup'], ['master']]);
	t.like(await virtualLink(a), {up: false});
	t.like(await virtualLink(b), {up: true});
	const [ofA, ofB] = [a, b].map(({router}) => router.status().instances[0]);
	t.is(ofA?.advertsReceived, ofB?.advertsSent);
	t.is(ofB?.advertsReceived, (ofA?.advertsSent ?? 0) - 1, 'b was not there when a began');
});

test('found again after a crash, unless it is another one; what is no macvlan is in the way', async t => {
	const {clock, a} = balancer();
	a.netlink.setLink({ifindex: 9, name: 'vrrp.91', kind: 'macvlan', base: 2, mac: virtualMac.mac});
	a.netlink.give(9, '192.168.1.1', 24);
	await a.configure([withVirtualMac]);
	t.like(await virtualLink(a), {ifindex: 9, up: false});
	t.false(a.owns('192.168.1.1'));
	clock.advance(seconds(4));
	t.true(a.owns('192.168.1.1'));

	const {a: other} = balancer();
	other.netlink.setLink({ifindex: 9, name: 'vrrp.91', kind: 'macvlan', base: 2, mac: '00:00:5e:00:01:01'});
	await other.configure([withVirtualMac]);
	t.like(await virtualLink(other), {mac: virtualMac.mac});

	const {a: blocked} = balancer();
	blocked.netlink.setLink({ifindex: 9, name: 'vrrp.91', kind: 'veth', base: 2});
	await t.throwsAsync(blocked.configure([withVirtualMac]), {message: /vrrp\.91: EEXIST .*no macvlan/});
});

test('made anew when somebody has removed it, or the interface below comes back', async t => {
	const {clock, a} = balancer();
	await a.configure([withVirtualMac]);
	clock.advance(seconds(4));
	const made = await virtualLink(a);
	a.netlink.removeLink(made?.ifindex ?? 0);
	await kernelEvents();
	await kernelEvents();
	clock.advance(seconds(2));
	t.true(a.owns('192.168.1.1'));
	t.like(await virtualLink(a), {up: true});

	a.netlink.removeLink((await virtualLink(a))?.ifindex ?? 0);
	a.netlink.removeLink(2);
	await kernelEvents();
	await kernelEvents();
	t.deepEqual(a.roles(), ['fault']);
	a.netlink.setLink({ifindex: 12, name: 'eth0'});
	a.netlink.give(12, '192.168.1.10', 24);
	await kernelEvents();
	await kernelEvents();
	clock.advance(seconds(4));
	t.like(await virtualLink(a), {base: 12, up: true});
	t.true(a.owns('192.168.1.1'));
});

test('without use_vmac after a reload, the interface goes', async t => {
	const {clock, a} = balancer();
	await a.configure([withVirtualMac]);
	clock.advance(seconds(4));
	await a.configure([instance()]);
	t.is(await virtualLink(a), undefined);
	clock.advance(seconds(4));
	t.true(a.owns('192.168.1.1'));
});

test('vmac_xmit_base: the interface below sends, the virtual one has the addresses', async t => {
	const {clock, lan, a} = balancer();
	const {addresses} = withVirtualMac;
	await a.configure([instance({virtualMac: {...virtualMac, sendFromBase: true}, addresses})]);
	clock.advance(seconds(4));
	t.like(await virtualLink(a), {up: true});
	t.true(a.owns('192.168.1.1'));
	t.true(lan.adverts.length > 0);
	t.true(lan.frames.every(({bytes}) => Buffer.from(bytes.subarray(6, 12)).toString('hex') === '00005e00015b'));
});
