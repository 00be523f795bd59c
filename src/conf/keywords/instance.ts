import {type Family, family, isLinkLocal} from '../../net/address.js';
import type {Unicast} from '../../net/vrrp-packet.js';
import {none, one, onOff} from '../args.js';
import {quote, type Report} from '../diagnostics.js';
import type {Files} from '../files.js';
import type {Instance, Place, VirtualAddress} from '../model.js';
import {accepted, block, type Draft, draftAt, full, items, type Keywords, placeOf, refused, rows} from '../table.js';
import {integer, interfaceName, ip, multicast, oneOf, seconds, word} from '../values.js';
import {type AuthHmacDraft, authHmac, newAuthHmac, toAuthHmac} from './auth-hmac.js';
import * as because from './because.js';
import type {GlobalsDraft} from './globals.js';
import type {NameResolver} from './iproute-values.js';
import {
	type InstanceNotifyDraft,
	instanceNotifyKeywords,
	type NotifyDefaults,
	newInstanceNotify,
	toInstanceNotify,
} from './notify.js';
import {type RouteDrafts, toRoutes, virtualRouteArgs} from './route.js';
import {type RuleDrafts, type RulePriorities, toRules, virtualRuleArgs} from './rule.js';
import {toStrict} from './strict.js';
import {type TrackDraft, trackKeywords} from './track.js';
import {peerArgs, toUnicast, type UnicastDraft} from './unicast.js';
import {type AddressDrafts, toAddresses, virtualAddressArgs} from './virtual-address.js';
import {type VirtualMacDraft, type VirtualMacNames, virtualMacKeywords, withVirtualMac} from './virtual-mac.js';
import {
	type ExtraDraft,
	extraKeywords,
	type GarpDraft,
	garpKeywords,
	rfcKeywords,
	toGarp,
	vrrpVersion,
	withExtra,
} from './vrrp-values.js';

/** `vrrp_instance`. null: not written. */
export interface InstanceDraft extends UnicastDraft, VirtualMacDraft {
	state: 'master' | 'backup' | null;
	interface: string | null;
	vrid: number | null;
	priority: number | null;
	advertUs: number;
	version: 2 | 3 | null;
	nativeIpv6: boolean;
	readonly authentication: AuthenticationDraft;
	authHmac: AuthHmacDraft | null;
	readonly addresses: AddressDrafts;
	readonly excludedAddresses: AddressDrafts;
	readonly routes: RouteDrafts;
	readonly rules: RuleDrafts;
	promoteSecondaries: boolean;
	preempt: boolean;
	preemptDelayUs: number;
	readonly garp: GarpDraft;
	garpExtra: ExtraDraft | null;
	multicastGroup: string | null;
	trackSourceAddress: boolean;
	trackPrimary: boolean;
	readonly tracks: TrackDraft[];
	accept: boolean | null;
	/** null: as `global_defs` has it. */
	strict: boolean | null;
	readonly notify: InstanceNotifyDraft;
}

interface AuthenticationDraft extends Draft {
	type: 'pass' | 'ah' | null;
	password: string | null;
}

export function newInstance(name: string, place: Place): InstanceDraft {
	return {
		...draftAt(place),
		name,
		state: null,
		interface: null,
		vrid: null,
		priority: null,
		advertUs: 1_000_000,
		version: null,
		nativeIpv6: false,
		authentication: {...draftAt(place), type: null, password: null},
		authHmac: null,
		addresses: [],
		excludedAddresses: [],
		routes: [],
		rules: [],
		promoteSecondaries: false,
		preempt: true,
		preemptDelayUs: 0,
		garp: {},
		garpExtra: null,
		virtualMac: null,
		sendFromBase: false,
		sourceAddress: null,
		trackSourceAddress: false,
		multicastGroup: null,
		peers: [],
		unicastTtl: null,
		checkUnicastSource: false,
		trackPrimary: true,
		tracks: [],
		accept: null,
		strict: null,
		notify: newInstanceNotify(),
	};
}

const authentication: Keywords<AuthenticationDraft> = {
	auth_type: full(one(oneOf({PASS: 'pass', AH: 'ah'})), (draft, type) => {
		draft.type = type;
	}),
	auth_pass: full(one(word), (draft, password) => {
		draft.password = password;
	}),
};

