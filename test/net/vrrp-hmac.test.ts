/** Trailers of `auth_hmac`: byte for byte as the format has them, and what is believed of whom and when. */
import {createHmac} from 'node:crypto';
import test from 'ava';
import {addressBytes} from '../../src/net/address.js';
import {type AuthHmac, encodeTrailer, type Sealed, Trailers} from '../../src/net/vrrp-hmac.js';
import {type Advert, encodeAdvert, receiveAdvert} from '../../src/net/vrrp-packet.js';
import {ipv4, seeded} from '../fake/lan.js';
import {hex, mutations} from './wire.js';

/** The bytes 0 to 31. */
const SECRET = hex`00010203 04050607 08090a0b 0c0d0e0f 10111213 14151617 18191a1b 1c1d1e1f`;
const OTHER = SECRET.toReversed();
const secretText = (secret: Uint8Array): string => Buffer.from(secret).toString('hex');
const SETTINGS: AuthHmac = {
	keys: [
		{id: 1, secret: secretText(SECRET)},
		{id: 7, secret: secretText(OTHER)},
	],
	activeKeyId: 1,
	antiReplay: 'time',
	windowS: 5,
	mode: 'enforce',
};
const MONOTONIC: AuthHmac = {...SETTINGS, antiReplay: 'monotonic'};
/** 2026. */
const NOW = 1_790_000_000_000;
const ADVERT: Advert = {
	version: 3,
	vrid: 51,
	priority: 200,
	advertUs: 1_000_000,
	addresses: ['192.0.2.100'],
	password: null,
};

function trailersOf(settings: AuthHmac | null = SETTINGS, peers = 0): Trailers {
	const trailers = new Trailers();
	trailers.configure(settings, peers);
	return trailers;
}

function sealedBy(sender: Trailers, wallMs = NOW, source = '198.51.100.10', vrid = 51): Sealed {
	const message = hex`31 33 c8 01 0064 4402 c0000264`;
	message[1] = vrid;
	const signature = sender.next(wallMs);
	const signed = {version: 3, vrid, source, message} as const;
	return {...signed, trailer: signature && encodeTrailer(signed, signature)};
}

/** The examples of the draft's appendix: both families, the second with a checksum that the kernel has filled in. */
for (const [title, bytes, source] of [
	[
		'IPv4',
		hex`31 33 c8 01 0064 4402 | c0000264 | 01 01 0000 68000000 8000 0000 | 1b84bc4e 8e43892d c6d98448 f8ee2265`,
		'198.51.100.10',
	],
	[
		'IPv6',
		hex`31 33 c8 01 0064 a2e9 | fe800000 00000000 00000000 00000100 | 01 01 0000 68000000 8000 0000
			| c8c56146 ebfd66ee 10ec4d81 86461b78`,
		'fe80::10',
	],
] as const) {
	test(`${title}: as the draft has it, byte for byte`, t => {
		const [message, trailer] = [bytes.slice(0, -28), bytes.slice(-28)];
		const signed = {version: 3, vrid: 51, source, message} as const;
		const signature = {keyId: 1, secret: SECRET, sequence: 0x6800_0000_8000_0000n};
		t.deepEqual(encodeTrailer(signed, signature), trailer);
		t.is(trailersOf(MONOTONIC).check({...signed, trailer}, NOW), null);
	});
}

/** From the description of the format alone. */
function expectedHmac(message: Uint8Array, prefix: Uint8Array, source: string, secret: Uint8Array): Buffer {
	const of = source.includes(':') ? 6 : 4;
	const address = new Uint8Array(16);
	address.set(addressBytes(source));
	const unsummed = message.slice();
	unsummed.set([0, 0], 6);
	const mac = createHmac('sha256', secret);
	mac.update(Uint8Array.of(of, (message[0] ?? 0) >> 4, message[1] ?? 0, 0));
	for (const part of [address, unsummed, prefix, new Uint8Array(16)]) mac.update(part);
	return mac.digest().subarray(0, 16);
}

