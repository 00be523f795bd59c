import test from 'ava';
import {internetChecksum} from '../../src/net/checksum.js';
import {hex} from './wire.js';

test('the example of RFC 1071 §3', t => {
	t.is(internetChecksum(hex`0001 f203 f4f5 f6f7`), ~0xddf2 & 0xffff);
});
test('an odd byte counts as the high one', t => {
	t.is(internetChecksum(hex`0001 f2`), internetChecksum(hex`0001 f200`));
});
test('parts count as one', t => {
	t.is(internetChecksum(hex`0001 f203`, hex`f4f5 f6f7`), internetChecksum(hex`0001 f203 f4f5 f6f7`));
});
test('bytes with their own checksum sum to 0', t => {
	t.is(internetChecksum(hex`0001 f203 f4f5 f6f7 220d`), 0);
});
