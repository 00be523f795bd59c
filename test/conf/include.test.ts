import test from 'ava';
import {exitCodeOf, formatDiagnostic} from '../../src/conf/diagnostics.js';
import {readConfig} from '../../src/conf/read.js';
import {ExitCode} from '../../src/errors.js';
import {MemoryFiles} from './memory-files.js';
import {sound} from './reading.js';

function readMain(files: MemoryFiles): {
	readonly services: readonly string[] | null;
	readonly printed: readonly string[];
} {
	const {config, diagnostics} = readConfig('etc/lb.conf', files);
	return {services: config?.services.map(({name}) => name) ?? null, printed: diagnostics.map(formatDiagnostic)};
}

const backend = 'real_server 10.0.0.9 80 { }\n';

test('include: a file stands where its name stands, relative to the including file', t => {
	const {config, diagnostics} = readConfig(
		'etc/lb.conf',
		new MemoryFiles({
			'etc/lb.conf': sound({service: 'include conf.d/*.conf'}),
			'etc/conf.d/b.conf': backend,
			'etc/conf.d/a.conf': 'include ../more/c.conf',
			'etc/more/c.conf': backend.replace('.9', '.8'),
		}),
	);
	t.deepEqual(diagnostics, []);
	const backends = config?.services[0]?.backends.map(({name, place}) => `${name} ${place.file}`);
	t.deepEqual(backends, ['10.0.0.8:80 etc/more/c.conf', '10.0.0.9:80 etc/conf.d/b.conf', '10.0.0.71:80 etc/lb.conf']);
});

test('include: every spelling', t => {
	for (const spelling of ['include', 'includer', 'includem', 'includew', 'includeb', 'includea']) {
		const files = new MemoryFiles({'etc/lb.conf': sound({service: `${spelling} a`}), 'etc/a': 'quorum 1'});
		t.deepEqual(readMain(files).printed, [], spelling);
	}
});

test('include: a complaint names the included file', t => {
	const files = new MemoryFiles({'etc/lb.conf': 'include a', 'etc/a': '\n  oops'});
	t.deepEqual(readMain(files).printed, [`etc/a:2:3: error: unknown keyword 'oops' in the file`]);
});

const complains = test.macro({
	exec(t, contents: Record<string, string>, ...expected: readonly string[]) {
		const {services, printed} = readMain(
			new MemoryFiles(contents, {'etc/secret': 'unreadable', 'etc/dir': 'not-regular'}),
		);
		t.deepEqual(printed, expected);
		t.is(services, null);
	},
	title: (given = '') => `include: ${given}`,
});

test(
	'a missing file',
	complains,
	{'etc/lb.conf': ' include none.conf'},
	`etc/lb.conf:1:10: error: included file 'etc/none.conf' does not exist`,
);
test(
	'a file that cannot be read',
	complains,
	{'etc/lb.conf': 'include secret'},
	`etc/lb.conf:1:9: error: included file 'etc/secret' cannot be read`,
);
test(
	'a directory',
	complains,
	{'etc/lb.conf': 'include dir'},
	`etc/lb.conf:1:9: error: included file 'etc/dir' is not a regular file, or is executable`,
);
test('no file', complains, {'etc/lb.conf': 'include'}, 'etc/lb.conf:1:1: error: include names no file');
test(
	'a cycle',
	complains,
	{'etc/lb.conf': 'include a', 'etc/a': '\ninclude lb.conf'},
	`etc/a:2:9: error: 'etc/lb.conf' includes itself (etc/lb.conf → etc/a → etc/lb.conf)`,
);
test(
	'too many alternatives',
	complains,
	{'etc/lb.conf': `include ${'{a,b}'.repeat(9)}`},
	`etc/lb.conf:1:9: error: '${'{a,b}'.repeat(9)}' matches too many files`,
);
test(
	'nesting without end',
	complains,
	Object.fromEntries([
		['etc/lb.conf', 'include 1'],
		...Array.from({length: 20}, (_, index) => [`etc/${index}`, `include ${index + 1}`]),
	]),
	'etc/15:1:9: error: includes are nested deeper than 16',
);

test('include: a pattern that matches nothing is a warning', t => {
	const files = new MemoryFiles({'etc/lb.conf': sound({top: 'include conf.d/*.conf'})});
	const {services, printed} = readMain(files);
	t.deepEqual(printed, [`etc/lb.conf:24:9: warning: no file matches 'conf.d/*.conf'`]);
	t.deepEqual(services, ['192.168.1.1:80']);
});

test('include: a pattern passes over what is not a file', t => {
	const files = new MemoryFiles({'etc/lb.conf': sound({top: 'include d*'})}, {'etc/dir': 'not-regular'});
	t.deepEqual(readMain(files).printed, []);
});

test('include: files multiply up to a limit only', t => {
	// Two includes a level, twelve levels: 2^12 files if nobody counted.
	const contents = Object.fromEntries(
		Array.from({length: 12}, (_, level) => [`etc/${level}`, `include ${level + 1}\n`.repeat(2)]),
	);
	const files = new MemoryFiles({...contents, 'etc/lb.conf': 'include 0', 'etc/12': ''});
	const {printed} = readMain(files);
	t.regex(printed[0] ?? '', /more than 1000 files are included$/);
	t.true(printed.length <= 1001);
});

for (const [reason, says, exitCode] of [
	['missing', 'does not exist', ExitCode.noConfiguration],
	['unreadable', 'cannot be read', ExitCode.permission],
	['not-regular', 'is not a regular file, or is executable', ExitCode.noConfiguration],
	['too-large', 'is larger than 16777216 bytes', ExitCode.noConfiguration],
] as const) {
	test(`read: a main file that ${says}`, t => {
		const {config, diagnostics} = readConfig('lb.conf', new MemoryFiles({}, {'lb.conf': reason}));
		t.is(config, null);
		t.deepEqual(diagnostics.map(formatDiagnostic), [
			`lb.conf:1:1: error: configuration file ${says} (name another with -f FILE)`,
		]);
		t.is(exitCodeOf(diagnostics), exitCode);
	});
}
