/**
 * The same configuration under lbd and under Debian's keepalived, each on a cable of its own with a rival at the far end:
 * what `ip` shows of addresses, routes and rules is the same at every step. Needs root and keepalived; says so where it
 * has to skip.
 */
import {execFileSync} from 'node:child_process';
import {existsSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {isDeepStrictEqual} from 'node:util';
import type {ExecutionContext} from 'ava';
import {Daemon, tail} from '../../lab/daemon.js';
import {script} from '../../lab/namespace.js';
import {run} from '../../lab/run.js';
import {waitFor} from '../../lab/wait.js';
import {test} from './lab-test.js';

const BIN = fileURLToPath(new URL('../../../bin/', import.meta.url));
/** Longer than any step takes on a machine that is busy with other tests. */
const STEP_MS = 15_000;

interface Job {
	readonly priority: number;
	readonly statics: string;
	/** Of the instance. */
	readonly keywords: string;
	readonly advertS?: number;
}

function configuration({priority, statics, keywords, advertS = 0.1}: Job): string {
	return `${statics}
vrrp_instance held {
	interface eth0
	virtual_router_id 51
	priority ${priority}
	version 3
	advert_int ${advertS}
	virtual_ipaddress {
		192.168.1.1/24
	}
	${keywords}
}
`;
}

const statics = `
static_ipaddress {
	10.9.9.1/24 dev eth1 brd + scope link
	2001:db8:9::1/64 dev eth1
	2001:db8:7::1 peer 2001:db8:6::1 dev eth1
	10.9.7.1/24
}
static_routes {
	10.20.0.0/16 via 10.9.9.2 dev eth1 metric 7
	2001:db8:20::/48 via 2001:db8:9::2 dev eth1
	blackhole 10.66.0.0/16
	10.67.0.0/16 dev eth0 protocol bird table 77 no_track
}
static_rules {
	from 10.1.0.0/16 table 77 priority 1200
	from 10.2.0.0/16 table 77
	from 2001:db8::/32 table 78
}
`;
const held = `
	promote_secondaries
	virtual_ipaddress_excluded {
		192.168.8.2/24 label eth0:x brd -
		192.168.1.4/24 noprefixroute brd +
		192.168.3.3 peer 192.168.4.4
		192.168.5.1/24 no_track
		192.168.6.1/24 dev eth1 preferred_lft forever
		224.1.2.3/32 autojoin
		2001:db8::1/64 home mngtmpaddr
		2001:db8::2
		2001:db8:3::3/64 noprefixroute
		2001:db8::4/128 preferred_lft forever
		fe80::1/64 dev eth0
	}
	virtual_routes {
		10.30.0.0/16 via 192.168.1.100 dev eth0
		src 192.168.1.1 to 10.31.0.0/16 via 192.168.1.100 dev eth0 metric 5 mtu lock 1400 advmss 1200 table 100 tos 0x10
		10.32.0.0/16 nexthop via 192.168.1.101 dev eth0 weight 2 nexthop via 192.168.1.102 dev eth0 weight 5 onlink
		2001:db8:30::/48 via 2001:db8::99 dev eth0 metric 44 pref high
		2001:db8:31::/48 nexthop via 2001:db8::97 dev eth0 weight 2 nexthop via 2001:db8::98 dev eth0
		2001:db8:32::/48 from 2001:db8::/64 dev eth0 mtu 1400
		unreachable 10.34.0.0/16
		prohibit 10.35.0.0/16
		throw 10.36.0.0/16 table 100
		unreachable 2001:db8:66::/48
		default via 192.168.1.100 dev eth0 table 101
		10.37.0.0/16 dev eth0 scope link
		10.38.0.0/16 gw 192.168.1.100 dev eth0 tos 0x20 protocol static no_track
		10.40.0.0/16 via 192.168.1.100 dev eth0 hoplimit 9 rtt 2s rttvar 900 reordering 4 window 10000 cwnd lock 11 ssthresh 12 rto_min 100ms initcwnd 13 initrwnd 14 quickack 1 congctl reno features ecn realms 3/4
		10.41.0.0/16 via 192.168.1.100 dev eth0 append
		10.42.0.0/16 via 192.168.1.100 dev eth0 add table 0x10
		10.41.0.0/16 via 192.168.1.101 dev eth0 append
	}
	virtual_rules {
		from 192.168.1.0/24 to 10.0.0.0/8 tos 0x10 fwmark 0x5/0xff table 100 priority 1000
		iif eth0 oif eth1 suppress_prefixlength 8 suppress_ifgroup 3 table 101 preference 1001
		from all uidrange 10-20 ipproto tcp sport 100-200 dport 80-80 goto 32766 priority 1002
		from 10.0.0.0/8 blackhole priority 1003
		from 2001:db8::/32 table 102 order 1004
		not from 10.7.0.0/16 lookup 100 priority 1005
		l3mdev priority 1006
		from all tunnel-id 5 table 100 priority 1007 realms 5/6
		from all nop priority 1008
		from 10.8.0.0/16 prohibit priority 1009 protocol 77 no_track
		from 10.8.0.1/16 unreachable priority 1010
	}
`;
const subject: Job = {priority: 100, statics, keywords: held};
/** Other statics and other holdings, in some of what they say. */
const changed: Job = {
	...subject,
	statics: statics.replace('metric 7', 'metric 8').replace('10.9.7.1/24', '10.9.6.1/24').replace('1200', '1201'),
	keywords: held
		.replaceAll('10.30.0.0', '10.29.0.0')
		.replace('priority 1003', 'priority 1013')
		.replace('192.168.6.1', '192.168.6.2'),
};
/** A sysctl does not tell who set it: one that a killed daemon has switched on stays on. */
const crashing: Job = {...changed, keywords: changed.keywords.replace('promote_secondaries', '')};
const rival: Job = {priority: 200, statics: '', keywords: ''};

/** One of the two programs, on a machine of its own. */
class Lane {
	readonly program: 'lbd' | 'keepalived';
	readonly namespace: string;
	readonly #far: string;
	readonly #directory = mkdtempSync(join(tmpdir(), 'rt-'));
	readonly #daemonName = `rt-${process.pid}`;
	#subject: Daemon | null = null;
	#rival: Daemon | null = null;

	constructor(program: 'lbd' | 'keepalived') {
		this.program = program;
		this.namespace = `rt-${process.pid}-${program}`;
		this.#far = `${this.namespace}-far`;
	}

	async lay(): Promise<void> {
		for (const name of [this.namespace, this.#far]) await run(['ip', 'netns', 'add', name]);
		await script(this.namespace, [
			'ip link set lo up',
			`ip link add eth0 index 20 type veth peer name eth0 netns ${this.#far}`,
			`ip link add eth1 index 21 type veth peer name eth1 netns ${this.#far}`,
			...['eth0', 'eth1'].flatMap(device => [`ip link set ${device} addrgenmode none`, `ip link set ${device} up`]),
			'ip address add 192.168.1.10/24 dev eth0',
		]);
		await script(this.#far, [
			...['eth0', 'eth1'].flatMap(device => [`ip link set ${device} addrgenmode none`, `ip link set ${device} up`]),
			'ip address add 192.168.1.11/24 dev eth0',
		]);
	}

	async start(job: Job): Promise<void> {
		this.#configure(job);
		this.#subject = await this.#launch(this.program, this.namespace, 'subject');
	}

	reload(job: Job): void {
		this.#configure(job);
		this.#subject?.signal('SIGHUP');
	}

	/** A better router comes. */
	async yield(): Promise<void> {
		writeFileSync(this.#file('rival.conf'), configuration(rival));
		this.#rival = await this.#launch('keepalived', this.#far, 'rival');
	}

	async takeBack(): Promise<void> {
		await this.#rival?.stop();
	}

	async stop(): Promise<void> {
		await this.#subject?.stop();
	}

	async kill(): Promise<void> {
		await this.#subject?.kill();
	}

	async remove(): Promise<void> {
		for (const daemon of [this.#subject, this.#rival]) if (daemon?.running) await daemon.stop();
		if (this.program === 'lbd') await run([join(BIN, 'lbctl'), '--name', this.#daemonName, 'unload']);
		for (const name of [this.namespace, this.#far]) await run(['ip', 'netns', 'delete', name]);
		rmSync(this.#directory, {recursive: true});
	}

	ip(...args: readonly string[]): unknown {
		return JSON.parse(
			execFileSync('ip', ['-n', this.namespace, '-json', '-N', '-details', ...args], {encoding: 'utf8'}) || '[]',
		);
	}

	delete(...what: readonly string[]): void {
		const [object = '', ...rest] = what;
		execFileSync('ip', ['-n', this.namespace, object, 'delete', ...rest]);
	}

	setting(name: string): string {
		const argv = [`--net=/run/netns/${this.namespace}`, 'sysctl', '-n', name];
		return execFileSync('nsenter', argv, {encoding: 'utf8'}).trim();
	}

	log(): string {
		return tail(this.#file('subject.log'));
	}

	#configure(job: Job): void {
		writeFileSync(this.#file('subject.conf'), configuration(job));
	}

	#launch(program: 'lbd' | 'keepalived', namespace: string, part: string): Promise<Daemon> {
		const file = this.#file(`${part}.conf`);
		const [pid, vrrpPid] = [this.#file(`${part}.pid`), this.#file(`${part}-vrrp.pid`)];
		for (const old of [pid, vrrpPid]) rmSync(old, {force: true});
		const argv = {
			lbd: [join(BIN, 'lbd'), '--name', this.#daemonName, '-f', file, '-p', pid],
			keepalived: ['keepalived', '-n', '-l', '-D', '-P', '-f', file, '-p', pid, '-r', vrrpPid],
		}[program];
		const ready = program === 'lbd' ? pid : vrrpPid;
		const logFile = this.#file(`${part}.log`);
		return Daemon.start({name: `${program}, ${part}`, namespace, argv, logFile, isReady: () => existsSync(ready)});
	}

	#file(name: string): string {
		return join(this.#directory, name);
	}
}

/** What `ip` shows, without what differs from machine to machine and from second to second. */
function picture(lane: Lane) {
	return {
		addresses: sorted((lane.ip('address') as {addr_info: object[]}[]).flatMap(({addr_info}) => addr_info.map(address))),
		routes: sorted(
			[lane.ip('-4', 'route', 'show', 'table', 'all'), lane.ip('-6', 'route', 'show', 'table', 'all')].flat(),
		),
		rules: sorted([lane.ip('-4', 'rule'), lane.ip('-6', 'rule')].flat()),
		promotes: lane.setting('net.ipv4.conf.eth0.promote_secondaries'),
	};
}

/** Of the lifetimes only whether they end. */
function address({
	valid_life_time,
	preferred_life_time,
	...said
}: {
	preferred_life_time?: number;
	valid_life_time?: number;
}) {
	return {...said, preferred: preferred_life_time === 0xffff_ffff};
}

/** keepalived 2.2.7 adds an IPv4 address with a peer and cannot remove it. */
const STAYS = /192\.168\.(?:3\.3|4\.4)"/;

function sorted(entries: readonly unknown[]): string[] {
	return entries
		.map(entry => JSON.stringify(entry))
		.filter(text => !STAYS.test(text))
		.sort();
}

function isMaster(lane: Lane): boolean {
	const {addresses, rules} = picture(lane);
	return addresses.some(text => text.includes('"192.168.1.1"')) && rules.some(text => text.includes('"priority":1010'));
}

/** Compares when both have come to the same, or at the deadline. */
async function alike(
	t: ExecutionContext,
	what: string,
	lanes: readonly Lane[],
	fits: (lane: Lane) => boolean,
): Promise<void> {
	const [ours, theirs] = lanes;
	if (ours === undefined || theirs === undefined) throw new Error('two lanes');
	const seen = () => lanes.map(lane => `${lane.program}:\n${lane.log()}`).join('\n');
	await waitFor(what, () => lanes.every(fits), {timeoutMs: STEP_MS, seen, everyMs: 100});
	await same(t, what, ours, () => picture(theirs));
}

/** Compares when it has come to that, or at the deadline. */
async function same(
	t: ExecutionContext,
	what: string,
	lane: Lane,
	expected: () => ReturnType<typeof picture>,
): Promise<void> {
	const look = () => isDeepStrictEqual(picture(lane), expected());
	await waitFor(what, look, {timeoutMs: STEP_MS, everyMs: 100}).catch(() => {});
	t.deepEqual(picture(lane), expected(), what);
}

test('addresses, routes and rules are keepalived’s at every step, and nothing stays behind', async t => {
	t.timeout(20 * STEP_MS);
	const lanes = [new Lane('lbd'), new Lane('keepalived')];
	// Both to their ends, so that one that fails leaves nothing under way that nobody stops.
	const all = async (act: (lane: Lane) => unknown): Promise<void> => {
		const results = await Promise.allSettled(lanes.map(async lane => act(lane)));
		for (const result of results) if (result.status === 'rejected') throw result.reason;
	};
	try {
		await all(lane => lane.lay());
		const before = lanes.map(picture);
		await all(lane => lane.start(subject));
		await alike(t, 'master', lanes, isMaster);
		const [ours, theirs] = lanes as [Lane, Lane];
		t.deepEqual(peers(ours), peers(theirs));
		await all(lane => lane.yield());
		await alike(t, 'backup', lanes, lane => !isMaster(lane));
		t.deepEqual(peers(ours), [['2001:db8:7::1', '2001:db8:6::1']]);
		await all(lane => lane.takeBack());
		await alike(t, 'master again', lanes, isMaster);

		await all(lane => lane.delete('address', '192.168.1.4/24', 'dev', 'eth0'));
		await alike(
			t,
			'somebody removed an address',
			lanes,
			lane => isMaster(lane) && has(lane, 'addresses', '192.168.1.4'),
		);
		await all(lane => lane.delete('route', '10.30.0.0/16'));
		await alike(t, 'somebody removed a route', lanes, lane => isMaster(lane) && has(lane, 'routes', '10.30.0.0/16'));
		await all(lane => lane.delete('rule', 'priority', '1003'));
		await alike(t, 'somebody removed a rule', lanes, lane => isMaster(lane) && has(lane, 'rules', '"priority":1003'));

		await all(lane => lane.reload(changed));
		await alike(
			t,
			'reload',
			lanes,
			lane => has(lane, 'routes', '10.29.0.0/16') && !has(lane, 'routes', '10.30.0.0/16'),
		);
		await all(lane => lane.stop());
		t.deepEqual(lanes.map(picture), before, 'stopped');

		await all(lane => lane.start(crashing));
		await alike(t, 'master once more', lanes, isMaster);
		const held = picture(ours);
		await ours.kill();
		// It is a backup for three intervals at least, so there is time to look.
		await ours.start({...crashing, advertS: 1});
		t.false(isMaster(ours), 'what was left is known, and a backup does not keep it');
		await same(t, 'master after a crash', ours, () => held);
		await all(lane => lane.stop());
		t.deepEqual(lanes.map(picture), before);
	} finally {
		await all(lane => lane.remove());
	}
});

/** Both ends of the addresses that have two. */
function peers(lane: Lane): string[][] {
	const entries = (lane.ip('address') as {addr_info: {local: string; address?: string}[]}[]).flatMap(
		link => link.addr_info,
	);
	return entries.flatMap(({local, address: peer}) => (peer === undefined ? [] : [[local, peer]]));
}

function has(lane: Lane, table: 'addresses' | 'routes' | 'rules', text: string): boolean {
	return picture(lane)[table].some(entry => entry.includes(text));
}
