import {setImmediate} from 'node:timers/promises';
import test from 'ava';
import type {Config, Fifo} from '../../src/conf/model.js';
import {KernelError} from '../../src/errors.js';
import type {Mail, Mailer, Pipe, Pipes} from '../../src/host/host.js';
import {type State, stateOf} from '../../src/notify/event.js';
import {Notifier} from '../../src/notify/notifier.js';
import {configOf, type Extra, sound} from '../conf/reading.js';
import {FakeClock, seconds} from '../fake/clock.js';
import {FakeLog} from '../fake/log.js';
import {FakeScripts} from '../fake/scripts.js';

/** Pipes that hold lines until they are full. */
class FakePipes implements Pipes {
	readonly lines: string[] = [];
	readonly opened = new Set<string>();
	full = false;
	refusing = false;

	open({path}: Pick<Fifo, 'path'>): Pipe {
		if (this.refusing) throw new KernelError('open fifo', path, 'EACCES');
		this.opened.add(path);
		return {
			write: line => {
				if (!this.full) this.lines.push(`${path} ${line.trimEnd()}`);
				return !this.full;
			},
			close: () => void this.opened.delete(path),
		};
	}

	take(): string[] {
		return this.lines.splice(0);
	}
}

class FakeMailer implements Mailer {
	readonly sent: Mail[] = [];

	async send(mail: Mail) {
		this.sent.push(mail);
		return {kind: 'sent'} as const;
	}

	/** Subject and text of each mail since the last call. */
	take(): string[] {
		return this.sent.splice(0).map(({subject, text}) => `${subject}: ${text}`);
	}
}

const MAIL = 'smtp_server mail.example.com\nnotification_email { ops@example.com }\nrouter_id lb1\n';
const FIFOS = 'notify_fifo /run/all\nvrrp_notify_fifo /run/vrrp\nlvs_notify_fifo /run/lvs\n';
const GROUP = `vrrp_instance VI_2 { interface eth1\nvirtual_router_id 52\nvirtual_ipaddress { 10.0.0.1/24 }\nnotify /n2 }
vrrp_sync_group G { group { VI_1 VI_2 }\nnotify /g\nnotify_master /gm }`;

class Scene {
	readonly clock = new FakeClock();
	readonly log = new FakeLog();
	readonly scripts = new FakeScripts();
	readonly pipes = new FakePipes();
	readonly mailer = new FakeMailer();
	readonly notifier: Notifier;
	config: Config;

	constructor(extra: Extra) {
		this.config = configOf(sound(extra));
		const {clock, log, scripts, pipes, mailer} = this;
		this.notifier = new Notifier(this.config, {clock, log, scripts, pipes, mailer, machine: 'box'});
	}

	static async start(extra: Extra): Promise<Scene> {
		const scene = new Scene(extra);
		await scene.notifier.start();
		return scene;
	}

	enters(state: State, name = 'VI_1', scope: 'instance' | 'group' = 'instance', priority = 100): void {
		this.notifier.tell({kind: 'entered', scope, name, state, priority});
	}

	/** What was started since the last call; all of it comes to its end. */
	async ran(): Promise<string[]> {
		while (this.scripts.running().length > 0) {
			for (const words of this.scripts.running()) this.scripts.ends(words);
			await setImmediate();
		}
		return this.scripts.started.splice(0);
	}

	expect(extra: Extra): void {
		this.config = configOf(sound(extra));
		this.notifier.expect(this.config);
	}

	health(backendUp: boolean, occasion: 'check' | 'start' | 'removal' | 'shutdown' = 'check'): void {
		const [service] = this.config.services;
		const [backend] = service?.backends ?? [];
		if (service === undefined || backend === undefined) throw new Error('nothing to serve');
		const up = backendUp;
		this.notifier.tell({kind: 'backend', service, backend, up, occasion});
		this.notifier.tell({kind: 'quorum', service, up, weight: Number(up), occasion});
		if (occasion !== 'check') return;
		this.notifier.tell({kind: 'check', service, backend, check: 'tcp', passed: up, up, decided: true});
	}
}

