import {broadcastAddress, networkAddress} from '../../net/address.js';
import {type Args, none, one} from '../args.js';
import type {Place, VirtualAddress} from '../model.js';
import {accepted, full, type Keywords, readOptions, refused} from '../table.js';
import {integer, interfaceName, ipv4, oneOf, type Value} from '../values.js';
import * as because from './because.js';

/** One line of `virtual_ipaddress`: `IP[/PREFIX] [dev INTERFACE] [label LABEL] [scope SCOPE] [brd IP|+|-]`. */
export interface AddressDraft {
	readonly address: string;
	readonly prefix: number;
	/** null: the interface of the instance. */
	device: string | null;
	label: string | null;
	scope: number;
	broadcast: string | null;
}

/** The lines of a block, each with its place. */
export type AddressDrafts = {readonly place: Place; readonly draft: AddressDraft}[];

interface Network {
	readonly address: string;
	readonly prefix: number;
}

/** keepalived puts an address without a prefix on the interface as /32. */
const HOST_PREFIX = 32;

const addressAndPrefix: Value<Network> = {
	usage: 'IP[/PREFIX]',
	parse(text) {
		const slash = text.indexOf('/');
		const address = ipv4.parse(slash === -1 ? text : text.slice(0, slash));
		if ('why' in address) return address;
		if (slash === -1) return {value: {address: address.value, prefix: HOST_PREFIX}};
		const prefix = integer(0, HOST_PREFIX).parse(text.slice(slash + 1));
		if ('why' in prefix) return {why: 'has no prefix length in 0-32', wayOut: 'write it like 192.0.2.1/24'};
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

/** Options that only matter to IPv6 addresses. */
const ipv6Only = accepted<AddressDraft>('it is for IPv6 addresses', none);

export const addressOptions: Keywords<AddressDraft> = {
	dev: full(one(interfaceName), (draft, device) => {
		draft.device = device;
	}),
	label: full(one(label), (draft, text) => {
		draft.label = text;
	}),
	scope: full(one(scope), (draft, number) => {
		draft.scope = number;
	}),
	brd: full(one(broadcast), setBroadcast),
	broadcast: full(one(broadcast), setBroadcast),
	home: ipv6Only,
	nodad: ipv6Only,
	mngtmpaddr: ipv6Only,
	no_track: accepted('an address that somebody removes is put back', none),
	peer: refused('point-to-point addresses are not set yet'),
	noprefixroute: refused('the kernel makes the route of the prefix'),
	autojoin: refused('the address joins no multicast group'),
	preferred_lft: refused('addresses are always preferred'),
	use_vmac: refused(because.noVmac),
	track_group: refused('it is for static addresses'),
};

export const addressArgs: Args<AddressDraft> = {
	usage: 'IP[/PREFIX] [dev INTERFACE] [label LABEL] [scope SCOPE] [brd IP|+|-]',
	read(words) {
		const network = words.take(addressAndPrefix);
		if (network === undefined) return undefined;
		const draft: AddressDraft = {...network, device: null, label: null, scope: 0, broadcast: null};
		return readOptions(words, addressOptions, draft) ? draft : undefined;
	},
};

export function toAddresses(drafts: AddressDrafts, defaultDevice: string): VirtualAddress[] {
	return drafts.map(({place, draft}) => ({place, ...draft, device: draft.device ?? defaultDevice}));
}
