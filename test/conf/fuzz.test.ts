// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the language writes its definitions so
import {readFileSync} from 'node:fs';
import test from 'ava';
import {type Diagnostic, formatDiagnostic} from '../../src/conf/diagnostics.js';
import {top} from '../../src/conf/keywords/top.js';
import {noMachine} from '../../src/conf/machine.js';
import type {Place} from '../../src/conf/model.js';
import {readConfig} from '../../src/conf/read.js';
import {keywordHomes} from '../../src/conf/table.js';
import {MemoryFiles} from './memory-files.js';
import {sound} from './reading.js';

// FUZZ_RUNS=1000000 npx ava build/test/conf/fuzz.test.js; a failure names the seed to repeat it with.
const runs = Number(process.env.FUZZ_RUNS ?? 3000);
const firstSeed = Number(process.env.FUZZ_SEED ?? 1);

type Random = (below: number) => number;

/** xorshift32: the same numbers for the same seed, everywhere. */
function random(seed: number): Random {
	let state = (seed * 2_654_435_761) | 1;
	return below => {
		state ^= state << 13;
		state ^= state >>> 17;
		state ^= state << 5;
		return (state >>> 0) % below;
	};
}

const reference = (name: string) => readFileSync(new URL(`../../../test/conf/${name}`, import.meta.url));
const encode = (text: string) => new TextEncoder().encode(text);
const corpus: readonly Uint8Array[] = [
	reference('reference-primary.conf'),
	reference('reference-backup.conf'),
	encode(
		sound({
			service: 'include a.conf\npersistence_timeout',
			address: '192.168.1.9/24 dev eth1 label x scope link brd +',
		}),
	),
	encode(
		sound({
			top: `virtual_server_group G {\n10.1.0.1-9 80\n10.2.0.0/30 443\n2001:db8::2-f\nfwmark 1 }
			virtual_server group G {\nlb_kind TUN type gue port 6080 csum\nreal_server 10.0.0.9 { lvs_method TUN type gre }\nip_family inet\n}
			lbd {\nservice 192.168.1.1 80 tcp {\nfailed_backend reset\nnew_connections_per_source 5 9 }
			service group G udp { no_backend drop }\nblock 10.0.0.0/8 2001:db8::/32\nblock_file a.conf\n}`,
			service: 'persistence_granularity 24\nlb_kind DR',
		}),
	),
	encode(
		sound({
			top: '$S= \\\n  virtual_server 192.168.1.${N} ${P} { \\\n @lb lb_algo rr \\\n real_server 10.0.0.${N} $P { weight 1 } \\\n }\n$P=443 # x\n~SEQ(N,2,1,4) $S',
			address: '~LST({A,B},{1,24},{2,25}) ~SEQx(I,0x1,2) 192.168.${A}.$I/${B}',
			instance: '$I=include\n$I a.conf\n@^lb priority 5\npriority ${_RANDOM 1 9}',
		}),
	),
	encode(
		sound({
			address: '10.9.9.1 peer 10.9.9.2 no_track\n10.9.8.1/24 -nodad autojoin preferred_lft forever',
			instance: `unicast_peer {\n192.168.1.11 min_ttl 5\n}\nmcast_dst_ip 224.0.0.81\nvirtual_routes {\nsrc 10.0.0.1 to 10.1.0.0/16 via inet6 fe80::1 dev eth0 metric 5 mtu lock 1400 table 0x10 tos 0x10
				default nexthop via 10.0.0.9 weight 256 realms 3/4 nexthop dev eth1 onlink\nthrow 2001:db8::/32 table local
				10.2.0.0/16 gw 10.0.0.1 or 10.0.0.2 oif eth0 rtt 1.5s rto_min 9 congctl lock reno append\n}
				virtual_rules {\nnot from 10.0.0.0/8 to all fwmark 5/0xff iif eth0 lookup main order 4\n}`,
			top: `track_group G { group { VI_1 } }\nstatic_ipaddress {\n10.7.0.1/24 dev eth1 track_group G\n}
				static_rules {\ninet6 sport 5-9 tunnel-id 5 uidrange 1-2 ipproto tcp goto 9 preference 8\nl3mdev\n}
				static_routes {\n2001:db8::/32 from 2001:db8::/48 dev eth0 pref low expires 9\n}`,
		}),
	),
	encode(
		sound({top: 'lbd { metrics off\nflows 4096 }', globals: 'lvs_timeouts tcp 1 udp 2', check: 'include {a,b}*.conf'}),
	),
];
const snippets = [
	...keywordHomes(top, 'top').keys(),
	...[
		'{',
		'}',
		'"',
		'\\',
		'#',
		'!',
		'\n',
		' ',
		'\0',
		'\u00e9',
		'$X',
		'${N}',
		'$P',
		'$N=',
		'\\\n',
		'@lb ',
		'@^lb ',
		'~SEQ(',
		'~LST({A,B},{1,2})',
		'${_ENV A}',
		'[',
		'*',
		'-',
		'+',
		'/',
		'..',
	],
	...['0', '1', '255', '256', '4294967296', '1.5', '.', '1e9', '10.0.0.1', '::1', '10.0.0.1/24', 'include a.conf\n'],
	...[
		'group G',
		'fwmark 1',
		'10.1.0.1-9',
		'ae00::2-f',
		'2001:db8::1 80',
		'10.0.0.0/0',
		'::/0',
		'udp',
		'block_file a.conf',
	],
	...['via 10.0.0.1', 'dev eth0', 'default', 'nexthop', 'from', 'table 5', 'lock', 'blackhole', '0x10', '-', 'order 3'],
	...['TUN', 'DR', 'type gue', 'port 6080', 'remcsum', 'keep', 'reset', 'reject', 'inet6'],
	...['rr', 'NAT', 'TCP', 'PASS', 'MASTER', 'on', 'x'.repeat(1100), '{a,b}'.repeat(12), '{'.repeat(40)],
].map(encode);

