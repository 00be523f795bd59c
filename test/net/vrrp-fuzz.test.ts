/** Whatever comes from the wire: random bytes, damaged adverts, and every bit of an advert flipped in turn. */
import test from 'ava';
import {formatAddress} from '../../src/net/address.js';
import {viewOf} from '../../src/net/bytes.js';
import {encodeIpv6, type IpPacket} from '../../src/net/ip.js';
import {type AuthHmac, type Signature, Trailers} from '../../src/net/vrrp-hmac.js';
import {
	type Advert,
	decodeAdvert,
	encodeAdvert,
	receiveAdvert,
	VRRP_PROTOCOL,
	VRRP_TTL,
} from '../../src/net/vrrp-packet.js';
import {ipv4, seeded} from '../fake/lan.js';
import {mutations} from './wire.js';

/** `make fuzz-vrrp` wants more. */
const RUNS = Number(process.env.FUZZ_RUNS ?? 20_000);
const SEED = Number(process.env.FUZZ_SEED ?? 1);
/** Damaged copies of one advert. */
const COPIES = 100;
const RECEIVER = {4: '192.168.0.9', 6: 'fe80::9'} as const;

type Random = () => number;

const below = (random: Random, limit: number): number => Math.floor(random() * limit);

function pick<T>(random: Random, among: readonly T[]): T {
	return among[below(random, among.length)] as T;
}

function randomBytes(random: Random, length: number): Uint8Array {
	return Uint8Array.from({length}, () => below(random, 256));
}

interface Kind {
	readonly family: 4 | 6;
	readonly version: 2 | 3;
	readonly password: string | null;
	readonly isSigned?: boolean;
}

/** One of each kind that there is; a new kind of authentication is a new line here. */
const kinds: readonly Kind[] = [
	{family: 4, version: 2, password: null},
	{family: 4, version: 2, password: null, isSigned: true},
	{family: 4, version: 3, password: null, isSigned: true},
	{family: 6, version: 3, password: null, isSigned: true},
	{family: 4, version: 2, password: 'sekret'},
	{family: 4, version: 2, password: '12345678'},
	{family: 4, version: 3, password: null},
	{family: 6, version: 3, password: null},
];

interface Sent {
	readonly family: 4 | 6;
	readonly advert: Advert;
	readonly packet: IpPacket;
	readonly isSigned: boolean;
}

const WALL_MS = 1_790_000_000_000;
const SECRET = Buffer.alloc(32, 0x5a);
const AUTH_HMAC: AuthHmac = {
	keys: [{id: 1, secret: SECRET.toString('hex')}],
	activeKeyId: 1,
	antiReplay: 'time',
	windowS: 5,
	mode: 'enforce',
};
const SIGNATURE: Signature = {keyId: 1, secret: SECRET, sequence: BigInt(WALL_MS / 1000) << 32n};

/** What the receiver of a kind of advert makes of a datagram. */
function receive(datagram: Uint8Array, own: Advert, {family, isSigned}: Sent): ReturnType<typeof receiveAdvert> {
	const trailers = new Trailers();
	trailers.configure(isSigned ? AUTH_HMAC : null);
	return receiveAdvert(datagram, own, RECEIVER[family], {distrusts: sealed => trailers.check(sealed, WALL_MS)});
}

function randomAdvert(random: Random): Sent {
	const {family, version, password, isSigned = false} = pick(random, kinds);
	const length = family === 4 ? 4 : 16;
	const address = (): string => formatAddress(randomBytes(random, length));
	const advert: Advert = {
		version,
		vrid: 1 + below(random, 255),
		priority: below(random, 256),
		advertUs: version === 2 ? below(random, 256) * 1_000_000 : below(random, 4096) * 10_000,
		addresses: Array.from({length: below(random, pick(random, [3, 20, 256]))}, address),
		password,
	};
	const source = family === 4 ? `10.${below(random, 256)}.1.1` : `fe80::${1 + below(random, 9)}:1`;
	const destination = pick(random, family === 4 ? ['224.0.0.18', RECEIVER[4]] : ['ff02::12', RECEIVER[6]]);
	const payload = encodeAdvert(advert, {source, destination}, isSigned ? SIGNATURE : null);
	return {family, advert, isSigned, packet: {source, destination, protocol: VRRP_PROTOCOL, ttl: VRRP_TTL, payload}};
}

