/** Who is told what becomes of backends and quorums, and that nobody who is told can hold the daemon up. */
import type {ChildProcess} from 'node:child_process';
import {existsSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {Lab} from '../../lab/lab.js';
import {launch} from '../../lab/namespace.js';
import {inhabitants, isAlive} from '../../lab/proc.js';
import {monotonicMs, waitFor} from '../../lab/wait.js';
import {bySubject, Ears, hears, listening, MAIL_PORT} from './ears.js';
import {reference, variant, withoutBackend} from './jobs.js';
import {answers, inTurn, startPrimary, sideBySide as test} from './lab-test.js';

const [WEB1, WEB2, SERVICE] = ['[10.0.0.71]:tcp:80', '[10.0.0.72]:tcp:80', '[192.168.1.1]:tcp:80'];

/** The reference job, whose service and backends tell of themselves. */
function telling(ears: Ears, globals: string): string {
	const mail = `smtp_server 127.0.0.1 ${MAIL_PORT}\nrouter_id lb`;
	const backend = (name: string) =>
		`weight 1\nnotify_up "${ears.tell} ${name}-up"\nnotify_down "${ears.tell} ${name}-down"`;
	return variant(reference.primary, {delay_loop: 1})
		.replace('smtp_server localhost', `${mail}\n${globals}`)
		.replace(
			'lb_kind NAT',
			`lb_kind NAT\nquorum 2\nomega\nsmtp_alert\nquorum_up "${ears.tell} quorum-up"\nquorum_down "${ears.tell} quorum-down"`,
		)
		.replace('weight 1', backend('web1'))
		.replace(/weight 1\n\s+TCP/, `${backend('web2')}\nTCP`);
}

test('scripts, FIFO and mail hear of real servers and the quorum', async t => {
	const ears = new Ears();
	const fifo = `rs_init_notifies\nlvs_notify_fifo ${ears.directory}/pipe\nlvs_notify_fifo_script "${ears.read} one two"`;
	const configuration = telling(ears, fifo);
	const lab = await Lab.create({configs: {lb1: configuration}});
	let mail: ChildProcess | null = null;
	try {
		mail = await ears.takeMail(lab);
		await startPrimary(lab);
		await hears(lab, ears, 'fifo', `VS ${SERVICE} UP`, 1);
		await lab.web1.stop();
		await hears(lab, ears, 'fifo', `VS ${SERVICE} DOWN`, 1);
		await lab.web1.start();
		await hears(lab, ears, 'fifo', `VS ${SERVICE} UP`, 2);
		lab.lb1.configure(withoutBackend(configuration, '10.0.0.72'));
		lab.lb1.signal('SIGHUP');
		await hears(lab, ears, 'fifo', `RS ${WEB2} ${SERVICE} DOWN`, 1);
		await lab.lb1.stop();
		// Who is told may write it down after the end of who has told it.
		await hears(lab, ears, 'fifo', / DOWN$/, 5);
		await hears(lab, ears, 'scripts', /-down\|$/, 5);
		await hears(lab, ears, 'mails', /=> Shutting down <=$/, 2);
		t.deepEqual(bySubject(ears.lines('fifo'), /^(\S+ \S+)/), {
			[`RS ${WEB1}`]: ['UP', 'DOWN', 'UP', 'DOWN'].map(state => `RS ${WEB1} ${SERVICE} ${state}`),
			[`RS ${WEB2}`]: ['UP', 'DOWN'].map(state => `RS ${WEB2} ${SERVICE} ${state}`),
			[`VS ${SERVICE}`]: ['UP', 'DOWN', 'UP', 'DOWN'].map(state => `VS ${SERVICE} ${state}`),
		});
		const scripts = ears.lines('scripts').filter(line => !line.startsWith('3|'));
		t.deepEqual(bySubject(scripts, /^(\w+)/), {
			web1: ['web1-up|', 'web1-down|', 'web1-up|', 'web1-down|'],
			web2: ['web2-up|', 'web2-down|'],
			quorum: ['quorum-up|', 'quorum-down|', 'quorum-up|', 'quorum-down|'],
		});
		const realServer = (address: string, state: string) =>
			`[lb] Realserver ${address} of virtual server ${SERVICE} - ${state} |`;
		const virtualServer = (state: string) => `[lb] Virtualserver ${SERVICE} - ${state} |`;
		t.deepEqual(ears.lines('mails'), [
			`${virtualServer('UP')} => Starting with quorum up 2+0=2 <= 2 <=`,
			`${virtualServer('DOWN')} => Lost quorum 2+0=2 <= 1 <=`,
			`${realServer(WEB1 ?? '', 'DOWN')} => TCP CHECK failed on service <=`,
			`${virtualServer('UP')} => Gained quorum 2+0=2 <= 2 <=`,
			`${realServer(WEB1 ?? '', 'UP')} => TCP CHECK succeed on service <=`,
			`${realServer(WEB2 ?? '', 'DOWN')} => Removing <=`,
			`${realServer(WEB1 ?? '', 'DOWN')} => Shutting down <=`,
			`${virtualServer('DOWN')} => Shutting down <=`,
		]);
	} finally {
		mail?.kill('SIGKILL');
		await lab.destroy();
		ears.remove();
	}
});

/** Listens, and never says a word. */
const SILENT = `require('node:net').createServer(() => {}).listen(${MAIL_PORT}, '127.0.0.1')`;
/** A script that does not heed SIGTERM, and starts others that do not either. */
const HANGS = `/bin/sh -c 'trap : TERM; while :; do sleep 600 & sleep 600; done'`;

test('scripts that hang, fork or cannot run, FIFOs nobody reads and a silent mail server hold nothing up', async t => {
	const ears = new Ears();
	const pipe = join(ears.directory, 'pipe');
	const file = join(ears.directory, 'file');
	writeFileSync(file, 'precious');
	const group = [
		`notify_master "${HANGS}"`,
		'notify_backup /bin/true no-such-account',
		'notify /no/such/script',
		'smtp_alert',
	].join('\n');
	const configuration = telling(ears, `vrrp_notify_fifo ${pipe}\nlvs_notify_fifo ${file}\nsmtp_alert_vrrp`)
		.replace('smtp_connect_timeout 30', 'smtp_connect_timeout 1')
		.replace('vrrp_sync_group VRRP1 {', `vrrp_sync_group VRRP1 {\n${group}`)
		.replaceAll(/notify_down "[^"]*"/g, `notify_down "${HANGS}"`);
	const lab = await Lab.create({configs: {lb1: `${configuration}\nlbd { notify_timeout 0.5 }\n`}});
	let silent: ChildProcess | null = null;
	const others = inhabitants([lab.lb1.namespace]).length;
	try {
		silent = launch(lab.lb1.namespace, [process.execPath, '-e', SILENT], join(lab.directory, 'silent.log'));
		await listening(lab);
		await startPrimary(lab);
		t.deepEqual(answers(await lab.client.sequence(4)), inTurn('web1', 4));
		t.true(existsSync(pipe));
		await lab.web1.stop();
		const metrics = async () => lab.run('lb1', 'curl', '-s', 'http://127.0.0.1:9633/metrics');
		const failed = async () => {
			const page = await metrics();
			const [, scripts = 0] = /notifications_total\{channel="script",outcome="failed"\} (\d+)/.exec(page) ?? [];
			// Two for BACKUP, two for MASTER, and the notify_down.
			return Number(scripts) >= 5;
		};
		await waitFor('all scripts have failed', failed, {timeoutMs: 20_000, seen: () => lab.lb1.log()});
		t.regex(lab.lb1.log(200), /there is no user no-such-account/);
		t.regex(lab.lb1.log(200), /it is there, and is no named pipe/);
		const alone = () => inhabitants([lab.lb1.namespace]).length === others + 3;
		await waitFor('nothing is left of the scripts', alone);
		t.true(await lab.lb1.isMaster());
		const before = monotonicMs();
		await lab.lb1.stop();
		t.true(monotonicMs() - before < 15_000, 'five seconds for those who are told, and the rest');
		const isQuiet = () => inhabitants([lab.lb1.namespace]).filter(isAlive).length === others + 1;
		await waitFor('only the silent server is left', isQuiet);
		t.false(existsSync(pipe));
		t.is(readFileSync(file, 'utf8'), 'precious');
	} finally {
		silent?.kill('SIGKILL');
		await lab.destroy();
		ears.remove();
	}
});
