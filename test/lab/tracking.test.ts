/**
 * The same trackers in the same situations on a pair of keepalived's, and on pairs of one keepalived and one lbd in both
 * roles: the same master in the end, after a comparable time.
 */
import {chmodSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {Balancer, Program} from '../../lab/balancer.js';
import {Lab} from '../../lab/lab.js';
import {externalVip} from '../../lab/topology.js';
import {monotonicMs, waitFor} from '../../lab/wait.js';
import {test} from './lab-test.js';

/** When in its interval a cause meets script and advert is chance; a busy machine adds to it. */
const CHANCE_MS = 2 * 1000 + 300 + 1700;

/** What ails a node, made and mended by writing to files that its trackers look at. */
class Ailments {
	readonly directory = mkdtempSync(join(tmpdir(), 'track-'));

	constructor() {
		const script = `${this.directory}/check`;
		writeFileSync(
			script,
			`#!/bin/sh
state=$(cat ${this.directory}/$1 2>/dev/null)
[ "$state" = hang ] && sleep 5
exit \${state:-0}
`,
		);
		chmodSync(script, 0o755);
	}

	set(node: Balancer, what: 'graded' | 'fatal' | 'load', state: string): void {
		writeFileSync(join(this.directory, `${node.name}-${what}`), state);
	}

	remove(): void {
		rmSync(this.directory, {recursive: true});
	}
}

function configuration(directory: string, node: 'lb1' | 'lb2', priority: number): string {
	return `global_defs {
	script_user root
}
vrrp_script graded {
	script "${directory}/check ${node}-graded"
	interval 1
	timeout 1
	weight -60
	fall 2
	rise 2
}
vrrp_script fatal {
	script "${directory}/check ${node}-fatal"
	interval 1
	fall 2
	rise 2
}
track_file load {
	file ${directory}/${node}-load
	weight -30
	init_file 0 overwrite
}
vrrp_instance external {
	interface eth0
	virtual_router_id 91
	version 3
	advert_int 0.3
	priority ${priority}
	track_script {
		graded
		fatal
	}
	track_file {
		load
	}
	track_interface {
		eth1 weight 60
	}
	virtual_ipaddress {
		${externalVip}/24
	}
}
`;
}

interface Situation {
	readonly what: string;
	ail(node: Balancer, ailments: Ailments): void | Promise<void>;
	mend(node: Balancer, ailments: Ailments): void | Promise<void>;
}

const situations: readonly Situation[] = [
	{
		what: 'a script with weight fails',
		ail: (node, ailments) => ailments.set(node, 'graded', '1'),
		mend: (node, ailments) => ailments.set(node, 'graded', '0'),
	},
	{
		what: 'a script with weight takes longer than it may',
		ail: (node, ailments) => ailments.set(node, 'graded', 'hang'),
		mend: (node, ailments) => ailments.set(node, 'graded', '0'),
	},
	{
		what: 'a script without weight fails',
		ail: (node, ailments) => ailments.set(node, 'fatal', '3'),
		mend: (node, ailments) => ailments.set(node, 'fatal', '0'),
	},
	{
		what: 'a file has a value',
		ail: (node, ailments) => ailments.set(node, 'load', '2\n'),
		mend: (node, ailments) => ailments.set(node, 'load', '0\n'),
	},
	{
		what: 'a file has a value that is too much',
		ail: (node, ailments) => ailments.set(node, 'load', '100\n'),
		mend: (node, ailments) => ailments.set(node, 'load', '0\n'),
	},
	{
		what: 'an interface with weight is down',
		ail: node => node.linkDown('eth1'),
		mend: node => node.linkUp('eth1'),
	},
];

/** Milliseconds from the ailment to the backup's mastership, and from the cure to the end of it. */
interface Times {
	readonly lostMs: number;
	readonly regainedMs: number;
}

/** The times of every situation, by what it is. */
async function play(programs: {readonly lb1: Program; readonly lb2: Program}): Promise<Map<string, Times>> {
	const ailments = new Ailments();
	const configs = {
		lb1: configuration(ailments.directory, 'lb1', 150),
		lb2: configuration(ailments.directory, 'lb2', 100),
	};
	const lab = await Lab.create({programs, configs});
	try {
		// One after the other: loading the program takes all of a CPU.
		await lab.lb1.start();
		await lab.lb2.start();
		await becomesOwner(lab, lab.lb1);
		const times = new Map<string, Times>();
		for (const {what, ail, mend} of situations) {
			const lostMs = await timed(lab, lab.lb2, () => ail(lab.lb1, ailments));
			const regainedMs = await timed(lab, lab.lb1, () => mend(lab.lb1, ailments));
			times.set(what, {lostMs, regainedMs});
		}
		return times;
	} finally {
		await lab.destroy();
		ailments.remove();
	}
}

async function timed(lab: Lab, next: Balancer, act: () => void | Promise<void>): Promise<number> {
	const startMs = monotonicMs();
	await act();
	await becomesOwner(lab, next);
	return monotonicMs() - startMs;
}

/** It alone has the address. */
async function becomesOwner(lab: Lab, node: Balancer): Promise<void> {
	const look = async () => {
		const [first, second] = await Promise.all([lab.lb1.vips(), lab.lb2.vips()]);
		const owners = [first.includes(externalVip) ? 'lb1' : '', second.includes(externalVip) ? 'lb2' : ''].join('');
		return owners === node.name;
	};
	await waitFor(`${node.name} is master`, look, {
		seen: () => `${lab.lb1.log()}\n${lab.lb2.log()}`,
	});
}

const pairs = [
	{lb1: 'keepalived', lb2: 'keepalived'},
	{lb1: 'lbd', lb2: 'keepalived'},
	{lb1: 'keepalived', lb2: 'lbd'},
	{lb1: 'lbd', lb2: 'lbd'},
] as const;

type Pair = (typeof pairs)[number];

let games: ReadonlyMap<Pair, Promise<Map<string, Times>>> | null = null;

/** The times of one pair. All are played at once, since they spend theirs waiting. */
async function timesOf(pair: Pair): Promise<Map<string, Times>> {
	games ??= new Map(pairs.map(programs => [programs, play(programs)]));
	// Each is judged by its own test.
	for (const game of games.values()) game.catch(() => {});
	return games.get(pair) ?? new Map();
}

for (const pair of pairs) {
	test(`${pair.lb1} tracks, ${pair.lb2} is its backup: every ailment hands over, every cure takes back`, async t => {
		t.timeout(180_000);
		const times = await timesOf(pair);
		t.is(times.size, situations.length);
		const yardstick = await timesOf(pairs[0]);
		for (const [what, {lostMs, regainedMs}] of times) {
			const theirs = yardstick.get(what) ?? {lostMs: 0, regainedMs: 0};
			const show = (ours: number, keepalived: number) =>
				`${ours.toFixed(0)} (two keepalived: ${keepalived.toFixed(0)})`;
			t.log(
				`${what}: lost after ${show(lostMs, theirs.lostMs)} ms, regained after ${show(regainedMs, theirs.regainedMs)} ms`,
			);
			t.true(lostMs < theirs.lostMs + CHANCE_MS, `${what}: lost`);
			t.true(regainedMs < theirs.regainedMs + CHANCE_MS, `${what}: regained`);
		}
	});
}
