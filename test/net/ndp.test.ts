import test from 'ava';
import {encodeNeighbourAdvertisement} from '../../src/net/ndp.js';
import {hex} from './wire.js';

const mac = hex`1e 8b 5b 89 a1 3a`;

/** What keepalived 2.2.7 puts on the wire. */
test('an unsolicited neighbour advertisement, to all nodes', t => {
	t.deepEqual(
		encodeNeighbourAdvertisement('2001:db8::1', mac, false),
		hex`333300000001 1e8b5b89a13a 86dd
			| 60000000 0020 3a ff
			| 20010db8 00000000 00000000 00000001
			| ff020000 00000000 00000000 00000001
			| 88 00 dfdc 20000000
			| 20010db8 00000000 00000000 00000001
			| 02 01 1e8b5b89a13a`,
	);
});

test('a router says that it is one', t => {
	const frame = encodeNeighbourAdvertisement('fe80::100', mac, true);
	const flags = frame.subarray(58, 62);
	t.deepEqual(flags, hex`a0000000`);
	// The same message without the flag has a checksum that is greater by as much.
	const host = encodeNeighbourAdvertisement('fe80::100', mac, false);
	const checksum = (bytes: Uint8Array): number => (bytes[56] ?? 0) * 256 + (bytes[57] ?? 0);
	t.is((checksum(host) - checksum(frame) + 0xffff) % 0xffff, 0x8000);
});
