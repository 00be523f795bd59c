/** What somebody else takes away or changes is noticed, put back and counted, under load. One balancer, alone. */
import {BpfLink, BpfMap, type MapLayout, MapType, RawMap} from 'libbpf-ts';
import {externalVip, internalVip, prefix, vips} from '../../lab/topology.js';
import {waitFor} from '../../lab/wait.js';
import {maps as layouts, type Settings} from '../../src/xdp/layout.gen.js';
import {Pins} from '../../src/xdp/pins.js';
import {inVersion3, reference} from './jobs.js';
import {labOfFile, startPrimary, test} from './lab-test.js';
import {Load, NO_HARM} from './load.js';
import {allServe} from './observe.js';

const ROUTE = '10.30.0.0/16';
const STATIC = '10.0.0.33';

const configuration = `${inVersion3(reference.primary, 0.1).replace(
	'virtual_ipaddress {',
	`virtual_routes {\n${ROUTE} via 192.168.1.254\n}\nvirtual_ipaddress {`,
)}\nstatic_ipaddress {\n${STATIC}/24 dev eth1\n}\n`;

const lab = labOfFile({configs: {lb1: configuration}}, async built => {
	await startPrimary(built);
	await allServe(built.lb1);
});

type Drift = Readonly<Record<string, number>>;

/** What `lbd_drift_total` says, by its label. */
async function drift(): Promise<Drift> {
	const page = await lab().run('lb1', 'curl', '-s', 'http://127.0.0.1:9633/metrics');
	const counts = page.matchAll(/^lbd_drift_total\{map="(\w+)"\} (\d+)$/gm);
	return Object.fromEntries([...counts].map(([, map, count]) => [map, Number(count)]));
}

/** Takes something away, and waits until it has been put back: until so many more are counted. */
async function missed(what: string, take: () => number | Promise<number>): Promise<void> {
	const {[what]: before = 0} = await drift();
	const taken = await take();
	const isBack = async () => ((await drift())[what] ?? 0) >= before + taken;
	await waitFor(`${taken} of ${what} are back`, isBack, {seen: () => lab().lb1.log()});
}

/** Whether lb1 has all addresses and routes that it should. */
async function isWhole(): Promise<boolean> {
	const addresses = await lab().run('lb1', 'ip', '-4', 'address', 'show');
	const routes = await lab().run('lb1', 'ip', 'route');
	return routes.includes(ROUTE) && [STATIC, ...vips].every(address => addresses.includes(` ${address}/`));
}

function openMap(name: string): RawMap {
	return RawMap.openPinned(new Pins(lab().lb1.daemonName).map(name));
}

/** Takes all entries out of a map, as far as that is possible: those of an array become zeroes. Returns how many there were. */
async function wipe(name: string): Promise<number> {
	const layout: MapLayout<unknown, unknown> | undefined = Object.values(layouts).find(one => one.name === name);
	if (layout === undefined) throw new Error(`no map ${name}`);
	const map = BpfMap.of(openMap(name), layout);
	const isArray = layout.type === MapType.array;
	const nothing = new Uint8Array(map.raw.valueSize);
	let wiped = 0;
	for (const [key] of isArray ? await map.readUsed() : await map.entries()) {
		if (isArray) map.raw.update(new Uint8Array(Uint32Array.of(Number(key)).buffer), nothing);
		else map.delete(key);
		wiped++;
	}
	map.raw.close();
	return wiped;
}

function changeSettings(change: (before: Settings) => Partial<Settings>): number {
	const map = openMap('settings');
	const settings = BpfMap.of(map, layouts.settings);
	const before = settings.get(0);
	if (before === undefined) throw new Error('there are no settings');
	settings.set(0, {...before, ...change(before)});
	map.close();
	return 1;
}

/** The way to each client is looked up again, which is nothing that anybody notices. */
const otherRoutes = ({routeGeneration}: Settings) => ({routeGeneration: (routeGeneration + 1) & 0xff});

/** As `bpftool link detach` does. */
function detachLinks(): number {
	const links = new Pins(lab().lb1.daemonName).links();
	for (const {path} of links) {
		const link = BpfLink.openPinned(path);
		link.detach();
		link.close();
	}
	return links.length;
}

test('deleted addresses and routes, changed settings, leases and addresses that leases are for: nothing is lost', async t => {
	t.true(await isWhole());
	t.deepEqual(await drift(), {});
	const load = await Load.begin(lab());
	// Before routes change: then the daemon writes them by itself.
	await missed('settings', () => changeSettings(otherRoutes));
	await missed('leases', () => wipe('leases'));
	await missed('leases', () => wipe('lease_of_router'));
	await missed('virtual_addresses', () => wipe('virtual_addresses'));
	const takings = [
		['route', 'delete', ROUTE],
		['address', 'delete', `${STATIC}/24`, 'dev', 'eth1'],
		['address', 'delete', `${externalVip}/${prefix}`, 'dev', 'eth0'],
		['address', 'delete', `${internalVip}/${prefix}`, 'dev', 'eth1'],
	];
	for (const what of takings) {
		await lab().run('lb1', 'ip', ...what);
		await waitFor(`${what.join(' ')} is undone`, isWhole, {seen: () => lab().lb1.log()});
	}
	t.deepEqual(await load.end(), NO_HARM);
	t.deepEqual(await drift(), {addresses: 3, routes: 1, settings: 1, leases: 4, virtual_addresses: 2});
});

/** New connections need these, and some of them every packet: those wait, and TCP sends them again. */
const WAITED_FOR = ['programs', 'services_by_key', 'services', 'turns', 'endpoints', 'backends', 'nic_ports'];
/** Without these, packets are the kernel's, which resets the connections of which it hears. */
const HEARD: readonly ((before: Settings) => Partial<Settings>)[] = [
	({filter}) => ({filter: new Uint8Array(filter.length)}),
	({nics}) => ({nics: nics.map(nic => ({...nic, ifindex: 0}))}),
];

test('wiped maps and detached links: open connections go on, but for those of which the kernel has heard meanwhile', async t => {
	const before = await drift();
	const load = await Load.begin(lab());
	const gap = async (what: string, resets: boolean, take: () => number | Promise<number>): Promise<void> => {
		const {fromMs, untilMs, lost} = await load.gap(() => missed(what, take), {resets});
		t.log(`${what}: back within ${Math.round(untilMs - fromMs)} ms, in which ${lost} packets of services were dropped`);
	};
	for (const name of WAITED_FOR) await gap(name, false, () => wipe(name));
	for (const change of HEARD) await gap('settings', true, () => changeSettings(change));
	await gap('links', true, detachLinks);
	t.deepEqual(await load.end(), NO_HARM);
	const {programs, endpoints, ...counts} = await drift();
	t.true((programs ?? 0) > 0 && (endpoints ?? 0) > 0);
	t.deepEqual(counts, {
		...before,
		services_by_key: 1,
		services: 1,
		turns: 2,
		backends: 2,
		nic_ports: 2,
		settings: (before.settings ?? 0) + HEARD.length,
		links: 2,
	});
});