export const instance: Keywords<InstanceDraft> = {
	state: full(one(oneOf({MASTER: 'master', BACKUP: 'backup'})), (draft, state) => {
		draft.state = state;
	}),
	interface: full(one(interfaceName), (draft, name) => {
		draft.interface = name;
	}),
	virtual_router_id: full(one(integer(1, 255)), (draft, vrid) => {
		draft.vrid = vrid;
	}),
	priority: full(one(integer(1, 255)), (draft, priority) => {
		draft.priority = priority;
	}),
	advert_int: full(one(seconds(0.01, 255)), (draft, us) => {
		draft.advertUs = us;
	}),
	version: full(one(vrrpVersion), (draft, version) => {
		draft.version = version;
	}),
	native_ipv6: full(none, draft => {
		draft.nativeIpv6 = true;
	}),
	authentication: block(authentication, none, draft => draft.authentication),
	auth_hmac: block(authHmac, none, (draft, _, place) => {
		draft.authHmac ??= newAuthHmac(place);
		return draft.authHmac;
	}),
	virtual_ipaddress: items(virtualAddressArgs, ({addresses}, draft, place) => {
		addresses.push({place, draft});
	}),
	virtual_ipaddress_excluded: items(virtualAddressArgs, ({excludedAddresses}, draft, place) => {
		excludedAddresses.push({place, draft});
	}),
	virtual_routes: items(virtualRouteArgs, ({routes}, draft, place) => {
		routes.push({place, draft});
	}),
	virtual_rules: items(virtualRuleArgs, ({rules}, draft, place) => {
		rules.push({place, draft});
	}),
	promote_secondaries: full(none, draft => {
		draft.promoteSecondaries = true;
	}),
	preempt: full(none, draft => {
		draft.preempt = true;
	}),
	nopreempt: full(none, draft => {
		draft.preempt = false;
	}),
	preempt_delay: full(one(seconds(0, 1000)), (draft, us) => {
		draft.preemptDelayUs = us;
	}),
	...garpKeywords<InstanceDraft>(''),
	...rows(
		'mcast_src_ip unicast_src_ip',
		full(one(ip), (draft: InstanceDraft, address) => {
			draft.sourceAddress = address;
		}),
	),
	mcast_dst_ip: full(one(multicast), (draft, group) => {
		draft.multicastGroup = group;
	}),
	unicast_peer: items(peerArgs, ({peers}, draft, place) => {
		peers.push({place, draft});
	}),
	unicast_ttl: full(one(integer(1, 255)), (draft, ttl) => {
		draft.unicastTtl = ttl;
	}),
	check_unicast_src: full(none, draft => {
		draft.checkUnicastSource = true;
	}),
	unicast_fault_no_peer: full(none, () => {}),
	old_unicast_checksum: accepted(because.ownChecksum),
	dont_track_primary: full(none, draft => {
		draft.trackPrimary = false;
	}),

	...trackKeywords<InstanceDraft>(),
	track_bfd: refused(because.noBfd),
	track_src_ip: full(none, draft => {
		draft.trackSourceAddress = true;
	}),
	...virtualMacKeywords<InstanceDraft>(),
	...extraKeywords<InstanceDraft>('garp_extra_if vmac_garp_intvl'),
	...rfcKeywords<InstanceDraft>(''),
	...rows(
		'timer_expired_backup thread_timer_expired',
		accepted('adverts that wait in the socket are read before a timer counts'),
	),
	strict_mode: full(onOff, (draft, strict) => {
		draft.strict = strict;
	}),
	accept: full(none, draft => {
		draft.accept = true;
	}),
	no_accept: full(none, draft => {
		draft.accept = false;
	}),
	lvs_sync_daemon_interface: accepted(
		"'lvs_sync_daemon' says by which interface connections are shared, for all instances",
	),
	skip_check_adv_addr: accepted('every advert is checked in full', onOff),
	no_virtual_ipaddress: full(none, () => {}),
	v3_checksum_as_v2: accepted(because.ownChecksum, onOff),
	kernel_rx_buf_size: accepted(because.ownBuffers),
	linkbeat_use_polling: accepted(because.linkEvents),
	debug: accepted('lbd -D logs more'),
	...instanceNotifyKeywords<InstanceDraft>(),
};

