/**
 * VRRP goes on while the daemon beside it does not, or has no time: adverts keep theirs, nobody takes over, nothing is
 * lost. One pair; lb1 is master and has the trouble.
 */
import {readFileSync} from 'node:fs';
import {connect} from 'node:net';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import type {ExecutionContext} from 'ava';
import type {Balancer} from '../../lab/balancer.js';
import type {Daemon} from '../../lab/daemon.js';
import {Pings} from '../../lab/pings.js';
import {controlSocketOf, vrrpSocketOf} from '../../lab/record.js';
import {externalVip, vips} from '../../lab/topology.js';
import {PATIENCE_MS, waitFor} from '../../lab/wait.js';
import type {InstanceReport, Status} from '../../src/control/protocol.js';
import {ExitCode} from '../../src/errors.js';
import {Limits} from '../../src/xdp/layout.gen.js';
import {SharingPlane} from '../../src/xdp/sharing.js';
import {reference, variant} from './jobs.js';
import {labOfFile, startPrimary, test} from './lab-test.js';
import {Load, NO_HARM} from './load.js';
import {finish, lbctl, program, sentences} from './observe.js';
import {otherBuild, startOtherBuild} from './other-build.js';

const ADVERT_MS = 1000;
const GRACE_S = 3;
const primary = `${reference.primary}\nlbd {\n\tvrrp_grace ${GRACE_S}\n}\n`;

const lab = labOfFile({configs: {lb1: primary, lb2: reference.backup}}, async built => {
	await Promise.all([startPrimary(built), built.lb2.start()]);
	await isAlone();
});

/** Resolves when lb1 has the addresses and lb2 has not. */
async function isAlone(): Promise<void> {
	const look = async () => (await lab().lb1.vips()).length === vips.length && (await lab().lb2.vips()).length === 0;
	await waitFor('lb1 alone is master', look, {timeoutMs: PATIENCE_MS, seen: () => lab().lb1.log()});
}

/** Since when the instances of a balancer are what they are. */
async function standings(balancer: Balancer): Promise<string[]> {
	const instances = (await balancer.lbctl('vrrp')) as InstanceReport[];
	return instances.map(({state, transitions}) => `${state} after ${transitions} transitions`);
}

/** The longest time between two adverts of lb1's on a wire while something happens, and for two intervals more. */
async function silence(act: () => Promise<void>): Promise<number> {
	const wire = await lab().capture('client', 'eth0', 'vrrp and src host 192.168.1.10');
	await wire.frame(/vrid 91/);
	await act();
	const since = wire.frames.length;
	await waitFor('two more adverts', () => wire.frames.length >= since + 2, {timeoutMs: PATIENCE_MS});
	await wire.close();
	const times = wire.frames.map(({atMs}) => atMs);
	return Math.max(...times.slice(1).map((atMs, at) => atMs - (times[at] ?? 0)));
}

/** Something happens to lbd on lb1, which nobody notices. */
async function unnoticed(t: ExecutionContext, act: () => Promise<void>): Promise<void> {
	const before = await standings(lab().lb2);
	const pings = await Pings.start(lab().namespace('client'), externalVip);
	const longestMs = await silence(act);
	const {sent, lost} = await pings.stop();
	t.log(`${Math.round(longestMs)} ms between adverts at most; ${lost} of ${sent} pings lost`);
	t.true(longestMs <= 2 * ADVERT_MS, `${longestMs} ms without an advert`);
	t.is(lost, 0);
	t.deepEqual(await standings(lab().lb2), before);
	await isAlone();
}

const goesOn = 'lbd-vrrp goes on as an earlier lbd has left it';

test('SIGKILL of lbd and a new start: the same lbd-vrrp goes on, and nobody notices', async t => {
	const {lb1} = lab();
	const [process] = lb1.vrrpProcesses();
	const before = sentences(lb1).length;
	await unnoticed(t, async () => {
		await lb1.killAlone();
		await lb1.start();
		await waitFor('lbd has found lbd-vrrp', () => sentences(lb1, before).includes(goesOn), {timeoutMs: PATIENCE_MS});
		await waitFor('lbd is ready', () => sentences(lb1, before).includes('lbd is ready'), {timeoutMs: PATIENCE_MS});
	});
	t.deepEqual(lb1.vrrpProcesses(), [process]);
	t.deepEqual(await standings(lb1), Array(2).fill('master after 2 transitions'));
});

