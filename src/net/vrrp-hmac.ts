/**
 * `auth_hmac` of keepalived 2.4.3 (draft-cassen-vrrp-auth-hmac-01): a trailer of 28 bytes behind a VRRP message of either
 * version and family:
 *
 *   type:8 (1)  key id:8  zero:16 | seconds:32 | 1/65,536 s:16  count:16 | the first 128 bits of HMAC-SHA256
 *
 * The HMAC covers a pseudo header (family:8 (4 or 6), version:8, VRID:8, zero:8, the sender's address in 16 bytes), the message
 * with zeros for its checksum, and the trailer with zeros for the HMAC: so nobody can move a trailer to another virtual
 * router or sender, and one advert has the same trailer for each of several destinations.
 */
import {createHmac, timingSafeEqual} from 'node:crypto';
import {addressBytes, family} from './address.js';
import {concatBytes, viewOf} from './bytes.js';

export const TRAILER_LENGTH = 28;
const TYPE_SHA256 = 1;
const HMAC_OFFSET = 12;
const HMAC_LENGTH = TRAILER_LENGTH - HMAC_OFFSET;
const PSEUDO_HEADER_LENGTH = 20;
const CHECKSUM: readonly [from: number, to: number] = [6, 8];

/** Senders of a multicast group that are remembered: more than a VRID has routers. keepalived remembers 4. */
const SENDERS_MAX = 16;

/** How an instance signs its adverts and which it believes. Plain data. */
export interface AuthHmac {
	readonly keys: readonly AuthKey[];
	/** Whose key adverts are signed with; null where none are. */
	readonly activeKeyId: number | null;
	/** `time`: adverts are to be of now, give or take `windowS`; `monotonic`: each is only to be newer than the one before. */
	readonly antiReplay: 'time' | 'monotonic';
	readonly windowS: number;
	/** Who signs, and whether adverts without a trailer are believed: `permissive` and `receive-only` do, the last signs none. */
	readonly mode: 'enforce' | 'permissive' | 'receive-only';
}

export interface AuthKey {
	/** 1 to 255. */
	readonly id: number;
	/** 32 to 64 bytes in hexadecimal digits. */
	readonly secret: string;
}

/** Why an advert is not believed for what is, or is not, behind its message. */
export type TrailerReason =
	| 'missing-trailer'
	| 'unexpected-trailer'
	| 'bad-trailer'
	| 'stale'
	| 'unknown-key'
	| 'bad-hmac'
	| 'replayed';

/** What is signed besides the trailer itself. */
export interface Signed {
	readonly version: 2 | 3;
	readonly vrid: number;
	readonly source: string;
	readonly message: Uint8Array;
}

/** An advert as it came, with the trailer behind its message. */
export interface Sealed extends Signed {
	readonly trailer: Uint8Array | null;
}

/** What an advert is signed with. */
export interface Signature {
	readonly keyId: number;
	readonly secret: Uint8Array;
	/** Of 64 bits: seconds, their fraction, count. */
	readonly sequence: bigint;
}

/** What has to outlive a process: sequences in hexadecimal digits. */
export interface TrailerMemory {
	readonly sent: string | null;
	readonly heard: readonly (readonly [source: string, sequence: string])[];
}

export function encodeTrailer(signed: Signed, {keyId, secret, sequence}: Signature): Uint8Array {
	const trailer = new Uint8Array(TRAILER_LENGTH);
	const view = viewOf(trailer);
	view.setUint8(0, TYPE_SHA256);
	view.setUint8(1, keyId);
	view.setBigUint64(4, sequence);
	trailer.set(hmac(signed, trailer, secret), HMAC_OFFSET);
	return trailer;
}

/** What is in the trailer for its HMAC does not matter. */
function hmac({version, vrid, source, message}: Signed, trailer: Uint8Array, secret: Uint8Array): Uint8Array {
	const pseudoHeader = new Uint8Array(PSEUDO_HEADER_LENGTH);
	pseudoHeader.set([family(source), version, vrid]);
	pseudoHeader.set(addressBytes(source), 4);
	const covered = concatBytes(pseudoHeader, message, trailer);
	covered.fill(0, PSEUDO_HEADER_LENGTH + CHECKSUM[0], PSEUDO_HEADER_LENGTH + CHECKSUM[1]);
	covered.fill(0, covered.length - HMAC_LENGTH);
	return createHmac('sha256', secret).update(covered).digest().subarray(0, HMAC_LENGTH);
}

/**
 * The trailers of one instance: the sequence of those it sends, and the newest of each sender's. Times are milliseconds of
 * the wall clock, by which routers compare.
 */
export class Trailers {
	#settings: AuthHmac | null = null;
	#secrets: ReadonlyMap<number, Uint8Array> = new Map();
	#sendersMax = SENDERS_MAX;
	#sent: bigint | null = null;
	/** By sender, the one heard last behind the others. */
	readonly #heard = new Map<string, bigint>();
	#skewS = 0;

