import test from 'ava';
import type {Outcome} from '../../lab/protocol.js';
import {
	allowances,
	downloadTroubles,
	heldTroubles,
	isAllowed,
	longestDoubleMs,
	MASTER_DOWN_MS,
	moves,
	STALL_MS,
	streamTroubles,
	type Trouble,
} from './judge.js';
import type {Action} from './plan.js';

function outcome(fields: Partial<Outcome>): Outcome {
	const startedMs = fields.startedMs ?? 0;
	const stall = {startedMs, ms: 1000};
	return {from: '198.18.0.1', status: 200, body: 'web1', bytes: 5, error: null, startedMs, ms: 2, stall, ...fields};
}

/** A request every 20 ms; each letter is how it went: `.` prompt, `l` late, `v` very late, `x` lost. */
function stream(course: string): Outcome[] {
	const ms: Readonly<Record<string, number>> = {l: 1200, v: 10_000, x: 4000};
	return [...course].map((went, n) =>
		outcome({
			startedMs: n * 20,
			ms: ms[went] ?? 2,
			...(went === 'x' ? {status: null, error: 'ETIMEDOUT'} : {}),
		}),
	);
}

test('a stream: what is lost or very late is a trouble, what is late is not', t => {
	t.deepEqual(streamTroubles('stream', stream('..ll..'), 0), []);
	t.like(streamTroubles('stream', stream('..xlx..x.'), 0), [
		{what: 'failed', fromMs: 40, untilMs: 100, text: '3 requests not in time, 2 failed: ETIMEDOUT'},
		{what: 'failed', fromMs: 140, untilMs: 160},
	]);
	t.like(streamTroubles('stream', stream('.v.'), 0), [{what: 'stalled', fromMs: 20, untilMs: 40}]);
	t.deepEqual(streamTroubles('stream', stream('.v.'), 10_000), [], 'the machine itself was late');
});

test('a download ends at its deadline, with bytes all the time', t => {
	const whole = outcome({error: 'ETIMEDOUT', status: null, bytes: 1e6, ms: 60_000});
	t.deepEqual(downloadTroubles(whole, 0), []);
	t.like(downloadTroubles({...whole, error: 'ECONNRESET'}, 0), [{what: 'failed', fromMs: 59_000, untilMs: 60_000}]);
	t.like(downloadTroubles({...whole, bytes: 0}, 0), [{what: 'failed'}]);
	const stall = {startedMs: 5000, ms: STALL_MS + 1};
	t.like(downloadTroubles({...whole, stall}, 0), [{what: 'stalled', fromMs: 5000, untilMs: 5000 + STALL_MS + 1}]);
	t.deepEqual(downloadTroubles({...whole, stall}, 10), []);
});

test('a held connection answers, from where it was', t => {
	t.deepEqual(heldTroubles(outcome({}), outcome({}), 0), []);
	t.like(heldTroubles(outcome({}), outcome({error: 'ECONNRESET', body: ''}), 0), [{what: 'failed', server: 'web1'}]);
	t.like(heldTroubles(outcome({}), outcome({body: 'web2'}), 0), [{what: 'moved', server: 'web1'}]);
	t.like(heldTroubles(outcome({}), outcome({ms: STALL_MS + 1}), 0), [{what: 'stalled'}]);
});

test('a client moves from its home to another, which is its home then', t => {
	const outcomes = ['web1', 'web2', 'web2', 'web1'].map((body, n) => outcome({body, startedMs: n * 100}));
	const {troubles, home} = moves('persistent client', outcomes, 'web1');
	t.is(home, 'web1');
	t.like(troubles, [
		{what: 'moved', fromMs: 100, server: 'web1'},
		{what: 'moved', fromMs: 300, server: 'web2'},
	]);
});

const BEGAN_MS = 100_000;

/** What is wrong for a client, from so long after the beginning of the disturbance on. */
function trouble(fields: Partial<Trouble> & {afterMs: number; forMs: number}): Trouble {
	const {afterMs, forMs, ...rest} = fields;
	const fromMs = BEGAN_MS + afterMs;
	return {
		who: 'stream',
		what: 'failed',
		openedMs: fromMs,
		fromMs,
		untilMs: fromMs + forMs,
		server: null,
		text: '',
		...rest,
	};
}

function allows(actions: Action | readonly Action[], one: Trouble, latenessMs = 0): boolean {
	const times = {beganMs: BEGAN_MS, endedMs: BEGAN_MS + 6000, settledMs: BEGAN_MS + 20_000};
	const allowed = allowances([actions].flat().map(action => ({action, ...times})));
	return isAllowed(one, allowed, latenessMs);
}

const powerLoss: Action = {kind: 'power-loss', node: 'lb1', forMs: 6000};

