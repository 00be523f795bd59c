import test from 'ava';
import {formatDiagnostic, formatPlace, Report} from '../../src/conf/diagnostics.js';
import {lex, type Token} from '../../src/conf/language/lexer.js';
import {readLines} from '../../src/conf/language/lines.js';
import type {Place} from '../../src/conf/model.js';

/** Tokens in one line of text each: `word@LINE:COL`. */
function show(token: Token): string {
	const at = (place: Place): string => formatPlace(place).replace('f:', '');
	if (token.kind === 'word') return `${token.word.text}@${at(token.word.place)}`;
	if (token.kind === 'include') return `${token.word.text}<${token.pattern?.text ?? ''}>@${at(token.word.place)}`;
	if (token.kind === 'directive') return `<${token.text.text}>@${at(token.text.placeAt(0))}`;
	return `${{open: '{', close: '}', end: '$'}[token.kind]}@${at(token.place)}`;
}

function lexAll(text: string | Uint8Array): {tokens: string[]; printed: string[]} {
	const report = new Report();
	const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
	const tokens: string[] = [];
	for (const line of readLines('f', bytes, report)) lex(line, report, token => tokens.push(show(token)));
	return {tokens, printed: report.diagnostics().map(formatDiagnostic)};
}

const lexes = test.macro({
	exec(t, text: string, expected: readonly string[]) {
		const {tokens, printed} = lexAll(text);
		t.deepEqual(
			tokens.filter(token => !token.startsWith('$')),
			[...expected],
		);
		t.deepEqual(printed, []);
	},
	title: (given = '') => `lex: ${given}`,
});

test('words have places', lexes, ' a\tbc\n  d', ['a@1:2', 'bc@1:4', 'd@2:3']);
test('comments end lines', lexes, 'a #b\n!c\nd!e\n  # f', ['a@1:1', 'd@3:1']);
test('\\# and \\! are plain characters', lexes, 'a\\#b \\!c \\d', ['a#b@1:1', '!c@1:6', '\\d@1:10']);
test('quotes hold blanks, braces and comments', lexes, '"a b" "#{!}" ""', ['a b@1:1', '#{!}@1:7', '@1:14']);
test('a backslash is nothing special inside quotes', lexes, '"a\\" b', ['a\\@1:1', 'b@1:6']);
test('a quote splits words, as in keepalived', lexes, 'fo"o bar"x', ['fo@1:1', 'o bar@1:3', 'x@1:10']);
test('single quotes are plain characters', lexes, "'a b'", ["'a@1:1", "b'@1:4"]);
test('braces split words', lexes, 'a{b}c', ['a@1:1', '{@1:2', 'b@1:3', '}@1:4', 'c@1:5']);
test('an escaped comment may stand before a brace', lexes, 'a\\#{', ['a#@1:1', '{@1:4']);
test('line ends of other systems are blanks', lexes, 'a\r\nb\r\n', ['a@1:1', 'b@2:1']);
test('an include keeps its braces', lexes, 'include {a,b}*.conf', ['include<{a,b}*.conf>@1:1']);
test('an include may be quoted', lexes, 'include "a b"', ['include<a b>@1:1']);
test('an include may lack its file', lexes, 'include #', ['include<>@1:1']);
test('an include may follow a brace', lexes, 'a { include b }', ['a@1:1', '{@1:3', 'include<b>@1:5', '}@1:15']);
test('include is a word elsewhere', lexes, 'a include b', ['a@1:1', 'include@1:3', 'b@1:11']);
test('a directive behind a brace takes the rest', lexes, 'a { @b c }', ['a@1:1', '{@1:3', '<@b c }>@1:5']);
test('what looks like a directive elsewhere', lexes, '@b ~SEQ(x)', ['@b@1:1', '~SEQ(x)@1:4']);
test('columns count characters, not bytes', lexes, 'é ü', ['é@1:1', 'ü@1:3']);
test('a replacement character may be meant', lexes, '\ufffd', ['\ufffd@1:1']);

test('lex: every line ends', t => t.deepEqual(lexAll('a\n\n#b').tokens, ['a@1:1', '$@1:2', '$@2:1', '$@3:1']));

test('lex: an open quote is an error and ends with its line', t => {
	const {tokens, printed} = lexAll('a "b c\nd');
	t.deepEqual(tokens, ['a@1:1', 'b c@1:3', '$@1:7', 'd@2:1', '$@2:2']);
	t.deepEqual(printed, [`f:1:3: error: quote is not closed: '"b c' (add a '"')`]);
});

test('lex: a line may have 1,024 bytes', t => {
	t.deepEqual(lexAll('x'.repeat(1024)).printed, []);
	const {tokens, printed} = lexAll(`a\n${'x'.repeat(1025)}\nb`);
	t.deepEqual(tokens, ['a@1:1', '$@1:2', 'b@3:1', '$@3:2']);
	t.deepEqual(printed, ['f:2:1025: error: line is longer than 1024 bytes, which keepalived does not take (split it)']);
	t.deepEqual(lexAll(` #${'-'.repeat(2000)}`).printed, [], 'a comment may be longer');
});

test('lex: bytes that are not text are tolerated and named', t => {
	const {tokens, printed} = lexAll(Uint8Array.of(0x61, 0x20, 0xff, 0x0a, 0x62, 0x00));
	t.deepEqual(tokens, ['a@1:1', '\ufffd@1:3', '$@1:4', 'b\0@2:1', '$@2:3']);
	t.deepEqual(printed, [
		'f:1:3: warning: line is not valid UTF-8 (save the file as UTF-8)',
		'f:2:2: warning: line holds a NUL byte (is this a text file?)',
	]);
});
