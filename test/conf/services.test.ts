import test from 'ava';
import type {Backend, Config, Service, TcpCheck} from '../../src/conf/model.js';
import {configOf, type Extra, read, sound} from './reading.js';

const CHECK = 'TCP_CHECK { }';

/** A `virtual_server` behind the sound configuration, at line 24 and column 1. */
function virtualServer(target: string, ...lines: readonly string[]): string {
	const choices = [
		'protocol TCP',
		'lb_algo rr',
		...(lines.some(line => line.startsWith('lb_kind')) ? [] : ['lb_kind NAT']),
	];
	return `virtual_server ${target} {\n${[...choices, ...lines].join('\n')}\n}`;
}

function group(name: string, ...lines: readonly string[]): string {
	return `virtual_server_group ${name} {\n${lines.join('\n')}\n}`;
}

/** The services of the extra lines: the sound configuration has one before them. */
function servicesOf(...top: readonly string[]): readonly Service[] {
	return configOf(sound({top: top.join('\n')})).services.slice(1);
}

function names(services: readonly Service[]): string[] {
	return services.map(({name}) => name);
}

/** What is said of the extra lines beside where addresses come from. */
function complaints(extra: Extra): string[] {
	return read(sound(extra))
		.printed.filter(text => !text.includes('is in no vrrp_instance'))
		.map(text => text.slice(8));
}

test('a group is a service for each address and port', t => {
	const lines = ['10.1.0.1 80', '10.1.0.1 443', '10.1.0.8-10 80', '10.1.0.254-10.1.1.1 80', '10.1.2.4/31 80'];
	const services = servicesOf(
		group('WEB', ...lines),
		virtualServer('group WEB', `real_server 10.0.0.9 8080 { ${CHECK} }`),
	);
	t.deepEqual(names(services), [
		'10.1.0.1:80',
		'10.1.0.1:443',
		...['10.1.0.8:80', '10.1.0.9:80', '10.1.0.10:80'],
		...['10.1.0.254:80', '10.1.0.255:80', '10.1.1.0:80', '10.1.1.1:80'],
		...['10.1.2.4:80', '10.1.2.5:80'],
	]);
	for (const service of services) {
		t.is(service.group, 'WEB');
		t.like(service.backends, [{name: '10.0.0.9:8080', realServer: '10.0.0.9:8080', port: 8080}]);
	}
	t.is(services[0]?.place.line, 25, 'a service of a group stands where its address stands');
});

test('ranges of IPv6 end in hexadecimal', t => {
	const top = [
		group('SIX', 'ae00::8-b 80', 'AE00::1:fffe-ae00::2:1 80', 'ae00::/126 81'),
		virtualServer('group SIX', 'real_server ae00::99 { }'),
	];
	t.deepEqual(names(servicesOf(...top)), [
		...['[ae00::8]:80', '[ae00::9]:80', '[ae00::a]:80', '[ae00::b]:80'],
		...['[ae00::1:fffe]:80', '[ae00::1:ffff]:80', '[ae00::2:0]:80', '[ae00::2:1]:80'],
		...['[ae00::]:81', '[ae00::1]:81', '[ae00::2]:81', '[ae00::3]:81'],
	]);
});

test('TCP and UDP of one group are two virtual servers', t => {
	const dns = group('DNS', '10.1.0.1 53');
	const services = servicesOf(
		virtualServer('group DNS', 'real_server 10.0.0.9 { }'),
		dns,
		virtualServer('group DNS', 'protocol UDP', 'real_server 10.0.0.9 { }'),
	);
	t.deepEqual(names(services), ['10.1.0.1:53', '10.1.0.1:53/udp']);
});

