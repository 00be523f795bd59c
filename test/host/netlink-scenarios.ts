/** What netlink.test.ts runs, in a process with a network namespace of its own: SCENARIO. */
import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {readFileSync, writeFileSync} from 'node:fs';
import {AF_PACKET, ETH_P_ALL, SOCK_RAW, Socket, sockaddrLl} from 'libbpf-ts/net';
import type {AddressEntry, Netlink, NetlinkEvent, NewAddress} from '../../src/host/host.js';
import {openNetlink} from '../../src/host/real/netlink.js';
import {formatAddress} from '../../src/net/address.js';
import {type IpRoute, isRoute, KEEPALIVED, routeSlot} from '../../src/net/netlink/ip-route.js';
import {type IpRule, ruleKey} from '../../src/net/netlink/ip-rule.js';

const ETH0 = 20;
const ETH1 = 21;
const MAC = '02:00:00:00:00:71';
const NEIGHBOUR_SOLICITATION = 135;
/** Far more than the kernel takes for anything here. */
const WAIT_MS = 10_000;

function run(command: string): void {
	execFileSync('sh', ['-ec', command]);
}

/** Two ends of a cable, without addresses but those that a scenario gives. */
function cable(): void {
	run(`ip link set lo up
		ip link add eth0 index ${ETH0} type veth peer name eth1 index ${ETH1}
		ip link set eth0 addrgenmode none
		ip link set eth1 addrgenmode none
		ip link set eth0 up
		ip link set eth1 up`);
}

function virtual(address: string, prefix: number, preferredS: number | null): NewAddress {
	const plain = {peer: null, scope: 0, label: null, broadcast: null, flags: [], detectDuplicates: false};
	return {...plain, ifindex: ETH0, address, prefix, preferredS};
}

async function entryOf(netlink: Netlink, address: string): Promise<AddressEntry | undefined> {
	return (await netlink.addresses()).find(entry => entry.address === address);
}

/** The next event that fits, from now on. */
function next(netlink: Netlink, fits: (event: NetlinkEvent) => boolean): Promise<NetlinkEvent> {
	return new Promise((resolve, reject) => {
		const deadline = AbortSignal.timeout(WAIT_MS);
		deadline.addEventListener('abort', () => reject(new Error('the event has not come')));
		const cancel = netlink.onEvent(event => {
			if (!fits(event)) return;
			cancel();
			resolve(event);
		});
	});
}

async function addresses(netlink: Netlink): Promise<void> {
	const [gateway, service] = [virtual('fe80::100', 128, 0), virtual('2001:db8::1', 64, null)];
	const told = next(netlink, event => event.kind === 'address' && event.address.address === service.address);
	await netlink.addAddress(gateway);
	await netlink.addAddress(service);
	const {label, broadcast, peer} = gateway;
	const common = {ifindex: ETH0, label, broadcast, peer, secondary: false, usable: true};
	assert.deepEqual(await entryOf(netlink, 'fe80::100'), {...common, address: 'fe80::100', prefix: 128, scope: 253});
	assert.deepEqual(await entryOf(netlink, '2001:db8::1'), {...common, address: '2001:db8::1', prefix: 64, scope: 0});
	assert.equal((await told).kind, 'address');
	const [link] = JSON.parse(execFileSync('ip', ['-json', '-6', 'address', 'show', 'dev', 'eth0'], {encoding: 'utf8'}));
	const lifetimes = link.addr_info.map(({local, deprecated = false}: {local: string; deprecated?: boolean}) => [
		local,
		deprecated,
	]);
	assert.deepEqual(Object.fromEntries(lifetimes), {'fe80::100': true, '2001:db8::1': false});
	await assert.rejects(netlink.addAddress(gateway), {code: 'EEXIST'});
	await netlink.deleteAddress(gateway);
	await assert.rejects(netlink.deleteAddress(gateway), {code: 'EADDRNOTAVAIL'});
	assert.equal(await entryOf(netlink, 'fe80::100'), undefined);
}

async function duplicates(netlink: Netlink): Promise<void> {
	const proven = next(
		netlink,
		event => event.kind === 'address' && event.address.address === '2001:db8::2' && event.address.usable,
	);
	// One probe takes a second, which may be over before a busy machine has looked.
	run('sysctl -qw net.ipv6.conf.eth0.dad_transmits=3; ip address add 2001:db8::2/64 dev eth0');
	assert.equal((await entryOf(netlink, '2001:db8::2'))?.usable, false);
	await proven;
	assert.equal((await entryOf(netlink, '2001:db8::2'))?.usable, true);
}

