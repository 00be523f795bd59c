/**
 * Our VRRP process and Debian's keepalived on one segment: each test has one of its own, and all are told at once, as most
 * of their time passes in waiting for VRRP's timers. Needs root and keepalived; says so where it has to skip.
 */
import {type ChildProcess, spawn, spawnSync} from 'node:child_process';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {inside, script} from '../../lab/namespace.js';
import {run} from '../../lab/run.js';
import {waitFor} from '../../lab/wait.js';
import type {Instance} from '../../src/conf/model.js';
import type {InstanceStatus} from '../../src/vrrp/protocol.js';
import {addresses, Lan, type Name, type Segment} from '../interop/lan.js';
import {listens} from '../interop/node.js';
import {instance, instance6, multicastGroups, noStatics, virtualAddress} from '../vrrp/segment.js';
import type {Observation} from './observer.js';
import {ended, killed, VrrpRouter} from './vrrp-router.js';

/** Of a test, in which several waits may be long on a machine that is busy. */
const TEST_MS = 120_000;
/** More than the skew of priority 100, 609 ms, and less than three adverts: who waits for those as well is later. */
const SKEW_ALONE_MS = 2_500;

/** What a pair shares by one of the two families, and from where its routers speak. */
interface Job {
	readonly family: 4 | 6;
	readonly ours: string;
	readonly theirs: string;
	readonly vips: readonly string[];
	instance(changes: Partial<Instance>): Instance;
}

const ipv4Job: Job = {
	family: 4,
	ours: addresses.a[4],
	theirs: addresses.b[4],
	vips: ['192.168.1.1'],
	instance,
};
const ipv6Job: Job = {
	family: 6,
	ours: addresses.a[6],
	theirs: addresses.b[6],
	vips: ['fe80::100', '2001:db8::1'],
	instance: instance6,
};
const {ours: OURS, theirs: THEIRS} = ipv4Job;

const missing =
	process.getuid?.() !== 0 ? 'root' : spawnSync('keepalived', ['--version']).error === undefined ? null : 'keepalived';
if (missing !== null) process.stderr.write(`interop with keepalived is skipped: needs ${missing}\n`);

/** One for each test that is declared. */
let wanted = 0;
let lan: Lan | null = null;
if (missing === null) {
	test.before(async () => {
		lan = await Lan.create(`vr${process.pid}`, wanted);
	});
	test.after.always(() => lan?.remove());
}

/** A test on a segment of its own. */
function interop(title: string, act: (t: ExecutionContext, wire: Wire) => Promise<void>, job = ipv4Job): void {
	const number = wanted++;
	(missing === null ? test : test.skip)(title, async t => {
		t.timeout(TEST_MS);
		const segment = lan?.segments[number];
		if (segment === undefined) throw new Error('the segments were not built');
		const wire = new Wire(segment, job);
		try {
			await act(t, wire);
		} finally {
			await wire.end();
		}
	});
}

/** A segment with us at its end `a` and keepalived at `b`. */
class Wire {
	readonly segment: Segment;
	readonly job: Job;
	readonly directory = mkdtempSync(join(tmpdir(), 'vr-'));
	#keepalived: ChildProcess | null = null;
	readonly #ours: Ours[] = [];

	constructor(segment: Segment, job: Job) {
		this.segment = segment;
		this.job = job;
	}

	/** How much has passed over the segment so far. */
	get seen(): number {
		return this.segment.seen.length;
	}

	/** Resolves with the first observation, from the given one on, that fits. */
	sees<Kind extends Observation['kind']>(
		kind: Kind,
		fits: (observation: Extract<Observation, {kind: Kind}>) => boolean,
		from = 0,
	): Promise<Extract<Observation, {kind: Kind}>> {
		const isOfKind = (one: Observation): one is Extract<Observation, {kind: Kind}> => one.kind === kind;
		const {seen} = this.segment;
		const last = () =>
			seen
				.slice(-10)
				.map(one => JSON.stringify(one))
				.join('\n');
		return waitFor(`${kind} ${fits}`, () => seen.slice(from).filter(isOfKind).find(fits), {seen: last});
	}

	seesAdvert(source: string, from = 0, priority?: number): Promise<Extract<Observation, {kind: 'advert'}>> {
		return this.sees('advert', seen => seen.source === source && (priority ?? seen.priority) === seen.priority, from);
	}

