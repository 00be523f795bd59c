/** Reloads, and a daemon that is killed in the middle of them, under load: nothing lost, reset or moved. One balancer, alone. */
import {waitFor} from '../../lab/wait.js';
import type {ServiceRow} from '../../src/cli/commands/services.js';
import type {ChangeReport, InstanceReport, PlanReport, ReloadOutcome} from '../../src/control/protocol.js';
import {ExitCode} from '../../src/errors.js';
import type {FlowView} from '../../src/xdp/view.js';
import {quick, reference, variant} from './jobs.js';
import {answers, labOfFile, startPrimary, test} from './lab-test.js';
import {CONNECTIONS, Load, NO_HARM} from './load.js';
import {backendName, lbctl} from './observe.js';

/** The reference job's service, one of the same web servers that no reload touches, and one that nobody uses. */
const OTHER_PORT = 8080;
const IDLE_PORT = 8082;
const SERVICE = 'virtual_server 192.168.1.1:80';

const original = variant(quick(reference.primary), {delay_loop: 1});
const block = original.slice(original.indexOf('virtual_server 192.168.1.1 80'));
const withPort = (port: number): string => block.replace('192.168.1.1 80', `192.168.1.1 ${port}`);
const base = `${original}\n${withPort(OTHER_PORT).replace(/ *persistence_timeout.*\n/, '')}\n${withPort(IDLE_PORT)}`;

const lab = labOfFile({configs: {lb1: base}}, startPrimary);

function sentence({blocks, what, before, after, kind}: ChangeReport): string {
	return [...blocks, kind === 'changed' ? `${what} ${before} → ${after}` : `${what} ${kind}`].join(': ');
}

/** Plans a configuration, then puts it in force; both say the same. */
async function change(configuration: string): Promise<{readonly plan: PlanReport; readonly said: readonly string[]}> {
	const {lb1} = lab();
	lb1.configure(configuration);
	const plan = (await lb1.lbctl('plan', lb1.configFile)) as PlanReport;
	const outcome = (await lb1.lbctl('reload')) as ReloadOutcome;
	const said = outcome.changes.map(sentence);
	if (!outcome.applied) throw new Error(outcome.summary);
	if (said.join() !== plan.changes.map(sentence).join())
		throw new Error(`planned ${plan.changes.map(sentence)}, did ${said}`);
	return {plan, said};
}

/** The first service's block changed, the others as they were. */
function first(edit: (block: string) => string): string {
	return base.replace(block, edit(block));
}

/** Waits until the checks have found so many backends of the idle service up. */
async function idleBackendsUp(backendsUp: number): Promise<void> {
	await waitFor(`${backendsUp} backends of the idle service up`, async () => {
		const services = (await lab().lb1.lbctl('services')) as ServiceRow[];
		return services.some(row => row.service === `192.168.1.1:${IDLE_PORT}` && row.backendsUp === backendsUp);
	});
}

async function transitions(): Promise<number[]> {
	return ((await lab().lb1.lbctl('vrrp')) as InstanceReport[]).map(instance => instance.transitions);
}

test('reloads under load: each change takes effect, and nothing else is touched', async t => {
	const {lb1} = lab();
	const load = await Load.begin(lab(), [80, OTHER_PORT]);
	const before = await transitions();
	const backends = async () =>
		(await lb1.lbctl('maps', 'dump', 'backends')) as {readonly value: Readonly<Record<string, unknown>>}[];
	const services = async () => (await lb1.lbctl('services')) as ServiceRow[];

	const weighed = await change(
		first(text => text.replace('weight 1', 'weight 3').replace('lb_algo rr', 'lb_algo wrr')),
	);
	t.deepEqual(weighed.said, [`${SERVICE}: lb_algo rr → wrr`, `${SERVICE}: real_server 10.0.0.71:80: weight 1 → 3`]);
	const [algo, weight] = weighed.plan.changes;
	t.true((algo?.connections ?? 0) >= CONNECTIONS / 2 && (weight?.connections ?? 0) >= CONNECTIONS / 5);
	t.true((algo?.persistenceEntries ?? 0) >= CONNECTIONS / 2);
	t.like(await services(), {0: {scheduler: 'wrr'}, 1: {scheduler: 'rr'}});
	t.like(await backends(), {0: {value: {weight: 3}}});

	await change(first(text => text.replace('persistence_timeout 7200', 'persistence_timeout 300')));
	t.like(await services(), {0: {scheduler: 'rr', persistenceS: 300}});

	await change(first(text => text.replace('weight 1', 'weight 1\nuthreshold 5000\nlthreshold 4000')));
	t.like(await backends(), {0: {value: {upperThreshold: 5000, lowerThreshold: 4000}}});

	await change(base);
	const timeouts = await change(base.replace('global_defs {', 'global_defs {\nlvs_timeouts tcp 600'));
	t.deepEqual(timeouts.said, ['global_defs: lvs_timeouts tcp 900 s → 600 s']);
	t.true((timeouts.plan.changes[0]?.connections ?? 0) >= CONNECTIONS);
	const flows = (await lb1.lbctl('flows', '--state', 'established', '--limit', '0')) as FlowView[];
	t.true(flows.length >= CONNECTIONS && flows.every(({expiresInS}) => expiresInS <= 601));

	await change(base.replace(withPort(IDLE_PORT), withPort(IDLE_PORT).replaceAll('connect_port 80', 'connect_port 81')));
	await idleBackendsUp(0);

	await change(variant(base, {priority: 190}));
	t.deepEqual(
		((await lb1.lbctl('vrrp')) as InstanceReport[]).map(({state, basePriority}) => [state, basePriority]),
		[
			['master', 190],
			['master', 190],
		],
	);

	t.deepEqual(await transitions(), before, 'VRRP has not moved');
	t.deepEqual((await change(base)).said.length > 0, true);
	t.deepEqual(await load.end(), NO_HARM);
});

