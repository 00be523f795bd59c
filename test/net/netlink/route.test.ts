import test from 'ava';
import {concatBytes, LITTLE_ENDIAN, viewOf} from '../../../src/net/bytes.js';
import {encodeAttribute, encodeText, encodeU32, type NetlinkMessage} from '../../../src/net/netlink/message.js';
import * as route from '../../../src/net/netlink/route.js';
import {hex, mutations} from '../wire.js';

const onLittleEndian = LITTLE_ENDIAN ? test : test.skip;

function message(type: number, ...parts: readonly Uint8Array[]): NetlinkMessage {
	return {type, flags: 0, sequence: 1, body: concatBytes(...parts)};
}

/** A fixed header whose 32-bit fields are in the machine's order, the rest zero but for the given bytes. */
function header(length: number, bytes: Readonly<Record<number, number>>, words: Readonly<Record<number, number>> = {}) {
	const whole = new Uint8Array(length);
	for (const [at, value] of Object.entries(bytes)) whole[Number(at)] = value;
	for (const [at, value] of Object.entries(words)) viewOf(whole).setUint32(Number(at), value, LITTLE_ENDIAN);
	return whole;
}

const UP = 0x1;
const LOWER_UP = 0x1_0000;
const link = (flags: number): NetlinkMessage =>
	message(
		route.RTM_NEWLINK,
		header(16, {}, {4: 2, 8: flags}),
		encodeAttribute(3, encodeText('eth0')),
		encodeAttribute(1, hex`02 00 00 00 00 01`),
		encodeAttribute(4, encodeU32(1500)),
		encodeAttribute(18, encodeAttribute(1, encodeText('veth'))),
	);
const eth0 = {
	ifindex: 2,
	name: 'eth0',
	mac: '02:00:00:00:00:01',
	up: true,
	running: true,
	mtu: 1500,
	kind: 'veth',
	base: null,
	forwardsIpv6: false,
	promotesSecondaries: false,
	reversePathFilter: 0,
};

test('a link', t => t.deepEqual(route.decodeLink(link(UP | LOWER_UP)), {ok: true, value: eth0}));
test('a link without carrier does not run', t => {
	t.deepEqual(route.decodeLink(link(UP)), {ok: true, value: {...eth0, running: false}});
});
test('a link that is shut does not run', t => {
	t.deepEqual(route.decodeLink(link(LOWER_UP)), {ok: true, value: {...eth0, up: false, running: false}});
});
test('a link without MAC, MTU and kind', t => {
	const bare = message(
		route.RTM_NEWLINK,
		header(16, {}, {4: 5, 8: UP | LOWER_UP}),
		encodeAttribute(3, encodeText('tun0')),
	);
	t.deepEqual(route.decodeLink(bare), {
		ok: true,
		value: {
			ifindex: 5,
			name: 'tun0',
			mac: '',
			up: true,
			running: true,
			mtu: 0,
			kind: '',
			base: null,
			forwardsIpv6: false,
			promotesSecondaries: false,
			reversePathFilter: 0,
		},
	});
});
test('a link whose IPv6 forwards packets', t => {
	// The numbers of the link's sysctls, `forwarding` first; IPv6 is one of the families that have some.
	const settings = encodeAttribute(2, concatBytes(encodeU32(1), encodeU32(64)));
	const families = encodeAttribute(26, concatBytes(encodeAttribute(2, hex``), encodeAttribute(10, settings)));
	const {type, body} = link(UP | LOWER_UP);
	t.deepEqual(route.decodeLink(message(type, body, families)), {ok: true, value: {...eth0, forwardsIpv6: true}});
});
test('a link that keeps the other addresses of a network when one goes', t => {
	// The 20th of the numbers of IPv4.
	const settings = encodeAttribute(1, concatBytes(new Uint8Array(19 * 4), encodeU32(1)));
	const {type, body} = link(UP | LOWER_UP);
	const told = message(type, body, encodeAttribute(26, encodeAttribute(2, settings)));
	t.like(route.decodeLink(told), {value: {promotesSecondaries: true, forwardsIpv6: false}});
});
onLittleEndian('sets promote_secondaries', t => {
	// interface 2 | IFLA_AF_SPEC, AF_INET, IFLA_INET_CONF, the 20th
	const golden = hex`00 00 0000 02000000 00000000 00000000 | 1400 1a00 1000 0200 0c00 0100 0800 1400 01000000`;
	t.deepEqual(route.encodeLinkSettings(2, {promote_secondaries: 1}), golden);
});
onLittleEndian('makes a macvlan', t => {
	const golden = hex`
		00 00 0000 00000000 00000000 00000000 | 0800 0500 02000000 | 0900 0300 76312e3700 000000 | 0a00 0100 00005e000107 0000
		1c00 1200 | 0c00 0100 6d6163766c616e00 | 0c00 0200 0800 0100 01000000`;
	const made = route.encodeNewMacvlan({name: 'v1.7', base: 2, mac: '00:00:5e:00:01:07'});
	t.is(Buffer.from(made).toString('hex'), Buffer.from(golden).toString('hex'));
});
test('a bridge port is none of our links', t => {
	const port = message(route.RTM_NEWLINK, header(16, {0: 7}), encodeAttribute(3, encodeText('eth0')));
	t.deepEqual(route.decodeLink(port), {ok: false, reason: 'other-family'});
});
test('a link needs a name', t => {
	t.deepEqual(route.decodeLink(message(route.RTM_NEWLINK, header(16, {}))), {ok: false, reason: 'missing-attribute'});
});

