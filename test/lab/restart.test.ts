/** What outlives the daemon, what a reload changes, and what is left at the end. One balancer, alone. */
import {vips} from '../../lab/topology.js';
import {waitFor} from '../../lab/wait.js';
import type {InstanceReport, ReloadReport, Status} from '../../src/control/protocol.js';
import {ExitCode} from '../../src/errors.js';
import type {PersistenceView} from '../../src/xdp/view.js';
import {quick, reference, withoutBackend} from './jobs.js';
import {answers, inTurn, labOfFile, only, other, startPrimary, test} from './lab-test.js';
import {backend, backendName, lbctl, noTraces, sentences, service, traces} from './observe.js';

const primary = quick(reference.primary);

const lab = labOfFile({configs: {lb1: primary}}, startPrimary);

/** Resolves when the stream has so many more answers. */
async function answered(outcomes: readonly unknown[], more: number): Promise<void> {
	const target = outcomes.length + more;
	await waitFor(`${more} more requests`, () => outcomes.length >= target);
}

test('SIGKILL and a new start: nothing is lost, nothing moves, the turn goes on', async t => {
	const {client, lb1} = lab();
	const [first, second] = [await client.hold(), await client.hold()];
	const held = [first, second];
	const homes = held.map(connection => connection.first.body);
	t.deepEqual(homes, ['web1', 'web2']);
	const entriesBefore = (await lb1.lbctl('persistence')) as PersistenceView[];
	const serviceBefore = await service(lb1);

	const stream = client.stream({from: Array.from({length: 1000}, () => client.freshAddress())});
	await answered(stream.outcomes, 25);
	await lb1.kill('SIGKILL');
	t.deepEqual(await lb1.vips(), [...vips]);
	await answered(stream.outcomes, 50);
	t.deepEqual(await Promise.all(held.map(async connection => (await connection.ask()).body)), homes);

	await startPrimary(lab());
	await answered(stream.outcomes, 50);
	const outcomes = await stream.stop();
	t.deepEqual(answers(outcomes), inTurn('web1', outcomes.length));

	t.deepEqual(await Promise.all(held.map(async connection => (await connection.ask()).body)), homes);
	for (const {client: from, backend: home} of entriesBefore) {
		t.is(backendName((await client.get({from})).body), home);
	}
	const serviceAfter = await service(lb1);
	t.is(serviceAfter.nextTicket, serviceBefore.nextTicket + outcomes.length);
	t.is(serviceAfter.connections, serviceBefore.connections + outcomes.length + entriesBefore.length);
	t.true(lb1.log(Number.POSITIVE_INFINITY).includes('"adopted":true,"loaded":false'));
	await Promise.all(held.map(connection => connection.close()));
});

test('a reload takes a backend out of the file and puts it in again; SIGHUP does the same', async t => {
	const {client, lb1} = lab();
	const [one, two] = [await client.hold(), await client.hold()];
	const [onWeb1, onWeb2] = one.first.body === 'web1' ? [one, two] : [two, one];
	lb1.configure(withoutBackend(primary, '10.0.0.72'));
	const reload = await lbctl(lb1, '--json', 'reload');
	t.is(reload.code, ExitCode.ok);
	t.like(JSON.parse(reload.stdout) as ReloadReport, {applied: true, diagnostics: []});
	t.deepEqual(answers(await client.sequence(6)), only('web1', 6));
	t.is((await onWeb1.ask()).body, 'web1');

	lb1.configure(primary);
	lb1.signal('SIGHUP');
	await waitFor('web2 is back', async () => (await service(lb1)).backendsUp === 2);
	const [first = ''] = answers([await client.get()]);
	t.deepEqual(answers(await client.sequence(6)), inTurn(other(first), 6));
	t.is((await onWeb1.ask()).body, 'web1');
	t.is(
		(await onWeb2.ask()).body,
		'web2',
		'an open connection lives on if its backend returns before it has said anything',
	);
	await Promise.all([onWeb1.close(), onWeb2.close()]);
});

test('a bad file changes nothing and says so', async t => {
	const {client, lb1} = lab();
	const held = await client.hold();
	const before = await transitions();
	lb1.configure(primary.replace('lb_algo rr', 'lb_algo rrr'));
	const place = `${lb1.configFile}:49:13: error: `;

	const reload = await lbctl(lb1, 'reload');
	t.is(reload.code, ExitCode.badValue);
	t.true(reload.stdout.includes(place), reload.stdout);
	t.regex(reload.stdout, /^refused, nothing was changed: 1 error in the configuration$/m);
	const {lastReload} = ((await lb1.lbctl('status')) as {daemon: Status}).daemon;
	t.like(lastReload, {applied: false, exitCode: ExitCode.badValue});
	t.true(lastReload?.diagnostics.some(diagnostic => diagnostic.startsWith(place)));
	t.regex((await lbctl(lb1, 'status')).stdout, /last reload refused at .*: refused, nothing was changed/);

	const linesBefore = sentences(lb1).length;
	lb1.signal('SIGHUP');
	const refused = () =>
		sentences(lb1, linesBefore).some(line => line.startsWith('reload: refused, nothing was changed'));
	await waitFor('SIGHUP is refused as well', refused);

	lb1.configure(withoutBackend(primary, '10.0.0.72').replace('interface eth1', 'interface eth7'));
	const impossible = await lbctl(lb1, 'reload');
	t.is(impossible.code, ExitCode.noInterface);
	t.regex(impossible.stdout, /^refused, nothing was changed: .*interface eth7: ENODEV/m);

	const page = await lab().run('lb1', 'curl', '-s', 'http://127.0.0.1:9633/metrics');
	t.regex(page, /^lbd_last_reload_applied 0$/m);
	t.regex(page, /^lbd_reloads_total\{outcome="refused"\} 3$/m);
	t.deepEqual(await lb1.vips(), [...vips]);
	t.deepEqual(await transitions(), before);
	const [first = ''] = answers([await client.get()]);
	t.deepEqual(answers(await client.sequence(4)), inTurn(other(first), 4));
	t.is((await held.ask()).body, held.first.body);
	await held.close();
});

/** How often each VRRP instance has changed its state. */
async function transitions(): Promise<number[]> {
	const instances = (await lab().lb1.lbctl('vrrp')) as InstanceReport[];
	return instances.map(instance => instance.transitions);
}

test('an orderly stop leaves no VIP, no process and no socket, but what is pinned', async t => {
	const {lb1} = lab();
	lb1.configure(primary);
	await lb1.stop();
	t.is(lb1.exitReason, ExitCode.ok);
	t.deepEqual(await traces(lb1), {...noTraces, xdp: ['eth0', 'eth1'], pinned: true});
	t.is((await backend(lb1, 'web1')).state, 'up');
});

test('unload is refused while the daemon runs, and takes everything off when it does not', async t => {
	const {lb1} = lab();
	await lb1.start();
	const refused = await lbctl(lb1, 'unload');
	t.is(refused.code, ExitCode.alreadyRunning);
	t.is(
		refused.stderr,
		`lbctl: unload: the daemon named "${lb1.daemonName}" is running (stop it first: systemctl stop lbd)\n`,
	);
	await lb1.stop();
	t.is((await lbctl(lb1, 'unload')).code, ExitCode.ok);
	t.deepEqual(await traces(lb1), noTraces);
	t.is((await lbctl(lb1, 'unload')).code, ExitCode.failure);
});
