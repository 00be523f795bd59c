/**
 * What clients may feel of a disturbance, and whether what they felt is that. Pure: times are CLOCK_MONOTONIC in
 * milliseconds, as everywhere in the laboratory.
 */
import {interruptions} from '../../lab/interruption.js';
import type {Outcome} from '../../lab/protocol.js';
import type {Action} from './plan.js';

/** VRRP's three advert intervals of a second and the skew of priority 100 (RFC 9568 §6.1), which a backup waits. */
export const MASTER_DOWN_MS = 3609;
/** Longer than a backup needs that has been told (priority 0): its skew. */
const SKEW_MS = 609;
/** Until everybody sends to a new master, on a busy machine. */
const MOVE_MS = 1500;
/** A check a second, one more a second later, and what a busy machine adds. */
const CHECK_MS = 5000;
/** The age from which on a connection is known to the other balancer. */
const YOUNG_MS = 100;
/** What a busy server may take for an answer. */
const LAST_ANSWER_MS = 100;
/** Drift is looked for every 10 s. */
export const REPAIR_MS = 10_000 + 3000;
/** Two masters that hear each other are so for one advert interval; and what a busy machine adds. */
export const DOUBLE_MASTER_MS = 1000 + 1500;

interface Span {
	readonly fromMs: number;
	readonly untilMs: number;
}

/** What is allowed, and when. */
export type Allowance = Span &
	(
		| {/** Nobody may be answered, for so long. */ readonly kind: 'outage'; readonly longestMs: number}
		| {/** Connections opened then may be lost, whenever that is noticed. */ readonly kind: 'opened'}
		| {
				/** Who takes back may not have been told of connections that are younger than the machine was late. */ readonly kind: 'taken back';
		  }
		| {
				/** Connections to the server may be lost, those opened before as well. */ readonly kind: 'lost';
				readonly server: string;
		  }
		| {/** Its clients may be dealt to the other one. */ readonly kind: 'away'; readonly server: string}
	);

/** What became of a disturbance. */
export interface Disturbance {
	readonly action: Action;
	readonly beganMs: number;
	/** It was taken back, and what that started has been done. */
	readonly endedMs: number;
	/** All was well again. */
	readonly settledMs: number;
}

/** While it lasts, an lbd notices nothing: no failed check, no new neighbour. */
function blinds({kind, ...rest}: Action): boolean {
	if (kind === 'stop' || kind === 'power-loss') return true;
	return (
		(kind === 'kill' || kind === 'freeze') && 'part' in rest && (rest.part === 'lbd' || rest.part === 'everything')
	);
}

/** All that disturbances at the same time may cost. */
export function allowances(together: readonly Disturbance[]): Allowance[] {
	const seesAgainMs = Math.max(...together.map(({action, endedMs}) => (blinds(action) ? endedMs : 0)), 0);
	return together.flatMap(disturbance => costOf(disturbance, seesAgainMs));
}

/** What is not here costs nothing: reloads, releases, restarts, whatever happens to lb2. */
function costOf({action, beganMs, endedMs, settledMs}: Disturbance, seesAgainMs: number): Allowance[] {
	const outage = (fromMs: number, longestMs: number, untilMs = fromMs + longestMs): Allowance => ({
		kind: 'outage',
		fromMs,
		untilMs,
		longestMs,
	});
	const takenBack: Allowance = {kind: 'taken back', fromMs: beganMs, untilMs: settledMs};
	const opened = (untilMs: number): Allowance => ({kind: 'opened', fromMs: beganMs - YOUNG_MS, untilMs});
	/** Until what began has been noticed, which takes so long. */
	const unnoticed = (ms: number): Allowance => outage(beganMs, Math.max(beganMs, seesAgainMs) - beganMs + ms);
	switch (action.kind) {
		case 'power-loss': {
			const longestMs = MASTER_DOWN_MS + MOVE_MS;
			return [outage(beganMs, longestMs), opened(beganMs + longestMs), takenBack];
		}
		case 'kill':
		case 'kill-child':
		case 'freeze':
			if (action.node !== 'lb1' || (action.part !== 'everything' && action.part !== 'lbd-vrrp')) return [];
			// It goes on forwarding, without a word about what opens, until its peer takes over.
			return [outage(beganMs, MOVE_MS, settledMs), opened(settledMs), takenBack];
		case 'pull-cable': {
			if (action.node !== 'lb1') return [];
			const longestMs = SKEW_MS + MOVE_MS;
			return [outage(beganMs, longestMs), opened(beganMs + longestMs), takenBack];
		}
		case 'delete-address':
			return [outage(beganMs, SKEW_MS + MOVE_MS)];
		case 'stop-server': {
			const {server} = action;
			const away = {fromMs: beganMs, untilMs: endedMs + CHECK_MS, server};
			return [{kind: 'lost', ...away}, {kind: 'away', ...away}, unnoticed(CHECK_MS)];
		}
		case 'fail-check':
		case 'remove-backend':
			return [{kind: 'away', server: action.server, fromMs: beganMs, untilMs: endedMs + CHECK_MS}];
		case 'move-neighbour':
			return [unnoticed(MOVE_MS), outage(endedMs - MOVE_MS, 2 * MOVE_MS)];
		case 'tamper':
			return action.what === 'services_by_key' ? [outage(beganMs, endedMs - beganMs + MOVE_MS)] : [];
		case 'stop':
		case 'release':
			return [takenBack];
		case 'edit':
		case 'bad-file':
			return [];
	}
	return action satisfies never;
}

