import {addressBytes, addressLength, type Family, family, formatAddress} from './address.js';
import {concatBytes, type Decoded, viewOf} from './bytes.js';
import {internetChecksum} from './checksum.js';
import {checksumOnPath, decodeIp, IPV6_HEADER_LENGTH, type IpPacket, type Path} from './ip.js';
import {AH_LENGTH, AH_PROTOCOL, type AuthReason, openAuthenticated} from './ip-auth.js';
import {encodeTrailer, type Sealed, type Signature, TRAILER_LENGTH, type TrailerReason} from './vrrp-hmac.js';

export const VRRP_PROTOCOL = 112;
/** RFC 3768 §5.2.3, RFC 9568 §5.1.2.3: a smaller value proves that the packet was routed here from elsewhere. */
export const VRRP_TTL = 255;
/** Internetwork control: as keepalived marks its adverts, so that a loaded switch or queue sends them first. */
export const VRRP_TOS = 0xc0;

const ADVERTISEMENT = 1;
const HEADER_LENGTH = 8;
const PASSWORD_LENGTH = 8;
const AUTH_NONE = 0;
const AUTH_PASS = 1;
const AUTH_HEADER = 2;
const SECOND_US = 1_000_000;
const CENTISECOND_US = 10_000;

/** A VRRP advertisement: version 2 (RFC 3768 §5, with the password of RFC 2338; IPv4 only) or 3 (RFC 9568 §5). */
export interface Advert {
	readonly version: 2 | 3;
	readonly vrid: number;
	/** 0: the master resigns. */
	readonly priority: number;
	/** Whole seconds in version 2, whole centiseconds in version 3. */
	readonly advertUs: number;
	/** All of the family that the packet travels by. */
	readonly addresses: readonly string[];
	/** Plain text of at most 8 bytes, version 2 only; null without authentication, or with that of a header. */
	readonly password: string | null;
	/** It comes behind an authentication header (`auth_type AH`), version 2 only. */
	readonly inAuthHeader?: boolean;
}

/** What authentication headers are checked with: the password, and the counter of the last one that was believed. */
export interface AuthHeaders {
	readonly key: string;
	readonly sequence: number;
}

/** Adverts to routers that are named one by one, as networks without multicast need it; no RFC has that. */
export interface Unicast {
	readonly peers: readonly UnicastPeer[];
	/** TTL or hop limit of what is sent. */
	readonly ttl: number;
	/** Only peers are heard. */
	readonly checkSource: boolean;
}

export interface UnicastPeer {
	readonly address: string;
	/** TTLs from it that are believed: each router on the way takes one off. */
	readonly ttl: TtlRange;
}

type TtlRange = readonly [min: number, max: number];

const ON_LINK: TtlRange = [VRRP_TTL, VRRP_TTL];
/** keepalived looks at the TTL of a unicast advert only where it is told to. */
export const ANY_TTL: TtlRange = [0, 255];

/** Why a packet cannot be an advertisement at all. */
export type DecodeReason = 'bad-ttl' | 'bad-version' | 'bad-type' | 'bad-length' | 'bad-checksum' | 'bad-auth-type';
/** Why a well-formed advertisement is not for this instance. */
export type AcceptReason =
	| 'other-vrid'
	| 'own-address'
	| 'unknown-peer'
	| 'replayed'
	| 'bad-version'
	| 'bad-auth-type'
	| 'bad-password'
	| 'advert-interval'
	| 'address-list';
export type RefusalReason = DecodeReason | AcceptReason | AuthReason | TrailerReason | 'bad-ip-header';

/** The VRRP message without an IP header, checksum filled in; behind it, if it is to be signed, the trailer. */
export function encodeAdvert(advert: Advert, path: Path, signature: Signature | null = null): Uint8Array {
	const body = concatBytes(...advert.addresses.map(addressBytes));
	const password = advert.version === 2 ? passwordBytes(advert.password) : new Uint8Array();
	const message = concatBytes(new Uint8Array(HEADER_LENGTH), body, password);
	const view = viewOf(message);
	view.setUint8(0, (advert.version << 4) | ADVERTISEMENT);
	view.setUint8(1, advert.vrid);
	view.setUint8(2, advert.priority);
	view.setUint8(3, advert.addresses.length);
	if (advert.version === 2) {
		view.setUint8(4, authType(advert));
		view.setUint8(5, Math.round(advert.advertUs / SECOND_US));
	} else {
		view.setUint16(4, Math.round(advert.advertUs / CENTISECOND_US));
	}
	const {version, vrid} = advert;
	const signed = {version, vrid, source: path.source, message};
	const whole = signature === null ? message : concatBytes(message, encodeTrailer(signed, signature));
	viewOf(whole).setUint16(6, checksum(whole, message.length, version, path));
	return whole;
}

