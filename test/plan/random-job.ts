/** Random configurations and circumstances from a seed, for the properties of the plan. */
import type {Backend, Service} from '../../src/conf/model.js';
import type {Circumstances} from '../../src/plan/desired.js';
import type {NextHop} from '../../src/plan/key.js';
import type {Tables} from '../../src/xdp/tables.js';
import type {Seeded} from '../seeded.js';
import {backend, service} from '../services.js';

/** Up to six services with up to eight backends each, from a pool small enough that they share endpoints. */
export function randomServices(seeded: Seeded): Service[] {
	const services: Service[] = [];
	for (let s = 0; s < 6; s++) {
		if (seeded.flip()) continue;
		const backends: Backend[] = [];
		for (let b = 0; b < 8; b++) {
			if (seeded.flip()) backends.push(backend(`10.0.0.${b + 1}`, {weight: seeded.below(3)}));
		}
		if (backends.length > 0)
			services.push(
				service(`192.168.1.${s + 1}`, backends, {
					scheduler: seeded.flip() ? 'rr' : 'wrr',
					sorryServer: seeded.flip() ? {backend: backend('10.0.0.99'), inhibit: seeded.flip()} : null,
				}),
			);
	}
	return services;
}

/** To a backend on the link. */
export const HOP: NextHop = {mac: Uint8Array.of(2, 0, 0, 0, 0, 0x71), nic: 3, source: '10.0.0.10', isOnLink: true};

export const CAPACITY = {services: 64, backends: 256, turns: 256};

export function circumstances(actual: Tables, overrides: Partial<Circumstances> = {}): Circumstances {
	return {
		actual,
		capacity: CAPACITY,
		nics: new Map([[3, {ifindex: 3, mac: Uint8Array.of(2, 0, 0, 0, 0, 3), mtu: 1500}]]),
		routerRoles: new Map(),
		hz: 250,
		instances: [],
		isUp: () => true,
		nextHop: () => HOP,
		liveFlows: () => 0,
		...overrides,
	};
}
