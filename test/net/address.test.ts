import test from 'ava';
import {
	addressBehind,
	addressBytes,
	broadcastAddress,
	endpointName,
	family,
	formatAddress,
	formatMac,
	isLoopback,
	isNetwork,
	macBytes,
	maskPrefix,
	networkAddress,
	parseAddress,
	prefixMask,
	rangeSize,
} from '../../src/net/address.js';

for (const [text, canonical] of [
	['192.168.1.1', '192.168.1.1'],
	['0.0.0.0', '0.0.0.0'],
	['255.255.255.255', '255.255.255.255'],
	['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
	['::', '::'],
	['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
	['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
	['::ffff:10.0.0.1', '::ffff:a00:1'],
] as const) {
	test(`parseAddress: ${text} is ${canonical}`, t => {
		t.is(parseAddress(text), canonical);
		t.is(parseAddress(canonical), canonical, 'canonical text stays as it is');
		t.is(formatAddress(addressBytes(canonical)), canonical);
	});
}

for (const text of [
	'',
	' ',
	'localhost',
	'1.2.3',
	'1.2.3.4.5',
	'1.2.3.4.',
	'.1.2.3.4',
	'01.2.3.4',
	'1.2.3.256',
	'0x7f.0.0.1',
	'0x7f000001',
	'2130706433',
	'1.2.3.4 ',
	'1.2.3.4/24',
	'1.2.3.4\n',
	'１.2.3.4',
	'::1%eth0',
	'[::1]',
	'1:2:3',
	':::',
	'1::2::3',
	'12345::',
	'2001:db8::1/64',
	'1:2:3:4:5:6:7:8:9',
	':'.repeat(100_000),
]) {
	test(`parseAddress refuses ${JSON.stringify(text.slice(0, 30))}`, t => t.is(parseAddress(text), undefined));
}

test('family goes by the colon', t => {
	t.is(family('10.0.0.1'), 4);
	t.is(family('::1'), 6);
});

test('addressBytes are in network order', t => {
	t.deepEqual(addressBytes('10.0.0.71'), Uint8Array.of(10, 0, 0, 71));
	t.deepEqual(addressBytes('2001:db8::1'), Uint8Array.of(0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1));
});

for (const address of [
	'0.0.0.0',
	'255.255.255.255',
	'::',
	'::1',
	'1::',
	'1:2:3:4:5:6:7:8',
	'1:2:3:4:5:6:7:0',
	'ffff::1:0:0:1',
]) {
	test(`the bytes of ${address} are its own`, t => t.is(formatAddress(addressBytes(address)), address));
}

for (const [first, last, size] of [
	['10.0.0.1', '10.0.0.1', 1n],
	['10.0.0.255', '10.0.1.0', 2n],
	['10.0.0.2', '10.0.0.1', 0n],
	['0.0.0.0', '255.255.255.255', 2n ** 32n],
	['::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 2n ** 128n],
] as const) {
	test(`from ${first} to ${last}`, t => t.is(rangeSize(first, last), size));
}

test('addresses behind one another', t => {
	t.is(addressBehind('10.0.0.255', 1), '10.0.1.0');
	t.is(addressBehind('0.0.0.0', 0), '0.0.0.0');
	t.is(addressBehind('2001:db8::ffff', 2), '2001:db8::1:1');
});

test('isNetwork looks at every bit behind the prefix', t => {
	for (let prefix = 0; prefix <= 32; prefix++) {
		for (let bit = 0; bit < 32; bit++) {
			const address = addressBehind('0.0.0.0', 2 ** (31 - bit));
			t.is(isNetwork(address, prefix), bit < prefix, `${address}/${prefix}`);
		}
	}
	t.true(isNetwork('2001:db8::', 32));
	t.false(isNetwork('2001:db8::1', 127));
	t.true(isNetwork('2001:db8::1', 128));
});

test('endpointName leaves TCP unsaid', t => {
	t.is(endpointName('192.168.1.1', 80, 'tcp'), '192.168.1.1:80');
	t.is(endpointName('2001:db8::1', 80, 'tcp'), '[2001:db8::1]:80');
	t.is(endpointName('192.168.1.1', 53, 'udp'), '192.168.1.1:53/udp');
	t.is(endpointName('2001:db8::1', 53, 'udp'), '[2001:db8::1]:53/udp');
});

test('every IPv4 prefix length is the length of its mask', t => {
	for (let prefix = 0; prefix <= 32; prefix++) t.is(maskPrefix(formatAddress(prefixMask(prefix, 4))), prefix);
	t.is(formatAddress(prefixMask(20, 4)), '255.255.240.0');
	t.is(formatAddress(prefixMask(65, 6)), 'ffff:ffff:ffff:ffff:8000::');
	t.is(maskPrefix('255.0.255.0'), undefined);
});

test('networks', t => {
	t.is(networkAddress('192.168.1.77', 26), '192.168.1.64');
	t.is(networkAddress('2001:db8::ff', 124), '2001:db8::f0');
	t.is(broadcastAddress('192.168.1.77', 26), '192.168.1.127');
});

test('MAC addresses', t => {
	t.deepEqual(macBytes('02:00:5E:00:01:ff'), Uint8Array.of(2, 0, 0x5e, 0, 1, 255));
	t.is(formatMac(Uint8Array.of(2, 0, 0x5e, 0, 1, 255)), '02:00:5e:00:01:ff');
	for (const text of ['', '02:00:5e:00:01', '02-00-5e-00-01-ff', '02:00:5e:00:01:fg', '02:00:5e:00:01:ff:00']) {
		t.is(macBytes(text), undefined);
	}
});

test('an address of this machine, on whatever machine', t => {
	for (const address of ['127.0.0.1', '127.255.255.255', '::1']) t.true(isLoopback(address), address);
	for (const address of ['126.255.255.255', '128.0.0.1', '::', '::2']) t.false(isLoopback(address), address);
});
