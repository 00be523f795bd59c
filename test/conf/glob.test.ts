import test from 'ava';
import {expandBraces, expandGlob, matchName} from '../../src/conf/language/glob.js';
import {MemoryFiles} from './memory-files.js';

for (const [pattern, name, matches] of [
	['*', 'a.conf', true],
	['*.conf', 'a.conf', true],
	['*.conf', 'a.config', false],
	['a?c', 'abc', true],
	['a?c', 'ac', false],
	['[a-c]x', 'bx', true],
	['[a-c]x', 'dx', false],
	['[!a-c]x', 'dx', true],
	['[!a-c]x', 'ax', false],
	['[]a]', ']', true],
	['[a-]', '-', true],
	['[a', '[a', true],
	['a*b*c', 'aXbXbXc', true],
	['a*b*c', 'aXbXbX', false],
	['**', '', true],
	['*x', '*x', true],
] as const) {
	test(`matchName: ${pattern} ${matches ? 'matches' : 'does not match'} ${name}`, t =>
		t.is(matchName(pattern, name), matches));
}

test('matchName does not explode', t => t.false(matchName(`${'*a'.repeat(100)}b`, 'a'.repeat(1000))));

test('expandBraces', t => {
	t.deepEqual(expandBraces('a'), ['a']);
	t.deepEqual(expandBraces('x{a,b}y'), ['xay', 'xby']);
	t.deepEqual(expandBraces('{a,b{c,d}}'), ['a', 'bc', 'bd']);
	t.deepEqual(expandBraces('{a,b}{c,d}'), ['ac', 'ad', 'bc', 'bd']);
	t.deepEqual(expandBraces('{a'), ['{a']);
	t.deepEqual(expandBraces('}a{'), ['}a{']);
	t.deepEqual(expandBraces('{{a,b}'), ['{a', '{b']);
	t.is(expandBraces('{a,b}'.repeat(200)), null);
	t.deepEqual(expandBraces('{'.repeat(400)), ['{'.repeat(400)]);
});

test('expandGlob', t => {
	const files = new MemoryFiles({
		'etc/b.conf': '',
		'etc/a.conf': '',
		'etc/.c.conf': '',
		'etc/d/e.conf': '',
		'/x/f.conf': '',
	});
	t.deepEqual(expandGlob('*.conf', 'etc', files), ['etc/a.conf', 'etc/b.conf']);
	t.deepEqual(expandGlob('.*.conf', 'etc', files), ['etc/.c.conf']);
	t.deepEqual(expandGlob('*/*.conf', 'etc', files), ['etc/d/e.conf']);
	t.deepEqual(expandGlob('{b,a}.conf', 'etc', files), ['etc/b.conf', 'etc/a.conf']);
	t.deepEqual(expandGlob('../etc/./none.conf', 'etc', files), ['etc/none.conf'], 'a plain name matches itself');
	t.deepEqual(expandGlob('/x/*', 'etc', files), ['/x/f.conf']);
	t.deepEqual(expandGlob('{/x/f,a}.conf', 'etc', files), ['/x/f.conf', 'etc/a.conf']);
	t.deepEqual(expandGlob('*.none', 'etc', files), []);
});

test('expandGlob gives up on too many files', t => {
	const many = new MemoryFiles(Object.fromEntries(Array.from({length: 1001}, (_, index) => [`${index}`, ''])));
	t.is(expandGlob('*', '.', many), null);
});
