/** Services and backends as a configuration's model has them: keepalived's defaults, and what a test changes. */
import type {Backend, Place, Service} from '../src/conf/model.js';

const PLACE: Place = {file: 'test.conf', line: 1, column: 1};

/** Of TCP port 80, by NAT, without checks. */
export function backend(address: string, overrides: Partial<Backend> = {}): Backend {
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
		checks: [],
		notify: null,
		...overrides,
	};
}

/** TCP port 80, by rr. */
export function service(address: string, backends: readonly Backend[], overrides: Partial<Service> = {}): Service {
	return {
		place: PLACE,
		name: `${address}:80`,
		group: null,
		address,
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
		haSuspend: false,
		backends,
		sorryServer: null,
		...overrides,
	};
}
