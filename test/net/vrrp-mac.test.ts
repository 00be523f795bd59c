import test from 'ava';
import {macBytes} from '../../src/net/address.js';
import {encodeVirtualMac, isVirtualMac} from '../../src/net/vrrp-mac.js';

const is = (mac: string): boolean => isVirtualMac(macBytes(mac) ?? new Uint8Array());

test('the MAC addresses of RFC 9568 §7.3', t => {
	t.is(encodeVirtualMac(91, 4), '00:00:5e:00:01:5b');
	t.is(encodeVirtualMac(255, 6), '00:00:5e:00:02:ff');
});

test('what is the MAC address of a virtual router, and what is like it', t => {
	t.true(is('00:00:5e:00:01:01'));
	t.true(is('00:00:5e:00:02:ff'));
	for (const other of ['00:00:5e:00:00:01', '00:00:5e:00:03:01', '00:00:5e:01:01:01', '02:00:5e:00:01:01', ''])
		t.false(is(other), other);
});
