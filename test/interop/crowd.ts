import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {monotonicMs, waitFor} from '../../lab/wait.js';
import type {Observation} from '../lab/observer.js';
import {addresses, Lan, type Name, names, type Segment} from './lan.js';
import {Node, type Program} from './node.js';
import type {Cast} from './scenario.js';

/** All that a segment can have (RFC 3768 §5.3.2). */
const VRIDS = 255;
const ADVERT_MS = 1000;
/** From the start of 255 instances, three adverts and their skew, on a busy machine. */
const WAIT_MS = 30_000;

/** What came of 255 instances on one interface. */
export interface Crowd {
	readonly cast: Cast;
	/** From the start of the better router until it held all addresses. */
	readonly upMs: number;
	readonly calmMs: number;
	/** Adverts of the worse router in calm: somebody thought that nobody was master. */
	readonly flaps: number;
	/** In calm. */
	readonly usage: Readonly<Record<Name, Usage>>;
	/** From the last advert of the router that was killed until the other one announced: the first and the last of all. */
	readonly failoverMs: readonly [first: number, last: number];
	/** The latest timer of all, of those that are ours; in milliseconds. */
	readonly latenessMs: Readonly<Partial<Record<Name, number>>>;
}

export interface Usage {
	/** Share of one CPU. */
	readonly cpu: number;
	readonly megabytes: number;
}

function vip(vrid: number): string {
	return `10.91.${vrid}.1`;
}

function configuration(name: Name): string {
	const instance = (vrid: number): string => `vrrp_instance crowd${vrid} {
	state BACKUP
	interface eth0
	virtual_router_id ${vrid}
	advert_int ${ADVERT_MS / 1000}
	priority ${name === 'a' ? 200 : 100}
	virtual_ipaddress {
		${vip(vrid)}/32
	}
}
`;
	return Array.from({length: VRIDS}, (_, index) => instance(index + 1)).join('');
}

/** Two routers with 255 instances each: they start, are left alone for a while, and the better one is killed. */
export async function crowd(options: {readonly cast: Cast; readonly calmMs: number}): Promise<Crowd> {
	const directory = mkdtempSync(join(tmpdir(), 'crowd-'));
	const lan = await Lan.create(`crowd${process.pid}`, 1);
	try {
		const [segment] = lan.segments;
		if (segment === undefined) throw new Error('one segment');
		return await live(segment, {...options, directory});
	} finally {
		await lan.remove();
		rmSync(directory, {recursive: true});
	}
}

async function live(
	segment: Segment,
	{cast, directory, calmMs}: {readonly cast: Cast; readonly directory: string; readonly calmMs: number},
): Promise<Crowd> {
	const node = (name: Name): Node =>
		new Node(segment.ends[name], {program: cast[name], directory, configure: () => configuration(name)});
	const nodes = {a: node('a'), b: node('b')};
	const vips = Array.from({length: VRIDS}, (_, index) => vip(index + 1));
	try {
		await nodes.b.start();
		const beganMs = monotonicMs();
		await nodes.a.start();
		await waitFor('all are up', () => nodes.a.holds(vips), {timeoutMs: WAIT_MS, everyMs: 200});
		const upMs = monotonicMs() - beganMs;
		// Those of b that were quicker to start give way to the last one.
		await waitFor('the other gives way', async () => !(await nodes.b.holdsAny(vips)), {
			timeoutMs: WAIT_MS,
			everyMs: 200,
		});
		await pause(2 * ADVERT_MS);
		const [from, before] = [segment.seen.length, usageOf(nodes)];
		await pause(calmMs);
		const calm = segment.seen.slice(from);
		const usage = spent(before, usageOf(nodes), calmMs);
		const flaps = calm.filter(seen => seen.kind === 'advert' && seen.mac === segment.ends.b.mac).length;
		const latenessMs = await latenessOf(nodes);
		const failoverMs = await failover(segment, nodes);
		return {cast, upMs, calmMs, flaps, usage, failoverMs, latenessMs: {...latenessMs, ...(await latenessOf(nodes))}};
	} finally {
		for (const name of names) await nodes[name].stop();
	}
}

