import test from 'ava';
import type {Backend, Instance, Service} from '../../src/conf/model.js';
import {configOf, type Extra, sound} from './reading.js';

function instanceOf(extra: Extra): Instance {
	const [instance] = configOf(sound(extra)).instances;
	if (instance === undefined) throw new Error('no instance');
	return instance;
}

function serviceOf(extra: Extra): Service {
	const [service] = configOf(sound(extra)).services;
	if (service === undefined) throw new Error('no service');
	return service;
}

function backendOf(extra: Extra): Backend {
	const backend = serviceOf(extra).backends.at(-1);
	if (backend === undefined) throw new Error('no backend');
	return backend;
}

test('defaults of an instance', t => {
	t.like(instanceOf({}), {
		initialState: 'backup',
		priority: 100,
		version: 2,
		advertUs: 1_000_000,
		password: null,
		preempt: true,
		preemptDelayUs: 0,
		trackPrimary: true,
		sourceAddress: null,
		garp: {masterRepeat: 5, masterDelayUs: 5_000_000, lowerPriorityRepeat: 5, lowerPriorityDelayUs: 5_000_000},
	});
});

test('defaults of a service', t => {
	t.like(serviceOf({}), {persistence: null, quorum: 1, hysteresis: 0});
	t.like(backendOf({}), {weight: 1, inhibitOnFailure: false, alpha: false});
	t.like(backendOf({}).checks[0], {
		connectTimeoutUs: 5_000_000,
		delayLoopUs: 60_000_000,
		retry: 1,
		delayBeforeRetryUs: 1_000_000,
		warmupUs: 60_000_000,
	});
});

test('an instance with everything', t => {
	const instance = instanceOf({
		instance: `state BACKUP
			priority 7
			advert_int 2
			authentication { auth_type PASS
				auth_pass secret }
			nopreempt
			mcast_src_ip 192.168.1.10
			dont_track_primary
			version 2
			garp_master_delay 1
			garp_master_repeat 2
			garp_master_refresh 3
			garp_master_refresh_repeat 4
			garp_lower_prio_delay 0
			garp_lower_prio_repeat 0
			virtual_ipaddress_excluded { 192.168.1.9 }`,
	});
	t.like(instance, {
		initialState: 'backup',
		priority: 7,
		advertUs: 2_000_000,
		password: 'secret',
		preempt: false,
		sourceAddress: '192.168.1.10',
		trackPrimary: false,
		garp: {
			masterDelayUs: 1_000_000,
			masterRepeat: 2,
			masterRefreshUs: 3_000_000,
			masterRefreshRepeat: 4,
			lowerPriorityDelayUs: 0,
			lowerPriorityRepeat: 0,
		},
	});
	t.is(instance.excludedAddresses[0]?.address, '192.168.1.9');
});

test('global_defs hold for instances that say nothing', t => {
	const globals = 'vrrp_garp_master_repeat 9\nvrrp_garp_master_delay 8';
	t.like(instanceOf({globals}).garp, {masterRepeat: 9, lowerPriorityRepeat: 9, masterDelayUs: 8_000_000});
	t.like(instanceOf({globals, instance: 'garp_master_repeat 2'}).garp, {masterRepeat: 2, lowerPriorityRepeat: 2});
});

test('a UDP service, said or by default, and the names of its backends', t => {
	for (const protocol of ['protocol udp', '']) {
		const text = `virtual_server 192.168.1.1 53 { ${protocol}\nlb_algo rr\nlb_kind NAT\nreal_server 10.0.0.71 53 {} }`;
		const service = configOf(sound({top: text})).services[1];
		t.like(service, {name: '192.168.1.1:53/udp', protocol: 'udp'});
		t.deepEqual(
			service?.backends.map(({name}) => name),
			['10.0.0.71:53/udp'],
		);
	}
});

test('global_defs', t => {
	const {globals} = configOf(
		sound({globals: 'router_id lb1\nlvs_timeouts tcp 10 udp 20\nvrrp_mcast_group4 224.0.0.81'}),
	);
	t.like(globals, {
		routerId: 'lb1',
		timeoutsS: {tcp: 10, tcpFin: 120, udp: 20},
		multicastGroups: {4: '224.0.0.81', 6: 'ff02::12'},
	});
	t.is(configOf(sound({globals: 'vrrp_mcast_group6 ff02::99'})).globals.multicastGroups[6], 'ff02::99');
});

