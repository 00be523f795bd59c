import test from 'ava';
import type {Config} from '../../src/conf/model.js';
import {type Change, changes} from '../../src/plan/changes.js';
import {touched} from '../../src/plan/touched.js';
import {configOf, type Extra, sound} from '../conf/reading.js';
import {reference} from '../lab/jobs.js';

/** `BLOCK: BLOCK: what before → after` */
function line({blocks, kind, what, before, after}: Change): string {
	return [...blocks, kind === 'changed' ? `${what} ${before} → ${after}` : `${what} ${kind}`].join(': ');
}

function between(before: Config, after: Config): string[] {
	return changes(before, after).map(line);
}

const BASE = configOf(sound());
const SERVICE = 'virtual_server 192.168.1.1:80';
const BACKEND = `${SERVICE}: real_server 10.0.0.71:80`;

test('nothing but places is no change', t => {
	t.deepEqual(between(BASE, configOf(`\n# moved\n${sound()}`)), []);
});

const cases: readonly (readonly [extra: Extra, said: readonly string[]])[] = [
	[{backend: 'weight 3'}, [`${BACKEND}: weight 1 → 3`]],
	[{backend: 'uthreshold 100\nlthreshold 50'}, [`${BACKEND}: uthreshold 0 → 100`, `${BACKEND}: lthreshold 0 → 50`]],
	[{backend: 'inhibit_on_failure'}, [`${BACKEND}: inhibit_on_failure off → on`]],
	[{service: 'persistence_timeout 300'}, [`${SERVICE}: persistence_timeout none → timeout 300 s granularity 32`]],
	[{service: 'ha_suspend'}, [`${SERVICE}: ha_suspend off → on`]],
	[{service: 'sorry_server 10.0.0.99 80'}, [`${SERVICE}: sorry_server 10.0.0.99:80 added`]],
	[
		{service: 'delay_loop 7'},
		[`${BACKEND}: TCP_CHECK: delay_loop 60 s → 7 s`, `${BACKEND}: TCP_CHECK: warmup 60 s → 7 s`],
	],
	[{check: 'connect_timeout 9'}, [`${BACKEND}: TCP_CHECK: connect_timeout 5 s → 9 s`]],
	[{backend: 'PING_CHECK {\n}'}, [`${BACKEND}: PING_CHECK added`]],
	[{backend: 'TCP_CHECK {\n}'}, [`${BACKEND}: TCP_CHECK 2 added`]],
	[
		{globals: 'lvs_timeouts tcp 50 udp 60'},
		['global_defs: lvs_timeouts tcp 900 s → 50 s', 'global_defs: lvs_timeouts udp 300 s → 60 s'],
	],
	[{instance: 'priority 77'}, ['vrrp_instance VI_1: priority 100 → 77']],
	[{instance: 'advert_int 3'}, ['vrrp_instance VI_1: advert_int 1 s → 3 s']],
	[
		{instance: 'mcast_src_ip 192.168.1.9\ntrack_src_ip'},
		['vrrp_instance VI_1: mcast_src_ip none → 192.168.1.9', 'vrrp_instance VI_1: track_src_ip off → on'],
	],
	[{top: 'interface_up_down_delays {\neth0 1\n}'}, ['interface_up_down_delays eth0 added']],
	[{top: 'static_ipaddress {\n10.9.9.9/32 dev eth0\n}'}, ['static_ipaddress 10.9.9.9/32 dev eth0 added']],
	[{top: 'lbd {\nfailed_backend reset\n}'}, [`${SERVICE}: failed_backend drop → reset`]],
	[{top: 'lbd {\nblock 192.0.2.0/24\n}'}, ['lbd: block 192.0.2.0/24 added']],
];

for (const [extra, said] of cases) {
	test(`in the words of the file: ${said.join('; ')}`, t => {
		const after = configOf(sound(extra));
		const found = between(BASE, after);
		t.deepEqual(found, [...said]);
		t.is(between(after, BASE).length, found.length, 'and back');
	});
}