async function forwarding(netlink: Netlink): Promise<void> {
	const forwards = async () => (await netlink.links()).find(({ifindex}) => ifindex === ETH0)?.forwardsIpv6;
	assert.equal(await forwards(), false);
	const told = next(netlink, event => event.kind === 'setting');
	run('sysctl -qw net.ipv6.conf.eth0.forwarding=1');
	await told;
	assert.equal(await forwards(), true);
}

async function routes(netlink: Netlink): Promise<void> {
	run('ip address add 2001:db8::10/64 dev eth0 nodad');
	const onLink = await netlink.route('2001:db8::71');
	assert.deepEqual(onLink, {ifindex: ETH0, gateway: '2001:db8::71', source: '2001:db8::10', local: false});
	assert.equal((await netlink.route('2001:db8::10')).local, true);
	await assert.rejects(netlink.route('2001:db8:1::1'), {code: 'ENETUNREACH'});
	const told = next(netlink, event => event.kind === 'route');
	run('ip route add 2001:db8:1::/64 via fe80::1 dev eth0');
	await told;
	const {gateway, ifindex, local} = await netlink.route('2001:db8:1::1');
	assert.deepEqual({gateway, ifindex, local}, {gateway: 'fe80::1', ifindex: ETH0, local: false});
}

const route: IpRoute<number> = {
	family: 4,
	type: 'unicast',
	destination: {address: '10.20.0.0', prefix: 16},
	from: null,
	table: 300,
	protocol: KEEPALIVED,
	scope: 0,
	tos: 0,
	priority: 7,
	source: '192.168.1.1',
	hops: [{device: ETH0, gateway: '192.168.1.7', weight: 1, onlink: true, realms: null}],
	metrics: {mtu: 1400, congctl: 'reno'},
	locked: ['mtu'],
	expiresS: null,
	preference: null,
	propagatesTtl: null,
	placement: 'prepend',
};
const rule: IpRule = {
	family: 4,
	priority: 1000,
	inverted: true,
	from: {address: '10.1.0.0', prefix: 16},
	to: null,
	tos: 0,
	mark: {value: 5, mask: 0xff},
	inputInterface: 'eth0',
	outputInterface: null,
	tunnelId: '55',
	users: [5, 9],
	l3mdev: false,
	ipProtocol: 17,
	sourcePorts: [10, 20],
	destinationPorts: [7, 7],
	action: 'table',
	table: 300,
	target: null,
	realms: null,
	suppressPrefixLength: 0,
	suppressGroup: 4,
	protocol: KEEPALIVED,
};

/** Routes and rules of both families come, are found again among others, and go. */
async function holdings(netlink: Netlink): Promise<void> {
	run(`ip address add 192.168.1.1/24 dev eth0
		ip address add 2001:db8::1/64 dev eth0 nodad
		ip route add 10.99.0.0/16 dev eth0
		ip -6 route add 2001:db8:99::/48 dev eth0`);
	const hops = [
		{device: ETH0, gateway: '2001:db8::7', weight: 2, onlink: false, realms: null},
		{device: ETH0, gateway: '2001:db8::8', weight: 1, onlink: false, realms: null},
	];
	const ipv6 = {...route, family: 6, destination: {address: '2001:db8:20::', prefix: 48}, source: null, hops} as const;
	const nowhere = {...route, type: 'unreachable', destination: {address: '10.21.0.0', prefix: 16}, hops: []} as const;
	const all: readonly IpRoute<number>[] = [route, {...ipv6, metrics: {}, locked: []}, {...nowhere, source: null}];
	const rules: readonly IpRule[] = [rule, {...rule, family: 6, from: {address: '2001:db8::', prefix: 32}}];
	for (const wanted of all) await netlink.addRoute(wanted);
	for (const wanted of rules) await netlink.addRule(wanted);

	const entries = await netlink.routes(KEEPALIVED);
	assert.equal(entries.length, all.length, 'the others are of another maker');
	for (const wanted of all)
		assert.ok(entries.some(entry => routeSlot(entry) === routeSlot(wanted) && isRoute(entry, wanted)));
	const keys = (await netlink.rules()).map(ruleKey);
	for (const wanted of rules) assert.ok(keys.includes(ruleKey(wanted)));
	await assert.rejects(netlink.addRoute(route), {code: 'EEXIST'});
	await assert.rejects(netlink.addRule(rule), {code: 'EEXIST'});

	const told = next(netlink, event => event.kind === 'route' && event.removed && event.protocol === KEEPALIVED);
	const toldOfRule = next(netlink, event => event.kind === 'rule' && event.removed);
	for (const unwanted of all) await netlink.deleteRoute(unwanted);
	for (const unwanted of rules) await netlink.deleteRule(unwanted);
	await Promise.all([told, toldOfRule]);
	assert.deepEqual(await netlink.routes(KEEPALIVED), []);
	await assert.rejects(netlink.deleteRoute(route), {code: 'ESRCH'});
	await assert.rejects(netlink.deleteRule(rule), {code: 'ENOENT'});
}