/** RFC 3768 5.3.4: this router owns the addresses. */
export const PRIORITY_OWNER = 255;
const PRIORITY_DEFAULT = 100;
/** The advert of version 2 has a field of this many bytes. */
const PASSWORD_BYTES_MAX = 8;
/** The advert counts its addresses in a byte, and must fit into a frame of 1,500 bytes: keepalived advertises no more. */
const ADVERTISED_MAX: Readonly<Record<Family, number>> = {4: 255, 6: 90};
/** With the trailer of `auth_hmac` in the same frame. */
const SIGNED_MAX: Readonly<Record<Family, number>> = {4: 255, 6: 89};

/** What instances that say nothing themselves take from `global_defs`. */
type InstanceDefaults = Pick<GlobalsDraft, 'garp' | 'garpExtra' | 'strict' | 'vrrpVersion' | 'checkUnicastSource'> &
	NotifyDefaults;

/** What the names and numbers of the whole file are resolved with. */
export interface RoutingNames {
	readonly resolver: NameResolver;
	readonly priorities: RulePriorities;
	readonly virtualMacs: VirtualMacNames;
	/** Where keys are. */
	readonly files: Files;
}

/** An instance's tracks by its own blocks and its group's. */
type ToTracks = (draft: InstanceDraft, priority: number) => Instance['tracks'];

/** The instance with keepalived's defaults and corrections, or null if it cannot be. */
export function toInstance(
	draft: InstanceDraft,
	defaults: InstanceDefaults,
	{resolver, priorities, virtualMacs, files}: RoutingNames,
	tracksOf: ToTracks,
	report: Report,
): Instance | null {
	const {place, name, interface: device, vrid, sourceAddress, trackPrimary} = draft;
	if (device === null) requireKeyword(draft, 'interface', report);
	if (vrid === null) requireKeyword(draft, 'virtual_router_id', report);
	if (device === null || vrid === null) return null;
	const priority = resolvePriority(draft, report);
	const of = resolveFamily(draft);
	const version = resolveVersion(draft, of, defaults.vrrpVersion, report);
	const addresses = toAddresses(draft.addresses, device, report);
	checkAddresses(addresses, of, report);
	const advertUs = version === 2 ? resolveSeconds(draft, report) : resolveCentiseconds(draft, report);
	const hmac = draft.authHmac && toAuthHmac(draft.authHmac, advertUs, files, report);
	// keepalived: a trailer is believed of peers only.
	const unicast = toUnicast(draft, of, defaults.checkUnicastSource || hmac !== null, report);
	const most = (hmac === null || hmac.mode === 'receive-only' ? ADVERTISED_MAX : SIGNED_MAX)[of];
	const advertised = addresses.slice(0, most);
	const excess = addresses.slice(most);
	reportExcess(excess, most, report);
	const instance: Instance = {
		place,
		name,
		initialState: resolveState(draft, priority, report),
		interface: device,
		virtualMac: null,
		vrid,
		priority,
		family: of,
		version,
		advertUs,
		...resolveAuthentication(draft, version, report),
		authHmac: hmac,
		addresses: advertised,
		excludedAddresses: [...excess, ...toAddresses(draft.excludedAddresses, device, report)],
		routes: toRoutes(draft.routes, resolver, report),
		rules: toRules(draft.rules, resolver, priorities, report),
		promoteSecondaries: draft.promoteSecondaries,
		...resolvePreemption(draft, priority, report),
		accept: draft.accept !== false || priority === PRIORITY_OWNER,
		garp: withExtra(
			toGarp(draft.garp, defaults.garp),
			draft.garpExtra ?? defaults.garpExtra,
			draft.virtualMac !== null,
		),
		sourceAddress,
		trackSourceAddress: resolveSourceTracking(draft, report),
		multicastGroup: resolveGroup(draft, of, unicast, report),
		unicast,
		trackPrimary,
		tracks: tracksOf(draft, priority),
		notify: toInstanceNotify(draft.notify, defaults),
	};
	const whole = withVirtualMac(instance, draft, virtualMacs, report);
	return (draft.strict ?? defaults.strict) ? toStrict(whole, draft, report) : whole;
}

