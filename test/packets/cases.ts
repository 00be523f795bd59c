/** Golden frames: what comes in, with which verdict it leaves, and how it looks then. */
import {
	type Balancer,
	type BalancerOptions,
	balancer,
	type JobService,
	packetTest,
	type Side,
	type VerdictName,
	XDP,
} from './balancer.js';
import {describe} from './frame.js';

export interface Case {
	readonly description: string;
	readonly verdict: VerdictName;
	readonly side?: Side;
	/** Brings the balancer into the situation. */
	readonly prepare?: (b: Balancer) => void;
	readonly frame: (b: Balancer) => Uint8Array;
	/** How the frame leaves; unchanged unless told. */
	readonly out?: (frame: Uint8Array, b: Balancer) => Uint8Array;
	readonly action?: number;
}

/** A test of each case. */
export function testCases(cases: readonly Case[], job: readonly JobService[], options: BalancerOptions = {}): void {
	for (const {description, verdict, side, prepare, frame, out, action} of cases)
		packetTest(`${verdict}: ${description}`, t => {
			const b = balancer(t, job, options);
			prepare?.(b);
			const sent = frame(b);
			const outcome = b.send(sent, side ?? 'external');
			t.is(outcome.verdict, verdict);
			t.is(outcome.action, action ?? (verdict.startsWith('V_PASS') ? XDP.pass : XDP.drop));
			t.deepEqual(describe(outcome.frame), describe(out?.(sent, b) ?? sent));
			t.deepEqual(outcome.frame, out?.(sent, b) ?? sent);
		});
}
