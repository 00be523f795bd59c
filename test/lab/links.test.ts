/**
 * What befalls a router's link and its address, with the other one a keepalived: `interface_up_down_delays` as two
 * keepalived's have them, and `track_src_ip` as keepalived's manual has it.
 */
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {script} from '../../lab/namespace.js';
import {monotonicMs, waitFor} from '../../lab/wait.js';
import {addresses, Lan, type Name, type Segment} from '../interop/lan.js';
import {Node, type Program} from '../interop/node.js';
import {sideBySide as test} from './lab-test.js';
import type {Observation} from './observer.js';

const VIP = '192.168.1.1';
const ADVERT_MS = 500;
const DOWN_MS = 700;
const UP_MS = 800;
/** Three adverts and the skew of either. */
const WAIT_MS = {a: 1610, b: 1805};
/** What a busy machine may add. */
const MARGIN_MS = 700;

const DELAYS = `interface_up_down_delays {
	eth0 ${DOWN_MS / 1000} ${UP_MS / 1000}
}
`;
const TRACKED_SOURCE = `mcast_src_ip ${addresses.a[4]}
	track_src_ip`;

function configuration(name: Name, {top = '', instance = ''}): string {
	return `${top}vrrp_instance external {
	state BACKUP
	interface eth0
	virtual_router_id 91
	version 3
	advert_int ${ADVERT_MS / 1000}
	priority ${name === 'a' ? 200 : 100}
	${instance}
	virtual_ipaddress {
		${VIP}/24
	}
}
`;
}

interface Pair {
	readonly a: Node;
	readonly b: Node;
	readonly segment: Segment;
	/** Plugs the cable of `a` in, or pulls it. */
	plug(plugged: boolean): Promise<void>;
	/** Pulls it for a moment. */
	flap(ms: number): Promise<void>;
}

let lans = 0;

/** A master of each program with what is added to its file, and a keepalived as its backup. */
async function inPairs(
	programs: readonly Program[],
	additions: Parameters<typeof configuration>[1],
	act: (pair: Pair, program: Program) => Promise<void>,
): Promise<void> {
	const directory = mkdtempSync(join(tmpdir(), 'links-'));
	const lan = await Lan.create(`ln${process.pid}x${++lans}`, programs.length);
	const nodes: Node[] = [];
	try {
		const pairs = lan.segments.map((segment, index) => {
			const {ends} = segment;
			const program = programs[index] ?? 'ours';
			const node = (name: Name, of: Program, added = {}): Node =>
				new Node(ends[name], {program: of, directory, configure: () => configuration(name, added)});
			const pair = {a: node('a', program, additions), b: node('b', 'keepalived'), segment};
			nodes.push(pair.a, pair.b);
			const plug = (plugged: boolean) => lan.plug(ends.a, plugged);
			return {...pair, program, plug, flap: (ms: number) => lan.flap(ends.a, ms)};
		});
		await Promise.all(
			pairs.map(async pair => {
				await Promise.all([pair.a.start(), pair.b.start()]);
				await becomesMaster(pair, 'a');
				await act(pair, pair.program);
			}),
		);
	} finally {
		for (const node of nodes) await node.stop();
		await lan.remove();
		rmSync(directory, {recursive: true});
	}
}

/** Resolves when this one, and no other, has the address. */
async function becomesMaster(pair: Pair, name: Name): Promise<void> {
	const other = pair[name === 'a' ? 'b' : 'a'];
	const isOnly = async () => (await pair[name].holds([VIP])) && !(await other.holds([VIP]));
	await waitFor(`${name} is the only master`, isOnly);
}

/** When the kernel saw the first advert of a router, of those from the given observation on. */
async function spoke({segment: {ends, seen}}: Pair, name: Name, from: number, priority?: number): Promise<number> {
	const fits = (one: Observation): one is Extract<Observation, {kind: 'advert'}> =>
		one.kind === 'advert' && one.mac === ends[name].mac && (priority ?? one.priority) === one.priority;
	return (await waitFor(`an advert of ${name}`, () => seen.slice(from).find(fits))).atMs;
}

/** Whether it has the address whenever it is looked at. */
async function keeps(node: Node, forMs: number): Promise<boolean> {
	for (const untilMs = monotonicMs() + forMs; monotonicMs() < untilMs; await pause(50)) {
		if (!(await node.holds([VIP]))) return false;
	}
	return true;
}

/** No earlier than that, but for what a daemon's clock lags behind, and not much later. */
function isAbout(ms: number, expectedMs: number): boolean {
	return ms > expectedMs - 50 && ms < expectedMs + MARGIN_MS;
}

test('interface_up_down_delays: a link that flaps moves nobody, one that stays as it is does, as with keepalived', async t => {
	t.timeout(60_000);
	await inPairs(['ours', 'keepalived'], {top: DELAYS}, async (pair, program) => {
		const [kept] = await Promise.all([keeps(pair.a, DOWN_MS / 2), pair.flap(DOWN_MS / 2)]);
		t.true(kept, `${program}: down for a moment`);
		t.true(await keeps(pair.a, 2 * DOWN_MS), `${program}: up again`);
		t.false(await pair.b.holds([VIP]), program);

		const pulledMs = monotonicMs();
		await pair.plug(false);
		await waitFor('the address is gone', async () => !(await pair.a.holds([VIP])));
		const lostMs = monotonicMs() - pulledMs;
		await becomesMaster(pair, 'b');
		const seen = pair.segment.seen.length;
		const pluggedMs = monotonicMs();
		await pair.plug(true);
		await becomesMaster(pair, 'a');
		const regainedMs = (await spoke(pair, 'a', seen)) - pluggedMs;
		t.log(`${program}: lost after ${lostMs.toFixed(0)} ms, regained after ${regainedMs.toFixed(0)} ms`);
		t.true(isAbout(lostMs, DOWN_MS), `${program}: lost`);
		t.true(isAbout(regainedMs, UP_MS + WAIT_MS.a), `${program}: regained`);
	});
});

test('mcast_src_ip that is no address of the interface is heard all the same', async t => {
	t.timeout(60_000);
	await inPairs(['ours'], {instance: 'mcast_src_ip 192.168.1.77'}, async pair => {
		t.true(await keeps(pair.a, WAIT_MS.b));
		t.false(await pair.b.holds([VIP]));
	});
});

test('track_src_ip: without its address it resigns to the other, and with it is master again', async t => {
	t.timeout(60_000);
	await inPairs(['ours'], {instance: TRACKED_SOURCE}, async pair => {
		const source = `${addresses.a[4]}/24 dev eth0`;
		const {namespace} = pair.segment.ends.a;
		const seen = pair.segment.seen.length;
		await script(namespace, [`ip address delete ${source}`]);
		await becomesMaster(pair, 'b');
		const lostMs = (await spoke(pair, 'b', seen)) - (await spoke(pair, 'a', seen, 0));
		t.log(`lost after ${lostMs.toFixed(0)} ms`);
		t.true(lostMs < WAIT_MS.b - ADVERT_MS, 'no backup waits for one that resigns');
		await script(namespace, [`ip address add ${source}`]);
		await becomesMaster(pair, 'a');
	});
});
