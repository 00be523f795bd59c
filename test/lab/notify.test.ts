/**
 * Who is told what of VRRP: the same configuration and the same events, once with Debian's keepalived and once with lbd.
 * Scripts, FIFO and mail must hear the same of each instance and of the group.
 */
import {type ChildProcess, spawnSync} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import anyTest from 'ava';
import type {Program} from '../../lab/balancer.js';
import {Lab} from '../../lab/lab.js';
import {inside} from '../../lab/namespace.js';
import {run} from '../../lab/run.js';
import {bySubject, Ears, type Heard, hears, MAIL_PORT} from './ears.js';
import {test} from './lab-test.js';

const RIVAL = fileURLToPath(new URL('./rival.js', import.meta.url));

const STATES = ['master', 'backup', 'fault', 'stop'];

function notifies(ears: Ears, name: string): string {
	const scripts = STATES.map(state => `notify_${state} "${ears.tell} ${name}-${state}"`);
	return [...scripts, `notify "${ears.tell} ${name} 'two words'"`, 'smtp_alert'].join('\n');
}

function instance(name: string, nic: string, vrid: number, vip: string, keywords: string): string {
	return `vrrp_instance ${name} {
		interface ${nic}
		virtual_router_id ${vrid}
		priority 200
		authentication { auth_type PASS
			auth_pass 1215 }
		virtual_ipaddress { ${vip}/24 }
		${keywords}
	}`;
}

/** Two instances in a group, and with `more` three that are on their own. */
function configuration(ears: Ears, more: boolean): string {
	const alone = (name: string, vrid: number, keywords: string) =>
		instance(name, 'eth0', vrid, `192.168.1.${vrid}`, `${notifies(ears, name)}\n${keywords}`);
	const others = [
		alone('deleted', 93, `notify_deleted "${ears.tell} deleted-deleted"`),
		alone('wordless', 94, 'notify_deleted'),
		alone('gone', 95, ''),
	];
	return `global_defs {
		router_id lb
		script_user root
		vrrp_notify_fifo ${ears.directory}/pipe
		vrrp_notify_fifo_script "${ears.read} one 'two words'"
		smtp_server 127.0.0.1 ${MAIL_PORT}
		notification_email { ops@example.com }
		notification_email_from lb@example.com
	}
	vrrp_sync_group VRRP1 {
		group { external
			internal }
		${notifies(ears, 'group')}
	}
	${instance('external', 'eth0', 91, '192.168.1.1', `${notifies(ears, 'external')}\nnotify_master_rx_lower_pri "${ears.tell} rival"`)}
	${instance('internal', 'eth1', 92, '10.0.0.100', notifies(ears, 'internal'))}
	${more ? others.join('\n') : ''}\n`;
}

/** Everything that can happen to the first balancer, from its start to its end. */
async function story(program: Program): Promise<Heard> {
	const ears = new Ears();
	const lab = await Lab.create({programs: {lb1: program}, configs: {lb1: configuration(ears, true)}});
	let sink: ChildProcess | null = null;
	try {
		sink = await ears.takeMail(lab);
		await lab.lb1.start();
		await hears(lab, ears, 'fifo', 'GROUP "VRRP1" MASTER 0', 1);
		await hears(lab, ears, 'fifo', 'INSTANCE "gone" MASTER 200', 1);
		await rival(lab);
		await hears(lab, ears, 'fifo', 'INSTANCE "external" MASTER_RX_LOWER_PRI 200', 1);
		await lab.lb1.linkDown('eth1');
		await hears(lab, ears, 'fifo', 'GROUP "VRRP1" FAULT 0', 1);
		await lab.lb1.linkUp('eth1');
		await hears(lab, ears, 'fifo', 'GROUP "VRRP1" MASTER 0', 2);
		// A reload makes keepalived forget the mails that are on their way.
		await hears(lab, ears, 'mails', /(external|internal|VRRP1) - Entering MASTER/, 6);
		lab.lb1.configure(configuration(ears, false));
		lab.lb1.signal('SIGHUP');
		for (const line of ['"deleted" DELETED', '"wordless" DELETED', '"gone" FAULT']) {
			await hears(lab, ears, 'fifo', `INSTANCE ${line} 200`, 1);
		}
		await hears(lab, ears, 'mails', /VRRP Instance (deleted|wordless|gone) - (Deleted|Entering FAULT)/, 3);
		await lab.lb1.stop();
		await hears(lab, ears, 'scripts', /\|STOP\|/, 3);
		await hears(lab, ears, 'scripts', /^\w+-stop\|$/, 3);
		// At its end keepalived removes its FIFO before the reader has come to the last lines.
		if (program === 'lbd') await hears(lab, ears, 'fifo', / STOP /, 3);
		return ears.heard();
	} finally {
		sink?.kill('SIGKILL');
		await lab.destroy();
		ears.remove();
	}
}

async function rival(lab: Lab): Promise<void> {
	const namespace = lab.namespace('lb2');
	const [link]: {ifindex: number}[] = JSON.parse(await lab.run('lb2', 'ip', '-j', 'link', 'show', 'dev', 'eth0'));
	await run([...inside(namespace), process.execPath, RIVAL, String(link?.ifindex), '192.168.1.11']);
}

const installed = spawnSync('keepalived', ['--version']).error === undefined;
if (!installed) console.warn('skipped: the comparison with keepalived needs keepalived');

const compare: typeof test = installed ? test : anyTest.serial.skip;

compare('scripts, FIFO and mail hear from lbd what they hear from keepalived', async t => {
	t.timeout(240_000);
	const [theirs, ours] = await Promise.all([story('keepalived'), story('lbd')]);
	const scriptOf = /^([^|]*)/;
	// keepalived starts the reader of its FIFO anew at a reload, lbd keeps it.
	const told = ({scripts}: Heard) => scripts.filter(line => !line.startsWith('3|'));
	t.deepEqual(bySubject(told(ours), scriptOf), bySubject(told(theirs), scriptOf));
	t.is(
		ours.scripts.find(line => line.startsWith('3|')),
		'3|one|two words',
	);
	t.deepEqual(new Set(theirs.scripts.filter(line => line.startsWith('3|'))), new Set(['3|one|two words']));

	const lines = ({fifo}: Heard) => fifo.filter(line => !line.includes(' STOP '));
	t.deepEqual(bySubject(lines(ours), /"(\w+)"/), bySubject(lines(theirs), /"(\w+)"/));
	t.is(ours.fifo.filter(line => line.includes(' STOP ')).length, 3);

	// Nor do its last mails leave.
	const letters = ({mails}: Heard) => mails.filter(line => !/topping/.test(line));
	t.deepEqual(bySubject(letters(ours), /(VRRP \w+ \w+)/), bySubject(letters(theirs), /(VRRP \w+ \w+)/));
});
