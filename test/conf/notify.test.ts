import test from 'ava';
import type {Config, Script} from '../../src/conf/model.js';
import {configOf, type Extra, read, sound} from './reading.js';

function script(argv: Script['argv'], changes: Partial<Script> = {}): Script {
	return {argv, user: null, group: null, secured: false, ...changes};
}

function config(extra: Extra): Config {
	const {config, printed} = read(sound(extra));
	if (config === null || printed.length > 0) throw new Error(printed.join('\n'));
	return config;
}

test('an instance says whom to tell of its states', t => {
	const [instance] = config({
		instance: `notify_master "/bin/m 'two words'"
notify_backup /bin/b nobody
notify_fault /bin/f nobody daemon
notify_stop /bin/s
notify /bin/n
notify_deleted /bin/d
notify_master_rx_lower_pri /bin/r
notify_priority_changes
smtp_alert`,
	}).instances;
	t.deepEqual(instance?.notify, {
		master: script(['/bin/m', 'two words']),
		backup: script(['/bin/b'], {user: 'nobody'}),
		fault: script(['/bin/f'], {user: 'nobody', group: 'daemon'}),
		stop: script(['/bin/s']),
		every: script(['/bin/n']),
		deleted: {script: script(['/bin/d'])},
		lowerPriority: script(['/bin/r']),
		priorityChanges: true,
		mail: true,
	});
});

test('notify_deleted without a script only asks for the state', t => {
	t.deepEqual(config({instance: 'notify_deleted'}).instances[0]?.notify?.deleted, {script: null});
	t.is(config({}).instances[0]?.notify?.deleted, null);
});

test('a sync group, a service and a backend say whom to tell', t => {
	const {syncGroups, services} = config({
		globals: 'script_user nobody daemon\nenable_script_security',
		top: 'vrrp_instance VI_2 { interface eth1\nvirtual_router_id 9\nvirtual_ipaddress { 10.9.9.9 } }\nvrrp_sync_group G { group { VI_1 VI_2 }\nnotify_master /bin/m\nnotify_priority_changes on\nsmtp_alert off }',
		service: 'quorum_up /bin/u\nquorum_down "/bin/d x"\nomega',
		backend: 'notify_up /bin/up\nnotify_down /bin/down root',
	});
	const account = {user: 'nobody', group: 'daemon', secured: true};
	t.like(syncGroups[0]?.notify, {master: script(['/bin/m'], account), priorityChanges: true, mail: false});
	t.deepEqual(services[0]?.notify, {
		quorumUp: script(['/bin/u'], account),
		quorumDown: script(['/bin/d', 'x'], account),
		mail: false,
		atShutdown: true,
	});
	t.deepEqual(services[0]?.backends[0]?.notify, {
		up: script(['/bin/up'], account),
		down: script(['/bin/down'], {user: 'root', secured: true}),
		mail: true,
	});
});

/** Of an instance, a service and a backend. */
function mails(extra: Extra): (boolean | undefined)[] {
	const {instances, services} = config(extra);
	return [instances[0]?.notify?.mail, services[0]?.notify?.mail, services[0]?.backends[0]?.notify?.mail];
}

test('mail is for real servers only, unless something is said, the nearest counting', t => {
	t.deepEqual(mails({}), [false, false, true]);
	t.deepEqual(mails({globals: 'smtp_alert'}), [true, true, true]);
	t.deepEqual(mails({globals: 'smtp_alert no'}), [false, false, false]);
	t.deepEqual(mails({globals: 'smtp_alert_vrrp'}), [true, false, true]);
	t.deepEqual(mails({globals: 'smtp_alert\nsmtp_alert_checker off'}), [true, false, false]);
	const own = {instance: 'smtp_alert off', service: 'smtp_alert', backend: 'smtp_alert'};
	t.deepEqual(mails({globals: 'smtp_alert_vrrp\nsmtp_alert_checker off', ...own}), [false, true, true]);
});

