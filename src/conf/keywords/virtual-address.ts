import {addressBits, broadcastAddress, family, networkAddress} from '../../net/address.js';
import type {AddressFlag} from '../../net/netlink/route.js';
import {type Args, none, one} from '../args.js';
import type {Report} from '../diagnostics.js';
import type {Place, VirtualAddress} from '../model.js';
import {full, type Keywords, type Row, readOptions, refused} from '../table.js';
import {integer, interfaceName, ip, ipv4, oneOf, type Value} from '../values.js';
import {bounded, type Lines, newTracking, type Tracking, trackGroupOption, trackOption} from './holding.js';

/** One line of `virtual_ipaddress`: `IP[/PREFIX] [dev INTERFACE] [label LABEL] [scope SCOPE] [brd IP|+|-] …`. */
export interface AddressDraft extends Tracking {
	readonly address: string;
	/** null: not written. */
	readonly prefix: number | null;
	/** null: the interface of the instance, or `default_interface`. */
	device: string | null;
	peer: string | null;
	label: string | null;
	scope: number;
	broadcast: Broadcast | null;
	/** null: forever; undefined: not written. */
	preferredS: number | null | undefined;
	readonly flags: Set<AddressFlag>;
	detectDuplicates: boolean;
	/** Where an IPv6 address has options that are for IPv4. */
	readonly misplaced: Place[];
}

/** The lines of a block, each with its place. */
export type AddressDrafts = Lines<AddressDraft>;

interface Network {
	readonly address: string;
	readonly prefix: number | null;
}

/** An address on a network, whose other bits may be set. */
export const addressAndPrefix: Value<Network> = {
	usage: 'IP[/PREFIX]',
	parse(text) {
		const slash = text.indexOf('/');
		const address = ip.parse(slash === -1 ? text : text.slice(0, slash));
		if ('why' in address) return address;
		if (slash === -1) return {value: {address: address.value, prefix: null}};
		const bits = addressBits(family(address.value));
		const prefix = integer(0, bits).parse(text.slice(slash + 1));
		if ('why' in prefix) {
			const example = bits === 32 ? '192.0.2.1/24' : '2001:db8::1/64';
			return {why: `has no prefix length in 0-${bits}`, wayOut: `write it like ${example}`};
		}
		return {value: {address: address.value, prefix: prefix.value}};
	},
};

const scopeNames = oneOf({global: 0, site: 200, link: 253, host: 254, nowhere: 255});
const scopeNumbers = integer(0, 255);
const scope: Value<number> = {
	usage: `${scopeNames.usage}|${scopeNumbers.usage}`,
	parse: text => (/^\d/.test(text) ? scopeNumbers : scopeNames).parse(text),
};

/** The kernel's IFNAMSIZ holds labels, too. */
const label: Value<string> = {
	usage: 'LABEL',
	parse: text => (text.length <= 15 ? {value: text} : {why: 'is longer than 15 characters'}),
};

type Broadcast = '+' | '-' | {readonly address: string};

/** `+`: all bits behind the prefix set; `-`: all cleared. */
const broadcast: Value<Broadcast> = {
	usage: 'IP|+|-',
	parse(text) {
		if (text === '+' || text === '-') return {value: text};
		const address = ipv4.parse(text);
		return 'why' in address ? address : {value: {address: address.value}};
	},
};

const lifetimes = integer(0, 0xffff_fffe);
/** Seconds, or forever. */
const lifetime: Value<number | null> = {
	usage: `${lifetimes.usage}|forever`,
	parse: text => (text === 'forever' ? {value: null} : lifetimes.parse(text)),
};

function setBroadcast(draft: AddressDraft, value: Broadcast): void {
	draft.broadcast = value;
}

/** An option that IPv6 addresses do not have. */
function ipv4Only<V>(args: Args<V>, set: (draft: AddressDraft, value: V) => void): Row<AddressDraft> {
	return full(args, (draft: AddressDraft, value, place) => {
		if (family(draft.address) === 4) set(draft, value);
		else draft.misplaced.push(place);
	});
}

/** A flag that the kernel keeps with the address. */
function flag(name: AddressFlag): Row<AddressDraft> {
	return full(none, ({flags}: AddressDraft) => {
		flags.add(name);
	});
}

