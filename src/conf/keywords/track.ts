/** The `track_…` blocks of instances and sync groups, and what becomes of them when an instance has both. */
import {type Args, one} from '../args.js';
import {quote, type Report} from '../diagnostics.js';
import type {Place, Track, TrackerKind} from '../model.js';
import {full, items, type Keywords, readOptions} from '../table.js';
import {interfaceName, suggestion, type Value, word} from '../values.js';
import {
	type TrackedFileDraft,
	type TrackedProcessDraft,
	type TrackedScriptDraft,
	type WeightDraft,
	weightArgs,
} from './trackers.js';

/** One line of a `track_…` block. */
export interface TrackDraft extends WeightDraft {
	readonly place: Place;
	readonly kind: TrackerKind;
	readonly name: string;
}

/** The trackers that tracks may name. */
export interface TrackerDrafts {
	readonly scripts: readonly TrackedScriptDraft[];
	readonly files: readonly TrackedFileDraft[];
	readonly processes: readonly TrackedProcessDraft[];
}

type LineDraft = WeightDraft & {readonly name: string};

const options: Keywords<LineDraft> = {
	weight: full(weightArgs, (draft, weight) => {
		Object.assign(draft, weight);
	}),
};

/** `NAME [weight N [reverse|noreverse]]` */
function lineArgs(name: Value<string>): Args<LineDraft> {
	return {
		usage: `${name.usage} [weight ${weightArgs.usage}]`,
		read(words) {
			const tracked = one(name).read(words);
			if (tracked === undefined) return undefined;
			const draft = {name: tracked, weight: null, reverse: null};
			return readOptions(words, options, draft) ? draft : undefined;
		},
	};
}

export function trackKeywords<D extends {readonly tracks: TrackDraft[]}>(): Keywords<D> {
	const block = (kind: TrackerKind) =>
		items(lineArgs(kind === 'interface' ? interfaceName : word), ({tracks}: D, line, place) => {
			tracks.push({...line, kind, place});
		});
	return {
		track_interface: block('interface'),
		track_script: block('script'),
		track_file: block('file'),
		track_process: block('process'),
	};
}

/** The tracks of one block, with what their trackers say of weights. */
export function toTracks(drafts: readonly TrackDraft[], trackers: TrackerDrafts, report: Report): Track[] {
	const seen = new Set<string>();
	const distinct = drafts.filter(({kind, name, place}) => {
		const key = `${kind} ${name}`;
		if (!seen.has(key)) return seen.add(key);
		report.warning('duplicate', place, `track_${key} is there already; this line is ignored`, 'remove it');
		return false;
	});
	return distinct.flatMap(draft => toTrack(draft, trackers, report));
}

/** Of an instance, what decides upon its tracks. */
interface Tracker {
	readonly interface: string | null;
	/** It owns its addresses, so its priority never changes. */
	readonly isOwner: boolean;
	readonly tracks: readonly Track[];
}

interface GroupTracker {
	readonly name: string;
	readonly tracks: readonly Track[];
	readonly memberWeights: boolean;
}

/** What an instance tracks, by its own blocks and by those of its sync group, as keepalived reconciles them. */
export function reconcileTracks(instance: Tracker, group: GroupTracker | null, report: Report): readonly Track[] {
	const own = instance.tracks
		.filter(track => isForeign(track, instance, report))
		.flatMap(track => settleWeight(track, instance, group, report));
	return group === null ? own : merge(own, group.tracks, report);
}

const WEIGHT_MAX = 253;
const DEFAULT_WEIGHT: Readonly<Record<TrackerKind, number>> = {interface: 0, script: 0, file: 1, process: 0};

