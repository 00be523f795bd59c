/**
 * Whether connections are shared, where, with whom and under which key: what the file says of it, and what follows from its
 * VRRP instances otherwise. docs/architecture.md has the reasons.
 */
import {createHmac} from 'node:crypto';
import {family} from '../net/address.js';
import {quote, type Report} from './diagnostics.js';
import {DATAGRAM_MAX, type SharingDraft} from './keywords/sharing.js';
import type {Config, Instance, Service, Sharing} from './model.js';

/** keepalived's and IPVS's, but for the last, which they do not have. */
const DEFAULTS = {port: 8848, group: '224.0.0.81', waitUs: 30_000_000};
/** A group is the link's own; peers may be behind a router. */
const TTL = {group: 1, peers: 64};
/** 128 bits, if its characters are hexadecimal digits. */
const KEY_CHARACTERS_MIN = 16;
/** Of other balancers, as many as one keeps in mind. */
const PEERS_MAX = 8;

/** What a file has beside, of which sharing may follow. */
type Source = Pick<Config, 'services' | 'instances'>;
type Outcome = Pick<Config, 'sharing' | 'notSharing'>;
type Key = Pick<Sharing, 'key' | 'keyFrom'>;

/**
 * `daemon` is what `lvs_sync_daemon` says and `block` what `sync` does, which has the last word. Where neither says anything,
 * balancers share by the internal network if their VRRP has a secret.
 */
export function toSharing(
	{daemon, block}: {readonly daemon: SharingDraft | null; readonly block: SharingDraft | null},
	source: Source,
	report: Report,
): Outcome {
	const {services, instances} = source;
	if (block?.off) return {sharing: null, notSharing: null};
	if (daemon !== null) return {sharing: asSaid({...daemon, ...block}, null, source, report), notSharing: null};
	if (block !== null)
		return {sharing: asSaid(block, internalNetwork(services, instances), source, report), notSharing: null};
	if (services.length === 0 || instances.length === 0) return {sharing: null, notSharing: null};
	return byDefault(source);
}

function byDefault({services, instances}: Source): Outcome {
	const key = secretOf(instances);
	if (key === null)
		return refused('VRRP has no secret to use as a key, as auth_type PASS sends its password in the clear', 'key "…"');
	const network = internalNetwork(services, instances);
	if (network === null) return refused('it is not clear which interface is on the internal network', 'interface …');
	const path = pathOf(network);
	if (path === null) return refused('no unicast peer on the internal network has an IPv4 address', 'peer …');
	const {interface: device, vrid: id} = network;
	return {sharing: complete({...path, id}, device, {key, keyFrom: 'vrrp'}), notSharing: null};
}

function refused(why: string, wayOut: string): Outcome {
	const ways = `write 'sync { ${wayOut} }' into the lbd block of all balancers, or 'sync { off }'`;
	return {sharing: null, notSharing: `${why}: ${ways}`};
}

/** Without an interface it is that of `network`, the internal one, and goes there as VRRP does unless it says how. */
function asSaid(draft: SharingDraft, network: Instance | null, {instances}: Source, report: Report): Sharing | null {
	const key = keyOf(draft, instances, report);
	const named = instanceOf(draft, instances, report);
	checkPeers(draft, report);
	const device = draft.interface ?? network?.interface;
	if (device === undefined) {
		const wayOut = "write 'interface INTERFACE' into it: the one towards the other balancer";
		report.error('missing', draft.place, 'sync lacks its interface', wayOut);
		return null;
	}
	const asVrrp = draft.group === undefined && device === network?.interface ? pathOf(network) : null;
	const id = named?.vrid ?? 0;
	return complete({id, ...asVrrp, ...draft}, device, key);
}

