/** Flows that are shared with the other balancers: `lvs_sync_daemon` of keepalived, and `sync` in the `lbd` block. */

import {isMulticast} from '../../net/address.js';
import {type Args, one} from '../args.js';
import {quote, type Report} from '../diagnostics.js';
import type {Sharing} from '../model.js';
import {type Draft, draftAt, full, type Keywords, readOptions} from '../table.js';
import {integer, interfaceName, ipv4, seconds, type Value, word} from '../values.js';
import type {InstanceDraft} from './instance.js';

/** What one of the two places says. */
export interface SharingDraft extends Draft {
	interface?: string;
	/** Of `lvs_sync_daemon`. */
	instance?: string;
	id?: number;
	port?: number;
	group?: string;
	ttl?: number;
	datagramMax?: number;
	key?: string;
	waitUs?: number;
}

/** keepalived's and IPVS's, but for the last, which they do not have. */
const DEFAULTS = {port: 8848, group: '224.0.0.81', ttl: 1, waitUs: 30_000_000};

/** What an Ethernet frame holds behind the headers of IPv4 and UDP. */
const DATAGRAM_MAX = 1472;
/** A datagram has room for a few records at least. */
const DATAGRAM_MIN = 512;
/** 128 bits, if its characters are hexadecimal digits. */
const KEY_CHARACTERS_MIN = 16;

const groupAddress: Value<string> = {
	usage: 'GROUP',
	parse(text) {
		const address = ipv4.parse(text);
		if ('why' in address || isMulticast(address.value)) return address;
		return {why: 'is not a multicast address', wayOut: 'write it like 224.0.0.81'};
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
	wait: full(one(seconds(0, 3600)), (draft, us) => {
		draft.waitUs = us;
	}),
};

/**
 * What holds; null: nothing is shared. Where both places say something, the block has the last word. Without an interface it
 * is that of the instances, if all have the same one.
 */
export function toSharing(
	daemon: SharingDraft | null,
	block: SharingDraft | null,
	instances: readonly InstanceDraft[],
	report: Report,
): Sharing | null {
	const draft = daemon === null ? block : {...daemon, ...block};
	if (draft === null) return null;
	checkKey(draft, report);
	const named = instanceOf(draft, instances, report);
	const device = draft.interface ?? onlyInterface(instances);
	if (device === null) {
		const wayOut = "write 'interface INTERFACE' into it: the one towards the other balancer";
		report.error('missing', draft.place, 'sync lacks its interface', wayOut);
		return null;
	}
	const {port, group, ttl, waitUs} = {...DEFAULTS, ...draft};
	const {id = named?.vrid ?? 0, key = null, datagramMax = DATAGRAM_MAX} = draft;
	return {interface: device, group, id, port, ttl, datagramMax, key, waitUs};
}

function checkKey({key, place}: SharingDraft, report: Report): void {
	if (key === undefined) {
		const text = 'connections are shared without a key: any host on the link can add and end some here';
		const wayOut = `write 'sync { key "…" }' into the lbd block, the same on all balancers`;
		report.warning('insecure', place, text, wayOut);
	} else if (key.length < KEY_CHARACTERS_MIN) {
		const text = `the key of sync has fewer than ${KEY_CHARACTERS_MIN} characters`;
		report.error('bad-value', place, text, 'make one with: openssl rand -hex 32');
	}
}

function instanceOf(
	{instance: name, place}: SharingDraft,
	instances: readonly InstanceDraft[],
	report: Report,
): InstanceDraft | undefined {
	const named = instances.find(instance => instance.name === name);
	if (name !== undefined && named === undefined) {
		const text = `lvs_sync_daemon names ${quote(name)}, which is no vrrp_instance`;
		report.error('missing', place, text, 'correct the name or add the instance');
	}
	return named;
}

function onlyInterface(instances: readonly InstanceDraft[]): string | null {
	const [first = null, ...others] = new Set(instances.map(instance => instance.interface));
	return others.length === 0 ? first : null;
}
