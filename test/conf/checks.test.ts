import test from 'ava';
import type {Check} from '../../src/conf/model.js';
import {configOf, read, sound} from './reading.js';

/** The checks that the lines in a `real_server 10.0.0.71 80` make, but for where they stand. */
function checksOf(backend: string, service = ''): readonly Omit<Check, 'place'>[] {
	const text = sound({backend, service}).replace(/TCP_CHECK \{\n\n\}\n(?=\}\n\}\n\n$)/, '');
	const checks = configOf(text).services[0]?.backends[0]?.checks ?? [];
	return checks.map(({place, ...check}) => check);
}

/** What keepalived's defaults are, of a check with an own rhythm of `retry` and `delayBeforeRetryUs`. */
const rhythm = {
	delayLoopUs: 60_000_000,
	retry: 1,
	delayBeforeRetryUs: 1_000_000,
	warmupUs: 60_000_000,
	logAllFailures: false,
};
const target = {
	connectAddress: '10.0.0.71',
	connectPort: 80,
	bindAddress: null,
	bindPort: 0,
	connectTimeoutUs: 5_000_000,
};

test('TCP_CHECK', t => {
	t.deepEqual(checksOf('TCP_CHECK {\n}'), [{kind: 'tcp', ...rhythm, ...target}]);
	const all = `connect_ip 10.9.9.9\nconnect_port 81\nbindto 10.0.0.10\nbind_port 4711\nconnect_timeout 0.5
		delay_loop 6\nretry 3\ndelay_before_retry 2\nwarmup 4\nalpha\nlog_all_failures`;
	t.deepEqual(checksOf(`TCP_CHECK {\n${all}\n}`), [
		{
			kind: 'tcp',
			connectAddress: '10.9.9.9',
			connectPort: 81,
			bindAddress: '10.0.0.10',
			bindPort: 4711,
			connectTimeoutUs: 500_000,
			delayLoopUs: 6_000_000,
			retry: 3,
			delayBeforeRetryUs: 2_000_000,
			warmupUs: 4_000_000,
			logAllFailures: true,
		},
	]);
});

test('checker_log_all_failures holds for all checks that do not say otherwise', t => {
	const both = 'TCP_CHECK {\n}\nTCP_CHECK {\nlog_all_failures off\n}';
	const {checks} = configOf(sound({globals: 'checker_log_all_failures', backend: both})).services[0]?.backends[0] ?? {};
	t.deepEqual(
		checks?.map(({logAllFailures}) => logAllFailures),
		[true, false, true],
	);
});

const url = {
	path: '/',
	host: '10.0.0.71:80',
	serverName: null,
	statusCodes: [[200, 299]],
	digest: null,
	pattern: null,
} as const;
const http = {
	kind: 'http',
	...rhythm,
	...target,
	delayBeforeRetryUs: 3_000_000,
	version: '1.0',
	close: false,
	fastRecovery: false,
	urls: [url],
} as const;

test('HTTP_GET and SSL_GET', t => {
	t.deepEqual(checksOf('HTTP_GET {\nurl { \npath /\n}\n}'), [http]);
	t.deepEqual(checksOf('SSL_GET {\nurl { \npath /\n}\n}'), [{...http, kind: 'https'}]);
	const one = `url {\npath /a\ndigest 9B3A0C85A887A256D6939DA88AABD8CD\nstatus_code 200 301-302 404
		virtualhost a.example.com\nregex "^[a-z]+\\.$"\nregex_options caseless multiline
		regex_min_offset 10\nregex_max_offset 20\nregex_no_match\n}`;
	const all = `connect_port 8080\nnb_get_retry 5\nhttp_protocol 1.1\nvirtualhost www.example.com\nenable_sni
		fast_recovery\n${one}\nurl {\npath /b\n}`;
	t.deepEqual(checksOf(`HTTP_GET {\n${all}\n}`), [
		{
			...http,
			connectPort: 8080,
			retry: 5,
			version: '1.1',
			close: true,
			fastRecovery: true,
			urls: [
				{
					path: '/a',
					host: 'a.example.com',
					serverName: 'a.example.com',
					statusCodes: [
						[200, 200],
						[301, 302],
						[404, 404],
					],
					digest: '9b3a0c85a887a256d6939da88aabd8cd',
					pattern: {source: '^[a-z]+\\.$', flags: 'im', inverted: true, minOffset: 10, maxOffset: 20},
				},
				{...url, path: '/b', host: 'www.example.com', serverName: 'www.example.com'},
			],
		},
	]);
	t.deepEqual(checksOf('HTTP_GET {\nhttp_protocol 1.0c\nurl { \npath /\n}\n}'), [{...http, close: true}]);
});

