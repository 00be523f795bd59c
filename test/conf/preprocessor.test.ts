// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the language writes its definitions so
import {spawnSync} from 'node:child_process';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import test from 'ava';
import {formatDiagnostic, Report} from '../../src/conf/diagnostics.js';
import {readTokens} from '../../src/conf/language/include.js';
import {defaultConfigId, type Machine} from '../../src/conf/machine.js';
import {MemoryFiles} from './memory-files.js';

const machine: Machine = {
	configId: 'main',
	directory: '/etc/lb',
	variable: name => (name === 'PLACE' ? 'cellar' : undefined),
};

/** The words and braces of each line, and the complaints. */
function expand(text: string, others: Readonly<Record<string, string>> = {}): {lines: string[]; printed: string[]} {
	const report = new Report();
	const lines: string[][] = [[]];
	readTokens('f', new MemoryFiles({...others, f: text}), machine, report, token => {
		if (token.kind === 'end') lines.push([]);
		else lines.at(-1)?.push(token.kind === 'word' ? token.word.text : token.kind === 'open' ? '{' : '}');
	});
	return {
		lines: lines.filter(words => words.length > 0).map(words => words.join(' ')),
		printed: report.diagnostics().map(formatDiagnostic),
	};
}

/** `text` becomes `lines`, and nothing is said; keepalived must find the same keywords. */
const cases: readonly (readonly [what: string, text: string, ...lines: string[]])[] = [
	['a definition', '$A=x\nk1_$A\nk2_${A}y z', 'k1_x', 'k2_xy z'],
	['a definition with blanks and a comment', '$A= x  y # z\nk $A', 'k x y'],
	['a definition with quotes', '$A="x #y" z\nk $A', 'k x #y z'],
	['an empty definition', '$A=\n$A k1\nk2_${A}x', 'k1', 'k2_x'],
	['what a definition refers to is looked up late', '$A=1$B\n$B=2\nk$A\n$B=3\nk$A', 'k12', 'k13'],
	['the last definition holds', '$A=1\nk$A\n$A=2\nk$A', 'k1', 'k2'],
	['a name in quotes', '$A=x\nk "${A}" "$A y"', 'k x x y'],
	['a script may have variables of its own', 'k "echo ${X} $Y"', 'k echo ${X} $Y'],
	['a name before a comma or a parenthesis', '$A=x\nk_$A,y ($A)', 'k_x,y (x)'],
	['what a dollar begins else', 'k$ 5$ $5', 'k$ 5$ $5'],
	['braces in a definition', '$A=k1 { k2\n$A\n}', 'k1 { k2', '}'],
	['a definition of several lines', '$A= \\\n k1 x \\\n  k2 \\\n k3\nk0\n$A\nk4', 'k0', 'k1 x', 'k2', 'k3', 'k4'],
	['a definition that goes on at once', '$A=k1 \\\n k2\n$A', 'k1', 'k2'],
	['something before several lines', '$A= \\\n k1 \\\n k2\nx $A', 'x k1', 'k2'],
	['comments in several lines', '$A= \\\n k1 \\ # c\n  # d\n k2\n$A', 'k1', 'k2'],
	['an empty line ends several lines', '$A= \\\n k1 \\\n\nk2\n$A', 'k2', 'k1'],
	[
		'several lines with definitions and conditions in them',
		'$B= \\\n k2_${N} \\\n k3\n$A= \\\n $N=5 \\\n @main k1 \\\n @other k9 \\\n $B \\\n k4_${N}\n$A',
		'k1',
		'k2_5',
		'k3',
		'k4_5',
	],
	['a condition', '@main k1\n@other k2\n@^other k3 x\n@^main k4\n  @main  k5\n@main\n@', 'k1', 'k3 x', 'k5'],
	['a condition behind a brace', 'vrrp_instance { @main priority 5\n}', 'vrrp_instance { priority 5', '}'],
	['a definition in a condition', '@main $A=1\n@other $A=2\nk$A', 'k1'],
	['a sequence', '~SEQ(I,1,3) k$I', 'k1', 'k2', 'k3'],
	['a sequence to a number', '~SEQ(I,2) k$I', 'k1', 'k2'],
	['a sequence to a negative number', '~SEQ(I,-2) k$I', 'k-1', 'k-2'],
	['a sequence down', '~SEQ(I, 3, 1) k$I', 'k3', 'k2', 'k1'],
	['a sequence with steps', '~SEQ(I,1,2,6) k$I', 'k1', 'k3', 'k5'],
	['a sequence in hexadecimal', '~SEQx(I,9,0xb) k$I', 'k9', 'ka', 'kb'],
	['a sequence with octal numbers', '~SEQ(I,07,010) k$I', 'k7', 'k8'],
	['a sequence without blanks', '~SEQ(I,1,2)k$I', 'k1', 'k2'],
	['a sequence with blanks', '~SEQ ( I , 1 , 2 ) k$I', 'k1', 'k2'],
	['sequences in one another', '~SEQ(I,1,2) ~SEQ(J,1,2) k${I}$J', 'k11', 'k12', 'k21', 'k22'],
	['a sequence of several lines', '$A= \\\n k${I} \\\n l${I}\n~SEQ(I,1,2) $A', 'k1', 'l1', 'k2', 'l2'],
	['a sequence in a definition', '$S=~SEQ(I,1,2)\n$S k$I', 'k1', 'k2'],
	['a list', '~LST(I, x, y) k$I', 'kx', 'ky'],
	['a list with empty values', '~LST(I,x,,y) k_$I', 'k_x', 'k_', 'k_y'],
	['a list of several variables', '~LST({I, J},{a,b}, {c , d}) k${I}_$J', 'ka_b', 'kc_d'],
	['a list and a sequence', '~LST(I,a,b) ~SEQ(J,1,2) k${I}$J', 'ka1', 'ka2', 'kb1', 'kb2'],
	['_INSTANCE', 'k_${_INSTANCE} k_$_INSTANCE', 'k_main k_main'],
	['a predefined name can be taken', '$_PWD=x\nk$_PWD', 'kx'],
];

