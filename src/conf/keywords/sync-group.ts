import {anything, none} from '../args.js';
import {quote, type Report} from '../diagnostics.js';
import type {Place, SyncGroup} from '../model.js';
import {type Draft, draftAt, full, items, type Keywords, refused, rows} from '../table.js';
import * as because from './because.js';
import {
	type NotifyDefaults,
	newStateNotify,
	type StateNotifyDraft,
	stateNotifyKeywords,
	toStateNotify,
} from './notify.js';
import {type TrackDraft, trackKeywords} from './track.js';

/** `vrrp_sync_group`. */
export interface SyncGroupDraft extends Draft {
	readonly name: string;
	readonly instances: string[];
	readonly notify: StateNotifyDraft;
	readonly tracks: TrackDraft[];
	/** Members may track with weights of their own. */
	memberWeights: boolean;
}

export function newSyncGroup(name: string, place: Place): SyncGroupDraft {
	return {...draftAt(place), name, instances: [], tracks: [], memberWeights: false, notify: newStateNotify()};
}

const memberWeights = full<SyncGroupDraft, true>(none, draft => {
	draft.memberWeights = true;
});

export const syncGroup: Keywords<SyncGroupDraft> = {
	group: items(anything, ({instances}, names) => {
		instances.push(...names);
	}),
	...trackKeywords<SyncGroupDraft>(),
	track_bfd: refused(because.noBfd),
	...rows('global_tracking sync_group_tracking_weight', memberWeights),
	...stateNotifyKeywords<SyncGroupDraft>(),
};

export function toSyncGroup(draft: SyncGroupDraft, defaults: NotifyDefaults, report: Report): SyncGroup {
	const {place, name, instances, notify} = draft;
	const members = [...new Set(instances)];
	if (members.length === 0) {
		const text = `vrrp_sync_group ${quote(name)} has no instances`;
		report.error('missing', place, text, `name them in 'group { … }'`);
	}
	return {place, name, instances: members, notify: toStateNotify(notify, defaults)};
}
