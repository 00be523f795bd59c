/**
 * The wires of the bench: client a0 ─── b0 balancer b1 ─── c0 server, in the network namespace of this process, which is
 * its own (`make bench`) and ends with it. Frames never come further than a0 and c0, so one namespace does for all three.
 */
import {execFileSync} from 'node:child_process';
import {writeFileSync} from 'node:fs';
import {NETWORKS, type Port, SERVERS, serverAddress, type Wires} from '../src/bench/plane.js';

/** Clients are behind a router; servers are neighbours. */
export interface Wiring extends Wires {
	readonly internal: Port;
	readonly server: Port;
}

/** Of the clients' router, and of the balancer on both sides. */
export const ROUTER = '192.0.2.253';
export const EXTERNAL = '192.0.2.254';
export const INTERNAL = '172.16.255.254';

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
	const servers = Array.from({length: NETWORKS * SERVERS}, (_, n) =>
		serverAddress(n % NETWORKS, Math.floor(n / NETWORKS)),
	);
	ip([
		`address add ${EXTERNAL}/24 dev ${external.name}`,
		`neighbour add ${ROUTER} lladdr ${client.mac} dev ${external.name} nud permanent`,
		`route add default via ${ROUTER}`,
		`address add ${INTERNAL}/16 dev ${internal.name}`,
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
	const [address, tcpPort] = service.split(':');
	const choices = servers.map((server, index) => `${index} : ${server.replace(':', ' . ')}`);
	const rules = `table ip bench {
	chain prerouting {
		type nat hook prerouting priority dstnat
		ip daddr ${address} tcp dport ${tcpPort} dnat ip to jhash ip saddr mod ${servers.length} map { ${choices.join(', ')} }
	}
}
`;
	nft(rules);
}

/** Takes it back, if it is there. */
export function noDnat(): void {
	nft('add table ip bench\ndelete table ip bench\n');
}

function nft(rules: string): void {
	execFileSync('/usr/sbin/nft', ['-f', '-'], {input: rules});
}