test('where mail goes, and what it is sent about', t => {
	const {mail} = config({
		globals: `notification_email { a@example.com
b@example.com }
notification_email_from lb@example.com
smtp_server mail.example.com 2525
smtp_helo_name lb1
smtp_connect_timeout 2.5
no_email_faults
no_checker_emails`,
	}).globals;
	t.deepEqual(mail, {
		to: ['a@example.com', 'b@example.com'],
		from: 'lb@example.com',
		server: {host: 'mail.example.com', port: 2525},
		heloName: 'lb1',
		timeoutUs: 2_500_000,
		faults: false,
		everyCheck: false,
	});
});

test('fifos belong to whom scripts run as, with what umask leaves of 0644', t => {
	const {fifos} = config({
		globals: `script_user nobody
notify_fifo /run/all
notify_fifo_script "/bin/read all" root
vrrp_notify_fifo /run/vrrp daemon bin
`,
	}).globals;
	t.deepEqual(fifos, {
		all: {
			path: '/run/all',
			user: 'nobody',
			group: null,
			mode: 0o600,
			script: script(['/bin/read', 'all'], {user: 'root'}),
		},
		vrrp: {path: '/run/vrrp', user: 'daemon', group: 'bin', mode: 0o600, script: null},
		lvs: null,
	});
});

for (const [umask, mode] of [
	['0', 0o644],
	['022', 0o644],
	['0x24', 0o600],
	['18', 0o644],
	['IRGRP', 0o604],
	['IRGRP | IROTH|IWUSR', 0o400],
] as const) {
	test(`umask ${umask} leaves ${mode.toString(8)}`, t => {
		const {all} = config({globals: `notify_fifo /run/all\numask ${umask}`}).globals.fifos;
		t.is(all?.mode, mode);
	});
}

for (const umask of ['', 'IRGRP |', '01000', '9x', 'IRWXU']) {
	test(`umask '${umask}' cannot be`, t => {
		const [first] = read(sound({globals: `umask ${umask}`})).printed;
		t.regex(first ?? '', /^lb\.conf:2:\d+: error: umask cannot be /);
	});
}

test('scripts of the start and of the end have their times', t => {
	const {startup, shutdown} = config({
		globals: 'startup_script "/bin/up 1"\nstartup_script_timeout 30\nshutdown_script /bin/down nobody',
	}).globals;
	t.deepEqual(startup, {script: script(['/bin/up', '1']), timeoutUs: 30_000_000});
	t.deepEqual(shutdown, {script: script(['/bin/down'], {user: 'nobody'}), timeoutUs: 10_000_000});
	t.regex(read(sound({globals: 'startup_script_timeout 0'})).printed[0] ?? '', /outside 1-1000/);
});

test('vrrp_notify_priority_changes is for instances that say nothing', t => {
	const told = (extra: Extra) => configOf(sound(extra)).instances[0]?.notify?.priorityChanges;
	t.true(told({globals: 'vrrp_notify_priority_changes'}));
	t.false(told({globals: 'vrrp_notify_priority_changes', instance: 'notify_priority_changes off'}));
});

test('a script without a program, or with an open quote, is an error with its place', t => {
	t.deepEqual(
		read(sound({instance: 'notify_master'})).printed.map(line => line.slice(0, 22)),
		['lb.conf:7:1: error: no'],
	);
	t.regex(
		read(sound({backend: `notify_up "/bin/x 'y"`})).printed[0] ?? '',
		/18:11: error: .* quote that is not closed/,
	);
});

test('what nothing comes of is a warning', t => {
	const globals = 'notification_email { a@example.com }\nlvs_notify_fifo_script /bin/read';
	t.deepEqual(read(sound({globals})).printed, [
		`lb.conf:2:1: warning: notification_email without smtp_server: no mail is sent (add 'smtp_server …')`,
		`lb.conf:3:1: warning: lvs_notify_fifo_script without lvs_notify_fifo: there is nothing that it could read (add 'lvs_notify_fifo …')`,
	]);
});
