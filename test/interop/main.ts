/** `node main.js FILE`: every pair through every event, with a line for each that is done; the table goes to FILE. */
import {spawnSync} from 'node:child_process';
import {writeFileSync} from 'node:fs';
import {obstacle} from '../../lab/prerequisites.js';
import {monotonicMs} from '../../lab/wait.js';
import {describe, machine} from '../../src/bench/machine.js';
import {crowd, crowdCells, crowdHead} from './crowd.js';
import {allCases, runMatrix} from './matrix.js';
import {differences, markdown, report} from './report.js';
import type {Cast} from './scenario.js';

/** As many pairs as two CPUs keep punctual. */
const AT_ONCE = Number(process.env.AT_ONCE ?? 8);
const CALM_MS = 60_000;
const crowds: readonly Cast[] = [
	{a: 'keepalived', b: 'keepalived'},
	{a: 'ours', b: 'keepalived'},
	{a: 'keepalived', b: 'ours'},
];

function preface(): string[] {
	const {stderr: version} = spawnSync('keepalived', ['--version'], {encoding: 'utf8'});
	const of = machine();
	return [
		'# VRRP beside keepalived',
		`Written by \`make interop\` on ${describe(of)[0]}, load ${of.load.toFixed(1)} at the start; ${version.split('\n')[0]};
${AT_ONCE} pairs at once.`,
		`Pairs of routers, each on a segment of its own, go through the same events with the same two files: priorities 200 (the
*better* one) and 100 (the *worse* one), adverts every second (version 2) or every half (version 3), a script every second that
takes 150 off. The first column is a pair of keepalived's, the reference; in the other two, one half is lbd's VRRP process, with
the daemon's own configuration reader and script runner.`,
		`Each cell says who runs and has the addresses after the event, and how long it took until the segment heard it
announce them (ARP or NDP). After a stop, a kill or a failed link that is the time since the last advert of the master before,
which is how long nobody was responsible; after all other events, the time since the event, in which the master before goes on
serving. It is not what a client loses: the addresses of a killed router answer until the announcement. A start counts from
when the router listens. Times of one cell vary with the phase of adverts and scripts, by up to their interval.`,
	];
}

function progress(what: string): void {
	console.log(`${((monotonicMs() - beganMs) / 1000).toFixed(0).padStart(4)} s  ${what}`);
}

async function crowdTable(): Promise<string> {
	const rows: string[][] = [];
	for (const cast of crowds) {
		rows.push(crowdCells(await crowd({cast, calmMs: CALM_MS})));
		progress(`255 instances: ${rows.at(-1)?.join(', ')}`);
	}
	return `## 255 instances on one interface

Adverts every second, IPv4, multicast. Flaps are adverts of the worse router while both are left alone; the take-over is that
after a SIGKILL, since the last advert, of the first instance and of the last one.

${markdown([crowdHead, ...rows])}`;
}

const reason = obstacle();
if (reason !== null) {
	console.error(`interop: ${reason}`);
	process.exit(1);
}
const [path = 'interop.md'] = process.argv.slice(2);
const beganMs = monotonicMs();
const head = preface();
const results = await runMatrix(allCases, AT_ONCE, (what, done, of) => progress(`${done} of ${of}  ${what}`));
const text = `${[...head, ...report(results), await crowdTable()].join('\n\n')}\n`;
console.log(text);
writeFileSync(path, text);
process.exitCode = differences(results).length === 0 ? 0 : 1;
