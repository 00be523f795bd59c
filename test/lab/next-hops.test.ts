/**
 * The network moves under established connections: a backend and the clients' gateway change their MAC address, a route
 * changes its gateway. The kernel hears of it, and so does the data plane, within a second.
 */
import type {HeldConnection} from '../../lab/client.js';
import {externalVip, externalVip6, macOf, type NodeName, nodes} from '../../lab/topology.js';
import {monotonicMs, waitFor} from '../../lab/wait.js';
import {FAMILIES} from '../../src/net/address.js';
import {bothFamilies, reference} from './jobs.js';
import {labOfFile, startPrimary, test} from './lab-test.js';

/** A second, and what a busy machine adds; a segment that is lost is sent again after 0.2, 0.6 and 1.4 s. */
const FOLLOW_MS = 1000 + 1000;
const [WEB1, WEB2] = [nodes.web1.nics[0]?.address ?? '', nodes.web2.nics[0]?.address ?? ''];
const GATEWAY = nodes.client.nics[0]?.address ?? '';
const NEW_MAC = '02:00:5e:00:53:01';

const VIPS = {4: externalVip, 6: externalVip6} as const;

const lab = labOfFile({configs: {lb1: bothFamilies(reference.primary)}}, startPrimary);

/** An established connection to the given web server. */
async function connectionTo(server: string, to = externalVip): Promise<HeldConnection> {
	for (let attempt = 0; attempt < 4; attempt++) {
		const connection = await lab().client.hold({to});
		if (connection.first.body === server) return connection;
		await connection.close();
	}
	throw new Error(`nobody was dealt to ${server}`);
}

/** Gives a node's NIC another MAC address, which its kernel tells the segment of. */
async function move(node: NodeName, mac: string): Promise<void> {
	await lab().run(node, 'sysctl', '-qw', 'net.ipv4.conf.eth0.arp_notify=1', 'net.ipv6.conf.eth0.ndisc_notify=1');
	await lab().run(node, 'ip', 'link', 'set', 'eth0', 'address', mac);
}

for (const [node, owner] of [
	['web1', WEB1],
	['client', GATEWAY],
] as const) {
	test(`${node} changes its MAC address: its established connections go on within a second`, async t => {
		const connections = await Promise.all(FAMILIES.map(family => connectionTo('web1', VIPS[family])));
		for (const mac of [NEW_MAC, macOf(owner)]) {
			await move(node, mac);
			for (const {body, error, ms} of await Promise.all(connections.map(connection => connection.ask()))) {
				t.log(`${owner} at ${mac}: answered after ${Math.round(ms)} ms`);
				t.deepEqual({body, error}, {body: 'web1', error: null});
				t.true(ms <= FOLLOW_MS, `answered after ${ms} ms`);
			}
		}
		await Promise.all(connections.map(connection => connection.close()));
	});
}

test('neighbours that the kernel has forgotten are found again, although nobody talks to them', async t => {
	for (const [device, neighbour, owner] of [
		['eth0', GATEWAY, GATEWAY],
		['eth0', nodes.client.nics[0]?.address6 ?? '', GATEWAY],
		['eth1', WEB1, WEB1],
	] as const) {
		const look = async () => {
			const argv = ['ip', '-json', 'neighbour', 'show', neighbour, 'dev', device];
			const [entry]: {readonly lladdr?: string}[] = JSON.parse(await lab().run('lb1', ...argv));
			return entry?.lladdr === macOf(owner);
		};
		await lab().run('lb1', 'ip', 'neighbour', 'flush', 'dev', device);
		await waitFor(`${neighbour} is known`, look, {timeoutMs: FOLLOW_MS});
	}
	t.pass();
});

test('the route to a backend gets a gateway, and loses it again: frames take the other way within a second', async t => {
	const {lb1} = lab();
	await lab().run('web2', 'sysctl', '-qw', 'net.ipv4.ip_forward=1');
	const wire = await lab().capture('web1', 'eth0', `ip dst ${WEB1} and tcp dst port 80`);
	const connection = await connectionTo('web1');
	for (const [from, change] of [
		[WEB2, ['add', WEB1, 'via', WEB2]],
		[nodes.lb1.nics[1]?.address ?? '', ['delete', WEB1]],
	] as const) {
		const seen = wire.frames.length;
		await lab().run('lb1', 'ip', 'route', ...change);
		const changedMs = monotonicMs();
		const request = new RegExp(`^${macOf(from)} > .* Flags \\[P`);
		const look = async () => {
			t.is((await connection.ask()).body, 'web1');
			return wire.frames.slice(seen).find(({text}) => request.test(text));
		};
		const {atMs} = await waitFor(`a request comes from ${from}`, look, {seen: () => lb1.log()});
		t.true(atMs - changedMs <= FOLLOW_MS, `${atMs - changedMs} ms`);
	}
	await connection.close();
	await wire.close();
});
