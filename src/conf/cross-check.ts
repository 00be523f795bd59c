import {isLinkLocal} from '../net/address.js';
import {type DiagnosticCode, formatPlace, quote, type Report} from './diagnostics.js';
import {type GroupDraft, SERVICES_MAX} from './keywords/group.js';
import {protocolOf} from './keywords/services.js';
import {groupTitle, type ServiceSettingsDraft, serviceTitle} from './keywords/settings.js';
import type {ConfigDraft} from './keywords/top.js';
import type {Config, Instance, Place, Service, VirtualAddress} from './model.js';
import {placeOf} from './table.js';
import {suggestion} from './values.js';

interface Placed {
	readonly place: Place;
}

/** What no block can know by itself: names used twice, names that nobody has, parts that do not fit together. */
export function crossCheck(config: Config, draft: ConfigDraft, report: Report): void {
	const {services, instances, syncGroups} = config;
	unique(services, ({name}) => `virtual_server ${name}`, report);
	unique(draft.groups, ({name}) => `virtual_server_group ${quote(name)}`, report);
	unique(draft.settings.services, ({title}) => `service ${quote(title)}`, report);
	unique(draft.instances, ({name}) => `vrrp_instance ${quote(name)}`, report);
	unique(syncGroups, ({name}) => `vrrp_sync_group ${quote(name)}`, report);
	unique(draft.trackers.scripts, ({name}) => `vrrp_script ${quote(name)}`, report);
	unique(draft.trackers.files, ({name}) => `track_file ${quote(name)}`, report);
	unique(draft.trackers.processes, ({name}) => `vrrp_track_process ${quote(name)}`, report);
	unique(
		instances,
		({vrid, family: of, interface: device}) => `virtual_router_id ${vrid} of IPv${of} on interface ${device}`,
		report,
	);
	unique(
		instances.filter(({virtualMac}) => virtualMac !== null),
		({virtualMac}) => `use_vmac ${virtualMac?.name}`,
		report,
	);
	unique(config.trackGroups, ({name}) => `track_group ${quote(name)}`, report);
	checkMembers(config, draft, report);
	checkTrackGroups(config, draft, report);
	checkAddresses(config, report);
	for (const group of draft.groups) checkSize(group, report);
	checkServiceSettings(draft, report);
	checkOwned(services, instances, report);
}

function unique<T extends Placed>(things: readonly T[], name: (thing: T) => string, report: Report): void {
	for (const [thing, earlier] of repeated(things, name)) {
		const text = `${name(thing)} is there already, at ${formatPlace(earlier.place)}`;
		report.error('duplicate', thing.place, text, 'remove or rename one');
	}
}

/** The things that have a name which an earlier one has, each with that earlier one. */
function repeated<T>(things: readonly T[], name: (thing: T) => string): [thing: T, earlier: T][] {
	const first = new Map<string, T>();
	return things.flatMap((thing): [T, T][] => {
		const earlier = first.get(name(thing));
		if (earlier === undefined) first.set(name(thing), thing);
		return earlier === undefined ? [] : [[thing, earlier]];
	});
}

function checkMembers({syncGroups}: Config, {instances}: ConfigDraft, report: Report): void {
	// The drafts, so that a member which is wrong in itself is not called unknown as well.
	const known = new Set(instances.map(({name}) => name));
	const groups = new Map<string, Place>();
	for (const {name, place, instances: members} of syncGroups) {
		for (const member of members) {
			const say = (code: DiagnosticCode, what: string, wayOut: string): void =>
				report.error(code, place, `vrrp_sync_group ${quote(name)} names ${quote(member)}, ${what}`, wayOut);
			const other = groups.get(member);
			if (!known.has(member)) say('missing', 'which is no vrrp_instance', 'correct the name or add the instance');
			else if (other !== undefined)
				say('contradiction', `which is in the group at ${formatPlace(other)}`, 'choose one');
			groups.set(member, place);
		}
	}
}