const vip = {ifindex: 2, address: '192.168.1.1', prefix: 24, peer: null, scope: 0, label: null, broadcast: null};
const plain = {preferredS: null, flags: [], detectDuplicates: false};

onLittleEndian('adds an address', t => {
	// IPv4, /24, no flags, global, interface 2 | local | address
	const golden = hex`02 18 00 00 02000000 | 0800 0200 c0a80101 | 0800 0100 c0a80101`;
	t.deepEqual(route.encodeNewAddress({...vip, ...plain}), golden);
	t.deepEqual(route.encodeAddress(vip), golden);
});
onLittleEndian('adds an IPv6 address that is usable at once and not preferred', t => {
	const body = route.encodeNewAddress({...vip, ...plain, address: 'fe80::100', prefix: 128, preferredS: 0});
	t.deepEqual(
		body,
		// IPv6, /128, no duplicate detection, interface 2 | local | address | preferred 0 s, valid forever, times
		hex`0a 80 02 00 02000000
			| 1400 0200 fe800000 00000000 00000000 00000100
			| 1400 0100 fe800000 00000000 00000000 00000100
			| 1400 0600 00000000 ffffffff 00000000 00000000`,
	);
});
onLittleEndian('adds one end of a point-to-point link, as `ip address add` does', t => {
	const body = route.encodeNewAddress({...vip, ...plain, address: '10.9.9.1', prefix: 32, peer: '10.9.7.2'});
	t.deepEqual(body, hex`02 20 00 00 02000000 | 0800 0200 0a090901 | 0800 0100 0a090702`);
});
onLittleEndian('flags that do not fit into the header have an attribute', t => {
	const flags = ['home', 'mngtmpaddr', 'noprefixroute', 'autojoin'] as const;
	const body = route.encodeNewAddress({...vip, ...plain, flags, detectDuplicates: true});
	t.deepEqual(body.subarray(0, 8), hex`02 18 10 00 02000000`);
	t.deepEqual(body.subarray(24), hex`0800 0800 10070000`);
});
test('an IPv6 address whose owner is looked for first', t => {
	const body = route.encodeNewAddress({...vip, ...plain, address: '2001:db8::1', prefix: 64, detectDuplicates: true});
	t.is(body[2], 0);
});
for (const entry of [
	vip,
	{...vip, prefix: 32, peer: '192.168.9.1'},
	{...vip, label: 'eth0:vip', broadcast: '192.168.1.255', scope: 253},
	{...vip, address: '2001:db8::1', prefix: 64},
]) {
	test(`an address is read as it was written: ${entry.address} ${entry.label ?? entry.peer ?? ''}`, t => {
		t.deepEqual(route.decodeAddress(message(route.RTM_NEWADDR, route.encodeAddress(entry))), {
			ok: true,
			value: {...entry, secondary: false, usable: true},
		});
	});
}
test('a secondary address', t => {
	const body = route.encodeAddress(vip);
	body[2] = 0x01;
	t.like(route.decodeAddress(message(route.RTM_NEWADDR, body)), {value: {secondary: true}});
});
for (const [flags, name] of [
	[0x40, 'whose owner is not known yet'],
	[0x08, 'that somebody else has'],
] as const) {
	test(`an address ${name} is not usable`, t => {
		const body = route.encodeAddress({...vip, address: '2001:db8::1', prefix: 64});
		body[2] = flags;
		t.like(route.decodeAddress(message(route.RTM_NEWADDR, body)), {value: {usable: false}});
	});
}
test('a point-to-point address is our end', t => {
	const local = encodeAttribute(2, hex`0a000001`);
	const far = encodeAttribute(1, hex`0a000002`);
	t.like(route.decodeAddress(message(route.RTM_NEWADDR, header(8, {0: 2, 1: 32}), local, far)), {
		value: {address: '10.0.0.1', peer: '10.0.0.2'},
	});
});
test('an address of the wrong length is none', t => {
	const short = message(route.RTM_NEWADDR, header(8, {0: 2}), encodeAttribute(2, hex`c0a801`));
	t.deepEqual(route.decodeAddress(short), {ok: false, reason: 'missing-attribute'});
});

const REACHABLE = 0x02;
const FAILED = 0x20;
const neighbour = (type: number, state: number): NetlinkMessage =>
	message(
		type,
		header(12, {0: 2, [LITTLE_ENDIAN ? 8 : 9]: state}, {4: 2}),
		encodeAttribute(1, hex`0a000047`),
		encodeAttribute(2, hex`02 00 00 00 00 47`),
	);
const web1 = {ifindex: 2, address: '10.0.0.71', mac: '02:00:00:00:00:47'};