test('a real server without a port has that of each service of its group, and is checked where it is told', t => {
	const lines = [
		group('WEB', '10.1.0.1 80', '10.1.0.1 443'),
		virtualServer('group WEB', 'real_server 10.0.0.9 { TCP_CHECK { connect_port 80\n} }'),
	];
	t.deepEqual(
		servicesOf(...lines).flatMap(({backends}) =>
			backends.map(({name, realServer, checks}) => [name, realServer, (checks as readonly TcpCheck[])[0]?.connectPort]),
		),
		[
			['10.0.0.9:80', '10.0.0.9:0', 80],
			['10.0.0.9:443', '10.0.0.9:0', 80],
		],
	);
	const unsaid = [
		group('WEB', '10.1.0.1 80', '10.1.0.2 80'),
		virtualServer('group WEB', `real_server 10.0.0.9 { ${CHECK} }`),
	];
	t.like(servicesOf(...unsaid)[1]?.backends, [{realServer: '10.0.0.9:80', checks: [{connectPort: 80}]}]);
});

test('a service of all ports remembers its clients, and its backends keep the port', t => {
	const [service] = servicesOf(virtualServer('10.1.0.1', 'real_server 10.0.0.9 { TCP_CHECK { connect_port 80\n} }'));
	t.like(service, {name: '10.1.0.1:0', port: 0, persistence: {timeoutS: 360, granularity: 32}});
	t.like(service?.backends, [{name: '10.0.0.9:0', port: 0, checks: [{connectPort: 80}]}]);
	t.deepEqual(
		servicesOf(virtualServer('10.1.0.1 0', 'persistence_timeout 5', 'real_server 10.0.0.9 { }'))[0]?.persistence,
		{
			timeoutS: 5,
			granularity: 32,
		},
	);
});

test('persistence_granularity of IPv6', t => {
	const six = (...lines: readonly string[]) =>
		servicesOf(virtualServer('2001:db8::1 80', ...lines, 'real_server 2001:db8::9 { }'))[0]?.persistence;
	t.deepEqual(six('persistence_timeout 9'), {timeoutS: 9, granularity: 128});
	t.deepEqual(six('persistence_granularity 56'), {timeoutS: 360, granularity: 56});
});

for (const [written, forwarding] of [
	['NAT', {method: 'nat'}],
	['DR', {method: 'dr'}],
	['TUN', {method: 'tun', type: 'ipip'}],
	['TUN type ipip nocsum', {method: 'tun', type: 'ipip'}],
	['TUN type gre', {method: 'tun', type: 'gre', checksum: 'none'}],
	['TUN csum type gre', {method: 'tun', type: 'gre', checksum: 'full'}],
	['TUN type gue port 6080', {method: 'tun', type: 'gue', port: 6080, checksum: 'none'}],
	['TUN type gue port 6080 remcsum', {method: 'tun', type: 'gue', port: 6080, checksum: 'remote'}],
] as const) {
	test(`forwarding: ${written}`, t => {
		const backends = (...lines: readonly string[]): readonly Backend[] =>
			servicesOf(virtualServer('10.1.0.1 80', ...lines))[0]?.backends ?? [];
		t.deepEqual(backends(`lb_kind ${written}`, 'real_server 10.0.0.9 { }')[0]?.forwarding, forwarding);
		const own = backends('lb_kind DR', `real_server 10.0.0.9 { lvs_method ${written}\n}`, 'real_server 10.0.0.8 { }');
		t.deepEqual(
			own.map(backend => backend.forwarding),
			[forwarding, {method: 'dr'}],
		);
	});
}

test('DR and TUN keep the port, TUN joins families', t => {
	const [dr] = servicesOf(virtualServer('10.1.0.1 80', 'lb_kind DR', 'real_server 10.0.0.9 81 { }'));
	t.like(dr?.backends, [{name: '10.0.0.9:80', port: 80}]);
	const [tun] = servicesOf(virtualServer('10.1.0.1 80', 'lb_kind TUN', 'real_server 2001:db8::9 80 { }'));
	t.like(tun?.backends, [{name: '[2001:db8::9]:80'}]);
});

