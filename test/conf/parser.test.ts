import test from 'ava';
import {formatDiagnostic, Report} from '../../src/conf/diagnostics.js';
import {readTokens} from '../../src/conf/language/include.js';
import {Parser, type Statement} from '../../src/conf/language/parser.js';
import {noMachine} from '../../src/conf/machine.js';
import {MemoryFiles} from './memory-files.js';

/** `a(b c){…}` */
function show({keyword, args, block}: Statement): string {
	const words = args.length > 0 ? `(${args.map(({text}) => text).join(' ')})` : '';
	return `${keyword.text}${words}${block === null ? '' : `{${block.statements.map(show).join(' ')}}`}`;
}

const parses = test.macro({
	exec(t, text: string, tree: string, ...complaints: readonly string[]) {
		const report = new Report();
		const statements: Statement[] = [];
		const parser = new Parser(report, statement => statements.push(statement));
		readTokens('f', new MemoryFiles({f: text}), noMachine, report, token => parser.take(token));
		parser.finish();
		t.is(statements.map(show).join(' '), tree);
		t.deepEqual(report.diagnostics().map(formatDiagnostic), complaints);
	},
	title: (given = '') => `parse: ${given}`,
});

test('a line is a statement', parses, 'a b c\nd', 'a(b c) d');
test('all on one line', parses, 'a x { b { c d } e }', 'a(x){b{c(d)} e}');
test('a brace on the next line', parses, 'a x\n{\nb\n}', 'a(x){b}');
test('a brace many lines and comments later', parses, 'a\n\n# b\n{}', 'a{}');
test('a brace without a blank', parses, 'a{b{c}d}', 'a{b{c} d}');
test('a brace as a quoted word', parses, 'a "{" b', 'a({ b)');
test('a statement behind a closing brace', parses, 'a{} b', 'a{} b');
test('an empty file', parses, '', '');
test(
	'a brace that is never closed',
	parses,
	'a {\nb {\n}',
	'a{b{}}',
	`f:1:3: error: '{' is never closed (add the missing '}')`,
);
test(
	'two braces that are never closed',
	parses,
	'a { b {',
	'a{b{}}',
	`f:1:3: error: '{' is never closed (add the missing '}')`,
	`f:1:7: error: '{' is never closed (add the missing '}')`,
);
test(
	'a brace that closes nothing',
	parses,
	'a { }\n }\nb',
	'a{} b',
	`f:2:2: error: '}' closes nothing (remove it, or find the block it should close)`,
);
test(
	'a block without a keyword is skipped whole',
	parses,
	'a {\n { b { c } d }\n e }',
	'a{e}',
	`f:2:2: error: '{' belongs to no keyword (remove the block)`,
);
test('a second block', parses, 'a { } { b }', 'a{}', `f:1:7: error: '{' belongs to no keyword (remove the block)`);
test(
	'blocks nested too deep are skipped',
	parses,
	`${'a{'.repeat(20)}${'}'.repeat(20)} b`,
	`${'a{'.repeat(16)}a${'}'.repeat(16)} b`,
	'f:1:34: error: blocks are nested deeper than 16',
);

test('parse: a configuration cannot ask for any amount of memory', t => {
	const report = new Report();
	let taken = 0;
	const f = '{}{}{}{}{}{}{}{}\n'.repeat(180_000);
	readTokens('f', new MemoryFiles({f}), noMachine, report, () => taken++);
	t.is(taken, 3_000_000);
	t.deepEqual(report.diagnostics().map(formatDiagnostic), [
		'f:176471:11: error: there are more than 3000000 words and braces',
	]);
});