test('scripts, FIFOs and mail say of an instance what keepalived says', async t => {
	const instance =
		'notify_master "/m 1"\nnotify_backup /b\nnotify_fault /f\nnotify_stop /s\nnotify "/n \'two words\'"\nsmtp_alert';
	const scene = await Scene.start({globals: MAIL + FIFOS, instance});
	for (const state of ['BACKUP', 'MASTER', 'FAULT', 'STOP'] as const) scene.enters(state);
	t.deepEqual(await scene.ran(), [
		'/b',
		'/n two words INSTANCE VI_1 BACKUP 100',
		'/m 1',
		'/n two words INSTANCE VI_1 MASTER 100',
		'/f',
		'/n two words INSTANCE VI_1 FAULT 100',
		'/s',
		'/n two words INSTANCE VI_1 STOP 100',
	]);
	t.deepEqual(
		scene.pipes.take(),
		['BACKUP', 'MASTER', 'FAULT', 'STOP'].flatMap(state => [
			`/run/all INSTANCE "VI_1" ${state} 100`,
			`/run/vrrp INSTANCE "VI_1" ${state} 100`,
		]),
	);
	t.deepEqual(scene.mailer.take(), [
		'[lb1] VRRP Instance VI_1 - Entering BACKUP state: => VRRP Instance is no longer owning VRRP VIPs <=',
		'[lb1] VRRP Instance VI_1 - Entering MASTER state: => VRRP Instance is now owning VRRP VIPs <=',
		'[lb1] VRRP Instance VI_1 - Entering FAULT state: => VRRP Instance is no longer owning VRRP VIPs <=',
		'[lb1] VRRP Instance VI_1 - Stopping: => VRRP Instance stopping <=',
	]);
});

test('a group has priority 0, and members that only follow it are told of once', async t => {
	const scene = await Scene.start({globals: FIFOS + MAIL, top: GROUP.replace('/gm', '/gm\nsmtp_alert')});
	scene.enters('BACKUP', 'VI_1');
	scene.enters('BACKUP', 'VI_2');
	scene.enters('BACKUP', 'G', 'group', 0);
	scene.enters('MASTER', 'G', 'group', 0);
	scene.enters('MASTER', 'VI_2');
	t.deepEqual((await scene.ran()).sort(), [
		'/g GROUP G BACKUP 0',
		'/g GROUP G MASTER 0',
		'/gm',
		'/n2 INSTANCE VI_2 BACKUP 100',
	]);
	t.is(scene.pipes.take().at(-1), '/run/vrrp GROUP "G" MASTER 0');
	t.deepEqual(scene.mailer.take(), [
		'[lb1] VRRP Group G - Entering BACKUP state: => All VRRP group instances are now in BACKUP state <=',
		'[lb1] VRRP Group G - Entering MASTER state: => All VRRP group instances are now in MASTER state <=',
	]);
});

for (const [asked, scripts, line, subject] of [
	['', ['/n INSTANCE VI_1 FAULT 100'], 'FAULT', 'Entering FAULT state'],
	['notify_deleted', ['/n INSTANCE VI_1 DELETED 100'], 'DELETED', 'Deleted'],
	['notify_deleted /d', ['/d', '/n INSTANCE VI_1 DELETED 100'], 'DELETED', 'Deleted'],
] as const) {
	test(`an instance that a reload removes, with '${asked}'`, async t => {
		const scene = await Scene.start({
			globals: MAIL + FIFOS,
			instance: `notify_fault /f\nnotify /n\nsmtp_alert\n${asked}`,
		});
		scene.notifier.expect({...scene.config, instances: []});
		scene.enters('DELETED');
		t.deepEqual(await scene.ran(), scripts);
		t.is(scene.pipes.take()[0], `/run/all INSTANCE "VI_1" ${line} 100`);
		t.regex(scene.mailer.take()[0] ?? '', new RegExp(`^\\[lb1\\] VRRP Instance VI_1 - ${subject}: `));
	});
}