	/** Resolves when the end has these of the virtual addresses and no others. */
	async has(end: Name, vips: readonly string[]): Promise<void> {
		const look = async () => (await this.held(end)).join() === vips.join();
		const seen = () => JSON.stringify(this.segment.seen.slice(-10));
		await waitFor(`${end} has [${vips}]`, look, {everyMs: 100, seen});
	}

	/** Those of the virtual addresses that the end has. */
	async held(end: Name): Promise<string[]> {
		const present = await this.ip(end, 'address', 'show', 'dev', 'eth0');
		return this.job.vips.filter(vip => present.includes(` ${vip}/`));
	}

	ip(end: Name, ...args: readonly string[]): Promise<string> {
		return run(['ip', '-n', this.segment.ends[end].namespace, ...args]);
	}

	/** Starts keepalived; resolves when it listens to others. */
	async keepalived(options: {priority: number; password?: string; keywords?: string}): Promise<ChildProcess> {
		const file = join(this.directory, 'keepalived.conf');
		writeFileSync(file, configuration(this.job, options));
		const {namespace} = this.segment.ends.b;
		const pidFiles = ['-p', join(this.directory, 'pid'), '-r', join(this.directory, 'vrrp.pid')];
		const [command = '', ...args] = [...inside(namespace), 'keepalived', '-n', '-G', '-P', '-f', file, ...pidFiles];
		const child = spawn(command, args, {stdio: ['ignore', 'ignore', 'inherit']});
		this.#keepalived = child;
		await waitFor('keepalived listens', () => listens(child));
		return child;
	}

	/** Starts `lbd-vrrp`; resolves when it is at work. */
	async vrrp(changes: Partial<Instance>, dynamicInterfaces = false): Promise<Ours> {
		const ours = new Ours(this);
		this.#ours.push(ours);
		await ours.configure(changes, dynamicInterfaces);
		return ours;
	}

