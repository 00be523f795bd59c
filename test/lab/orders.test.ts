/** Signals that come while lbd starts: the start is finished or undone in order, and VRRP is not left alone. */
import {existsSync, readFileSync} from 'node:fs';
import {hears} from '../../lab/proc.js';
import {controlSocketOf, lockOf} from '../../lab/record.js';
import {waitFor} from '../../lab/wait.js';
import {ExitCode} from '../../src/errors.js';
import {quick, reference, withoutBackend} from './jobs.js';
import {labOfFile, startPrimary, test} from './lab-test.js';
import {noTraces, onlyMaster, sentences, traces} from './observe.js';

/** Longer than the test waits for an end. */
const primary = `${quick(reference.primary)}\nlbd {\n\tvrrp_grace 60\n}\n`;

const lab = labOfFile({configs: {lb1: primary, lb2: quick(reference.backup)}});

/** How far a start can be seen to be, in its order. */
const early: Readonly<Record<string, (pid: number) => boolean>> = {
	'it hears signals': hearsSignals,
	'it has the name': hasName,
};
const late: Readonly<Record<string, () => boolean>> = {
	'the program is loaded': () => existsSync(`/sys/fs/bpf/lbd/${lab().lb1.daemonName}/maps`),
	'it answers lbctl': () => existsSync(controlSocketOf(lab().lb1.daemonName)),
	'lbd-vrrp begins': () => lab().lb1.vrrpProcesses().length > 0,
};

/** Node itself hears SIGTERM, and ends; SIGHUP is heard by us alone. */
function hearsSignals(pid: number): boolean {
	return hears(pid, 'SIGHUP');
}

function hasName(pid: number): boolean {
	const lock = lockOf(lab().lb1.daemonName);
	return existsSync(lock) && readFileSync(lock, 'utf8') === `${pid}\n`;
}

for (const [name, isThere] of Object.entries(early)) {
	test(`SIGTERM when ${name}: nothing is left of the start`, async t => {
		const {lb1} = lab();
		await lb1.start(isThere);
		await lb1.stop();
		t.is(lb1.exitReason, ExitCode.ok, lb1.log());
		t.false(sentences(lb1).includes('lbd is ready'));
		t.deepEqual(await traces(lb1), noTraces);
	});
}

for (const [name, isThere] of Object.entries(late)) {
	test(`SIGINT when ${name}: the start is undone, or finished and its work ended`, async t => {
		const {lb1} = lab();
		await lb1.start(isThere);
		lb1.signal('SIGINT');
		const hasEnded = () => !lb1.running && lb1.vrrpProcesses().length === 0;
		await waitFor('lbd has ended', hasEnded, {seen: () => lb1.log()});
		t.is(lb1.exitReason, ExitCode.ok, lb1.log());
		const {pinned, xdp, ...rest} = await traces(lb1);
		t.deepEqual(rest, {vips: [], socket: false, programs: 0});
		t.deepEqual(xdp, pinned ? ['eth0', 'eth1'] : []);
	});
}

test('SIGHUP when the configuration has been read: it is read again after the start', async t => {
	const {lb1} = lab();
	const before = sentences(lb1).length;
	await lb1.start(hasName);
	lb1.configure(withoutBackend(primary, '10.0.0.72'));
	lb1.signal('SIGHUP');
	const isReloaded = () => sentences(lb1, before).some(line => line.startsWith('reload: '));
	await waitFor('the reload', isReloaded, {seen: () => lb1.log()});
	await lb1.stop();
	lb1.configure(primary);
	const said = sentences(lb1, before);
	t.regex(said.find(line => line.startsWith('reload: ')) ?? '', /^reload: in force \(1 change,/);
	t.true(said.indexOf('lbd is ready') < said.findIndex(line => line.startsWith('reload: ')));
});

test('SIGTERM at once, beside lbd-vrrp of an earlier lbd: it hands over as well', async t => {
	const {lb1, lb2} = lab();
	await Promise.all([startPrimary(lab()), lb2.start()]);
	await onlyMaster(lb1, lb2);
	await lb1.killAlone();
	t.is(lb1.vrrpProcesses().length, 1);
	await lb1.start(hearsSignals);
	await lb1.stop();
	t.is(lb1.exitReason, ExitCode.ok, lb1.log());
	t.like(await traces(lb1), {vips: [], programs: 0});
	t.true(await lb2.isMaster());
});