test('SIGKILL of lbd and a start of another build: its lbd-vrrp goes on as master, and nobody notices', async t => {
	const {lb1} = lab();
	const [process] = lb1.vrrpProcesses();
	const {directory} = lab();
	const lbd = otherBuild(directory);
	const before = sentences(lb1).length;
	let other: Daemon | null = null;
	await unnoticed(t, async () => {
		await lb1.killAlone();
		other = await startOtherBuild(lbd, lb1, join(directory, 'lb1.log'));
	});
	t.true(sentences(lb1, before).includes('lbd-vrrp is of another build, and hands on to a new one'));
	t.is(lb1.vrrpProcesses().length, 1);
	t.notDeepEqual(lb1.vrrpProcesses(), [process]);
	t.deepEqual(await standings(lb1), Array(2).fill('master after 0 transitions'));
	// And back.
	const since = sentences(lb1).length;
	await unnoticed(t, async () => {
		await (other as Daemon | null)?.killAlone();
		await lb1.start();
		await waitFor('lbd is ready', () => sentences(lb1, since).includes('lbd is ready'), {timeoutMs: PATIENCE_MS});
	});
});

const SERVICES = 1000;
const BACKENDS = 10;

/** A thousand services, each backend checked once a second; a start beside all that takes its time. */
const many = [
	variant(primary, {vrrp_grace: 30}),
	...Array.from({length: SERVICES}, (_, n) => manyBackends(10_000 + n)),
].join('\n');

function manyBackends(port: number): string {
	const check = 'TCP_CHECK {\nconnect_port 80\nconnect_timeout 1\n}';
	const backends = Array.from(
		{length: BACKENDS},
		(_, n) => `real_server 10.0.0.${71 + (n % 2)} ${8000 + n} {\n${check}\n}`,
	);
	return `virtual_server ${externalVip} ${port} {
		delay_loop 1
		protocol TCP
		lb_algo rr
		lb_kind NAT
		${backends.join('\n')}
	}`;
}

const FLOWS = 1_000_000;
const COPIES = Limits.LIMIT_COPIES_MAX;
/** Of a flow's record (struct flow_copy): its bytes, and where the client's address is. */
const RECORD = {bytes: 32, client: 4} as const;
/** Clients of the flows that a test makes up have addresses from here on. */
const FIRST_CLIENT = 0x0b00_0000;

/** Fills lb1's table with copies of a flow that it has, each of a client of its own. */
function fillFlowTable(): void {
	const plane = SharingPlane.open(lab().lb1.daemonName);
	try {
		const records = Buffer.concat(Array(COPIES).fill(oneFlow(plane)));
		for (let n = 0; n < FLOWS; n++) {
			records.writeUInt32BE(FIRST_CLIENT + n, (n % COPIES) * RECORD.bytes + RECORD.client);
			if (n % COPIES === COPIES - 1) plane.takeFlows(4, records, COPIES);
		}
	} finally {
		plane.close();
	}
}

function oneFlow(plane: SharingPlane): Uint8Array {
	const found: Uint8Array[] = [];
	const emit = (words: Uint32Array, at: number) => {
		found.push(new Uint8Array(words.slice(at, at + RECORD.bytes / 4).buffer));
	};
	plane.scanFlows(4, 0, {copies: false, slots: plane.slots(4)}, emit);
	const [flow] = found;
	if (flow === undefined) throw new Error('lb1 has no flow');
	return flow;
}

/** `lbctl flows`, all of them; resolves to how many. */
async function dumpFlows(): Promise<number> {
	const {lb1} = lab();
	const command = [...program('lbctl'), '--name', lb1.daemonName, 'flows', '--limit', '0'].join(' ');
	const {stdout} = await finish(lb1, ['sh', '-c', `${command} | wc -l`]);
	return Number(stdout) - 1;
}