function pick<T>(from: readonly T[], next: Random): T {
	const item = from[next(from.length)];
	if (item === undefined) throw new Error('nothing to pick from');
	return item;
}

/** Replaces a random stretch by a random byte, snippet or stretch of the corpus, or by nothing. */
function mutate(bytes: Uint8Array, next: Random): Uint8Array {
	const from = next(bytes.length + 1);
	const to = Math.min(bytes.length, from + (next(2) === 0 ? 0 : next(next(8) === 0 ? 400 : 12)));
	const donor = pick(corpus, next);
	const start = next(donor.length);
	const insert = pick(
		[new Uint8Array(), Uint8Array.of(next(256)), pick(snippets, next), donor.subarray(start, start + next(120))],
		next,
	);
	return Buffer.concat([bytes.subarray(0, from), insert, bytes.subarray(to)]);
}

function input(seed: number): Record<string, Uint8Array> {
	const next = random(seed);
	let main = pick(corpus, next);
	let included = pick(snippets, next);
	for (let round = next(12); round >= 0; round--) main = mutate(main, next);
	for (let round = next(4); round > 0; round--) included = mutate(included, next);
	return {'lb.conf': main, 'a.conf': included};
}

function inRange({place}: Diagnostic, files: Readonly<Record<string, Uint8Array>>): boolean {
	return isIn(place, files) && (place.definition === undefined || isIn(place.definition, files));
}

function isIn(place: Place, files: Readonly<Record<string, Uint8Array>>): boolean {
	const content = files[place.file];
	if (content === undefined) return false;
	const line = new TextDecoder('utf-8', {ignoreBOM: true}).decode(content).split('\n')[place.line - 1];
	return line !== undefined && place.column >= 1 && place.column <= line.length + 1;
}

test(`${runs} mutated configurations: no crash, and every complaint has its place`, t => {
	let accepted = 0;
	for (let seed = firstSeed; seed < firstSeed + runs; seed++) {
		const files = input(seed);
		try {
			const {config, diagnostics} = readConfig('lb.conf', new MemoryFiles(files), {...noMachine, configId: 'lb'});
			const misplaced = diagnostics.find(diagnostic => !inRange(diagnostic, files));
			const unprintable = diagnostics.map(formatDiagnostic).find(text => /[\p{Cc}\u2028\u2029]/u.test(text));
			const failed = diagnostics.some(({severity}) => severity === 'error');
			if (misplaced !== undefined) throw new Error(`not in the text: ${formatDiagnostic(misplaced)}`);
			if (unprintable !== undefined) throw new Error(`unprintable: ${JSON.stringify(unprintable)}`);
			if (failed !== (config === null)) throw new Error('a configuration with errors, or none without');
			if (config !== null) accepted++;
		} catch (cause) {
			throw new Error(`FUZZ_SEED=${seed} FUZZ_RUNS=1`, {cause});
		}
	}
	t.true(runs < 1000 || accepted > 0, 'some mutants live');
});
