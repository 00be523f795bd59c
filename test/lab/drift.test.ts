/** What somebody else takes away or changes is noticed, put back and counted. One balancer, alone. */
import {BpfLink, RawMap} from 'libbpf-ts';
import {externalVip, vips} from '../../lab/topology.js';
import {waitFor} from '../../lab/wait.js';
import {Pins} from '../../src/xdp/pins.js';
import {inVersion3, reference} from './jobs.js';
import {answers, labOfFile, other, startPrimary, test} from './lab-test.js';
import {allServe} from './observe.js';

const ROUTE = '10.30.0.0/16';
const STATIC = '10.0.0.33';
const HELD = 20;
/** An address is back after the skew time, a program after a tenth of a second; maps are compared every 10 s. */
const SOON_MS = 5000;
const LATER_MS = 20_000;

const configuration = `${inVersion3(reference.primary, 0.1).replace(
	'virtual_ipaddress {',
	`virtual_routes {\n${ROUTE} via 192.168.1.254\n}\nvirtual_ipaddress {`,
)}\nstatic_ipaddress {\n${STATIC}/24 dev eth1\n}\n`;

const lab = labOfFile({configs: {lb1: configuration}}, async built => {
	await startPrimary(built);
	await allServe(built.lb1);
});

/** What `lbd_drift_total` says, by its label. */
async function drift(): Promise<Readonly<Record<string, number>>> {
	const page = await lab().run('lb1', 'curl', '-s', 'http://127.0.0.1:9633/metrics');
	const counts = page.matchAll(/^lbd_drift_total\{map="(\w+)"\} (\d+)$/gm);
	return Object.fromEntries([...counts].map(([, map, count]) => [map, Number(count)]));
}

/** Whether lb1 has all that it should. */
async function isWhole(): Promise<boolean> {
	const addresses = await lab().run('lb1', 'ip', '-4', 'address', 'show');
	const routes = await lab().run('lb1', 'ip', 'route');
	return routes.includes(ROUTE) && [STATIC, ...vips].every(address => addresses.includes(` ${address}/`));
}

test('a deleted VIP, static address and route, a detached link, a changed map: repaired and counted', async t => {
	const {client, lb1} = lab();
	const held = await Promise.all(Array.from({length: HELD}, () => client.hold()));
	t.true(await isWhole());
	t.deepEqual(await drift(), {});

	const takings = [
		['route', 'delete', ROUTE],
		['address', 'delete', `${STATIC}/24`, 'dev', 'eth1'],
		['address', 'delete', `${externalVip}/24`, 'dev', 'eth0'],
	];
	for (const what of takings) {
		await lab().run('lb1', 'ip', ...what);
		await waitFor(`${what.join(' ')} is undone`, isWhole, {timeoutMs: SOON_MS, seen: () => lb1.log()});
	}
	t.deepEqual(await drift(), {addresses: 2, routes: 1});
	t.deepEqual(
		await Promise.all(held.map(async one => (await one.ask()).body)),
		held.map(({first}) => first.body),
		'open connections have not noticed',
	);
	await Promise.all(held.map(one => one.close()));

	const pins = new Pins(lb1.daemonName);
	for (const {path} of pins.links()) {
		const link = BpfLink.openPinned(path);
		link.detach();
		link.close();
	}
	const links = async () => (await drift()).links === 2;
	await waitFor('links are repaired', links, {timeoutMs: SOON_MS, seen: () => lb1.log()});

	const backends = RawMap.openPinned(pins.map('backends'));
	backends.update(new Uint8Array(Uint32Array.of(1).buffer), new Uint8Array(backends.valueSize));
	backends.close();
	const found = async () => (await drift()).backends === 1;
	await waitFor('a map is repaired', found, {timeoutMs: LATER_MS, seen: () => lb1.log()});
	t.deepEqual(await drift(), {addresses: 2, routes: 1, backends: 1, links: 2});
	const [first = '', second] = answers(await client.sequence(2));
	t.is(second, other(first), 'both backends serve again');
});
