import {family} from '../net/address.js';
import {advise} from './advice.js';
import {blockList} from './block-list.js';
import {crossCheck} from './cross-check.js';
import type {Report} from './diagnostics.js';
import type {Files} from './files.js';
import {IprouteNames} from './iproute-names.js';
import {toGlobals} from './keywords/globals.js';
import {type InstanceDraft, PRIORITY_OWNER, type RoutingNames, toInstance} from './keywords/instance.js';
import {NameResolver} from './keywords/iproute-values.js';
import {toLinkDelays} from './keywords/link-delays.js';
import {RulePriorities} from './keywords/rule.js';
import {toServices} from './keywords/services.js';
import {policies, toSettings} from './keywords/settings.js';
import {toStatics} from './keywords/statics.js';
import {toSyncGroup} from './keywords/sync-group.js';
import {type ConfigDraft, newConfig, top} from './keywords/top.js';
import {reconcileTracks, toTracks} from './keywords/track.js';
import {toTrackGroup} from './keywords/track-group.js';
import {toTrackedFile, toTrackedProcess, toTrackedScript} from './keywords/trackers.js';
import {VirtualMacNames} from './keywords/virtual-mac.js';
import type {Statement} from './language/parser.js';
import type {Config, Instance, Service, Track, TrackerKind, Trackers} from './model.js';
import {toSharing} from './sharing.js';
import {keywordHomes, TableReader} from './table.js';

const FILE = 'the file';
const homes = keywordHomes(top, FILE);

/** What a file says before its first line. */
export function newDraft(file: string): ConfigDraft {
	return newConfig({file, line: 1, column: 1});
}

/** Adds what a statement of the file means by the keyword table. */
export function readStatement(statement: Statement, draft: ConfigDraft, report: Report): void {
	new TableReader(homes, report).read([statement], top, draft, FILE);
}

/** What a file means that was read to its end, with all defaults; null if there is an error. `files` is for block lists and the names of routing tables. */
export function compile(draft: ConfigDraft, files: Files, report: Report): Config | null {
	const {file} = draft.place;
	const services = servicesOf(draft, report);
	const names = {
		resolver: new NameResolver(new IprouteNames(files), report),
		priorities: new RulePriorities(),
		virtualMacs: virtualMacNames(draft),
		files,
	};
	const instances = instancesOf(draft, names, report);
	const hasIpv6 = services.some(({address}) => family(address) === 6);
	const config: Config = {
		file,
		globals: toGlobals(draft.globals, report),
		settings: toSettings(draft.settings, hasIpv6, blockList(draft.settings, files, report)),
		services,
		statics: toStatics(draft.statics, draft.globals.defaultInterface, names, report),
		instances,
		syncGroups: draft.syncGroups.map(group => toSyncGroup(group, draft.globals, report)),
		trackGroups: draft.trackGroups.map(toTrackGroup),
		trackers: trackersOf(draft, instances, report),
		linkDelays: toLinkDelays(draft.linkDelays, instances, report),
		...toSharing({daemon: draft.globals.sharing, block: draft.settings.sharing}, {services, instances}, report),
	};
	crossCheck(config, draft, report);
	if (report.failed) return null;
	advise(config, draft, report);
	return config;
}

/** As many as there is room for, in the order of the file. */
function servicesOf(draft: ConfigDraft, report: Report): readonly Service[] {
	const {servicesMax, backendsMax} = draft.settings;
	const services: Service[] = [];
	const surroundings = {...draft, policyOf: policies(draft.settings)};
	let backends = 0;
	for (const one of draft.services) {
		const made = toServices(one, surroundings, report);
		services.push(...made);
		backends += made.reduce((sum, service) => sum + backendsOf(service), 0);
		if (services.length <= servicesMax && backends <= backendsMax) continue;
		const isOfServices = services.length > servicesMax;
		const room = isOfServices
			? `${servicesMax} services, each address and port being one`
			: `${backendsMax} backends, each service having its own`;
		const wayOut = `make more by '${isOfServices ? 'services' : 'backends'}' in the lbd block, or use several balancers`;
		report.error('too-many', one.place, `this virtual_server has no room: there are ${room}`, wayOut);
		break;
	}
	return services;
}

function backendsOf({backends, sorryServer}: Service): number {
	return backends.length + (sorryServer === null ? 0 : 1);
}

function virtualMacNames({globals, instances}: ConfigDraft): VirtualMacNames {
	return new VirtualMacNames(
		globals.virtualMacPrefix,
		present(instances.map(({virtualMac}) => virtualMac?.name ?? null)),
	);
}

function instancesOf(
	{instances, syncGroups, trackers, globals}: ConfigDraft,
	names: RoutingNames,
	report: Report,
): Instance[] {
	const groups = syncGroups.map(group => ({...group, tracks: toTracks(group.tracks, trackers, report)}));
	const tracksOf = (draft: InstanceDraft, priority: number): readonly Track[] => {
		const tracks = toTracks(draft.tracks, trackers, report);
		const group = groups.find(({instances}) => instances.includes(draft.name)) ?? null;
		const isOwner = priority === PRIORITY_OWNER;
		return reconcileTracks({interface: draft.interface, isOwner, tracks}, group, report);
	};
	return present(instances.map(draft => toInstance(draft, globals, names, tracksOf, report)));
}

/** Those that somebody tracks. */
function trackersOf({trackers, globals}: ConfigDraft, instances: readonly Instance[], report: Report): Trackers {
	const tracks = instances.flatMap(instance => instance.tracks);
	const tracked =
		(kind: TrackerKind) =>
		({name}: {readonly name: string}): boolean =>
			tracks.some(track => track.kind === kind && track.name === name);
	const {scripts, files, processes} = trackers;
	return {
		scripts: present(scripts.map(one => toTrackedScript(one, globals.scripts, report))).filter(tracked('script')),
		files: present(files.map(one => toTrackedFile(one, report))).filter(tracked('file')),
		processes: present(processes.map(one => toTrackedProcess(one, report))).filter(tracked('process')),
	};
}

function present<T>(values: readonly (T | null)[]): T[] {
	return values.filter(value => value !== null);
}
