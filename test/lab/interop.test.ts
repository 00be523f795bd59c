/**
 * Our VRRP process and Debian's keepalived on one wire: two network namespaces and a veth pair. Needs root and
 * keepalived; says so where it has to skip.
 */
import {type ChildProcess, execFileSync, spawn, spawnSync} from 'node:child_process';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import test, {type ExecutionContext} from 'ava';
import type {Instance} from '../../src/conf/model.js';
import type {Subprocesses} from '../../src/host/host.js';
import {realClock} from '../../src/host/real/clock.js';
import {VrrpChild} from '../../src/vrrp/child.js';
import {FakeLog} from '../fake/log.js';
import {instance, multicastGroups} from '../vrrp/segment.js';
import type {Observation} from './observer.js';

const PROGRAM = fileURLToPath(new URL('../../src/vrrp/main.js', import.meta.url));
const OBSERVER = fileURLToPath(new URL('./observer.js', import.meta.url));
/** Longer than any wait of VRRP here, on a machine that is busy with other tests. */
const WAIT_MS = 15_000;
const VIP = '192.168.1.1';
const [OURS, THEIRS] = ['192.168.1.10', '192.168.1.11'];

const missing =
	process.getuid?.() !== 0 ? 'root' : spawnSync('keepalived', ['--version']).error === undefined ? null : 'keepalived';
if (missing !== null) process.stderr.write(`interop with keepalived is skipped: needs ${missing}\n`);
const interop = missing === null ? test.serial : test.skip;

/** The two ends of the wire, and whoever runs there. */
class Wire {
	readonly #name = `vr-${process.pid}`;
	readonly #directory = mkdtempSync(join(tmpdir(), 'vr-'));
	readonly #children: ChildProcess[] = [];
	readonly #ours: Ours[] = [];
	readonly observations: Observation[] = [];
	readonly #waiting = new Set<() => void>();
	readonly ours = `${this.#name}-a`;
	readonly theirs = `${this.#name}-b`;

