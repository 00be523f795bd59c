import test from 'ava';
import {concatBytes, LITTLE_ENDIAN} from '../../../src/net/bytes.js';
import {
	decodeRouteEntry,
	destinationText,
	encodeIpRoute,
	encodeRouteDump,
	type Hop,
	type IpRoute,
	isRoute,
	routeFlags,
	routeSlot,
} from '../../../src/net/netlink/ip-route.js';
import {NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL} from '../../../src/net/netlink/message.js';
import {RTM_NEWROUTE} from '../../../src/net/netlink/route.js';
import {hex, mutations} from '../wire.js';

const onLittleEndian = LITTLE_ENDIAN ? test : test.skip;

const hop: Hop<number> = {device: 20, gateway: '192.168.1.7', weight: 1, onlink: false, realms: null};
const plain: IpRoute<number> = {
	family: 4,
	type: 'unicast',
	destination: {address: '10.20.0.0', prefix: 16},
	from: null,
	table: 254,
	protocol: 18,
	scope: 0,
	tos: 0,
	priority: null,
	source: null,
	hops: [hop],
	metrics: {},
	locked: [],
	expiresS: null,
	preference: null,
	propagatesTtl: null,
	placement: 'prepend',
};
const plain6: IpRoute<number> = {
	...plain,
	family: 6,
	destination: {address: '2001:db8:20::', prefix: 48},
	hops: [{...hop, gateway: '2001:db8::7'}],
};

/** The golden bytes have the attributes of what `ip route` sends for the same words, in our order. */
onLittleEndian('metric 7 table 300 mtu lock 1400 advmss 1200 congctl reno', t => {
	const metrics = {mtu: 1400, advmss: 1200, congctl: 'reno'};
	t.deepEqual(
		encodeIpRoute({...plain, priority: 7, table: 300, metrics, locked: ['mtu']}),
		// IPv4, /16, no source, no TOS, table in an attribute, keepalived, global, unicast
		hex`02 10 00 00 00 12 00 01 00000000
			| 0800 0100 0a140000 | 0800 0600 07000000 | 0800 0f00 2c010000
			| 2400 0800 0800 0200 78050000 0800 0800 b0040000 0800 1000 72656e6f 0800 0100 04000000
			| 0800 0500 c0a80107 | 0800 0400 14000000`,
	);
});
onLittleEndian('nexthop via 192.168.1.7 dev eth0 weight 2 nexthop via 192.168.1.8 dev eth0 weight 5 onlink', t => {
	const hops = [
		{...hop, weight: 2},
		{...hop, gateway: '192.168.1.8', weight: 5, onlink: true},
	];
	t.deepEqual(
		encodeIpRoute({...plain, hops}),
		hex`02 10 00 00 fe 12 00 01 00000000 | 0800 0100 0a140000
			| 2400 0900 1000 00 01 14000000 0800 0500 c0a80107 1000 04 04 14000000 0800 0500 c0a80108`,
	);
});
onLittleEndian('via inet6 2001:db8::5, onlink', t => {
	t.deepEqual(
		encodeIpRoute({...plain, hops: [{...hop, gateway: '2001:db8::5', onlink: true}]}),
		hex`02 10 00 00 fe 12 00 01 04000000 | 0800 0100 0a140000
			| 1600 1200 0a00 20010db8 00000000 00000000 00000005 0000 | 0800 0400 14000000`,
	);
});
onLittleEndian('IPv6: pref high expires 100', t => {
	t.deepEqual(
		encodeIpRoute({...plain6, preference: 1, expiresS: 100}),
		hex`0a 30 00 00 fe 12 00 01 00000000 | 1400 0100 20010db8 00200000 00000000 00000000
			| 0500 1400 01 000000 | 0800 1700 64000000
			| 1400 0500 20010db8 00000000 00000000 00000007 | 0800 0400 14000000`,
	);
});
onLittleEndian('blackhole default', t => {
	const nowhere: IpRoute<number> = {
		...plain,
		type: 'blackhole',
		destination: {address: '0.0.0.0', prefix: 0},
		hops: [],
	};
	t.deepEqual(encodeIpRoute(nowhere), hex`02 00 00 00 fe 12 00 06 00000000`);
});
onLittleEndian('IPv6: from, TOS, source and realms', t => {
	const body = encodeIpRoute({
		...plain6,
		from: {address: '2001:db8::', prefix: 32},
		source: '2001:db8::1',
		hops: [{...hop, gateway: null, device: null, realms: 0x0003_0004}],
	});
	t.deepEqual(
		body,
		hex`0a 30 20 00 fe 12 00 01 00000000 | 1400 0100 20010db8 00200000 00000000 00000000
			| 1400 0200 20010db8 00000000 00000000 00000000 | 1400 0700 20010db8 00000000 00000000 00000001
			| 0800 0b00 04000300`,
	);
});