test('services, backends and instances come and go as wholes, and the order of a turn counts', t => {
	const primary = configOf(reference.primary);
	const [service] = primary.services;
	if (service === undefined) return t.fail();
	const [first] = service.backends;
	if (first === undefined) return t.fail();
	const name = `virtual_server ${service.name}`;
	t.deepEqual(between(primary, {...primary, services: []}), [`${name} removed`]);
	t.deepEqual(between({...primary, services: []}, primary), [`${name} added`]);
	t.deepEqual(between(primary, {...primary, services: [{...service, backends: [first]}]}), [
		`${name}: real_server 10.0.0.72:80 removed`,
	]);
	t.deepEqual(between(primary, {...primary, services: [{...service, backends: service.backends.toReversed()}]}), [
		`${name}: order of real_server 10.0.0.71:80 10.0.0.72:80 → 10.0.0.72:80 10.0.0.71:80`,
	]);
	t.deepEqual(between(primary, {...primary, instances: [], syncGroups: []}), [
		'vrrp_sync_group VRRP1 removed',
		'vrrp_instance external removed',
		'vrrp_instance internal removed',
	]);
});

test('a key is never shown, also where it alone is another', t => {
	const hmac = (lines: string) => configOf(sound({instance: `auth_hmac {\nactive_key 1\n${lines}\n}`}));
	const keys = ['ab', 'cd'].map(digits => `hex:${digits.repeat(32)}`);
	const before = hmac(`key 1 ${keys[0]}`);
	const name = 'vrrp_instance VI_1';
	t.deepEqual(between(before, hmac(`key 1 ${keys[1]}`)), [`${name}: auth_hmac key id 1 (secret) → id 1 (secret)`]);
	t.deepEqual(between(before, hmac(`key 1 ${keys[0]}\nkey 2 ${keys[1]}\ntime_window 9\nmode permissive`)), [
		`${name}: auth_hmac key id 2 (secret) added`,
		`${name}: auth_hmac time_window 5 s → 9 s`,
		`${name}: auth_hmac mode enforce → permissive`,
	]);
	t.deepEqual(between(before, hmac(`key 1 ${keys[0]}\nkey 2 ${keys[1]}\nactive_key 2`)), [
		`${name}: auth_hmac key id 2 (secret) added`,
		`${name}: auth_hmac active_key 1 → 2`,
	]);
	const [added = ''] = between(BASE, before);
	t.regex(added, /^vrrp_instance VI_1: auth_hmac none → .*\(secret\)/);
	t.notRegex(added, /abab/);
});

test('a password is never shown, and of a great many lines only their number is', t => {
	const instances = (password: string) => BASE.instances.map(instance => ({...instance, password}));
	const said = between({...BASE, instances: instances('old')}, {...BASE, instances: instances('new')});
	t.deepEqual(said, ['vrrp_instance VI_1: auth_pass (secret) → (secret)']);
	const blocked = Array.from({length: 1000}, (_, n) => `192.0.${n >> 8}.${n & 255}/32`);
	t.deepEqual(between(BASE, {...BASE, settings: {...BASE.settings, blocked}}), ['lbd: block 0 entries → 1000 entries']);
});

test('a change touches the connections of its service or backend, and says what becomes of them', t => {
	const asked: (readonly [string | null, string | null])[] = [];
	const live = {
		connections: (service: string | null, backend: string | null) => {
			asked.push([service, backend]);
			return backend === null ? 10 : 4;
		},
		persistenceEntries: () => 3,
	};
	const fates = (after: Config, before = BASE) =>
		touched(changes(before, after), before, after, live).map(({connections, persistenceEntries, fate}) => [
			connections,
			persistenceEntries,
			fate,
		]);
	t.deepEqual(fates(configOf(sound({backend: 'weight 3'}))), [[4, 3, 'stay']]);
	t.deepEqual(fates(configOf(sound({service: 'ha_suspend'}))), [[10, 3, 'stay']]);
	t.deepEqual(fates(configOf(sound({globals: 'lvs_timeouts tcp 50'}))), [[10, 3, 'stay']]);
	t.deepEqual(asked, [
		['192.168.1.1:80', '10.0.0.71:80'],
		['192.168.1.1:80', null],
		[null, null],
	]);
	t.deepEqual(fates(configOf(sound({instance: 'priority 7'}))), [[0, 0, 'stay']]);
	const none = {...BASE, services: []};
	t.deepEqual(fates(none), [[10, 3, 'wait']]);
	t.deepEqual(fates(BASE, none), [[0, 0, 'stay']]);
	for (const [policy, fate] of [
		['keep', 'stay'],
		['reset', 'reset'],
		['reschedule', 'dealt anew'],
	] as const) {
		const before = configOf(sound({top: `lbd {\nfailed_backend ${policy}\n}`}));
		t.deepEqual(fates({...before, services: []}, before), [[10, 3, fate]]);
	}
	const dr = configOf(sound().replace('lb_kind NAT', 'lb_kind DR'));
	t.deepEqual(fates(dr), [[4, 3, 'lost']]);
});
