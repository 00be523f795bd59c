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
import {waitFor} from '../../lab/wait.js';
import type {Instance} from '../../src/conf/model.js';
import {instance, instance6, multicastGroups, noStatics, virtualAddress} from '../vrrp/segment.js';
import type {Observation} from './observer.js';
import {ended, killed, VrrpRouter} from './vrrp-router.js';

const OBSERVER = fileURLToPath(new URL('./observer.js', import.meta.url));
/** Longer than any wait of VRRP here, on a machine that is busy with other tests. */
const WAIT_MS = 15_000;
/** More than the skew of priority 100, 609 ms, and less than three adverts: who waits for those as well is later. */
const SKEW_ALONE_MS = 2_500;

/** What a pair shares by one of the two families, and from where its routers speak. */
interface Job {
	readonly ours: string;
	readonly theirs: string;
	readonly group: string;
	readonly vips: readonly string[];
	readonly prefix: number;
	instance(changes: Partial<Instance>): Instance;
}

const ipv4Job: Job = {
	ours: '192.168.1.10',
	theirs: '192.168.1.11',
	group: multicastGroups[4],
	vips: ['192.168.1.1'],
	prefix: 24,
	instance,
};
const ipv6Job: Job = {
	ours: 'fe80::10',
	theirs: 'fe80::11',
	group: multicastGroups[6],
	vips: ['fe80::100', '2001:db8::1'],
	prefix: 64,
	instance: instance6,
};
const {ours: OURS, theirs: THEIRS} = ipv4Job;

const missing =
	process.getuid?.() !== 0 ? 'root' : spawnSync('keepalived', ['--version']).error === undefined ? null : 'keepalived';
if (missing !== null) process.stderr.write(`interop with keepalived is skipped: needs ${missing}\n`);
const interop = missing === null ? test.serial : test.skip;

/** The two ends of the wire, and whoever runs there. */
class Wire {
	readonly #name = `vr-${process.pid}`;
	readonly directory = mkdtempSync(join(tmpdir(), 'vr-'));
	readonly #children: ChildProcess[] = [];
	readonly #ours: Ours[] = [];
	readonly observations: Observation[] = [];
	readonly #waiting = new Set<() => void>();
	readonly ours = `${this.#name}-a`;
	readonly theirs = `${this.#name}-b`;
	readonly job: Job;

	constructor(job: Job) {
		this.job = job;
		for (const end of [this.ours, this.theirs]) ip('netns', 'add', end);
		ip('-n', this.ours, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', this.theirs);
		for (const [end, address] of [
			[this.ours, job.ours],
			[this.theirs, job.theirs],
		] as const) {
			ip('-n', end, 'link', 'set', 'eth0', 'addrgenmode', 'none');
			ip('-n', end, 'address', 'add', `${address}/${job.prefix}`, 'dev', 'eth0', ...(isIpv6(job) ? ['nodad'] : []));
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
			seen => seen.kind === 'address' && seen.address === this.job.vips[0] && seen.removed === removed,
			from,
		);
	}

	/** Starts keepalived at the far end. */
	keepalived(options: {priority: number; password?: string; keywords?: string}): ChildProcess {
		const file = join(this.directory, 'keepalived.conf');
		const authentication = `authentication {
			auth_type PASS
			auth_pass ${options.password ?? '1215'}
		}`;
		writeFileSync(
			file,
			`vrrp_instance external {
				state BACKUP
				interface eth0
				virtual_router_id 91
				priority ${options.priority}
				${options.keywords ?? (isIpv6(this.job) ? '' : authentication)}
				virtual_ipaddress {
					${this.job.vips.map(vip => `${vip}/${this.job.prefix}`).join('\n')}
				}
			}\n`,
		);
		const pidFiles = ['-p', join(this.directory, 'pid'), '-r', join(this.directory, 'vrrp.pid')];
		return this.spawn(this.theirs, ['keepalived', '-n', '-G', '-P', '-f', file, ...pidFiles], false);
	}

	/** Starts `lbd-vrrp` at the near end. */
	async vrrp(changes: Partial<Instance>, dynamicInterfaces = false): Promise<Ours> {
		const ours = new Ours(this);
		this.#ours.push(ours);
		await ours.configure(changes, dynamicInterfaces);
		return ours;
	}

	spawn(end: string, command: readonly string[], ipc: boolean): ChildProcess {
		const child = spawn('nsenter', [`--net=/run/netns/${end}`, ...command], {
			stdio: ['ignore', 'ignore', 'inherit', ...(ipc ? (['ipc'] as const) : [])],
		});
		this.#children.push(child);
		return child;
	}

	/** Whether the addresses are on the near end. */
	weOwn(): boolean {
		return this.#owns(this.ours);
	}

	theyOwn(): boolean {
		return this.#owns(this.theirs);
	}

	#owns(end: string): boolean {
		const present = ip('-n', end, 'address', 'show', 'dev', 'eth0');
		const owned = this.job.vips.filter(vip => present.includes(` ${vip}/`));
		if (owned.length > 0 && owned.length < this.job.vips.length) throw new Error(`only ${owned} of ${this.job.vips}`);
		return owned.length > 0;
	}