test('where a route goes among those of its destination', t => {
	t.is(routeFlags({placement: 'prepend'}), NLM_F_CREATE);
	t.is(routeFlags({placement: 'append'}), NLM_F_CREATE | NLM_F_APPEND);
	t.is(routeFlags({placement: 'add'}), NLM_F_CREATE | NLM_F_EXCL);
});

onLittleEndian('asks for the routes of one maker', t => {
	t.deepEqual(encodeRouteDump(6, 18), hex`0a 00 00 00 00 12 00 00 00000000`);
});

const several = {...plain, hops: [hop, {...hop, gateway: '2001:db8::5'}, {...hop, gateway: null, device: 21}]};
const found: readonly (readonly [what: string, route: IpRoute<number>])[] = [
	['one way', plain],
	['IPv6', plain6],
	['several ways', several],
	['no way', {...plain, type: 'unreachable', hops: []}],
	['another table, TOS and metric', {...plain, table: 1000, tos: 0x10, priority: 4}],
	['the default route', {...plain, destination: {address: '0.0.0.0', prefix: 0}}],
];
for (const [what, route] of found) {
	test(`a route is found again: ${what}`, t => {
		const read = decodeRouteEntry({type: RTM_NEWROUTE, flags: 0, sequence: 0, body: encodeIpRoute(route)});
		if (!read.ok) throw new Error(read.reason);
		t.is(routeSlot(read.value), routeSlot(route));
		t.true(isRoute(read.value, route));
		t.false(isRoute(read.value, {...route, type: 'throw'}));
		t.false(isRoute(read.value, {...route, hops: [{...hop, gateway: '192.168.1.99'}]}));
	});
}

test('routes of another network, table, metric or maker are others', t => {
	const others = [
		{priority: 3},
		{table: 7},
		{protocol: 4},
		{tos: 4},
		{destination: {address: '10.20.0.0', prefix: 17}},
	];
	for (const change of others) {
		const other: IpRoute<number> = {...plain, ...change};
		t.not(routeSlot(other), routeSlot(plain));
	}
	t.is(routeSlot({...plain6, priority: 1024}), routeSlot(plain6), 'the default metric of IPv6');
});

test('a way whose interface was not said may be over any', t => {
	const read = decodeRouteEntry({type: RTM_NEWROUTE, flags: 0, sequence: 0, body: encodeIpRoute(plain)});
	t.true(read.ok && isRoute(read.value, {...plain, hops: [{...hop, device: null}]}));
	t.false(read.ok && isRoute(read.value, {...plain, hops: [{...hop, device: 21}]}));
});

test('damaged answers do not throw, and short ones have a reason', t => {
	const body = encodeIpRoute(several);
	const message = (bytes: Uint8Array) => ({type: RTM_NEWROUTE, flags: 0, sequence: 0, body: bytes});
	t.deepEqual(decodeRouteEntry(message(body.subarray(0, 11))), {ok: false, reason: 'bad-length'});
	t.deepEqual(decodeRouteEntry(message(concatBytes(hex`07`, body.subarray(1)))), {ok: false, reason: 'other-family'});
	for (const damaged of mutations(body, 2_000, 17)) decodeRouteEntry(message(damaged));
});

test('destinations in words', t => {
	t.is(destinationText({address: '10.0.0.0', prefix: 8}), '10.0.0.0/8');
	t.is(destinationText({address: '2001:db8::1', prefix: 128}), '2001:db8::1');
	t.is(destinationText({address: '::', prefix: 0}), 'default');
});
