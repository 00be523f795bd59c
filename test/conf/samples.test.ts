/**
 * The sample configurations of Debian's keepalived package. They are keepalived's, so they are not kept here; what we make
 * of each is, in golden/. `UPDATE_GOLDEN=1 npx ava build/test/conf/samples.test.js` writes that anew, to be read as a diff.
 */
import {existsSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {type Diagnostic, formatDiagnostic} from '../../src/conf/diagnostics.js';
import type {Config} from '../../src/conf/model.js';
import {readConfig} from '../../src/conf/read.js';
import {MemoryFiles} from './memory-files.js';

const SAMPLES = '/usr/share/doc/keepalived/samples';
const PREFIX = 'keepalived.conf.';
const GOLDEN = new URL('../../../test/conf/golden/', import.meta.url);

/** Lines that `keepalived -t` of 2.2.7 complains of, and the line at which we do, or why we do not. Every interface exists. */
const complaints: Readonly<Record<string, Readonly<Record<number, number | string>>>> = {
	'HTTP_GET.port': {},
	IPv6: {},
	PING_CHECK: {},
	SMTP_CHECK: {},
	// It has no line for it: "Initial state master is incompatible with AH authentication".
	SSL_GET: {20: 20},
	UDP_CHECK: {},
	// Without -i the script has no body, which shows at its end; we show its beginning.
	conditional_conf: {13: 6, 25: 'the script that it names is there, and what is wrong with it has been said'},
	// It has no line for it: "protocol specified for fwmark"; we do not take marks at all.
	fwmark: {7: 7},
	inhibit: {},
	misc_check: {},
	misc_check_arg: {},
	quorum: {},
	sample: {},
	status_code: {},
	track_interface: {31: 'a route without an interface is no mistake; keepalived says that it will not watch it'},
	virtual_server_group: {},
	virtualhost: {},
	vrrp: {},
	// It has no line for it, and an exit code of its own: scripts run as root without enable_script_security.
	'vrrp.localcheck': {},
	'vrrp.lvs_syncd': {4: 4, 5: 5, 11: 11},
	'vrrp.routes': {
		29: 'a route without an interface is no mistake',
		30: 'a deprecated spelling is no mistake',
		31: 'a route without an interface is no mistake',
		32: 'a deprecated spelling is no mistake',
	},
	'vrrp.rules': {10: 10, 11: 11, 25: 25, 26: 26},
	'vrrp.scripts': {},
	'vrrp.static_ipaddress': {25: 'a route without an interface is no mistake'},
	'vrrp.sync': {},
};

/** JSON in which what fits into a line, or has no parts of its own, is in one. */
function show(value: unknown, indent = ''): string {
	if (typeof value !== 'object' || value === null) return JSON.stringify(value);
	const line = JSON.stringify(value)
		.replaceAll(/"(\w+)":/g, '$1: ')
		.replaceAll(',', ', ');
	const isFlat = Object.values(value).every(one => typeof one !== 'object' || one === null);
	if (isFlat || indent.length + line.length <= 160) return line;
	const inner = `${indent}  `;
	const parts = Array.isArray(value)
		? value.map(one => show(one, inner))
		: Object.entries(value).map(([name, one]) => `${name}: ${show(one, inner)}`);
	const [open, close] = Array.isArray(value) ? '[]' : '{}';
	return `${open}\n${parts.map(part => `${inner}${part}\n`).join('')}${indent}${close}`;
}

function withoutPlaces(config: Config | null): unknown {
	return JSON.parse(JSON.stringify(config, (key, value) => (key === 'place' ? undefined : value)));
}

function read(name: string): {config: Config | null; diagnostics: readonly Diagnostic[]} {
	const content = readFileSync(join(SAMPLES, PREFIX + name));
	return readConfig(name, new MemoryFiles({[name]: content}));
}

if (!existsSync(SAMPLES)) {
	test.skip(`sample configurations: ${SAMPLES} is not there (apt-get install keepalived)`, () => {});
} else {
	test('the samples are those that we know', t => {
		const names = readdirSync(SAMPLES).filter(name => name.startsWith(PREFIX));
		t.deepEqual(names.map(name => name.slice(PREFIX.length)).sort(), Object.keys(complaints).sort());
	});

	for (const [name, lines] of Object.entries(complaints)) {
		test(`sample ${name}: what we make of it`, t => {
			const {config, diagnostics} = read(name);
			const made = `${diagnostics.map(formatDiagnostic).join('\n')}\n\n${show(withoutPlaces(config))}\n`;
			const golden = new URL(`${name}.txt`, GOLDEN);
			if (process.env.UPDATE_GOLDEN !== undefined) writeFileSync(golden, made);
			t.is(made, readFileSync(golden, 'utf8'));
		});

		test(`sample ${name}: what keepalived complains of, we do, or say why not`, t => {
			const ours = new Set(read(name).diagnostics.map(({place}) => place.line));
			const silent = Object.values(lines).filter(at => typeof at === 'number' && !ours.has(at));
			t.deepEqual(silent, []);
		});
	}
}