/** By what is written; an instance that says nothing is of IPv4. */
function resolveFamily({nativeIpv6, sourceAddress, addresses, peers}: InstanceDraft): Family {
	const telling = sourceAddress ?? addresses[0]?.draft.address ?? peers[0]?.draft.address;
	return nativeIpv6 || (telling !== undefined && family(telling) === 6) ? 6 : 4;
}

function resolveSourceTracking(draft: InstanceDraft, report: Report): boolean {
	if (!draft.trackSourceAddress || draft.sourceAddress !== null) return draft.trackSourceAddress;
	const text = 'track_src_ip is ignored without mcast_src_ip or unicast_src_ip';
	report.warning('missing', placeOf(draft, 'track_src_ip'), text, 'name the address, or remove it');
	return false;
}

function resolveGroup(draft: InstanceDraft, of: Family, unicast: Unicast | null, report: Report): string | null {
	const {multicastGroup: group} = draft;
	if (group === null) return null;
	const place = placeOf(draft, 'mcast_dst_ip');
	if (family(group) !== of) {
		report.error(
			'contradiction',
			place,
			`mcast_dst_ip ${group} is not of IPv${of} as its instance is`,
			'choose another',
		);
	}
	if (unicast === null) return group;
	report.warning('contradiction', place, 'mcast_dst_ip is ignored with unicast_peer', 'remove one of them');
	return null;
}

function resolveVersion(draft: InstanceDraft, of: Family, byDefault: 2 | 3, report: Report): 2 | 3 {
	if (of === 4) return draft.version ?? byDefault;
	if (draft.version === 2) {
		const text = `vrrp_instance ${quote(draft.name)} is of IPv6, which VRRP version 2 does not have`;
		report.error('contradiction', placeOf(draft, 'version'), text, `write 'version 3' on both balancers`);
	}
	return 3;
}

function checkAddresses(addresses: readonly VirtualAddress[], of: Family, report: Report): void {
	for (const {address, place} of addresses) {
		if (family(address) === of) continue;
		const text = `${address} is not of IPv${of} as its instance is, and cannot be advertised`;
		report.error('contradiction', place, text, 'move it to virtual_ipaddress_excluded or to another instance');
	}
	const [first] = addresses;
	if (of === 4 || first === undefined || isLinkLocal(first.address)) return;
	const text = 'the first virtual address of an IPv6 instance should be a link-local one (RFC 9568 §5.2.9)';
	report.warning('missing', first.place, text, 'put one such as fe80::100 before it, on both balancers');
}

function requireKeyword(draft: InstanceDraft, keyword: string, report: Report): void {
	// Written and wrong has been said already.
	if (draft.written.has(keyword)) return;
	report.error('missing', draft.place, `vrrp_instance ${quote(draft.name)} has no ${keyword}`, `add '${keyword} …'`);
}

function resolvePriority(draft: InstanceDraft, report: Report): number {
	if (draft.priority !== null) return draft.priority;
	// Written and wrong has been said already.
	if (draft.state !== 'master' || draft.written.has('priority')) return PRIORITY_DEFAULT;
	const text = `state MASTER without a priority means priority ${PRIORITY_OWNER}, the owner of the addresses`;
	report.warning('adjusted', placeOf(draft, 'state'), text, `write 'priority ${PRIORITY_OWNER}' if you mean it`);
	return PRIORITY_OWNER;
}

function resolveState(draft: InstanceDraft, priority: number, report: Report): 'master' | 'backup' {
	const usesHeaders = draft.authentication.type === 'ah' && draft.authHmac === null;
	if (priority !== PRIORITY_OWNER && draft.state === 'master' && usesHeaders) {
		const text = 'state MASTER is ignored with auth_type AH: a router has to hear the counter of the others first';
		report.warning('contradiction', placeOf(draft.authentication, 'auth_type'), text, 'use state BACKUP');
		return 'backup';
	}
	if (priority !== PRIORITY_OWNER) return draft.state ?? 'backup';
	if (draft.state === 'backup') {
		const text = `priority ${PRIORITY_OWNER} owns the addresses, so the instance starts as MASTER`;
		report.warning('adjusted', placeOf(draft, 'state'), text, `write 'state MASTER' or a lower priority`);
	}
	return 'master';
}