test('thresholds, weights and persistence: clients get what the last reload says', async t => {
	const {client} = lab();
	const idle = (edit: (block: string) => string) =>
		change(base.replace(withPort(IDLE_PORT), edit(withPort(IDLE_PORT))));
	const port = IDLE_PORT;

	await idle(text => text.replace('weight 1', 'weight 1\nuthreshold 1'));
	// Their checks have just asked another port.
	await idleBackendsUp(2);
	const held = [
		await client.hold({port}),
		await client.hold({port}),
		await client.hold({port}),
		await client.hold({port}),
	];
	t.deepEqual(held.map(({first: {body}}) => body).toSorted(), ['web1', 'web2', 'web2', 'web2']);

	await idle(text => text.replace('weight 1', 'weight 3').replace('lb_algo rr', 'lb_algo wrr'));
	const dealt = answers(await client.sequence(8, {port}));
	t.is(dealt.filter(server => server === 'web1').length, 6);

	const from = client.freshAddress();
	const ask = async () => (await client.get({from, port})).body;
	t.is(await ask(), await ask());
	await idle(text => text.replace(/ *persistence_timeout.*\n/, ''));
	t.not(await ask(), await ask());
	await Promise.all(held.map(connection => connection.close()));
	await change(base);
});

test('a file with errors is refused by plan as by check, and a removed backend drains as its policy says', async t => {
	const {client, lb1} = lab();
	lb1.configure(first(text => text.replace('lb_algo rr', 'lb_algo rrr')));
	const bad = await lbctl(lb1, 'plan', lb1.configFile);
	t.is(bad.code, ExitCode.badValue);
	t.regex(bad.stdout, new RegExp(`^${lb1.configFile}:49:13: error: `, 'm'));
	t.regex(bad.stdout, /^would be refused: 1 error in the configuration$/m);
	t.is((await lbctl(lb1, 'check', lb1.configFile)).code, bad.code);
	t.is((await lbctl(lb1, 'plan', 'nowhere.conf')).code, ExitCode.noConfiguration);

	const settings = (policy: string, text: string): string => `${text}\nlbd {\nfailed_backend ${policy}\n}`;
	const without = (text: string): string => text.replace(/^ {4}real_server 10\.0\.0\.72 .*?^ {4}\}\n/ms, '');
	await change(settings('keep', base));
	const held = [await client.hold(), await client.hold(), await client.hold(), await client.hold()];
	const {plan} = await change(settings('keep', first(without)));
	const onWeb2 = held.filter(({first: answer}) => answer.body === 'web2');
	t.like(plan.changes, [{what: `real_server ${backendName('web2')}`, kind: 'removed', fate: 'stay'}]);
	t.true((plan.changes[0]?.connections ?? 0) >= onWeb2.length);
	for (const connection of held) t.is((await connection.ask()).body, connection.first.body);

	await change(settings('keep', base));
	await change(settings('reset', base));
	const reset = await change(settings('reset', first(without)));
	t.like(reset.plan.changes, [{kind: 'removed', fate: 'reset'}]);
	for (const connection of onWeb2) t.is((await connection.ask()).error, 'ECONNRESET');
	await Promise.all(held.map(connection => connection.close()));
	await change(base);
});

test('SIGKILL of all processes in the middle of reloads, and new starts: nothing lost, reset or moved', async t => {
	const {lb1} = lab();
	const load = await Load.begin(lab(), [80, OTHER_PORT]);
	const reloaded = first(text => text.replace('weight 1', 'weight 2').replace('lb_algo rr', 'lb_algo mh'));
	for (const [round, pauseMs] of [0, 15, 60].entries()) {
		lb1.configure(round % 2 === 0 ? reloaded : base);
		lb1.signal('SIGHUP');
		await new Promise(resolve => setTimeout(resolve, pauseMs));
		await lb1.kill('SIGKILL');
		await startPrimary(lab());
	}
	t.deepEqual(await load.end(), NO_HARM);
});