const policies = (services: Config['services']) =>
	services.map(({name, policy, limits}) => [name, {...policy}, limits]);

test('policies and limits: of a service, of its group, of all', t => {
	const lbd = `lbd {
		failed_backend reset
		no_backend drop
		new_connections_per_source 100
		service 10.1.0.2 80 {
			no_backend reset
			new_connections_per_source 0
		}
		service group WEB {
			failed_backend keep
			new_connections_per_service 1000 5000
		}
	}`;
	const services = servicesOf(
		lbd,
		group('WEB', '10.1.0.1-2 80'),
		virtualServer('group WEB', 'real_server 10.0.0.9 { }'),
	);
	const perService = {perSecond: 1000, burst: 5000};
	t.deepEqual(policies(services), [
		['10.1.0.1:80', {failedBackend: 'keep', noBackend: 'drop'}, {perSource: {perSecond: 100, burst: 100}, perService}],
		['10.1.0.2:80', {failedBackend: 'keep', noBackend: 'reset'}, {perSource: null, perService}],
	]);
	t.deepEqual(policies(configOf(sound()).services), [
		['192.168.1.1:80', {failedBackend: 'drop', noBackend: 'reject'}, {perSource: null, perService: null}],
	]);
});

test('a UDP service is named with its protocol', t => {
	const dns = virtualServer('10.1.0.1 53', 'protocol UDP', 'real_server 10.0.0.9 { }');
	const [service] = servicesOf('lbd { service 10.1.0.1 53 UDP { no_backend drop\n} }', dns);
	t.is(service?.policy.noBackend, 'drop');
});

test('as many IPv6 flows as IPv4 flows where there is an IPv6 service', t => {
	const six = virtualServer('2001:db8::1 80', 'real_server 2001:db8::9 { }');
	const flows6 = (lbd: string) => configOf(sound({top: `${six}\nlbd { ${lbd}\n}`})).settings.flows6;
	t.is(flows6(''), 262_144);
	t.is(flows6('flows 2048'), 2048);
	t.is(flows6('flows 67108864'), 33_554_432);
	t.is(flows6('flows6 4096'), 4096);
});

const R = 'real_server 10.0.0.9 80 { }';