for (const [what, text, ...lines] of cases) {
	test(`${what}: ${text.replaceAll('\n', ' ⏎ ')}`, t => t.deepEqual(expand(text), {lines, printed: []}));
}

/** Where ours differs from keepalived 2.2.7. */
const kinder: typeof cases = [
	// keepalived takes a value in the parentheses for a malformed number.
	['a definition in the numbers of a sequence', '$N=2\n~SEQ(I,${N}) k$I', 'k1', 'k2'],
	// keepalived lets the character begin a comment.
	['_HASH and _BANG', 'k1_${_HASH}x "${_HASH}${_BANG}" l', 'k1_#x #! l'],
	['an escaped comment in a definition', '$A=x\\#y\nk_$A', 'k_x#y'],
	// keepalived drops the first line only.
	['a definition of several lines in a condition that does not hold', '@other $A= \\\n k1 \\\n k2\nk3', 'k3'],
	// As keepalived's manual has it; 2.2.7 takes what is put in for a keyword.
	['a condition in a definition', '$M=@main\n$O=@other\n$M k1\n$O k2', 'k1'],
	// New in later versions.
	['_ENV', 'k_${_ENV PLACE}', 'k_cellar'],
	// Its own directory, not the one that keepalived was started in.
	['_PWD', 'k ${_PWD}/x', 'k /etc/lb/x'],
];

for (const [what, text, ...lines] of kinder) {
	test(`kinder than keepalived: ${what}`, t => t.deepEqual(expand(text), {lines, printed: []}));
}

test('random numbers are in their range, differ, and are the same at every reading', t => {
	const text = '~SEQ(I,1,200) ${_RANDOM 3 6} ${_RANDOM} ${_RANDOM 100}';
	const {lines, printed} = expand(text);
	const numbers = lines.map(line => line.split(' ').map(Number));
	t.deepEqual(printed, []);
	t.deepEqual([...new Set(numbers.map(([one]) => one))].sort(), [3, 4, 5, 6]);
	t.true(numbers.every(([, two = -1, three = -1]) => two >= 0 && two <= 32_767 && three >= 100 && three <= 32_767));
	t.true(new Set(numbers.map(([, two]) => two)).size > 150);
	t.deepEqual(expand(text).lines, lines);
});

test('a definition of an included file holds behind it, and _PWD is that of each file', t => {
	const {lines, printed} = expand('$D=sub\ninclude ${D}/*.conf\nk $A', {'sub/a.conf': '$A=1\nl ${_PWD}'});
	t.deepEqual(lines, ['l /etc/lb/sub', 'k 1']);
	t.deepEqual(printed, []);
});

test('the ID of a machine is its name without the domain', t => {
	t.is(defaultConfigId('lb1.example.com'), 'lb1');
	t.is(defaultConfigId('lb1'), 'lb1');
});

test('what is replaced is complained of where it is used, and says where it is defined', t => {
	const report = new Report();
	const text = '$A=x\n$B= \\\n k1 ${A}y \\\n {\n  z $B';
	const places: string[] = [];
	readTokens('f', new MemoryFiles({f: text}), machine, report, token => {
		const {text, place} = token.kind === 'word' ? token.word : {text: token.kind, place: token.place};
		places.push(formatDiagnostic({severity: 'error', code: 'missing', place, text, wayOut: ''}));
	});
	t.deepEqual(places, [
		'f:5:3: error: z',
		'f:5:5: error: k1, in $B at f:3:2',
		'f:5:5: error: xy, in $A at f:1:4',
		'f:5:5: error: end, in $B at f:3:10',
		'f:5:5: error: open, in $B at f:4:2',
		'f:5:5: error: end, in $B at f:4:3',
	]);
});