function checkTrackGroups({trackGroups, statics}: Config, {instances}: ConfigDraft, report: Report): void {
	const known = instances.map(({name}) => name);
	for (const {name, place, instances: members} of trackGroups) {
		for (const member of members.filter(member => !known.includes(member))) {
			const text = `track_group ${quote(name)} names ${quote(member)}, which is no vrrp_instance`;
			report.error('missing', place, text, suggestion(member, known) || 'correct the name or add the instance');
		}
	}
	const groups = trackGroups.map(({name}) => name);
	for (const {place, trackGroup} of [...statics.addresses, ...statics.routes, ...statics.rules]) {
		if (trackGroup === null || groups.includes(trackGroup)) continue;
		const wayOut = suggestion(trackGroup, groups) || 'add the group, or correct the name';
		report.error('missing', place, `there is no track_group ${quote(trackGroup)}`, wayOut);
	}
}

/** A link-local address is another one on every link. */
function nameOnLink({address, device}: VirtualAddress): string {
	return isLinkLocal(address) ? `${address} on ${device}` : address;
}

/** Two masters with one address fight for it. */
function checkAddresses({instances, statics}: Config, report: Report): void {
	const virtual = instances.flatMap(({addresses, excludedAddresses}) => [...addresses, ...excludedAddresses]);
	const addresses = [...statics.addresses, ...virtual];
	for (const [{address, place}, earlier] of repeated(addresses, nameOnLink)) {
		const text = `address ${address} is there already, at ${formatPlace(earlier.place)}`;
		report.warning('duplicate', place, text, 'keep one');
	}
}

function checkSize({name, excess}: GroupDraft, report: Report): void {
	if (excess === null) return;
	const text = `virtual_server_group ${quote(name)} has more than ${SERVICES_MAX} addresses from here on`;
	report.error('too-many', excess, text, 'each is a service, and there is no room for more');
}

function checkServiceSettings(draft: ConfigDraft, report: Report): void {
	const known = new Set(titles(draft));
	for (const settings of draft.settings.services) {
		const {title, place} = settings;
		if (known.has(title)) {
			checkFailedBackend(settings, report);
			continue;
		}
		const wayOut = known.has(`${title} udp`) ? `did you mean ${quote(`${title} udp`)}?` : suggestion(title, known);
		report.error('missing', place, `service ${quote(title)} is no virtual_server of this file`, wayOut);
	}
}

/** What `service` in the `lbd` block may name. From the drafts, so that what is wrong in itself is not called unknown as well. */
function* titles({services, groups}: ConfigDraft): Iterable<string> {
	for (const service of services) {
		const protocol = protocolOf(service) ?? 'tcp';
		const {target} = service;
		if ('group' in target) yield groupTitle(target.group, protocol);
		const lines =
			'group' in target ? groups.filter(({name}) => name === target.group).flatMap(({lines}) => lines) : [target];
		for (const {addresses, port} of lines) {
			for (const address of addresses) yield serviceTitle({address, port, protocol});
		}
	}
}

function checkFailedBackend(settings: ServiceSettingsDraft, report: Report): void {
	if (!settings.title.endsWith(' udp') || (settings.failedBackend ?? 'reschedule') === 'reschedule') return;
	const text = `failed_backend ${settings.failedBackend} is ignored: UDP flows are always rescheduled`;
	report.warning('contradiction', placeOf(settings, 'failed_backend'), text, 'remove it');
}

/** One warning a line of the file, as a range may hold many. */
function checkOwned(services: readonly Service[], instances: readonly Instance[], report: Report): void {
	const owned = new Set(
		instances.flatMap(({addresses, excludedAddresses}) =>
			[...addresses, ...excludedAddresses].map(({address}) => address),
		),
	);
	const warned = new Set<Place>();
	for (const {address, name, place} of services) {
		if (owned.has(address) || warned.has(place)) continue;
		warned.add(place);
		const text = `address of virtual_server ${name} is in no vrrp_instance: nothing moves it to the other balancer`;
		report.warning('missing', place, text, `add ${address} to a virtual_ipaddress block`);
	}
}
