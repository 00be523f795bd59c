/** What is said of services and backends beside addresses, weights and schedulers, in the terms of the tables. */
import type {Backend as ConfBackend, Service as ConfService} from '../conf/model.js';
import type * as layout from '../xdp/layout.gen.js';
import type {Backend, Service} from '../xdp/tables.js';

export function serviceTerms({policy}: ConfService): Omit<Service, keyof layout.Service> {
	return {...policy};
}

/** A rate of 0 is no limit. */
export function rateTerms({
	limits: {perSource, perService},
}: ConfService): Pick<layout.Service, 'sourceRate' | 'sourceBurst' | 'serviceRate' | 'serviceBurst'> {
	return {
		sourceRate: perSource?.perSecond ?? 0,
		sourceBurst: perSource?.burst ?? 0,
		serviceRate: perService?.perSecond ?? 0,
		serviceBurst: perService?.burst ?? 0,
	};
}

export function backendTerms({forwarding}: ConfBackend): Omit<Backend, keyof layout.Backend> {
	if (forwarding.method !== 'tun') return {method: forwarding.method, tunnelPort: 0, tunnelChecksum: 'none'};
	return {
		method: forwarding.type,
		tunnelPort: forwarding.type === 'gue' ? forwarding.port : 0,
		tunnelChecksum: forwarding.type === 'ipip' ? 'none' : forwarding.checksum,
	};
}