async function promotion(netlink: Netlink): Promise<void> {
	const promotes = async (): Promise<boolean | undefined> =>
		(await netlink.links()).find(({ifindex}) => ifindex === ETH0)?.promotesSecondaries;
	const before = await promotes();
	await netlink.configureLink(ETH0, {promote_secondaries: Number(before === false)});
	assert.equal(await promotes(), before === false);
	await netlink.configureLink(ETH0, {promote_secondaries: Number(before === true)});
	assert.equal(await promotes(), before);
	await assert.rejects(netlink.configureLink(4711, {promote_secondaries: 1}), {code: 'ENODEV'});
}

async function macvlans(netlink: Netlink): Promise<void> {
	const made = async () => (await netlink.links()).find(({name}) => name === 'vrrp.91');
	const wanted = {name: 'vrrp.91', base: ETH0, mac: '00:00:5e:00:01:5b'};
	await netlink.addMacvlan(wanted);
	await assert.rejects(netlink.addMacvlan(wanted), {code: 'EEXIST'});
	const link = await made();
	const {ifindex = 0} = link ?? {};
	assert.deepEqual([link?.mac, link?.base, link?.kind, link?.up], [wanted.mac, ETH0, 'macvlan', false]);
	await netlink.withoutOwnAddress(ifindex);
	await netlink.withoutIpv6(wanted.name);
	await netlink.setLinkUp(ifindex, true);
	assert.equal((await made())?.up, true);
	assert.deepEqual(
		(await netlink.addresses()).filter(entry => entry.ifindex === ifindex),
		[],
	);
	writeFileSync('/proc/sys/net/ipv4/conf/all/rp_filter', '1');
	await netlink.spreadReversePathFilter();
	await netlink.configureLink(ifindex, {rp_filter: 0});
	const filters = (await netlink.links()).map(({name, reversePathFilter}) => [name, reversePathFilter]);
	assert.ok(
		filters.every(([name, filter]) => filter === (name === 'vrrp.91' ? 0 : 1)),
		JSON.stringify(filters),
	);
	assert.equal(readFileSync('/proc/sys/net/ipv4/conf/all/rp_filter', 'utf8'), '0\n');
	await netlink.deleteLink(ifindex);
	await assert.rejects(netlink.deleteLink(ifindex), {code: 'ENODEV'});
	assert.equal(await made(), undefined);
}

async function neighbours(netlink: Netlink): Promise<void> {
	const isNeighbour = (event: NetlinkEvent): boolean =>
		event.kind === 'neighbour' && event.neighbour.address === 'fe80::71' && event.neighbour.mac === MAC;
	const told = next(netlink, isNeighbour);
	run(`ip address add fe80::10/64 dev eth0 nodad
		ip neighbour add fe80::71 dev eth0 lladdr ${MAC} nud reachable`);
	assert.deepEqual(await told, {kind: 'neighbour', neighbour: {ifindex: ETH0, address: 'fe80::71', mac: MAC}});
	const known = (await netlink.neighbours()).filter(({ifindex, mac}) => ifindex === ETH0 && mac === MAC);
	assert.deepEqual(known, [{ifindex: ETH0, address: 'fe80::71', mac: MAC}]);

	const far = new Socket(AF_PACKET, SOCK_RAW, 0);
	far.bind(sockaddrLl({ifindex: ETH1, protocol: ETH_P_ALL}));
	const solicited = new Promise<string>(resolve => {
		far.onReadable(() => {
			for (let frame = far.receive(); frame !== undefined; frame = far.receive()) {
				if (frame.bytes[54] === NEIGHBOUR_SOLICITATION) resolve(formatAddress(frame.bytes.subarray(62, 78)));
			}
		});
	});
	await netlink.resolve(ETH0, 'fe80::72');
	assert.equal(await solicited, 'fe80::72');
	far.close();
}

const scenarios: Readonly<Record<string, (netlink: Netlink) => Promise<void>>> = {
	addresses,
	duplicates,
	forwarding,
	routes,
	holdings,
	promotion,
	macvlans,
	neighbours,
};

const [scenario = ''] = process.argv.slice(2);
cable();
const netlink = openNetlink(['links', 'addresses', 'neighbours', 'routes', 'rules', 'settings']);
await (scenarios[scenario] ?? assert.fail(`no scenario ${scenario}`))(netlink);
netlink.close();
process.stdout.write('done\n');
