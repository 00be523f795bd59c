/**
 * The data plane's clocks. It counts jiffies, whose rate is a build option of the kernel; flows keep coarser ticks, so
 * that a busy flow is written once in a while only.
 */
import {EntryState, EntryTimeout, FlowState, type FlowTimeouts} from './layout.gen.js';

/** Half-open flows age in ticks of about this length, all others in ticks of about a second. */
const FINE_TICK_S = 0.016;
const COARSE_TICK_S = 1;
/** One entry for each state that four bits can name. */
const STATES = 16;
/** The 16 bits of the fine clock tell ages below half their range only: 7 to 11 minutes, depending on the kernel's rate. */
const FINE_TICKS_MAX = 2 ** 15 - 1;

const HALF_OPEN_STATES =
	(1 << FlowState.FLOW_SYN_RECV) |
	(1 << FlowState.FLOW_SYN_ACK) |
	(1 << FlowState.FLOW_UDP_ONE_WAY) |
	(1 << FlowState.FLOW_ONE_SIDED_SYN_RECV);

/** `ticks = jiffies >> shift`. */
export interface TickShifts {
	readonly fine: number;
	readonly coarse: number;
}

/** The shifts that come nearest to the wanted ticks. */
export function tickShifts(hz: number): TickShifts {
	return {fine: nearestShift(hz * FINE_TICK_S), coarse: nearestShift(hz * COARSE_TICK_S)};
}

function nearestShift(jiffies: number): number {
	return Math.max(0, Math.round(Math.log2(jiffies)));
}

/** Timeouts that the configuration may change, in seconds (`lvs_timeouts`). */
export interface ConfiguredTimeouts {
	readonly tcp: number;
	readonly tcpFin: number;
	readonly udp: number;
}

/**
 * Seconds that a flow of each state lives without a packet: IPVS's (net/netfilter/ipvs/ip_vs_proto_{tcp,udp}.c). A flow
 * whose SYN was answered counts as SYN_RECV there; one that waits for the answer as SYN_SENT. A one-sided flow that the client
 * has closed counts as FIN_WAIT.
 */
export function timeoutsS({tcp, tcpFin, udp}: ConfiguredTimeouts): ReadonlyMap<FlowState, number> {
	return new Map<FlowState, number>([
		[FlowState.FLOW_SYN_RECV, 60],
		[FlowState.FLOW_SYN_ACK, 60],
		[FlowState.FLOW_ESTABLISHED, tcp],
		[FlowState.FLOW_FIN_WAIT, tcpFin],
		[FlowState.FLOW_CLOSE_WAIT, 60],
		[FlowState.FLOW_TIME_WAIT, 120],
		[FlowState.FLOW_CLOSED, 10],
		[FlowState.FLOW_UDP_ONE_WAY, udp],
		[FlowState.FLOW_UDP_BOTH_WAYS, udp],
		[FlowState.FLOW_ONE_SIDED_SYN_RECV, 60],
		[FlowState.FLOW_ONE_SIDED_ESTABLISHED, tcp],
		[FlowState.FLOW_ONE_SIDED_CLOSE_WAIT, tcpFin],
	]);
}

/** Whether flows of a state keep the fine clock. */
export function isHalfOpen(state: number): boolean {
	return ((HALF_OPEN_STATES >> state) & 1) === 1;
}

/** Jiffies of one tick of a state's clock. */
export function tickJiffies(state: number, shifts: TickShifts): number {
	return 2 ** (isHalfOpen(state) ? shifts.fine : shifts.coarse);
}

/** The timeouts in ticks of each state's own clock, rounded up; a longer one than its clock can tell is cut short. */
export function flowTimeouts(timeouts: ConfiguredTimeouts, hz: number): FlowTimeouts {
	const shifts = tickShifts(hz);
	const ticks = new Array<number>(STATES).fill(0);
	for (const [state, seconds] of timeoutsS(timeouts)) {
		const wanted = Math.ceil((seconds * hz) / tickJiffies(state, shifts));
		ticks[state] = isHalfOpen(state) ? Math.min(wanted, FINE_TICKS_MAX) : wanted;
	}
	ticks[EntryState.ENTRY_LIVE] = EntryTimeout.ENTRY_TIMEOUT;
	return {ticks};
}
