import {type ChildProcess, spawn} from 'node:child_process';
import {readFileSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {inside} from '../../lab/namespace.js';
import {inhabitants} from '../../lab/proc.js';
import {run} from '../../lab/run.js';
import {waitFor} from '../../lab/wait.js';
import {readConfig} from '../../src/conf/read.js';
import {realFiles} from '../../src/host/real/files.js';
import {realHost} from '../../src/host/real/host.js';
import {AH_PROTOCOL} from '../../src/net/ip-auth.js';
import {VRRP_PROTOCOL} from '../../src/net/vrrp-packet.js';
import {TrackerRunner} from '../../src/track/runner.js';
import {vrrpConfig} from '../../src/vrrp/protocol.js';
import {FakeLog} from '../fake/log.js';
import {ended, killed, VrrpRouter} from '../lab/vrrp-router.js';
import type {End} from './lan.js';

export type Program = 'keepalived' | 'ours';

/** A router of either program, with the same file; it may be started again after its end. */
export interface Router {
	/** Resolves when it hears others, and its timers run. */
	start(): Promise<void>;
	/** SIGTERM. */
	stop(): Promise<void>;
	/** SIGKILL to all that there is of it. */
	kill(): Promise<void>;
	/** How late its latest timer was, in milliseconds; null: it does not say. */
	latenessMs(): Promise<number | null>;
}

/** One end of a segment with its router, its configuration and what ails it. */
export class Node {
	readonly end: End;
	readonly #router: Router;
	readonly #ailment: string;
	runs = false;

	constructor(end: End, options: {program: Program; directory: string; configure(test: string): string}) {
		const {program, directory, configure} = options;
		const path = join(directory, `${end.namespace}.conf`);
		this.end = end;
		this.#ailment = join(directory, `${end.namespace}.broken`);
		writeFileSync(path, configure(`/usr/bin/test ! -e ${this.#ailment}`));
		this.#router = program === 'keepalived' ? new Keepalived(end, path) : new Ours(end, path);
	}

	async start(): Promise<void> {
		this.runs = true;
		await this.#router.start();
	}

	async stop(): Promise<void> {
		this.runs = false;
		await this.#router.stop();
	}

	async kill(): Promise<void> {
		this.runs = false;
		await this.#router.kill();
	}

	/** What its script looks at. */
	setAilment(ails: boolean): void {
		if (ails) writeFileSync(this.#ailment, '');
		else rmSync(this.#ailment, {force: true});
	}

	/** Whether it runs and all the addresses are on its interface. */
	async holds(vips: readonly string[]): Promise<boolean> {
		const held = await this.#held();
		return vips.every(vip => held.has(vip));
	}

	async holdsAny(vips: readonly string[]): Promise<boolean> {
		const held = await this.#held();
		return vips.some(vip => held.has(vip));
	}

	pids(): number[] {
		return inhabitants([this.end.namespace]).map(({pid}) => pid);
	}

	async latenessMs(): Promise<number | null> {
		return this.runs ? this.#router.latenessMs() : null;
	}

	async #held(): Promise<ReadonlySet<string>> {
		if (!this.runs) return new Set();
		const text = await run(['ip', '-n', this.end.namespace, '-json', 'address', 'show', 'dev', 'eth0']);
		const [link]: {addr_info: {local: string}[]}[] = JSON.parse(text);
		return new Set(link?.addr_info.map(({local}) => local));
	}
}

function launch({namespace}: End, argv: readonly string[]): ChildProcess {
	const [command = '', ...args] = [...inside(namespace), ...argv];
	return spawn(command, args, {stdio: 'ignore'});
}

/** Whether somebody in a program's network takes adverts, with or without AH (RFC 2402) around them: a raw socket's "port" is its protocol. */
export function listens({pid}: ChildProcess): boolean {
	const sockets = ['raw', 'raw6'].map(table => readFileSync(`/proc/${pid}/net/${table}`, 'latin1')).join('');
	const ports = [VRRP_PROTOCOL, AH_PROTOCOL].map(protocol => `:${protocol.toString(16).padStart(4, '0')} `);
	return ports.some(port => sockets.includes(port));
}

class Keepalived implements Router {
	readonly #end: End;
	readonly #path: string;
	#process: ChildProcess | null = null;

	constructor(end: End, path: string) {
		this.#end = end;
		this.#path = path;
	}

	async start(): Promise<void> {
		const [pid, vrrpPid] = [`${this.#path}.pid`, `${this.#path}.vrrp.pid`];
		// A killed one leaves them, and a new one believes them while anybody has that number.
		for (const file of [pid, vrrpPid]) rmSync(file, {force: true});
		const argv = ['keepalived', '-n', '-G', '-P', '-f', this.#path, '-p', pid, '-r', vrrpPid];
		const child = launch(this.#end, argv);
		this.#process = child;
		await waitFor('keepalived listens', () => listens(child));
	}

	async stop(): Promise<void> {
		if (this.#process !== null) await ended(this.#process, 'SIGTERM');
		this.#process = null;
	}

	async kill(): Promise<void> {
		if (this.#process !== null) await killed(this.#process);
		this.#process = null;
	}

	async latenessMs(): Promise<null> {
		return null;
	}
}

/** Reads the file as the daemon does, and watches its trackers as the daemon does. */
class Ours implements Router {
	readonly #end: End;
	readonly #path: string;
	#process: VrrpRouter | null = null;
	#trackers: TrackerRunner | null = null;

	constructor(end: End, path: string) {
		this.#end = end;
		this.#path = path;
	}

	async start(): Promise<void> {
		const {config, diagnostics} = readConfig(this.#path, realFiles);
		if (config === null) throw new Error(diagnostics.map(({text}) => text).join('\n'));
		const daemon = this.#end.namespace;
		const router = new VrrpRouter(daemon, `${this.#path}.vrrp`, {realTime: false});
		this.#process = router;
		this.#trackers = new TrackerRunner({host: realHost, log: new FakeLog(), onReport: report => router.track(report)});
		await router.put(vrrpConfig(daemon, config));
		this.#trackers.configure(config.trackers);
	}

	async stop(): Promise<void> {
		this.#trackers?.stop();
		await this.#process?.stop();
		this.#process = null;
	}

	async kill(): Promise<void> {
		this.#trackers?.stop();
		await this.#process?.kill();
		this.#process = null;
	}

	async latenessMs(): Promise<number> {
		const {instances} = (await this.#process?.status()) ?? {instances: []};
		return Math.max(...instances.map(({timerLatenessMaxUs}) => timerLatenessMaxUs)) / 1000;
	}
}
