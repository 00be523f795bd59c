/** What a configuration without errors says that is hardly meant. */
import {addressBits, family, networkAddress} from '../net/address.js';
import {formatPlace, quote, type Report} from './diagnostics.js';
import type {ConfigDraft} from './keywords/top.js';
import type {Backend, Config, Instance, Place, Service, SyncGroup, VirtualAddress} from './model.js';

export function advise(config: Config, draft: ConfigDraft, report: Report): void {
	const {services, instances, syncGroups} = config;
	const owners = ownersOf(instances);
	checkBackends(services, owners, report);
	checkReturnPath(config, owners, report);
	checkHasAddresses(draft, report);
	checkGroupsUsed(draft, report);
	for (const group of syncGroups) checkSize(group, report);
}

/** Which instance has an address. */
function ownersOf(instances: readonly Instance[]): ReadonlyMap<string, Instance> {
	const addresses = instances.flatMap(instance =>
		addressesOf(instance).map(({address}) => [address, instance] as const),
	);
	return new Map(addresses.reverse());
}

function addressesOf({addresses, excludedAddresses}: Instance): readonly VirtualAddress[] {
	return [...addresses, ...excludedAddresses];
}

/** A backend that is the balancer itself would get its packets back. */
function checkBackends(services: readonly Service[], owners: ReadonlyMap<string, Instance>, report: Report): void {
	const warned = new Set<Place>();
	for (const {address, place} of services.flatMap(({backends}) => backends)) {
		const owner = owners.get(address);
		if (owner === undefined || warned.has(place)) continue;
		warned.add(place);
		const text = `real_server ${address} is a virtual address of vrrp_instance ${quote(owner.name)}`;
		report.warning('contradiction', place, text, 'name the address of a machine behind the balancer');
	}
}

/** Replies to NAT come back by a virtual address in the backends' network, which must be where the service is. */
function checkReturnPath(
	{services, instances, syncGroups}: Config,
	owners: ReadonlyMap<string, Instance>,
	report: Report,
): void {
	const warned = new Set<string>();
	for (const {address, name, backends} of services) {
		const front = owners.get(address);
		if (front === undefined) continue;
		const nat = backends.filter(({forwarding}) => forwarding.method === 'nat');
		for (const back of instances) {
			const pair = `${front.name}\n${back.name}`;
			if (back === front || warned.has(pair) || !nat.some(backend => isGateway(back, backend))) continue;
			warned.add(pair);
			if (syncGroups.some(({instances}) => instances.includes(front.name) && instances.includes(back.name))) continue;
			const text = `vrrp_instance ${quote(back.name)}, by which replies to virtual_server ${name} come back, may be master elsewhere than ${quote(front.name)}, at ${formatPlace(front.place)}`;
			report.warning('contradiction', back.place, text, 'join both in a vrrp_sync_group');
		}
	}
}

function isGateway(instance: Instance, {address}: Backend): boolean {
	const bits = addressBits(family(address));
	return addressesOf(instance).some(
		virtual =>
			family(virtual.address) === family(address) &&
			virtual.prefix < bits &&
			networkAddress(virtual.address, virtual.prefix) === networkAddress(address, virtual.prefix),
	);
}

function checkSize({name, place, instances}: SyncGroup, report: Report): void {
	if (instances.length !== 1) return;
	const text = `vrrp_sync_group ${quote(name)} has one instance, and nothing to keep it together with`;
	report.warning('contradiction', place, text, 'add others, or remove the group');
}

function checkHasAddresses({instances}: ConfigDraft, report: Report): void {
	for (const {name, place, addresses, excludedAddresses, written} of instances) {
		if (addresses.length + excludedAddresses.length > 0 || written.has('no_virtual_ipaddress')) continue;
		const text = `vrrp_instance ${quote(name)} has no virtual address, so there is nothing to take over`;
		report.warning('missing', place, text, `add one to 'virtual_ipaddress { … }'`);
	}
}

function checkGroupsUsed({groups, services}: ConfigDraft, report: Report): void {
	const used = new Set(services.flatMap(({target}) => ('group' in target ? [target.group] : [])));
	for (const {name, place} of groups) {
		if (used.has(name)) continue;
		report.warning('missing', place, `virtual_server_group ${quote(name)} is named by no virtual_server`, 'remove it');
	}
}
