import type {Scripts, SmallFiles} from '../host/host.js';

/** Why a check did not pass. The same words label the metric and stand in `lbctl backends`. */
export type Reason =
	| 'refused'
	| 'timeout'
	| 'unreachable'
	| 'reset'
	/** The backend hung up before it had answered. */
	| 'closed'
	/** What it said is not of the protocol. */
	| 'malformed'
	/** It answered that something is wrong: an HTTP status, a reply code, the exit status of a script. */
	| 'status'
	/** Its answer is not what the configuration asks for. */
	| 'mismatch'
	| 'tls'
	/** The local address to check from (`bindto`) is not ours. */
	| 'bind-failed'
	/** This machine could not make the check, for want of descriptors, ports or memory, or of the script. */
	| 'not-made'
	| 'error';

export interface Failure {
	readonly ok: false;
	readonly reason: Reason;
	readonly detail: string;
}

/** What a check makes of its backend's weight: another, or so much more. */
export type WeightChange = {readonly to: number} | {readonly by: number};

/** `weight` null: as configured; absent: as before. */
export type Result = {readonly ok: true; readonly weight?: WeightChange | null} | Failure;

export function failed(reason: Reason, detail: string): Failure {
	return {ok: false, reason, detail};
}

/** What `judge` says, or that it broke down. */
export function guarded(judge: () => Result | undefined): Result | undefined {
	try {
		return judge();
	} catch (error) {
		return failed('error', String(error));
	}
}

/** Whether a result says something about the backend, and not about this machine: keepalived looks again later then. */
export function isTelling(result: Result): boolean {
	return result.ok || (result.reason !== 'not-made' && result.reason !== 'bind-failed');
}

/** One look at a backend. */
export interface Look {
	/** Which of the URLs, for a check that has several and asks for one at a time. */
	readonly stage: number;
	/** A step is done; the next one has the whole `timeoutUs` again. A checker has a fixed number of steps. */
	advance(): void;
	/** Calls the one listener when the look is over, be it done or too late; at once if it is already. */
	onOver(listener: () => void): void;
}

/** The first result that `begin` settles on, or that the time is over; then `close` lets go of everything. */
export function firstResult(
	look: Look,
	close: (result: Result) => void,
	begin: (settle: (result: Result) => void, isOver: () => boolean) => void,
): Promise<Result> {
	return new Promise(resolve => {
		let over = false;
		const settle = (result: Result): void => {
			if (over) return;
			over = true;
			close(result);
			resolve(result);
		};
		look.onOver(() => settle(failed('timeout', 'no answer in time')));
		if (!over) begin(settle, () => over);
	});
}

/**
 * Looks at one backend once. A checker keeps no state and owns no timer: what a result means is decided in
 * machine.ts, and the runner ends a look of which a step takes longer than `timeoutUs`.
 */
export interface Checker {
	readonly timeoutUs: number;
	/** What it means that the time is over, if not that the backend has failed. */
	readonly late?: Result;
	/** Resolves, never rejects for what a backend does. Lets go of everything when the look is over. */
	check(look: Look): Promise<Result>;
}

/** What the checkers need of the host, beside sockets. */
export interface Means {
	readonly scripts: Scripts;
	readonly smallFiles: SmallFiles;
}