/** What stands in the extra lines, and what is printed about them from line 24 on. */
const cases: readonly (readonly [top: string, ...printed: string[]])[] = [
	// Groups
	[
		virtualServer('group WEB', R),
		`24:22: error: virtual_server names group 'WEB', which is no virtual_server_group (correct the name or add the group)`,
	],
	[
		`${group('WEBB')}\n${virtualServer('group WEBA', R)}`,
		`27:22: error: virtual_server names group 'WEBA', which is no virtual_server_group (did you mean 'WEBB'?)`,
	],
	[virtualServer('group', R), `24:1: error: virtual_server lacks its argument (write 'virtual_server group NAME')`],
	[
		`${group('WEB')}\n${virtualServer('group WEB', R)}`,
		`27:22: warning: virtual_server_group 'WEB' has no addresses, so this virtual_server is left out (add one)`,
	],
	[
		`${group('WEB', '10.1.0.1 80')}\n${virtualServer('group WEB')}`,
		`27:1: warning: virtual_server group 'WEB' has no real_server and is left out (add one)`,
	],
	[
		`${group('WEB', '10.1.0.1 80')}\n${group('WEB')}`,
		`27:1: error: virtual_server_group 'WEB' is there already, at lb.conf:24:1 (remove or rename one)`,
	],
	[
		`${group('WEB', '10.1.0.1 80', '10.1.0.1-2 80')}\n${virtualServer('group WEB', R)}`,
		'26:1: error: virtual_server 10.1.0.1:80 is there already, at lb.conf:25:1 (remove or rename one)',
	],
	[group('WEB', '10.1.0.9-1 80'), `25:1: error: virtual_server_group '10.1.0.9-1' ends before it begins`],
	[group('WEB', '10.1.0.9-300 80'), `25:1: error: virtual_server_group '10.1.0.9-300' is not a range of addresses`],
	[group('WEB', '10.1.0.1-2-3 80'), `25:1: error: virtual_server_group '10.1.0.1-2-3' is not a range of addresses`],
	[
		group('WEB', '10.1.0.1-2001:db8::1 80'),
		`25:1: error: virtual_server_group '10.1.0.1-2001:db8::1' begins and ends in different families`,
	],
	[
		group('WEB', '10.0.0.0/8 80'),
		`25:1: error: virtual_server_group '10.0.0.0/8' is 16777216 addresses, and there is room for 4095 services`,
	],
	[
		group('WEB', '10.0.0.1/8 80'),
		`25:1: error: virtual_server_group '10.0.0.1/8' has bits set behind its prefix (did you mean '10.0.0.0/8'?)`,
	],
	[group('WEB', '10.1.0.1 99999'), `25:10: error: virtual_server_group '99999' is outside 0-65535`],
	[
		group('WEB', '10.1.0.0/21 80', '10.1.0.0/21 81', '10.1.0.1 82'),
		`26:1: error: virtual_server_group 'WEB' has more than 4095 addresses from here on (each is a service, and there is no room for more)`,
	],
	[
		`lbd { services 255 }\n${group('WEB', '10.1.0.1-255 80')}\n${virtualServer('group WEB', R)}`,
		"28:1: error: this virtual_server has no room: there are 255 services, each address and port being one (make more by 'services' in the lbd block, or use several balancers)",
	],
	[
		`lbd { backends 255 }\n${group('WEB', '10.1.0.1-255 80')}\n${virtualServer('group WEB', R)}`,
		"28:1: error: this virtual_server has no room: there are 255 backends, each service having its own (make more by 'backends' in the lbd block, or use several balancers)",
	],
	// Ports
	[
		virtualServer('10.1.0.1', 'real_server 10.0.0.9 { }'),
		`24:1: warning: virtual_server 10.1.0.1:0 has all ports and so remembers clients, for 360 s (add 'persistence_timeout 360', or a port)`,
	],
	[
		virtualServer('10.1.0.1', 'persistence_timeout 9', R),
		'29:1: warning: port 80 of real_server 10.0.0.9 is ignored: a virtual_server with all ports keeps them (remove it)',
	],
	[
		virtualServer('10.1.0.1', 'persistence_timeout 9', `real_server 10.0.0.9 { ${CHECK} }`),
		`29:24: error: TCP_CHECK has no port to connect to: its real_server has that of every connection (add 'connect_port PORT')`,
	],
	[
		virtualServer('10.1.0.1 80', 'lb_kind DR', 'real_server 10.0.0.9 81 { }'),
		'28:1: warning: port 81 of real_server 10.0.0.9 is ignored: DR keeps ports (remove it)',
	],
	[
		`${group('WEB', '10.1.0.1 80', '10.1.0.1 81')}\n${virtualServer('group WEB', 'lb_kind TUN', R)}`,
		'32:1: warning: port 80 of real_server 10.0.0.9 is ignored: TUN keeps ports (remove it)',
	],
	[
		`${group('WEB', '10.1.0.1 80', '10.1.0.1 81')}\n${virtualServer('group WEB', R, 'real_server 10.0.0.9 { }')}`,
		'33:1: warning: real_server 10.0.0.9:80 is there already, at lb.conf:32:1; this one is ignored (remove one)',
	],
	// Families
	[
		virtualServer('10.1.0.1 80', 'real_server 2001:db8::9 80 { }'),
		`28:1: error: real_server 2001:db8::9 and virtual_server 10.1.0.1:80 are of different families, which only TUN can join (use 'lb_kind TUN', or addresses of one family)`,
	],
	[
		`${group('WEB', '10.1.0.1 80', '2001:db8::1 80')}\n${virtualServer('group WEB', 'lb_kind DR', R)}`,
		`32:1: error: real_server 10.0.0.9 and virtual_server [2001:db8::1]:80 are of different families, which only TUN can join (use 'lb_kind TUN', or addresses of one family)`,
	],
	[
		virtualServer('10.1.0.1 80', 'ip_family inet6', R),
		'28:1: error: ip_family is not that of virtual_server 10.1.0.1:80 (remove it)',
	],
	[
		virtualServer('10.1.0.1 80', 'persistence_granularity 64', R),
		'28:1: error: persistence_granularity: a length 64 does not fit virtual_server 10.1.0.1:80 (at most 32)',
	],
	[
		virtualServer('2001:db8::1 80', 'persistence_granularity 255.0.0.0', 'real_server 2001:db8::9 { }'),
		'28:1: error: persistence_granularity: a netmask does not fit virtual_server [2001:db8::1]:80 (write a prefix length)',
	],
	// Tunnels
	[
		virtualServer('10.1.0.1 80', 'lb_kind TUN type gue', R),
		`27:1: error: lb_kind TUN type gue needs a port (add 'port PORT')`,
	],
	[
		virtualServer('10.1.0.1 80', 'lb_kind TUN type gre port 5', R),
		'27:1: error: lb_kind TUN type gre has no port (remove it)',
	],
	[
		virtualServer('10.1.0.1 80', 'lb_kind TUN csum', R),
		'27:1: error: lb_kind TUN type ipip has no checksum (remove it)',
	],
	[
		virtualServer('10.1.0.1 80', 'lb_kind TUN type gre remcsum', R),
		'27:1: error: lb_kind TUN type gre knows no remcsum (use csum)',
	],
	[virtualServer('10.1.0.1 80', 'lb_kind TUN type gue port 0', R), `27:27: error: lb_kind '0' is outside 1-65535`],
	[
		virtualServer('10.1.0.1 80', 'lb_kind TUN typ gre', R),
		`27:13: error: unknown option 'typ' of lb_kind (did you mean 'type'?)`,
	],
	[
		virtualServer('10.1.0.1 80', 'lb_kind DR type gre', R),
		`27:12: warning: lb_kind does not take 'type'; ignored as keepalived does (put each keyword on a line of its own)`,
	],
	[
		virtualServer('10.1.0.1 80', 'lb_kind dr', R),
		`27:9: error: lb_kind 'dr' is none of NAT, DR, TUN (did you mean 'DR'?)`,
	],
	// Settings
	['lbd {\nfailed_backend rst\n}', `25:16: error: failed_backend 'rst' is none of keep, drop, reset, reschedule`],
	[
		'lbd {\nno_backend resett\n}',
		`25:12: error: no_backend 'resett' is none of reject, reset, drop (did you mean 'reset'?)`,
	],
	[
		'lbd {\nnew_connections_per_source 20000000\n}',
		`25:28: error: new_connections_per_source '20000000' is outside 0-10000000`,
	],
	[
		'lbd {\nnew_connections_per_source 0 5\n}',
		`25:30: warning: new_connections_per_source does not take '5'; ignored as keepalived does (put each keyword on a line of its own)`,
	],
	['lbd {\nnew_connections_per_service 5 0\n}', `25:31: error: new_connections_per_service '0' is outside 1-10000000`],
	['lbd {\nservice 192.168.1.1 {\n}\n}', `25:1: error: service lacks its argument (write 'service 0-65535')`],
	[
		'lbd {\nservice 192.168.1.1 81 {\n}\n}',
		`25:1: error: service '192.168.1.1 81' is no virtual_server of this file (did you mean '192.168.1.1 80'?)`,
	],
	['lbd {\nservice 10.9.9.9 9 {\n}\n}', `25:1: error: service '10.9.9.9 9' is no virtual_server of this file`],
	['lbd {\nservice group G {\n}\n}', `25:1: error: service 'group G' is no virtual_server of this file`],
	[
		'lbd {\nservice 192.168.1.1 80 {\n}\nservice 192.168.1.1 80 tcp {\n}\n}',
		`27:1: error: service '192.168.1.1 80' is there already, at lb.conf:25:1 (remove or rename one)`,
	],
	[
		'lbd {\nservice 192.168.1.1 80 {\nflows 9\n}\n}',
		`26:1: error: unknown keyword 'flows' in service (belongs in lbd)`,
	],
	[
		`lbd {\nservice 10.1.0.1 53 {\n}\n}\n${virtualServer('10.1.0.1 53', 'protocol UDP', R)}`,
		`25:1: error: service '10.1.0.1 53' is no virtual_server of this file (did you mean '10.1.0.1 53 udp'?)`,
		'32:1: warning: protocol replaces the one at lb.conf:29:1 (keep one)',
	],
	[
		`lbd {\nservice 10.1.0.1 53 udp {\nfailed_backend drop\n}\n}\n${virtualServer('10.1.0.1 53', 'protocol UDP', R)}`,
		'26:1: warning: failed_backend drop is ignored: UDP flows are always rescheduled (remove it)',
		'33:1: warning: protocol replaces the one at lb.conf:30:1 (keep one)',
	],
];

