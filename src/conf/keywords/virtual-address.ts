import {addressBits, broadcastAddress, family, networkAddress} from '../../net/address.js';
import {type Args, none, one} from '../args.js';
import type {Report} from '../diagnostics.js';
import type {Place, VirtualAddress} from '../model.js';
import {accepted, full, type Keywords, type Row, readOptions, refused} from '../table.js';
import {integer, interfaceName, ip, ipv4, oneOf, type Value} from '../values.js';
import * as because from './because.js';

/** One line of `virtual_ipaddress`: `IP[/PREFIX] [dev INTERFACE] [label LABEL] [scope SCOPE] [brd IP|+|-] …`. */
export interface AddressDraft {
	readonly address: string;
	readonly prefix: number;
	/** null: the interface of the instance. */
	device: string | null;
	label: string | null;
	scope: number;
	broadcast: string | null;
	/** null: forever; undefined: not written. */
	preferredS: number | null | undefined;
	/** Where an IPv6 address has options that are for IPv4. */
	readonly misplaced: Place[];
}

/** The lines of a block, each with its place. */
export type AddressDrafts = {readonly place: Place; readonly draft: AddressDraft}[];

interface Network {
	readonly address: string;
	readonly prefix: number;
}

/** keepalived puts an address without a prefix on the interface by itself: /32 or /128. */
const addressAndPrefix: Value<Network> = {
	usage: 'IP[/PREFIX]',
	parse(text) {
		const slash = text.indexOf('/');
		const address = ip.parse(slash === -1 ? text : text.slice(0, slash));
		if ('why' in address) return address;
		const bits = addressBits(family(address.value));
		if (slash === -1) return {value: {address: address.value, prefix: bits}};
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

function setBroadcast(draft: AddressDraft, value: Broadcast): void {
	if (value === '+') draft.broadcast = broadcastAddress(draft.address, draft.prefix);
	else if (value === '-') draft.broadcast = networkAddress(draft.address, draft.prefix);
	else draft.broadcast = value.address;
}

const lifetimes = integer(0, 0xffff_fffe);
/** Seconds, or forever. */
const lifetime: Value<number | null> = {
	usage: `${lifetimes.usage}|forever`,
	parse: text => (text === 'forever' ? {value: null} : lifetimes.parse(text)),
};

/** An option that IPv6 addresses do not have. */
function ipv4Only<V>(args: Args<V>, set: (draft: AddressDraft, value: V) => void): Row<AddressDraft> {
	return full(args, (draft: AddressDraft, value, place) => {
		if (family(draft.address) === 4) set(draft, value);
		else draft.misplaced.push(place);
	});
}

const mobility = accepted<AddressDraft>('it is for mobile hosts and address autoconfiguration', none);

export const addressOptions: Keywords<AddressDraft> = {
	dev: full(one(interfaceName), (draft, device) => {
		draft.device = device;
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
	home: mobility,
	mngtmpaddr: mobility,
	nodad: accepted('virtual addresses are never probed for duplicates', none),
	no_track: accepted('an address that somebody removes is put back', none),
	peer: refused('point-to-point addresses are not set yet'),
	noprefixroute: refused('the kernel makes the route of the prefix'),
	autojoin: refused('the address joins no multicast group'),
	use_vmac: refused(because.noVmac),
	track_group: refused('it is for static addresses'),
};

export const addressArgs: Args<AddressDraft> = {
	usage: 'IP[/PREFIX] [dev INTERFACE] [label LABEL] [scope SCOPE] [brd IP|+|-] [preferred_lft SECONDS|forever]',
	read(words) {
		const network = words.take(addressAndPrefix);
		if (network === undefined) return undefined;
		const draft: AddressDraft = {
			...network,
			device: null,
			label: null,
			scope: 0,
			broadcast: null,
			preferredS: undefined,
			misplaced: [],
		};
		return readOptions(words, addressOptions, draft) ? draft : undefined;
	},
};

export function toAddresses(drafts: AddressDrafts, defaultDevice: string, report: Report): VirtualAddress[] {
	return drafts.map(({place, draft}) => {
		const {misplaced, ...said} = draft;
		for (const at of misplaced) {
			report.warning('contradiction', at, `ignored: IPv6 addresses have no label, scope or broadcast`, 'remove it');
		}
		return {place, ...said, device: said.device ?? defaultDevice, preferredS: preferredS(draft)};
	});
}

/**
 * keepalived's default: an IPv6 address that is on the interface by itself serves those who ask for it, and is not what the
 * machine's own connections should come from.
 */
function preferredS({address, prefix, preferredS: said}: AddressDraft): number | null {
	if (said !== undefined) return said;
	return family(address) === 6 && prefix === addressBits(6) ? 0 : null;
}
