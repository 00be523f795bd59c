/** Whatever is wrong, lbd says what and where, exits with a code of its own, and leaves the machine as it was. */
import {readFileSync, rmSync} from 'node:fs';
import {join} from 'node:path';
import {externalVip} from '../../lab/topology.js';
import {PATIENCE_MS, waitFor} from '../../lab/wait.js';
import type {Status} from '../../src/control/protocol.js';
import {ExitCode} from '../../src/errors.js';
import {inVersion3, reference, variant} from './jobs.js';
import {answers, inTurn, labOfFile, other, startPrimary, test} from './lab-test.js';
import {allServe, type Finished, finish, lbctl, noTraces, program, traces} from './observe.js';

const lab = labOfFile({});
/** What is right, and soon master. */
const sound = inVersion3(reference.primary, 0.1);

/** What lbd complains of. */
function complaints({stderr}: Finished): string[] {
	return stderr.split('\n').filter(line => line !== '');
}

/** Runs lbd on the first balancer until it ends by itself; `wrapper` is a command that runs the rest of its line. */
function lbd(options: readonly string[], wrapper: readonly string[] = []): Promise<Finished> {
	return finish(lab().lb1, [...wrapper, ...program('lbd'), ...options]);
}

/** Runs lbd as the laboratory would; without a `text` its file does not exist. */
function lbdWith(text: string | null, wrapper: readonly string[] = []): Promise<Finished> {
	const {configFile, daemonName} = lab().lb1;
	rmSync(configFile, {force: true});
	if (text !== null) lab().lb1.configure(text);
	return lbd(['--name', daemonName, '-f', configFile], wrapper);
}

/** A command that runs the rest of its line as root without some capabilities. */
function without(...capabilities: string[]): string[] {
	const dropped = capabilities.map(name => `-${name}`).join(',');
	return ['setpriv', '--bounding-set', dropped, '--inh-caps', dropped, '--'];
}

/** A command that runs the rest of its line in a mount namespace without a BPF file system. */
const withoutBpffs = ['unshare', '--mount', 'sh', '-c', 'while umount /sys/fs/bpf 2>&-; do :; done; exec "$@"', 'sh'];

interface Case {
	/** null: there is no such file. */
	readonly text: string | null;
	readonly wrapper?: readonly string[];
	readonly code: ExitCode;
	/** All that it complains of; `FILE` stands for the configuration file. */
	readonly says: readonly (string | RegExp)[];
}

const cases: Readonly<Record<string, Case>> = {
	'missing file': {
		text: null,
		code: ExitCode.noConfiguration,
		says: [
			'FILE:1:1: error: configuration file does not exist (name another with -f FILE)',
			'lbd: 1 error in the configuration',
		],
	},
	'unclosed brace': {
		text: reference.primary.trimEnd().replace(/\}$/, ''),
		code: ExitCode.badSyntax,
		says: ["FILE:51:31: error: '{' is never closed (add the missing '}')", 'lbd: 1 error in the configuration'],
	},
	'unknown keyword': {
		text: reference.primary.replace('delay_loop', 'delay_lop'),
		code: ExitCode.unknownKeyword,
		says: [
			"FILE:52:5: error: unknown keyword 'delay_lop' in virtual_server (did you mean 'delay_loop'?)",
			'lbd: 1 error in the configuration',
		],
	},
	'impossible value': {
		text: variant(reference.primary, {priority: 300}),
		code: ExitCode.badValue,
		says: [
			"FILE:22:14: error: priority '300' is outside 1-255",
			"FILE:38:14: error: priority '300' is outside 1-255",
			'lbd: 2 errors in the configuration',
		],
	},
	'missing interface': {
		text: reference.primary.replace('interface eth1', 'interface eth7'),
		code: ExitCode.noInterface,
		says: [/^lbd: find interface: eth7: ENODEV \(.*this machine has lo eth0 eth1\)$/],
	},
	'missing interface of an address, found only when all else is in place': {
		text: reference.primary.replace('10.0.0.100/24', '10.0.0.100/24 dev eth7'),
		code: ExitCode.noInterface,
		says: [/^lbd: vrrp configure: instance internal: interface eth7: ENODEV \(FILE:46:9 /],
	},
	'no BPF file system and no right to mount one': {
		text: reference.primary,
		wrapper: [...withoutBpffs, ...without('sys_admin')],
		code: ExitCode.kernel,
		says: ['lbd: mount bpffs: /sys/fs/bpf: EPERM (mount it with: mount -t bpf bpf /sys/fs/bpf)'],
	},
	'no permission for BPF': {
		text: reference.primary,
		wrapper: without('sys_admin', 'bpf', 'perfmon'),
		code: ExitCode.permission,
		says: [/^lbd: object load: .*lb\.bpf\.o: EPERM \(this needs root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON\)$/],
	},
	'no permission to administer the network': {
		text: reference.primary,
		wrapper: without('sys_admin', 'net_admin'),
		code: ExitCode.permission,
		says: [/^lbd: .*EPERM \(this needs root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON\)$/],
	},
	'no permission for VRRP, found only when all else is in place': {
		text: reference.primary,
		wrapper: without('net_raw'),
		code: ExitCode.permission,
		says: ['lbd: socket: vrrp on eth0: EPERM (needs root, or CAP_NET_ADMIN and CAP_NET_RAW)'],
	},
	'not root': {
		text: reference.primary,
		// It may read every file, so that it gets as far as to what only root may do.
		wrapper: [
			...['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'],
			...['--inh-caps', '-all,+dac_read_search', '--ambient-caps', '-all,+dac_read_search', '--'],
		],
		code: ExitCode.permission,
		says: [/^lbd: lock: \/run\/lbd.*: EACCES \(root is needed\)$/],
	},
};

