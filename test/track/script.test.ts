/** When scripts run, and what their ends come to. */
import test from 'ava';
import type {TrackedScript, TrackerResult} from '../../src/conf/model.js';
import {type Judgement, judge, ScriptWatch} from '../../src/track/script.js';
import {FakeClock, milliseconds, seconds} from '../fake/clock.js';
import {FakeLog} from '../fake/log.js';
import {FakeScripts} from '../fake/scripts.js';

const place = {file: 'keepalived.conf', line: 1, column: 1};

function tracked(changes: Partial<TrackedScript> = {}): TrackedScript {
	return {
		place,
		name: 'check',
		script: {argv: ['/bin/check'], user: null, group: null, secured: false},
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
	const scripts = new FakeScripts('/bin/check', '/bin/other');
	const log = new FakeLog();
	const results: TrackerResult[] = [];
	const watch = new ScriptWatch(tracked(changes), {clock, scripts, log, onResult: result => results.push(result)});
	return {clock, scripts, log, results, watch};
}

test('runs at once, then at fixed times, whatever a run takes', async t => {
	const {clock, scripts} = setUp();
	for (const tookS of [0.2, 0.7, 0.1]) {
		t.is(scripts.running.length, 1);
		clock.advance(seconds(tookS));
		await scripts.exit(0);
		clock.advance(seconds(1 - tookS));
	}
	t.is(scripts.started, 4);
	t.is(clock.nowUs(), seconds(3));
});

test('never twice at once: a run that is due meanwhile is left out, in keepalived’s words', async t => {
	const {clock, scripts, log} = setUp({timeoutUs: seconds(5)});
	t.is(scripts.running[0]?.timeoutUs, seconds(5));
	clock.advance(seconds(2.5));
	t.is(scripts.started, 1);
	const skipped = 'info Track script check is already running, expect idle - skipping run';
	t.deepEqual(log.take(), [skipped, skipped]);
	await scripts.exit(0);
	clock.advance(milliseconds(500));
	t.is(scripts.started, 2);
});

test('a run that was due while the one before ran out of time begins when that has ended', async t => {
	const {clock, scripts} = setUp();
	for (let run = 1; run <= 3; run++) {
		clock.advance(seconds(1));
		t.is(scripts.started, run);
		await scripts.end({kind: 'timeout'});
		t.is(scripts.started, run + 1);
	}
});

test('tells what changes, once, in keepalived’s words', async t => {
	const {clock, scripts, log, results} = setUp({fall: 2});
	const run = async (status: number) => {
		await scripts.exit(status);
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
	const {clock, scripts, log, results} = setUp();
	await scripts.exit(0);
	clock.advance(seconds(1));
	await scripts.end({kind: 'timeout'});
	clock.advance(seconds(1));
	await scripts.exit(0);
	clock.advance(seconds(1));
	await scripts.end({kind: 'signalled', signal: 'SIGKILL'});
	t.deepEqual(results, ['up', 'down', 'up', 'down']);
	t.deepEqual(
		log.lines.filter(line => !line.includes('succeeded')),
		['info VRRP_Script(check) timed_out', 'info VRRP_Script(check) failed (due to signal 9)'],
	);
});

test('one that cannot be run counts for nothing until it can', async t => {
	const {clock, scripts, log, results} = setUp({fall: 3, rise: 3});
	for (let run = 0; run < 2; run++) {
		await scripts.end({kind: 'failed', reason: 'spawn /bin/check ENOENT'});
		clock.advance(seconds(1));
	}
	t.deepEqual(results, ['absent']);
	t.deepEqual(log.take(), ['warn VRRP_Script(check) counts for nothing, as it cannot be run: spawn /bin/check ENOENT']);
	await scripts.exit(1);
	t.deepEqual(results, ['absent', 'down'], 'its first run decides');
	clock.advance(seconds(1));
	await scripts.end({kind: 'failed', reason: 'spawn /bin/check ENOENT'});
	t.deepEqual(results, ['absent', 'down'], 'one that has run and is gone has failed');
});

test('a reload of the same script keeps its result and its rhythm', async t => {
	const {clock, scripts, results, watch} = setUp();
	await scripts.exit(0);
	clock.advance(milliseconds(400));
	watch.configure(tracked({place: {...place, line: 7}}));
	t.is(scripts.started, 1);
	clock.advance(milliseconds(600));
	t.is(scripts.started, 2);
	t.deepEqual(results, ['up']);
});

test('a reload of another script ends the old one, begins at once and inherits the result', async t => {
	const {clock, scripts, results, watch} = setUp();
	await scripts.exit(0);
	clock.advance(seconds(1));
	const [old] = scripts.running;
	watch.configure(tracked({fall: 2, script: {argv: ['/bin/other'], user: null, group: null, secured: false}}));
	t.true(old?.aborted());
	t.is(scripts.running[1]?.argv[0], '/bin/other');
	await scripts.end({kind: 'timeout'});
	t.deepEqual(results, ['up'], 'how the old one ended means nothing');
	await scripts.exit(1);
	t.deepEqual(results, ['up'], 'one failure of two');
	clock.advance(seconds(1));
	await scripts.exit(1);
	t.deepEqual(results, ['up', 'down']);
});

test('stops: no timer, no run', async t => {
	const {clock, scripts, results, watch} = setUp();
	const [running] = scripts.running;
	watch.stop();
	t.true(running?.aborted());
	await scripts.end({kind: 'timeout'});
	t.deepEqual(results, []);
	t.deepEqual(clock.timers(), []);
});
