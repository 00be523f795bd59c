import {formatMac, macBytes} from '../../net/address.js';
import {encodeVirtualMac, isVirtualMac} from '../../net/vrrp-mac.js';
import {type Args, none, one} from '../args.js';
import {quote, type Report} from '../diagnostics.js';
import type {Instance, VirtualAddress, VirtualMac} from '../model.js';
import {accepted, type Draft, full, type Keywords, placeOf, refused} from '../table.js';
import {interfaceName, type Value, word} from '../values.js';

/** What an instance says of a MAC address of its own. null: not written, or not said. */
export interface VirtualMacDraft extends Draft {
	readonly name: string;
	virtualMac: {readonly name: string | null; readonly mac: MacPattern | null} | null;
	sendFromBase: boolean;
}

/** Six octets, or the first five: the last one is the VRID then. */
type MacPattern = readonly string[];

const FIVE_OR_SIX_OCTETS = /^[0-9a-f]{1,2}(:[0-9a-f]{1,2}){4,5}$/i;

/** `NAME`, `MAC`, or both in that order. */
const virtualMacArgs: Args<NonNullable<VirtualMacDraft['virtualMac']>> = {
	usage: '[INTERFACE] [MAC]',
	read(words) {
		const isMac = (): boolean => FIVE_OR_SIX_OCTETS.test(words.peek()?.text ?? '');
		const name = words.peek() === undefined || isMac() ? null : words.take(interfaceName);
		if (name === undefined) return undefined;
		return {name, mac: isMac() ? (words.take(word) ?? '').split(':') : null};
	},
};

export function virtualMacKeywords<D extends VirtualMacDraft>(): Keywords<D> {
	return {
		use_vmac: full(virtualMacArgs, (draft: D, virtualMac) => {
			draft.virtualMac = virtualMac;
		}),
		vmac_xmit_base: full(none, (draft: D) => {
			draft.sendFromBase = true;
		}),
		use_vmac_addr: accepted('addresses on other interfaces have the MAC address of those'),
		use_ipvlan: refused('an ipvlan has the MAC address of its interface, so that nothing would be won by it'),
		vrf: refused('instances use the interface they name'),
	};
}

/** The first part of the names of interfaces that are made for virtual MAC addresses (IFNAMSIZ leaves room for the rest). */
const namePrefix: Value<string> = {
	usage: 'WORD',
	parse(text) {
		const whole = interfaceName.parse(text);
		return 'why' in whole || text.length <= 7 ? whole : {why: 'is too long', wayOut: 'at most 7 characters'};
	},
};

export function virtualMacGlobals<D extends {virtualMacPrefix: string}>(): Keywords<D> {
	return {
		vmac_prefix: full(one(namePrefix), (draft: D, prefix) => {
			draft.virtualMacPrefix = prefix;
		}),
		vmac_addr_prefix: accepted('addresses on other interfaces have the MAC address of those'),
	};
}

/** Hands out the names of the interfaces that virtual MAC addresses are on, each once. */
export class VirtualMacNames {
	readonly #prefix: string;
	readonly #taken: Set<string>;

	/** `written` are the names that the file itself gives. */
	constructor(prefix: string, written: Iterable<string>) {
		this.#prefix = prefix;
		this.#taken = new Set(written);
	}

	/** `vrrp.91`, or `vrrp6.91`; with a number where another interface has instances of the same VRID (keepalived does so). */
	generate({vrid, family: of}: Pick<Instance, 'vrid' | 'family'>): string {
		const start = this.#prefix + (of === 6 ? '6' : '');
		for (let number = 0; ; number++) {
			const name = `${start}${number === 0 ? '' : number}.${vrid}`;
			if (this.#taken.has(name)) continue;
			this.#taken.add(name);
			return name;
		}
	}
}

/** The instance with its virtual MAC address, and with its addresses on the interface of that. */
export function withVirtualMac(
	instance: Instance,
	draft: VirtualMacDraft,
	names: VirtualMacNames,
	report: Report,
): Instance {
	const said = draft.virtualMac;
	if (said === null) {
		if (draft.sendFromBase) {
			const text = 'vmac_xmit_base is ignored without use_vmac';
			report.warning('missing', placeOf(draft, 'vmac_xmit_base'), text, `add 'use_vmac' or remove it`);
		}
		return instance;
	}
	const virtualMac = {
		name: said.name ?? names.generate(instance),
		mac: resolveMac(said.mac, instance, draft, report),
		sendFromBase: resolveSender(instance, draft, report),
	};
	const {addresses, excludedAddresses} = instance;
	const place = (virtual: VirtualAddress): VirtualAddress => onVirtualMac(virtual, instance, virtualMac);
	return {...instance, virtualMac, addresses: addresses.map(place), excludedAddresses: excludedAddresses.map(place)};
}

/** keepalived: `dev` with the instance's own interface means the one with the virtual MAC address as well. */
function onVirtualMac(virtual: VirtualAddress, instance: Instance, {name}: VirtualMac): VirtualAddress {
	const isOfFamily = virtual.address.includes(':') === (instance.family === 6);
	return isOfFamily && virtual.device === instance.interface ? {...virtual, device: name} : virtual;
}

/** The program tells frames to virtual routers from others by the prefixes of the RFC, so there are no other addresses. */
function resolveMac(pattern: MacPattern | null, {vrid, family: of}: Instance, draft: Draft, report: Report): string {
	const standard = encodeVirtualMac(vrid, of);
	if (pattern === null) return standard;
	const octets = pattern.length === 6 ? pattern : [...pattern, vrid.toString(16)];
	const mac = octets.map(octet => octet.padStart(2, '0')).join(':');
	const bytes = macBytes(mac);
	if (bytes !== undefined && isVirtualMac(bytes)) return formatMac(bytes);
	const text = `use_vmac ${mac} is not supported: only 00:00:5e:00:01:… and 00:00:5e:00:02:… (RFC 9568 §7.3) reach services`;
	report.error('not-supported', placeOf(draft, 'use_vmac'), text, `leave it out, and it is ${standard}`);
	return standard;
}

/** What is sent to one router needs an answer to ARP, which only the interface's own MAC address is sure to get. */
function resolveSender({unicast, name}: Instance, draft: VirtualMacDraft, report: Report): boolean {
	if (unicast !== null && !draft.sendFromBase) {
		const text = `vrrp_instance ${quote(name)} has unicast peers, so its adverts have the interface's own MAC address`;
		report.warning('adjusted', placeOf(draft, 'use_vmac'), text, `add 'vmac_xmit_base'`);
	}
	return unicast !== null || draft.sendFromBase;
}