/** Who asks: with new requests all the time, or on connections that last, which try again by themselves. */
export type Who = 'stream' | 'persistent client' | 'datagrams' | 'download' | 'held connection';

/** Something that a client did not like. */
export interface Trouble extends Span {
	readonly who: Who;
	/** `failed`: no answer, or an error; `stalled`: one that was late; `moved`: by another server. */
	readonly what: 'failed' | 'stalled' | 'moved';
	readonly openedMs: number;
	/** Of the connection, or null: not known. */
	readonly server: string | null;
	readonly text: string;
}

function lasts(who: Who): boolean {
	return who === 'download' || who === 'held connection';
}

/** A connection finds out that an outage is over when it tries again, and TCP doubles the time between two attempts. */
function patienceMs(who: Who, outageMs: number): number {
	return lasts(who) ? 2 * outageMs + 1000 : outageMs;
}

/** A flow of datagrams is dealt anew when its server fails; an answer that is on its way then is lost. */
function isLastAnswer({who, fromMs, untilMs}: Trouble): boolean {
	return who === 'datagrams' && untilMs - fromMs <= LAST_ANSWER_MS;
}

/** Whether a trouble is one that was allowed. `latenessMs`: by how much the machine itself was late at that time. */
export function isAllowed(trouble: Trouble, allowed: readonly Allowance[], latenessMs: number): boolean {
	return allowed.some(allowance => {
		const overlaps =
			trouble.fromMs <= allowance.untilMs + latenessMs && trouble.untilMs >= allowance.fromMs - latenessMs;
		const isOf = 'server' in allowance && (trouble.server === null || trouble.server === allowance.server);
		switch (allowance.kind) {
			case 'outage': {
				const longestMs = patienceMs(trouble.who, allowance.longestMs) + latenessMs;
				return trouble.what !== 'moved' && overlaps && trouble.untilMs - trouble.fromMs <= longestMs;
			}
			case 'opened':
				return (
					lasts(trouble.who) &&
					trouble.openedMs >= allowance.fromMs &&
					trouble.openedMs <= allowance.untilMs + latenessMs
				);
			case 'taken back':
				return trouble.what === 'failed' && overlaps && trouble.untilMs - trouble.openedMs <= latenessMs;
			case 'lost':
				return (
					isOf && lasts(trouble.who) && trouble.openedMs <= allowance.untilMs && trouble.untilMs >= allowance.fromMs
				);
			case 'away':
				return isOf && overlaps && (trouble.what === 'moved' || isLastAnswer(trouble));
		}
		return allowance satisfies never;
	});
}

/** A new request that takes longer has lost its first packet: TCP sends a SYN again after a second. */
const PROMPT_MS = 900;
/** nginx sends a trickle in pieces, a second apart; twice that, and a retransmission. */
export const STALL_MS = 3500;

