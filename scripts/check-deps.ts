/**
 * `node build/scripts/check-deps.js`: who may import whom in src/ (docs/architecture.md tells why), and which outside
 * things are kept at the rim. Prints every violation as `file:line: …` and exits 1 if there is one.
 */
import {readdirSync, readFileSync} from 'node:fs';
import {join, posix} from 'node:path';
import {fileURLToPath} from 'node:url';

/** What the daemon's wiring passes values between. */
const features = [
	'net',
	'conf',
	'host/host',
	'xdp',
	'vrrp',
	'track',
	'check',
	'reach',
	'plan',
	'control',
	'metrics',
	'notify',
	'sync',
];

/** Row and entries are paths below src/ without extension, a folder stands for all in it; the longest row that fits a file applies. */
const law: Readonly<Record<string, readonly string[]>> = {
	errors: [],
	log: [],
	version: [],
	orders: [],
	net: [],
	conf: ['net'],
	host: ['net', 'conf/model'],
	'host/real': [
		'net',
		'host/host',
		'conf/files',
		'conf/machine',
		'conf/model',
		'control/lines',
		'control/private-socket',
	],
	xdp: ['net', 'host/host'],
	vrrp: ['net', 'conf/model', 'host/host'],
	'vrrp/main': ['net', 'conf/model', 'host/host', 'host/real', 'vrrp', 'xdp/leases'],
	track: ['conf/model', 'host/host'],
	check: ['net', 'conf/model', 'conf/words', 'host/host'],
	notify: ['conf/model', 'conf/words', 'host/host'],
	reach: ['net', 'host/host'],
	sync: ['net', 'conf/model', 'host/host', 'xdp/sharing'],
	'sync/main': ['net', 'conf/model', 'host/host', 'host/real', 'sync', 'xdp'],
	plan: ['net', 'conf/model', 'xdp/layout.gen', 'xdp/tables'],
	control: ['host/host'],
	metrics: ['host/host'],
	bench: ['net', 'conf/model', 'host/host', 'plan', 'xdp'],
	cli: ['bench', 'net', 'conf', 'host/host', 'host/real', 'xdp', 'control/client', 'control/lock', 'control/protocol'],
	reconcile: features,
	report: features,
	preview: [...features, 'reconcile'],
	drift: ['host/host', 'reconcile'],
	undo: [],
	daemon: [...features, 'drift', 'preview', 'reconcile', 'report', 'undo'],
	main: ['conf', 'daemon', 'host/real', 'orders'],
};

/** Vocabulary that everybody shares. */
const common = ['errors', 'log', 'version', 'conf/diagnostics'];

interface Boundary {
	/** What the source may not contain outside `allowedIn`; comments are removed first. */
	readonly pattern: RegExp;
	readonly allowedIn: readonly string[];
	readonly because: string;
}

const rim = ['host/real', 'cli', 'main'];
const boundaries: readonly Boundary[] = [
	{pattern: /\bnew Date\b|\bDate\.now\b/g, allowedIn: rim, because: 'time comes from the host clock'},
	{
		pattern: /\bset(?:Timeout|Interval)\b|['"]node:timers(?:\/promises)?['"]/g,
		allowedIn: [...rim, 'bench'],
		because: 'timers come from the host clock',
	},
	{pattern: /\bMath\.random\b/g, allowedIn: rim, because: 'decisions must be repeatable'},
	{pattern: /\bprocess\.env\b/g, allowedIn: rim, because: 'settings come from the configuration'},
	{
		pattern: /['"]node:(?:net|https?|tls)['"]/g,
		allowedIn: ['check', 'control', 'metrics', 'cli', 'host/real'],
		because: 'only these talk to the network by themselves',
	},
	{pattern: /['"]libbpf-ts['"]/g, allowedIn: ['bench', 'host/real', 'xdp'], because: 'the kernel is behind these'},
	{pattern: /['"]commander['"]/g, allowedIn: ['cli'], because: 'only lbctl has subcommands'},
	{pattern: /['"]dns-packet['"]/g, allowedIn: ['check'], because: 'only DNS_CHECK speaks DNS'},
	{pattern: /['"]prom-client['"]/g, allowedIn: ['metrics'], because: 'counters are values elsewhere'},
	{pattern: /['"]nodemailer['"]/g, allowedIn: ['host/real'], because: 'others know the Mailer interface'},
	{pattern: /['"]pino['"]/g, allowedIn: ['host/real'], because: 'others know the Log interface'},
];

const IMPORT = /\b(?:from|import)\s*\(?\s*['"](\.[^'"]*)['"]/g;

function covers(entry: string, path: string): boolean {
	return path === entry || path.startsWith(`${entry}/`);
}

function lineOf(source: string, index: number): number {
	return source.slice(0, index).split('\n').length;
}

/** Comments become blanks, so that places stay the same. */
function withoutComments(source: string): string {
	return source.replace(/\/\*[\s\S]*?\*\/|(?<![:'"])\/\/.*/g, comment => comment.replace(/[^\n]/g, ' '));
}

/** The violations in one file of src/, `path` relative to it. */
export function violations(path: string, source: string): string[] {
	const code = withoutComments(source);
	const from = path.replace(/\.ts$/, '');
	const row = Object.keys(law)
		.filter(entry => covers(entry, from))
		.sort((a, b) => b.length - a.length)[0];
	if (row === undefined) return [`src/${path}:1: no row in the import law (add one to scripts/check-deps.ts)`];
	const allowed = [row, ...(law[row] ?? []), ...common];
	const imports = [...code.matchAll(IMPORT)].flatMap(match => {
		const target = posix.join(posix.dirname(from), (match[1] ?? '').replace(/\.js$/, ''));
		// A path that leaves src/ is package.json and the like: a plain file, no module.
		if (target.startsWith('..') || allowed.some(entry => covers(entry, target))) return [];
		return [`src/${path}:${lineOf(code, match.index)}: imports ${target}; ${row} may import ${allowed.join(', ')}`];
	});
	const outside = boundaries
		.filter(boundary => !boundary.allowedIn.some(entry => covers(entry, from)))
		.flatMap(({pattern, allowedIn, because}) =>
			[...code.matchAll(pattern)].map(
				match =>
					`src/${path}:${lineOf(code, match.index)}: ${match[0]} is for ${allowedIn.join(', ')} only: ${because}`,
			),
		);
	return [...imports, ...outside];
}

function main(): void {
	const root = fileURLToPath(new URL('../../src/', import.meta.url));
	const files = readdirSync(root, {recursive: true, encoding: 'utf8'}).filter(file => file.endsWith('.ts'));
	const found = files.flatMap(file => violations(file, readFileSync(join(root, file), 'utf8')));
	for (const violation of found) console.error(violation);
	if (found.length > 0) process.exitCode = 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
