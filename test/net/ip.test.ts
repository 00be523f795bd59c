import test from 'ava';
import {concatBytes} from '../../src/net/bytes.js';
import {checksumOnPath, decodeIp, encodeIpv6} from '../../src/net/ip.js';
import {hex} from './wire.js';

test('reads an IPv4 header with options', t => {
	const bytes = hex`46c00020 00000000 ff700000 c0a80002 e0000012 94040000 deadbeef cafef00d`;
	t.deepEqual(decodeIp(bytes), {
		ok: true,
		value: {
			source: '192.168.0.2',
			destination: '224.0.0.18',
			protocol: 112,
			ttl: 255,
			payload: hex`deadbeef cafef00d`,
		},
	});
});

const packet = {
	source: 'fe80::1',
	destination: 'ff02::12',
	protocol: 112,
	ttl: 255,
	payload: hex`deadbeef cafef00d`,
};
// version 6, 8 bytes of protocol 112, hop limit 255 | source | destination | payload
const bytes = hex`60000000 0008 70 ff
	| fe800000 00000000 00000000 00000001
	| ff020000 00000000 00000000 00000012
	| deadbeef cafef00d`;

test('an IPv6 packet', t => {
	t.deepEqual(encodeIpv6(packet), bytes);
	t.deepEqual(decodeIp(bytes), {ok: true, value: packet});
});
test('the padding of a frame is no payload', t => {
	t.deepEqual(decodeIp(concatBytes(bytes, new Uint8Array(6))), {ok: true, value: packet});
});
test('traffic class and flow label do not matter', t => {
	const marked = bytes.slice();
	marked.set(hex`6c0f5ece`);
	t.deepEqual(decodeIp(marked), {ok: true, value: packet});
});
test('half a packet is none', t => {
	for (let length = 0; length < bytes.length; length++) {
		t.deepEqual(decodeIp(bytes.subarray(0, length)), {ok: false, reason: 'bad-ip-header'});
	}
});
for (const first of [0x00, 0x50, 0x70]) {
	test(`version ${first >> 4} is unknown`, t => {
		const other = bytes.slice();
		other[0] = first;
		t.deepEqual(decodeIp(other), {ok: false, reason: 'bad-ip-header'});
	});
}

test('the checksum covers both ends, protocol and length', t => {
	// A neighbour advertisement of keepalived, with its checksum.
	const message = hex`8800 dfdc 20000000 20010db8000000000000000000000001 0201 1e8b5b89a13a`;
	const path = {source: '2001:db8::1', destination: 'ff02::1'};
	t.is(checksumOnPath(message, 58, path), 0);
	t.not(checksumOnPath(message, 58, {...path, source: '2001:db8::2'}), 0);
	t.not(checksumOnPath(message, 58, {...path, destination: 'ff02::2'}), 0);
	t.not(checksumOnPath(message, 112, path), 0);
	t.not(checksumOnPath(concatBytes(message, new Uint8Array(2)), 58, path), 0);
});
