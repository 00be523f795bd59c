/**
 * VRRP goes on while the daemon beside it does not, or has no time: adverts keep theirs, nobody takes over, nothing is
 * lost. One pair; lb1 is master and has the trouble.
 */
import {readFileSync} from 'node:fs';
import {connect} from 'node:net';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import type {Balancer} from '../../lab/balancer.js';
import type {Daemon} from '../../lab/daemon.js';
import {Pings} from '../../lab/pings.js';
import {controlSocketOf, vrrpSocketOf} from '../../lab/record.js';
import {externalVip} from '../../lab/topology.js';
import {waitFor} from '../../lab/wait.js';
import type {InstanceReport, Status} from '../../src/control/protocol.js';
import {ExitCode} from '../../src/errors.js';
import {reference, variant} from './jobs.js';
import {labOfFile, startPrimary, test} from './lab-test.js';
import {Load, NO_HARM} from './load.js';
import {lbctl, sentences} from './observe.js';
import {otherBuild, startOtherBuild} from './other-build.js';
import {isAlone, standings, unnoticed} from './unnoticed.js';

const GRACE_S = 3;
const primary = `${reference.primary}\nlbd {\n\tvrrp_grace ${GRACE_S}\n}\n`;

const lab = labOfFile({configs: {lb1: primary, lb2: reference.backup}}, async built => {
	await Promise.all([startPrimary(built), built.lb2.start()]);
	await isAlone(built);
});

const goesOn = 'lbd-vrrp goes on as an earlier lbd has left it';

test('SIGKILL of lbd and a new start: the same lbd-vrrp goes on, and nobody notices', async t => {
	const {lb1} = lab();
	const [process] = lb1.vrrpProcesses();
	const before = sentences(lb1).length;
	await unnoticed(t, lab(), async () => {
		await lb1.killAlone();
		await lb1.start();
		await waitFor('lbd has found lbd-vrrp', () => sentences(lb1, before).includes(goesOn));
		await waitFor('lbd is ready', () => sentences(lb1, before).includes('lbd is ready'));
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
	await unnoticed(t, lab(), async () => {
		await lb1.killAlone();
		other = await startOtherBuild(lbd, lb1, join(directory, 'lb1.log'));
	});
	t.true(sentences(lb1, before).includes('lbd-vrrp is of another build, and hands on to a new one'));
	t.is(lb1.vrrpProcesses().length, 1);
	t.notDeepEqual(lb1.vrrpProcesses(), [process]);
	t.deepEqual(await standings(lb1), Array(2).fill('master after 0 transitions'));
	// And back.
	const since = sentences(lb1).length;
	await unnoticed(t, lab(), async () => {
		await (other as Daemon | null)?.killAlone();
		await lb1.start();
		await waitFor('lbd is ready', () => sentences(lb1, since).includes('lbd is ready'));
	});
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
	await unnoticed(t, lab(), async () => {
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
	await waitFor('lbd-vrrp has ended', ended);
	t.true(await lb2.isMaster());
	t.deepEqual(await lb1.vips(), []);
	const {sent, lost} = await pings.stop();
	t.log(`${lost} of ${sent} pings lost`);
	t.is(lost, 0);
});

/** Adverts so rare that a start on a busy machine is over before anybody else takes over, which is after three of them. */
const LONG_ADVERT_S = 10;
const SYNC = '\nlbd {\nsync {\ninterface eth1\nkey "5f1d0c2b9e8a47763344aabbccddeeff"\n}\n}\n';

function rare(configuration: string): string {
	return variant(configuration, {advert_int: LONG_ADVERT_S});
}

async function reload(balancer: Balancer, configuration: string): Promise<void> {
	balancer.configure(configuration);
	await balancer.lbctl('reload');
}

/** The process id of lbd-sync on lb1, while there is one. */
function sharer(): number | undefined {
	return lab()
		.lb1.programs()
		.find(({name}) => name === 'lbd-sync')?.identity.pid;
}

async function isInSync(): Promise<boolean> {
	const {daemon} = (await lab().lb1.lbctl('status')) as {daemon: Status};
	return daemon.sharing?.state === 'in-sync';
}

test('SIGKILL of everything under load and a start within the rules of adverts: still master, and nothing is lost', async t => {
	const {lb1, lb2} = lab();
	await reload(lb2, reference.backup + SYNC);
	lb1.configure(primary + SYNC);
	await lb1.start();
	await isAlone(lab());
	const wire = await lab().capture('client', 'eth0', 'vrrp and src host 192.168.1.10');
	// Not before lb1 is master: it would wait for so long. The backup first, or it would not believe the master.
	await reload(lb2, rare(reference.backup) + SYNC);
	await reload(lb1, rare(primary) + SYNC);
	await wire.frame(new RegExp(`vrid 91,.* intvl ${LONG_ADVERT_S}s`));
	await waitFor('the connections are shared', isInSync);
	const before = await standings(lb2);
	const load = await Load.begin(lab());
	const pings = await Pings.start(lab().namespace('client'), externalVip);
	await lb1.kill();
	t.deepEqual(lb1.vrrpProcesses(), []);
	const since = wire.frames.length;
	await lb1.start();
	await waitFor('an advert', () => wire.frames.length > since);
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
	await waitFor('the connections are shared', isInSync);
	const before = await standings(lb2);
	const load = await Load.begin(lab());
	const isMaster = async () => {
		const instances = (await lb1.lbctl('vrrp').catch(() => [])) as InstanceReport[];
		return instances.length > 0 && instances.every(({state}) => state === 'master');
	};
	const [first] = lb1.vrrpProcesses();
	lb1.killProgram('lbd-vrrp');
	const isAnother = () => lb1.vrrpProcesses().some(({pid}) => pid !== first?.pid);
	await waitFor('there is another lbd-vrrp', isAnother);
	await waitFor('lb1 is master', isMaster, {seen: () => lb1.log()});
	const killed = sharer();
	lb1.killProgram('lbd-sync');
	await waitFor('there is another lbd-sync', () => ![killed, undefined].includes(sharer()));
	await waitFor('lbd-sync is back', isInSync, {seen: () => lb1.log()});
	await lb1.killAlone();
	await lb1.start();
	await waitFor('lb1 is master', isMaster, {seen: () => lb1.log()});
	t.deepEqual(await load.end(), NO_HARM);
	t.deepEqual(await standings(lb2), before);
});
