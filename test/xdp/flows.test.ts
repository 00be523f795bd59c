import test from 'ava';
import {countFlows, type Flow, type FlowMemory, flowStateName, liveFlows} from '../../src/xdp/flows.js';
import {type FlowSlot, FlowState, flowSlot, type Settings} from '../../src/xdp/layout.gen.js';
import {flowTimeouts, tickShifts} from '../../src/xdp/time.js';

const HZ = 250;
const SHIFTS = tickShifts(HZ);
const SETTINGS: Settings = {
	layoutVersion: 1,
	flowBucketMask: 0,
	flow6BucketMask: 0,
	persistenceBucketMask: 0,
	services: 256,
	backends: 4096,
	fineShift: SHIFTS.fine,
	coarseShift: SHIFTS.coarse,
	hz: HZ,
	virtualVerdicts: 0n,
	routeGeneration: 0,
	flags: 0,
	sharedPerCpu: 4096,
	blocksChanged: 0,
	timeouts: flowTimeouts({tcp: 900, tcpFin: 120, udp: 300}, HZ),
	filter: new Uint8Array(),
	nics: [],
};
/** Both clocks have wrapped around since boot. */
const NOW = (1n << 41n) + 12_345n;

function memory(bytes: Uint8Array): FlowMemory[4] {
	return {size: bytes.length, copy: (offset, into) => into.set(bytes.subarray(offset, offset + into.length))};
}

/** A table of so many slots, at least one bucket; those not given are empty. */
function table(slots: ReadonlyMap<number, FlowSlot>, count: number): FlowMemory {
	const bytes = new Uint8Array(count * flowSlot.size);
	for (const [index, slot] of slots) {
		flowSlot.encode(slot, new DataView(bytes.buffer, index * flowSlot.size, flowSlot.size));
	}
	return {4: memory(bytes), 6: memory(new Uint8Array())};
}

/** 10.0.0.50:40000 > 192.168.1.1:80 at backend 7, last heard of so many jiffies ago. */
function slot(state: number, agoJiffies: number): FlowSlot {
	const heard = NOW - BigInt(agoJiffies);
	const halfOpen = state === FlowState.FLOW_SYN_RECV || state === FlowState.FLOW_SYN_ACK;
	const sequence = 0xbeefn << 16n;
	const stamp = halfOpen
		? sequence | BigInt.asUintN(16, heard >> BigInt(SHIFTS.fine))
		: BigInt.asUintN(32, heard >> BigInt(SHIFTS.coarse));
	return {
		addrs: [0x0101_a8c0_3200_000an],
		ports: (6n << 32n) | 0x5000_409cn,
		word: (0xabn << 56n) | (1n << 55n) | (BigInt(state) << 48n) | (7n << 32n) | stamp,
		nextHop: 0n,
	};
}

function only(state: number, agoJiffies: number): Flow[] {
	return [...liveFlows(table(new Map([[2, slot(state, agoJiffies)]]), 4), SETTINGS, NOW)];
}

test('a slot is decoded: both ends, backend, state, age', t => {
	const [flow, ...others] = only(FlowState.FLOW_ESTABLISHED, 10 * HZ);
	t.deepEqual(others, []);
	t.like(flow, {
		clientAddr: Uint8Array.of(10, 0, 0, 50),
		clientPort: 40000,
		serviceAddr: Uint8Array.of(192, 168, 1, 1),
		servicePort: 80,
		proto: 6,
		backend: 7,
		state: FlowState.FLOW_ESTABLISHED,
	});
	const tick = 2 ** SHIFTS.coarse;
	t.true(Math.abs((flow?.idleJiffies ?? 0) - 10 * HZ) <= tick);
	t.true(Math.abs((flow?.leftJiffies ?? 0) - 890 * HZ) <= tick);
});

test('a half-open flow keeps the fine clock, below the sequence number of the server', t => {
	const [flow] = only(FlowState.FLOW_SYN_ACK, 5 * HZ);
	t.true(Math.abs((flow?.idleJiffies ?? 0) - 5 * HZ) <= 2 ** SHIFTS.fine);
	t.deepEqual(only(FlowState.FLOW_SYN_ACK, 61 * HZ), []);
});

test('a stamp of another CPU may be a tick ahead', t => {
	for (const state of [FlowState.FLOW_SYN_RECV, FlowState.FLOW_ESTABLISHED]) {
		const [flow] = only(state, -(2 ** SHIFTS.coarse));
		t.is(flow?.idleJiffies, 0);
	}
});

test('empty, claimed and expired slots are no flows', t => {
	for (const state of [FlowState.FLOW_EMPTY, FlowState.FLOW_BUSY]) t.deepEqual(only(state, 0), []);
	t.is(only(FlowState.FLOW_CLOSED, 9 * HZ).length, 1);
	t.is(only(FlowState.FLOW_CLOSED, 12 * HZ).length, 0);
});

test('flows are counted by backend and state, wherever they are in a large table', t => {
	const slots = new Map([
		[0, slot(FlowState.FLOW_ESTABLISHED, 0)],
		[4095, slot(FlowState.FLOW_ESTABLISHED, 0)],
		[4096, slot(FlowState.FLOW_TIME_WAIT, 0)],
		[9999, slot(FlowState.FLOW_CLOSED, 12 * HZ)],
	]);
	const memory = table(slots, 10_000);
	const counts = countFlows(memory, SETTINGS, NOW);
	t.deepEqual([...counts.byBackend], [[7, 3]]);
	t.deepEqual([...counts.activeByBackend], [[7, 2]]);
	t.deepEqual(
		[...counts.byState],
		[
			[FlowState.FLOW_ESTABLISHED, 2],
			[FlowState.FLOW_TIME_WAIT, 1],
		],
	);
	t.is([...liveFlows(memory, SETTINGS, NOW)].length, 3);
});

test('states have the names that lbctl and the metrics show', t => {
	t.is(flowStateName(FlowState.FLOW_TIME_WAIT), 'time_wait');
	t.is(flowStateName(15 as FlowState), 'state_15');
});