for (const [title, advert, path] of [
	[
		'version 2, whose 8 bytes of a password are zeros',
		{...ADVERT, version: 2},
		{source: '10.1.2.3', destination: '224.0.0.18'},
	],
	['version 3', ADVERT, {source: '10.1.2.3', destination: '224.0.0.18'}],
	[
		'version 3 of IPv6',
		{...ADVERT, addresses: ['fe80::1', '2001:db8::1']},
		{source: 'fe80::9', destination: 'ff02::12'},
	],
] as const) {
	test(`an advert of ${title}: the message, and the trailer behind it`, t => {
		const sequence = 0x6a00_0001_1234_0005n;
		const bytes = encodeAdvert(advert, path, {keyId: 7, secret: OTHER, sequence});
		const plain = encodeAdvert(advert, path);
		const [message, trailer] = [bytes.slice(0, -28), bytes.slice(-28)];
		const isIpv6 = path.source.includes(':');
		t.deepEqual(message.subarray(0, 6), plain.subarray(0, 6));
		t.deepEqual(message.subarray(8), plain.subarray(8));
		// The checksum counts the trailer in IPv6 only.
		t.is(message[6] === plain[6] && message[7] === plain[7], !isIpv6);
		const prefix = hex`01 07 0000 6a000001 1234 0005`;
		t.deepEqual(trailer.subarray(0, 12), prefix);
		t.deepEqual(Buffer.from(trailer.subarray(12)), expectedHmac(message, prefix, path.source, OTHER));
	});
}

test('of several destinations, each gets the same trailer', t => {
	const signature = {keyId: 1, secret: SECRET, sequence: 5n};
	const [a, b] = ['10.0.0.2', '10.0.0.3'].map(destination =>
		encodeAdvert(ADVERT, {source: '10.0.0.1', destination}, signature).slice(-28),
	);
	t.deepEqual(a, b);
});

test('the sequence is the clock, and counts on where that does not', t => {
	const sender = trailersOf();
	const at = (wallMs: number) => sender.next(wallMs)?.sequence.toString(16).padStart(16, '0');
	t.is(at(1_000_500), '000003e880000000');
	t.is(at(1_000_500), '000003e880000001');
	t.is(at(999_000), '000003e880000002', 'put back by less than the window');
	t.is(at(1_001_000), '000003e900000000');
	t.is(at(995_000), '000003e300000000', 'put back by more: what went before is believed by nobody');
	const patient = trailersOf(MONOTONIC);
	patient.next(1_001_000);
	t.is(patient.next(5000)?.sequence, 0x3e9_0000_0001n, 'growth is all that counts');
});

test('a signature has the active key; without one, or to receive only, there is none', t => {
	t.is(trailersOf().next(NOW)?.keyId, 1);
	t.deepEqual(trailersOf({...SETTINGS, activeKeyId: 7}).next(NOW)?.secret, Buffer.from(OTHER));
	t.is(trailersOf({...SETTINGS, mode: 'receive-only'}).next(NOW), null);
	t.is(trailersOf({...SETTINGS, activeKeyId: 3}).next(NOW), null);
	t.is(trailersOf(null).next(NOW), null);
});

const changed = (sealed: Sealed, at: number, value: number): Sealed => {
	const trailer = sealed.trailer?.slice() ?? new Uint8Array(28);
	trailer[at] = value;
	return {...sealed, trailer};
};

