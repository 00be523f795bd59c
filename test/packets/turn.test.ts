/** Whose turn it is: exact, and kept when backends come and go. */
import {BackendState, Event} from '../../src/xdp/layout.gen.js';
import {balancer, packetTest} from './balancer.js';
import {Connection, client, deal} from './connection.js';

const VIP = '192.168.1.1:80';
const [A, B, C] = ['10.0.0.71:80', '10.0.0.72:80', '10.0.0.73:80'] as const;

packetTest('two backends strictly alternate, in the order of the file', t => {
	const b = balancer(t, [{at: VIP, backends: [A, B]}]);
	t.deepEqual(deal(b, 6), [A, B, A, B, A, B]);
});

packetTest('1,000 connections over two backends: 500 each', t => {
	const b = balancer(t, [{at: VIP, backends: [A, B]}]);
	const dealt = deal(b, 1000);
	t.is(dealt.filter(backend => backend === A).length, 500);
	t.is(dealt.filter(backend => backend === B).length, 500);
	t.is(b.maps.ticket(1), 1000n);
});

packetTest('a backend that is down is skipped, and the turn of the others goes on', t => {
	const b = balancer(t, [{at: VIP, backends: [A, B, C]}]);
	t.deepEqual(deal(b, 4), [A, B, C, A]);
	b.setState('10.0.0.72', BackendState.BACKEND_DOWN);
	t.deepEqual(deal(b, 4, 100), [C, A, C, A]);
	b.setState('10.0.0.72', BackendState.BACKEND_UP);
	t.deepEqual(deal(b, 4, 200), [B, C, A, B]);
});

packetTest('a backend without a next hop is skipped like one that is down', t => {
	const b = balancer(t, [{at: VIP, backends: [A, B]}]);
	b.setBackend('10.0.0.71', {nextHop: 0n});
	t.deepEqual(deal(b, 2), [B, B]);
});

packetTest('the only backend left of many is found', t => {
	const backends = Array.from({length: 100}, (_, index) => `10.0.1.${index + 1}:80`);
	const b = balancer(t, [{at: VIP, backends}]);
	for (const backend of backends.slice(0, 99)) b.setState(backend.split(':')[0] ?? '', BackendState.BACKEND_DOWN);
	t.deepEqual(deal(b, 3), ['10.0.1.100:80', '10.0.1.100:80', '10.0.1.100:80']);
});

packetTest('a retransmitted SYN takes no ticket and stays with its backend', t => {
	const b = balancer(t, [{at: VIP, backends: [A, B]}]);
	const connection = new Connection(b, client(1), VIP);
	for (const verdict of ['V_FORWARD_NEW', 'V_FORWARD', 'V_FORWARD'] as const) {
		t.is(connection.fromClient('S').verdict, verdict);
		t.is(connection.backend, A);
	}
	t.is(b.maps.ticket(1), 1n);
});

packetTest('services have turns of their own', t => {
	const b = balancer(t, [
		{at: VIP, backends: [A, B]},
		{at: '192.168.1.1:443', backends: ['10.0.0.71:443', '10.0.0.72:443']},
	]);
	deal(b, 1);
	const other = new Connection(b, client(1), '192.168.1.1:443');
	other.fromClient('S');
	t.is(other.backend, '10.0.0.71:443');
	t.deepEqual(deal(b, 1, 10), [B]);
});

packetTest('one backend of two services never gets the same client port through both', t => {
	const b = balancer(t, [
		{at: VIP, backends: [A, B]},
		{at: '192.168.1.2:80', backends: [A, B]},
	]);
	const first = new Connection(b, client(1), VIP).establish();
	const second = new Connection(b, client(1), '192.168.1.2:80').establish();
	t.deepEqual([first.backend, second.backend], [A, B]);
	t.is(b.events(Event.EVENT_AMBIGUOUS), 1n, 'the event is counted');
	first.assertReplied(t, first.answer('PA'));
	second.assertReplied(t, second.answer('PA'));
});
