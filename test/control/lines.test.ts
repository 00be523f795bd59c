import test from 'ava';
import {LineReader} from '../../src/control/lines.js';

test('lines come out whole, wherever the bytes were cut', t => {
	const text = Buffer.from('one\n\nthrée\nrest');
	for (let cut = 0; cut <= text.length; cut++) {
		const reader = new LineReader(100);
		const lines = [text.subarray(0, cut), text.subarray(cut)].flatMap(part => reader.push(part) ?? ['too long']);
		t.deepEqual(lines, ['one', '', 'thrée']);
	}
});

test('a line may be as long as the limit and no longer', t => {
	t.deepEqual(new LineReader(4).push(Buffer.from('four\n')), ['four']);
	t.is(new LineReader(4).push(Buffer.from('fiver')), null);
	const reader = new LineReader(4);
	t.deepEqual(reader.push(Buffer.from('fo')), []);
	t.is(reader.push(Buffer.from('urs')), null);
});