const complaints: readonly (readonly [text: string, ...printed: string[]])[] = [
	['k ${X}', `f:1:3: error: \${X} is not defined (define it above with '$X=…', or quote it)`],
	['$XY1=1\nk ${XY2}', `f:2:3: error: \${XY2} is not defined (did you mean 'XY1'?)`],
	[
		'k $ecret',
		`f:1:3: warning: $ecret is not defined and stays as it is (define it above with '$ecret=…', or quote it)`,
	],
	['$A=1\nk $A.5', `f:2:3: warning: '$A.' is left as it is (write '\${A}')`],
	['$A=$A\nk $A', `f:2:3: error: $A stands for itself, in $A at f:1:4 (remove it from its definition)`],
	['$A=${B}\n$B=x${A}\nk $A', `f:3:3: error: $A stands for itself, in $B at f:2:5 (remove it from its definition)`],
	['$A= \\\n k \\\n $A\n$A', `f:4:1: error: $A stands for itself, in $A at f:3:2 (remove it from its definition)`],
	['$A= \\\n k \\\n l\n$A x', `f:4:1: error: $A stands for several lines (nothing may follow its name in the line)`],
	[
		'~SEQ(I,1,0,3) k',
		`f:1:1: error: ~SEQ never gets from its start to its end (write '~SEQ(NAME, START, STEP, END) …')`,
	],
	[
		'~SEQ(I,3,1,1) k',
		`f:1:1: error: ~SEQ never gets from its start to its end (write '~SEQ(NAME, START, STEP, END) …')`,
	],
	['~SEQ(I,1', `f:1:1: error: ~SEQ has no parentheses (write '~SEQ(NAME, START, STEP, END) …')`],
	['~SEQ', `f:1:1: error: ~SEQ has no parentheses (write '~SEQ(NAME, START, STEP, END) …')`],
	['~SEQ(1,2) k', `f:1:1: error: ~SEQ names no variable (write '~SEQ(NAME, START, STEP, END) …')`],
	['~SEQ(I) k', `f:1:1: error: ~SEQ needs one to three numbers (write '~SEQ(NAME, START, STEP, END) …')`],
	['~SEQ(I,x) k', `f:1:1: error: ~SEQ has something that is not a number (write '~SEQ(NAME, START, STEP, END) …')`],
	[
		'~SEQx(I,-1) k',
		`f:1:1: error: ~SEQx has negative numbers, which are not written in hexadecimal (write '~SEQx(NAME, START, STEP, END) …')`,
	],
	['~LST(I) k', `f:1:1: error: ~LST has no values (write '~LST(NAME, VALUE, …) …')`],
	['~LST({I,J},{1}) k', `f:1:1: error: ~LST has not 2 values in each round (write '~LST(NAME, VALUE, …) …')`],
	['~LST(,x) k', `f:1:1: error: ~LST names no variable (write '~LST(NAME, VALUE, …) …')`],
	['$S=~SEQ(I,1,2) $S\n$S', 'f:2:1: error: definitions and sequences are nested deeper than 64, in $S at f:1:4'],
	['~SEQ(I,1,9999999999) @other k', 'f:1:22: error: definitions and sequences make more than 200000 lines'],
	['~SEQ(I,1,9999) ~SEQ(J,1,9999)', 'f:1:16: error: definitions and sequences make more than 200000 lines'],
	[
		`$A0=\n${Array.from({length: 40}, (_, i) => `$A${i + 1}=\${A${i}}\${A${i}}\n`).join('')}k \${A40}`,
		'f:42:3: error: definitions and sequences make more than 200000 lines, in $A2 at f:3:5',
	],
	[
		`$A0=xx\n${Array.from({length: 9}, (_, i) => `$A${i + 1}=\${A${i}}\${A${i}}\n`).join('')}k \${A9}`,
		'f:11:1: error: line is longer than 1024 bytes, which keepalived does not take (split it)',
	],
];

for (const [text, ...printed] of complaints) {
	const title = text.length > 60 ? `${text.slice(0, 60)}…` : text;
	test(`complains of ${title.replaceAll('\n', ' ⏎ ')}`, t => {
		// Behind an error of limits, nothing is read.
		t.deepEqual(expand(text).printed, printed);
	});
}

const keepalived = spawnSync('keepalived', ['--version']);

/** The keywords that keepalived, which knows none of them, complains of. */
function keywordsOfKeepalived(text: string): string[] {
	const directory = mkdtempSync(join(tmpdir(), 'preprocessor-'));
	try {
		writeFileSync(join(directory, 'f'), `${text}\n`);
		const {stderr} = spawnSync('keepalived', ['-t', '-i', 'main', '-f', 'f'], {cwd: directory, encoding: 'utf8'});
		// Each of its processes reads the file; only the first calls it nothing.
		return [...stderr.matchAll(/^\(Line \d+\) Unknown keyword '(.*)'$/gm)].map(([, keyword = '']) => keyword);
	} finally {
		rmSync(directory, {recursive: true});
	}
}

if (keepalived.status !== 0) {
	test.skip('keepalived reads the same keywords: it is not installed (apt-get install keepalived)', () => {});
} else {
	for (const [what, text, ...lines] of cases.filter(([, text]) => !text.includes('vrrp_instance'))) {
		test(`keepalived reads the same keywords: ${what}`, t => {
			const ours = lines.flatMap(line => line.split(' { ')).map(line => line.split(' ')[0] ?? '');
			t.deepEqual(keywordsOfKeepalived(text), ours);
		});
	}
}
