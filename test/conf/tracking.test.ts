/** `vrrp_script`, `track_file`, `vrrp_track_process`, and the blocks that name them. */
import test from 'ava';
import type {Config, Track} from '../../src/conf/model.js';
import {configOf, read} from './reading.js';

const OTHER = 'vrrp_instance VI_2 {\ninterface eth1\nvirtual_router_id 52\nvirtual_ipaddress { 10.0.0.1/24 }\n}';

/** Trackers at the top, what an instance says of them, and of its group. */
interface Text {
	/** From line 1 on. */
	readonly trackers?: string;
	readonly instance?: string;
	readonly group?: string;
}

const SCRIPT = 'vrrp_script check { script "/bin/check it" }';
const FILE = 'track_file load { file /run/load }';

function text({trackers = '', instance = '', group}: Text): string {
	return [
		trackers,
		'vrrp_instance VI_1 {',
		'interface eth0',
		'virtual_router_id 51',
		instance,
		'virtual_ipaddress { 192.168.1.1/24 }',
		'}',
		...(group === undefined ? [] : ['vrrp_sync_group G {', 'group { VI_1', 'VI_2 }', group, '}', OTHER]),
		'',
	].join('\n');
}

function config(parts: Text): Config {
	return configOf(text(parts));
}

function tracks(parts: Text): string[] {
	return (config(parts).instances[0]?.tracks ?? []).map(showTrack);
}

function showTrack({kind, name, weight, reverse}: Track): string {
	return `${kind} ${name} ${weight}${reverse ? ' reverse' : ''}`;
}

test('a script: keepalived’s defaults', t => {
	const {trackers} = config({trackers: SCRIPT, instance: 'track_script { check }'});
	t.like(trackers.scripts, [
		{
			name: 'check',
			script: {argv: ['/bin/check', 'it'], user: null, group: null, secured: false},
			intervalUs: 1_000_000,
			timeoutUs: 1_000_000,
			fall: 1,
			rise: 1,
		},
	]);
});

test('a script with everything', t => {
	const {trackers} = config({
		trackers: `global_defs { script_user root
			enable_script_security }
			vrrp_script check {
				script "/bin/check"
				interval 2.5
				timeout 7
				weight -20 reverse
				fall 3
				rise 4
				user nobody nogroup
			}`,
		instance: 'track_script { check }',
	});
	t.like(trackers.scripts[0], {
		script: {argv: ['/bin/check'], user: 'nobody', group: 'nogroup', secured: true},
		intervalUs: 2_500_000,
		timeoutUs: 7_000_000,
		fall: 3,
		rise: 4,
	});
});

test('a file', t => {
	const {trackers} = config({
		trackers: `track_file load { file "/run/the load"\nweight 3\ninit_file -4 overwrite\n}
			vrrp_track_file old { file /run/old\ninit_file }`,
		instance: 'track_file { load\nold }',
	});
	t.like(trackers.files, [
		{name: 'load', path: '/run/the load', initial: {value: -4, overwrite: true}},
		{name: 'old', path: '/run/old', initial: {value: 0, overwrite: false}},
	]);
});

test('a process: by its name, by its command, with arguments', t => {
	const {trackers} = config({
		trackers: `vrrp_track_process name { process haproxy\ndelay 2 }
			vrrp_track_process command { process /usr/sbin/haproxy\nfull_command\nquorum 2\nquorum_max 4 }
			vrrp_track_process args { process "/opt/a b" -c "d e"\nparam_match initial
				delay 1\nfork_delay 2\nterminate_delay 3 }
			vrrp_track_process bare { process sh\nparam_match partial }
			vrrp_track_process never { process sh\nquorum_max 0 }`,
		instance: 'track_process { name\ncommand\nargs\nbare\nnever }',
	});
	t.like(trackers.processes, [
		{process: 'haproxy', fullCommand: false, parameters: null, quorum: 1, upDelayUs: 2e6, downDelayUs: 2e6},
		{process: '/usr/sbin/haproxy', fullCommand: true, parameters: null, quorum: 2, quorumMax: 4},
		{
			process: '/opt/a b',
			fullCommand: true,
			parameters: {match: 'initial', values: ['-c', 'd e']},
			upDelayUs: 2e6,
			downDelayUs: 3e6,
		},
		{process: 'sh', fullCommand: true, parameters: {match: 'exact', values: []}},
		{quorum: 0, quorumMax: 0},
	]);
});

