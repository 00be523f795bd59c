import test from 'ava';
import {encodeGratuitousArp} from '../../src/net/arp.js';
import {hex} from './wire.js';

test('a gratuitous ARP request, broadcast', t => {
	t.deepEqual(
		encodeGratuitousArp('192.168.1.1', hex`02 00 00 00 00 01`),
		// to all, from the interface, ARP | Ethernet, IPv4, 6, 4, request | sender | target
		hex`ffffffffffff 020000000001 0806 | 0001 0800 06 04 0001 | 020000000001 c0a80101 | ffffffffffff c0a80101`,
	);
});