	/** null: adverts have none. `peers`: how many routers there are, if only those are heard. */
	configure(settings: AuthHmac | null, peers = 0): void {
		this.#settings = settings;
		this.#secrets = new Map(settings?.keys.map(({id, secret}) => [id, Buffer.from(secret, 'hex')]));
		this.#sendersMax = Math.max(SENDERS_MAX, peers);
	}

	/** How far the clock of the sender that was believed last is behind ours, in seconds. */
	get skewS(): number {
		return this.#skewS;
	}

	/** What to sign the next advert with; null: it has no trailer. */
	next(wallMs: number): Signature | null {
		if (this.#settings === null || this.#settings.mode === 'receive-only') return null;
		const keyId = this.#settings.activeKeyId ?? 0;
		const secret = this.#secrets.get(keyId);
		if (secret === undefined) return null;
		this.#sent = this.#following(this.#settings, wallMs);
		return {keyId, secret, sequence: this.#sent};
	}

	/**
	 * The clock, or the next number if the clock has not moved on. A clock that was put back leaves the last sequence in a future
	 * that nobody believes; then, as in keepalived, the clock counts, unless growth is all that is asked for.
	 */
	#following({antiReplay, windowS}: AuthHmac, wallMs: number): bigint {
		const clock = sequenceAt(wallMs);
		const sent = this.#sent;
		if (sent === null || isAfter(clock, sent)) return clock;
		const isStranded = antiReplay === 'time' && secondsFrom(clock, sent) > windowS;
		return isStranded ? clock : BigInt.asUintN(64, sent + 1n);
	}

	/**
	 * Why an advert is not to be believed, or null; then older ones of its sender are not any more. What costs little is looked
	 * at first, but nothing is remembered of anybody who has no key.
	 */
	check(sealed: Sealed, wallMs: number): TrailerReason | null {
		const {trailer, source} = sealed;
		const settings = this.#settings;
		if (settings === null) return trailer === null ? null : 'unexpected-trailer';
		if (trailer === null) return settings.mode === 'enforce' ? 'missing-trailer' : null;
		const view = viewOf(trailer);
		if (view.getUint8(0) !== TYPE_SHA256 || view.getUint16(2) !== 0) return 'bad-trailer';
		const now = sequenceAt(wallMs);
		const sequence = view.getBigUint64(4);
		if (isOutside(sequence, now, settings)) return 'stale';
		const secret = this.#secrets.get(view.getUint8(1));
		if (secret === undefined) return 'unknown-key';
		if (!timingSafeEqual(trailer.subarray(HMAC_OFFSET), hmac(sealed, trailer, secret))) return 'bad-hmac';
		const heard = this.#heard.get(source);
		// One that is outside orders nothing that is believed; a sender whose clock was put right has left it behind.
		const counts = heard !== undefined && !isOutside(heard, now, settings);
		if (counts && !isAfter(sequence, heard)) return 'replayed';
		this.#remember(source, sequence);
		this.#skewS = secondsFrom(sequence, now);
		return null;
	}

	#remember(source: string, sequence: bigint): void {
		this.#heard.delete(source);
		this.#heard.set(source, sequence);
		for (const oldest of this.#heard.keys()) {
			if (this.#heard.size <= this.#sendersMax) return;
			this.#heard.delete(oldest);
		}
	}

	memory(): TrailerMemory {
		return {
			sent: this.#sent?.toString(16) ?? null,
			heard: Array.from(this.#heard, ([source, sequence]) => [source, sequence.toString(16)]),
		};
	}

	recall({sent, heard}: TrailerMemory): void {
		this.#sent = sent === null ? null : BigInt(`0x${sent}`);
		for (const [source, sequence] of heard) this.#remember(source, BigInt(`0x${sequence}`));
	}
}

function sequenceAt(wallMs: number): bigint {
	const seconds = Math.floor(wallMs / 1000);
	const fraction = Math.floor(((wallMs - seconds * 1000) * 0x10000) / 1000);
	return (BigInt.asUintN(32, BigInt(seconds)) << 32n) | (BigInt(fraction) << 16n);
}

/** Serial number arithmetic (RFC 1982): right over the end of the 32 bits of seconds in 2106, too. */
function isAfter(a: bigint, b: bigint): boolean {
	return BigInt.asIntN(64, a - b) > 0n;
}

/** By how many whole seconds `to` is later, fractions left out; negative: earlier. */
function secondsFrom(from: bigint, to: bigint): number {
	return Number(BigInt.asIntN(32, (to >> 32n) - (from >> 32n)));
}

function isOutside(sequence: bigint, now: bigint, {antiReplay, windowS}: AuthHmac): boolean {
	return antiReplay === 'time' && Math.abs(secondsFrom(sequence, now)) > windowS;
}
