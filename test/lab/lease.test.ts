/**
 * A daemon that is killed or hangs leaves its virtual addresses on the NIC. Once its peer has taken over, nobody hears two
 * answers to where an address is; while it is alone, it serves on.
 */
import type {ExecutionContext} from 'ava';
import type {Balancer} from '../../lab/balancer.js';
import {interruption} from '../../lab/interruption.js';
import type {Lab} from '../../lab/lab.js';
import {
	externalVip,
	externalVip6,
	internalVip,
	internalVip6,
	macOf,
	type NodeName,
	nodes,
	vips,
} from '../../lab/topology.js';
import {waitFor} from '../../lab/wait.js';
import type {LeaseView} from '../../src/xdp/view.js';
import {bothFamilies, reference} from './jobs.js';
import {labOfFile, startPrimary, test} from './lab-test.js';
import {finish, lbctl, met, onlyMaster} from './observe.js';

/** How often each address is asked for. */
const QUESTIONS = 3;
/** Clients may feel the moment in which addresses move, but not the seconds until the peer notices. */
const MOVE_MS = 2000;

const open = bothFamilies(reference.primary);
const closedCopy = open.replaceAll(/(vrrp_instance \w+ \{)/g, '$1\n    no_accept');

const lab = labOfFile({configs: {lb1: open, lb2: bothFamilies(reference.backup)}}, async built => {
	await Promise.all([startPrimary(built), built.lb2.start()]);
	await onlyMaster(built.lb1, built.lb2);
});

/** For comparison; it stands idle until then. */
const besides = labOfFile(
	{
		configs: {lb1: reference.primary, lb2: reference.backup},
		programs: {lb1: 'keepalived', lb2: 'keepalived'},
	},
	async built => {
		await Promise.all([built.lb1.start(), built.lb2.start()]);
		await onlyMaster(built.lb1, built.lb2);
	},
);

async function isMaster(balancer: Balancer): Promise<void> {
	await waitFor(`${balancer.name} is master`, () => balancer.isMaster(), {
		seen: () => balancer.log(),
	});
}

/** Where an address is: every answer that a node gets on its link when it asks some times anew, by the balancers' names. */
async function answersTo(scene: Lab, node: NodeName, address: string): Promise<string[]> {
	const [nic] = nodes[node].nics;
	const capture = await scene.capture(node, 'eth0', 'arp or icmp6');
	const forget = `ip neigh del ${address} dev eth0 2>/dev/null`;
	const ask = `${forget}; ping -n -c 1 -W 1 -I eth0 ${address} >/dev/null`;
	for (let n = 0; n < QUESTIONS; n++) await scene.run(node, 'sh', '-c', `${ask} || true`);
	const answer = `(Reply ${address} is-at|neighbor advertisement, tgt is ${address},)`;
	const replies = () => capture.matching(new RegExp(`^\\S+ > ${macOf(nic?.address ?? '')}, .*${answer}`));
	await waitFor(`${address} is answered for`, () => replies().length >= QUESTIONS, {
		seen: () => capture.frames.map(({text}) => text).join('\n'),
	});
	await capture.close();
	return replies().map(({text}) => ownerOf(text.split(' ')[0] ?? ''));
}

function ownerOf(mac: string): string {
	const owner = Object.values(nodes).find(({nics}) => nics.some(({address}) => macOf(address) === mac));
	return owner?.name ?? mac;
}

const ASKED: ReadonlyArray<readonly [NodeName, string]> = [
	['client', externalVip],
	['client', externalVip6],
	['web1', internalVip],
	['web1', internalVip6],
];

/** Every question has one answer, and it is this balancer's. */
async function assertOneAnswer(t: ExecutionContext, balancer: Balancer): Promise<void> {
	const ask = async ([node, address]: (typeof ASKED)[number]) => {
		const answers = await answersTo(lab(), node, address);
		t.deepEqual([...new Set(answers)], [balancer.name], `${address}: ${answers}`);
	};
	await Promise.all(ASKED.map(ask));
}

/** What `lbctl vrrp` says of all leases of a balancer without a daemon. */
async function leases(balancer: Balancer): Promise<string> {
	const states = ((await balancer.lbctl('vrrp')) as LeaseView[]).map(({state}) => state);
	return [...new Set(states)].join();
}

/** Lets clients ask all the time while something happens; says how they felt it. */
async function felt(t: ExecutionContext, what: string, act: () => Promise<void>): Promise<void> {
	const streams = [externalVip, externalVip6].map(to => lab().client.stream({to}));
	await waitFor('the streams run', () => streams.every(({outcomes}) => outcomes.length > 10));
	await act();
	const since = streams.map(({outcomes}) => outcomes.length);
	const goOn = () => streams.every(({outcomes}, n) => outcomes.length > (since[n] ?? 0) + 25);
	await waitFor('the streams go on', goOn);
	for (const stream of streams) {
		const {ms, lost, requests} = interruption(await stream.stop());
		t.log(`${what}: interrupted for ${ms} ms, ${lost} of ${requests} requests lost`);
		t.true(ms <= MOVE_MS, `interrupted for ${ms} ms`);
	}
}

test('no_accept: a virtual address is its services and nothing else, and is found all the same', async t => {
	const {lb1, client} = lab();
	const isOpen = async (address: string) => {
		const {code} = await finish({namespace: lab().namespace('client')}, ['ping', '-nc', '1', '-W', '3', address]);
		return code === 0;
	};
	const both = [externalVip, externalVip6];
	t.deepEqual(await Promise.all(both.map(isOpen)), [true, true]);
	lb1.configure(closedCopy);
	t.is((await lbctl(lb1, 'reload')).code, 0);
	for (const address of both) await lab().run('client', 'ip', 'neigh', 'flush', 'to', address);
	t.deepEqual(await Promise.all(both.map(isOpen)), [false, false]);
	for (const to of both) t.is((await client.get({to})).status, 200);
	t.is(await met(lb1, 'V_DROP_CLOSED'), both.length);
	lb1.configure(open);
	t.is((await lbctl(lb1, 'reload')).code, 0);
	t.deepEqual(await Promise.all(both.map(isOpen)), [true, true]);
});

test('SIGKILL of all programs of the master: its addresses stay, and it does not answer for them', async t => {
	const {lb1, lb2} = lab();
	const before = await met(lb2, 'V_DROP_LEASE');
	await felt(t, 'SIGKILL', async () => {
		await lb1.kill('SIGKILL');
		await isMaster(lb2);
	});
	await assertOneAnswer(t, lb2);
	t.deepEqual((await lb1.vips()).toSorted(), [...vips].toSorted());
	t.is(await leases(lb1), 'taken');
	t.true((await met(lb1, 'V_DROP_LEASE')) >= QUESTIONS * ASKED.length);
	t.is(await met(lb2, 'V_DROP_LEASE'), before);
});

test('the daemon returns, takes what it left off, and is master again', async t => {
	const {lb1, lb2} = lab();
	await felt(t, 'the return', async () => {
		await lb1.start();
		await onlyMaster(lb1, lb2);
	});
	await assertOneAnswer(t, lb1);
});

test('SIGSTOP of all programs of the master, then SIGCONT: it wins the election again', async t => {
	const {lb1, lb2} = lab();
	await felt(t, 'SIGSTOP', async () => {
		lb1.freeze();
		t.teardown(() => lb1.thaw());
		await isMaster(lb2);
	});
	await assertOneAnswer(t, lb2);
	await felt(t, 'SIGCONT', async () => {
		lb1.thaw();
		await waitFor('lb2 gives way', async () => (await lb2.vips()).length === 0);
	});
	await assertOneAnswer(t, lb1);
});

test('SIGCONT of lbd-vrrp whose successor ranks above it: it lets go of its addresses', async t => {
	const {lb1, lb2} = lab();
	await lb1.stop();
	await isMaster(lb2);
	lb2.freeze('lbd-vrrp');
	t.teardown(() => lb2.thaw());
	await felt(t, 'SIGSTOP', () => startPrimary(lab()));
	await assertOneAnswer(t, lb1);
	t.deepEqual((await lb2.vips()).toSorted(), [...vips].toSorted());
	await felt(t, 'SIGCONT', async () => {
		lb2.thaw();
		await onlyMaster(lb1, lb2);
	});
	await assertOneAnswer(t, lb1);
});

test('a lone balancer whose programs are all killed goes on answering and serving', async t => {
	const {lb1, lb2} = lab();
	await lb2.stop();
	const before = await met(lb1, 'V_DROP_LEASE');
	await lb1.kill('SIGKILL');
	await felt(t, 'SIGKILL of a lone balancer', async () => {
		await waitFor('the lease has lapsed', async () => (await leases(lb1)) === 'lapsed');
	});
	await assertOneAnswer(t, lb1);
	t.is(await met(lb1, 'V_DROP_LEASE'), before);
});

test('keepalived beside it: killed, it goes on answering together with its successor', async t => {
	const scene = besides();
	await scene.lb1.kill('SIGKILL');
	await isMaster(scene.lb2);
	const answers = await answersTo(scene, 'client', externalVip);
	t.log(`${QUESTIONS} questions, answered by ${answers}`);
	t.deepEqual([...new Set(answers)].toSorted(), ['lb1', 'lb2']);
});
