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

/** Of the samples with several addresses, marks or IPv6: what is refused, beside what the program does not do yet. */
const refused: Readonly<Record<string, readonly string[]>> = {
	'keepalived.conf.IPv6': ['24:9: SMTP_CHECK'],
	'keepalived.conf.fwmark': ['7:16: virtual_server fwmark'],
	'keepalived.conf.quorum': [],
	'keepalived.conf.track_interface': ['17:5: track_interface'],
	'keepalived.conf.vrrp.routes': [],
	// keepalived leaves these two out with a complaint.
	'keepalived.conf.vrrp.rules': [
		`11:8: static_rules '192.168.100./24' is not an IP address`,
		`26:12: virtual_rules '192.168.200./24' is not an IP address`,
	],
	'keepalived.conf.vrrp.static_ipaddress': [],
	'keepalived.conf.virtual_server_group': [
		'18:2: virtual_server_group fwmark',
		'19:2: virtual_server_group fwmark',
		'31:9: HTTP_GET',
		'44:9: HTTP_GET',
	],
};

for (const path of paths.filter(path => basename(path) in refused)) {
	test(`${basename(path)} is understood but for what we state`, t => {
		const {diagnostics} = readConfig('sample', new MemoryFiles({sample: readFileSync(path)}));
		const errors = diagnostics.filter(({severity}) => severity === 'error');
		t.deepEqual(
			errors.map(({place, text}) => `${place.line}:${place.column}: ${text.replace(/ is not supported: .*/, '')}`),
			refused[basename(path)],
		);
	});
}

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