test('preempt_delay', t => t.is(instanceOf({instance: 'preempt_delay 0.5'}).preemptDelayUs, 500_000));
/** As keepalived 2.2.7 has it; see the sets of its nftables. */
const CLOSED: ReadonlyArray<readonly [line: string, accept: boolean]> = [
	['', true],
	['accept', true],
	['no_accept', false],
	['no_accept\naccept', true],
	['strict_mode', false],
	['strict_mode\naccept', false],
	['strict_mode\nversion 3', false],
	['strict_mode\nversion 3\naccept', true],
	['strict_mode\nversion 3\naccept\nno_accept', false],
	['priority 255\nno_accept', true],
	['priority 255\nstrict_mode', true],
];
for (const [line, accept] of CLOSED)
	test(`addresses are ${accept ? 'open' : 'closed'}: ${line.replaceAll('\n', ', ')}`, t =>
		t.is(instanceOf({instance: line}).accept, accept));

test('priority 255 owns', t => t.is(instanceOf({instance: 'priority 255'}).initialState, 'master'));
test('half a second of advert_int is one', t => t.is(instanceOf({instance: 'advert_int 0.3'}).advertUs, 1_000_000));

test('a password is cut after 8 bytes, not characters', t => {
	t.is(instanceOf({instance: 'authentication { auth_type PASS\nauth_pass "a b c d e f" }'}).password, 'a b c d ');
});

test('virtual addresses', t => {
	const [address] = instanceOf({address: '192.168.1.77/26 dev eth2 label eth2:1 scope link brd +'}).addresses;
	t.like(address, {
		address: '192.168.1.77',
		prefix: 26,
		device: 'eth2',
		label: 'eth2:1',
		scope: 253,
		broadcast: '192.168.1.127',
	});
	t.like(instanceOf({address: '192.168.1.7'}).addresses[0], {prefix: 32, device: 'eth0', scope: 0, broadcast: null});
	t.like(instanceOf({address: '192.168.1.7/24 broadcast 192.168.1.0 scope 7'}).addresses[0], {
		scope: 7,
		broadcast: '192.168.1.0',
	});
	t.is(instanceOf({address: '192.168.1.77/26 brd -'}).addresses[0]?.broadcast, '192.168.1.64');
});

test('what an advert has no room for is not advertised', t => {
	const address = Array.from({length: 256}, (_, index) => `10.1.0.${index}`).join('\n');
	const {addresses, excludedAddresses} = instanceOf({address});
	t.is(addresses.length, 255);
	t.deepEqual(
		excludedAddresses.map(({address}) => address),
		['10.1.0.255', '192.168.1.1'],
	);
});

/** An instance of which everything but interface and VRID is given. */
function secondInstance(text: string, globals = ''): Instance | undefined {
	const top = `vrrp_instance B { interface eth0\nvirtual_router_id 52\n${text} }`;
	return configOf(sound({top, globals})).instances[1];
}

const addresses6 = 'virtual_ipaddress {\nfe80::100\n2001:DB8::1/64 dev eth1\n2001:db8::2 preferred_lft forever\n}';

test('an instance of IPv6 addresses speaks version 3', t => {
	const instance = secondInstance(`advert_int 0.5\n${addresses6}`, 'vrrp_version 2');
	t.like(instance, {family: 6, version: 3, advertUs: 500_000, password: null, sourceAddress: null});
	t.deepEqual(
		instance?.addresses.map(({address, prefix, device, preferredS}) => ({address, prefix, device, preferredS})),
		[
			{address: 'fe80::100', prefix: 128, device: 'eth0', preferredS: 0},
			{address: '2001:db8::1', prefix: 64, device: 'eth1', preferredS: null},
			{address: '2001:db8::2', prefix: 128, device: 'eth0', preferredS: null},
		],
	);
});

test('IPv6 addresses beside those of an IPv4 instance', t => {
	const instance = secondInstance(`virtual_ipaddress {\n192.168.1.7\n}
		virtual_ipaddress_excluded {\n2001:db8::1/64 preferred_lft 9\nfe80::100\n}`);
	t.like(instance, {family: 4, version: 2});
	t.deepEqual(
		instance?.excludedAddresses.map(({address, preferredS}) => ({address, preferredS})),
		[
			{address: '2001:db8::1', preferredS: 9},
			{address: 'fe80::100', preferredS: 0},
		],
	);
});

