/**
 * The VRRP half of the reference job with IPv6 addresses, shared by lbd and Debian's keepalived: a web server that uses the
 * internal virtual address as its gateway, and a client that uses the external one, reach each other through whoever is
 * master. Each take-over has to be announced by NDP, or they go on sending to the one that is gone.
 */
import type {Lab} from '../../lab/lab.js';
import {type BalancerName, clientNetwork6, externalVip6, internalVip6, macOf, nodes} from '../../lab/topology.js';
import {monotonicMs, waitFor} from '../../lab/wait.js';
import {inVersion3, reference} from './jobs.js';
import {labOfFile, test} from './lab-test.js';
import {sentences} from './observe.js';

/** An IPv6 address of a client, see the laboratory's topology. */
const CLIENT = clientNetwork6.replace('/48', '1');
const INTERNAL = '2001:db8:1::100';
const INTERNAL_NETWORK = '2001:db8:1::/64';
const VIPS = [externalVip6, 'fe80::1', INTERNAL, internalVip6];
const ADVERT_MS = 300;
/** Of priority 100: what a backup waits for that was told, and what it waits for after three silent adverts. */
const SKEW_MS = ((256 - 100) / 256) * ADVERT_MS;
const MASTER_DOWN_MS = 3 * ADVERT_MS + SKEW_MS;
/** What a busy machine adds: until the first answer through the backup, a ping starts as often as that. */
const TOLERANCE_MS = 2500;
/** Who believes in a neighbour that is gone finds out by itself after 5 s and three probes (delay_first_probe_time). */
const ANNOUNCED_MS = 4500;

/** No IPVS: keepalived runs its VRRP only, and so does lbd without services. */
function ipv6Copy(text: string): string {
	return inVersion3(text, ADVERT_MS / 1000)
		.replace(/# Define a virtual HTTP server.*/s, '')
		.replace('192.168.1.1/24', `fe80::1\n${externalVip6}/64`)
		.replace('10.0.0.100/24', `${internalVip6}\n${INTERNAL}/64`);
}

const lab = labOfFile(
	{
		configs: {lb1: ipv6Copy(reference.primary), lb2: ipv6Copy(reference.backup)},
		programs: {lb1: 'keepalived'},
	},
	async built => {
		await built.run('client', 'ip', 'route', 'add', INTERNAL_NETWORK, 'via', externalVip6);
		await Promise.all([built.lb1.start(), built.lb2.start()]);
		await master(built, 'lb1');
		await leaves(built, 'lb2');
	},
);

/** The virtual addresses on a balancer's NICs, in the order of `VIPS`. */
async function held(of: Lab, name: BalancerName): Promise<string[]> {
	const links: {readonly addr_info: readonly {readonly local: string}[]}[] = JSON.parse(
		await of.run(name, 'ip', '-6', '-json', 'address'),
	);
	const present = new Set(links.flatMap(link => link.addr_info.map(({local}) => local)));
	return VIPS.filter(vip => present.has(vip));
}

async function master(of: Lab, name: BalancerName): Promise<void> {
	const look = async () => (await held(of, name)).length === VIPS.length;
	await waitFor(`${name} is master`, look, {seen: () => of[name].log()});
}

async function leaves(of: Lab, name: BalancerName): Promise<void> {
	await waitFor(`${name} has no address`, async () => (await held(of, name)).length === 0, {
		seen: () => of[name].log(),
	});
}

/** Resolves with when the web server got an answer from the client. */
async function answered(): Promise<number> {
	const look = () =>
		lab()
			.run('web1', 'ping', '-6', '-n', '-c1', '-W0.2', CLIENT)
			.catch(() => null);
	await waitFor('web1 reaches the client', look, {seen: () => lab().lb2.log()});
	return monotonicMs();
}

/** The MAC address that a node sends to for a virtual address. */
async function macFor(node: 'client' | 'web1', vip: string): Promise<string | undefined> {
	const [entry]: {readonly lladdr?: string}[] = JSON.parse(
		await lab().run(node, 'ip', '-6', '-json', 'neighbour', 'show', vip, 'dev', 'eth0'),
	);
	return entry?.lladdr;
}

/** Both networks send to the balancer. */
async function isFollowed(name: BalancerName): Promise<void> {
	for (const [node, vip, nic] of [
		['client', externalVip6, 0],
		['web1', internalVip6, 1],
	] as const) {
		const mac = macOf(nodes[name].nics[nic]?.address ?? '');
		await waitFor(`${node} sends to ${name}`, async () => (await macFor(node, vip)) === mac, {
			timeoutMs: ANNOUNCED_MS,
		});
	}
}

test('keepalived is master and is killed: lbd takes over, and both networks follow', async t => {
	await answered();
	await isFollowed('lb1');
	const beganMs = monotonicMs();
	await lab().lb1.kill('SIGKILL');
	await master(lab(), 'lb2');
	const silentMs = (await answered()) - beganMs;
	t.log(`answered through lbd after ${Math.round(silentMs)} ms`);
	t.true(silentMs >= MASTER_DOWN_MS - ADVERT_MS, `nobody resigned: ${silentMs} ms`);
	t.true(silentMs <= MASTER_DOWN_MS + TOLERANCE_MS, `${silentMs} ms`);
	await isFollowed('lb2');
});

test('keepalived returns: lbd gives way, and its addresses go', async t => {
	await lab().lb1.start();
	await leaves(lab(), 'lb2');
	await master(lab(), 'lb1');
	await answered();
	await isFollowed('lb1');
	t.pass();
});

test('keepalived stops: lbd needs its skew time only', async t => {
	const beganMs = monotonicMs();
	await lab().lb1.stop();
	await master(lab(), 'lb2');
	const silentMs = (await answered()) - beganMs;
	t.true(silentMs <= SKEW_MS + TOLERANCE_MS, `${silentMs} ms`);
	await isFollowed('lb2');
});

for (const [what, down, up] of [
	['loses the cable of', () => lab().lb2.linkDown('eth1'), () => lab().lb2.linkUp('eth1')],
	// The kernel takes IPv6 addresses off a NIC that is shut, and gives it a link-local one again.
	['is shut off', () => setLink('down'), () => setLink('up')],
] as const) {
	test(`lbd ${what} eth1: it holds nothing anywhere, and everything again afterwards`, async t => {
		await down();
		await leaves(lab(), 'lb2');
		await up();
		await master(lab(), 'lb2');
		await answered();
		t.pass();
	});
}

async function setLink(state: 'up' | 'down'): Promise<void> {
	await lab().run('lb2', 'ip', 'link', 'set', 'eth1', state);
}

test('an lbd that was killed is master with its IPv6 addresses when it starts again', async t => {
	const {lb2} = lab();
	await lb2.kill('SIGKILL');
	t.deepEqual(await held(lab(), 'lb2'), VIPS, 'nobody was left to take them off');
	const before = sentences(lb2).length;
	await lb2.start();
	await waitFor('lbd is ready', async () => sentences(lb2, before).includes('lbd is ready'));
	await master(lab(), 'lb2');
	t.deepEqual(await held(lab(), 'lb2'), VIPS);
	await lb2.stop();
	t.deepEqual(await held(lab(), 'lb2'), []);
});