	constructor() {
		for (const end of [this.ours, this.theirs]) ip('netns', 'add', end);
		ip('-n', this.ours, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', this.theirs);
		for (const [end, address] of [
			[this.ours, OURS],
			[this.theirs, THEIRS],
		] as const) {
			ip('-n', end, 'address', 'add', `${address}/24`, 'dev', 'eth0');
			ip('-n', end, 'link', 'set', 'eth0', 'up');
		}
	}

	/** Watches the far end: keepalived's addresses, and all frames of both. */
	async observe(): Promise<void> {
		const child = this.spawn(this.theirs, [process.execPath, OBSERVER, 'eth0'], true);
		child.on('message', message => {
			this.observations.push(message as Observation);
			for (const check of this.#waiting) check();
		});
		await this.sees('the observer start', observation => observation.kind === 'ready');
	}

	/** Resolves with the first observation, from the given one on, that fits. */
	sees<Kind extends Observation['kind']>(
		what: string,
		fits: (observation: Observation) => boolean,
		from = 0,
	): Promise<Extract<Observation, {kind: Kind}>> {
		return new Promise((resolve, reject) => {
			const check = (): void => {
				const found = this.observations.slice(from).find(fits);
				if (found === undefined) return;
				finish();
				resolve(found as Extract<Observation, {kind: Kind}>);
			};
			const deadline = AbortSignal.timeout(WAIT_MS);
			const expire = (): void => {
				finish();
				const last = this.observations.slice(-10).map(observation => JSON.stringify(observation));
				reject(new Error(`did not see ${what}; last:\n${last.join('\n')}`));
			};
			const finish = (): void => {
				this.#waiting.delete(check);
				deadline.removeEventListener('abort', expire);
			};
			deadline.addEventListener('abort', expire);
			this.#waiting.add(check);
			check();
		});
	}

	seesAdvert(source: string, from = 0, priority?: number): Promise<Extract<Observation, {kind: 'advert'}>> {
		return this.sees<'advert'>(
			`an advert of ${source}`,
			seen => seen.kind === 'advert' && seen.source === source && (priority ?? seen.priority) === seen.priority,
			from,
		);
	}

	seesAddress(removed: boolean, from = 0): Promise<Extract<Observation, {kind: 'address'}>> {
		return this.sees<'address'>(
			`keepalived ${removed ? 'remove' : 'add'} the address`,
			seen => seen.kind === 'address' && seen.address === VIP && seen.removed === removed,
			from,
		);
	}

	/** Starts keepalived at the far end. */
	keepalived(options: {priority: number; password?: string; version?: 2 | 3; advert?: string}): ChildProcess {
		const file = join(this.#directory, 'keepalived.conf');
		const authentication =
			options.version === 3
				? ''
				: `authentication {
					auth_type PASS
					auth_pass ${options.password ?? '1215'}
				}`;
		writeFileSync(
			file,
			`vrrp_instance external {
				state BACKUP
				interface eth0
				version ${options.version ?? 2}
				virtual_router_id 91
				priority ${options.priority}
				advert_int ${options.advert ?? 1}
				${authentication}
				virtual_ipaddress { ${VIP}/24 }
			}\n`,
		);
		const pidFiles = ['-p', join(this.#directory, 'pid'), '-r', join(this.#directory, 'vrrp.pid')];
		return this.spawn(this.theirs, ['keepalived', '-n', '-G', '-P', '-f', file, ...pidFiles], false);
	}

	/** Starts `lbd-vrrp` at the near end. */
	async vrrp(changes: Partial<Instance>): Promise<Ours> {
		const ours = new Ours(this);
		this.#ours.push(ours);
		await ours.configure(changes);
		return ours;
	}

	spawn(end: string, command: readonly string[], ipc: boolean): ChildProcess {
		const child = spawn('nsenter', [`--net=/run/netns/${end}`, ...command], {
			stdio: ['ignore', 'ignore', 'inherit', ...(ipc ? (['ipc'] as const) : [])],
		});
		this.#children.push(child);
		return child;
	}

	/** Whether the address is on the near end. */
	weOwn(): boolean {
		return ip('-n', this.ours, '-4', 'address', 'show', 'dev', 'eth0').includes(`${VIP}/`);
	}

	async remove(): Promise<void> {
		await Promise.all(this.#ours.map(ours => ours.stop()));
		await Promise.all(this.#children.map(child => ended(child, 'SIGTERM')));
		for (const end of [this.ours, this.theirs]) ip('netns', 'delete', end);
		rmSync(this.#directory, {recursive: true});
	}
}

/** The daemon's side of our process in the near namespace. */
class Ours {
	readonly log = new FakeLog();
	readonly #child: VrrpChild;
	process: ChildProcess | undefined;

	constructor(wire: Wire) {
		const processes: Subprocesses = {
			startVrrp: ({onMessage, onExit}) => {
				const child = wire.spawn(wire.ours, ['chrt', '-f', '10', process.execPath, PROGRAM], true);
				child.on('message', onMessage);
				child.on('exit', code => onExit(`exit code ${code}`));
				this.process = child;
				return {send: message => void child.send(message), kill: () => void child.kill('SIGKILL')};
			},
		};
		this.#child = new VrrpChild({
			processes,
			clock: realClock,
			log: this.log,
			events: {onTransition: () => {}, onFatal: () => {}},
		});
	}

	configure(changes: Partial<Instance>): Promise<void> {
		return this.#child.configure({instances: [instance(changes)], syncGroups: [], multicastGroups});
	}

	status() {
		return this.#child.status();
	}

	stop(): Promise<void> {
		return this.#child.stop();
	}
}

function ip(...args: readonly string[]): string {
	return execFileSync('ip', args, {encoding: 'utf8'});
}

/** Ends a process with a signal, and with SIGKILL should it not listen. */
function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
	if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
	return new Promise(resolve => {
		const deadline = AbortSignal.timeout(WAIT_MS);
		deadline.addEventListener('abort', () => child.kill('SIGKILL'));
		child.on('exit', () => resolve());
		if (child.connected) child.disconnect();
		child.kill(signal);
	});
}

async function onWire(t: ExecutionContext, run: (wire: Wire) => Promise<void>): Promise<void> {
	t.timeout(4 * WAIT_MS);
	const wire = new Wire();
	try {
		await wire.observe();
		await run(wire);
	} finally {
		await wire.remove();
	}
}

interop('as master: keepalived obeys, takes over on our resignation, and gives way on our return', t =>
	onWire(t, async wire => {
		const ours = await wire.vrrp({priority: 200});
		t.like(await wire.seesAdvert(OURS, 0, 200), {tos: 0xc0, fragment: 0}, 'as keepalived sends them');
		t.true((await ours.status()).realTime);
		await wire.sees('our announcement', seen => seen.kind === 'announcement' && seen.address === VIP);
		wire.keepalived({priority: 100});
		await wire.sees('keepalived listen', seen => seen.kind === 'join' && seen.source === THEIRS);
		await wire.seesAdvert(OURS, wire.observations.length);
		t.true(wire.weOwn());

		await ours.stop();
		t.false(wire.weOwn());
		const resigned = await wire.seesAdvert(OURS, 0, 0);
		const taken = await wire.seesAddress(false);
		t.true(taken.atMs - resigned.atMs < 1_000, 'skew time alone');

		const seen = wire.observations.length;
		const back = await wire.vrrp({priority: 200});
		await wire.seesAddress(true, seen);
		t.true(wire.weOwn());
		t.is((await back.status()).instances[0]?.role, 'master');
		t.true(back.log.lines.includes('info (external) Entering MASTER STATE'));
	}),
);

interop('as backup: we obey keepalived, take over on its resignation, and give way on its return', t =>
	onWire(t, async wire => {
		const theirs = wire.keepalived({priority: 200});
		await wire.seesAdvert(THEIRS, 0, 200);
		const ours = await wire.vrrp({priority: 100});
		const heard = wire.observations.length;
		await wire.seesAdvert(THEIRS, heard, 200);
		t.false(wire.weOwn());
		t.deepEqual((await ours.status()).instances[0]?.master, {address: THEIRS, priority: 200});

		await ended(theirs, 'SIGTERM');
		const resigned = await wire.seesAdvert(THEIRS, heard, 0);
		const taken = await wire.seesAdvert(OURS, heard, 100);
		t.true(taken.atMs - resigned.atMs < 1_000, 'skew time alone');

		const seen = wire.observations.length;
		wire.keepalived({priority: 200});
		await wire.seesAddress(false, seen);
		await wire.seesAdvert(THEIRS, wire.observations.length);
		t.false(wire.weOwn());
	}),
);

interop('another password is another router: ignored and counted', t =>
	onWire(t, async wire => {
		wire.keepalived({priority: 200, password: 'other'});
		await wire.seesAdvert(THEIRS, 0, 200);
		const ours = await wire.vrrp({priority: 100});
		await wire.seesAdvert(OURS, 0, 100);
		await wire.seesAdvert(THEIRS, wire.observations.length, 200);
		const [status] = (await ours.status()).instances;
		t.is(status?.role, 'master');
		t.true((status?.refused['bad-password'] ?? 0) > 0);
	}),
);

interop('version 3 in both directions', t =>
	onWire(t, async wire => {
		const changes = {version: 3, advertUs: 100_000, password: null} as const;
		const theirs = wire.keepalived({priority: 150, version: 3, advert: '0.1'});
		await wire.seesAdvert(THEIRS, 0, 150);
		const ours = await wire.vrrp({...changes, priority: 100});
		const heard = wire.observations.length;
		await wire.seesAdvert(THEIRS, heard, 150);
		t.is((await ours.status()).instances[0]?.role, 'backup');
		await ours.configure({...changes, priority: 200});
		await wire.seesAddress(true, heard);
		t.is((await ours.status()).instances[0]?.role, 'master');
		t.is(theirs.exitCode, null);
	}),
);

interop('when the daemon dies, its VRRP process resigns and leaves no address behind', t =>
	onWire(t, async wire => {
		const ours = await wire.vrrp({priority: 200});
		await wire.seesAdvert(OURS, 0, 200);
		const exited = new Promise(resolve => ours.process?.on('exit', resolve));
		ours.process?.disconnect();
		t.is(await exited, 0);
		await wire.seesAdvert(OURS, 0, 0);
		t.false(wire.weOwn());
	}),
);

interop('an interface that does not exist is refused by name', t =>
	onWire(t, async wire => {
		const error = await t.throwsAsync(wire.vrrp({interface: 'eth9'}), {code: 'vrrp'});
		t.regex(error?.message ?? '', /interface eth9: ENODEV/);
	}),
);
