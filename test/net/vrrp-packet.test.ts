import test from 'ava';
import {concatBytes, viewOf} from '../../src/net/bytes.js';
import {internetChecksum} from '../../src/net/checksum.js';
import {encodeIpv6, type Path} from '../../src/net/ip.js';
import {
	type Advert,
	ANY_TTL,
	decodeAdvert,
	encodeAdvert,
	type RefusalReason,
	receiveAdvert,
	type Unicast,
} from '../../src/net/vrrp-packet.js';
import {ipv4, seeded} from '../fake/lan.js';
import {hex} from './wire.js';

const path = {source: '192.168.0.2', destination: '224.0.0.18'};

const V2: Advert = {
	version: 2,
	vrid: 91,
	priority: 200,
	advertUs: 1_000_000,
	addresses: ['192.168.1.1'],
	password: '1215',
};
// version 2 type 1, vrid 91, priority 200, 1 address | PASS, 1 s, checksum | address | password
const V2_BYTES = hex`21 5b c8 01 | 01 01 f1 90 | c0a80101 | 31323135 00000000`;

const V3: Advert = {
	version: 3,
	vrid: 51,
	priority: 100,
	advertUs: 1_000_000,
	addresses: ['192.168.0.1'],
	password: null,
};
// version 3 type 1, vrid 51, priority 100, 1 address | 100 cs, checksum with pseudo header | address
const V3_BYTES = hex`31 33 64 01 | 0064 0884 | c0a80001`;

const path6 = {source: 'fe80::1c8b:5bff:fe89:a13a', destination: 'ff02::12'};

const V3_IPV6: Advert = {
	version: 3,
	vrid: 91,
	priority: 200,
	advertUs: 1_000_000,
	addresses: ['2001:db8::1', 'fe80::100', '2001:db8::2'],
	password: null,
};
/** What keepalived 2.2.7 puts on the wire. */
const V3_IPV6_BYTES = hex`31 5b c8 03 | 0064 94b9
	| 20010db8 00000000 00000000 00000001
	| fe800000 00000000 00000000 00000100
	| 20010db8 00000000 00000000 00000002`;

const golden = test.macro((t, advert: Advert, bytes: Uint8Array, on: Path = path) => {
	t.deepEqual(encodeAdvert(advert, on), bytes);
	t.deepEqual(decode(bytes, on), {ok: true, value: advert});
});

function decode(message: Uint8Array, on: Path = path) {
	return decodeAdvert({...on, protocol: 112, ttl: 255, payload: message});
}

test('version 2 with a password', golden, V2, V2_BYTES);
test(
	'version 2 without: 8 zero bytes still follow',
	golden,
	{...V2, password: null},
	hex`
	21 5b c8 01 | 00 01 54 f8 | c0a80101 | 00000000 00000000`,
);
test('version 3', golden, V3, V3_BYTES);
test('version 3 for IPv6', golden, V3_IPV6, V3_IPV6_BYTES, path6);

test('obeys the codec laws', t => {
	const random = seeded(7);
	const below = (limit: number): number => Math.floor(random() * limit);
	for (let round = 0; round < 500; round++) {
		const version = random() < 0.5 ? 2 : 3;
		const advert: Advert = {
			version,
			vrid: 1 + below(255),
			priority: below(256),
			advertUs: version === 2 ? below(256) * 1_000_000 : below(4096) * 10_000,
			addresses: Array.from({length: below(20)}, () => `10.${below(256)}.${below(256)}.${below(256)}`),
			password: version === 2 && random() < 0.5 ? 'sekret'.slice(0, 1 + below(6)) : null,
		};
		const bytes = encodeAdvert(advert, path);
		t.is(bytes.length, 8 + 4 * advert.addresses.length + (version === 2 ? 8 : 0));
		t.deepEqual(decode(bytes), {ok: true, value: advert});
		const shifted = concatBytes(new Uint8Array(3), bytes).subarray(3);
		t.deepEqual(decode(shifted), {ok: true, value: advert}, 'at an offset');
		for (let length = 0; length < bytes.length; length++) t.false(decode(bytes.subarray(0, length)).ok);
	}
});

/** The message with one byte replaced and, unless told otherwise, its checksum made right again. */
function altered(message: Uint8Array, at: number, value: number, options: {keepChecksum?: boolean} = {}): Uint8Array {
	const copy = message.slice();
	copy[at] = value;
	if (options.keepChecksum) return copy;
	viewOf(copy).setUint16(6, 0);
	viewOf(copy).setUint16(6, internetChecksum(copy));
	return copy;
}

const refuses = test.macro((t, datagram: Uint8Array, reason: RefusalReason, own: Advert = V2) => {
	t.deepEqual(receiveAdvert(datagram, own, '192.168.0.9'), {ok: false, reason});
});
const datagram6 = (message: Uint8Array, fields = {}): Uint8Array =>
	encodeIpv6({...path6, protocol: 112, ttl: 255, payload: message, ...fields});
const datagram = (message: Uint8Array, fields = {}): Uint8Array => ipv4(path.source, path.destination, message, fields);
const sent = (advert: Advert): Uint8Array => datagram(encodeAdvert(advert, path));

