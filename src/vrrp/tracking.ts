/** What an instance's trackers make of it: its effective priority and its fault (keepalived §1.8, §3.4). Pure. */
import type {Instance, Track, TrackerKind, TrackerResult} from '../conf/model.js';
import {OWNER_PRIORITY} from './machine.js';

/** A track, what is known of its tracker (null: nothing yet), and what it adds to the priority. */
export interface TrackStatus {
	readonly kind: TrackerKind;
	readonly name: string;
	readonly weight: number;
	readonly reverse: boolean;
	readonly result: TrackerResult | null;
	readonly adds: number;
	readonly fault: boolean;
}

export interface Tracking {
	/** The effective priority. */
	readonly priority: number;
	/** The first tracker that is a fault, in words, or null. */
	readonly fault: string | null;
	/** The first tracker without a result that could be a fault: who has not begun waits for it. */
	readonly awaited: string | null;
	readonly tracks: readonly TrackStatus[];
}

/** The sum of a file's value and weight at which keepalived sees a fault. */
const FILE_FAULT = -254;
const FILE_MOST = 253;

export function track(
	basePriority: number,
	tracks: readonly Track[],
	resultOf: (track: Track) => TrackerResult | null,
): Tracking {
	const statuses = tracks.map(track => trackStatus(track, resultOf(track)));
	const fault = statuses.find(status => status.fault);
	const awaited = statuses.find(({weight, result}) => weight === 0 && result === null);
	const sum = statuses.reduce((total, {adds}) => total + adds, basePriority);
	return {
		priority: basePriority === OWNER_PRIORITY ? OWNER_PRIORITY : clamp(sum, 1, OWNER_PRIORITY - 1),
		fault: fault === undefined ? null : faultWords(fault),
		awaited: awaited === undefined ? null : trackerName(awaited),
		tracks: statuses,
	};
}

/** `track_script check`, as the configuration calls it. */
export function trackerName({kind, name}: {readonly kind: TrackerKind; readonly name: string}): string {
	return `track_${kind} ${name}`;
}

/** Leaves those entries, by `trackerName`, that an instance tracks: what is tracked again later begins anew. */
export function forgetUntracked(entries: Map<string, unknown>, instances: readonly Instance[]): void {
	const tracked = new Set(instances.flatMap(({tracks}) => tracks.map(trackerName)));
	for (const name of entries.keys()) if (!tracked.has(name)) entries.delete(name);
}

function trackStatus({kind, name, weight, reverse}: Track, result: TrackerResult | null): TrackStatus {
	const effect =
		typeof result === 'number' ? effectOfValue(result, weight, reverse) : effectOf(result, weight, reverse);
	return {kind, name, weight, reverse, result, ...effect};
}

type Effect = Pick<TrackStatus, 'adds' | 'fault'>;

const NONE: Effect = {adds: 0, fault: false};

function effectOf(result: Exclude<TrackerResult, number> | null, weight: number, reverse: boolean): Effect {
	if (result === null || result === 'absent') return NONE;
	const up = result === 'up';
	if (weight === 0) return {adds: 0, fault: up === reverse};
	return up === weight > 0 ? {adds: reverse ? -weight : weight, fault: false} : NONE;
}

/** A file's value counts as often as its weight says; without weight, any but 0 is a fault. */
function effectOfValue(value: number, weight: number, reverse: boolean): Effect {
	if (weight === 0) return {adds: 0, fault: (value !== 0) !== reverse};
	const adds = clamp(value * (reverse ? -weight : weight), FILE_FAULT, FILE_MOST);
	return adds === FILE_FAULT ? {adds: 0, fault: true} : {adds, fault: false};
}

function faultWords(status: TrackStatus): string {
	const result = typeof status.result === 'number' ? `has the value ${status.result}` : `is ${status.result}`;
	return `${trackerName(status)} ${result}`;
}

function clamp(value: number, min: number, max: number): number {
	return Math.max(min, Math.min(max, value));
}