test('a neighbour', t => {
	t.deepEqual(route.decodeNeighbour(neighbour(route.RTM_NEWNEIGH, REACHABLE)), {ok: true, value: web1});
});
test('a failed neighbour has no MAC', t => {
	t.like(route.decodeNeighbour(neighbour(route.RTM_NEWNEIGH, FAILED)), {value: {...web1, mac: null}});
});
test('a deleted neighbour has no MAC', t => {
	t.like(route.decodeNeighbour(neighbour(route.RTM_DELNEIGH, REACHABLE)), {value: {...web1, mac: null}});
});
onLittleEndian('asks for a neighbour to be resolved', t => {
	// IPv4, interface 3, no state, NTF_USE | destination
	t.deepEqual(route.encodeNeighbourUse(3, '10.0.0.71'), hex`02 000000 03000000 0000 01 00 | 0800 0100 0a000047`);
});

test('an IPv6 neighbour', t => {
	const body = concatBytes(
		header(12, {0: 10, [LITTLE_ENDIAN ? 8 : 9]: REACHABLE}, {4: 3}),
		encodeAttribute(1, hex`fe80 0000 0000 0000 0000 0000 0000 0071`),
		encodeAttribute(2, hex`02 00 00 00 00 47`),
	);
	const value = {ifindex: 3, address: 'fe80::71', mac: '02:00:00:00:00:47'};
	t.deepEqual(route.decodeNeighbour(message(route.RTM_NEWNEIGH, body)), {ok: true, value});
});
onLittleEndian('asks for an IPv6 neighbour to be resolved', t => {
	t.deepEqual(
		route.encodeNeighbourUse(3, 'fe80::71'),
		hex`0a 000000 03000000 0000 01 00 | 1400 0100 fe800000 00000000 00000000 00000071`,
	);
});

const answer = (...attributes: readonly Uint8Array[]): NetlinkMessage =>
	message(route.RTM_NEWROUTE, header(12, {0: 2}), encodeAttribute(4, encodeU32(3)), ...attributes);

onLittleEndian('asks for a route', t => {
	t.deepEqual(route.encodeRouteGet('10.0.0.71'), hex`02 20 0000 00000000 00000000 | 0800 0100 0a000047`);
});
test('a route through a gateway', t => {
	t.deepEqual(route.decodeRoute(answer(encodeAttribute(5, hex`0a0000fe`), encodeAttribute(7, hex`0a00000a`))), {
		ok: true,
		value: {ifindex: 3, gateway: '10.0.0.254', source: '10.0.0.10', local: false},
	});
});
onLittleEndian('asks for an IPv6 route', t => {
	t.deepEqual(
		route.encodeRouteGet('2001:db8::71'),
		hex`0a 80 0000 00000000 00000000 | 1400 0100 20010db8 00000000 00000000 00000071`,
	);
});
test('an IPv6 route through a link-local gateway', t => {
	const gateway = encodeAttribute(5, hex`fe80 0000 0000 0000 0000 0000 0000 0001`);
	const body = concatBytes(header(12, {0: 10}), encodeAttribute(4, encodeU32(3)), gateway);
	t.like(route.decodeRoute(message(route.RTM_NEWROUTE, body)), {value: {ifindex: 3, gateway: 'fe80::1'}});
});
test('a route on the link', t => {
	t.deepEqual(route.decodeRoute(answer()), {
		ok: true,
		value: {ifindex: 3, gateway: null, source: null, local: false},
	});
});
test('a route through a gateway of the other family', t => {
	const family = header(2, {[LITTLE_ENDIAN ? 0 : 1]: 10});
	const via = encodeAttribute(18, concatBytes(family, hex`fe80 0000 0000 0000 0000 0000 0000 0001`));
	t.like(route.decodeRoute(answer(via)), {value: {gateway: 'fe80::1'}});
});
test('a route to ourselves', t => {
	const local = message(route.RTM_NEWROUTE, header(12, {0: 2, 7: 2}), encodeAttribute(4, encodeU32(1)));
	t.like(route.decodeRoute(local), {value: {ifindex: 1, local: true}});
});
test('a route without an interface is none', t => {
	t.deepEqual(route.decodeRoute(message(route.RTM_NEWROUTE, header(12, {0: 2}))), {
		ok: false,
		reason: 'missing-attribute',
	});
});

test('damaged answers do not throw, and short ones have a reason', t => {
	for (const {decode, body} of [
		{decode: route.decodeLink, body: link(UP).body},
		{decode: route.decodeAddress, body: route.encodeAddress({...vip, label: 'eth0', broadcast: '192.168.1.255'})},
		{decode: route.decodeNeighbour, body: neighbour(route.RTM_NEWNEIGH, REACHABLE).body},
		{decode: route.decodeRoute, body: answer(encodeAttribute(5, hex`0a0000fe`)).body},
	]) {
		t.deepEqual(decode(message(route.RTM_NEWLINK, body.subarray(0, 7))), {ok: false, reason: 'bad-length'});
		for (const damaged of mutations(body, 1_000, 11)) decode(message(route.RTM_NEWLINK, damaged));
	}
});
