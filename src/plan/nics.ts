/** Which slot of the `nics` map a NIC has, and which virtual routers are behind it. Pure. */
import {Limits, type Nic, RouterRole, type RouterRoles, routerRoles} from '../xdp/layout.gen.js';

/** What the plan needs to know of a NIC. */
export interface NicIdentity {
	readonly ifindex: number;
	readonly mac: Uint8Array;
	/** Bytes of an IP packet, as the kernel says; 0: it does not say. */
	readonly mtu: number;
}

/** The largest MTU that struct nic can say, which no packet exceeds. */
const MTU_MAX = 0xffff;

/**
 * Gives each NIC a slot: (ifindex + probe) % slots, the first that is free. One that has a slot keeps it, because
 * flows name NICs by slot. NICs for which none is free are missing in the result.
 */
export function assignSlots(
	nics: readonly NicIdentity[],
	actual: ReadonlyMap<number, Nic>,
	slots: number,
): Map<number, Nic> {
	const assigned = new Map<number, Nic>();
	const standing = new Map([...actual].map(([slot, nic]) => [nic.ifindex, slot]));
	const placed = (nic: NicIdentity): boolean => standing.has(nic.ifindex);
	for (const nic of [...nics.filter(placed), ...nics.filter(candidate => !placed(candidate))]) {
		const slot = standing.get(nic.ifindex) ?? freeSlot(nic.ifindex, assigned, slots);
		if (slot !== null) assigned.set(slot, {ifindex: nic.ifindex, mac: nic.mac, mtu: mtuOf(nic)});
	}
	return assigned;
}

/** An interface that has the MAC address of a virtual router (RFC 9568 §7.3). */
export interface RouterInterface {
	/** Of the NIC below. */
	readonly nic: number;
	readonly mac: Uint8Array;
	/** Its interface is up while this machine is master. */
	readonly isMaster: boolean;
}

/** The roles behind each NIC, by slot; none for NICs without virtual routers. */
export function rolesBehind(
	nics: ReadonlyMap<number, Nic>,
	routers: readonly RouterInterface[],
): Map<number, RouterRoles> {
	const bySlot = new Map<number, RouterRoles>();
	for (const [slot, {ifindex}] of nics) {
		const behind = routers.filter(({nic}) => nic === ifindex);
		if (behind.length === 0) continue;
		const roles = new Uint8Array(routerRoles.size);
		for (const {mac, isMaster} of behind) {
			const [, , , , family = 0, vrid = 0] = mac;
			roles[(family - 1) * Limits.LIMIT_ROUTERS + vrid] = isMaster
				? RouterRole.ROUTER_MASTER
				: RouterRole.ROUTER_BACKUP;
		}
		bySlot.set(slot, {roles});
	}
	return bySlot;
}

function mtuOf({mtu}: NicIdentity): number {
	return mtu === 0 ? MTU_MAX : Math.min(mtu, MTU_MAX);
}

function freeSlot(ifindex: number, assigned: ReadonlyMap<number, Nic>, slots: number): number | null {
	for (let probe = 0; probe < Limits.LIMIT_NIC_PROBES; probe++) {
		const slot = (ifindex + probe) % slots;
		if (!assigned.has(slot)) return slot;
	}
	return null;
}