test('10,000 checks, a dump of 1M flows, a reload of 1,000 services, a restart amid all that: adverts keep their time', async t => {
	const {client, lb1} = lab();
	const held = await client.hold();
	fillFlowTable();
	const seen: number[] = [];
	await unnoticed(t, async () => {
		lb1.configure(many);
		const dump = dumpFlows();
		t.is((await lbctl(lb1, 'reload')).code, ExitCode.ok);
		await lab().run('lb1', 'curl', '-s', '-o', '/dev/null', 'http://127.0.0.1:9633/metrics');
		seen.push(await dump);
		const again = dumpFlows();
		await lb1.killAlone();
		const before = sentences(lb1).length;
		await lb1.start();
		await waitFor('lbd is ready', () => sentences(lb1, before).includes('lbd is ready'), {timeoutMs: PATIENCE_MS});
		seen.push(await again);
	});
	t.log(`flows in the dumps: ${seen.join(', ')}`);
	for (const flows of seen) t.true(flows > 0.99 * FLOWS);
	t.is((await held.ask()).body, held.first.body);
	await held.close();
	const page = await lab().run('lb1', 'curl', '-s', 'http://127.0.0.1:9633/metrics');
	const [, lateness] = /lbd_vrrp_timer_lateness_max_seconds\{instance="external"\} (\S+)/.exec(page) ?? [];
	t.log(`the latest timer of lbd-vrrp came ${Number(lateness) * 1000} ms late`);
	t.true(Number(lateness) < 0.5);
	lb1.configure(primary);
	t.is((await lbctl(lb1, 'reload')).code, ExitCode.ok);
});

/** What a stranger says on a socket of ours: nothing, nonsense, too much, what only lbd says. */
const nonsense: readonly (string | Buffer)[] = [
	'',
	'{"kind":"hel',
	'{"kind":"hello"}\n',
	'{"kind":"stop"}\n',
	'{"id":1,"call":"status","params":{"x":1}}\n',
	Buffer.alloc(4096, 0xff),
	Buffer.alloc(8 << 20, '['),
];
const STRANGERS = 2000;
const AT_ONCE = 50;

/** Strangers come to a socket, talk nonsense, do not read, and go when they are sent away or have had enough. */
async function annoy(path: string): Promise<void> {
	for (let n = 0; n < STRANGERS; n += AT_ONCE) {
		const strangers = Array.from({length: AT_ONCE}, (_, of) => {
			const stranger = connect(path).on('error', () => {});
			stranger.write(nonsense[(n + of) % nonsense.length] ?? '');
			return stranger;
		});
		await pause(1);
		// Some of them stay until they are sent away.
		for (const stranger of strangers.slice(n === 0 ? nonsense.length : 0)) stranger.destroy();
	}
}

function residentBytes(pid: number): number {
	const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? [];
	return Number(kib) * 1024;
}

test('strangers on the sockets of lbd and lbd-vrrp by the thousand: adverts keep their time, and memory its size', async t => {
	const {lb1} = lab();
	const [process] = lb1.vrrpProcesses();
	const before = residentBytes(process?.pid ?? 0);
	await unnoticed(t, async () => {
		await Promise.all([vrrpSocketOf(lb1.daemonName), controlSocketOf(lb1.daemonName)].map(annoy));
	});
	t.deepEqual(lb1.vrrpProcesses(), [process]);
	const more = residentBytes(process?.pid ?? 0) - before;
	t.log(`${Math.round(more / 1024)} KiB more in memory`);
	t.true(more < 32 << 20);
	const {code, stderr} = await lbctl(lb1, 'status');
	t.is(code, ExitCode.ok, stderr);
});

test('SIGKILL of lbd and no new start: after the grace lbd-vrrp hands over and ends, and nothing is lost', async t => {
	const {lb1, lb2} = lab();
	const pings = await Pings.start(lab().namespace('client'), externalVip);
	await lb1.killAlone();
	const ended = () => lb1.vrrpProcesses().length === 0;
	await waitFor('lbd-vrrp has ended', ended, {timeoutMs: PATIENCE_MS});
	t.true(await lb2.isMaster());
	t.deepEqual(await lb1.vips(), []);
	const {sent, lost} = await pings.stop();
	t.log(`${lost} of ${sent} pings lost`);
	t.is(lost, 0);
});

