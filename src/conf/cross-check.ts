import {isLinkLocal} from '../net/address.js';
import {type DiagnosticCode, formatPlace, quote, type Report} from './diagnostics.js';
import type {ConfigDraft} from './keywords/top.js';
import type {Config, Instance, Place, Service, VirtualAddress} from './model.js';

interface Placed {
	readonly place: Place;
}

/** What no block can know by itself: names used twice, names that nobody has, parts that do not fit together. */
export function crossCheck(config: Config, draft: ConfigDraft, report: Report): void {
	const {services, instances, syncGroups} = config;
	unique(services, ({name}) => `virtual_server ${name}`, report);
	unique(draft.instances, ({name}) => `vrrp_instance ${quote(name)}`, report);
	unique(syncGroups, ({name}) => `vrrp_sync_group ${quote(name)}`, report);
	unique(
		instances,
		({vrid, family: of, interface: device}) => `virtual_router_id ${vrid} of IPv${of} on interface ${device}`,
		report,
	);
	checkMembers(config, draft, report);
	checkAddresses(instances, report);
	for (const service of services) checkOwned(service, instances, report);
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

/** A link-local address is another one on every link. */
function nameOnLink({address, device}: VirtualAddress): string {
	return isLinkLocal(address) ? `${address} on ${device}` : address;
}

/** Two masters with one address fight for it. */
function checkAddresses(instances: readonly Instance[], report: Report): void {
	const addresses = instances.flatMap(({addresses, excludedAddresses}) => [...addresses, ...excludedAddresses]);
	for (const [{address, place}, earlier] of repeated(addresses, nameOnLink)) {
		const text = `virtual address ${address} is there already, at ${formatPlace(earlier.place)}`;
		report.warning('duplicate', place, text, 'keep one');
	}
}

function checkOwned({address, name, forwarding, place}: Service, instances: readonly Instance[], report: Report): void {
	const owned = instances.some(({addresses, excludedAddresses}) =>
		[...addresses, ...excludedAddresses].some(virtual => virtual.address === address),
	);
	if (owned || forwarding !== 'nat') return;
	const text = `address of virtual_server ${name} is in no vrrp_instance: nothing moves it to the other balancer`;
	report.warning('missing', place, text, `add ${address} to a virtual_ipaddress block`);
}