async function failover(segment: Segment, nodes: Readonly<Record<Name, Node>>): Promise<Crowd['failoverMs']> {
	const from = segment.seen.length;
	const {a, b} = segment.ends;
	const lastWordMs = segment.seen.findLast(seen => seen.kind === 'advert' && seen.mac === a.mac);
	await nodes.a.kill();
	const announced = (): number[] => firstOfEach(segment.seen.slice(from), b.mac);
	await waitFor('all have moved', () => announced().length === VRIDS, {timeoutMs: WAIT_MS, everyMs: 200});
	const base = lastWordMs !== undefined && 'atMs' in lastWordMs ? lastWordMs.atMs : 0;
	const all = announced();
	return [Math.min(...all) - base, Math.max(...all) - base];
}

/** When each address was announced first. */
function firstOfEach(seen: readonly Observation[], mac: string): number[] {
	const first = new Map<string, number>();
	for (const observation of seen) {
		if (observation.kind !== 'announcement' || observation.mac !== mac) continue;
		if (observation.address === addresses.b[4] || first.has(observation.address)) continue;
		first.set(observation.address, observation.atMs);
	}
	return [...first.values()];
}

/** Clock ticks and kilobytes of each router's processes, proc(5). */
function usageOf(nodes: Readonly<Record<Name, Node>>): Record<Name, {ticks: number; kilobytes: number}> {
	const of = (node: Node) => {
		const stats = node.pids().map(pid => ({
			times: readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [],
			resident: /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1],
		}));
		return {
			ticks: stats.reduce((sum, {times}) => sum + Number(times[11]) + Number(times[12]), 0),
			kilobytes: stats.reduce((sum, {resident}) => sum + Number(resident), 0),
		};
	};
	return {a: of(nodes.a), b: of(nodes.b)};
}

const TICKS_PER_S = 100;

function spent(before: ReturnType<typeof usageOf>, after: ReturnType<typeof usageOf>, ms: number): Crowd['usage'] {
	const of = (name: Name): Usage => ({
		cpu: (after[name].ticks - before[name].ticks) / TICKS_PER_S / (ms / 1000),
		megabytes: after[name].kilobytes / 1024,
	});
	return {a: of('a'), b: of('b')};
}

async function latenessOf(nodes: Readonly<Record<Name, Node>>): Promise<Crowd['latenessMs']> {
	const entries = await Promise.all(names.map(async name => [name, await nodes[name].latenessMs()] as const));
	return Object.fromEntries(entries.flatMap(([name, ms]) => (ms === null ? [] : [[name, ms]])));
}

/** One line of a table. */
export function crowdCells({cast, upMs, calmMs, flaps, usage, failoverMs, latenessMs}: Crowd): string[] {
	const use = ({cpu, megabytes}: Usage): string => `${(100 * cpu).toFixed(1)} %, ${megabytes.toFixed(0)} MB`;
	const programs: Record<Program, string> = {keepalived: 'keepalived', ours: 'lbd'};
	return [
		names.map(name => programs[cast[name]]).join(', '),
		`${(upMs / 1000).toFixed(1)} s`,
		`${flaps} in ${calmMs / 1000} s`,
		use(usage.a),
		use(usage.b),
		failoverMs.map(ms => `${ms.toFixed(0)} ms`).join(' to '),
		names.flatMap(name => (latenessMs[name] === undefined ? [] : [`${latenessMs[name].toFixed(1)} ms`])).join(', '),
	];
}

export const crowdHead: readonly string[] = [
	'better, worse',
	'all up after',
	'flaps',
	'better: CPU, memory',
	'worse: CPU, memory',
	'take-over of all',
	'latest timer of lbd',
];
