import test from 'ava';
import {destinationOf, FRAME_BYTES, familyOfEnd, payloadRoom, tcpFrame} from '../../src/bench/frame.js';
import {ETHERNET, fullChecksums} from '../packets/frame.js';

const MACS = {fromMac: '02:00:00:00:00:01', toMac: '02:00:00:00:00:02'};
const NUMBERS = {seq: 0xdeadbeef, ack: 0xfeedc0de};
const IPV4 = {...MACS, ...NUMBERS, from: '198.18.0.1:40000', to: '198.51.100.1:80'};
const IPV6 = {...MACS, ...NUMBERS, from: '[2001:db8:c::7]:40000', to: '[2001:db8::1]:80'};
const FLAGS = ['S', 'SA', 'A'] as const;

test('a frame of IPv4 has both checksums right, whatever is in it', t => {
	for (const flags of FLAGS) {
		for (const payloadBytes of [0, payloadRoom(4)]) {
			const frame = tcpFrame({...IPV4, flags, payloadBytes});
			const view = new DataView(frame.buffer);
			const {ip, transport} = fullChecksums(frame);
			t.is(frame.length, FRAME_BYTES[4]);
			t.is(view.getUint16(ETHERNET + 2), 40 + payloadBytes);
			t.is(view.getUint16(ETHERNET + 10), ip);
			t.is(view.getUint16(ETHERNET + 36), transport);
			t.is(destinationOf(frame, 4), IPV4.to);
		}
	}
});

test('a frame of IPv6 has its length and its checksum right', t => {
	for (const flags of FLAGS) {
		const frame = tcpFrame({...IPV6, flags, payloadBytes: payloadRoom(6)});
		const view = new DataView(frame.buffer);
		t.is(frame.length, FRAME_BYTES[6]);
		t.is(view.getUint16(ETHERNET - 2), 0x86dd);
		t.is(view.getUint8(ETHERNET) >> 4, 6);
		t.is(view.getUint16(ETHERNET + 4), 20);
		t.is(view.getUint16(ETHERNET + 40), 40_000);
		t.is(view.getUint16(ETHERNET + 56), fullChecksums(frame).transport);
		t.is(destinationOf(frame, 6), IPV6.to);
	}
});

test('an end is of the family of its address', t => {
	t.deepEqual([IPV4.to, IPV6.to].map(familyOfEnd), [4, 6]);
});