/** Of a stream: runs of requests that were not served in time. One that is late, but served, is none unless it is very late. */
export function streamTroubles(who: Who, outcomes: readonly Outcome[], latenessMs: number): Trouble[] {
	return interruptions(outcomes, PROMPT_MS).flatMap(({fromMs, untilMs, outcomes: run}) => {
		const failed = run.filter(({status}) => status !== 200);
		if (failed.length === 0 && run.every(({ms}) => ms <= STALL_MS + latenessMs)) return [];
		const text = `${run.length} requests not in time, ${failed.length} failed: ${reasons(failed)}`;
		const what = failed.length > 0 ? 'failed' : 'stalled';
		return [{who, what, openedMs: fromMs, fromMs, untilMs, server: null, text}];
	});
}

function reasons(outcomes: readonly Outcome[]): string {
	return [...new Set(outcomes.map(({error, status}) => error ?? `status ${status}`))].join(', ');
}

/** Of a download that was to last until a deadline, and did unless something ended it. */
export function downloadTroubles({startedMs, ms, error, bytes, stall}: Outcome, latenessMs: number): Trouble[] {
	const base = {who: 'download', openedMs: startedMs, server: null} as const;
	if (error !== 'ETIMEDOUT' || bytes === 0) {
		const untilMs = startedMs + ms;
		const text = `ended after ${Math.round(ms)} ms and ${bytes} bytes: ${error}`;
		return [{...base, what: 'failed', fromMs: untilMs - stall.ms, untilMs, text}];
	}
	if (stall.ms <= STALL_MS + latenessMs) return [];
	const untilMs = stall.startedMs + stall.ms;
	return [{...base, what: 'stalled', fromMs: stall.startedMs, untilMs, text: `nothing for ${Math.round(stall.ms)} ms`}];
}

/** Of a connection that was asked again. */
export function heldTroubles(first: Outcome, now: Outcome, latenessMs: number): Trouble[] {
	const {startedMs: fromMs, ms, error, body, from} = now;
	const base = {
		who: 'held connection',
		openedMs: first.startedMs,
		fromMs,
		untilMs: fromMs + ms,
		server: first.body,
	} as const;
	if (error !== null) return [{...base, what: 'failed', text: `${from} to ${first.body}: ${error}`}];
	if (body !== first.body) return [{...base, what: 'moved', text: `${from}: ${first.body}, then ${body}`}];
	return ms <= STALL_MS + latenessMs
		? []
		: [{...base, what: 'stalled', text: `${from}: answered after ${Math.round(ms)} ms`}];
}

/** Of a client that should meet one server: each answer of another one, which is its home from then on. */
export function moves(who: Who, outcomes: readonly Outcome[], home: string): {troubles: Trouble[]; home: string} {
	const troubles: Trouble[] = [];
	let now = home;
	for (const {body, status, startedMs, ms} of outcomes.toSorted((a, b) => a.startedMs - b.startedMs)) {
		if (status !== 200 || body === now) continue;
		const span = {openedMs: startedMs, fromMs: startedMs, untilMs: startedMs + ms};
		troubles.push({who, what: 'moved', ...span, server: now, text: `from ${now} to ${body}`});
		now = body;
	}
	return {troubles, home: now};
}

/** One advert as it was seen on the wire. */
export interface SeenAdvert {
	readonly atMs: number;
	readonly source: string;
	/** 0: it resigns. */
	readonly priority: number;
}

/** An advert this long after the one before it, of the same source, is the beginning of another mastership. */
const SILENCE_MS = 2500;

/** The longest time in which two routers of one segment called themselves master in turn. */
export function longestDoubleMs(adverts: readonly SeenAdvert[]): number {
	const masterships = new Map<string, Span>();
	let longestMs = 0;
	for (const {atMs, source, priority} of adverts) {
		const before = masterships.get(source);
		if (priority === 0) {
			masterships.delete(source);
			continue;
		}
		const fromMs = before === undefined || atMs - before.untilMs > SILENCE_MS ? atMs : before.fromMs;
		masterships.set(source, {fromMs, untilMs: atMs});
		for (const [other, {fromMs: otherFromMs, untilMs}] of masterships) {
			if (other === source || atMs - untilMs > SILENCE_MS) continue;
			longestMs = Math.max(longestMs, untilMs - Math.max(fromMs, otherFromMs));
		}
	}
	return longestMs;
}
