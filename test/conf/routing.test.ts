/** Addresses, routes and rules, of instances and static ones: what each line means. */
import test from 'ava';
import type {VirtualAddress, VirtualRoute, VirtualRule} from '../../src/conf/model.js';
import {configOf, read, sound} from './reading.js';

function staticOf<K extends 'static_ipaddress' | 'static_routes' | 'static_rules'>(
	block: K,
	line: string,
	lists: Readonly<Record<string, string>> = {},
) {
	return configOf(sound({top: `${block} {\n${line}\n}`}), lists).statics;
}

const address = (line: string): Partial<VirtualAddress> => staticOf('static_ipaddress', line).addresses[0] ?? {};
const route = (line: string, lists = {}): Partial<VirtualRoute> =>
	staticOf('static_routes', line, lists).routes[0] ?? {};
const rule = (line: string): Partial<VirtualRule> => staticOf('static_rules', line).rules[0] ?? {};

for (const [line, meaning] of [
	['10.9.9.1/24', {address: '10.9.9.1', prefix: 24, peer: null, device: 'eth0', tracked: true, flags: []}],
	['10.9.9.1', {prefix: 32}],
	['10.9.9.1/24 dev eth1 brd + scope link label eth1:x', {broadcast: '10.9.9.255', scope: 253, label: 'eth1:x'}],
	['10.9.9.1/24 brd -', {broadcast: '10.9.9.0'}],
	['10.9.9.1 peer 10.9.7.2', {prefix: 32, peer: '10.9.7.2'}],
	['2001:db8::1 peer 2001:db8::2', {prefix: 128, peer: '2001:db8::2', preferredS: 0}],
	['2001:db8::1/64 -nodad', {detectDuplicates: true}],
	['2001:db8::1/64 nodad', {detectDuplicates: false}],
	[
		'2001:db8::1/64 home mngtmpaddr noprefixroute autojoin',
		{flags: ['home', 'mngtmpaddr', 'noprefixroute', 'autojoin']},
	],
	['10.9.9.1/24 no_track preferred_lft 30', {tracked: false, preferredS: 30}],
] as const) {
	test(`static_ipaddress: ${line}`, t => t.like(address(line), meaning));
}

test('static addresses that name no interface are on default_interface', t => {
	const {statics} = configOf(sound({globals: 'default_interface lan', top: 'static_ipaddress {\n10.9.9.1/24\n}'}));
	t.is(statics.addresses[0]?.device, 'lan');
});

const hop = {device: 'eth0', gateway: null, weight: 1, onlink: false, realms: null};
for (const [line, meaning] of [
	[
		'10.0.0.0/8 dev eth0',
		{
			...{family: 4, type: 'unicast', destination: {address: '10.0.0.0', prefix: 8}, table: 254, protocol: 18},
			...{scope: 0, tos: 0, priority: null, hops: [hop], placement: 'prepend', tracked: true},
		},
	],
	['to 10.0.0.0/8 via 10.9.9.2 oif eth0', {hops: [{...hop, gateway: '10.9.9.2'}]}],
	['src 10.9.9.1 10.0.0.0/8 gw 10.9.9.2', {source: '10.9.9.1', hops: [{...hop, device: null, gateway: '10.9.9.2'}]}],
	['default via 10.9.9.2', {destination: {address: '0.0.0.0', prefix: 0}, family: 4}],
	['default via 2001:db8::2', {destination: {address: '::', prefix: 0}, family: 6}],
	['inet6 default dev eth0', {destination: {address: '::', prefix: 0}, family: 6}],
	['10.0.0.0/8 via inet6 fe80::1 dev eth0 onlink', {family: 4, hops: [{...hop, gateway: 'fe80::1', onlink: true}]}],
	['10.1.1.1 dev eth0', {destination: {address: '10.1.1.1', prefix: 32}}],
	['blackhole 10.0.0.0/8', {type: 'blackhole', hops: []}],
	['unreachable 2001:db8::/32', {type: 'unreachable', family: 6}],
	['throw default table 7', {type: 'throw', table: 7}],
	['local 10.0.0.1 dev eth0', {type: 'local', scope: 254}],
	['10.0.0.0/8 dev eth0 table local', {table: 255}],
	['10.0.0.0/8 dev eth0 table 0x10 metric 5 tos 0x10 scope link', {table: 16, priority: 5, tos: 16, scope: 253}],
	['10.0.0.0/8 dev eth0 protocol bird no_track', {protocol: 12, tracked: false}],
	[
		'10.0.0.0/8 dev eth0 mtu lock 1400 hoplimit 9 features ecn congctl lock reno',
		{metrics: {mtu: 1400, hoplimit: 9, features: 1, congctl: 'reno'}, locked: ['mtu', 'congctl']},
	],
	['10.0.0.0/8 dev eth0 rtt 2s rttvar 300ms rto_min 1.5s', {metrics: {rtt: 16_000, rttvar: 1200, rto_min: 1500}}],
	['10.0.0.0/8 dev eth0 rtt 1700 rto_min 100ms', {metrics: {rtt: 1700, rto_min: 200}}],
	['10.0.0.0/8 dev eth0 realms 3/4', {hops: [{...hop, realms: 0x0003_0004}]}],
	['2001:db8::/32 from 2001:db8:1::/48 dev eth0', {from: {address: '2001:db8:1::', prefix: 48}}],
	['2001:db8::/32 dev eth0 expires 90 pref low', {expiresS: 90, preference: 3, tracked: false}],
	['10.0.0.0/8 dev eth0 ttl-propagate disabled', {propagatesTtl: false}],
	['10.0.0.0/8 dev eth0 append', {placement: 'append'}],
	[
		'10.0.0.0/8 nexthop via 10.9.9.2 dev eth0 weight 3 nexthop dev eth0 onlink',
		{
			hops: [
				{...hop, gateway: '10.9.9.2', weight: 3},
				{...hop, onlink: true},
			],
		},
	],
	[
		'10.0.0.0/8 via 10.9.9.2 or 10.9.9.3 dev eth0',
		{
			hops: [
				{...hop, gateway: '10.9.9.2'},
				{...hop, gateway: '10.9.9.3'},
			],
		},
	],
] as const) {
	test(`static_routes: ${line}`, t => t.like(route(line), meaning));
}

