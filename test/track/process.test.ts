/** Processes that run, and how many of them. */
import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {copyFileSync, mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import test from 'ava';
import type {TrackedProcess} from '../../src/conf/model.js';
import type {RunningProcess} from '../../src/host/host.js';
import {realClock} from '../../src/host/real/clock.js';
import {realProcesses} from '../../src/host/real/processes.js';
import {matches, ProcessWatch} from '../../src/track/process.js';
import {FakeClock, seconds} from '../fake/clock.js';
import {FakeLog} from '../fake/log.js';

const place = {file: 'keepalived.conf', line: 1, column: 1};

function tracked(changes: Partial<TrackedProcess> = {}): TrackedProcess {
	return {
		place,
		name: 'proxy',
		process: 'haproxy',
		fullCommand: false,
		parameters: null,
		quorum: 1,
		quorumMax: Number.MAX_SAFE_INTEGER,
		upDelayUs: 0,
		downDelayUs: 0,
		...changes,
	};
}

const haproxy: RunningProcess = {name: 'haproxy', command: ['/usr/sbin/haproxy', '-f', '/etc/haproxy.cfg']};
const command = {process: '/usr/sbin/haproxy', fullCommand: true} as const;

for (const [what, changes, expected] of [
	['its name', {}, true],
	['another name', {process: 'nginx'}, false],
	['the beginning of its name', {process: 'hapro'}, false],
	['its program', command, true],
	['its program, as a name', {...command, process: 'haproxy'}, false],
	['its arguments', {...command, parameters: {match: 'exact', values: ['-f', '/etc/haproxy.cfg']}}, true],
	['no arguments', {...command, parameters: {match: 'exact', values: []}}, false],
	['too few arguments', {...command, parameters: {match: 'exact', values: ['-f']}}, false],
	['its first arguments', {...command, parameters: {match: 'partial', values: ['-f']}}, true],
	['half an argument', {...command, parameters: {match: 'partial', values: ['-f', '/etc']}}, false],
	['the beginning of its last argument', {...command, parameters: {match: 'initial', values: ['-f', '/etc']}}, true],
	['the beginning of another argument', {...command, parameters: {match: 'initial', values: ['-', '/etc']}}, false],
] as const) {
	test(`a process is ${expected ? '' : 'not '}found by ${what}`, t => {
		t.is(matches(tracked(changes as Partial<TrackedProcess>), haproxy), expected);
	});
}

test('the kernel cuts a name to 15 bytes', t => {
	t.true(matches(tracked({process: 'a-very-long-name'}), {name: 'a-very-long-nam', command: []}));
});

/** A machine of which a test says how many such processes run. */
function setUp(changes: Partial<TrackedProcess> = {}) {
	const clock = new FakeClock();
	const log = new FakeLog();
	const results: string[] = [];
	const machine = {running: 0};
	const processes = {list: () => Array.from({length: machine.running}, () => haproxy)};
	const watch = new ProcessWatch({
		clock,
		processes,
		log,
		onResult: (name, result) => results.push(`${name} ${result}`),
	});
	const configure = (more: Partial<TrackedProcess> = {}) => watch.configure([tracked({...changes, ...more})]);
	return {clock, log, results, machine, watch, configure};
}

test('quorum and quorum_max, in keepalived’s words', t => {
	const {clock, log, results, machine, configure} = setUp({quorum: 2, quorumMax: 3});
	for (const running of [1, 2, 3, 4, 3]) {
		machine.running = running;
		if (clock.nowUs() === 0) configure();
		clock.advance(seconds(0.25));
	}
	t.deepEqual(results, ['proxy down', 'proxy up', 'proxy down', 'proxy up']);
	const gained = 'info Quorum gained for tracked process proxy';
	t.deepEqual(log.lines, [gained, 'info Quorum lost for tracked process proxy', gained]);
});

test('a change counts when it has lasted for its delay', t => {
	const {clock, results, machine, configure} = setUp({upDelayUs: seconds(2), downDelayUs: seconds(1)});
	machine.running = 1;
	configure();
	machine.running = 0;
	clock.advance(seconds(0.75));
	machine.running = 1;
	clock.advance(seconds(0.25));
	machine.running = 0;
	clock.advance(seconds(1.25));
	t.deepEqual(results, ['proxy up', 'proxy down']);
	machine.running = 1;
	clock.advance(seconds(2));
	t.deepEqual(results, ['proxy up', 'proxy down']);
	clock.advance(seconds(0.25));
	t.deepEqual(results, ['proxy up', 'proxy down', 'proxy up']);
});

test('a reload keeps what is known', t => {
	const {clock, results, machine, configure, watch} = setUp();
	machine.running = 1;
	configure();
	configure({downDelayUs: seconds(1)});
	machine.running = 0;
	clock.advance(seconds(0.5));
	t.deepEqual(results, ['proxy up']);
	watch.configure([]);
	t.deepEqual(clock.timers(), []);
});

test('real processes are found when they come and when they are gone', async t => {
	t.timeout(20_000);
	const directory = mkdtempSync(join(tmpdir(), 'track-'));
	const program = join(directory, `tr${process.pid}`);
	copyFileSync('/bin/sleep', program);
	const children: ChildProcess[] = [];
	const seen: string[] = [];
	let arrived = (): void => {};
	const watch = new ProcessWatch({
		clock: realClock,
		processes: realProcesses,
		log: new FakeLog(),
		onResult: (name, result) => {
			seen.push(`${name} ${result}`);
			arrived();
		},
	});
	t.teardown(() => {
		watch.stop();
		for (const child of children) child.kill('SIGKILL');
		rmSync(directory, {recursive: true});
	});
	const saw = (count: number) =>
		new Promise<void>(resolve => {
			arrived = () => seen.length >= count && resolve();
			arrived();
		});
	const byName = tracked({name: 'name', process: `tr${process.pid}`});
	const parameters = {match: 'partial', values: ['60']} as const;
	watch.configure([byName, tracked({name: 'command', process: program, fullCommand: true, parameters})]);
	await saw(2);
	const child = spawn(program, ['60'], {stdio: 'ignore'});
	children.push(child);
	await saw(4);
	const gone = once(child, 'exit');
	child.kill();
	await gone;
	await saw(6);
	t.deepEqual(seen, ['name down', 'command down', 'name up', 'command up', 'name down', 'command down']);
});
