/** What is said of services and backends beside addresses, weights and schedulers, in the terms of the tables. */
import type {Backend as ConfBackend, Service as ConfService, Forwarding, Policy} from '../conf/model.js';
import {addressBytes} from '../net/address.js';
import {FailedBackend, Method, NoBackend, TunnelFlag} from '../xdp/layout.gen.js';
import {type Backend, type Service, withRoom} from '../xdp/tables.js';
import {type NextHop, nextHopWord} from './key.js';

const FAILED_BACKEND: Readonly<Record<Policy['failedBackend'], FailedBackend>> = {
	drop: FailedBackend.FAILED_DROP,
	keep: FailedBackend.FAILED_KEEP,
	reset: FailedBackend.FAILED_RESET,
	reschedule: FailedBackend.FAILED_RESCHEDULE,
};

const NO_BACKEND: Readonly<Record<Policy['noBackend'], NoBackend>> = {
	reject: NoBackend.NO_BACKEND_REJECT,
	reset: NoBackend.NO_BACKEND_RESET,
	drop: NoBackend.NO_BACKEND_DROP,
};

type ServiceTerms = Pick<
	Service,
	'failedBackend' | 'noBackend' | 'sourceRate' | 'sourceBurst' | 'serviceRate' | 'serviceBurst'
>;

/** A rate of 0 is no limit. */
export function serviceTerms({policy, limits: {perSource, perService}}: ConfService): ServiceTerms {
	return {
		failedBackend: FAILED_BACKEND[policy.failedBackend],
		noBackend: NO_BACKEND[policy.noBackend],
		sourceRate: perSource?.perSecond ?? 0,
		sourceBurst: perSource?.burst ?? 0,
		serviceRate: perService?.perSecond ?? 0,
		serviceBurst: perService?.burst ?? 0,
	};
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

const NO_SOURCE = withRoom(new Uint8Array());

export function wayTo({forwarding}: ConfBackend, hop: NextHop | null): Way {
	const source = forwarding.method === 'tun' ? hop?.source : undefined;
	return {
		method: METHODS[forwarding.method === 'tun' ? forwarding.type : forwarding.method],
		tunnelPort: forwarding.method === 'tun' && forwarding.type === 'gue' ? forwarding.port : 0,
		tunnelFlags: hasChecksum(forwarding) ? TunnelFlag.TUNNEL_CHECKSUM : 0,
		tunnelSource: source ? withRoom(addressBytes(source)) : NO_SOURCE,
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