for (const [top, ...expected] of cases) {
	test(top.replaceAll('\n', ' ⏎ '), t => t.deepEqual(complaints({top}), expected));
}

test('the addresses of a range that are in no vrrp_instance are one warning', t => {
	const {printed} = read(
		sound({top: `${group('WEB', '10.1.0.1-9 80', '192.168.1.1 81')}\n${virtualServer('group WEB', R)}`}),
	);
	t.deepEqual(printed, [
		'lb.conf:25:1: warning: address of virtual_server 10.1.0.1:80 is in no vrrp_instance: nothing moves it to the other balancer (add 10.1.0.1 to a virtual_ipaddress block)',
	]);
});

test('a sorry server is a backend like others, but that it has its own lvs_method and weight', t => {
	const sorryOf = (service: string) => configOf(sound({service})).services[0]?.sorryServer;
	t.is(sorryOf(''), null);
	t.like(sorryOf('weight 5\nsorry_server 10.0.0.99 8080'), {
		inhibit: false,
		backend: {
			name: '10.0.0.99:8080',
			address: '10.0.0.99',
			port: 8080,
			weight: 1,
			forwarding: {method: 'nat'},
			checks: [],
		},
	});
	t.like(sorryOf('sorry_server 10.0.0.99\nsorry_server_inhibit'), {inhibit: true, backend: {name: '10.0.0.99:80'}});
	t.like(sorryOf('sorry_server 10.0.0.99\nsorry_server_lvs_method DR'), {backend: {forwarding: {method: 'dr'}}});
});

test('what cannot be a sorry server', t => {
	const said = (service: string) => read(sound({service})).printed;
	t.deepEqual(said('sorry_server 127.0.0.1 80'), [
		'lb.conf:16:1: warning: sorry_server 127.0.0.1 is this machine, where XDP leads no packets (name another machine)',
	]);
	t.deepEqual(said('sorry_server 10.0.0.71 80'), [
		'lb.conf:16:1: warning: sorry_server 10.0.0.71:80 is a real_server of the same service, so it is left out (choose another)',
	]);
});

test('each service of a group has a sorry server at its own port', t => {
	const lines = [
		group('WEB', '10.1.0.1 80', '10.1.0.1 443'),
		virtualServer('group WEB', 'sorry_server 10.0.0.99\nreal_server 10.0.0.9 { TCP_CHECK { connect_port 80\n} }'),
	];
	t.deepEqual(
		servicesOf(...lines).map(({sorryServer}) => sorryServer?.backend.name),
		['10.0.0.99:80', '10.0.0.99:443'],
	);
});