test('a backend and a quorum: scripts without arguments, FIFO lines, mail with the reason', async t => {
	const scene = await Scene.start({
		globals: MAIL + FIFOS,
		service: 'quorum_up /qu\nquorum_down /qd\nsmtp_alert',
		backend: 'notify_up "/u 1"\nnotify_down /d',
	});
	scene.health(false);
	scene.health(true);
	t.deepEqual((await scene.ran()).sort(), ['/d', '/qd', '/qu', '/u 1']);
	t.deepEqual(
		scene.pipes.take().filter(line => line.startsWith('/run/lvs')),
		[
			'/run/lvs RS [10.0.0.71]:tcp:80 [192.168.1.1]:tcp:80 DOWN',
			'/run/lvs VS [192.168.1.1]:tcp:80 DOWN',
			'/run/lvs RS [10.0.0.71]:tcp:80 [192.168.1.1]:tcp:80 UP',
			'/run/lvs VS [192.168.1.1]:tcp:80 UP',
		],
	);
	t.deepEqual(scene.mailer.take(), [
		'[lb1] Virtualserver [192.168.1.1]:tcp:80 - DOWN: => Lost quorum 1+0=1 <= 0 <=',
		'[lb1] Realserver [10.0.0.71]:tcp:80 of virtual server [192.168.1.1]:tcp:80 - DOWN: => TCP CHECK failed on service <=',
		'[lb1] Virtualserver [192.168.1.1]:tcp:80 - UP: => Gained quorum 1+0=1 <= 1 <=',
		'[lb1] Realserver [10.0.0.71]:tcp:80 of virtual server [192.168.1.1]:tcp:80 - UP: => TCP CHECK succeed on service <=',
	]);
});

test('at the start backends are told of with rs_init_notifies, at the end with omega', async t => {
	const plain = await Scene.start({globals: FIFOS, backend: 'notify_up /u\nnotify_down /d'});
	plain.health(true, 'start');
	plain.health(false, 'shutdown');
	t.deepEqual(await plain.ran(), []);
	t.deepEqual(plain.pipes.take(), ['/run/all VS [192.168.1.1]:tcp:80 UP', '/run/lvs VS [192.168.1.1]:tcp:80 UP']);
	const asked = await Scene.start({
		globals: `rs_init_notifies\n${MAIL}`,
		service: 'omega\nsmtp_alert\nquorum_down /qd',
		backend: 'notify_up /u\nnotify_down /d',
	});
	asked.health(true, 'start');
	asked.health(false, 'shutdown');
	t.deepEqual((await asked.ran()).sort(), ['/d', '/qd', '/u']);
	t.deepEqual(asked.mailer.take(), [
		'[lb1] Virtualserver [192.168.1.1]:tcp:80 - UP: => Starting with quorum up 1+0=1 <= 1 <=',
		'[lb1] Realserver [10.0.0.71]:tcp:80 of virtual server [192.168.1.1]:tcp:80 - DOWN: => Shutting down <=',
		'[lb1] Virtualserver [192.168.1.1]:tcp:80 - DOWN: => Shutting down <=',
	]);
});

test('no_checker_emails leaves the mails about checks that decide nothing', async t => {
	for (const [globals, count] of [
		['', 1],
		['no_checker_emails', 0],
	] as const) {
		const scene = await Scene.start({globals: `${MAIL}${globals}`});
		const [service] = scene.config.services;
		const [backend] = service?.backends ?? [];
		if (service === undefined || backend === undefined) throw new Error('nothing to serve');
		scene.notifier.tell({kind: 'check', service, backend, check: 'tcp', passed: true, up: false, decided: false});
		await setImmediate();
		t.is(scene.mailer.take().length, count);
	}
});

test('no_email_faults leaves FAULT out, and what was mailed last is not mailed again', async t => {
	const scene = await Scene.start({globals: `${MAIL}no_email_faults`, instance: 'smtp_alert'});
	for (const state of ['BACKUP', 'FAULT', 'BACKUP', 'MASTER'] as const) scene.enters(state);
	await setImmediate();
	t.deepEqual(
		scene.mailer.sent.map(({subject}) => subject.slice(-20)),
		['ntering BACKUP state', 'ntering MASTER state'],
	);
});

