/** Why a check did not pass. The same words label the metric and stand in `lbctl backends`. */
export type Reason =
	| 'refused'
	| 'timeout'
	| 'unreachable'
	| 'reset'
	/** The local address to check from (`bindto`) is not ours. */
	| 'bind-failed'
	/** This machine had no descriptor, port or memory left for the check: it says nothing about the backend. */
	| 'not-made'
	| 'error';

export type Result = {readonly ok: true} | {readonly ok: false; readonly reason: Reason; readonly detail: string};

/**
 * Looks at one backend once. A checker keeps no state and owns no timer: what a result means is decided in
 * machine.ts, and the runner ends a check that takes longer than `timeoutUs`.
 */
export interface Checker {
	readonly timeoutUs: number;
	/** Resolves, never rejects for what a backend does. Lets go of everything when `signal` fires. */
	check(signal: AbortSignal): Promise<Result>;
}
