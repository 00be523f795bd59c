import test from 'ava';
import {bytes, count, duration, json} from '../../src/cli/format.js';

test('counts', t => {
	t.deepEqual([0, 999, 1_234_567].map(count), ['0', '999', '1,234,567']);
});

test('bytes', t => {
	t.deepEqual([0, 1023, 1024, 1_572_864, 2 ** 60].map(bytes), ['0 B', '1023 B', '1.0 KiB', '1.5 MiB', '1024.0 PiB']);
});

test('durations have their two largest units', t => {
	t.deepEqual([-3, 0, 59.9, 60, 200, 7200, 7261, 90_061].map(duration), [
		'0s',
		'0s',
		'59s',
		'1m',
		'3m 20s',
		'2h',
		'2h 1m',
		'1d 1h',
	]);
});

test('JSON of 64-bit numbers and bytes', t => {
	t.is(json({a: 5n, b: 2n ** 60n, c: new Uint8Array([1, 255])}), '{"a":5,"b":"1152921504606846976","c":"01ff"}');
});
