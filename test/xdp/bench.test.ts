/** `lbctl bench` on the real kernel: what it says, and that nothing is left of it. */
import {execFile} from 'node:child_process';
import {existsSync, readdirSync, readlinkSync} from 'node:fs';
import {promisify} from 'node:util';
import test from 'ava';
import {measureProgramTime} from '../../src/bench/program-time.js';
import {realClock} from '../../src/host/real/clock.js';
import {program} from '../lab/observe.js';

const CASES = [
	'not ours',
	'established, 1 flow',
	'established, 64K flows',
	'established, 1M flows',
	'reply, 1 flow',
	'new connection',
	'established, 1 flow, IPv6',
	'established, 64K flows, IPv6',
];
/** Ten times what it takes where nothing else runs. */
const LIMIT_MS = 120_000;

/** Kernel objects that this process holds, by kind. */
function held(): string[] {
	const links = readdirSync('/proc/self/fd').map(fd => {
		try {
			return readlinkSync(`/proc/self/fd/${fd}`);
		} catch {
			return ''; // the folder's own, closed by now
		}
	});
	return links.filter(link => link.includes('bpf'));
}

function pins(): string[] {
	return existsSync('/sys/fs/bpf/lbd') ? readdirSync('/sys/fs/bpf/lbd').filter(name => name.includes('+')) : [];
}

test.serial('every case is measured, and no program, map or pin is left', async t => {
	t.timeout(LIMIT_MS);
	const {machine, figures} = await measureProgramTime(realClock);
	t.regex(machine.kernel, /^\d+\.\d+/);
	t.deepEqual(
		figures.map(({name}) => name),
		CASES,
	);
	for (const {name, unit, median, low, high} of figures) {
		t.is(unit, 'ns');
		t.true(low <= median && median <= high, name);
	}
	const cost = (name: string): number => figures.find(figure => figure.name === name)?.median ?? Number.NaN;
	t.true(cost('not ours') < cost('new connection'), 'what is looked up costs more than what is not');
	t.deepEqual(held(), []);
	t.deepEqual(pins(), []);
});

test.serial('who may not load programs is told so', async t => {
	const [command = '', ...args] = program('lbctl');
	const nobody = ['--reuid', '65534', '--regid', '65534', '--clear-groups', '--', command, ...args, 'bench'];
	const error = await t.throwsAsync(promisify(execFile)('setpriv', nobody));
	t.like(error, {code: 4, stdout: ''});
	t.regex(
		(error as {stderr?: string}).stderr ?? '',
		/EPERM \(this needs root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON\)\n$/,
	);
});
