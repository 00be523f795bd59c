/** `use_vmac` and what goes with it. */
import test from 'ava';
import type {Instance} from '../../src/conf/model.js';
import {configOf} from './reading.js';

function instances(...bodies: readonly string[]): readonly Instance[] {
	const blocks = bodies.map((body, n) => `vrrp_instance VI_${n} {\n${body}\n}`);
	return configOf(`${blocks.join('\n')}\n`).instances;
}

function body(device: string, ...lines: readonly string[]): string {
	return [`interface ${device}`, 'virtual_router_id 91', ...lines].join('\n');
}

const IPV4 = 'virtual_ipaddress { 192.168.1.1/24 }';

test('an interface of its own, named by prefix and VRID as keepalived does, has the addresses', t => {
	const [first, second, third] = instances(
		body('eth0', 'use_vmac', IPV4),
		body('eth1', 'use_vmac', IPV4.replace('.1.1', '.2.1')),
		body('eth0', 'use_vmac', 'virtual_ipaddress { fe80::1 }'),
	);
	t.deepEqual(first?.virtualMac, {name: 'vrrp.91', mac: '00:00:5e:00:01:5b', sendFromBase: false});
	t.is(second?.virtualMac?.name, 'vrrp1.91');
	t.deepEqual(third?.virtualMac, {name: 'vrrp6.91', mac: '00:00:5e:00:02:5b', sendFromBase: false});
	t.deepEqual(
		[first, second, third].map(instance => instance?.addresses[0]?.device),
		['vrrp.91', 'vrrp1.91', 'vrrp6.91'],
	);
});

test('a name that is written is not handed out again', t => {
	const [first, second] = instances(body('eth0', 'use_vmac', IPV4), body('eth1', 'use_vmac vrrp.91 0:0:5e:0:1', IPV4));
	t.is(first?.virtualMac?.name, 'vrrp1.91');
	t.deepEqual(second?.virtualMac, {name: 'vrrp.91', mac: '00:00:5e:00:01:5b', sendFromBase: false});
});

test('a MAC address without a name', t => {
	const [instance] = instances(body('eth0', 'use_vmac 00:00:5e:00:01:07', IPV4));
	t.like(instance?.virtualMac, {name: 'vrrp.91', mac: '00:00:5e:00:01:07'});
});

test('addresses on other interfaces, and excluded ones of the other family, stay where they are', t => {
	const [instance] = instances(
		body(
			'eth0',
			'use_vmac',
			'virtual_ipaddress {\n192.168.1.1/24 dev eth0\n10.0.0.1/24 dev eth1\n}',
			'virtual_ipaddress_excluded { 2001:db8::1/64 }',
		),
	);
	t.deepEqual(
		[...(instance?.addresses ?? []), ...(instance?.excludedAddresses ?? [])].map(({device}) => device),
		['vrrp.91', 'eth1', 'eth0'],
	);
});

test('vmac_xmit_base; unicast peers mean it, strict mode forbids it', t => {
	const sender = (...lines: readonly string[]): boolean | undefined =>
		instances(body('eth0', 'use_vmac', IPV4, ...lines))[0]?.virtualMac?.sendFromBase;
	t.true(sender('vmac_xmit_base'));
	t.true(sender('unicast_peer { 192.168.1.7 }'));
	t.false(sender('vmac_xmit_base', 'strict_mode'));
});

test('garp_extra_if refreshes where there is a virtual MAC address, or everywhere', t => {
	const refresh = (...lines: readonly string[]): number | undefined =>
		instances(body('eth0', IPV4, ...lines))[0]?.garp.masterRefreshUs;
	t.is(refresh('garp_extra_if 7'), 0);
	t.is(refresh('garp_extra_if 7', 'use_vmac'), 7_000_000);
	t.is(refresh('garp_extra_if all 7'), 7_000_000);
	t.is(refresh('garp_extra_if all 7', 'garp_master_refresh 5'), 5_000_000);
	t.is(refresh('garp_extra_if all 0', 'garp_master_refresh 5'), 5_000_000);
});
