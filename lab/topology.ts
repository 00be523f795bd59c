/**
 * Figure 17.3 of the reference job as facts: an external and an internal network, two balancers between them, two web
 * servers behind. Everything that knows an address of the laboratory takes it from here.
 */

export type BalancerName = 'lb1' | 'lb2';
export type WebServerName = 'web1' | 'web2';
export type NodeName = 'client' | BalancerName | WebServerName;
export type SwitchName = 'external' | 'internal';
export type Device = 'eth0' | 'eth1';

export interface Nic {
	readonly device: Device;
	readonly network: SwitchName;
	readonly address: string;
	readonly address6: string;
}

export interface Node {
	readonly name: NodeName;
	readonly nics: readonly Nic[];
	/** Of the default routes, IPv4 and IPv6; null where everything is on the link. */
	readonly gateways: readonly [ipv4: string, ipv6: string] | null;
	readonly forwards: boolean;
}

export const externalVip = '192.168.1.1';
export const internalVip = '10.0.0.100';
export const vips: readonly string[] = [externalVip, internalVip];
export const networks: Readonly<Record<SwitchName, string>> = {external: '192.168.1.0/24', internal: '10.0.0.0/24'};
export const prefix = 24;
/** The VIPs of an IPv6 copy of the job. Hosts use a router by its link-local address. */
export const externalVip6 = '2001:db8::1';
export const internalVip6 = 'fe80::100';
export const prefix6 = 64;
/** All these are the client's: RFC 2544 addresses, routed to the balancers' gateway. */
export const clientNetwork = '198.18.0.0/16';
/** RFC 5180 addresses. */
export const clientNetwork6 = '2001:2::/48';

const gateways = ['192.168.1.254', '2001:db8::254'] as const;

function balancer(name: BalancerName, last: number): Node {
	return {
		name,
		nics: [
			{device: 'eth0', network: 'external', address: `192.168.1.${last}`, address6: `2001:db8::${last}`},
			{device: 'eth1', network: 'internal', address: `10.0.0.${last}`, address6: `2001:db8:1::${last}`},
		],
		gateways,
		forwards: true,
	};
}

function webServer(name: WebServerName, last: number): Node {
	const nics: Nic[] = [
		{device: 'eth0', network: 'internal', address: `10.0.0.${last}`, address6: `2001:db8:1::${last}`},
	];
	return {name, nics, gateways: [internalVip, internalVip6], forwards: false};
}

export const nodes: Readonly<Record<NodeName, Node>> = {
	client: {
		name: 'client',
		nics: [{device: 'eth0', network: 'external', address: gateways[0], address6: gateways[1]}],
		gateways: null,
		forwards: false,
	},
	lb1: balancer('lb1', 10),
	lb2: balancer('lb2', 11),
	web1: webServer('web1', 71),
	web2: webServer('web2', 72),
};

/** The switch's end of a node's cable. */
export function port(node: NodeName, network: SwitchName): string {
	return `${network}-${node}`;
}

/** The `n`th client address, 1 to 65,534. */
export function clientAddress(n: number): string {
	if (!Number.isInteger(n) || n < 1 || n > 65_534) throw new RangeError(`client address ${n}: outside 1-65534`);
	return `198.18.${n >> 8}.${n & 255}`;
}

/** Its IPv6 address, in canonical text. */
export function clientAddress6(n: number): string {
	return clientNetwork6.replace(/\/.*/, n.toString(16));
}

/** MAC addresses tell their owner in a capture: the last four bytes are the IP address. */
export function macOf(address: string): string {
	const bytes = address.split('.').map(byte => Number(byte).toString(16).padStart(2, '0'));
	return `02:00:${bytes.join(':')}`;
}

/** Where the cables of all nodes end, and what fits through them. */
export interface Cabling {
	/** A namespace. */
	readonly switches: string;
	readonly mtu: number;
}

/** Shell commands that furnish a node from inside its namespace. */
export function furnishNode(node: Node, cabling: Cabling): string[] {
	return [
		'ip link set lo up',
		// Two networks meet in one machine: the kernel must neither filter by reverse path nor answer ARP across NICs.
		...['all', 'default'].map(
			scope =>
				`sysctl -qw net.ipv4.conf.${scope}.rp_filter=0 net.ipv4.conf.${scope}.send_redirects=0 ` +
				`net.ipv4.conf.${scope}.arp_ignore=1 net.ipv4.conf.${scope}.arp_announce=2`,
		),
		// Every address here is unique, and nobody can wait a second or two until the kernel knows that.
		'sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0',
		...(node.forwards ? ['sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1'] : []),
		...node.nics.flatMap((nic, n) => cable(node, nic, NIC_INDEX + n, cabling)),
		...(node.gateways ?? []).map(gateway => `ip route add default via ${gateway} dev eth0`),
		// Any address of the network may be bound as a source and is answered for ("AnyIP"), without 65,534 entries.
		...(node.name === 'client'
			? [
					...[clientNetwork, clientNetwork6].map(network => `ip route add local ${network} dev lo`),
					'sysctl -qw net.ipv6.ip_nonlocal_bind=1',
				]
			: []),
	];
}

/**
 * Interface indexes of the nodes' NICs, far from those of the switch ports: where both ends of a veth pair happen to have
 * the same index, the kernel holds carrier changes back for up to a second (linkwatch_urgent_event).
 */
const NIC_INDEX = 100;

/**
 * XDP sees frames before anybody completes a deferred checksum, so nobody may defer: neither the sender nor a switch port
 * that splits what its GRO had merged. GRO has to be on because it gives a veth the NAPI poll that redirected frames need,
 * and it has to be turned on while the veth is up: only then does the kernel tell the other end that it may redirect here.
 */
const OFFLOADS = 'tx off gro on';

function cable(node: Node, nic: Nic, index: number, {switches, mtu}: Cabling): string[] {
	const shape = `mtu ${mtu} numrxqueues 2 numtxqueues 2`;
	const peer = `peer name ${port(node.name, nic.network)} ${shape} netns ${switches}`;
	return [
		`ip link add ${nic.device} index ${index} address ${macOf(nic.address)} ${shape} type veth ${peer}`,
		`ethtool -K ${nic.device} ${OFFLOADS} >/dev/null`,
		`ip link set ${nic.device} up`,
		`ip address add ${nic.address}/${prefix} dev ${nic.device}`,
		`ip address add ${nic.address6}/${prefix6} dev ${nic.device}`,
	];
}

/** Shell commands that turn the cables' other ends into two switches; run after every node is furnished. */
export function furnishSwitches(): string[] {
	const bridges = Object.keys(networks).flatMap(name => [
		`ip link add ${name} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`,
		`ip link set ${name} up`,
	]);
	const ports = Object.values(nodes).flatMap(node =>
		node.nics.flatMap(({network}) => {
			const name = port(node.name, network);
			return [`ip link set ${name} master ${network} up`, `ethtool -K ${name} ${OFFLOADS} >/dev/null`];
		}),
	);
	return [...bridges, ...ports];
}
