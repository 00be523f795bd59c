import test from 'ava';
import {EVENT_NAMES, isDrop, VERDICT_NAMES} from '../../src/xdp/counters.js';
import {Event, Verdict} from '../../src/xdp/layout.gen.js';

test('verdicts and events have a name each, at their own number', t => {
	t.is(VERDICT_NAMES.length, Verdict.V_COUNT);
	t.is(VERDICT_NAMES[Verdict.V_FORWARD_NEW], 'forward_new');
	t.is(VERDICT_NAMES[Verdict.V_DROP_NO_BACKEND], 'drop_no_backend');
	t.is(new Set(VERDICT_NAMES).size, VERDICT_NAMES.length);
	t.is(EVENT_NAMES.length, Event.EVENT_COUNT);
	t.is(EVENT_NAMES[Event.EVENT_AMBIGUOUS], 'ambiguous');
});

test('only drops are drops', t => {
	t.true(isDrop('drop_ttl'));
	t.true(isDrop('answer_reset'));
	t.false(isDrop('pass_not_ours'));
	t.false(isDrop('forward'));
});
