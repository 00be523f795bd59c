import test from 'ava';
import {LITTLE_ENDIAN} from '../../../src/net/bytes.js';
import {decodeIpRule, encodeIpRule, encodeRuleDump, type IpRule, ruleKey} from '../../../src/net/netlink/ip-rule.js';
import {RTM_NEWRULE} from '../../../src/net/netlink/route.js';
import {hex, mutations} from '../wire.js';

const onLittleEndian = LITTLE_ENDIAN ? test : test.skip;

const plain: IpRule = {
	family: 4,
	priority: 1000,
	inverted: false,
	from: {address: '10.1.0.0', prefix: 16},
	to: null,
	tos: 0,
	mark: null,
	inputInterface: null,
	outputInterface: null,
	tunnelId: null,
	users: null,
	l3mdev: false,
	ipProtocol: null,
	sourcePorts: null,
	destinationPorts: null,
	action: 'table',
	table: 5,
	target: null,
	realms: null,
	suppressPrefixLength: null,
	suppressGroup: null,
	protocol: 18,
};
const selective: IpRule = {
	...plain,
	inverted: true,
	to: {address: '10.2.0.0', prefix: 16},
	tos: 0x10,
	mark: {value: 5, mask: 0xff},
	inputInterface: 'eth0',
	outputInterface: 'eth1',
	table: 300,
	suppressPrefixLength: 0,
	suppressGroup: 4,
};
const jump: IpRule = {
	...plain,
	from: null,
	ipProtocol: 17,
	sourcePorts: [10, 20],
	destinationPorts: [7, 7],
	users: [5, 9],
	tunnelId: '55',
	action: 'goto',
	table: 0,
	target: 32_766,
};

/** The golden bytes have the attributes of what `ip rule` sends for the same words, in our order. */
onLittleEndian('not from to tos fwmark iif oif table suppress_prefixlength suppress_ifgroup', t => {
	t.deepEqual(
		encodeIpRule(selective),
		// IPv4, to /16, from /16, TOS, table in an attribute, look up, inverted
		hex`02 10 10 10 00 00 00 01 02000000
			| 0800 0200 0a010000 | 0800 0100 0a020000 | 0800 0600 e8030000 | 0800 0a00 05000000 | 0800 1000 ff000000
			| 0900 0300 65746830 00 000000 | 0900 1100 65746831 00 000000 | 0800 0f00 2c010000
			| 0800 0e00 00000000 | 0800 0d00 04000000 | 0500 1500 12 000000`,
	);
});
onLittleEndian('ipproto udp sport 10-20 dport 7 uidrange 5-9 tun_id 55 goto 32766', t => {
	t.deepEqual(
		encodeIpRule(jump),
		hex`02 00 00 00 00 00 00 02 00000000 | 0800 0600 e8030000
			| 0c00 0c00 00000000 00000037 | 0c00 1400 05000000 09000000 | 0500 1600 11 000000
			| 0800 1700 0a00 1400 | 0800 1800 0700 0700 | 0800 0400 fe7f0000 | 0500 1500 12 000000`,
	);
});
onLittleEndian('l3mdev, realms', t => {
	t.deepEqual(
		encodeIpRule({...plain, l3mdev: true, table: 0, realms: 0x0004_0005}),
		hex`02 00 10 00 00 00 00 01 00000000 | 0800 0200 0a010000 | 0800 0600 e8030000
			| 0500 1300 01 000000 | 0800 0b00 05000400 | 0500 1500 12 000000`,
	);
});
onLittleEndian('asks for the rules of a family', t => {
	t.deepEqual(encodeRuleDump(6), hex`0a 00 00 00 00 00 00 00 00000000`);
});

const message = (body: Uint8Array) => ({type: RTM_NEWRULE, flags: 0, sequence: 0, body});

for (const [what, rule] of [
	['selectors', selective],
	['a jump', jump],
	['a VRF', {...plain, l3mdev: true, table: 0}],
	['IPv6', {...plain, family: 6, from: {address: '2001:db8::', prefix: 32}}],
	['a dead end', {...plain, action: 'prohibit', table: 0}],
] as const) {
	test(`a rule is read as it was written: ${what}`, t => {
		const read = decodeIpRule(message(encodeIpRule(rule)));
		t.deepEqual(read, {ok: true, value: rule});
		t.is(read.ok ? ruleKey(read.value) : '', ruleKey(rule));
	});
}

test('the kernel says with all bits set that a rule suppresses nothing', t => {
	const body = encodeIpRule({...plain, suppressPrefixLength: 0xffff_ffff, suppressGroup: 0xffff_ffff});
	t.like(decodeIpRule(message(body)), {value: {suppressPrefixLength: null, suppressGroup: null}});
});

test('rules that differ in anything are others', t => {
	for (const change of Object.keys(selective) as (keyof IpRule)[]) {
		if (JSON.stringify(selective[change]) === JSON.stringify(plain[change])) continue;
		t.not(ruleKey({...plain, [change]: selective[change]}), ruleKey(plain), change);
	}
});

test('damaged answers do not throw, and short ones have a reason', t => {
	const body = encodeIpRule({...selective, ...jump});
	t.deepEqual(decodeIpRule(message(body.subarray(0, 11))), {ok: false, reason: 'bad-length'});
	for (const damaged of mutations(body, 2_000, 19)) decodeIpRule(message(damaged));
	const strange = body.slice();
	strange[7] = 99;
	t.deepEqual(decodeIpRule(message(strange)), {ok: false, reason: 'other-family'});
});
