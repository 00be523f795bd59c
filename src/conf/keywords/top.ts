import {none, one} from '../args.js';
import type {Place} from '../model.js';
import {accepted, block, type Draft, draftAt, type Keywords, namedItems, type Row, refused, rows} from '../table.js';
import {word} from '../values.js';
import * as because from './because.js';
import {type GlobalsDraft, globals, newGlobals} from './globals.js';
import {addLine, type GroupDraft, groupLineArgs, newGroup} from './group.js';
import {type InstanceDraft, instance, newInstance} from './instance.js';
import {newService, type ServiceDraft, service, serviceArgs} from './service.js';
import {newSettings, type SettingsDraft, settings} from './settings.js';
import {newSyncGroup, type SyncGroupDraft, syncGroup} from './sync-group.js';
import {newTrackFile, type TrackFileDraft, trackFile} from './track-file.js';

/** All that a configuration says, before defaults. */
export interface ConfigDraft extends Draft {
	readonly globals: GlobalsDraft;
	readonly settings: SettingsDraft;
	readonly services: ServiceDraft[];
	readonly groups: GroupDraft[];
	readonly trackFiles: TrackFileDraft[];
	readonly instances: InstanceDraft[];
	readonly syncGroups: SyncGroupDraft[];
}

export function newConfig(place: Place): ConfigDraft {
	return {
		...draftAt(place),
		globals: newGlobals(place),
		settings: newSettings(place),
		services: [],
		groups: [],
		trackFiles: [],
		instances: [],
		syncGroups: [],
	};
}

const trackFileRow: Row<ConfigDraft> = block(trackFile, one(word), ({trackFiles}, name, place) => {
	const draft = newTrackFile(name, place);
	trackFiles.push(draft);
	return draft;
});

/** What stands outside all braces. */
export const top: Keywords<ConfigDraft> = {
	global_defs: block(globals, none, draft => draft.globals),
	lbd: block(settings, none, draft => draft.settings),
	vrrp_instance: block(instance, one(word), ({instances}, name, place) => {
		const draft = newInstance(name, place);
		instances.push(draft);
		return draft;
	}),
	vrrp_sync_group: block(syncGroup, one(word), ({syncGroups}, name, place) => {
		const draft = newSyncGroup(name, place);
		syncGroups.push(draft);
		return draft;
	}),
	virtual_server: block(service, serviceArgs, ({services}, target, place) => {
		const draft = newService(target, place);
		services.push(draft);
		return draft;
	}),
	virtual_server_group: namedItems(
		one(word),
		({groups}: ConfigDraft, name, place) => {
			const draft = newGroup(name, place);
			groups.push(draft);
			return draft;
		},
		groupLineArgs,
		addLine,
	),

	...rows('vrrp_script vrrp_track_process bfd_instance', refused('nothing is tracked yet')),
	track_file: trackFileRow,
	vrrp_track_file: trackFileRow,
	...rows('track_group interface_up_down_delays', refused('nothing is tracked yet')),
	...rows('static_ipaddress static_routes static_rules', refused('only virtual_ipaddress sets addresses yet')),
	...rows('net_namespace net_namespace_ipvs', refused('start lbd in the namespace, with ip netns exec')),
	SSL: accepted('checks show no certificate of their own'),
	garp_group: accepted(because.noPacing),
	...rows('linkbeat_interfaces linkbeat_use_polling', accepted('the kernel tells when a link changes')),
	include_check: accepted(because.alwaysChecked),
	...rows('instance use_pid_dir child_wait_time namespace_with_ipsets', accepted(because.ownProcesses)),
};