test('the nearest virtualhost is the host, or else the endpoint', t => {
	const hostOf = (backend: string, service = ''): string => {
		const [check] = checksOf(`${backend}\nHTTP_GET {\nurl { \npath /\n}\n}`, service) as (typeof http)[];
		return check?.urls[0]?.host ?? '';
	};
	t.is(hostOf(''), '10.0.0.71:80');
	t.is(hostOf('', 'virtualhost vs.example.com'), 'vs.example.com');
	t.is(hostOf('virtualhost rs.example.com', 'virtualhost vs.example.com'), 'rs.example.com');
});

test('a name for the handshake may be another than the host', t => {
	const [check] = checksOf(
		'SSL_GET {\nenable_sni\nsni_name sni.example.com\nvirtualhost www.example.com\nurl {\npath /\n}\n}',
	);
	t.like(check, {urls: [{host: 'www.example.com', serverName: 'sni.example.com'}]});
});

const misc = {
	kind: 'misc',
	...rhythm,
	retry: 0,
	script: {argv: ['/usr/bin/check'], user: null, group: null, secured: false},
	timeoutUs: 60_000_000,
	dynamic: false,
} as const;

test('MISC_CHECK', t => {
	t.deepEqual(checksOf('MISC_CHECK {\nmisc_path /usr/bin/check\n}'), [misc]);
	const all = `misc_path "/usr/bin/check 'one two' three"\nmisc_timeout 2.5\nmisc_dynamic\nuser nobody nogroup
		delay_loop 6\nretry 3\ndelay_before_retry 2`;
	t.deepEqual(checksOf(`MISC_CHECK {\n${all}\n}`), [
		{
			...misc,
			delayLoopUs: 6_000_000,
			warmupUs: 6_000_000,
			retry: 3,
			delayBeforeRetryUs: 2_000_000,
			script: {argv: ['/usr/bin/check', 'one two', 'three'], user: 'nobody', group: 'nogroup', secured: false},
			timeoutUs: 2_500_000,
			dynamic: true,
		},
	]);
});

test('SMTP_CHECK', t => {
	const smtp = {kind: 'smtp', ...rhythm, ...target, heloName: 'smtpchecker.keepalived.org'} as const;
	t.deepEqual(checksOf('SMTP_CHECK {\n}'), [smtp]);
	t.deepEqual(checksOf('SMTP_CHECK {\nhelo_name check.example.com\nconnect_port 25\nretry 2\n}'), [
		{...smtp, heloName: 'check.example.com', connectPort: 25, retry: 2},
	]);
	const hosts = 'host {\nconnect_ip 10.9.9.1\n}\nhost {\nconnect_port 587\nbindto 10.0.0.10\nconnect_timeout 2\n}';
	t.deepEqual(checksOf(`SMTP_CHECK {\nconnect_port 25\n${hosts}\n}`), [
		{...smtp, connectAddress: '10.9.9.1', connectPort: 25},
		{...smtp, connectPort: 587, bindAddress: '10.0.0.10', connectTimeoutUs: 2_000_000},
	]);
});

test('DNS_CHECK', t => {
	const dns = {
		kind: 'dns',
		...rhythm,
		retry: 3,
		delayBeforeRetryUs: 60_000_000,
		...target,
		type: 'SOA',
		name: '',
	} as const;
	t.deepEqual(checksOf('DNS_CHECK {\n}'), [dns]);
	t.deepEqual(checksOf('DNS_CHECK {\ntype TXT\nname www.example.com.\n}'), [
		{...dns, type: 'TXT', name: 'www.example.com'},
	]);
	t.deepEqual(checksOf('DNS_CHECK {\nname .\n}'), [dns]);
});

test('UDP_CHECK', t => {
	const udp = {kind: 'udp', ...rhythm, ...target, payload: null, reply: null} as const;
	t.deepEqual(checksOf('UDP_CHECK {\n}'), [udp]);
	const manual = 'Ab12f 3 456 546443123';
	t.deepEqual(checksOf(`UDP_CHECK {\npayload ${manual}\nrequire_reply\n}`), [
		{...udp, payload: 'ab120f0345065464431203', reply: {pattern: '', minLength: 0, maxLength: 65_535}},
	]);
	t.deepEqual(checksOf('UDP_CHECK {\nrequire_reply 0X xx\nmin_reply_length 2\n}'), [
		{...udp, reply: {pattern: '0xxx', minLength: 2, maxLength: 255}},
	]);
});

test('PING_CHECK needs no port', t => {
	const ping = {kind: 'ping', ...rhythm, ...target, connectPort: 0} as const;
	t.deepEqual(checksOf('PING_CHECK {\nbindto 10.0.0.10\n}'), [{...ping, bindAddress: '10.0.0.10'}]);
});