const sound = sealedBy(trailersOf());
for (const [title, sealed, reason] of [
	['sound', sound, null],
	['without a trailer', {...sound, trailer: null}, 'missing-trailer'],
	['of another type', changed(sound, 0, 2), 'bad-trailer'],
	['with bits that are reserved', changed(sound, 3, 1), 'bad-trailer'],
	['with a key that nobody has', changed(sound, 1, 9), 'unknown-key'],
	['under the name of another key', changed(sound, 1, 7), 'bad-hmac'],
	['with another count', changed(sound, 11, 1), 'bad-hmac'],
	['with another HMAC', changed(sound, 27, (sound.trailer?.[27] ?? 0) ^ 1), 'bad-hmac'],
	['of another sender', {...sound, source: '198.51.100.11'}, 'bad-hmac'],
	['of another virtual router', {...sound, vrid: 52}, 'bad-hmac'],
	['of another version', {...sound, version: 2}, 'bad-hmac'],
	['6 s old', sealedBy(trailersOf(), NOW - 6000), 'stale'],
	['6 s ahead', sealedBy(trailersOf(), NOW + 6000), 'stale'],
	['5 s old', sealedBy(trailersOf(), NOW - 5000), null],
	['5 s ahead', sealedBy(trailersOf(), NOW + 5000), null],
	['signed by the other key', sealedBy(trailersOf({...SETTINGS, activeKeyId: 7})), null],
] as const) {
	test(`an advert ${title}: ${reason ?? 'is believed'}`, t => t.is(trailersOf().check(sealed, NOW), reason));
}

test('the checksum, which the kernel may fill in, is not covered', t => {
	const message = sound.message.slice();
	message.set([0xab, 0xcd], 6);
	t.is(trailersOf().check({...sound, message}, NOW), null);
});

test('who believes adverts without a trailer checks those that have one all the same', t => {
	for (const mode of ['permissive', 'receive-only'] as const) {
		const receiver = trailersOf({...SETTINGS, mode});
		t.is(receiver.check({...sound, trailer: null}, NOW), null);
		t.is(receiver.check(changed(sound, 27, 0), NOW), 'bad-hmac');
		t.is(receiver.check(sound, NOW), null);
	}
	t.is(trailersOf(null).check(sound, NOW), 'unexpected-trailer');
});

test('nothing is believed twice, nor anything older than what was', t => {
	const [sender, receiver] = [trailersOf(), trailersOf()];
	const [first, second, third] = [0, 1, 2].map(n => sealedBy(sender, NOW + n));
	if (first === undefined || second === undefined || third === undefined) return t.fail();
	t.is(receiver.check(second, NOW), null);
	t.is(receiver.check(second, NOW), 'replayed');
	t.is(receiver.check(first, NOW), 'replayed');
	t.is(receiver.check(third, NOW), null);
	t.is(receiver.check(sealedBy(trailersOf(), NOW, '198.51.100.11'), NOW), null, 'each sender has its own count');
});

test('a sender whose clock was put back by more than the window is believed again; without windows, when it has caught up', t => {
	const receiver = trailersOf();
	t.is(receiver.check(sealedBy(trailersOf(), NOW + 4000), NOW), null);
	t.is(receiver.check(sealedBy(trailersOf(), NOW), NOW), 'replayed');
	// The receiver's clock was wrong, and is put right.
	t.is(receiver.check(sealedBy(trailersOf(), NOW - 3_600_000), NOW - 3_600_000), null);
	const patient = trailersOf(MONOTONIC);
	t.is(patient.check(sealedBy(trailersOf(), NOW), NOW), null);
	t.is(patient.check(sealedBy(trailersOf(), NOW - 3_600_000), NOW - 3_600_000), 'replayed');
	t.is(patient.check(sealedBy(trailersOf(), NOW + 1), NOW - 3_600_000), null);
});

test('the 32 bits of seconds may end', t => {
	const end = 2 ** 32 * 1000;
	const [sender, receiver] = [trailersOf(), trailersOf()];
	for (const wallMs of [end - 2000, end - 1000, end - 1, end, end + 1, end + 1000]) {
		const sealed = sealedBy(sender, wallMs);
		t.is(receiver.check(sealed, wallMs), null, String(wallMs - end));
		t.is(receiver.check(sealed, wallMs), 'replayed');
	}
});