test('what makes an instance one of IPv6, and one of version 3', t => {
	t.like(secondInstance('native_ipv6'), {family: 6, version: 3});
	t.like(secondInstance('mcast_src_ip fe80::10'), {family: 6, version: 3, sourceAddress: 'fe80::10'});
	t.like(secondInstance(''), {family: 4, version: 2});
	t.like(secondInstance('version 3'), {family: 4, version: 3});
	t.like(secondInstance('', 'vrrp_version 3'), {family: 4, version: 3});
	t.like(secondInstance('version 2', 'vrrp_version 3'), {family: 4, version: 2});
});

test('an advert of IPv6 has room for 90 addresses', t => {
	const text = Array.from({length: 91}, (_, index) => `fe80::${index + 1}`).join('\n');
	const instance = secondInstance(`virtual_ipaddress {\n${text}\n}`);
	t.is(instance?.addresses.length, 90);
	t.like(instance?.excludedAddresses, {0: {address: 'fe80::91'}, length: 1});
});

for (const [line, persistence] of [
	['persistence_timeout', {timeoutS: 360, granularity: 32}],
	['persistence_timeout 50', {timeoutS: 50, granularity: 32}],
	['persistence_granularity 24', {timeoutS: 360, granularity: 24}],
	['persistence_granularity 255.255.0.0', {timeoutS: 360, granularity: 16}],
] as const) {
	test(`${line}`, t => t.deepEqual(serviceOf({service: line}).persistence, persistence));
}

test('a check takes what it does not say from its backend, then from its service', t => {
	const service = 'connect_timeout 9\nretry 9\ndelay_before_retry 9\nwarmup 9\ndelay_loop 9';
	const backend = 'retry 8\ndelay_before_retry 8\nwarmup 8\ndelay_loop 8';
	const check = 'delay_before_retry 7\nwarmup 7\ndelay_loop 7';
	t.like(backendOf({service, backend, check}).checks[0], {
		connectTimeoutUs: 9_000_000,
		retry: 8,
		delayBeforeRetryUs: 7_000_000,
		warmupUs: 7_000_000,
		delayLoopUs: 7_000_000,
	});
	t.is(backendOf({check: 'delay_loop 3'}).checks[0]?.warmupUs, 3_000_000, 'warmup is delay_loop');
});

test('where a check connects', t => {
	t.like(backendOf({check: 'connect_ip 10.9.9.9\nconnect_port 81\nbindto 10.0.0.10'}).checks[0], {
		connectAddress: '10.9.9.9',
		connectPort: 81,
		bindAddress: '10.0.0.10',
	});
});

test('alpha from any level', t => {
	for (const where of ['service', 'backend', 'check'] as const) t.true(backendOf({[where]: 'alpha'}).alpha, where);
	t.false(backendOf({service: 'alpha', check: 'alpha off'}).alpha);
});

test('the flags of a scheduler count behind it only', t => {
	const plain = {scheduler: 'sh', hashPort: false, hashFallback: false};
	t.like(serviceOf({service: 'lb_algo sh'}), plain);
	t.like(serviceOf({service: 'lb_algo sh\nsh-port\nsh-fallback'}), {...plain, hashPort: true, hashFallback: true});
	t.like(serviceOf({service: 'sh-port\nlb_algo sh\nmh-fallback'}), plain);
	t.like(serviceOf({service: 'lb_algo mh\nmh-port'}), {...plain, scheduler: 'mh', hashPort: true});
	t.like(serviceOf({service: 'lvs_sched mh\nflag-1'}), {...plain, scheduler: 'mh', hashFallback: true});
	t.like(serviceOf({service: 'lb_algo wrr\nflag-2'}), {...plain, scheduler: 'wrr'});
});

test('a backend takes weight and inhibit_on_failure from its service', t => {
	t.like(backendOf({service: 'weight 5\ninhibit_on_failure'}), {weight: 5, inhibitOnFailure: true});
	t.like(backendOf({service: 'weight 5\ninhibit_on_failure', backend: 'weight 0\ninhibit_on_failure no'}), {
		weight: 0,
		inhibitOnFailure: false,
	});
});