test('without a router_id and a sender, mails have the name of the machine', async t => {
	const globals = 'smtp_server 192.0.2.1 2525\nnotification_email { a@b.example\nc@d.example }\nsmtp_connect_timeout 3';
	const scene = await Scene.start({globals, instance: 'smtp_alert'});
	scene.enters('MASTER');
	t.deepEqual(scene.mailer.sent, [
		{
			server: {host: '192.0.2.1', port: 2525},
			heloName: 'box',
			from: 'keepalived@box',
			to: ['a@b.example', 'c@d.example'],
			subject: '[box] VRRP Instance VI_1 - Entering MASTER state',
			text: '=> VRRP Instance is now owning VRRP VIPs <=',
			timeoutUs: seconds(3),
		},
	]);
});

test('a master that hears a lower priority, and one whose own changes', async t => {
	const extra = {globals: FIFOS, instance: 'notify_master_rx_lower_pri /r\nnotify_priority_changes\n'};
	const scene = await Scene.start(extra);
	scene.enters('MASTER');
	scene.notifier.tell({kind: 'lower-priority', name: 'VI_1', priority: 100});
	t.deepEqual(await scene.ran(), ['/r']);
	scene.notifier.tell({kind: 'priority', name: 'VI_1', master: true, priority: 120});
	t.deepEqual(
		scene.pipes.take().filter(line => line.startsWith('/run/all')),
		[
			'/run/all INSTANCE "VI_1" MASTER 100',
			'/run/all INSTANCE "VI_1" MASTER_RX_LOWER_PRI 100',
			'/run/all INSTANCE "VI_1" MASTER_PRIORITY 120',
		],
	);
});

test('a reload that is told of tells the priority in effect', async t => {
	const scene = await Scene.start({globals: `${FIFOS}fifo_write_vrrp_states_on_reload`});
	scene.enters('MASTER');
	scene.notifier.tell({kind: 'priority', name: 'VI_1', master: true, priority: 40});
	scene.pipes.take();
	scene.notifier.reloaded();
	t.true(scene.pipes.take().includes('/run/all INSTANCE "VI_1" MASTER 40'));
});

test('a reload tells what holds where fifo_write_vrrp_states_on_reload asks for it', async t => {
	const scene = await Scene.start({globals: `${FIFOS}fifo_write_vrrp_states_on_reload`, top: GROUP});
	scene.enters('MASTER');
	scene.enters('MASTER', 'G', 'group', 0);
	scene.pipes.take();
	scene.notifier.reloaded();
	t.deepEqual(
		scene.pipes.take().filter(line => line.startsWith('/run/all')),
		['/run/all INSTANCE "VI_1" MASTER 100', '/run/all GROUP "G" MASTER 0'],
	);
});

test('a full FIFO loses lines, is reported once, and again when it is read', async t => {
	const scene = await Scene.start({globals: 'notify_fifo /run/all'});
	scene.pipes.full = true;
	for (const state of ['BACKUP', 'MASTER', 'BACKUP'] as const) scene.enters(state);
	scene.pipes.full = false;
	scene.enters('MASTER');
	t.deepEqual(scene.log.take(), [
		'error fifo /run/all: nobody reads it, so lines are lost',
		'warn fifo /run/all: is read again',
	]);
	t.deepEqual(scene.notifier.counts.read().fifo, {delivered: 1, failed: 0, lost: 3});
});

test('a FIFO that cannot be opened is reported, and all else goes on', async t => {
	const scene = new Scene({globals: 'notify_fifo /run/all', instance: 'notify_master /m'});
	scene.pipes.refusing = true;
	await scene.notifier.start();
	scene.enters('MASTER');
	t.deepEqual(scene.log.take(), ['error fifo /run/all is not used']);
	t.deepEqual(await scene.ran(), ['/m']);
});

