/** Carries out what the plan says, and takes it back. */
import {existsSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import type {Balancer} from '../../lab/balancer.js';
import type {Lab} from '../../lab/lab.js';
import {type Identity, signal} from '../../lab/proc.js';
import {run} from '../../lab/run.js';
import {type BalancerName, externalVip, macOf, nodes, prefix, type WebServerName} from '../../lab/topology.js';
import {monotonicMs, waitFor} from '../../lab/wait.js';
import type {ReloadOutcome} from '../../src/control/protocol.js';
import {ExitCode} from '../../src/errors.js';
import {lbctl} from '../lab/observe.js';
import {badConfiguration, configurationOf, HEALTH_PAGE} from './configuration.js';
import {REPAIR_MS} from './judge.js';
import type {Action, Edit, Episode, Part, Tampered} from './plan.js';

export interface Performed {
	readonly action: Action;
	readonly beganMs: number;
	readonly endedMs: number;
}

const balancers: readonly BalancerName[] = ['lb1', 'lb2'];
/** What a busy machine takes to start a balancer. */
const START_MS = 60_000;
const OTHER_MAC = {web1: '02:00:5e:00:53:01', web2: '02:00:5e:00:53:02'} as const;

export class Stage {
	readonly #lab: Lab;
	readonly #edits = new Set<Edit>();
	readonly #removed = new Set<WebServerName>();
	/** Frozen, killed or about to start: nobody answers lbctl there. */
	readonly #silent = new Set<BalancerName>();
	/** How often each has become so. */
	readonly #silences: Record<BalancerName, number> = {lb1: 0, lb2: 0};
	readonly #tell: (what: string) => void;
	/** What went wrong with the actions themselves: exit codes, repairs. */
	readonly #faults: string[] = [];
	/** Reloads follow one another. */
	#files: Promise<void> = Promise.resolve();

	constructor(lab: Lab, tell: (what: string) => void) {
		this.#lab = lab;
		this.#tell = tell;
	}

	/** Plays an episode; resolves when everything has been taken back, which does not mean that all is well. */
	async play({steps}: Episode): Promise<Performed[]> {
		const startMs = monotonicMs();
		const performed = await Promise.all(
			steps.map(async ({atMs, action}) => {
				await pause(Math.max(0, startMs + atMs - monotonicMs()));
				const beganMs = monotonicMs();
				await this.#perform(action);
				return {action, beganMs, endedMs: monotonicMs()};
			}),
		);
		// What a balancer has missed while it was silent.
		await this.#inForce(() => {});
		return performed;
	}

	/** Faults since the last call. */
	faults(): string[] {
		return this.#faults.splice(0);
	}

	async #perform(action: Action): Promise<void> {
		const back = await this.#begin(action);
		if (back === null) return;
		if ('forMs' in action) await pause(action.forMs);
		await back();
	}

	/** Resolves to what takes it back, or null: there is nothing to take back. */
	async #begin(action: Action): Promise<(() => Promise<void>) | null> {
		switch (action.kind) {
			case 'kill':
				return this.#kill(this.#lab[action.node], action.part);
			case 'kill-child':
				this.#signal(this.#lab[action.node], action.part, 'SIGKILL');
				return null;
			case 'power-loss':
				return this.#powerLoss(this.#lab[action.node]);
			case 'stop':
				return this.#stop(this.#lab[action.node]);
			case 'freeze':
				return this.#freeze(this.#lab[action.node], action.part);
			case 'pull-cable':
				await this.#lab[action.node].linkDown(action.device);
				return () => this.#lab[action.node].linkUp(action.device);
			case 'release':
				return this.#release();
			case 'delete-address':
				await run([
					'ip',
					'-n',
					this.#lab[action.node].namespace,
					'address',
					'delete',
					`${externalVip}/${prefix}`,
					'dev',
					'eth0',
				]);
				return null;
			case 'stop-server':
				await this.#lab[action.server].stop();
				return () => this.#lab[action.server].start();
			case 'fail-check':
				rmSync(healthPage(this.#lab, action.server));
				return async () => writeHealthPage(this.#lab, action.server);
			case 'remove-backend':
				await this.#inForce(() => this.#removed.add(action.server));
				return () => this.#inForce(() => this.#removed.delete(action.server));
			case 'move-neighbour':
				await this.#move(action.server, OTHER_MAC[action.server]);
				return () => this.#move(action.server, macOf(nodes[action.server].nics[0]?.address ?? ''));
			case 'edit':
				await this.#inForce(() => this.#edits.add(action.edit));
				return () => this.#inForce(() => this.#edits.delete(action.edit));
			case 'bad-file':
				await this.#refused();
				return null;
			case 'tamper':
				await this.#tamper(this.#lab[action.node], action.what);
				return null;
		}
		return action satisfies never;
	}

	#silence({name}: Balancer): void {
		this.#silent.add(name);
		this.#silences[name]++;
	}

	async #kill(balancer: Balancer, part: 'lbd' | 'everything'): Promise<() => Promise<void>> {
		this.#silence(balancer);
		await (part === 'lbd' ? balancer.killAlone() : balancer.kill('SIGKILL'));
		return () => this.#start(balancer);
	}

	async #powerLoss(balancer: Balancer): Promise<() => Promise<void>> {
		this.#silence(balancer);
		await Promise.all([balancer.kill('SIGKILL'), balancer.linkDown('eth0'), balancer.linkDown('eth1')]);
		return async () => {
			await Promise.all([balancer.linkUp('eth0'), balancer.linkUp('eth1')]);
			await this.#start(balancer);
		};
	}

	async #stop(balancer: Balancer): Promise<() => Promise<void>> {
		this.#silence(balancer);
		await balancer.stop();
		if (balancer.exitReason !== ExitCode.ok)
			this.#faults.push(`${balancer.name}: SIGTERM: ended with ${balancer.exitReason}`);
		return () => this.#start(balancer);
	}

	async #start(balancer: Balancer): Promise<void> {
		await balancer.start();
		this.#silent.delete(balancer.name);
	}

	#freeze(balancer: Balancer, part: Part): () => Promise<void> {
		if (part === 'everything' || part === 'lbd') this.#silence(balancer);
		const frozen = this.#signal(balancer, part, 'SIGSTOP');
		return async () => {
			for (const identity of frozen) signal(identity, 'SIGCONT');
			this.#silent.delete(balancer.name);
		};
	}

	/** To programs that must be there. */
	#signal(balancer: Balancer, part: Part, name: NodeJS.Signals): Identity[] {
		const programs = balancer.programs().filter(program => part === 'everything' || program.name === part);
		if (programs.length === 0) this.#faults.push(`${balancer.name}: ${part} does not run`);
		const identities = programs.map(({identity}) => identity);
		for (const identity of identities) signal(identity, name);
		return identities;
	}

	async #release(): Promise<() => Promise<void>> {
		await this.#expect(this.#lab.lb1, ExitCode.ok, 'vrrp', 'release', 'VRRP1');
		return () => this.#expect(this.#lab.lb1, ExitCode.ok, 'vrrp', 'reclaim', 'VRRP1');
	}

	async #move(server: WebServerName, mac: string): Promise<void> {
		await this.#lab.run(server, 'sysctl', '-qw', 'net.ipv4.conf.eth0.arp_notify=1');
		await this.#lab.run(server, 'ip', 'link', 'set', 'eth0', 'address', mac);
	}

	/** Changes the files of both balancers and puts them in force where somebody listens; the others read theirs at their start. */
	#inForce(change: () => void): Promise<void> {
		return this.#oneAtATime(async () => {
			change();
			for (const name of balancers) {
				this.#lab[name].configure(configurationOf(name, this.#edits, this.#removed));
				await this.#reload(this.#lab[name]);
			}
		});
	}

	async #reload(balancer: Balancer): Promise<void> {
		if (this.#silent.has(balancer.name)) return;
		const before = this.#silences[balancer.name];
		const {code, stdout, stderr} = await lbctl(balancer, '--json', 'reload');
		if (before !== this.#silences[balancer.name]) return;
		if (code !== ExitCode.ok) this.#faults.push(`${balancer.name}: lbctl reload: exit ${code}: ${stdout}${stderr}`);
	}

	/** A file with an error changes nothing and says so, on both. */
	#refused(): Promise<void> {
		return this.#oneAtATime(async () => {
			for (const name of balancers) {
				const balancer = this.#lab[name];
				if (this.#silent.has(name)) continue;
				const before = this.#silences[name];
				balancer.configure(badConfiguration(name));
				const {code, stdout} = await lbctl(balancer, '--json', 'reload');
				balancer.configure(configurationOf(name, this.#edits, this.#removed));
				if (before !== this.#silences[name]) continue;
				const outcome = code === ExitCode.badValue ? (JSON.parse(stdout) as ReloadOutcome) : null;
				if (outcome === null || outcome.applied || outcome.changes.length > 0)
					this.#faults.push(`${name}: lbctl reload of a bad file: exit ${code}: ${stdout}`);
			}
		});
	}

	/** Deletes what the daemon has to put back, and waits until it has. */
	async #tamper(balancer: Balancer, what: Tampered): Promise<void> {
		const isWhole = what === 'pin' ? removePin(balancer) : await deleteEntries(balancer, what);
		let sinceMs = monotonicMs();
		await waitFor(
			`${what} of ${balancer.name} is repaired`,
			() => {
				// The ten seconds are those of a daemon that runs.
				if (this.#silent.has(balancer.name)) sinceMs = monotonicMs();
				return isWhole();
			},
			{timeoutMs: START_MS + REPAIR_MS, everyMs: 100, seen: () => balancer.log()},
		);
		const ms = monotonicMs() - sinceMs;
		this.#tell(`${what} of ${balancer.name} repaired after ${Math.round(ms)} ms`);
		if (ms > REPAIR_MS) this.#faults.push(`${balancer.name}: ${what} was repaired after ${Math.round(ms)} ms only`);
	}

	async #expect(balancer: Balancer, expected: ExitCode, ...args: string[]): Promise<void> {
		const {code, stdout, stderr} = await lbctl(balancer, ...args);
		if (code !== expected)
			this.#faults.push(`${balancer.name}: lbctl ${args.join(' ')}: exit ${code}: ${stdout}${stderr}`);
	}

	#oneAtATime(work: () => Promise<void>): Promise<void> {
		const done = this.#files.then(work);
		this.#files = done.catch(() => {});
		return done;
	}
}

function healthPage(lab: Lab, server: WebServerName): string {
	return join(lab[server].directory, 'put', HEALTH_PAGE);
}

export function writeHealthPage(lab: Lab, server: WebServerName): void {
	writeFileSync(healthPage(lab, server), 'in good health\n');
}

function pinsOf(balancer: Balancer): string {
	return `/sys/fs/bpf/lbd/${balancer.daemonName}`;
}

/** Returns whether it is back. */
function removePin(balancer: Balancer): () => boolean {
	const pin = join(pinsOf(balancer), 'maps', 'services_by_key');
	rmSync(pin);
	return () => existsSync(pin);
}

/** Resolves to whether all are back. */
async function deleteEntries(balancer: Balancer, map: string): Promise<() => Promise<boolean>> {
	const pin = join(pinsOf(balancer), 'maps', map);
	const keys = async (): Promise<string[][]> => {
		const entries: {readonly key: string[]}[] = JSON.parse(await run(['bpftool', '-j', 'map', 'dump', 'pinned', pin]));
		return entries.map(({key}) => key);
	};
	const before = await keys();
	for (const key of before) await run(['bpftool', 'map', 'delete', 'pinned', pin, 'key', ...key]);
	return async () => (await keys()).length === before.length;
}
