import test from 'ava';
import type {Diagnostic} from '../../src/conf/diagnostics.js';
import type {Place} from '../../src/conf/model.js';
import {lockName} from '../../src/control/lock.js';
import {ExitCode} from '../../src/errors.js';
import {STATUS, scene} from './scene.js';

const COMPLAINT: Diagnostic = {
	severity: 'error',
	code: 'unknown-keyword',
	place: {file: 'lb.conf', line: 3, column: 5},
	text: "unknown keyword 'dealy_loop'",
	wayOut: 'did you mean delay_loop?',
};

const findings = (...diagnostics: readonly Diagnostic[]) => ({
	diagnostics,
	excerpt: ({line}: Place) => [`  ${line} |     dealy_loop 5`, '    |     ^~~~~~~~~~'],
});

test('usage errors exit with 64 and say what is wrong', async t => {
	const {lbctl} = await scene(t);
	for (const argv of [['statsu'], ['flows', '--limit', 'many'], ['check'], ['--nmae', 'x', 'status']]) {
		const {code, out, err} = await lbctl(...argv);
		t.is(code, ExitCode.usage, argv.join(' '));
		t.is(out, '');
		t.regex(err, /^error: /);
	}
});

test('a name that is none is refused before it becomes a path', async t => {
	const {lbctl} = await scene(t);
	const {code, err} = await lbctl('--name', '../../etc/passwd', 'status');
	t.is(code, ExitCode.usage);
	t.regex(err, /^lbctl: --name: "..\/..\/etc\/passwd": not usable as a name/);
});

test('no daemon and no maps: status still says what there is to say', async t => {
	const {lbctl} = await scene(t, {daemon: null, pinned: false});
	const {code, out, err} = await lbctl('status');
	t.is(code, ExitCode.failure);
	t.is(out, 'lbd default: not running\n');
	t.is(err.split('\n').length, 3);
});

test('no maps: one line and an exit code', async t => {
	const {lbctl} = await scene(t, {pinned: false});
	t.deepEqual(await lbctl('flows'), {
		code: ExitCode.failure,
		out: '',
		err: 'lbctl: open pin: /sys/fs/bpf/lbd/default/services: ENOENT (no maps are pinned)\n',
	});
});

test('the maps are closed also when a command fails', async t => {
	const {lbctl, view} = await scene(t);
	t.is((await lbctl('maps', 'dump', 'nothing')).code, ExitCode.failure);
	t.true(view.closed);
});

test('something unforeseen is a bug and asks to be reported', async t => {
	const {lbctl, view} = await scene(t);
	view.drops = () => {
		throw new TypeError('undefined is not a function');
	};
	const {code, err} = await lbctl('drops');
	t.is(code, ExitCode.bug);
	t.regex(err, /^lbctl: this is a bug, please report it: TypeError/);
});

test('colours on a terminal only where they mean something', async t => {
	const {lbctl} = await scene(t, {style: {colour: true, width: 100}});
	const {out} = await lbctl('backends');
	t.true(out.includes('\u001b[32mup\u001b[0m'));
	t.true(out.includes('\u001b[31mdown\u001b[0m'));
});

test('no table is wider than 100 columns', async t => {
	const {lbctl} = await scene(t);
	for (const command of ['status', 'services', 'backends', 'flows', 'persistence', 'vrrp', 'maps', 'drops']) {
		const {out} = await lbctl(command);
		const widest = Math.max(...out.split('\n').map(line => line.length));
		t.true(widest <= 100, `${command}: ${widest}`);
	}
});

test('status shows a reload that was refused', async t => {
	const lastReload = {
		applied: false,
		summary: 'lb.conf has 1 error; the old configuration stays',
		at: '2026-01-02T03:04:05.000Z',
		diagnostics: [],
		exitCode: ExitCode.badValue,
	};
	const {lbctl} = await scene(t, {daemon: {status: () => ({...STATUS, lastReload})}});
	const {out} = await lbctl('status');
	t.regex(out, /last reload refused at 2026-01-02T03:04:05.000Z: lb.conf has 1 error/);
});

test('reload prints every complaint and exits as the daemon says', async t => {
	const report = {
		applied: false,
		summary: 'nothing was changed',
		at: '2026-01-02T03:04:05.000Z',
		diagnostics: ['lb.conf:3:5: error: no such thing'],
		exitCode: ExitCode.unknownKeyword,
		changes: [],
		mapEntries: 0,
	};
	const {lbctl} = await scene(t, {daemon: {reload: () => report}});
	t.deepEqual(await lbctl('reload'), {
		code: ExitCode.unknownKeyword,
		out: 'lb.conf:3:5: error: no such thing\nnothing was changed\n',
		err: '',
	});
});

