import {ControlError} from '../../src/errors.js';
import type {FlowFilter, FlowView, LeaseView, MapEntry, MapView, PersistenceView} from '../../src/xdp/view.js';

async function* each<T>(items: readonly T[]): AsyncGenerator<T> {
	yield* items;
}

const FLOWS: readonly FlowView[] = [1, 2, 3].map(index => ({
	client: `198.51.100.${index}:4102${index}`,
	service: '192.168.1.1:80',
	backend: index === 2 ? '10.0.0.72:80' : '10.0.0.71:80',
	state: index === 3 ? 'syn-received' : 'established',
	idleS: index,
	expiresInS: 900 - index,
}));

const PERSISTENCE: readonly PersistenceView[] = [
	{client: '198.51.100.1', service: '192.168.1.1:80', backend: '10.0.0.71:80', expiresInS: 7199},
];

/** The maps of a balancer in the middle of its work: one service, two backends, the second of them down. */
export class FakeView implements MapView {
	closed = false;

	services() {
		return [
			{
				service: '192.168.1.1:80',
				scheduler: 'rr',
				persistenceS: 7200,
				nextTicket: 1500,
				connections: 1500,
				packetsIn: 12_345,
				packetsOut: 23_456,
				bytesIn: 1_234_567,
				bytesOut: 98_765_432,
			},
		];
	}

	backends() {
		const traffic = {connections: 750, packetsIn: 6000, packetsOut: 12_000, bytesIn: 600_000, bytesOut: 49_000_000};
		return [
			{
				service: '192.168.1.1:80',
				backend: '10.0.0.71:80',
				state: 'up' as const,
				method: 'nat',
				weight: 1,
				nextHop: {mac: '02:00:00:00:00:71', nic: 'eth1'},
				liveFlows: 42,
				...traffic,
			},
			{
				service: '192.168.1.1:80',
				backend: '10.0.0.72:80',
				state: 'down' as const,
				method: 'nat',
				weight: 1,
				nextHop: null,
				liveFlows: 3,
				...traffic,
			},
		];
	}

	flows({client, service, backend, state}: FlowFilter) {
		const wanted = (flow: FlowView) =>
			(client === undefined || flow.client.startsWith(client)) &&
			(service === undefined || flow.service === service) &&
			(backend === undefined || flow.backend === backend) &&
			(state === undefined || flow.state === state);
		return each(FLOWS.filter(wanted));
	}

	persistence() {
		return each(PERSISTENCE);
	}

	forgetClient(_service: string, client: string) {
		return PERSISTENCE.some(entry => entry.client === client) ? client : null;
	}

	drops() {
		return [
			{service: null, verdict: 'drop-short', packets: 2},
			{service: '192.168.1.1:80', verdict: 'drop-no-backend', packets: 1017},
		];
	}

	leases(): LeaseView[] {
		return [
			{interface: 'eth0', family: 4, vrid: 91, state: 'held', sentS: 0.4, heardS: null},
			{interface: 'eth1', family: 4, vrid: 92, state: 'taken', sentS: 312, heardS: 1.2},
		];
	}

	maps() {
		const pins = '/sys/fs/bpf/lbd/default';
		return [
			{
				map: 'services',
				type: 'array',
				keyBytes: 4,
				valueBytes: 64,
				maxEntries: 256,
				entries: 1,
				pin: `${pins}/services`,
			},
			{
				map: 'flows',
				type: 'array',
				keyBytes: 4,
				valueBytes: 128,
				maxEntries: 65_536,
				entries: null,
				pin: `${pins}/flows`,
			},
		];
	}

	dump(map: string): AsyncIterable<MapEntry> {
		if (map !== 'services') throw new ControlError('unknown-map', `no map ${map} (there are services, flows)`);
		return each([{key: 1, value: {addr: new Uint8Array([192, 168, 1, 1]), turn: 2n ** 60n, port: 80}}]);
	}

	close() {
		this.closed = true;
	}
}
