import {anything} from '../args.js';
import {quote, type Report} from '../diagnostics.js';
import type {Place, SyncGroup} from '../model.js';
import {accepted, type Draft, draftAt, items, type Keywords, refused, rows} from '../table.js';
import * as because from './because.js';
import {
	type NotifyDefaults,
	newStateNotify,
	type StateNotifyDraft,
	stateNotifyKeywords,
	toStateNotify,
} from './notify.js';

/** `vrrp_sync_group`. */
export interface SyncGroupDraft extends Draft {
	readonly name: string;
	readonly instances: string[];
	readonly notify: StateNotifyDraft;
}

export function newSyncGroup(name: string, place: Place): SyncGroupDraft {
	return {...draftAt(place), name, instances: [], notify: newStateNotify()};
}

export const syncGroup: Keywords<SyncGroupDraft> = {
	group: items(anything, ({instances}, names) => {
		instances.push(...names);
	}),
	...rows('track_script track_interface track_file track_process track_bfd', refused(because.noTracking)),
	...rows('global_tracking sync_group_tracking_weight', accepted(because.noTracking)),
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
