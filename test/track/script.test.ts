/** When scripts run, and what their ends come to. */
import {setImmediate} from 'node:timers/promises';
import test from 'ava';
import type {TrackedScript, TrackerResult} from '../../src/conf/model.js';
import type {ScriptEnd} from '../../src/host/host.js';
import {type Judgement, judge, ScriptWatch} from '../../src/track/script.js';
import {FakeClock, milliseconds, seconds} from '../fake/clock.js';
import {FakeLog} from '../fake/log.js';
import {FakeScripts, script} from '../fake/scripts.js';

const place = {file: 'keepalived.conf', line: 1, column: 1};

function tracked(changes: Partial<TrackedScript> = {}): TrackedScript {
	return {
		place,
		name: 'check',
		script: script('/bin/check'),
		intervalUs: seconds(1),
		timeoutUs: seconds(1),
		fall: 1,
		rise: 1,
		...changes,
	};
}

/** Successes and failures, `fall`, `rise`; the result after each. */
const sequences: readonly (readonly [runs: string, fall: number, rise: number, results: string])[] = [
	['+-+', 1, 1, '+-+'],
	['-', 3, 3, '-'],
	['+', 3, 3, '+'],
	['+--+---', 3, 1, '+++++' + '+-'],
	['-++-+++', 1, 3, '------' + '+'],
	['+--++--+', 2, 2, '+' + '+-' + '-+' + '+-' + '-'],
];

for (const [runs, fall, rise, results] of sequences) {
	test(`${runs} with fall ${fall} and rise ${rise}`, t => {
		let state: Judgement = {result: null, against: 0};
		const seen = [...runs].map(run => {
			state = judge(state, run === '+', {fall, rise});
			return state.result === 'up' ? '+' : '-';
		});
		t.is(seen.join(''), results);
	});
}

function setUp(changes: Partial<TrackedScript> = {}) {
	const clock = new FakeClock();
	const scripts = new FakeScripts();
	const log = new FakeLog();
	const results: TrackerResult[] = [];
	const watch = new ScriptWatch(tracked(changes), {clock, scripts, log, onResult: result => results.push(result)});
	/** Ends the run that goes on, and lets whoever waited for it act. */
	const end = async (how: ScriptEnd, program = '/bin/check') => {
		scripts.ends(program, how);
		await setImmediate();
	};
	const exit = (status: number, program?: string) => end({kind: 'exited', status}, program);
	return {clock, scripts, log, results, watch, end, exit};
}

test('runs at once, then at fixed times, whatever a run takes', async t => {
	const {clock, scripts, exit} = setUp();
	for (const tookS of [0.2, 0.7, 0.1]) {
		t.is(scripts.running().length, 1);
		clock.advance(seconds(tookS));
		await exit(0);
		clock.advance(seconds(1 - tookS));
	}
	t.is(scripts.started.length, 4);
	t.is(clock.nowUs(), seconds(3));
});

test('never twice at once: a run that is due meanwhile is left out, in keepalived’s words', async t => {
	const {clock, scripts, log, exit} = setUp({timeoutUs: seconds(5)});
	t.is(scripts.timeoutUs('/bin/check'), seconds(5));
	clock.advance(seconds(2.5));
	t.is(scripts.started.length, 1);
	const skipped = 'info Track script check is already running, expect idle - skipping run';
	t.deepEqual(log.take(), [skipped, skipped]);
	await exit(0);
	clock.advance(milliseconds(500));
	t.is(scripts.started.length, 2);
});

test('a run that was due while the one before ran out of time begins when that has ended', async t => {
	const {clock, scripts, end} = setUp();
	for (let run = 1; run <= 3; run++) {
		clock.advance(seconds(1));
		t.is(scripts.started.length, run);
		await end({kind: 'timeout'});
		t.is(scripts.started.length, run + 1);
	}
});

test('tells what changes, once, in keepalived’s words', async t => {
	const {clock, log, results, exit} = setUp({fall: 2});
	const run = async (status: number) => {
		await exit(status);
		clock.advance(seconds(1));
		return log.take();
	};
	t.deepEqual(await run(0), ['info VRRP_Script(check) succeeded']);
	t.deepEqual(await run(0), []);
	t.deepEqual(await run(4), ['info Script `check` now returning 4']);
	t.deepEqual(await run(4), ['info VRRP_Script(check) failed (exited with status 4)']);
	t.deepEqual(await run(4), []);
	t.deepEqual(await run(0), ['info Script `check` now returning 0', 'info VRRP_Script(check) succeeded']);
	t.deepEqual(results, ['up', 'down', 'up']);
});

test('a timeout and a signal are failures', async t => {
	const {clock, log, results, end, exit} = setUp();
	await exit(0);
	clock.advance(seconds(1));
	await end({kind: 'timeout'});
	clock.advance(seconds(1));
	await exit(0);
	clock.advance(seconds(1));
	await end({kind: 'signalled', signal: 'SIGKILL'});
	t.deepEqual(results, ['up', 'down', 'up', 'down']);
	t.deepEqual(
		log.lines.filter(line => !line.includes('succeeded')),
		['info VRRP_Script(check) timed_out', 'info VRRP_Script(check) failed (due to signal 9)'],
	);
});

test('one that cannot be run counts for nothing until it can', async t => {
	const {clock, log, results, end, exit} = setUp({fall: 3, rise: 3});
	for (let run = 0; run < 2; run++) {
		await end({kind: 'failed', reason: 'spawn /bin/check ENOENT'});
		clock.advance(seconds(1));
	}
	t.deepEqual(results, ['absent']);
	t.deepEqual(log.take(), ['warn VRRP_Script(check) counts for nothing, as it cannot be run: spawn /bin/check ENOENT']);
	await exit(1);
	t.deepEqual(results, ['absent', 'down'], 'its first run decides');
	clock.advance(seconds(1));
	await end({kind: 'failed', reason: 'spawn /bin/check ENOENT'});
	t.deepEqual(results, ['absent', 'down'], 'one that has run and is gone has failed');
});

test('a reload of the same script keeps its result and its rhythm', async t => {
	const {clock, scripts, results, watch, exit} = setUp();
	await exit(0);
	clock.advance(milliseconds(400));
	watch.configure(tracked({place: {...place, line: 7}}));
	t.is(scripts.started.length, 1);
	clock.advance(milliseconds(600));
	t.is(scripts.started.length, 2);
	t.deepEqual(results, ['up']);
});

test('a reload of another script ends the old one, begins at once and inherits the result', async t => {
	const {clock, scripts, results, watch, exit} = setUp();
	await exit(0);
	clock.advance(seconds(1));
	watch.configure(tracked({fall: 2, script: script('/bin/other')}));
	t.deepEqual(scripts.running(), ['/bin/other']);
	await setImmediate();
	t.deepEqual(results, ['up'], 'how the old one ended means nothing');
	await exit(1, '/bin/other');
	t.deepEqual(results, ['up'], 'one failure of two');
	clock.advance(seconds(1));
	await exit(1, '/bin/other');
	t.deepEqual(results, ['up', 'down']);
});

test('stops: no timer, no run', async t => {
	const {clock, scripts, results, watch} = setUp();
	watch.stop();
	await setImmediate();
	t.deepEqual([scripts.running(), results], [[], []]);
	t.deepEqual(clock.timers(), []);
});