function complete(said: Partial<SharingDraft>, device: string, key: Key): Sharing {
	const {peers = [], source = null, id = 0, datagramMax = DATAGRAM_MAX} = said;
	const {port, group, waitUs} = {...DEFAULTS, ...said};
	const {ttl = peers.length === 0 ? TTL.group : TTL.peers} = said;
	return {interface: device, group, peers, source, id, port, ttl, datagramMax, waitUs, ...key};
}

/**
 * The instance on the network behind the balancers: the one whose addresses are no service's. Where all have those of
 * services, and one interface, there is no other network. null: there is not one, but several.
 */
function internalNetwork(services: readonly Service[], instances: readonly Instance[]): Instance | null {
	const served = new Set(services.map(({address}) => address));
	const inner = instances.filter(
		({addresses, excludedAddresses}) => ![...addresses, ...excludedAddresses].some(({address}) => served.has(address)),
	);
	const candidates = inner.length > 0 ? inner : instances;
	const [first = null, ...others] = candidates.toSorted((a, b) => a.vrid - b.vrid);
	return others.every(other => other.interface === first?.interface) ? first : null;
}

/** How VRRP goes to the others: by unicast or, if both are undefined, by a group. null: in no way that is ours as well. */
function pathOf({unicast, sourceAddress}: Instance): Pick<SharingDraft, 'peers' | 'source'> | null {
	if (unicast === null) return {};
	const peers = unicast.peers.map(({address}) => address).filter(address => family(address) === 4);
	if (peers.length === 0) return null;
	return sourceAddress === null ? {peers} : {peers, source: sourceAddress};
}

/**
 * A key of what VRRP authenticates itself with and never sends: the active keys of auth_hmac and the passwords of
 * authentication headers. Whoever knows them all can be master anyhow. null: there is none.
 */
function secretOf(instances: readonly Instance[]): string | null {
	const secrets = instances.flatMap(({vrid, authHmac, usesAuthHeader, password}) => {
		const active = authHmac?.keys.find(({id}) => id === authHmac.activeKeyId)?.secret;
		const secret = active ?? (usesAuthHeader ? password : null);
		return secret === null ? [] : [`${vrid}:${secret}`];
	});
	if (secrets.length === 0) return null;
	return createHmac('sha256', 'sharing of connections').update(JSON.stringify(secrets.toSorted())).digest('hex');
}

function keyOf({key, place}: SharingDraft, instances: readonly Instance[], report: Report): Key {
	const secret = secretOf(instances);
	if (key === undefined && secret !== null) return {key: secret, keyFrom: 'vrrp'};
	if (key === undefined) {
		const text = 'connections are shared without a key: any host on the link can add and end some here';
		const wayOut = `write 'sync { key "…" }' into the lbd block, the same on all balancers`;
		report.warning('insecure', place, text, wayOut);
		return {key: null, keyFrom: null};
	}
	if (key.length < KEY_CHARACTERS_MIN) {
		const text = `the key of sync has fewer than ${KEY_CHARACTERS_MIN} characters`;
		report.error('bad-value', place, text, 'make one with: openssl rand -hex 32');
	}
	return {key, keyFrom: 'sync'};
}

function checkPeers({peers = [], group, place}: SharingDraft, report: Report): void {
	if (peers.length > PEERS_MAX) {
		const text = `sync has ${peers.length} peers, and one balancer shares with ${PEERS_MAX} at most`;
		report.error('too-many', place, text, "let more of them share by 'group'");
	}
	if (peers.length > 0 && group !== undefined)
		report.warning('contradiction', place, 'group is ignored: sync has peers', "remove 'group' or 'peer'");
}

function instanceOf(
	{instance: name, place}: SharingDraft,
	instances: readonly Instance[],
	report: Report,
): Instance | undefined {
	const named = instances.find(instance => instance.name === name);
	if (name !== undefined && named === undefined) {
		const text = `lvs_sync_daemon names ${quote(name)}, which is no vrrp_instance`;
		report.error('missing', place, text, 'correct the name or add the instance');
	}
	return named;
}