	async end(): Promise<void> {
		await Promise.all(this.#ours.map(ours => ours.stop()));
		if (this.#keepalived !== null) await ended(this.#keepalived, 'SIGTERM');
		rmSync(this.directory, {recursive: true});
	}
}

/** keepalived's file; without keywords of its own, it has the password where there can be one. */
function configuration(
	{family, vips}: Job,
	{priority, password = '1215', keywords}: {priority: number; password?: string; keywords?: string},
): string {
	const authentication = `authentication {
		auth_type PASS
		auth_pass ${password}
	}`;
	return `vrrp_instance external {
	state BACKUP
	interface eth0
	virtual_router_id 91
	priority ${priority}
	${keywords ?? (family === 6 ? '' : authentication)}
	virtual_ipaddress {
		${vips.map(vip => `${vip}/${family === 6 ? 64 : 24}`).join('\n\t\t')}
	}
}
`;
}

/** Our process, with one instance of the job. */
class Ours extends VrrpRouter {
	readonly #job: Job;

	constructor({segment, directory, job}: Wire) {
		super(segment.ends.a.namespace, join(directory, 'vrrp'));
		this.#job = job;
	}

	configure(changes: Partial<Instance>, dynamicInterfaces = false): Promise<void> {
		const instances = [this.#job.instance(changes)];
		return this.put({instances, syncGroups: [], multicastGroups, ...noStatics, dynamicInterfaces});
	}

	/** Its only instance. */
	async instance(): Promise<InstanceStatus | undefined> {
		return (await this.status()).instances[0];
	}
}

for (const [name, job] of [
	['IPv4', ipv4Job],
	['IPv6', ipv6Job],
	['IPv6 without a link-local address', {...ipv6Job, vips: ['2001:db8::1']}],
] as const) {
	const {ours: OURS, theirs: THEIRS, vips} = job;
	const addresses = vips.map(vip => virtualAddress(vip, 'eth0'));

	interop(
		`${name}, as master: keepalived obeys, takes over on our resignation, and gives way on our return`,
		async (t, wire) => {
			const ours = await wire.vrrp({priority: 200, addresses});
			t.like(await wire.seesAdvert(OURS, 0, 200), {tos: 0xc0, fragment: 0}, 'as keepalived sends them');
			t.true((await ours.status()).realTime);
			for (const vip of vips) await wire.sees('announcement', ({address}) => address === vip);
			await wire.keepalived({priority: 100});
			const group = multicastGroups[job.family];
			await wire.sees('join', seen => seen.source === THEIRS && seen.group === group);
			await wire.seesAdvert(OURS, wire.seen);
			await wire.has('a', vips);

			const heard = wire.seen;
			await ours.stop();
			t.deepEqual(await wire.held('a'), []);
			const resigned = await wire.seesAdvert(OURS, heard, 0);
			const taken = await wire.seesAdvert(THEIRS, heard, 100);
			t.true(taken.atMs - resigned.atMs < SKEW_ALONE_MS, 'skew time alone');
			await wire.has('b', vips);

			const back = await wire.vrrp({priority: 200, addresses});
			await wire.has('b', []);
			await wire.has('a', vips);
			t.is((await back.instance())?.role, 'master');
			t.true(back.log.lines.includes('info (external) Entering MASTER STATE'));
		},
		job,
	);

	interop(
		`${name}, as backup: we obey keepalived, take over on its resignation, and give way on its return`,
		async (t, wire) => {
			const theirs = await wire.keepalived({priority: 200});
			await wire.seesAdvert(THEIRS, 0, 200);
			const ours = await wire.vrrp({priority: 100, addresses});
			const heard = wire.seen;
			await wire.seesAdvert(THEIRS, heard, 200);
			t.deepEqual(await wire.held('a'), []);
			await waitFor('we have heard it', async () => (await ours.instance())?.master);
			t.like(await ours.instance(), {role: 'backup', master: {address: THEIRS, priority: 200}, refused: {}});

			await ended(theirs, 'SIGTERM');
			const resigned = await wire.seesAdvert(THEIRS, heard, 0);
			const taken = await wire.seesAdvert(OURS, heard, 100);
			t.true(taken.atMs - resigned.atMs < SKEW_ALONE_MS, 'skew time alone');
			await wire.has('a', vips);

			await wire.keepalived({priority: 200});
			await wire.has('b', vips);
			await wire.has('a', []);
		},
		job,
	);
}

interop('another password is another router: ignored and counted', async (t, wire) => {
	await wire.keepalived({priority: 200, password: 'other'});
	await wire.seesAdvert(THEIRS, 0, 200);
	const ours = await wire.vrrp({priority: 100});
	await wire.seesAdvert(OURS, 0, 100);
	await wire.seesAdvert(OURS, wire.seen, 100);
	// Its adverts are no sign: each of ours that it refuses puts its next one off.
	t.deepEqual(await wire.held('b'), wire.job.vips, 'keepalived does not obey us, either');
	const status = await ours.instance();
	t.is(status?.role, 'master');
	t.true((status?.refused['bad-password'] ?? 0) > 0);
});

for (const [name, job] of [
	['IPv4', ipv4Job],
	['IPv6', ipv6Job],
] as const) {
	interop(
		`${name}, version 3 in both directions, ten adverts a second`,
		async (t, wire) => {
			const changes = {version: 3, advertUs: 100_000, password: null} as const;
			const theirs = await wire.keepalived({priority: 150, keywords: 'version 3\nadvert_int 0.1'});
			await wire.seesAdvert(job.theirs, 0, 150);
			const ours = await wire.vrrp({...changes, priority: 100});
			// On a busy machine keepalived may be late for once, and is obeyed again.
			await waitFor('we obey it', async () => (await ours.instance())?.master?.address === job.theirs);
			await waitFor('we are backup', async () => (await ours.instance())?.role === 'backup');
			await ours.configure({...changes, priority: 200});
			await wire.has('b', []);
			await wire.has('a', job.vips);
			t.is((await ours.instance())?.role, 'master');
			t.is(theirs.exitCode, null);
		},
		job,
	);
}

for (const [name, job, keywords] of [
	['IPv4', ipv4Job, 'authentication {\nauth_type PASS\nauth_pass 1215\n}'],
	['IPv6', ipv6Job, ''],
] as const) {
	interop(
		`${name} by unicast: each obeys the other when that is better, and takes over when it resigns`,
		async (t, wire) => {
			const {ours: OURS, theirs: THEIRS, vips} = job;
			// Only peers are heard, and only from the link: both sides send with the greatest TTL.
			const unicast = {peers: [{address: THEIRS, ttl: [255, 255] as const}], ttl: 255, checkSource: true};
			const theirKeywords = `${keywords}
				unicast_src_ip ${THEIRS}
				unicast_ttl 255
				unicast_peer {
					${OURS} min_ttl 255 max_ttl 255
				}`;
			const addresses = vips.map(vip => virtualAddress(vip, 'eth0'));
			const ours = await wire.vrrp({priority: 200, addresses, unicast, sourceAddress: OURS});
			await wire.seesAdvert(OURS, 0, 200);
			await wire.keepalived({priority: 100, keywords: theirKeywords});
			const heard = wire.seen;
			await wire.seesAdvert(OURS, heard, 200);
			await ours.stop();
			const resigned = await wire.seesAdvert(OURS, heard, 0);
			const taken = await wire.seesAdvert(THEIRS, heard, 100);
			t.true(taken.atMs - resigned.atMs < SKEW_ALONE_MS, 'skew time alone');
			await wire.has('b', vips);

			const back = await wire.vrrp({priority: 50, addresses, unicast, sourceAddress: OURS});
			await wire.seesAdvert(THEIRS, wire.seen, 100);
			t.is((await back.instance())?.role, 'backup');
			await back.configure({priority: 150, addresses, unicast, sourceAddress: OURS});
			await wire.has('b', []);
			await wire.has('a', vips);
			t.like(await back.instance(), {role: 'master', refused: {}});
		},
		job,
	);
}

interop(
	'when its peer is killed, an IPv6 backup takes over after three adverts and its skew',
	async (t, wire) => {
		const {ours: OURS, theirs: THEIRS, vips} = ipv6Job;
		const theirs = await wire.keepalived({priority: 200});
		await wire.seesAdvert(THEIRS, 0, 200);
		await wire.vrrp({priority: 100});
		const heard = wire.seen;
		await wire.seesAdvert(THEIRS, heard, 200);
		await killed(theirs);
		const taken = await wire.seesAdvert(OURS, heard, 100);
		const last = wire.segment.seen.findLast(seen => seen.kind === 'advert' && seen.source === THEIRS);
		const silentMs = taken.atMs - (last?.kind === 'advert' ? last.atMs : 0);
		t.true(silentMs > 3_600 && silentMs < 4_600, `took over after ${silentMs} ms`);
		await wire.has('a', vips);
	},
	ipv6Job,
);

interop(
	'the kernel has an IPv6 address as keepalived gives it: usable at once, not preferred when it is by itself',
	async (t, wire) => {
		const [linkLocal, global] = ipv6Job.vips.map(vip => virtualAddress(vip, 'eth0'));
		if (linkLocal === undefined || global === undefined) throw new Error('two addresses');
		await wire.vrrp({priority: 200, addresses: [{...linkLocal, prefix: 128, preferredS: 0}, global]});
		await wire.sees('announcement', ({address}) => address === global.address);
		const [link] = JSON.parse(await wire.ip('a', '-6', '-json', 'address', 'show', 'dev', 'eth0'));
		const entry = (address: string) => link.addr_info.find(({local}: {local: string}) => local === address);
		t.like(entry(linkLocal.address), {prefixlen: 128, scope: 'link', nodad: true, deprecated: true});
		t.like(entry(global.address), {prefixlen: 64, scope: 'global', nodad: true, deprecated: undefined});
		t.is(entry(global.address).tentative, undefined);
	},
	ipv6Job,
);

interop('an interface that does not exist is refused by name', async (t, wire) => {
	const error = await t.throwsAsync(wire.vrrp({interface: 'eth9'}), {code: 'vrrp'});
	t.regex(error?.message ?? '', /interface eth9: ENODEV/);
});

interop('dynamic_interfaces: an interface that does not exist is waited for', async (t, wire) => {
	const ours = await wire.vrrp({interface: 'eth9'}, true);
	t.is((await ours.instance())?.role, 'fault');
	await script(wire.segment.ends.a.namespace, [
		'ip link add eth9 type veth peer name eth9-peer',
		'ip address add 192.168.9.10/24 dev eth9',
		'ip link set eth9 up',
		'ip link set eth9-peer up',
	]);
	const hasAddress = async () => / 192\.168\.1\.1\/24 /.test(await wire.ip('a', 'address', 'show', 'dev', 'eth9'));
	await waitFor('it has the address', hasAddress, {everyMs: 100});
	t.is((await ours.instance())?.role, 'master');
});