/** What an advertisement says, for who only listens: a trailer behind it is not looked at. */
export function decodeAdvert(packet: IpPacket, ttl: TtlRange = ON_LINK): Decoded<Advert, DecodeReason> {
	const decoded = decodeSealed(packet, ttl);
	return decoded.ok ? {ok: true, value: decoded.value.advert} : decoded;
}

/** A well-formed advertisement, and what of it is signed. */
interface SealedAdvert {
	readonly advert: Advert;
	readonly sealed: Sealed;
}

/** Reads an advertisement from outside in: once a field has passed, nothing behind it looks at it again. */
function decodeSealed(packet: IpPacket, [ttlMin, ttlMax]: TtlRange): Decoded<SealedAdvert, DecodeReason> {
	const {payload} = packet;
	if (packet.ttl < ttlMin || packet.ttl > ttlMax) return {ok: false, reason: 'bad-ttl'};
	if (payload.length < HEADER_LENGTH) return {ok: false, reason: 'bad-length'};
	const view = viewOf(payload);
	const of = family(packet.source);
	const version = versionOf(view.getUint8(0) >> 4, of);
	if (version === null) return {ok: false, reason: 'bad-version'};
	if ((view.getUint8(0) & 0x0f) !== ADVERTISEMENT) return {ok: false, reason: 'bad-type'};
	const addressesEnd = HEADER_LENGTH + view.getUint8(3) * addressLength(of);
	const end = addressesEnd + (version === 2 ? PASSWORD_LENGTH : 0);
	if (payload.length !== end && payload.length !== end + TRAILER_LENGTH) return {ok: false, reason: 'bad-length'};
	if (checksum(payload, end, version, packet) !== 0) return {ok: false, reason: 'bad-checksum'};
	const auth = version === 2 ? view.getUint8(4) : AUTH_NONE;
	if (auth > AUTH_HEADER) return {ok: false, reason: 'bad-auth-type'};
	const vrid = view.getUint8(1);
	const advert: Advert = {
		version,
		vrid,
		priority: view.getUint8(2),
		// The four high bits beside version 3's interval are reserved and ignored (RFC 9568 §5.2.6).
		advertUs: version === 2 ? view.getUint8(5) * SECOND_US : (view.getUint16(4) & 0x0fff) * CENTISECOND_US,
		addresses: readAddresses(payload.subarray(HEADER_LENGTH, addressesEnd), addressLength(of)),
		password: auth === AUTH_PASS ? passwordText(payload.subarray(addressesEnd, end)) : null,
		...(auth === AUTH_HEADER && {inAuthHeader: true}),
	};
	const trailer = payload.length === end ? null : payload.subarray(end);
	const sealed = {version, vrid, source: packet.source, message: payload.subarray(0, end), trailer};
	return {ok: true, value: {advert, sealed}};
}

/** An advertisement that has passed every check, and who sent it. */
export interface ReceivedAdvert {
	readonly advert: Advert;
	readonly source: string;
	/** The counter of its authentication header. */
	readonly sequence?: number;
}

/** What else an instance goes by in believing adverts. */
export interface Reception {
	/** null: they come by multicast. */
	readonly unicast?: Unicast | null;
	/** null: they come without. */
	readonly headers?: AuthHeaders | null;
	/** Why one is not believed for what is behind its message; by default, nothing may be. */
	readonly distrusts?: (sealed: Sealed) => TrailerReason | null;
}

const expectsNoTrailer = ({trailer}: Sealed): TrailerReason | null => (trailer === null ? null : 'unexpected-trailer');

/**
 * Takes a datagram, IP header included, through every check of the instance that would send `own` from `ownSource`
 * itself. Other routers' instances share the wire, so the VRID is looked at first and refuses without suspicion. The set
 * of refused packets is keepalived 2.2.7's: two kinds of router must agree on who is master.
 */
