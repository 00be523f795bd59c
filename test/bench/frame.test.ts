import test from 'ava';
import {tcpFrame} from '../../src/bench/frame.js';
import {ETHERNET, fullChecksums} from '../packets/frame.js';

const ENDS = {
	fromMac: '02:00:00:00:00:01',
	toMac: '02:00:00:00:00:02',
	from: '198.18.0.1:40000',
	to: '198.51.100.1:80',
};

test('a frame has both checksums right, whatever is in it', t => {
	for (const flags of ['S', 'SA', 'A'] as const) {
		for (const payloadBytes of [0, 10]) {
			const frame = tcpFrame({...ENDS, flags, seq: 0xdeadbeef, ack: 0xfeedc0de, payloadBytes});
			const view = new DataView(frame.buffer);
			const {ip, transport} = fullChecksums(frame);
			t.is(frame.length, 64);
			t.is(view.getUint16(ETHERNET + 2), 40 + payloadBytes);
			t.is(view.getUint16(ETHERNET + 10), ip);
			t.is(view.getUint16(ETHERNET + 36), transport);
		}
	}
});
