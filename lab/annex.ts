/** Machines behind those of the figure: a path that grows narrower on the way. */
import {script} from './namespace.js';

export interface Annex {
	readonly namespace: string;
	readonly address: string;
	readonly address6: string;
}

export interface AnnexOptions {
	readonly namespace: string;
	/** The namespace of the node that routes for it. */
	readonly router: string;
	/** The first three bytes of a network of its own, e.g. `198.19.0`. */
	readonly network: string;
	/** The first half of an IPv6 network of its own, e.g. `2001:db8:a`. */
	readonly network6: string;
	/**
	 * Of the router's end of the cable alone. The machine believes in Ethernet's 1,500 bytes and says so in its MSS; what is
	 * larger than this and may not be fragmented the router has to refuse.
	 */
	readonly mtu: number;
}

/** Makes a machine that only its router can reach directly. */
export async function furnishAnnex({namespace, router, network, network6, mtu}: AnnexOptions): Promise<Annex> {
	const [gateway, address] = [`${network}.1`, `${network}.2`];
	const [gateway6, address6] = [`${network6}::1`, `${network6}::2`];
	await script(router, [
		`ip netns add ${namespace}`,
		`ip link add annex mtu ${mtu} type veth peer name eth0 netns ${namespace}`,
		'ip link set annex up',
		`ip address add ${gateway}/24 dev annex`,
		`ip address add ${gateway6}/64 dev annex nodad`,
		'sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1',
	]);
	await script(namespace, [
		'ip link set lo up',
		'ip link set eth0 up',
		`ip address add ${address}/24 dev eth0`,
		`ip address add ${address6}/64 dev eth0 nodad`,
		`ip route add default via ${gateway}`,
		`ip route add default via ${gateway6}`,
	]);
	return {namespace, address, address6};
}
