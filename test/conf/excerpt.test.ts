import test from 'ava';
import {Excerpts} from '../../src/conf/excerpt.js';
import {MemoryFiles} from './memory-files.js';

const files = new MemoryFiles({f: `a {\n\tdealy_loop 5\n}\n${'x'.repeat(200)} word\nnul\0 é\u202e`});
const excerpts = new Excerpts(files);
const at = (line: number, column: number) => ({file: 'f', line, column});

test('a line, and what points to the word', t => {
	t.deepEqual(excerpts.of(at(2, 2)), ['    2 |  dealy_loop 5', '      |  ^~~~~~~~~~']);
	t.deepEqual(excerpts.of(at(1, 3)), ['    1 | a {', '      |   ^']);
	t.deepEqual(excerpts.of(at(3, 2)), ['    3 | }', '      |  ^']);
});

test('a long line is cut around the word', t => {
	t.deepEqual(excerpts.of(at(4, 202)), [`    4 | ${'x'.repeat(59)} word`, `      | ${' '.repeat(60)}^~~~`]);
});

test('a terminal is not played tricks on', t => t.is(excerpts.of(at(5, 1))[0], '    5 | nul? é?'));

test('a secret is not shown, and what points to a word still does', t => {
	const lines = [
		'auth_pass 1215 x',
		'key 1 hex:00ff',
		'key 12 "a b c" 9',
		'$K=hex:00ff',
		'key 1 file:/etc/k',
		'key "a b"',
	];
	const secrets = new Excerpts(new MemoryFiles({f: lines.join('\n')}));
	t.deepEqual(secrets.of(at(1, 16)), ['    1 | auth_pass **** x', '      |                ^']);
	const shown = lines.map((_, index) => secrets.of(at(index + 1, 1))[0]?.slice(8));
	t.deepEqual(shown.slice(1), ['key 1 ********', 'key 12 ******* 9', '$K=********', 'key 1 file:/etc/k', 'key *****']);
});

test('what is not there is not shown', t => {
	t.deepEqual(excerpts.of(at(99, 1)), []);
	t.deepEqual(excerpts.of({file: 'gone', line: 1, column: 1}), []);
});

test('the definition is shown as well', t => {
	const place = {...at(3, 1), definition: {name: 'A', ...at(1, 1)}};
	t.deepEqual(excerpts.around(place), ['    3 | }', '      | ^', '    1 | a {', '      | ^']);
});