test('FILE_CHECK', t => {
	const file = {
		kind: 'file',
		delayLoopUs: 1_000_000,
		retry: 0,
		delayBeforeRetryUs: 1_000_000,
		warmupUs: 0,
		logAllFailures: false,
	} as const;
	const top = 'track_file LOAD {\nfile /run/load\nweight 5 reverse\ninit_file\n}\nvrrp_track_file B {\nfile /run/b\n}';
	const named = (check: string) => {
		const {config, printed} = read(sound({top, backend: `FILE_CHECK {\n${check}\n}`}));
		const [{place, ...one} = {place: null}] = config?.services[0]?.backends[0]?.checks ?? [];
		return [one, printed.filter(line => line.includes('error'))] as const;
	};
	t.deepEqual(named('track_file LOAD'), [{...file, path: '/run/load', weight: -5}, []]);
	t.deepEqual(named('track_file LOAD\nweight 0'), [{...file, path: '/run/load', weight: 0}, []]);
	t.deepEqual(named('track_file B\nweight -7'), [{...file, path: '/run/b', weight: -7}, []]);
	t.deepEqual(named('track_file LAOD')[1], [
		`lb.conf:19:1: error: FILE_CHECK names 'LAOD', which is no track_file with a file (did you mean 'LOAD'?)`,
	]);
});

test('a script runs as script_user says unless it says itself', t => {
	const globals = 'script_user daemon bin\nenable_script_security';
	const backend = 'MISC_CHECK {\nmisc_path /a\n}\nMISC_CHECK {\nmisc_path /b\nuser nobody\n}';
	const {checks = []} = configOf(sound({globals, backend})).services[0]?.backends[0] ?? {};
	t.like(checks[0], {script: {argv: ['/a'], user: 'daemon', group: 'bin', secured: true}});
	t.like(checks[1], {script: {argv: ['/b'], user: 'nobody', group: null, secured: true}});
});

const complaints: readonly (readonly [string, string])[] = [
	['HTTP_GET {\n}', `18:1: warning: HTTP_GET has no url and checks nothing (add 'url { path / }')`],
	['HTTP_GET {\nurl {\n}\n}', `19:1: warning: url has no path and is left out (add 'path /')`],
	['FILE_CHECK {\n}', `18:1: error: FILE_CHECK names no file (add 'track_file NAME')`],
	['DNS_CHECK {\nname a..b\n}', `19:6: error: name 'a..b' has an empty part`],
	[`DNS_CHECK {\nname ${'a'.repeat(64)}\n}`, `19:6: error: name '${'a'.repeat(60)}…' is no domain name`],
	['DNS_CHECK {\ntype PTR\n}', `19:6: error: type 'PTR' is none of A, NS, CNAME, SOA, MX, TXT, AAAA, RRSIG, DNSKEY`],
	[
		'UDP_CHECK {\npayload 0x\n}',
		`19:9: error: payload '0x' is not of hexadecimal digits (write it like 0d 0a or 0d0a)`,
	],
	['UDP_CHECK {\npayload\n}', `19:1: error: payload lacks its argument (write 'payload HEX …')`],
	[
		'UDP_CHECK {\nrequire_reply\nmin_reply_length 2\nmax_reply_length 1\n}',
		'20:1: error: no reply can have 2 bytes and more, and 1 and less (raise max_reply_length)',
	],
	['MISC_CHECK {\n}', `18:1: error: MISC_CHECK has no script (add 'misc_path PROGRAM')`],
	['MISC_CHECK {\nmisc_path "/a \'b"\n}', `19:11: error: misc_path '/a 'b' has a quote that is not closed`],
	[
		'HTTP_GET {\nurl {\npath /\nstatus_code 99\n}\n}',
		`21:13: error: status_code '99' is no status code (write it like 200 or 200-299)`,
	],
	[
		'HTTP_GET {\nurl {\npath /\ndigest 12\n}\n}',
		`21:8: error: digest '12' is no MD5 digest (write its 32 hexadecimal digits)`,
	],
	['HTTP_GET {\nurl {\npath "/a b"\n}\n}', `20:6: error: path '/a b' holds blanks or control characters`],
	[
		'HTTP_GET {\nurl {\npath /\nregex "("\n}\n}',
		'21:1: error: regex: Invalid regular expression: /(/: Unterminated group',
	],
	[
		'HTTP_GET {\nurl {\npath /\nregex x\nregex_min_offset 5\nregex_max_offset 4\n}\n}',
		'23:1: error: regex_max_offset 4 is below regex_min_offset 5 (raise it)',
	],
	[
		'HTTP_GET {\nurl {\npath /\nregex x\nregex_options ungreedy\n}\n}',
		`22:15: error: regex_options 'ungreedy' is not supported: expressions are those of ECMAScript`,
	],
];
for (const [backend, complaint] of complaints) {
	test(backend.replace(/\s+/g, ' '), t => {
		const own = read(sound({backend})).printed.filter(line => !line.includes('contradiction'));
		t.true(own.includes(`lb.conf:${complaint}`), own.join('\n'));
	});
}