/** Adverts so rare that a start on a busy machine is over before anybody else takes over, which is after three of them. */
const LONG_ADVERT_S = 3;
const SYNC = '\nlbd {\nsync {\ninterface eth1\nkey "5f1d0c2b9e8a47763344aabbccddeeff"\n}\n}\n';

async function isInSync(): Promise<boolean> {
	const {daemon} = (await lab().lb1.lbctl('status')) as {daemon: Status};
	return daemon.sharing?.state === 'in-sync';
}

test('SIGKILL of everything under load and a start within the rules of adverts: still master, and nothing is lost', async t => {
	const {lb1, lb2} = lab();
	lb1.configure(variant(primary, {advert_int: LONG_ADVERT_S}) + SYNC);
	lb2.configure(variant(reference.backup, {advert_int: LONG_ADVERT_S}) + SYNC);
	await lb2.stop();
	await lb1.start();
	await lb2.start();
	await isAlone();
	await waitFor('the connections are shared', isInSync, {timeoutMs: PATIENCE_MS});
	const wire = await lab().capture('client', 'eth0', 'vrrp and src host 192.168.1.10');
	await wire.frame(/vrid 91/);
	const before = await standings(lb2);
	const load = await Load.begin(lab());
	const pings = await Pings.start(lab().namespace('client'), externalVip);
	await lb1.kill();
	t.deepEqual(lb1.vrrpProcesses(), []);
	const since = wire.frames.length;
	await lb1.start();
	await waitFor('an advert', () => wire.frames.length > since, {timeoutMs: PATIENCE_MS});
	t.deepEqual(await standings(lb1), Array(2).fill('master after 0 transitions'));
	const {sent, lost} = await pings.stop();
	const silentMs = (wire.frames[since]?.atMs ?? Number.NaN) - (wire.frames[since - 1]?.atMs ?? 0);
	t.log(`${Math.round(silentMs)} ms between adverts; ${lost} of ${sent} pings lost`);
	t.true(silentMs < 3000 * LONG_ADVERT_S);
	t.is(lost, 0);
	t.deepEqual(await load.end(), NO_HARM);
	t.deepEqual(await standings(lb2), before);
	await wire.close();
});

test('SIGKILL of lbd-vrrp, of lbd-sync and of lbd under load, one after the other: each comes back, and nothing is lost', async t => {
	const {lb1, lb2} = lab();
	await waitFor('the connections are shared', isInSync, {timeoutMs: PATIENCE_MS});
	const before = await standings(lb2);
	const load = await Load.begin(lab());
	const isMaster = async () => {
		const instances = (await lb1.lbctl('vrrp').catch(() => [])) as InstanceReport[];
		return instances.length > 0 && instances.every(({state}) => state === 'master');
	};
	const [first] = lb1.vrrpProcesses();
	lb1.killProgram('lbd-vrrp');
	const isAnother = () => lb1.vrrpProcesses().some(({pid}) => pid !== first?.pid);
	await waitFor('there is another lbd-vrrp', isAnother, {timeoutMs: PATIENCE_MS});
	await waitFor('lb1 is master', isMaster, {timeoutMs: PATIENCE_MS, seen: () => lb1.log()});
	lb1.killProgram('lbd-sync');
	await waitFor('lbd-sync is gone', async () => !(await isInSync()), {timeoutMs: PATIENCE_MS});
	await waitFor('lbd-sync is back', isInSync, {timeoutMs: PATIENCE_MS, seen: () => lb1.log()});
	await lb1.killAlone();
	await lb1.start();
	await waitFor('lb1 is master', isMaster, {timeoutMs: PATIENCE_MS, seen: () => lb1.log()});
	t.deepEqual(await load.end(), NO_HARM);
	t.deepEqual(await standings(lb2), before);
});