/** None, having complained, if there is no such tracker. */
function toTrack({place, kind, name, ...line}: TrackDraft, trackers: TrackerDrafts, report: Report): Track[] {
	const tracker = findTracker(kind, name, trackers);
	if (tracker === undefined) {
		reportUnknown({place, kind, name}, trackers, report);
		return [];
	}
	const weight = line.weight ?? tracker.weight ?? DEFAULT_WEIGHT[kind];
	const reverse = line.reverse ?? (line.weight === null ? tracker.reverse : null) ?? false;
	const isWide = kind === 'file' || kind === 'process' || Math.abs(weight) <= WEIGHT_MAX;
	if (!isWide) {
		const text = `weight ${weight} becomes ${Math.sign(weight) * WEIGHT_MAX}, the most that a ${kind} may have`;
		report.warning('adjusted', place, text);
	}
	return [{place, kind, name, weight: isWide ? weight : Math.sign(weight) * WEIGHT_MAX, reverse}];
}

const NO_WEIGHT: WeightDraft = {weight: null, reverse: null};

function findTracker(kind: TrackerKind, name: string, trackers: TrackerDrafts): WeightDraft | undefined {
	return kind === 'interface' ? NO_WEIGHT : draftsOf(kind, trackers).find(draft => draft.name === name);
}

function draftsOf(kind: TrackerKind, {scripts, files, processes}: TrackerDrafts): readonly LineDraft[] {
	return {interface: [], script: scripts, file: files, process: processes}[kind];
}

const BLOCK: Readonly<Record<TrackerKind, string>> = {
	interface: 'interface',
	script: 'vrrp_script',
	file: 'track_file',
	process: 'vrrp_track_process',
};

function reportUnknown(
	{place, kind, name}: Pick<Track, 'place' | 'kind' | 'name'>,
	trackers: TrackerDrafts,
	report: Report,
): void {
	const known = draftsOf(kind, trackers).map(draft => draft.name);
	const text = `track_${kind} names ${quote(name)}, which is no ${BLOCK[kind]}`;
	report.error('missing', place, text, suggestion(name, known) || `add '${BLOCK[kind]} ${name} { … }'`);
}

/** keepalived follows an instance's own interface in its own way, or not at all (`dont_track_primary`). */
function isForeign({kind, name, place}: Track, instance: Tracker, report: Report): boolean {
	if (kind !== 'interface' || name !== instance.interface) return true;
	const text = `track_interface ${name} is ignored: it is the instance's own interface`;
	report.warning('contradiction', place, text, 'remove it');
	return false;
}

/** Members of a group become master together, so their priorities must not drift apart unless that is wanted. */
function settleWeight(track: Track, instance: Tracker, group: GroupTracker | null, report: Report): Track[] {
	const {kind, name, weight, place} = track;
	const forbidden = instance.isOwner || (group !== null && !group.memberWeights);
	if (weight === 0 || !forbidden) return [track];
	const because = instance.isOwner
		? 'the priority of an owner never changes'
		: `members of sync group ${group?.name ?? ''} track without weight`;
	const wayOut = instance.isOwner ? 'remove it' : 'track in the group, or write sync_group_tracking_weight there';
	const isDefault = kind === 'file' && weight === DEFAULT_WEIGHT.file;
	const what = isDefault ? `its weight, so that any value but 0 is a fault` : `it`;
	report.warning('contradiction', place, `track_${kind} ${name}: ${because}; ignoring ${what}`, wayOut);
	return isDefault ? [{...track, weight: 0}] : [];
}

/** Who tracks a thing that its group tracks, too, goes by the group's weight, unless its own is a fault. */
function merge(own: readonly Track[], shared: readonly Track[], report: Report): Track[] {
	const isSame = (a: Track, b: Track): boolean => a.kind === b.kind && a.name === b.name;
	for (const {kind, name, place} of own.filter(a => shared.some(b => isSame(a, b)))) {
		const text = `track_${kind} ${name} is in the sync group already`;
		report.warning('duplicate', place, text, 'remove it from the instance');
	}
	const kept = own.filter(a => a.weight === 0 || !shared.some(b => isSame(a, b)));
	return [...kept, ...shared.filter(b => !kept.some(a => isSame(a, b)))];
}
