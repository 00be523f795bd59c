import {none, one} from '../args.js';
import type {LinkDelay, Place} from '../model.js';
import {
	accepted,
	block,
	closed,
	type Draft,
	draftAt,
	items,
	type Keywords,
	namedItems,
	refused,
	rows,
} from '../table.js';
import {word} from '../values.js';
import * as because from './because.js';
import {type GlobalsDraft, globals, newGlobals} from './globals.js';
import {addLine, type GroupDraft, groupLineArgs, newGroup} from './group.js';
import {type InstanceDraft, instance, newInstance} from './instance.js';
import {linkDelayArgs} from './link-delays.js';
import {staticRouteArgs} from './route.js';
import {staticRuleArgs} from './rule.js';
import {newService, type ServiceDraft, service, serviceArgs} from './service.js';
import {newSettings, type SettingsDraft, settings} from './settings.js';
import type {StaticsDraft} from './statics.js';
import {newSyncGroup, type SyncGroupDraft, syncGroup} from './sync-group.js';
import {newTrackGroup, type TrackGroupDraft, trackGroup} from './track-group.js';
import {
	newTrackedFile,
	newTrackedProcess,
	newTrackedScript,
	type TrackedFileDraft,
	type TrackedProcessDraft,
	type TrackedScriptDraft,
	trackedFile,
	trackedProcess,
	trackedScript,
} from './trackers.js';
import {staticAddressArgs} from './virtual-address.js';

/** All that a configuration says, before defaults. */
export interface ConfigDraft extends Draft {
	readonly globals: GlobalsDraft;
	readonly settings: SettingsDraft;
	readonly services: ServiceDraft[];
	readonly groups: GroupDraft[];
	readonly instances: InstanceDraft[];
	readonly syncGroups: SyncGroupDraft[];
	readonly statics: StaticsDraft;
	readonly trackGroups: TrackGroupDraft[];
	readonly trackers: {
		readonly scripts: TrackedScriptDraft[];
		readonly files: TrackedFileDraft[];
		readonly processes: TrackedProcessDraft[];
	};
	readonly linkDelays: LinkDelay[];
}

export function newConfig(place: Place): ConfigDraft {
	return {
		...draftAt(place),
		globals: newGlobals(place),
		settings: newSettings(place),
		services: [],
		groups: [],
		instances: [],
		syncGroups: [],
		statics: {addresses: [], routes: [], rules: []},
		trackGroups: [],
		trackers: {scripts: [], files: [], processes: []},
		linkDelays: [],
	};
}

const trackFile = block(trackedFile, one(word), ({trackers}: ConfigDraft, name, place) => {
	const draft = newTrackedFile(name, place);
	trackers.files.push(draft);
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
	static_ipaddress: items(staticAddressArgs, ({statics}: ConfigDraft, draft, place) => {
		statics.addresses.push({place, draft});
	}),
	static_routes: items(staticRouteArgs, ({statics}: ConfigDraft, draft, place) => {
		statics.routes.push({place, draft});
	}),
	static_rules: items(staticRuleArgs, ({statics}: ConfigDraft, draft, place) => {
		statics.rules.push({place, draft});
	}),
	track_group: block(trackGroup, one(word), ({trackGroups}, name, place) => {
		const draft = newTrackGroup(name, place);
		trackGroups.push(draft);
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

	vrrp_script: block(trackedScript, one(word), ({trackers}, name, place) => {
		const draft = newTrackedScript(name, place);
		trackers.scripts.push(draft);
		return draft;
	}),
	track_file: trackFile,
	vrrp_track_file: trackFile,
	vrrp_track_process: block(trackedProcess, one(word), ({trackers}, name, place) => {
		const draft = newTrackedProcess(name, place);
		trackers.processes.push(draft);
		return draft;
	}),
	bfd_instance: closed(
		refused(because.noBfd),
		`neighbor_ip neighbour_ip source_ip min_rx min_tx idle_tx multiplier passive ttl hoplimit max_hops multihop weight vrrp
		checker`,
	),
	interface_up_down_delays: items(linkDelayArgs, ({linkDelays}: ConfigDraft, delay, place) => {
		linkDelays.push({place, ...delay});
	}),
	...rows('net_namespace net_namespace_ipvs', refused('start lbd in the namespace, with ip netns exec')),
	SSL: accepted('checks show no certificate of their own'),
	garp_group: closed(accepted(because.noPacing), 'garp_interval gna_interval interface interfaces'),
	...rows('linkbeat_interfaces linkbeat_use_polling', accepted(because.linkEvents)),
	include_check: accepted(because.alwaysChecked),
	...rows('instance use_pid_dir child_wait_time namespace_with_ipsets', accepted(because.ownProcesses)),
};