test('strangers who have no key can make no sender forgotten', t => {
	const [sender, receiver] = [trailersOf(), trailersOf(MONOTONIC)];
	const sealed = sealedBy(sender);
	t.is(receiver.check(sealed, NOW), null);
	for (let n = 0; n < 1000; n++) {
		const source = `10.9.${n >> 8}.${n & 255}`;
		t.is(receiver.check({...sealedBy(sender, NOW + n), source}, NOW), 'bad-hmac');
	}
	t.is(receiver.check(sealed, NOW), 'replayed');
	t.is(receiver.memory().heard.length, 1);
});

test('the table of senders has an end, and room for all peers', t => {
	for (const [peers, most] of [
		[0, 16],
		[40, 40],
	] as const) {
		const receiver = trailersOf(SETTINGS, peers);
		for (let n = 0; n < 100; n++) receiver.check(sealedBy(trailersOf(), NOW, `10.9.0.${n}`), NOW);
		const {heard} = receiver.memory();
		t.deepEqual([heard.length, heard.at(0)?.[0], heard.at(-1)?.[0]], [most, `10.9.0.${100 - most}`, '10.9.0.99']);
	}
});

test('a process that goes on for another one counts on, and believes nothing twice', t => {
	const before = trailersOf();
	const heard = sealedBy(trailersOf(), NOW, '198.51.100.11');
	before.check(heard, NOW);
	const sequence = before.next(NOW + 900)?.sequence ?? 0n;
	const after = trailersOf();
	after.recall(JSON.parse(JSON.stringify(before.memory())));
	t.is(after.check(heard, NOW), 'replayed');
	t.is(after.next(NOW)?.sequence, sequence + 1n);
});

test('property: whatever order adverts arrive in, each sender is only heard forwards', t => {
	const random = seeded(11);
	const below = (limit: number): number => Math.floor(random() * limit);
	for (let round = 0; round < 50; round++) {
		const [sender, receiver] = [trailersOf(), trailersOf()];
		const adverts = Array.from({length: 30}, (_, n) => sealedBy(sender, NOW + n * 10));
		let newest = -1;
		for (let n = 0; n < 100; n++) {
			const chosen = below(adverts.length);
			const advert = adverts[chosen];
			if (advert === undefined) continue;
			t.is(receiver.check(advert, NOW), chosen > newest ? null : 'replayed');
			newest = Math.max(newest, chosen);
		}
	}
});

// The whole way of a datagram

const PATH = {source: '198.51.100.10', destination: '224.0.0.18'};
const own = {...ADVERT, priority: 100};

function receive(datagram: Uint8Array, settings: AuthHmac | null = SETTINGS): string {
	const trailers = trailersOf(settings);
	const received = receiveAdvert(datagram, own, '198.51.100.20', {distrusts: sealed => trailers.check(sealed, NOW)});
	return received.ok ? 'accepted' : received.reason;
}

const signature = {keyId: 1, secret: SECRET, sequence: BigInt(NOW / 1000) << 32n};
const datagram = ipv4(PATH.source, PATH.destination, encodeAdvert(ADVERT, PATH, signature));

test('a signed advert is for those who expect one', t => {
	t.is(receive(datagram), 'accepted');
	t.is(receive(datagram, null), 'unexpected-trailer');
	const plain = ipv4(PATH.source, PATH.destination, encodeAdvert(ADVERT, PATH));
	t.is(receive(plain), 'missing-trailer');
	t.is(receive(plain, {...SETTINGS, mode: 'permissive'}), 'accepted');
	t.is(receiveAdvert(datagram, own, '198.51.100.20').ok, false);
});

test('damaged, no advert is believed for another than it was', t => {
	const trailers = (): Trailers => trailersOf();
	for (const bytes of mutations(datagram, 5000, 23)) {
		const fresh = trailers();
		const received = receiveAdvert(bytes, own, '198.51.100.20', {distrusts: sealed => fresh.check(sealed, NOW)});
		if (received.ok) t.deepEqual(received.value, {advert: ADVERT, source: PATH.source});
	}
	t.pass();
});
