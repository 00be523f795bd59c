import test from 'ava';
import {command} from '../../src/conf/keywords/script.js';
import {read, sound} from './reading.js';

function words(text: string): readonly string[] | string {
	const parsed = command.parse(text);
	return 'why' in parsed ? parsed.why : parsed.value;
}

test('a command is split as keepalived does', t => {
	t.deepEqual(words('/bin/check'), ['/bin/check']);
	t.deepEqual(words('/bin/check  one\ttwo '), ['/bin/check', 'one', 'two']);
	t.deepEqual(words(`/bin/check 'one two' "it's" a'b c'd ''`), ['/bin/check', 'one two', `it's`, 'ab cd', '']);
	t.deepEqual(words(String.raw`/bin/check a\ b \"q\" \x41\x4 \101 \t \cA \E`), [
		'/bin/check',
		'a b',
		'"q"',
		'A\x04',
		'A',
		'\t',
		'\x01',
		'\x1b',
	]);
});

test('a command needs a program and closed quotes', t => {
	t.is(words(''), 'names no program');
	t.is(words(`'' x`), 'names no program');
	t.is(words(`/bin/check 'x`), 'has a quote that is not closed');
});

test('script_user takes a user and a group, enable_script_security nothing', t => {
	const globals = 'script_user nobody nogroup\nenable_script_security';
	t.deepEqual(read(sound({globals})).printed, []);
	t.deepEqual(read(sound({globals: 'script_user'})).printed, [
		`lb.conf:2:1: error: script_user lacks its argument (write 'script_user WORD')`,
	]);
});
