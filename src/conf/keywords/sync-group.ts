import {anything, onOff} from '../args.js';
import {quote, type Report} from '../diagnostics.js';
import type {Place, SyncGroup} from '../model.js';
import {accepted, type Draft, draftAt, items, type Keywords, refused, rows} from '../table.js';
import * as because from './because.js';

/** `vrrp_sync_group`. */
export interface SyncGroupDraft extends Draft {
	readonly name: string;
	readonly instances: string[];
}

export function newSyncGroup(name: string, place: Place): SyncGroupDraft {
	return {...draftAt(place), name, instances: []};
}

export const syncGroup: Keywords<SyncGroupDraft> = {
	group: items(anything, ({instances}, names) => {
		instances.push(...names);
	}),
	...rows('track_script track_interface track_file track_process track_bfd', refused(because.noTracking)),
	...rows('global_tracking sync_group_tracking_weight', accepted(because.noTracking)),
	smtp_alert: accepted(because.noMail, onOff),
	...rows('notify notify_master notify_backup notify_fault notify_stop', accepted(because.noScripts)),
	notify_priority_changes: accepted(because.noScripts),
};

export function toSyncGroup({place, name, instances}: SyncGroupDraft, report: Report): SyncGroup {
	const members = [...new Set(instances)];
	if (members.length === 0) {
		const text = `vrrp_sync_group ${quote(name)} has no instances`;
		report.error('missing', place, text, `name them in 'group { … }'`);
	}
	return {place, name, instances: members};
}