test('a track has its own weight, or its tracker’s, or that of its kind', t => {
	t.deepEqual(
		tracks({
			trackers: `vrrp_script a { script /bin/a\nweight -20 reverse }
				vrrp_script b { script /bin/b }
				${FILE}
				vrrp_track_process p { process p }`,
			instance: `track_script { a\nb weight 3 }
				track_file { load }
				track_process { p weight 254 }
				track_interface { eth1\neth2 weight -7 reverse }`,
		}),
		[
			'script a -20 reverse',
			'script b 3',
			'file load 1',
			'process p 254',
			'interface eth1 0',
			'interface eth2 -7 reverse',
		],
	);
	t.deepEqual(
		tracks({
			trackers: 'vrrp_script a { script /bin/a\nweight 0 reverse }',
			instance: 'track_script { a weight 5 noreverse }',
		}),
		['script a 5'],
	);
});

test('a tracker may be defined after the block that names it, which keepalived does not understand', t => {
	const {config, printed} = read(`${text({instance: 'track_script { check }'})}${SCRIPT}`);
	t.deepEqual([config?.trackers.scripts.length, printed], [1, []]);
});

test('what nobody tracks is not watched', t => {
	t.deepEqual(config({trackers: `${SCRIPT}\n${FILE}`}).trackers, {scripts: [], files: [], processes: []});
});

test('a group’s tracks are its members’', t => {
	t.deepEqual(tracks({trackers: SCRIPT, group: 'track_script { check weight 7 }\ntrack_interface { eth1 }'}), [
		'script check 7',
		'interface eth1 0',
	]);
});

test('members may have weights of their own where the group says so, and the group’s win', t => {
	const parts = {
		trackers: `${SCRIPT}\nvrrp_script other { script /bin/other }`,
		instance: 'track_script {\ncheck weight 5\nother weight 6\n}',
	};
	for (const keyword of ['sync_group_tracking_weight', 'global_tracking']) {
		t.deepEqual(tracks({...parts, group: keyword}), ['script check 5', 'script other 6']);
		t.deepEqual(tracks({...parts, group: `${keyword}\ntrack_script { check weight 20 }`}), [
			'script other 6',
			'script check 20',
		]);
	}
	t.deepEqual(
		tracks({trackers: SCRIPT, instance: 'track_script { check }', group: 'track_script { check weight 20 }'}),
		['script check 0'],
		'but a fault stays a fault',
	);
});

