/**
 * The wires of the bench: client a0 ─── b0 balancer b1 ─── c0 server, in the network namespace of this process, which is
 * its own (`make bench`) and ends with it. Frames never come further than a0 and c0, so one namespace does for all three.
 */
import {execFileSync} from 'node:child_process';
import {writeFileSync} from 'node:fs';
import {addressAndPort, familyOfEnd} from '../src/bench/frame.js';
import {NETWORKS, type Port, SERVERS, SERVERS_OF_SERVICE6, serverAddress, type Wires} from '../src/bench/plane.js';
import {SERVERS_NETWORK6} from '../src/bench/traffic.js';

/** Clients are behind a router; servers are neighbours. */
export interface Wiring extends Wires {
	readonly internal: Port;
	readonly server: Port;
}

/** Of the clients' router, and of the balancer on both sides. */
export const ROUTER = '192.0.2.253';
export const EXTERNAL = '192.0.2.254';
export const INTERNAL = '172.16.255.254';
const ROUTER6 = '2001:db8:e::fd';
const EXTERNAL6 = '2001:db8:e::fe';
const INTERNAL6 = `${SERVERS_NETWORK6}fe`;

const port = (name: string, ifindex: number): Port => ({name, ifindex, mac: `02:00:00:00:00:0${ifindex - 100}`});

/** Makes the interfaces. Throws in a namespace that has others. */
export function wire(): Wiring {
	const links: {readonly ifname: string}[] = JSON.parse(execFileSync('ip', ['-j', 'link'], {encoding: 'utf8'}));
	if (links.some(({ifname}) => ifname !== 'lo'))
		throw new Error('not in a network namespace of its own: use make bench');
	const wiring = {
		client: port('a0', 101),
		external: port('b0', 102),
		internal: port('b1', 103),
		server: port('c0', 104),
	};
	const {client, external, internal, server} = wiring;
	// The servers of the checks are on loopback.
	ip(['link set lo up', ...cable(client, external), ...cable(server, internal)]);
	for (const {name} of Object.values(wiring)) execFileSync('ethtool', ['-K', name, 'gro', 'on', 'tx', 'off']);
	for (const key of ['ip_forward', 'conf/all/rp_filter', 'conf/b0/rp_filter', 'conf/b1/rp_filter'])
		writeFileSync(`/proc/sys/net/ipv4/${key}`, key === 'ip_forward' ? '1' : '0');
	writeFileSync('/proc/sys/net/ipv6/conf/all/forwarding', '1');
	const servers = [
		...Array.from({length: NETWORKS * SERVERS}, (_, n) => serverAddress(n % NETWORKS, Math.floor(n / NETWORKS))),
		...SERVERS_OF_SERVICE6.map(end => addressAndPort(end).address),
	];
	ip([
		`address add ${EXTERNAL}/24 dev ${external.name}`,
		`address add ${EXTERNAL6}/64 dev ${external.name} nodad`,
		...[ROUTER, ROUTER6].flatMap(router => [
			`neighbour add ${router} lladdr ${client.mac} dev ${external.name} nud permanent`,
			`route add default via ${router}`,
		]),
		`address add ${INTERNAL}/16 dev ${internal.name}`,
		`address add ${INTERNAL6}/64 dev ${internal.name} nodad`,
		...servers.map(address => `neighbour add ${address} lladdr ${server.mac} dev ${internal.name} nud permanent`),
	]);
	return wiring;
}

function cable(end: Port, other: Port): string[] {
	const describe = ({name, mac, ifindex}: Port): string =>
		`name ${name} index ${ifindex} address ${mac} numrxqueues 1 numtxqueues 1`;
	return [
		`link add ${describe(end)} type veth peer ${describe(other)}`,
		`link set ${end.name} up`,
		`link set ${other.name} up`,
	];
}

function ip(commands: readonly string[]): void {
	execFileSync('ip', ['-batch', '-'], {input: `${commands.join('\n')}\n`});
}

/** Balances as the kernel does: DNAT by a hash of the client, with connection tracking. */
export function dnat(service: string, servers: readonly string[]): void {
	const ip = TABLES[familyOfEnd(service)];
	const {address, port} = addressAndPort(service);
	const choices = servers.map(addressAndPort).map((server, index) => `${index} : ${server.address} . ${server.port}`);
	const rules = `table ${ip} bench {
	chain prerouting {
		type nat hook prerouting priority dstnat
		${ip} daddr ${address} tcp dport ${port} dnat ${ip} to jhash ${ip} saddr mod ${servers.length} map { ${choices.join(', ')} }
	}
}
`;
	nft(rules);
}

/** nft's word for a family. */
const TABLES = {4: 'ip', 6: 'ip6'} as const;

/** Takes it back, if it is there. */
export function noDnat(): void {
	nft(
		Object.values(TABLES)
			.flatMap(ip => [`add table ${ip} bench\n`, `delete table ${ip} bench\n`])
			.join(''),
	);
}

function nft(rules: string): void {
	execFileSync('/usr/sbin/nft', ['-f', '-'], {input: rules});
}