export function receiveAdvert(
	datagram: Uint8Array,
	own: Advert,
	ownSource: string,
	{unicast = null, headers = null, distrusts = expectsNoTrailer}: Reception = {},
): Decoded<ReceivedAdvert, RefusalReason> {
	const packet = decodeIp(datagram);
	if (!packet.ok) return packet;
	const {source} = packet.value;
	const vrid = vridOf(datagram);
	if (vrid !== undefined && vrid !== own.vrid) return {ok: false, reason: 'other-vrid'};
	if (source === ownSource) return {ok: false, reason: 'own-address'};
	const ttl = unicast === null ? ON_LINK : ttlFrom(source, unicast);
	if (ttl === undefined) return {ok: false, reason: 'unknown-peer'};
	const opened = headers === null ? null : openAuthenticated(datagram, packet.value, headers.key);
	if (opened?.ok === false) return opened;
	const decoded = decodeSealed(opened?.value.inner ?? packet.value, ttl);
	if (!decoded.ok) return decoded;
	const {advert, sealed} = decoded.value;
	const sequence = opened && {sequence: opened.value.sequence};
	const reason = distrusts(sealed) ?? refusal(advert, own) ?? (isReplayed(sequence, headers) ? 'replayed' : null);
	return reason === null ? {ok: true, value: {advert, source, ...sequence}} : {ok: false, reason};
}

/** All routers of a VRID count on from the highest they have heard, so that a lower one has been sent before. */
function isReplayed(heard: Pick<AuthHeaders, 'sequence'> | null, known: AuthHeaders | null): boolean {
	return heard !== null && known !== null && heard.sequence <= known.sequence;
}

/** A first look at a datagram, IP header included, to know whose it is: what it says has still to be checked. */
export function vridOf(datagram: Uint8Array): number | undefined {
	const [first = 0] = datagram;
	const isIpv6 = first >> 4 === 6;
	const headerLength = isIpv6 ? IPV6_HEADER_LENGTH : (first & 0x0f) * 4;
	const protocol = datagram[isIpv6 ? 6 : 9];
	return datagram[headerLength + (protocol === AH_PROTOCOL ? AH_LENGTH : 0) + 1];
}

/** undefined: nothing from there is believed. */
function ttlFrom(source: string, {peers, checkSource}: Unicast): TtlRange | undefined {
	return peers.find(({address}) => address === source)?.ttl ?? (checkSource ? undefined : ANY_TTL);
}

function refusal(advert: Advert, own: Advert): AcceptReason | null {
	if (advert.version !== own.version) return 'bad-version';
	if (authType(advert) !== authType(own)) return 'bad-auth-type';
	if (advert.password !== own.password) return 'bad-password';
	if (!intervalFits(advert, own)) return 'advert-interval';
	if (!sameAddresses(advert.addresses, own.addresses)) return 'address-list';
	return null;
}

/** Version 3 follows the master's interval (RFC 9568 §6.4.2), which must exist: 0 would end every wait at once. */
function intervalFits(advert: Advert, own: Advert): boolean {
	return advert.version === 3 ? advert.advertUs > 0 : advert.advertUs === own.advertUs;
}

function sameAddresses(a: readonly string[], b: readonly string[]): boolean {
	const wanted = new Set(b);
	return a.length === b.length && a.every(address => wanted.has(address));
}

function authType({password, inAuthHeader}: Advert): number {
	if (inAuthHeader) return AUTH_HEADER;
	return password === null ? AUTH_NONE : AUTH_PASS;
}

/** Version 2 is for IPv4 alone. */
function versionOf(bits: number, of: Family): 2 | 3 | null {
	if (bits === 3) return 3;
	return bits === 2 && of === 4 ? 2 : null;
}

function readAddresses(bytes: Uint8Array, length: 4 | 16): string[] {
	return Array.from({length: bytes.length / length}, (_, index) =>
		formatAddress(bytes.subarray(index * length, (index + 1) * length)),
	);
}

/** RFC 2338 §5.3.10: padded with zeros on the right; all zeros without authentication. */
function passwordBytes(password: string | null): Uint8Array {
	const bytes = new Uint8Array(PASSWORD_LENGTH);
	if (password !== null) bytes.set(Buffer.from(password, 'utf8').subarray(0, PASSWORD_LENGTH));
	return bytes;
}

function passwordText(bytes: Uint8Array): string {
	return Buffer.from(bytes).toString('utf8').replace(/\0+$/, '');
}

/**
 * Version 3 sums a pseudo header as well (RFC 9568 §5.2.8; for IPv4 too, as keepalived does), version 2 does not. A trailer,
 * from `end` on, counts in IPv6 alone, where keepalived leaves the sum to the kernel.
 */
function checksum(payload: Uint8Array, end: number, version: 2 | 3, path: Path): number {
	const summed = family(path.source) === 6 ? payload : payload.subarray(0, end);
	return version === 2 ? internetChecksum(summed) : checksumOnPath(summed, VRRP_PROTOCOL, path);
}