test('a FIFO is kept over a reload that leaves it as it is; others are closed and opened', async t => {
	const scene = await Scene.start({
		globals: 'notify_fifo /run/all\nvrrp_notify_fifo /run/vrrp\nvrrp_notify_fifo_script /r',
	});
	t.deepEqual(scene.scripts.running(), ['/r /run/vrrp']);
	scene.expect({globals: 'notify_fifo /run/all\nlvs_notify_fifo /run/lvs'});
	await setImmediate();
	t.deepEqual([...scene.pipes.opened], ['/run/all', '/run/lvs']);
	t.deepEqual(scene.scripts.running(), []);
	t.deepEqual(scene.log.take(), []);
});

test('the reader of a FIFO that ends is started again after ten seconds', async t => {
	const scene = await Scene.start({globals: 'notify_fifo /run/all\nnotify_fifo_script "/r one"'});
	scene.scripts.ends('/r one /run/all', {kind: 'signalled', signal: 'SIGSEGV'});
	await setImmediate();
	t.deepEqual(scene.log.take(), ['warn fifo script /r: ended by SIGSEGV; it is started again']);
	scene.clock.advance(seconds(9.9));
	t.deepEqual(scene.scripts.running(), []);
	scene.clock.advance(seconds(0.1));
	t.deepEqual(scene.scripts.running(), ['/r one /run/all']);
});

test('startup_script ends before anything else begins, whatever becomes of it', async t => {
	const scene = new Scene({globals: 'startup_script /up\nstartup_script_timeout 3\nnotify_fifo /run/all'});
	const started = scene.notifier.start();
	t.is(scene.scripts.timeoutUs('/up'), seconds(3));
	t.deepEqual([...scene.pipes.opened], []);
	scene.scripts.ends('/up', {kind: 'exited', status: 1});
	await started;
	t.deepEqual([...scene.pipes.opened], ['/run/all']);
	t.deepEqual(scene.log.take(), ['error startup_script /up: exit status 1']);
});

test('the end waits for what is under way, then runs the shutdown_script', async t => {
	const scene = await Scene.start({globals: `${FIFOS}shutdown_script /down`, instance: 'notify_stop /s'});
	scene.enters('STOP');
	const ended = scene.notifier.end();
	await setImmediate();
	t.deepEqual(scene.scripts.running(), ['/s']);
	scene.scripts.ends('/s');
	await setImmediate();
	t.deepEqual([...scene.pipes.opened], []);
	scene.scripts.ends('/down');
	await ended;
	t.deepEqual(scene.clock.timers(), []);
});

test('the end waits five seconds for a script and a reader that hang, and ends them', async t => {
	const scene = await Scene.start({
		globals: 'notify_fifo /run/all\nnotify_fifo_script /r',
		instance: 'notify_master /hangs',
	});
	scene.enters('MASTER');
	let ended = false;
	const done = scene.notifier.end().then(() => {
		ended = true;
	});
	scene.clock.advance(seconds(4.9));
	await setImmediate();
	t.false(ended);
	scene.clock.advance(seconds(0.1));
	await done;
	t.deepEqual(scene.scripts.running(), []);
	t.deepEqual(scene.clock.timers(), []);
});

test('a VRRP role has a name in keepalived, which depends on who stops', t => {
	t.deepEqual(
		(['init', 'backup', 'master', 'fault'] as const).map(role => stateOf(role, false)),
		[null, 'BACKUP', 'MASTER', 'FAULT'],
	);
	t.is(stateOf('stopped', true), 'STOP');
	t.is(stateOf('stopped', false), 'DELETED');
});

test('what a reload has removed is forgotten', async t => {
	const extra = {globals: `${FIFOS}fifo_write_vrrp_states_on_reload`, top: GROUP};
	const scene = await Scene.start(extra);
	scene.enters('MASTER', 'VI_2');
	scene.enters('MASTER', 'G', 'group', 0);
	scene.expect({globals: extra.globals});
	scene.notifier.reloaded();
	scene.pipes.take();
	scene.expect(extra);
	scene.notifier.reloaded();
	t.deepEqual(scene.pipes.take(), []);
});
