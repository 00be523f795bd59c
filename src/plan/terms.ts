/** What is said of services and backends beside addresses, weights and schedulers, in the terms of the tables. */
import type {Backend as ConfBackend, Service as ConfService, Policy} from '../conf/model.js';
import type * as layout from '../xdp/layout.gen.js';
import {FailedBackend, NoBackend} from '../xdp/layout.gen.js';
import type {Backend, Service} from '../xdp/tables.js';

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

export function backendTerms({forwarding}: ConfBackend): Omit<Backend, keyof layout.Backend> {
	if (forwarding.method !== 'tun') return {method: forwarding.method, tunnelPort: 0, tunnelChecksum: 'none'};
	return {
		method: forwarding.type,
		tunnelPort: forwarding.type === 'gue' ? forwarding.port : 0,
		tunnelChecksum: forwarding.type === 'ipip' ? 'none' : forwarding.checksum,
	};
}
