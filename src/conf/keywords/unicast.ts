import {type Family, family} from '../../net/address.js';
import {ANY_TTL, type Unicast, type UnicastPeer, VRRP_TTL} from '../../net/vrrp-packet.js';
import {type Args, one} from '../args.js';
import {quote, type Report} from '../diagnostics.js';
import type {Place} from '../model.js';
import {type Draft, full, type Keywords, placeOf, readOptions} from '../table.js';
import {integer, ip} from '../values.js';
import {bounded, type Lines} from './holding.js';

/** One line of `unicast_peer`: `IP [min_ttl 0-255] [max_ttl 0-255]`. null: not written. */
export interface PeerDraft {
	readonly address: string;
	ttlMin: number | null;
	ttlMax: number | null;
}

const ttl = one(integer(0, 255));

const options: Keywords<PeerDraft> = {
	min_ttl: full(ttl, (draft, min) => {
		draft.ttlMin = min;
	}),
	max_ttl: full(ttl, (draft, max) => {
		draft.ttlMax = max;
	}),
};

export const peerArgs: Args<PeerDraft> = {
	usage: 'IP [min_ttl 0-255] [max_ttl 0-255]',
	read(words) {
		const address = words.take(ip);
		if (address === undefined) return undefined;
		const draft: PeerDraft = {address, ttlMin: null, ttlMax: null};
		return readOptions(words, options, draft) ? draft : undefined;
	},
};

/** What an instance says about unicast. */
export interface UnicastDraft extends Draft {
	readonly name: string;
	readonly peers: Lines<PeerDraft>;
	unicastTtl: number | null;
	checkUnicastSource: boolean;
	sourceAddress: string | null;
}

/** null: the instance speaks to a group. */
export function toUnicast(draft: UnicastDraft, of: Family, checkAll: boolean, report: Report): Unicast | null {
	if (draft.peers.length === 0) {
		reportWithoutPeers(draft, report);
		return null;
	}
	const peers = bounded(draft.peers, report).flatMap(({place, draft: peer}) => toPeer(peer, place, draft, of, report));
	const ranged = draft.peers.some(({draft: {ttlMin, ttlMax}}) => ttlMin !== null || ttlMax !== null);
	return {
		peers,
		ttl: draft.unicastTtl ?? VRRP_TTL,
		// keepalived: a range of TTLs means that only peers are heard.
		checkSource: draft.checkUnicastSource || checkAll || ranged,
	};
}

function toPeer(
	{address, ttlMin, ttlMax}: PeerDraft,
	place: Place,
	{sourceAddress, name}: UnicastDraft,
	of: Family,
	report: Report,
): UnicastPeer[] {
	const [min, max] = [ttlMin ?? ANY_TTL[0], ttlMax ?? ANY_TTL[1]];
	if (family(address) !== of) {
		const text = `unicast_peer ${address} is not of IPv${of} as its instance ${quote(name)} is`;
		report.error('contradiction', place, text, 'name an address of that family');
	}
	if (min > max) report.error('contradiction', place, `min_ttl ${min} is above max_ttl ${max}`, 'swap them');
	if (address !== sourceAddress) return [{address, ttl: [min, max]}];
	const text = `unicast_peer ${address} is this router's own address, and left out`;
	report.warning('contradiction', place, text, 'remove it');
	return [];
}

/** keepalived goes on by multicast then, but with `unicast_fault_no_peer`. */
function reportWithoutPeers(draft: UnicastDraft, report: Report): void {
	const {name, written} = draft;
	const lacks = `vrrp_instance ${quote(name)} has no unicast_peer`;
	if (written.has('unicast_fault_no_peer')) {
		report.error('missing', placeOf(draft, 'unicast_fault_no_peer'), lacks, 'name the other routers');
		return;
	}
	for (const keyword of ['unicast_src_ip', 'unicast_peer', 'unicast_ttl', 'check_unicast_src']) {
		if (!written.has(keyword)) continue;
		report.warning('missing', placeOf(draft, keyword), `${lacks}, so it speaks by multicast`, 'name the other routers');
		return;
	}
}
