/** wrr: by weight, smoothly, and exact like rr, because the same ticket deals a longer sequence. */
import {BackendState} from '../../src/xdp/layout.gen.js';
import {balancer, packetTest} from './balancer.js';
import {Connection, deal} from './connection.js';

const VIP = '192.168.1.1:80';
const [A, B, C] = ['10.0.0.71:80', '10.0.0.72:80', '10.0.0.73:80'] as const;
const THREE = {at: VIP, backends: [A, B, C], scheduler: 'wrr'} as const;

function times(dealt: readonly string[], ...backends: readonly string[]): number[] {
	return backends.map(backend => dealt.filter(one => one === backend).length);
}

packetTest('3:1, spread over the cycle', t => {
	const b = balancer(t, [{...THREE, backends: [A, B], weights: [3, 1]}]);
	t.deepEqual(deal(b, 8), [A, A, A, B, A, A, A, B]);
});

packetTest('every cycle has the exact proportion', t => {
	const b = balancer(t, [
		{at: '192.168.1.2:80', backends: [A, B]},
		{...THREE, weights: [50, 30, 20]},
	]);
	const dealt = deal(b, 100);
	for (let cycle = 0; cycle < 10; cycle++)
		t.deepEqual(times(dealt.slice(cycle * 10, cycle * 10 + 10), A, B, C), [5, 3, 2]);
	t.is(b.maps.ticket(2), 100n);
});

packetTest('when one is down, the others keep their proportion', t => {
	const b = balancer(t, [{...THREE, weights: [4, 2, 1]}]);
	b.setState('10.0.0.72', BackendState.BACKEND_DOWN);
	t.deepEqual(times(deal(b, 50), A, B, C), [40, 0, 10]);
	b.setState('10.0.0.71', BackendState.BACKEND_DOWN);
	t.deepEqual(deal(b, 3, 100), [C, C, C]);
	b.setState('10.0.0.73', BackendState.BACKEND_DRAIN);
	t.deepEqual(deal(b, 1, 200), ['']);
});

packetTest('weight 0 gets nothing', t => {
	const b = balancer(t, [{...THREE, weights: [0, 1, 1]}]);
	t.deepEqual(deal(b, 4), [B, C, B, C]);
});

packetTest('all weights 0: refused by name', t => {
	const b = balancer(t, [{...THREE, weights: [0, 0, 0]}]);
	t.is(new Connection(b, '172.16.0.1:1', VIP).fromClient('S').verdict, 'V_DROP_NO_BACKEND');
});

packetTest('a client that returns takes no turn', t => {
	const b = balancer(t, [{...THREE, weights: [2, 1, 0], persistenceS: 300}]);
	const of = (clientPort: string): string => {
		const connection = new Connection(b, clientPort, VIP);
		connection.fromClient('S');
		return connection.backend;
	};
	t.deepEqual(['172.16.0.1:1', '172.16.0.1:2', '172.16.0.2:1', '172.16.0.3:1', '172.16.0.1:3'].map(of), [
		A,
		A,
		A,
		B,
		A,
	]);
});
