import type {Outcome} from './protocol.js';

/** What clients felt of a failover, from a stream of requests. */
export interface Interruption {
	/** From the start of the first request that was not served to the start of the next that was; 0 when all were. */
	readonly ms: number;
	/** Requests without an answer. */
	readonly lost: number;
	readonly requests: number;
}

/** A request that waits longer than this has felt the interruption, even if it is served in the end. */
const PROMPT_MS = 250;

function isPrompt(outcome: Outcome): boolean {
	return outcome.status === 200 && outcome.ms <= PROMPT_MS;
}

/** The longest interruption in a stream; one that lasts to the stream's end counts up to its last request. */
export function interruption(outcomes: readonly Outcome[]): Interruption {
	const inOrder = [...outcomes].sort((a, b) => a.startedMs - b.startedMs);
	let longestMs = 0;
	let since: number | null = null;
	for (const outcome of inOrder) {
		if (since !== null) longestMs = Math.max(longestMs, outcome.startedMs - since);
		since = isPrompt(outcome) ? null : (since ?? outcome.startedMs);
	}
	const lost = outcomes.filter(outcome => outcome.status === null).length;
	return {ms: Math.round(longestMs), lost, requests: outcomes.length};
}