/** Version 2 carries whole seconds. keepalived rounds, and a fraction of a second becomes one. */
function resolveSeconds(draft: InstanceDraft, report: Report): number {
	const secondUs = 1_000_000;
	const roundedUs = Math.max(1, Math.round(draft.advertUs / secondUs)) * secondUs;
	if (roundedUs !== draft.advertUs) {
		const text = `advert_int is rounded to ${roundedUs / secondUs} s: VRRP version 2 knows whole seconds only`;
		report.warning('adjusted', placeOf(draft, 'advert_int'), text);
	}
	return roundedUs;
}

/** Version 3 carries hundredths of a second in 12 bits (RFC 9568 §5.2.7). */
function resolveCentiseconds(draft: InstanceDraft, report: Report): number {
	const unitUs = 10_000;
	const roundedUs = Math.min(Math.round(draft.advertUs / unitUs), 0xfff) * unitUs;
	if (roundedUs !== draft.advertUs) {
		const text = `advert_int becomes ${roundedUs / 1_000_000} s: VRRP version 3 knows 0.01 to 40.95 s in steps of 0.01`;
		report.warning('adjusted', placeOf(draft, 'advert_int'), text);
	}
	return roundedUs;
}

/** That of version 2 (RFC 2338 §5.3.6), which neither version 3 nor `auth_hmac` leaves room for. */
function resolveAuthentication(
	draft: InstanceDraft,
	version: 2 | 3,
	report: Report,
): Pick<Instance, 'password' | 'usesAuthHeader'> {
	const {authentication, authHmac} = draft;
	if (version === 2 && authHmac === null)
		return {password: resolvePassword(authentication, report), usesAuthHeader: authentication.type === 'ah'};
	if (draft.written.has('authentication')) {
		const why = authHmac === null ? ': VRRP version 3 has none' : ' with auth_hmac';
		const place = placeOf(draft, 'authentication');
		report.warning('contradiction', place, `authentication is ignored${why}`, 'remove it');
	}
	return {password: null, usesAuthHeader: false};
}

function resolvePassword(draft: AuthenticationDraft, report: Report): string | null {
	const {type, password} = draft;
	if (type === null && password === null) return null;
	if (type === null || password === null) {
		const missing = type === null ? 'auth_type' : 'auth_pass';
		const place = placeOf(draft, type === null ? 'auth_pass' : 'auth_type');
		if (!draft.written.has(missing)) {
			report.warning('missing', place, `no ${missing}, so adverts are not authenticated`, `add '${missing} …'`);
		}
		return null;
	}
	const bytes = new TextEncoder().encode(password);
	if (bytes.length <= PASSWORD_BYTES_MAX) return password;
	const text = `auth_pass is cut to its first ${PASSWORD_BYTES_MAX} bytes, as VRRP version 2 has no room for more`;
	report.warning('adjusted', placeOf(draft, 'auth_pass'), text, 'both balancers cut alike');
	return new TextDecoder().decode(bytes.subarray(0, PASSWORD_BYTES_MAX));
}

function reportExcess([first]: readonly VirtualAddress[], most: number, report: Report): void {
	if (first === undefined) return;
	const text = `an advert holds ${most} addresses; those from here on are not advertised`;
	report.warning('adjusted', first.place, text, 'move them to virtual_ipaddress_excluded');
}

function resolvePreemption(
	draft: InstanceDraft,
	priority: number,
	report: Report,
): {preempt: boolean; preemptDelayUs: number} {
	const ignore = (keyword: string, why: string, wayOut = 'use state BACKUP'): void =>
		report.warning('contradiction', placeOf(draft, keyword), `${keyword} is ignored ${why}`, wayOut);
	const master = draft.state === 'master' || priority === PRIORITY_OWNER;
	if (master && !draft.preempt) ignore('nopreempt', 'with state MASTER');
	if (master && draft.preemptDelayUs > 0) ignore('preempt_delay', 'with state MASTER');
	if (master) return {preempt: true, preemptDelayUs: 0};
	if (!draft.preempt && draft.preemptDelayUs > 0) ignore('preempt_delay', 'with nopreempt', 'use preempt');
	return {preempt: draft.preempt, preemptDelayUs: draft.preempt ? draft.preemptDelayUs : 0};
}
