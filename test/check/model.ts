import type {Backend, Check, Place, Service} from '../../src/conf/model.js';

const PLACE: Place = {file: 'lb.conf', line: 1, column: 1};

/** TCP_CHECK of the reference file: every 10 s, one retry after 1 s, 5 s to connect. */
export function check(changes: Partial<Check> = {}): Check {
	return {
		place: PLACE,
		kind: 'tcp',
		connectAddress: '10.0.0.71',
		connectPort: 80,
		bindAddress: null,
		connectTimeoutUs: 5_000_000,
		delayLoopUs: 10_000_000,
		retry: 1,
		delayBeforeRetryUs: 1_000_000,
		warmupUs: 0,
		...changes,
	};
}

export function backend(address: string, changes: Partial<Backend> = {}): Backend {
	return {
		place: PLACE,
		name: `${address}:80`,
		realServer: `${address}:80`,
		address,
		port: 80,
		forwarding: {method: 'nat'},
		weight: 1,
		inhibitOnFailure: false,
		upperThreshold: 0,
		lowerThreshold: 0,
		alpha: false,
		checks: [check({connectAddress: address})],
		notify: null,
		...changes,
	};
}

export function service(backends: readonly Backend[], changes: Partial<Service> = {}): Service {
	return {
		place: PLACE,
		name: '192.168.1.1:80',
		group: null,
		address: '192.168.1.1',
		port: 80,
		protocol: 'tcp',
		scheduler: 'rr',
		hashPort: false,
		hashFallback: false,
		persistence: null,
		policy: {failedBackend: 'drop', noBackend: 'reject'},
		limits: {perSource: null, perService: null},
		quorum: 1,
		hysteresis: 0,
		notify: null,
		backends,
		...changes,
	};
}