test('plan asks about the file as the caller means it, and shows changes with whom they touch', async t => {
	const about = {
		blocks: ['virtual_server 192.168.1.1:80', 'real_server 10.0.0.71:80'],
		connections: 40,
		persistenceEntries: 3,
	};
	const changes = [
		{...about, kind: 'changed', what: 'weight', before: '1', after: '3', fate: 'stay'},
		{
			...about,
			kind: 'removed',
			what: 'real_server 10.0.0.72:80',
			before: null,
			after: null,
			fate: 'wait',
			connections: 1234,
		},
		{
			...about,
			kind: 'added',
			what: 'real_server 10.0.0.73:80',
			before: null,
			after: null,
			fate: 'stay',
			connections: 0,
		},
	] as const;
	const asked: string[] = [];
	const report = {
		accepted: true,
		summary: 'would be put in force',
		diagnostics: [],
		changes,
		mapEntries: 3,
		exitCode: ExitCode.ok,
	};
	const {lbctl} = await scene(t, {
		daemon: {
			plan: ({file}) => {
				asked.push(file);
				return {...report, file};
			},
		},
	});
	const {code, out} = await lbctl('plan', 'new.conf', '--limit', '2');
	t.is(code, ExitCode.ok);
	t.is(
		out,
		`CONNECTIONS  WHICH  PERSISTENCE  CHANGE
         40  stay             3  virtual_server 192.168.1.1:80: real_server 10.0.0.71:80: weight 1 → 3
      1,234  wait             3  virtual_server 192.168.1.1:80: real_server 10.0.0.71:80: real_server 10.0.0.72:80 removed
1 more changes; --limit 0 shows all
would be put in force
`,
	);
	t.deepEqual(JSON.parse((await lbctl('--json', 'plan', '/etc/new.conf')).out).changes, changes);
	t.deepEqual(asked, [`${process.cwd()}/new.conf`, '/etc/new.conf']);
});

test('check prints file, line and column, and exits by the first error', async t => {
	const {lbctl} = await scene(t, {diagnose: async () => findings(COMPLAINT)});
	t.deepEqual(await lbctl('check', 'lb.conf'), {
		code: ExitCode.unknownKeyword,
		out: "lb.conf:3:5: error: unknown keyword 'dealy_loop' (did you mean delay_loop?)\nlb.conf: cannot be used (1 error, 0 warnings)\n",
		err: '',
	});
});

test('check: warnings alone are fine', async t => {
	const {lbctl} = await scene(t, {diagnose: async () => findings({...COMPLAINT, severity: 'warning'})});
	const {code, out} = await lbctl('check', 'lb.conf');
	t.is(code, ExitCode.ok);
	t.regex(out, /lb.conf: can be used \(0 errors, 1 warning\)\n$/);
});

test('check --strict: warnings fail', async t => {
	const {lbctl} = await scene(t, {diagnose: async () => findings({...COMPLAINT, severity: 'warning'})});
	const {code, out} = await lbctl('check', '--strict', 'lb.conf');
	t.is(code, ExitCode.unknownKeyword);
	t.regex(out, /lb.conf: cannot be used \(0 errors, 1 warning, which count as errors\)\n$/);
});

test('check shows the line to people', async t => {
	const style = {colour: false, terminal: true, width: 100};
	const {lbctl} = await scene(t, {diagnose: async () => findings(COMPLAINT), style});
	const {out} = await lbctl('check', 'lb.conf');
	t.deepEqual(out.split('\n').slice(1, 3), ['  3 |     dealy_loop 5', '    |     ^~~~~~~~~~']);
});

test('check tells of another machine by its ID', async t => {
	const asked: (string | undefined)[] = [];
	const diagnose = async (_: string, configId: string | undefined) => {
		asked.push(configId);
		return findings();
	};
	const {lbctl} = await scene(t, {diagnose});
	await lbctl('check', '-i', 'backup', 'lb.conf');
	await lbctl('check', 'lb.conf');
	t.deepEqual(asked, ['backup', undefined]);
});

test('check --explain says where a keyword may stand and how far it is supported', async t => {
	const {lbctl} = await scene(t);
	t.deepEqual(await lbctl('check', '--explain', 'advert_int'), {
		code: ExitCode.ok,
		out: 'advert_int SECONDS 0.01-255\n    in the file › vrrp_instance: supported\n',
		err: '',
	});
	t.is((await lbctl('check', '--explain', 'NASK')).err, 'lbctl: "NASK" is no keyword of keepalived.conf or of ours\n');
	t.regex((await lbctl('check', '--explain', 'label')).out, /^virtual_ipaddress .* \[label LABEL\]/);
	const {code, err} = await lbctl('check', '--explain', 'advert_itn');
	t.is(code, ExitCode.unknownKeyword);
	t.is(err, `lbctl: "advert_itn" is no keyword of keepalived.conf or of ours (did you mean 'advert_int'?)\n`);
	const {out} = await lbctl('--json', 'check', '--explain', 'lvs_flush');
	t.like(JSON.parse(out), {keyword: 'lvs_flush', entries: [{blocks: ['global_defs'], support: 'accepted'}]});
});

test('unload refuses while the daemon runs, and holds its lock meanwhile', async t => {
	const {lbctl, directory, unloaded} = await scene(t, {daemon: null});
	const daemon = lockName('default', directory);
	const {code, err} = await lbctl('unload');
	t.is(code, ExitCode.alreadyRunning);
	t.is(err, 'lbctl: unload: the daemon named "default" is running (stop it first: systemctl stop lbd)\n');
	t.deepEqual(unloaded, []);
	daemon.release();
	t.is((await lbctl('unload')).code, ExitCode.ok);
	t.deepEqual(unloaded, ['default']);
	lockName('default', directory).release();
});
