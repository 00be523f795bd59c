/** uthreshold and lthreshold: IPVS's OVERLOAD, under every kind of scheduler. */
import {type Balancer, balancer, packetTest} from './balancer.js';
import {Connection, client, deal} from './connection.js';

const VIP = '192.168.1.1:80';
const [A, B] = ['10.0.0.71:80', '10.0.0.72:80'] as const;
const LIMITED = {at: VIP, backends: [A, B], thresholds: [[4, 3]]} as const;

/** Ends `count` of a backend's flows, as if their time were over. */
function end(b: Balancer, count: number): void {
	let left = count;
	b.changeFlows(slot => {
		const ofA = ((slot.word >> 32n) & 0xffffn) === 1n && slot.word >> 48n !== 0n;
		if (!ofA || left === 0) return slot;
		left--;
		return {addrs: [0n], ports: 0n, word: 0n, nextHop: 0n};
	});
}

packetTest('at the upper threshold a backend is passed over, below the lower one it is back', t => {
	const b = balancer(t, [LIMITED]);
	b.takeCensus();
	t.deepEqual(deal(b, 10), [A, B, A, B, A, B, A, B, B, B]);
	end(b, 1);
	b.takeCensus();
	t.deepEqual(deal(b, 2, 100), [B, B], 'three are not below three');
	end(b, 1);
	b.takeCensus();
	t.deepEqual(deal(b, 4, 200).filter(backend => backend === A).length, 2, 'room for two more');
});

packetTest('closed connections count as well, until their time is over', t => {
	const b = balancer(t, [{...LIMITED, thresholds: [[1, 1]]}]);
	b.takeCensus();
	const first = new Connection(b, client(1), VIP).establish();
	t.is(first.backend, A);
	first.fromClient('R');
	b.takeCensus();
	t.deepEqual(deal(b, 2, 10), [B, B]);
	end(b, 1);
	b.takeCensus();
	t.true(deal(b, 2, 20).includes(A));
});

packetTest('everybody at the threshold: refused by name, and no packet of a connection is', t => {
	const b = balancer(t, [{...LIMITED, backends: [A], thresholds: [[1, 1]]}]);
	b.takeCensus();
	const served = new Connection(b, client(1), VIP).establish();
	t.is(new Connection(b, client(2), VIP).fromClient('S').verdict, 'V_DROP_NO_BACKEND');
	served.assertForwarded(t, served.request('PA'));
});

packetTest('a client that is remembered comes back all the same', t => {
	const b = balancer(t, [{...LIMITED, backends: [A], thresholds: [[1, 1]], persistenceS: 300}]);
	b.takeCensus();
	const connect = (from: string) => new Connection(b, from, VIP).fromClient('S').verdict;
	t.is(connect('172.16.0.1:1'), 'V_FORWARD_NEW');
	t.is(connect('172.16.0.2:1'), 'V_DROP_NO_BACKEND');
	t.is(connect('172.16.0.1:2'), 'V_FORWARD_NEW');
});

for (const scheduler of ['wrr', 'lc', 'wlc', 'sed', 'nq', 'fo', 'ovf'] as const)
	packetTest(`${scheduler} honours it`, t => {
		const b = balancer(t, [{...LIMITED, weights: [20, 10], scheduler}]);
		b.takeCensus();
		t.is(deal(b, 14).filter(backend => backend === A).length, 4);
	});

packetTest('sh refuses the clients of an overloaded backend, with sh-fallback it moves them', t => {
	const all = [...deal(balancer(t, [{...LIMITED, thresholds: [], scheduler: 'sh'}]), 60)];
	const [firstFour, rest] = [all.filter(backend => backend === A).slice(0, 4), all];
	for (const hashFallback of [false, true]) {
		const b = balancer(t, [{...LIMITED, scheduler: 'sh', hashFallback}]);
		b.takeCensus();
		let room = firstFour.length;
		const expected = rest.map(backend => (backend === A && room-- <= 0 ? (hashFallback ? B : '') : backend));
		t.deepEqual(deal(b, 60), expected);
	}
});

packetTest('without a daemon that counts, nobody is refused for good', t => {
	const b = balancer(t, [{...LIMITED, backends: [A], thresholds: [[2, 2]]}]);
	b.takeCensus();
	t.deepEqual(deal(b, 3), [A, A, '']);
	const census = b.maps.census.get(1);
	if (census === undefined) throw new Error('no census');
	b.maps.census.set(1, {...census, taken: census.taken - 10n * 250n});
	t.deepEqual(deal(b, 3, 10), [A, A, A]);
});