test('a power loss of the master: nobody is served until its backup has waited, and what is young is lost', t => {
	t.true(allows(powerLoss, trouble({afterMs: 0, forMs: MASTER_DOWN_MS})));
	t.false(allows(powerLoss, trouble({afterMs: 0, forMs: MASTER_DOWN_MS + 3000})), 'for too long');
	t.true(allows(powerLoss, trouble({afterMs: 0, forMs: MASTER_DOWN_MS + 3000}), 3000), 'but the machine was late');
	t.false(allows(powerLoss, trouble({afterMs: 8000, forMs: 20})), 'when it is over');
	const reset = {who: 'held connection', afterMs: 15_000, forMs: 1} as const;
	t.false(allows(powerLoss, trouble({...reset, openedMs: BEGAN_MS - 101})));
	t.true(allows(powerLoss, trouble({...reset, openedMs: BEGAN_MS - 99})));
	const stall = {who: 'download', what: 'stalled', openedMs: 0, afterMs: -900} as const;
	t.true(allows(powerLoss, trouble({...stall, forMs: 2 * MASTER_DOWN_MS})), 'TCP tries again later and later');
	t.false(allows(powerLoss, trouble({...stall, forMs: 4 * MASTER_DOWN_MS})));
});

test('the backup, lbd and lbd-sync may be killed at no cost; so may a file be reloaded', t => {
	const free: Action[] = [
		{kind: 'kill', node: 'lb2', part: 'everything', forMs: 6000},
		{kind: 'kill', node: 'lb1', part: 'lbd', forMs: 6000},
		{kind: 'kill-child', node: 'lb1', part: 'lbd-sync'},
		{kind: 'stop', node: 'lb1', forMs: 6000},
		{kind: 'release', forMs: 6000},
		{kind: 'edit', edit: 'weights', forMs: 6000},
		{kind: 'bad-file'},
	];
	for (const action of free) t.false(allows(action, trouble({afterMs: 10, forMs: 20})), action.kind);
});

test('who takes back may be told late of a connection where the machine was late, and only of a young one', t => {
	const pull: Action = {kind: 'pull-cable', node: 'lb1', device: 'eth1', forMs: 2000};
	for (const action of [
		powerLoss,
		pull,
		{kind: 'stop', node: 'lb1', forMs: 6000},
		{kind: 'release', forMs: 6000},
	] as const) {
		const reset = trouble({afterMs: 9000, forMs: 20});
		t.false(allows(action, reset, 10));
		t.true(allows(action, reset, 50));
		t.false(allows(action, {...reset, openedMs: reset.openedMs - 100}, 50));
	}
});

test('a stopped server costs its own connections and clients, and a failed check its clients', t => {
	const stop: Action = {kind: 'stop-server', server: 'web1', forMs: 6000};
	const fail: Action = {kind: 'fail-check', server: 'web1', forMs: 6000};
	const reset = trouble({who: 'held connection', openedMs: 0, server: 'web1', afterMs: 9000, forMs: 1});
	t.true(allows(stop, reset));
	t.false(allows(stop, {...reset, server: 'web2'}));
	t.false(allows(fail, reset));
	const moved = trouble({who: 'persistent client', what: 'moved', server: 'web1', afterMs: 3000, forMs: 1});
	for (const action of [stop, fail]) {
		t.true(allows(action, moved));
		t.false(allows(action, {...moved, server: 'web2'}));
	}
	t.false(allows(fail, {...moved, who: 'held connection', server: 'web2'}));
});

test('a failed check costs a flow of datagrams the answer that is on its way', t => {
	const fail: Action = {kind: 'fail-check', server: 'web1', forMs: 6000};
	t.true(allows(fail, trouble({who: 'datagrams', afterMs: 2000, forMs: 20})));
	t.false(allows(fail, trouble({who: 'datagrams', afterMs: 2000, forMs: 2000})));
});

test('nobody notices a stopped server while nobody checks', t => {
	const stop: Action = {kind: 'stop-server', server: 'web1', forMs: 6000};
	const late = trouble({afterMs: 6000, forMs: 3000});
	t.false(allows(stop, late));
	t.true(allows([stop, {kind: 'freeze', node: 'lb1', part: 'lbd', forMs: 6000}], late));
	t.false(allows([stop, {kind: 'freeze', node: 'lb1', part: 'lbd-sync', forMs: 6000}], late));
});

/** Adverts of two routers, each second, `a` and `b`; `0`: `a` resigns; a dot is half a second without any. */
function adverts(course: string): {atMs: number; source: string; priority: number}[] {
	return [...course].flatMap((who, n) =>
		who === '.' ? [] : [{atMs: n * 500, source: who === 'b' ? 'b' : 'a', priority: who === '0' ? 0 : 100}],
	);
}

test('two masters are those who advertise in turn', t => {
	t.is(longestDoubleMs(adverts('a.a.a.0bb.b.b')), 0, 'handed over');
	t.is(longestDoubleMs(adverts('a.a.a.......b.b.b')), 0, 'taken over');
	t.is(longestDoubleMs(adverts('b.b.ba.a.a')), 0, 'preempted');
	t.is(longestDoubleMs(adverts('abababa')), 2000);
});