	async remove(): Promise<void> {
		await Promise.all(this.#ours.map(ours => ours.stop()));
		await Promise.all(this.#children.map(child => ended(child, 'SIGTERM')));
		for (const end of [this.ours, this.theirs]) ip('netns', 'delete', end);
		rmSync(this.directory, {recursive: true});
	}
}

/** Our process in the near namespace, with one instance of the job. */
class Ours extends VrrpRouter {
	readonly #job: Job;

	constructor(wire: Wire) {
		super(wire.ours, join(wire.directory, 'vrrp'));
		this.#job = wire.job;
	}

	configure(changes: Partial<Instance>, dynamicInterfaces = false): Promise<void> {
		const instances = [this.#job.instance(changes)];
		return this.put({instances, syncGroups: [], multicastGroups, ...noStatics, dynamicInterfaces});
	}
}

function isIpv6({group}: Job): boolean {
	return group.includes(':');
}

function ip(...args: readonly string[]): string {
	return execFileSync('ip', args, {encoding: 'utf8'});
}

async function onWire(t: ExecutionContext, run: (wire: Wire) => Promise<void>, job = ipv4Job): Promise<void> {
	t.timeout(4 * WAIT_MS);
	const wire = new Wire(job);
	try {
		await wire.observe();
		await run(wire);
	} finally {
		await wire.remove();
	}
}

for (const [name, job] of [
	['IPv4', ipv4Job],
	['IPv6', ipv6Job],
	['IPv6 without a link-local address', {...ipv6Job, vips: ['2001:db8::1']}],
] as const) {
	const {ours: OURS, theirs: THEIRS, group} = job;
	const addresses = job.vips.map(vip => virtualAddress(vip, 'eth0'));

	interop(`${name}, as master: keepalived obeys, takes over on our resignation, and gives way on our return`, t =>
		onWire(
			t,
			async wire => {
				const ours = await wire.vrrp({priority: 200, addresses});
				t.like(await wire.seesAdvert(OURS, 0, 200), {tos: 0xc0, fragment: 0}, 'as keepalived sends them');
				t.true((await ours.status()).realTime);
				for (const vip of job.vips) {
					await wire.sees(`our announcement of ${vip}`, seen => seen.kind === 'announcement' && seen.address === vip);
				}
				wire.keepalived({priority: 100});
				const listens = (seen: Observation) => seen.kind === 'join' && seen.source === THEIRS && seen.group === group;
				await wire.sees('keepalived listen', listens);
				await wire.seesAdvert(OURS, wire.observations.length);
				t.true(wire.weOwn());

				await ours.stop();
				t.false(wire.weOwn());
				const resigned = await wire.seesAdvert(OURS, 0, 0);
				const taken = await wire.seesAddress(false);
				t.true(taken.atMs - resigned.atMs < SKEW_ALONE_MS, 'skew time alone');

				const seen = wire.observations.length;
				const back = await wire.vrrp({priority: 200, addresses});
				await wire.seesAddress(true, seen);
				t.true(wire.weOwn());
				t.is((await back.status()).instances[0]?.role, 'master');
				t.true(back.log.lines.includes('info (external) Entering MASTER STATE'));
			},
			job,
		),
	);

	interop(`${name}, as backup: we obey keepalived, take over on its resignation, and give way on its return`, t =>
		onWire(
			t,
			async wire => {
				const theirs = wire.keepalived({priority: 200});
				await wire.seesAdvert(THEIRS, 0, 200);
				const ours = await wire.vrrp({priority: 100, addresses});
				const heard = wire.observations.length;
				await wire.seesAdvert(THEIRS, heard, 200);
				t.false(wire.weOwn());
				const [status] = (await ours.status()).instances;
				t.deepEqual(status?.master, {address: THEIRS, priority: 200});
				t.deepEqual(status?.refused, {});

				await ended(theirs, 'SIGTERM');
				const resigned = await wire.seesAdvert(THEIRS, heard, 0);
				const taken = await wire.seesAdvert(OURS, heard, 100);
				t.true(taken.atMs - resigned.atMs < SKEW_ALONE_MS, 'skew time alone');

				const seen = wire.observations.length;
				wire.keepalived({priority: 200});
				await wire.seesAddress(false, seen);
				await wire.seesAdvert(THEIRS, wire.observations.length);
				await waitFor('we let go', async () => !wire.weOwn(), {timeoutMs: WAIT_MS});
			},
			job,
		),
	);
}

interop('another password is another router: ignored and counted', t =>
	onWire(t, async wire => {
		wire.keepalived({priority: 200, password: 'other'});
		await wire.seesAdvert(THEIRS, 0, 200);
		const ours = await wire.vrrp({priority: 100});
		await wire.seesAdvert(OURS, 0, 100);
		await wire.seesAdvert(OURS, wire.observations.length, 100);
		// Its adverts are no sign: each of ours that it refuses puts its next one off.
		t.true(wire.theyOwn(), 'keepalived does not obey us, either');
		const [status] = (await ours.status()).instances;
		t.is(status?.role, 'master');
		t.true((status?.refused['bad-password'] ?? 0) > 0);
	}),
);

for (const [name, job] of [
	['IPv4', ipv4Job],
	['IPv6', ipv6Job],
] as const) {
	interop(`${name}, version 3 in both directions, ten adverts a second`, t =>
		onWire(
			t,
			async wire => {
				const changes = {version: 3, advertUs: 100_000, password: null} as const;
				const theirs = wire.keepalived({priority: 150, keywords: 'version 3\nadvert_int 0.1'});
				await wire.seesAdvert(job.theirs, 0, 150);
				const ours = await wire.vrrp({...changes, priority: 100});
				const heard = wire.observations.length;
				await wire.seesAdvert(job.theirs, heard, 150);
				t.is((await ours.status()).instances[0]?.role, 'backup');
				await ours.configure({...changes, priority: 200});
				await wire.seesAddress(true, heard);
				t.is((await ours.status()).instances[0]?.role, 'master');
				t.is(theirs.exitCode, null);
			},
			job,
		),
	);
}

for (const [name, job, keywords] of [
	['IPv4', ipv4Job, 'authentication {\nauth_type PASS\nauth_pass 1215\n}'],
	['IPv6', ipv6Job, ''],
] as const) {
	interop(`${name} by unicast: each obeys the other when that is better, and takes over when it resigns`, t =>
		onWire(
			t,
			async wire => {
				const {ours: OURS, theirs: THEIRS} = job;
				// Only peers are heard, and only from the link: both sides send with the greatest TTL.
				const unicast = {peers: [{address: THEIRS, ttl: [255, 255] as const}], ttl: 255, checkSource: true};
				const theirKeywords = `${keywords}
					unicast_src_ip ${THEIRS}
					unicast_ttl 255
					unicast_peer {
						${OURS} min_ttl 255 max_ttl 255
					}`;
				const addresses = job.vips.map(vip => virtualAddress(vip, 'eth0'));
				const ours = await wire.vrrp({priority: 200, addresses, unicast, sourceAddress: OURS});
				await wire.seesAdvert(OURS, 0, 200);
				wire.keepalived({priority: 100, keywords: theirKeywords});
				const beforeStop = wire.observations.length;
				await ours.stop();
				await wire.seesAddress(false, beforeStop);

				const returned = wire.observations.length;
				const back = await wire.vrrp({priority: 50, addresses, unicast, sourceAddress: OURS});
				await wire.seesAdvert(THEIRS, returned, 100);
				const [status] = (await back.status()).instances;
				t.is(status?.role, 'backup');
				await back.configure({priority: 150, addresses, unicast, sourceAddress: OURS});
				await wire.seesAddress(true, returned);
				t.is((await back.status()).instances[0]?.role, 'master');
				t.deepEqual((await back.status()).instances[0]?.refused, {});
			},
			job,
		),
	);
}

interop('when its peer is killed, an IPv6 backup takes over after three adverts and its skew', t =>
	onWire(
		t,
		async wire => {
			const theirs = wire.keepalived({priority: 200});
			await wire.seesAdvert(ipv6Job.theirs, 0, 200);
			await wire.vrrp({priority: 100});
			const heard = wire.observations.length;
			await wire.seesAdvert(ipv6Job.theirs, heard, 200);
			await killed(theirs);
			const taken = await wire.seesAdvert(ipv6Job.ours, heard, 100);
			const last = wire.observations.findLast(seen => seen.kind === 'advert' && seen.source === ipv6Job.theirs);
			const silentMs = taken.atMs - (last?.kind === 'advert' ? last.atMs : 0);
			t.true(silentMs > 3_600 && silentMs < 4_600, `took over after ${silentMs} ms`);
			t.true(wire.weOwn());
		},
		ipv6Job,
	),
);

interop(
	'the kernel has an IPv6 address as keepalived gives it: usable at once, not preferred when it is by itself',
	t =>
		onWire(
			t,
			async wire => {
				const [linkLocal, global] = ipv6Job.vips.map(vip => virtualAddress(vip, 'eth0'));
				if (linkLocal === undefined || global === undefined) throw new Error('two addresses');
				const addresses = [{...linkLocal, prefix: 128, preferredS: 0}, global];
				await wire.vrrp({priority: 200, addresses});
				await wire.seesAdvert(ipv6Job.ours, 0, 200);
				await wire.sees('its announcement', seen => seen.kind === 'announcement' && seen.address === global.address);
				const [link] = JSON.parse(ip('-n', wire.ours, '-6', '-json', 'address', 'show', 'dev', 'eth0'));
				const entry = (address: string) => link.addr_info.find(({local}: {local: string}) => local === address);
				t.like(entry(linkLocal.address), {prefixlen: 128, scope: 'link', nodad: true, deprecated: true});
				t.like(entry(global.address), {prefixlen: 64, scope: 'global', nodad: true, deprecated: undefined});
				t.is(entry(global.address).tentative, undefined);
			},
			ipv6Job,
		),
);

interop('an interface that does not exist is refused by name', t =>
	onWire(t, async wire => {
		const error = await t.throwsAsync(wire.vrrp({interface: 'eth9'}), {code: 'vrrp'});
		t.regex(error?.message ?? '', /interface eth9: ENODEV/);
	}),
);

interop('dynamic_interfaces: an interface that does not exist is waited for', t =>
	onWire(t, async wire => {
		const ours = await wire.vrrp({interface: 'eth9'}, true);
		const role = async () => (await ours.status()).instances[0]?.role;
		t.is(await role(), 'fault');
		ip('-n', wire.ours, 'link', 'add', 'eth9', 'type', 'veth', 'peer', 'name', 'eth9-peer');
		ip('-n', wire.ours, 'address', 'add', '192.168.9.10/24', 'dev', 'eth9');
		for (const end of ['eth9', 'eth9-peer']) ip('-n', wire.ours, 'link', 'set', end, 'up');
		await waitFor('it is master', async () => (await role()) === 'master', {timeoutMs: WAIT_MS});
		t.regex(ip('-n', wire.ours, 'address', 'show', 'dev', 'eth9'), / 192\.168\.1\.1\/24 /);
	}),
);