const options: Keywords<AddressDraft> = {
	dev: full(one(interfaceName), (draft, device) => {
		draft.device = device;
	}),
	peer: full(one(ip), (draft, address) => {
		draft.peer = address;
	}),
	label: ipv4Only(one(label), (draft, text) => {
		draft.label = text;
	}),
	scope: ipv4Only(one(scope), (draft, number) => {
		draft.scope = number;
	}),
	brd: ipv4Only(one(broadcast), setBroadcast),
	broadcast: ipv4Only(one(broadcast), setBroadcast),
	preferred_lft: full(one(lifetime), (draft, seconds) => {
		draft.preferredS = seconds;
	}),
	home: flag('home'),
	mngtmpaddr: flag('mngtmpaddr'),
	noprefixroute: flag('noprefixroute'),
	autojoin: flag('autojoin'),
	'-nodad': full(none, draft => {
		draft.detectDuplicates = true;
	}),
	nodad: full(none, draft => {
		draft.detectDuplicates = false;
	}),
	use_vmac: refused('addresses on other interfaces have the MAC address of those'),
};

const USAGE = `IP[/PREFIX] [dev INTERFACE] [peer IP] [label LABEL] [scope SCOPE] [brd IP|+|-] [preferred_lft SECONDS|forever]`;

function addressArgs(tracking: Keywords<Tracking>): Args<AddressDraft> {
	const all: Keywords<AddressDraft> = {...options, ...tracking};
	return {
		usage: USAGE,
		read(words) {
			const network = words.take(addressAndPrefix);
			if (network === undefined) return undefined;
			const draft = newAddress(network);
			return readOptions(words, all, draft) ? draft : undefined;
		},
	};
}

export const virtualAddressArgs = addressArgs(trackOption);
export const staticAddressArgs = addressArgs(trackGroupOption);

function newAddress(network: Network): AddressDraft {
	return {
		...newTracking(),
		...network,
		device: null,
		peer: null,
		label: null,
		scope: 0,
		broadcast: null,
		preferredS: undefined,
		flags: new Set(),
		detectDuplicates: false,
		misplaced: [],
	};
}

export function toAddresses(drafts: AddressDrafts, defaultDevice: string, report: Report): VirtualAddress[] {
	return bounded(drafts, report).map(({place, draft}) => {
		const {misplaced, ...said} = draft;
		for (const at of misplaced) {
			report.warning('contradiction', at, `ignored: IPv6 addresses have no label, scope or broadcast`, 'remove it');
		}
		const prefix = resolvePrefix(draft, place, report);
		return {
			...said,
			place,
			device: said.device ?? defaultDevice,
			prefix,
			peer: resolvePeer(draft, place, report),
			flags: [...said.flags],
			broadcast: resolveBroadcast(draft, prefix),
			preferredS: preferredS(draft, prefix),
		};
	});
}

/** keepalived puts an address without a prefix, or with a peer, on the interface by itself: /32 or /128. */
function resolvePrefix({address, prefix, peer}: AddressDraft, place: Place, report: Report): number {
	const alone = addressBits(family(address));
	if (prefix === null || peer === null) return prefix ?? alone;
	if (prefix !== alone) {
		const text = `the prefix of ${address} is ignored as keepalived does: with a peer, the address is by itself`;
		report.warning('contradiction', place, text, `write it without '/${prefix}'`);
	}
	return alone;
}

function resolvePeer({address, peer}: AddressDraft, place: Place, report: Report): string | null {
	if (peer === null || family(peer) === family(address)) return peer;
	report.error('contradiction', place, `peer ${peer} is of another family than ${address}`, 'give both of one family');
	return null;
}

function resolveBroadcast({address, broadcast}: AddressDraft, prefix: number): string | null {
	if (broadcast === '+') return broadcastAddress(address, prefix);
	if (broadcast === '-') return networkAddress(address, prefix);
	return broadcast?.address ?? null;
}

/**
 * keepalived's default: an IPv6 address that is on the interface by itself serves those who ask for it, and is not what the
 * machine's own connections should come from.
 */
function preferredS({address, preferredS: said}: AddressDraft, prefix: number): number | null {
	if (said !== undefined) return said;
	return family(address) === 6 && prefix === addressBits(6) ? 0 : null;
}