test('without lthreshold, a backend is back below three quarters of its uthreshold', t => {
	t.like(backendOf({}), {upperThreshold: 0, lowerThreshold: 0});
	t.like(backendOf({backend: 'uthreshold 10'}), {upperThreshold: 10, lowerThreshold: 8});
	t.like(backendOf({backend: 'uthreshold 10\nlthreshold 2'}), {upperThreshold: 10, lowerThreshold: 2});
});

test('a backend without a port has that of its service', t => {
	const {backends} = serviceOf({service: 'real_server 10.0.0.9 { }\nreal_server 10.0.0.8 0 { }'});
	t.deepEqual(
		backends.map(({name}) => name),
		['10.0.0.9:80', '10.0.0.8:80', '10.0.0.71:80'],
	);
});

test('quorum within the weights', t => {
	t.like(serviceOf({service: 'quorum 7\nhysteresis 2', backend: 'weight 10'}), {quorum: 7, hysteresis: 2});
	t.like(serviceOf({service: 'quorum 7\nhysteresis 7', backend: 'weight 5'}), {quorum: 5, hysteresis: 4});
	t.like(serviceOf({service: 'hysteresis 1', backend: 'weight 0'}), {quorum: 1, hysteresis: 0});
});

for (const [block, settings] of [
	['', {}],
	['lbd { metrics off }', {metrics: null}],
	[
		'lbd { flows 2048\nflows6 4096\npersistence_entries 1\nfragments 64\nmetrics 0.0.0.0 80 }',
		{flows: 2048, flows6: 4096, persistenceEntries: 1, fragments: 64, metrics: {address: '0.0.0.0', port: 80}},
	],
	['lbd { services 4095\nbackends 1000 }', {services: 4095, backends: 1000}],
	['lbd { nics eth2 eth3\nnics eth2 eth4 }', {nics: ['eth2', 'eth3', 'eth4']}],
	['lbd { metrics 10.0.0.1 }', {metrics: {address: '10.0.0.1', port: 9633}}],
] as const) {
	test(`settings: ${block.replaceAll('\n', ' ⏎ ')}`, t =>
		t.deepEqual(configOf(sound({top: block})).settings, {
			services: 1023,
			backends: 16_383,
			flows: 262_144,
			flows6: 1024,
			persistenceEntries: 65_536,
			notifyTimeoutUs: 60_000_000,
			vrrpGraceUs: 10_000_000,
			fragments: 16_384,
			blocked: [],
			nics: [],
			metrics: {address: '127.0.0.1', port: 9633},
			...settings,
		}));
}

test('blocks of global_defs and lbd may be repeated', t => {
	const {globals, settings} = configOf(
		sound({top: 'global_defs { router_id a }\nlbd { flows 2048 }\nlbd { metrics off }'}),
	);
	t.is(globals.routerId, 'a');
	t.like(settings, {flows: 2048, metrics: null});
});

test('an empty file is a configuration of nothing', t => {
	t.like(configOf(''), {services: [], instances: [], syncGroups: []});
});

test('ha_suspend', t => {
	t.deepEqual([serviceOf({}).haSuspend, serviceOf({service: 'ha_suspend'}).haSuspend], [false, true]);
});

test('unicast', t => {
	const unicast = 'unicast_peer {\n192.168.1.11\n192.168.1.12 min_ttl 250 max_ttl 254\n}';
	const plain = configOf(sound({instance: 'unicast_peer {\n192.168.1.11\n}'})).instances[0];
	t.deepEqual(plain?.unicast, {peers: [{address: '192.168.1.11', ttl: [0, 255]}], ttl: 255, checkSource: false});
	const instance = configOf(sound({instance: `${unicast}\nunicast_src_ip 192.168.1.10\nunicast_ttl 9`})).instances[0];
	t.is(instance?.sourceAddress, '192.168.1.10');
	t.like(instance?.unicast, {ttl: 9, checkSource: true, peers: {1: {ttl: [250, 254]}, length: 2}});
	const checked = configOf(sound({globals: 'vrrp_check_unicast_src', instance: 'unicast_peer {\n192.168.1.11\n}'}));
	t.true(checked.instances[0]?.unicast?.checkSource);
	t.is(configOf(sound({instance: 'mcast_dst_ip 224.0.0.81'})).instances[0]?.multicastGroup, '224.0.0.81');
});
