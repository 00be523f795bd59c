/** Flows that are shared with the other balancers: `lvs_sync_daemon` of keepalived, and `sync` in the `lbd` block. */

import {isMulticast} from '../../net/address.js';
import {type Args, none, one, several} from '../args.js';
import {type Draft, draftAt, each, full, type Keywords, readOptions} from '../table.js';
import {integer, interfaceName, ipv4, seconds, type Value, word} from '../values.js';

/** What one of the two places says. */
export interface SharingDraft extends Draft {
	interface?: string;
	/** Of `lvs_sync_daemon`. */
	instance?: string;
	id?: number;
	port?: number;
	group?: string;
	peers?: readonly string[];
	source?: string;
	ttl?: number;
	datagramMax?: number;
	key?: string;
	waitUs?: number;
	off?: true;
}

/** What an Ethernet frame holds behind the headers of IPv4 and UDP. */
export const DATAGRAM_MAX = 1472;
/** A datagram has room for a few records at least. */
const DATAGRAM_MIN = 512;
const groupAddress: Value<string> = {
	usage: 'GROUP',
	parse(text) {
		const address = ipv4.parse(text);
		if ('why' in address || isMulticast(address.value)) return address;
		return {why: 'is not a multicast address', wayOut: 'write it like 224.0.0.81'};
	},
};

const hostAddress: Value<string> = {
	usage: 'IPV4',
	parse(text) {
		const address = ipv4.parse(text);
		if ('why' in address || !isMulticast(address.value)) return address;
		return {why: 'is the address of a group', wayOut: "write one balancer's address, or 'group' for 'peer'"};
	},
};

const common: Keywords<SharingDraft> = {
	id: full(one(integer(0, 255)), (draft, id) => {
		draft.id = id;
	}),
	port: full(one(integer(1, 65_535)), (draft, port) => {
		draft.port = port;
	}),
	ttl: full(one(integer(1, 255)), (draft, ttl) => {
		draft.ttl = ttl;
	}),
	group: full(one(groupAddress), (draft, address) => {
		draft.group = address;
	}),
};

const daemonOptions: Keywords<SharingDraft> = {
	...common,
	inst: full(one(word), (draft, name) => {
		draft.instance = name;
	}),
	maxlen: full(one(integer(1, 65_507)), (draft, length) => {
		draft.datagramMax = Math.min(DATAGRAM_MAX, Math.max(DATAGRAM_MIN, length));
	}),
};

/** Of keepalived. The name of an instance may stand alone, right behind the interface. */
export const syncDaemonArgs: Args<SharingDraft> = {
	usage: 'INTERFACE [[inst] VRRP_INSTANCE] [id 0-255] [maxlen BYTES] [port PORT] [ttl 1-255] [group IPV4]',
	read(words) {
		const device = words.take(interfaceName);
		if (device === undefined) return undefined;
		const draft: SharingDraft = {...draftAt(words.keyword.place), interface: device};
		const next = words.peek();
		if (next !== undefined && !Object.hasOwn(daemonOptions, next.text)) {
			words.shift();
			draft.instance = next.text;
		}
		return readOptions(words, daemonOptions, draft) ? draft : undefined;
	},
};

/** `sync` in the `lbd` block. */
export const sharingSettings: Keywords<SharingDraft> = {
	...common,
	interface: full(one(interfaceName), (draft, device) => {
		draft.interface = device;
	}),
	key: full(one(word), (draft, key) => {
		draft.key = key;
	}),
	peer: each(several(hostAddress), (draft, addresses) => {
		draft.peers = [...(draft.peers ?? []), ...addresses];
	}),
	source: full(one(hostAddress), (draft, address) => {
		draft.source = address;
	}),
	wait: full(one(seconds(0, 3600)), (draft, us) => {
		draft.waitUs = us;
	}),
	off: full(none, draft => {
		draft.off = true;
	}),
};