function datagramOf({family, packet}: Sent, payload = packet.payload): Uint8Array {
	const {source, destination} = packet;
	return family === 4 ? ipv4(source, destination, payload) : encodeIpv6({...packet, payload});
}

/** The checksum made right, so that what lies behind it is reached; of version 2, which covers no addresses. */
function mended(message: Uint8Array): Uint8Array {
	if (message.length < 8) return message;
	const copy = message.slice();
	const view = viewOf(copy);
	view.setUint16(6, 0);
	let sum = 0;
	for (let at = 0; at + 1 < copy.length; at += 2) sum += view.getUint16(at);
	if (copy.length % 2 === 1) sum += (copy.at(-1) ?? 0) << 8;
	while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
	view.setUint16(6, ~sum & 0xffff);
	return copy;
}

test(`${RUNS} random and damaged datagrams are adverts or have a reason: SEED=${SEED}`, t => {
	const random = seeded(SEED);
	const outcomes = new Map<string, number>();
	for (let run = 0; run < RUNS; run += 2 * COPIES + 2) {
		const sent = randomAdvert(random);
		const meet = (datagram: Uint8Array, own = sent.advert): void => {
			const received = receive(datagram, own, sent);
			const outcome = received.ok ? 'accepted' : received.reason;
			outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
			if (!received.ok) return;
			const {version, vrid, password} = received.value.advert;
			t.deepEqual([version, vrid, password], [own.version, own.vrid, own.password]);
		};
		meet(randomBytes(random, below(random, 120)));
		meet(datagramOf(sent, randomBytes(random, below(random, 120))));
		meet(datagramOf(sent, encodeAdvert(sent.advert, sent.packet)));
		for (const copy of mutations(datagramOf(sent), COPIES, below(random, 1e9))) meet(copy);
		for (const copy of mutations(sent.packet.payload, COPIES, below(random, 1e9))) meet(datagramOf(sent, mended(copy)));
	}
	for (const reason of [
		'accepted',
		'bad-ip-header',
		'other-vrid',
		'bad-ttl',
		'bad-length',
		'bad-checksum',
		'bad-type',
		'missing-trailer',
		'bad-hmac',
	]) {
		t.true((outcomes.get(reason) ?? 0) > 0, `no datagram was ${reason}`);
	}
	t.log([...outcomes].map(([outcome, count]) => `${outcome} ${count}`).join(', '));
});

test('what is encoded is decoded to the same, also by the receiver it is for', t => {
	const random = seeded(SEED);
	for (let run = 0; run < RUNS / 20; run++) {
		const sent = randomAdvert(random);
		t.deepEqual(decodeAdvert(sent.packet), {ok: true, value: sent.advert});
		const received = receive(datagramOf(sent), sent.advert, sent);
		const silent = sent.advert.version === 3 && sent.advert.advertUs === 0;
		t.deepEqual(
			received,
			silent
				? {ok: false, reason: 'advert-interval'}
				: {ok: true, value: {advert: sent.advert, source: sent.packet.source}},
		);
	}
});

test('one flipped bit anywhere in the message or its trailer is a refusal', t => {
	const random = seeded(SEED);
	for (let run = 0; run < RUNS; ) {
		const sent = randomAdvert(random);
		const {packet, advert} = sent;
		const bits = Math.min(packet.payload.length * 8, 2000);
		for (let bit = 0; bit < bits; bit++, run++) {
			const payload = packet.payload.slice();
			payload[bit >> 3] = (payload[bit >> 3] ?? 0) ^ (1 << (bit & 7));
			const received = receive(datagramOf(sent, payload), advert, sent);
			if (received.ok) t.fail(`bit ${bit} of ${JSON.stringify(advert)} may be anything`);
		}
	}
	t.pass();
});