/** What is written, and the complaint. */
const complaints: readonly (readonly [Text, string])[] = [
	[
		{trackers: SCRIPT, instance: 'track_script { chekc }'},
		"5:16: error: track_script names 'chekc', which is no vrrp_script (did you mean 'check'?)",
	],
	[
		{instance: 'track_file { load }'},
		"5:14: error: track_file names 'load', which is no track_file (add 'track_file load { … }')",
	],
	[
		{trackers: SCRIPT, group: 'track_process { p }'},
		"11:17: error: track_process names 'p', which is no vrrp_track_process (add 'vrrp_track_process p { … }')",
	],
	[
		{trackers: SCRIPT, instance: 'track_script { check weight 300 }'},
		"5:29: error: track_script '300' is outside -254..254",
	],
	[
		{trackers: SCRIPT, instance: 'track_script { check weight 254 }'},
		'5:16: warning: weight 254 becomes 253, the most that a script may have',
	],
	[
		{trackers: SCRIPT, instance: 'track_script { check wieght 3 }'},
		"5:22: error: unknown option 'wieght' of track_script (did you mean 'weight'?)",
	],
	[
		{trackers: SCRIPT, instance: 'track_script { check\ncheck weight 3\n}'},
		'6:1: warning: track_script check is there already; this line is ignored (remove it)',
	],
	[
		{instance: 'track_interface { eth0 weight 3 }'},
		"5:19: warning: track_interface eth0 is ignored: it is the instance's own interface (remove it)",
	],
	[
		{trackers: SCRIPT, instance: 'priority 255\ntrack_script { check weight 3 }'},
		'6:16: warning: track_script check: the priority of an owner never changes; ignoring it (remove it)',
	],
	[
		{trackers: SCRIPT, instance: 'track_script { check weight 3 }', group: ''},
		'5:16: warning: track_script check: members of sync group G track without weight; ignoring it (track in the group, or write sync_group_tracking_weight there)',
	],
	[
		{trackers: FILE, instance: 'track_file { load }', group: ''},
		'5:14: warning: track_file load: members of sync group G track without weight; ignoring its weight, so that any value but 0 is a fault (track in the group, or write sync_group_tracking_weight there)',
	],
	[
		{trackers: SCRIPT, instance: 'track_script { check }', group: 'track_script { check }'},
		'5:16: warning: track_script check is in the sync group already (remove it from the instance)',
	],
	[{trackers: 'vrrp_script check { interval 2 }'}, "1:1: error: vrrp_script 'check' has no script (add 'script …')"],
	[{trackers: 'track_file load { }'}, "1:1: error: track_file 'load' has no file (add 'file …')"],
	[
		{trackers: 'track_file load { file run/load }'},
		"1:19: warning: file 'run/load' depends on where lbd was started (write a path that begins with /)",
	],
	[
		{trackers: 'vrrp_track_process p { quorum 1 }'},
		"1:1: error: vrrp_track_process 'p' has no process (add 'process …')",
	],
	[
		{trackers: 'vrrp_track_process p {\nprocess p\nquorum 5\nquorum_max 3\n}'},
		'3:1: warning: quorum 5 becomes 3: quorum_max allows no more',
	],
	[
		{trackers: `${SCRIPT}\n${SCRIPT}`, instance: 'track_script { check }'},
		"2:1: error: vrrp_script 'check' is there already, at lb.conf:1:1 (remove or rename one)",
	],
	[
		{trackers: 'vrrp_script check { script /bin/check\ninit_fail }', instance: 'track_script { check }'},
		'2:1: warning: init_fail has no effect here: the first result decides, as it does in keepalived',
	],
	[
		{trackers: 'vrrp_script check { script "/bin/check\'" }'},
		"1:28: error: script '/bin/check'' has a quote that is not closed",
	],
	[
		{instance: 'track_bfd { b }'},
		'5:1: error: track_bfd is not supported: BFD is not spoken; a vrrp_script can ask a routing daemon that speaks it (remove it if you can do without)',
	],
];

for (const [parts, complaint] of complaints) {
	test(complaint, t => {
		t.deepEqual(read(text(parts)).printed, [`lb.conf:${complaint}`]);
	});
}

test('interface_up_down_delays: UP is 0 where it is not written, and DOWN ends before a backup takes over', t => {
	const delays = (lines: string, instance = '') =>
		config({trackers: `interface_up_down_delays {\n${lines}\n}`, instance}).linkDelays.map(
			({name, downUs, upUs}) => `${name} ${downUs} ${upUs}`,
		);
	t.deepEqual(delays('eth0 1.5\neth1 200 255'), ['eth0 1500000 0', 'eth1 200000000 255000000']);
	t.deepEqual(delays('eth0 9 9'), ['eth0 1996094 9000000']);
	t.deepEqual(delays('eth0 9', 'advert_int 3'), ['eth0 5996094 0']);
	t.deepEqual(delays('eth0 9', 'version 3\nadvert_int 0.5'), ['eth0 998047 0']);
});
