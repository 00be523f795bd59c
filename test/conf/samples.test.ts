import {existsSync, readdirSync, readFileSync} from 'node:fs';
import {basename, join} from 'node:path';
import {gunzipSync} from 'node:zlib';
import test from 'ava';
import {formatDiagnostic} from '../../src/conf/diagnostics.js';
import {readConfig} from '../../src/conf/read.js';
import {MemoryFiles} from './memory-files.js';

/** Debian's keepalived package brings them; they are keepalived's, so they are not kept here. */
const SAMPLES = '/usr/share/doc/keepalived/samples';

const paths = existsSync(SAMPLES)
	? readdirSync(SAMPLES)
			.filter(name => name.startsWith('keepalived.conf'))
			.map(name => join(SAMPLES, name))
	: [];

if (paths.length === 0)
	test.skip(`sample configurations: ${SAMPLES} is not there (apt-get install keepalived)`, () => {});

for (const path of paths) {
	test(`${basename(path)} is read to its end`, t => {
		const content = readFileSync(path);
		const text = path.endsWith('.gz') ? gunzipSync(content) : content;
		const {config, diagnostics} = readConfig('sample', new MemoryFiles({sample: text}));
		t.is(
			config === null,
			diagnostics.some(({severity}) => severity === 'error'),
		);
		const syntax = diagnostics.filter(({code}) => code.includes('brace') || code.includes('quote'));
		t.deepEqual(syntax.map(formatDiagnostic), [], 'keepalived finds the braces in order');
	});
}
