import test from 'ava';
import {decodeIp} from '../../src/net/ip.js';
import {encodeAuthenticated, openAuthenticated} from '../../src/net/ip-auth.js';
import {type Advert, ANY_TTL, encodeAdvert, receiveAdvert, VRRP_TOS} from '../../src/net/vrrp-packet.js';
import {hex, mutations} from './wire.js';

const KEY = 'secret12';
const path = {source: '192.168.1.10', destination: '224.0.0.18'};
const ADVERT: Advert = {
	version: 2,
	vrid: 91,
	priority: 150,
	advertUs: 1_000_000,
	addresses: ['192.168.1.1', '192.168.1.2'],
	password: null,
	inAuthHeader: true,
};

/** The third packet that keepalived 2.2.7 puts on the wire, without the checksum of its IP header. */
const KEEPALIVED = hex`45c0 0044 0003 0000 ff33 0000 c0a8010a e0000012 | 70 04 0000 c0a8010a 00000003 3892d615a123cdf17989def2
	| 21 5b 96 02 02 01 c34c c0a80101 c0a80102 00000000 00000000`;

/** Its second one to a unicast peer, with another key. */
const KEEPALIVED_UNICAST = hex`45c0 0040 0002 0000 ff33 0000 c0a8010a c0a8010b | 70 04 0000 c0a8010a 00000002 beea11a0f9edc34168c3ad5a
	| 21 5c c8 01 02 01 52f7 c0a80101 00000000 00000000`;

function packet(changes: Partial<Advert> = {}, sequence = 3, key = KEY): Uint8Array {
	const payload = encodeAdvert({...ADVERT, ...changes}, path);
	const fields = {typeOfService: VRRP_TOS, identification: sequence};
	return encodeAuthenticated({...path, ...fields, protocol: 112, ttl: 255, payload}, {key, sequence});
}

function receive(bytes: Uint8Array, {own = {}, key = KEY, sequence = 0} = {}): ReturnType<typeof receiveAdvert> {
	return receiveAdvert(bytes, {...ADVERT, priority: 100, ...own}, '192.168.1.20', {headers: {key, sequence}});
}

test('as keepalived has it, byte for byte', t => {
	t.deepEqual(packet(), KEEPALIVED);
	t.like(receive(KEEPALIVED), {ok: true, value: {advert: {priority: 150}, source: '192.168.1.10', sequence: 3}});
});

test('to a unicast peer, as keepalived has it: a router on the way may take from the time to live', t => {
	const ends = {source: '192.168.1.10', destination: '192.168.1.11'};
	const advert = {...ADVERT, vrid: 92, priority: 200, addresses: ['192.168.1.1']};
	const fields = {typeOfService: VRRP_TOS, identification: 2, protocol: 112, ttl: 255};
	const sent = {...ends, ...fields, payload: encodeAdvert(advert, ends)};
	t.deepEqual(encodeAuthenticated(sent, {key: '1215', sequence: 2}), KEEPALIVED_UNICAST);
	const routed = KEEPALIVED_UNICAST.slice();
	routed[8] = 64;
	const unicast = {peers: [{address: '192.168.1.10', ttl: ANY_TTL}], checkSource: true, ttl: 255};
	const headers = {key: '1215', sequence: 1};
	const received = receiveAdvert(routed, {...advert, priority: 100}, '192.168.1.11', {unicast, headers});
	t.like(received, {ok: true, value: {advert: {priority: 200}, sequence: 2}});
});

test('what routers may change on the way is not covered', t => {
	const changed = KEEPALIVED.slice();
	changed.set([0xc1], 1);
	changed.set([0x12, 0x34], 10);
	t.true(receive(changed).ok);
});

for (const [title, bytes, options, reason] of [
	['of another VRID', packet({vrid: 7}), {}, 'other-vrid'],
	['with another password', packet({}, 3, 'secret13'), {}, 'bad-password'],
	['sent before', packet(), {sequence: 3}, 'replayed'],
	['without the header', encodeAdvertPacket(), {}, 'bad-auth-header'],
	['of another sender', forged(), {}, 'bad-auth-header'],
	['with a password inside', packet({password: KEY, inAuthHeader: false}), {}, 'bad-auth-type'],
	['routed', routed(), {}, 'bad-password'],
] as const) {
	test(`refused: one ${title}`, t => t.deepEqual(receive(bytes, options), {ok: false, reason}));
}

test('one with the header is not for an instance that wants a password', t => {
	const own = {...ADVERT, password: KEY, inAuthHeader: false};
	t.false(receiveAdvert(packet(), own, '192.168.1.20').ok);
});

test('damaged packets have a reason, and none is believed', t => {
	for (const bytes of mutations(KEEPALIVED, 5000, 17)) {
		const received = receive(bytes);
		if (received.ok) t.deepEqual(received.value.advert, ADVERT);
	}
	t.pass();
});

test('a header that is cut off', t => {
	const decoded = decodeIp(KEEPALIVED);
	if (!decoded.ok) return t.fail();
	const short = {...decoded.value, payload: decoded.value.payload.subarray(0, 23)};
	t.deepEqual(openAuthenticated(KEEPALIVED, short, KEY), {ok: false, reason: 'bad-auth-header'});
});

/** Protocol 112, as a router without authentication sends it. */
function encodeAdvertPacket(): Uint8Array {
	const message = encodeAdvert({...ADVERT, inAuthHeader: false}, path);
	return Uint8Array.from([...hex`45c0 002c 0003 0000 ff70 0000 c0a8010a e0000012`, ...message]);
}

/** The security parameters index names somebody else. */
function forged(): Uint8Array {
	const bytes = packet();
	bytes[27] = 99;
	return bytes;
}

function routed(): Uint8Array {
	const bytes = packet();
	bytes[8] = 254;
	return bytes;
}
