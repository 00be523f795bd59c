import type {Instance} from '../conf/model.js';
import {KernelError} from '../errors.js';
import type {Link, LinkSettings, Netlink} from '../host/host.js';
import type {Log} from '../log.js';
import {family} from '../net/address.js';
import {virtualAddresses} from './holdings.js';

/** ARP for a virtual address is answered by the interface that has it, and with the MAC address of that one. */
const BASE_SETTINGS: LinkSettings = {arp_ignore: 1, arp_filter: 1};
/** Routers of the same network are heard on it, although routes lead to them by the interface below. */
const SETTINGS: LinkSettings = {arp_ignore: 1, accept_local: 1, rp_filter: 0, promote_secondaries: 1};

/**
 * The interfaces that have the MAC addresses of virtual routers (RFC 9568 §7.3): a macvlan for each instance with
 * `use_vmac`, found again after a crash and removed at the end, with keepalived's settings. They are left down: an
 * instance takes its own up while it is master.
 */
export class VirtualMacs {
	readonly #netlink: Netlink;
	readonly #log: Log;
	/** Names of those that were made or taken over. */
	readonly #owned = new Set<string>();

	constructor(netlink: Netlink, log: Log) {
		this.#netlink = netlink;
		this.#log = log;
	}

	/**
	 * Makes what is missing, where the interface below is there; resolves to whether `links` are out of date. Throws
	 * `KernelError` when the kernel refuses, or when the name is that of something else.
	 */
	async provide(instances: readonly Instance[], links: readonly Link[]): Promise<boolean> {
		let changed = false;
		for (const instance of instances) if (await this.#provideOne(instance, links)) changed = true;
		return changed;
	}

	/** Removes those that no instance wants any more; without instances, all. */
	async retire(instances: readonly Instance[]): Promise<void> {
		const wanted = new Set(instances.map(({virtualMac}) => virtualMac?.name));
		const links = await this.#netlink.links();
		for (const name of this.#owned) {
			if (wanted.has(name)) continue;
			this.#owned.delete(name);
			const link = links.find(candidate => candidate.name === name);
			if (link !== undefined) await this.#netlink.deleteLink(link.ifindex);
		}
	}

	async #provideOne(instance: Instance, links: readonly Link[]): Promise<boolean> {
		const {virtualMac, interface: below} = instance;
		const base = links.find(({name}) => name === below);
		if (virtualMac === null || base === undefined) return false;
		const {name, mac} = virtualMac;
		const found = links.find(link => link.name === name);
		if (found !== undefined && isOver(found, base, mac)) {
			if (!this.#owned.has(name)) await this.#configure(instance, found, base);
			this.#owned.add(name);
			return false;
		}
		if (found !== undefined) await this.#remove(found, instance.name);
		await this.#netlink.addMacvlan({name, base: base.ifindex, mac});
		this.#owned.add(name);
		this.#log.info({instance: instance.name}, `(${instance.name}) made ${name} with ${mac} over ${below}`);
		const made = (await this.#netlink.links()).find(link => link.name === name);
		if (made !== undefined) await this.#configure(instance, made, base);
		return true;
	}

	/** What an earlier run with another configuration left; nothing else may be in the way. */
	async #remove({ifindex, name, kind}: Link, instance: string): Promise<void> {
		if (kind !== 'macvlan') {
			const hint = `it is no macvlan; name another one behind use_vmac`;
			throw new KernelError('vrrp configure', `instance ${instance}: interface ${name}`, 'EEXIST', hint);
		}
		await this.#netlink.deleteLink(ifindex);
	}

	async #configure(instance: Instance, link: Link, base: Link): Promise<void> {
		await this.#netlink.spreadReversePathFilter();
		await this.#netlink.configureLink(base.ifindex, BASE_SETTINGS);
		await this.#netlink.configureLink(link.ifindex, SETTINGS);
		await this.#netlink.withoutOwnAddress(link.ifindex);
		const here = virtualAddresses(instance).filter(({device}) => device === link.name);
		if (instance.family === 4 && here.every(({address}) => family(address) === 4))
			await this.#netlink.withoutIpv6(link.name);
	}
}

function isOver(link: Link, base: Link, mac: string): boolean {
	return link.kind === 'macvlan' && link.base === base.ifindex && link.mac === mac;
}
