/** What weights come to, one by one: our arithmetic beside the log of Debian's keepalived. */
import {spawn, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import anyTest from 'ava';
import type {Track, TrackerResult} from '../../src/conf/model.js';
import {readConfig} from '../../src/conf/read.js';
import {track} from '../../src/vrrp/tracking.js';
import {MemoryFiles} from '../conf/memory-files.js';

const missing =
	process.getuid?.() !== 0 ? 'root' : spawnSync('keepalived', ['--version']).error === undefined ? null : 'keepalived';
if (missing !== null) process.stderr.write(`comparison of weights with keepalived is skipped: needs ${missing}\n`);
const test = missing === null ? anyTest.serial : anyTest.serial.skip;

const WAIT_MS = 15_000;
const BASE = 100;

/** A line of a track block, its kind, and what its tracker will have found. */
interface Case {
	readonly kind: 'script' | 'interface' | 'file';
	readonly line: string;
	readonly result: TrackerResult;
}

const weights = ['0', '10', '-10', '200', '-253'].flatMap(weight => [weight, `${weight} reverse`]);
const binary = [
	['script', 'good', 'up'],
	['script', 'bad', 'down'],
	['interface', 'eth1', 'up'],
	['interface', 'eth2', 'down'],
] as const;
const cases: readonly Case[] = [
	...binary.flatMap(([kind, name, result]) =>
		weights.map((weight): Case => ({kind, line: `${name} weight ${weight}`, result})),
	),
	...[0, 7, -7, 127, -127, 254].flatMap(value =>
		['0', '1', '-2'].flatMap(weight =>
			['', ' reverse'].map(
				(reverse): Case => ({kind: 'file', line: `f${value} weight ${weight}${reverse}`, result: value}),
			),
		),
	),
];

function configuration(directory: string): string {
	const files = [...new Set(cases.flatMap(({kind, result}) => (kind === 'file' ? [result] : [])))];
	return [
		'global_defs {\nscript_user root\n}',
		'vrrp_script good {\nscript /bin/true\n}',
		'vrrp_script bad {\nscript /bin/false\n}',
		...files.map(
			value => `track_file f${value} {\nfile ${join(directory, `f${value}`)}\ninit_file ${value} overwrite\n}`,
		),
		...cases.map(({kind, line}, index) =>
			[
				`vrrp_instance ${nameOf(index)} {`,
				`interface eth0\nvirtual_router_id ${index + 1}\npriority ${BASE}`,
				`track_${kind} {\n${line}\n}`,
				`virtual_ipaddress {\n192.168.2.${index + 1}/24\n}\n}`,
			].join('\n'),
		),
		'',
	].join('\n');
}

function nameOf(index: number): string {
	return `I${index}`;
}

const LINKS = [0, 1, 2]
	.map(n => `ip link add eth${n} type veth peer name p${n}; ip link set eth${n} up; ip link set p${n} up`)
	.join('; ');

/** What keepalived says until both scripts have ended and it has been told to stop. */
async function keepalivedLog(directory: string): Promise<string> {
	const files = ['-f', 'conf', '-p', 'pid', '-r', 'vrrp.pid'].map(word =>
		word.startsWith('-') ? word : join(directory, word),
	);
	// The kernel tells of a carrier some time after the fact.
	const settled =
		'until ip link show eth2 | grep -q NO-CARRIER && ip link show eth1 | grep -q "state UP"; do sleep 0.1; done';
	const setUp = `${LINKS}; ip link set p2 down; ip address add 192.168.2.250/24 dev eth0; ${settled}`;
	const command = `${setUp}; exec keepalived -n -l -D -P ${files.join(' ')} 2>&1`;
	const child = spawn('unshare', ['--net', 'sh', '-e', '-c', command], {stdio: ['ignore', 'pipe', 'inherit']});
	const deadline = AbortSignal.timeout(WAIT_MS);
	deadline.addEventListener('abort', () => child.kill('SIGKILL'));
	const lines: string[] = [];
	const awaited = new Set(['VRRP_Script(good) succeeded', 'VRRP_Script(bad) failed (exited with status 1)']);
	for await (const line of createInterface(child.stdout)) {
		lines.push(line);
		for (const words of awaited) if (line.includes(words)) awaited.delete(words);
		if (awaited.size === 0) child.kill('SIGTERM');
	}
	if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
	return lines.join('\n');
}

/** Effective priority, or `fault`. */
function verdictOf(log: string, name: string): number | 'fault' {
	if (!log.includes(`(${name}) Entering BACKUP STATE`)) return 'fault';
	const changes = [...log.matchAll(new RegExp(`\\(${name}\\) Changing effective priority from \\d+ to (\\d+)`, 'g'))];
	return Number(changes.at(-1)?.[1] ?? BASE);
}

test('each weight, reversed or not, comes to what keepalived makes of it', async t => {
	t.timeout(2 * WAIT_MS);
	const directory = mkdtempSync(join(tmpdir(), 'weights-'));
	t.teardown(() => rmSync(directory, {recursive: true}));
	const text = configuration(directory);
	writeFileSync(join(directory, 'conf'), text);
	const {config} = readConfig('conf', new MemoryFiles({conf: text}));
	const log = await keepalivedLog(directory);
	t.is(config?.instances.length, cases.length);
	for (const [index, {kind, line, result}] of cases.entries()) {
		const tracks: readonly Track[] = config?.instances[index]?.tracks ?? [];
		const {priority, fault} = track(BASE, tracks, () => result);
		t.is(fault === null ? priority : 'fault', verdictOf(log, nameOf(index)), `track_${kind} ${line}: ${result}`);
	}
});