for (const [title, {text, wrapper, code, says}] of Object.entries(cases)) {
	test(title, async t => {
		const {lb1} = lab();
		const finished = await lbdWith(text, wrapper);
		t.is(finished.code, code, finished.stderr);
		const said = complaints(finished).map(line => line.replaceAll(lb1.configFile, 'FILE'));
		t.is(said.length, says.length, finished.stderr);
		for (const [n, expected] of says.entries()) {
			if (typeof expected === 'string') t.is(said[n], expected);
			else t.regex(said[n] ?? '', expected);
		}
		t.deepEqual(await traces(lb1), noTraces);
	});
}

test('arguments that lbd and lbctl do not know', async t => {
	const {lb1} = lab();
	lb1.configure(reference.primary);
	const wrong: readonly (readonly [options: readonly string[], says: RegExp])[] = [
		[['--nonsense'], /^lbd: Unknown option '--nonsense'$/m],
		[['-f'], /^lbd: Option '-f, --use-file <value>' argument missing$/m],
		[['reload'], /^lbd: Unexpected argument 'reload'/m],
		[['-f', lb1.configFile, '--name', '../oops'], /^lbd: --name: "\.\.\/oops": not usable as a name \(/m],
	];
	const refused = wrong.map(async ([options, says]) => {
		const finished = await lbd(options);
		t.is(finished.code, ExitCode.usage, finished.stderr);
		t.regex(finished.stderr, says);
	});
	const [unknown] = await Promise.all([lbctl(lb1, 'statsu'), ...refused]);
	t.is(unknown.code, ExitCode.usage);
	t.regex(unknown.stderr, /^error: unknown command 'statsu'$/m);
	t.deepEqual(await traces(lb1), noTraces);
});

test('a pid file that cannot be written', async t => {
	const {daemonName, configFile} = lab().lb1;
	lab().lb1.configure(reference.primary);
	const {code, stderr} = await lbd(['--name', daemonName, '-f', configFile, '--pid', '/nowhere/lbd.pid']);
	t.is(code, ExitCode.failure, stderr);
	t.regex(stderr, /^lbd: pid file: \/nowhere\/lbd\.pid: ENOENT: /m);
	t.deepEqual(await traces(lab().lb1), noTraces);
});

test('a log on a full disk does not end the daemon', async t => {
	const {lb1} = lab();
	lb1.configure(sound);
	const toFullDisk = ['sh', '-c', 'exec "$@" >/dev/full', 'sh'];
	const ended = lbd(['--name', lb1.daemonName, '-f', lb1.configFile], toFullDisk);
	// Its start is in it, and the verifier's work.
	await waitFor('lb1 holds the VIPs', async () => (await lb1.vips()).length === 2, {timeoutMs: 3 * PATIENCE_MS});
	const {daemon} = (await lb1.lbctl('status')) as {readonly daemon: Status};
	process.kill(daemon.pid, 'SIGTERM');
	t.is((await ended).code, ExitCode.ok);
	t.is((await lbctl(lb1, 'unload')).code, ExitCode.ok);
	t.deepEqual(await traces(lb1), noTraces);
});

test('a second daemon with the same name, or on the same NICs, changes nothing for the first', async t => {
	const {client, directory, lb1} = lab();
	lb1.configure(sound);
	await startPrimary(lab());
	await allServe(lb1);
	const pidFile = join(directory, 'second.pid');
	const before = await traces(lb1);
	const held = await client.hold();

	const same = await lbd(['--name', lb1.daemonName, '-f', lb1.configFile, '--pid', pidFile]);
	t.is(same.code, ExitCode.alreadyRunning, same.stderr);
	t.regex(
		complaints(same).join('\n'),
		/^lbd: a daemon named "\S+" already runs with pid \d+ \(stop it first, or choose another --name\)$/,
	);
	t.throws(() => readFileSync(pidFile), {code: 'ENOENT'});
	t.deepEqual(await traces(lb1), before);

	const rival = `${lb1.daemonName}-rival`;
	t.teardown(() => {
		for (const path of [`/run/lbd/${rival}.lock`, `/sys/fs/bpf/lbd/${rival}`])
			rmSync(path, {recursive: true, force: true});
	});
	const busy = await lbd(['--name', rival, '-f', lb1.configFile]);
	t.is(busy.code, ExitCode.kernel, busy.stderr);
	const holder = `the daemon named "${lb1.daemonName}" has it: a NIC serves one daemon;`;
	t.true(complaints(busy).join('\n').startsWith(`lbd: attach program: eth0: EBUSY (${holder}`), busy.stderr);
	t.deepEqual(await traces(lb1), before);
	t.like(await traces(lb1, rival), {pinned: false, socket: false});

	t.is((await lbctl(lb1, 'status')).code, ExitCode.ok);
	t.is((await held.ask()).body, held.first.body);
	t.deepEqual(answers(await client.sequence(4, {to: externalVip})), inTurn(other(held.first.body), 4));
});