test('tables, protocols and realms have the names that iproute2 keeps', t => {
	const lists = {
		'/usr/share/iproute2/rt_tables': '100 vpn\n101 lab # comment\n',
		'/etc/iproute2/rt_tables': '#\n# names\n0x65 lab\n102\n',
		'/etc/iproute2/rt_tables.d/more.conf': '103 vpn\n',
		'/etc/iproute2/rt_tables.d/more.txt': '104 vpn\n',
		'/etc/iproute2/rt_realms': '9 office\n',
	};
	t.is(route('10.0.0.0/8 dev eth0 table vpn', lists).table, 103, 'the administrator’s, the last of them');
	t.is(route('10.0.0.0/8 dev eth0 table lab', lists).table, 0x65);
	t.is(route('10.0.0.0/8 dev eth0 realms office', lists).hops?.[0]?.realms, 9);
});

for (const [line, meaning] of [
	[
		'from 10.1.0.0/16 table 7 preference 5',
		{family: 4, from: {address: '10.1.0.0', prefix: 16}, table: 7, priority: 5},
	],
	['to 10.1.0.1/16 lookup main priority 5', {to: {address: '10.1.0.1', prefix: 16}, table: 254, action: 'table'}],
	['from all to 0.0.0.0/0 table 7 order 5', {from: null, to: null}],
	['not from 2001:db8::/32 table 7 order 0x10', {family: 6, inverted: true, priority: 16}],
	['inet6 iif eth0 oif eth1 table 7 order 5', {family: 6, inputInterface: 'eth0', outputInterface: 'eth1'}],
	['fwmark 0x10 table 7 order 5', {mark: {value: 16, mask: 0xffff_ffff}}],
	['fwmark 010/0xff tos 0x10 table 7 order 5', {mark: {value: 8, mask: 0xff}, tos: 0x10}],
	['uidrange 5-9 tunnel-id 18446744073709551615 table 7 order 5', {users: [5, 9], tunnelId: '18446744073709551615'}],
	[
		'ipproto UDP sport 10-20 dport 7 table 7 order 5',
		{ipProtocol: 17, sourcePorts: [10, 20], destinationPorts: [7, 7]},
	],
	['suppress_prefixlength 0 suppress_ifgroup default table main order 5', {suppressPrefixLength: 0, suppressGroup: 0}],
	['l3mdev order 5', {l3mdev: true, table: 0, action: 'table'}],
	['from 10.1.0.0/16 realms 4/5 table 7 order 5', {realms: 0x0004_0005}],
	['goto 9 order 5', {action: 'goto', target: 9, table: 0}],
	['type prohibit order 5', {action: 'prohibit'}],
	['nop protocol 77 no_track order 5', {action: 'nop', protocol: 77, tracked: false}],
] as const) {
	test(`static_rules: ${line}`, t => t.like(rule(line), meaning));
}

test('rules without a preference get keepalived’s, one after the other', t => {
	const {config, printed} = read(sound({top: 'static_rules {\nfrom 10.1.0.0/16 table 7\nfrom 10.2.0.0/16 table 7\n}'}));
	t.deepEqual(
		config?.statics.rules.map(({priority}) => priority),
		[16_384, 16_383],
	);
	t.is(printed.length, 2);
});

test('an instance has its routes and rules, and a track group the static ones', t => {
	const {instances, statics, trackGroups} = configOf(
		sound({
			instance:
				'promote_secondaries\nvirtual_routes {\n10.0.0.0/8 dev eth0 no_track\n}\nvirtual_rules {\nfrom 10.1.0.0/16 table 7 order 5\n}',
			top: 'track_group G {\ngroup {\nVI_1\n}\n}\nstatic_routes {\n10.2.0.0/16 dev eth0 track_group G\n}',
		}),
	);
	t.like(instances[0], {promoteSecondaries: true, routes: {length: 1}, rules: {length: 1}});
	t.is(statics.routes[0]?.trackGroup, 'G');
	t.like(trackGroups, {0: {name: 'G', instances: ['VI_1']}, length: 1});
});

test('a block has a bounded number of lines', t => {
	const lines = Array.from({length: 4097}, (_, n) => `10.${n >> 8}.${n & 255}.1 dev eth0`);
	const {printed} = read(sound({top: `static_routes {\n${lines.join('\n')}\n}`}));
	t.deepEqual(printed, ['lb.conf:4121:1: error: the block has more than 4096 lines from here on']);
});
