import test from 'ava';
import {FlowState} from '../../src/xdp/layout.gen.js';
import {flowTimeouts, tickJiffies, tickShifts, timeoutsS} from '../../src/xdp/time.js';

const TIMEOUTS = {tcp: 900, tcpFin: 120, udp: 300};
const RATES = [100, 250, 300, 1000];

test('ticks are about 16 ms and about a second, whatever the rate of jiffies', t => {
	t.deepEqual(RATES.map(tickShifts), [
		{fine: 1, coarse: 7},
		{fine: 2, coarse: 8},
		{fine: 2, coarse: 8},
		{fine: 4, coarse: 10},
	]);
	t.deepEqual(tickShifts(1), {fine: 0, coarse: 0});
});

test('no timeout is shortened, or lengthened by a tick or more', t => {
	for (const hz of RATES) {
		const {ticks} = flowTimeouts(TIMEOUTS, hz);
		for (const [state, seconds] of timeoutsS(TIMEOUTS)) {
			const excess = (ticks[state] ?? 0) * tickJiffies(state, tickShifts(hz)) - seconds * hz;
			t.true(excess >= 0 && excess < tickJiffies(state, tickShifts(hz)), `state ${state} at ${hz} Hz`);
		}
	}
});

test('half-open timeouts stay below half the range of their 16-bit clock', t => {
	for (const hz of RATES) {
		const {ticks} = flowTimeouts({...TIMEOUTS, udp: 3600}, hz);
		for (const state of [FlowState.FLOW_SYN_RECV, FlowState.FLOW_SYN_ACK, FlowState.FLOW_UDP_ONE_WAY])
			t.true((ticks[state] ?? 0) < 2 ** 15);
	}
});

test('the configured timeouts are those of established, of closing and of UDP flows', t => {
	const seconds = timeoutsS({tcp: 7, tcpFin: 3, udp: 5});
	t.is(seconds.get(FlowState.FLOW_ESTABLISHED), 7);
	t.is(seconds.get(FlowState.FLOW_FIN_WAIT), 3);
	t.is(seconds.get(FlowState.FLOW_UDP_BOTH_WAYS), 5);
});

test('states that are no flow never expire', t => {
	const {ticks} = flowTimeouts(TIMEOUTS, 250);
	t.is(ticks.length, 16);
	t.is(ticks[FlowState.FLOW_EMPTY], 0);
	t.is(ticks[FlowState.FLOW_BUSY], 0);
});