test('accepts what a peer of the same configuration sends', t => {
	t.deepEqual(receiveAdvert(datagram(V2_BYTES), V2, '192.168.0.9'), {
		ok: true,
		value: {advert: V2, source: path.source},
	});
});
test('accepts the padding of a short Ethernet frame', t => {
	t.true(receiveAdvert(concatBytes(datagram(V2_BYTES), new Uint8Array(6)), V2, '192.168.0.9').ok);
});
test('accepts the addresses in another order', t => {
	const own = {...V2, addresses: ['192.168.1.2', '192.168.1.1']};
	t.true(receiveAdvert(sent({...V2, addresses: ['192.168.1.1', '192.168.1.2']}), own, '192.168.0.9').ok);
});
test('version 3 accepts another interval', t => {
	t.true(receiveAdvert(sent({...V3, advertUs: 200_000}), V3, '192.168.0.9').ok);
});

test('accepts IPv6', t => {
	t.deepEqual(receiveAdvert(datagram6(V3_IPV6_BYTES), V3_IPV6, 'fe80::9'), {
		ok: true,
		value: {advert: V3_IPV6, source: path6.source},
	});
});

test('bad-ttl: IPv6', refuses, datagram6(V3_IPV6_BYTES, {ttl: 254}), 'bad-ttl', V3_IPV6);
test('bad-checksum: IPv6', refuses, datagram6(V3_IPV6_BYTES, {source: 'fe80::2'}), 'bad-checksum', V3_IPV6);
test('bad-length: IPv4 addresses in IPv6', refuses, datagram6(altered(V3_BYTES, 1, 91)), 'bad-length', V3_IPV6);
test('bad-version: IPv6 has no version 2', refuses, datagram6(V2_BYTES), 'bad-version', V3_IPV6);

test('bad-ip-header: nothing', refuses, new Uint8Array(), 'bad-ip-header');
test('bad-ip-header: cut', refuses, datagram(V2_BYTES).subarray(0, 30), 'bad-ip-header');
test('bad-ip-header: version 5', refuses, altered(datagram(V2_BYTES), 0, 0x55, {keepChecksum: true}), 'bad-ip-header');
test('bad-ip-header: too short', refuses, altered(datagram(V2_BYTES), 0, 0x44, {keepChecksum: true}), 'bad-ip-header');
test('other-vrid', refuses, sent({...V2, vrid: 92}), 'other-vrid');
test('other-vrid comes before everything', refuses, datagram(altered(V2_BYTES, 1, 92), {ttl: 1}), 'other-vrid');
test('own-address', refuses, ipv4('192.168.0.9', path.destination, V2_BYTES), 'own-address');
test('bad-ttl', refuses, datagram(V2_BYTES, {ttl: 254}), 'bad-ttl');
test('bad-version: unknown', refuses, datagram(altered(V2_BYTES, 0, 0x41)), 'bad-version');
test('bad-version: not ours', refuses, sent({...V3, vrid: 91}), 'bad-version');
test('bad-type', refuses, datagram(altered(V2_BYTES, 0, 0x22)), 'bad-type');
test('bad-length: empty', refuses, datagram(new Uint8Array()), 'bad-length');
test('bad-length: header only', refuses, datagram(V2_BYTES.subarray(0, 8)), 'bad-length');
test('bad-length: one address too many', refuses, datagram(altered(V2_BYTES, 3, 2)), 'bad-length');
test('bad-length: bytes behind', refuses, datagram(concatBytes(V2_BYTES, new Uint8Array(4))), 'bad-length');
test('bad-checksum', refuses, datagram(altered(V2_BYTES, 2, 201, {keepChecksum: true})), 'bad-checksum');
test('bad-checksum: version 3 without pseudo header', refuses, datagram(altered(V3_BYTES, 1, 51)), 'bad-checksum', V3);
test('bad-auth-type: IPsec', refuses, datagram(altered(V2_BYTES, 4, 2)), 'bad-auth-type');
test('bad-auth-type: none where a password is due', refuses, sent({...V2, password: null}), 'bad-auth-type');
test('bad-auth-type: a password where none is due', refuses, sent(V2), 'bad-auth-type', {...V2, password: null});
test('bad-password', refuses, sent({...V2, password: '1216'}), 'bad-password');
test('bad-password: longer', refuses, sent({...V2, password: '12150'}), 'bad-password');
test('advert-interval', refuses, sent({...V2, advertUs: 2_000_000}), 'advert-interval');
test('advert-interval: none in version 3', refuses, sent({...V3, advertUs: 0}), 'advert-interval', V3);
test('address-list: another', refuses, sent({...V2, addresses: ['192.168.1.2']}), 'address-list');
test('address-list: more', refuses, sent({...V2, addresses: ['192.168.1.1', '192.168.1.2']}), 'address-list');

for (const [what, ttl, source, checkSource, reason] of [
	['a peer, any TTL', 3, '192.168.0.2', true, null],
	['a peer whose TTL is at its least', 250, '192.168.0.3', true, null],
	['a peer whose TTL is below', 249, '192.168.0.3', true, 'bad-ttl'],
	['a stranger', 255, '192.168.0.4', true, 'unknown-peer'],
	['a stranger where nobody asks', 1, '192.168.0.4', false, null],
] as const) {
	test(`unicast: ${what}`, t => {
		const peers: Unicast['peers'] = [
			{address: '192.168.0.2', ttl: ANY_TTL},
			{address: '192.168.0.3', ttl: [250, 255]},
		];
		const packet = ipv4(source, '192.168.0.9', V2_BYTES, {ttl});
		const received = receiveAdvert(packet, V2, '192.168.0.9', {unicast: {peers, ttl: 255, checkSource}});
		t.is(received.ok ? null : received.reason, reason);
	});
}
