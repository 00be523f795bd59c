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

/** Requests of a stream, one after the other, that were not served in time. */
export interface Run {
	/** When the first of them began, and the next one that was served; after the last request of all, when that began. */
	readonly fromMs: number;
	readonly untilMs: number;
	readonly outcomes: readonly Outcome[];
}

/** All interruptions of a stream, in order. */
export function interruptions(outcomes: readonly Outcome[], promptMs: number): Run[] {
	const runs: {fromMs: number; untilMs: number; outcomes: Outcome[]}[] = [];
	let run: (typeof runs)[number] | null = null;
	for (const outcome of outcomes.toSorted((a, b) => a.startedMs - b.startedMs)) {
		if (run !== null) run.untilMs = outcome.startedMs;
		if (outcome.status === 200 && outcome.ms <= promptMs) {
			run = null;
			continue;
		}
		if (run === null) {
			run = {fromMs: outcome.startedMs, untilMs: outcome.startedMs, outcomes: []};
			runs.push(run);
		}
		run.outcomes.push(outcome);
	}
	return runs;
}

/** The longest interruption in a stream; one that lasts to the stream's end counts up to its last request. */
export function interruption(outcomes: readonly Outcome[]): Interruption {
	const longestMs = interruptions(outcomes, PROMPT_MS).map(({fromMs, untilMs}) => untilMs - fromMs);
	const lost = outcomes.filter(outcome => outcome.status === null).length;
	return {ms: Math.round(Math.max(0, ...longestMs)), lost, requests: outcomes.length};
}
