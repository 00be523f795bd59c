/** The sweep of persistence entries: which are removed, and which outlive their time. */
import type {ExecutionContext} from 'ava';
import type {DataPlane} from '../../src/xdp/dataplane.js';
import {packetTest} from '../packets/balancer.js';
import {tcpFrame} from '../packets/frame.js';
import {backend, service} from '../plan/random-job.js';
import {freshName, LOOPBACK_MAC, open, send, serve} from './plane.js';

const CLIENT_MAC = '02:00:00:00:00:99';
const [BACKEND, OTHER_BACKEND, BACKEND6] = [1, 2, 3];
const NETWORK_BITS = {4: 24, 6: 64} as const;
const SERVICES = [
	service('192.168.1.2', [backend('10.0.0.71'), backend('10.0.0.72')], {
		persistence: {timeoutS: 300, granularity: NETWORK_BITS[4]},
	}),
	service('2001:db8:1::1', [backend('fd00:10::47')], {persistence: {timeoutS: 300, granularity: NETWORK_BITS[6]}}),
];
const NETWORK = {client: Uint8Array.of(172, 16, 9, 0), service: 1};
const NETWORK6 = {client: Uint8Array.of(0x20, 1, 0xd, 0xb8, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), service: 2};

async function scene(
	t: ExecutionContext,
): Promise<{plane: DataPlane; connect(from: string, to: string, flags?: string): void}> {
	const name = freshName(t);
	const plane = await open(t, {name});
	serve(plane, SERVICES);
	const through = send(t, name);
	return {
		plane,
		connect: (from, to, flags = 'S') => {
			through(tcpFrame({toMac: LOOPBACK_MAC, fromMac: CLIENT_MAC, from, to, flags}));
		},
	};
}

packetTest('an entry that ends goes on for 60 s while its client has connections', async t => {
	const {plane, connect} = await scene(t);
	connect('172.16.9.9:1024', '192.168.1.2:80');
	connect('[2001:db8:9::9]:1024', '[2001:db8:1::1]:80');
	const {hz} = plane.settings;
	for (const [map, key] of [
		[plane.maps.persistence[4], NETWORK],
		[plane.maps.persistence[6], NETWORK6],
	] as const) {
		const entry = map.get(key);
		if (entry === undefined) throw new Error('not remembered');
		const ends = plane.jiffies() + BigInt(5 * hz);
		map.set(key, {...entry, expires: ends});
		t.is(await plane.sweepPersistence(), 2);
		t.deepEqual(map.get(key), {...entry, expires: ends + BigInt(60 * hz)}, 'just before its end');
		t.is(await plane.sweepPersistence(), 2);
		t.deepEqual(map.get(key), {...entry, expires: ends + BigInt(60 * hz)}, 'and not before that is over');

		const over = plane.jiffies();
		map.set(key, {...entry, expires: over - BigInt(hz)});
		t.is(await plane.sweepPersistence(), 2);
		const late = Number((map.get(key)?.expires ?? 0n) - over) / hz;
		t.true(late >= 60 && late < 90, `a sweep that comes late: ${late} s`);
	}
});

packetTest('an entry whose time is over goes if its client has connections elsewhere only, or none', async t => {
	const {plane, connect} = await scene(t);
	connect('172.16.9.9:1024', '192.168.1.2:80');
	connect('[2001:db8:9::9]:1024', '[2001:db8:1::1]:80');
	const map = plane.maps.persistence[4];
	t.is(map.get(NETWORK)?.backend, BACKEND);
	t.is(plane.maps.persistence[6].get(NETWORK6)?.backend, BACKEND6);
	const expires = plane.jiffies();
	const stranger = {client: Uint8Array.of(172, 16, 8, 0), service: 1};
	map.set(NETWORK, {backend: OTHER_BACKEND, deals: 0, expires});
	map.set(stranger, {backend: BACKEND, deals: 0, expires});
	t.is(await plane.sweepPersistence(), 1);
	t.is(map.get(NETWORK), undefined);
	t.is(map.get(stranger), undefined);
	t.is(await plane.sweepPersistence(), 1, 'the one of IPv6');
});

packetTest('connections that are over keep no entry', async t => {
	const {plane, connect} = await scene(t);
	connect('172.16.9.9:1024', '192.168.1.2:80');
	connect('10.0.0.71:80', '172.16.9.9:1024', 'R');
	const map = plane.maps.persistence[4];
	const entry = map.get(NETWORK);
	if (entry === undefined) throw new Error('not remembered');
	map.set(NETWORK, {...entry, expires: plane.jiffies()});
	t.is(await plane.sweepPersistence(), 0);
});

packetTest('an entry that ends is kept until then, whoever has connections', async t => {
	const {plane} = await scene(t);
	const expires = plane.jiffies() + BigInt(5 * plane.settings.hz);
	plane.maps.persistence[4].set(NETWORK, {backend: BACKEND, deals: 0, expires});
	t.is(await plane.sweepPersistence(), 1);
	t.is(plane.maps.persistence[4].get(NETWORK)?.expires, expires);
});
