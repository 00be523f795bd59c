/** How the tests look at a balancer from outside: its command, its log, and what it has left on the machine. */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {existsSync} from 'node:fs';
import {text} from 'node:stream/consumers';
import {fileURLToPath} from 'node:url';
import type {Balancer} from '../../lab/balancer.js';
import {inside} from '../../lab/namespace.js';
import {inhabitants} from '../../lab/proc.js';
import {controlSocketOf} from '../../lab/record.js';
import {run} from '../../lab/run.js';
import {nodes, type WebServerName} from '../../lab/topology.js';
import {waitFor} from '../../lab/wait.js';
import type {BackendRow} from '../../src/cli/commands/backends.js';
import type {ServiceRow} from '../../src/cli/commands/services.js';
import {ControlClient} from '../../src/control/client.js';
import type {InstanceReport, SharingReport} from '../../src/control/protocol.js';
import {Verdict} from '../../src/xdp/layout.gen.js';

export interface Finished {
	/** Exit code, or the signal that ended it. */
	readonly code: number | string | null;
	readonly stdout: string;
	readonly stderr: string;
}

/** Runs a command on a node to its end, whatever that is. */
export async function finish({namespace}: {readonly namespace: string}, argv: readonly string[]): Promise<Finished> {
	const [command = '', ...args] = [...inside(namespace), ...argv];
	const child = spawn(command, args, {stdio: ['ignore', 'pipe', 'pipe']});
	const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
	return {code: child.exitCode ?? child.signalCode, stdout, stderr};
}

/** The command line of one of our programs, under this Node. */
export function program(name: 'lbd' | 'lbctl'): string[] {
	return [process.execPath, fileURLToPath(new URL(`../../../bin/${name}`, import.meta.url))];
}

/** `lbctl …` on the balancer. */
export function lbctl(balancer: Balancer, ...args: string[]): Promise<Finished> {
	return finish(balancer, [...program('lbctl'), '--name', balancer.daemonName, ...args]);
}

/** The daemon, as lbctl asks it: for what is asked so often that the starts of lbctl would keep the machine busy. */
export function daemonOf({daemonName}: Balancer): ControlClient {
	return new ControlClient(daemonName);
}

/** What the daemon says of the reference job's first instance. */
export async function external(balancer: Balancer): Promise<InstanceReport | undefined> {
	const {instances} = await daemonOf(balancer).call('vrrp', null);
	return instances.find(({instance}) => instance === 'external');
}

/** What the daemon says of the connections that it shares with its peers. */
export async function sharing(balancer: Balancer): Promise<SharingReport | null> {
	return (await daemonOf(balancer).call('status', null)).sharing;
}

/** Resolves when one of two is master of everything and the other one has heard it. */
export async function onlyMaster(master: Balancer, other: Balancer): Promise<void> {
	const look = async () => (await master.isMaster()) && (await other.vips()).length === 0;
	const seen = () => `${master.log()}\n${other.log()}`;
	await waitFor(`${master.name} is the only master`, look, {seen});
}

/** The reference job's only service, as `lbctl services` has it. */
export async function service(balancer: Balancer): Promise<ServiceRow> {
	const [row] = (await balancer.lbctl('services')) as ServiceRow[];
	if (row === undefined) throw new Error(`${balancer.name} has no service`);
	return row;
}

/** What a web server is called in the configuration and by lbctl: address and port. */
export function backendName(server: string): string {
	const node = Object.values(nodes).find(({name}) => name === server);
	return `${node?.nics[0]?.address}:80`;
}

/** A web server as `lbctl backends` has it. */
export async function backend(balancer: Balancer, server: WebServerName): Promise<BackendRow> {
	const rows = (await balancer.lbctl('backends')) as BackendRow[];
	const row = rows.find(({backend: name}) => name === backendName(server));
	if (row === undefined) throw new Error(`${balancer.name} has no backend ${server}`);
	return row;
}

/** Whether a backend gets connections: it is up, and the way to it is known. */
export function isServing({state, nextHop}: BackendRow): boolean {
	return state === 'up' && nextHop !== null;
}

/** Resolves when all backends get connections. */
export async function allServe(balancer: Balancer): Promise<void> {
	const look = async () => ((await balancer.lbctl('backends')) as BackendRow[]).every(isServing);
	await waitFor(`all backends of ${balancer.name} serve`, look, {seen: () => balancer.log()});
}

/** One CPU's counters of one service, as `lbctl --json maps dump verdicts` prints them. */
export interface CountersOfCpu {
	/** CPU times the services there is room for, plus the service's id. */
	readonly key: number;
	readonly value: {readonly packets: readonly number[]};
}

/** The program's own counters. */
export async function countersByCpu(balancer: Balancer): Promise<CountersOfCpu[]> {
	return (await balancer.lbctl('maps', 'dump', 'verdicts', '--limit', '0')) as CountersOfCpu[];
}

/** How many packets of all services met one verdict so far. */
export async function met(balancer: Balancer, verdict: keyof typeof Verdict): Promise<number> {
	const counters = await countersByCpu(balancer);
	return counters.reduce((sum, {value}) => sum + (value.packets[Verdict[verdict]] ?? 0), 0);
}

interface Line {
	readonly msg: string;
	/** Of what lbd logs: ISO 8601, by the wall clock. */
	readonly time?: string;
}

/** The lines of the balancer's log, without the first `skip`. */
function lines(balancer: Balancer, skip: number): Line[] {
	const all = balancer.log(Number.POSITIVE_INFINITY).split('\n');
	const written = all.filter(line => line !== '').slice(skip);
	return written.map(line => (/^\{.*\}$/.test(line) ? JSON.parse(line) : {msg: line}));
}

/** The sentences of the balancer's log, without the first `skip`. */
export function sentences(balancer: Balancer, skip = 0): string[] {
	return lines(balancer, skip).map(({msg}) => String(msg));
}

/** When the log first had this sentence, in ms of wall-clock time; null: it has not. */
export function saidAt(balancer: Balancer, sentence: string, skip = 0): number | null {
	const found = lines(balancer, skip).find(({msg}) => msg === sentence);
	return found?.time === undefined ? null : Date.parse(found.time);
}

/** What a daemon may leave behind. */
export interface Traces {
	readonly vips: readonly string[];
	/** NICs that carry an XDP program. */
	readonly xdp: readonly string[];
	readonly pinned: boolean;
	readonly socket: boolean;
	readonly programs: number;
}

export const noTraces: Traces = {vips: [], xdp: [], pinned: false, socket: false, programs: 0};

/** What is there of the balancer's daemon, or of one with another name on the same machine. */
export async function traces(balancer: Balancer, name = balancer.daemonName): Promise<Traces> {
	const links: {readonly ifname: string; readonly xdp?: object}[] = JSON.parse(
		await run(['ip', '-n', balancer.namespace, '-json', 'link']),
	);
	return {
		vips: await balancer.vips(),
		xdp: links.filter(({xdp}) => xdp !== undefined).map(({ifname}) => ifname),
		pinned: existsSync(`/sys/fs/bpf/lbd/${name}`),
		socket: existsSync(controlSocketOf(name)),
		programs: inhabitants([balancer.namespace]).length,
	};
}
