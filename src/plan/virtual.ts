/** Which lease each virtual router has, and what the program has to know of its addresses. Pure. */
import {addressBytes, family, isLinkLocal} from '../net/address.js';
import {Limits, type VirtualAddress, VirtualFlag, type VirtualKey, type VirtualRouter} from '../xdp/layout.gen.js';
import {type Tables, virtualKeyText, withRoom} from '../xdp/tables.js';

/** A VRRP instance, on the links that there are. */
export interface VirtualInstance {
	readonly name: string;
	readonly router: VirtualRouter;
	readonly addresses: readonly {readonly address: string; readonly ifindex: number}[];
	/** What is sent to its addresses and is no service's is dropped. */
	readonly closed: boolean;
}

export interface VirtualTables extends Pick<Tables, 'leases' | 'virtualAddresses'> {
	/** What did not fit. */
	readonly problems: readonly string[];
}

/** A router that has a lease keeps it, with what its instance has written there. */
export function planVirtual(instances: readonly VirtualInstance[], actual: Tables): VirtualTables {
	const leases = new Map<number, VirtualRouter>();
	const virtualAddresses = new Map<string, {readonly key: VirtualKey; readonly value: VirtualAddress}>();
	const problems: string[] = [];
	const leaseOf = leaseChooser(actual.leases);
	for (const {name, router, addresses, closed} of instances) {
		const hasRoom = virtualAddresses.size + addresses.length <= Limits.LIMIT_VIRTUAL_ADDRESSES;
		const lease = hasRoom ? leaseOf(router) : null;
		if (lease === null) {
			problems.push(`${name}: no lease is left: were its daemon killed, it would go on answering for its addresses`);
			continue;
		}
		leases.set(lease, router);
		const value = {lease, flags: closed ? VirtualFlag.VIRTUAL_CLOSED : 0};
		for (const {address, ifindex} of addresses) {
			const key = virtualKey(address, ifindex);
			virtualAddresses.set(virtualKeyText(key), {key, value});
		}
	}
	return {leases, virtualAddresses, problems};
}

function virtualKey(address: string, ifindex: number): VirtualKey {
	const addr = withRoom(addressBytes(address));
	return {addr, ifindex: isLinkLocal(address) ? ifindex : 0, family: family(address)};
}

/** Gives each router its lease, or the first that nobody has had; null: there is none. */
function leaseChooser(actual: ReadonlyMap<number, VirtualRouter>): (router: VirtualRouter) => number | null {
	const standing = new Map([...actual].map(([index, router]) => [routerText(router), index]));
	let next = 0;
	return router => {
		const own = standing.get(routerText(router));
		if (own !== undefined) return own;
		while (actual.has(next)) next++;
		return next < Limits.LIMIT_LEASES ? next++ : null;
	};
}

function routerText({ifindex, family: of, vrid}: VirtualRouter): string {
	return `${ifindex}/${of}/${vrid}`;
}
