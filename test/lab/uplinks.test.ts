/**
 * Two external NICs of one balancer: clients of the same service come by either of them, answers leave where the routes
 * say, and when one cable is pulled, established connections go on by the other one within a second.
 */
import {Capture} from '../../lab/capture.js';
import type {HeldConnection} from '../../lab/client.js';
import type {Lab} from '../../lab/lab.js';
import {script} from '../../lab/namespace.js';
import {clientAddress, clientAddress6, externalVip, externalVip6} from '../../lab/topology.js';
import {waitFor} from '../../lab/wait.js';
import {FAMILIES, type Family} from '../../src/net/address.js';
import {bothFamilies, reference} from './jobs.js';
import {labOfFile, startPrimary, test} from './lab-test.js';

/** A second, and what a busy machine adds; a segment that is lost is sent again after 0.2, 0.6 and 1.4 s. */
const FOLLOW_MS = 1000 + 1000;
const VIPS = {4: externalVip, 6: externalVip6} as const;
/** The ends of the second cable, and the clients that are behind it. */
const LB1 = {4: '192.168.3.10', 6: '2001:db8:3::10'} as const;
const CLIENT = {4: '192.168.3.254', 6: '2001:db8:3::254'} as const;
const PREFIXES = {4: 24, 6: 64} as const;
const BEHIND = {4: '198.18.128.0/17', 6: '2001:2::8000/113'} as const;
const FIRST_BEHIND = 0x8001;
const ADDRESS = {4: clientAddress, 6: clientAddress6} as const;

const lab = labOfFile({configs: {lb1: `${bothFamilies(reference.primary)}\nlbd {\n\tnics eth2\n}\n`}}, async built => {
	await addUplink(built);
	await startPrimary(built);
});

/** A cable between lb1 and the clients' machine, which some of the clients use and are reached by. */
async function addUplink(built: Lab): Promise<void> {
	const [lb1, client] = [built.namespace('lb1'), built.namespace('client')];
	// The indexes differ, as those of the other cables do.
	await script(lb1, [`ip link add eth2 index 110 type veth peer name eth2 index 111 netns ${client}`]);
	const plug = (addresses: typeof LB1 | typeof CLIENT) => [
		'ip link set eth2 up',
		'ethtool -K eth2 tx off gro on >/dev/null',
		...FAMILIES.map(family => `ip address add ${addresses[family]}/${PREFIXES[family]} dev eth2`),
	];
	await script(client, [
		...plug(CLIENT),
		...FAMILIES.flatMap(family => [
			`ip -${family} rule add from ${BEHIND[family]} lookup 100`,
			`ip -${family} route add ${VIPS[family]} via ${LB1[family]} dev eth2 table 100`,
		]),
	]);
	await script(lb1, [
		...plug(LB1),
		...['ipv4', 'ipv6'].map(family => `sysctl -qw net.${family}.conf.eth2.ignore_routes_with_linkdown=1`),
		...FAMILIES.map(family => `ip route add ${BEHIND[family]} via ${CLIENT[family]} dev eth2`),
	]);
}

/** Established connections of a client behind each NIC, by family. */
async function connections(n: number): Promise<HeldConnection[]> {
	return Promise.all(FAMILIES.map(family => lab().client.hold({to: VIPS[family], from: ADDRESS[family](n)})));
}

/** What the service sends to clients, as it comes in by one of their NICs. */
function answersAt(device: string): Promise<Capture> {
	return Capture.open(lab().namespace('client'), device, 'tcp src port 80');
}

async function ask(connection: HeldConnection): Promise<number> {
	const {body, error, ms} = await connection.ask();
	if (error !== null) throw new Error(error);
	if (!/^web[12]$/.test(body)) throw new Error(`answered ${body}`);
	return ms;
}

/** Asks until an answer has come by the NIC that is being watched. */
async function answersBy(capture: Capture, connection: HeldConnection): Promise<void> {
	const seen = capture.frames.length;
	const look = async () => {
		await ask(connection);
		return capture.frames.slice(seen).some(({text}) => text.includes(`> ${connection.from}.`));
	};
	await waitFor(`${connection.from} is answered by this NIC`, look, {timeoutMs: FOLLOW_MS});
}

test('clients of both NICs are served at once, each answered by the NIC that its route names', async t => {
	const [near, far] = await Promise.all([connections(1), connections(FIRST_BEHIND)]);
	const [eth0, eth2] = await Promise.all([answersAt('eth0'), answersAt('eth2')]);
	for (const connection of near) await answersBy(eth0, connection);
	for (const connection of far) await answersBy(eth2, connection);
	for (const {from} of near) t.deepEqual(eth2.matching(new RegExp(`> ${from}\\.`)), []);
	for (const {from} of far) t.deepEqual(eth0.matching(new RegExp(`> ${from}\\.`)), []);
	await Promise.all([...near, ...far].map(connection => connection.close()));
	await Promise.all([eth0.close(), eth2.close()]);
});

test('a route that changes its NIC: answers leave by the other one within a second, wherever requests come', async t => {
	const near = await connections(2);
	const eth2 = await answersAt('eth2');
	const route = (change: string, family: Family) =>
		lab().run('lb1', 'ip', 'route', change, ADDRESS[family](2), 'via', CLIENT[family], 'dev', 'eth2');
	for (const family of FAMILIES) await route('add', family);
	for (const connection of near) await answersBy(eth2, connection);
	for (const family of FAMILIES) await route('delete', family);
	await Promise.all(near.map(connection => connection.close()));
	await eth2.close();
	t.pass();
});

test('a cable is pulled: established connections go on by the other NIC within a second', async t => {
	const far = await connections(FIRST_BEHIND + 1);
	await lab().run('client', 'ip', 'link', 'set', 'eth2', 'down');
	for (const ms of await Promise.all(far.map(ask))) t.true(ms <= FOLLOW_MS, `answered after ${ms} ms`);
	t.deepEqual(await lab().lb1.lbctl('drops'), []);
	await Promise.all(far.map(connection => connection.close()));
});
