/** What is said of services and backends beside addresses, weights and schedulers, in the terms of the tables. */
import type {Backend as ConfBackend, Service as ConfService, Forwarding} from '../conf/model.js';
import {addressBytes} from '../net/address.js';
import {Method, TunnelFlag} from '../xdp/layout.gen.js';
import {type Backend, type Service, type UNSAID_OF_SERVICE, withRoom} from '../xdp/tables.js';
import {type NextHop, nextHopWord} from './key.js';

export function serviceTerms({policy, limits}: ConfService): Pick<Service, keyof typeof UNSAID_OF_SERVICE> {
	return {...policy, sourceRate: limits.perSource, serviceRate: limits.perService};
}

const METHODS = {
	nat: Method.METHOD_NAT,
	dr: Method.METHOD_DR,
	ipip: Method.METHOD_IPIP,
	gre: Method.METHOD_GRE,
	gue: Method.METHOD_GUE,
} as const;

/** How packets get to a backend, whose `nextHop` is 0 while there is no way that its method can use. */
export type Way = Pick<Backend, 'method' | 'tunnelPort' | 'tunnelFlags' | 'tunnelSource' | 'nextHop'>;

export function wayTo({forwarding}: ConfBackend, hop: NextHop | null): Way {
	const source = forwarding.method === 'tun' ? hop?.source : undefined;
	return {
		method: METHODS[forwarding.method === 'tun' ? forwarding.type : forwarding.method],
		tunnelPort: forwarding.method === 'tun' && forwarding.type === 'gue' ? forwarding.port : 0,
		tunnelFlags: hasChecksum(forwarding) ? TunnelFlag.TUNNEL_CHECKSUM : 0,
		tunnelSource: withRoom(source ? addressBytes(source) : new Uint8Array()),
		nextHop: nextHopWord(hop !== null && leadsTo(forwarding, hop) ? hop : null),
	};
}

/** A router would take DR's packets, whose destination is ours, for packets to us; a tunnel has to begin somewhere. */
function leadsTo({method}: Forwarding, {isOnLink, source}: NextHop): boolean {
	return method === 'dr' ? isOnLink : method === 'nat' || source !== null;
}

/** Remote checksum offload is for senders that have not summed the packet inside; ours comes with a whole checksum. */
function hasChecksum(forwarding: Forwarding): boolean {
	return forwarding.method === 'tun' && forwarding.type !== 'ipip' && forwarding.checksum === 'full';
}
