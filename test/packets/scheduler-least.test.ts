/** lc, wlc, sed, nq, fo and ovf, beside IPVS's rules written down once more, slowly. */
import {BackendState} from '../../src/xdp/layout.gen.js';
import {Seeded} from '../seeded.js';
import {type Balancer, balancer, packetTest} from './balancer.js';
import {Connection, client, deal} from './connection.js';
import {endpoint} from './frame.js';
import {type Candidate, LEAST, type Least, type LeastName} from './least.js';

const VIP = '192.168.1.1:80';
const [A, B, C] = ['10.0.0.71:80', '10.0.0.72:80', '10.0.0.73:80'] as const;
/** So that neither the service nor its stretch is the first. */
const OTHER = {at: '192.168.1.2:80', backends: ['10.0.0.81:80', '10.0.0.82:80']};
const WEIGHTS = [1, 3, 7] as const;

interface ModelBackend extends Candidate {
	readonly name: string;
	up: boolean;
	active: number;
	inactive: number;
}

/** Opens, closes, fails and counts at random; every choice of the program must be the rule's. */
class Play {
	readonly #balancer: Balancer;
	readonly #rule: Least;
	readonly #backends: ModelBackend[];
	readonly #open: {readonly connection: Connection; readonly backend: ModelBackend}[] = [];
	/** Ended since the last census. */
	#ended: ModelBackend[] = [];
	#clients = 0;

	constructor(b: Balancer, scheduler: LeastName) {
		this.#balancer = b;
		this.#rule = LEAST[scheduler];
		this.#backends = [A, B, C].map((name, index) => {
			return {name, weight: WEIGHTS[index] ?? 1, up: true, active: 0, inactive: 0};
		});
	}

	/** What the rule and the program choose. */
	open(): {readonly expected: string; readonly chosen: string} {
		const backend = this.#rule(this.#backends.filter(({up}) => up));
		const connection = new Connection(this.#balancer, client(this.#clients++), VIP);
		const {verdict} = connection.fromClient('S');
		if (backend === undefined) return {expected: 'V_DROP_NO_BACKEND', chosen: verdict};
		backend.active++;
		this.#open.push({connection, backend});
		return {expected: backend.name, chosen: connection.backend};
	}

	close(seeded: Seeded): void {
		const [ended] = this.#open.splice(seeded.below(this.#open.length), 1);
		if (ended === undefined || !ended.backend.up) return;
		ended.connection.fromServer('R');
		this.#ended.push(ended.backend);
	}

	census(): void {
		for (const backend of this.#ended) {
			backend.active--;
			backend.inactive++;
		}
		this.#ended = [];
		this.#balancer.takeCensus();
	}

	toggle(index: number): void {
		const backend = this.#backends[index];
		if (backend === undefined) return;
		backend.up = !backend.up;
		this.#balancer.setState(
			endpoint(backend.name)[0],
			backend.up ? BackendState.BACKEND_UP : BackendState.BACKEND_DOWN,
		);
	}
}

for (const scheduler of ['lc', 'wlc', 'sed', 'nq', 'fo', 'ovf'] as const)
	packetTest(`${scheduler} chooses by IPVS's rule`, t => {
		const b = balancer(t, [OTHER, {at: VIP, backends: [A, B, C], weights: WEIGHTS, scheduler}]);
		const play = new Play(b, scheduler);
		const seeded = new Seeded(scheduler.length * 1000 + scheduler.charCodeAt(0));
		for (let step = 0; step < 600; step++) {
			const dice = seeded.below(20);
			if (dice < 11) {
				const {expected, chosen} = play.open();
				t.is(chosen, expected, `step ${step}`);
			} else if (dice < 17) play.close(seeded);
			else if (dice < 19) play.census();
			else play.toggle(seeded.below(3));
		}
	});

packetTest('without any connection the first of the file is best', t => {
	for (const scheduler of ['lc', 'wlc', 'nq'] as const) {
		const b = balancer(t, [{at: VIP, backends: [A, B, C], scheduler}]);
		t.deepEqual(deal(b, 6), [A, B, C, A, B, C], scheduler);
	}
});

packetTest('fo: the heaviest, then the next', t => {
	const b = balancer(t, [{at: VIP, backends: [A, B, C], weights: [10, 30, 20], scheduler: 'fo'}]);
	t.deepEqual(deal(b, 3), [B, B, B]);
	b.setState('10.0.0.72', BackendState.BACKEND_DOWN);
	t.deepEqual(deal(b, 3, 10), [C, C, C]);
});

packetTest('ovf: the heaviest until it has more than it weighs, then the next; full everywhere, refused', t => {
	const b = balancer(t, [{at: VIP, backends: [A, B, C], weights: [1, 3, 2], scheduler: 'ovf'}]);
	t.deepEqual(deal(b, 10), [B, B, B, B, C, C, C, A, A, '']);
});

packetTest('weight 0 and drained backends take no part', t => {
	for (const scheduler of ['lc', 'wlc', 'sed', 'nq', 'fo'] as const) {
		const b = balancer(t, [{at: VIP, backends: [A, B, C], weights: [0, 1, 1], scheduler}]);
		b.setState('10.0.0.72', BackendState.BACKEND_DRAIN);
		t.deepEqual(deal(b, 3), [C, C, C], scheduler);
	}
});

packetTest('what the census corrects stays correct: errors do not add up', t => {
	const b = balancer(t, [{at: VIP, backends: [A, B], scheduler: 'lc'}]);
	for (let round = 0; round < 20; round++) {
		deal(b, 10, round * 10);
		b.fillFlows(Array.from({length: 4}, () => ({addrs: [0n], ports: 0n, word: 0n, nextHop: 0n})));
	}
	b.takeCensus();
	for (const id of b.tables.backends.keys())
		t.like(b.maps.census.get(id), {active: 0n, inactive: 0n, opened: b.maps.opened(id)});
	t.deepEqual(deal(b, 4, 1000), [A, B, A, B]);
});

packetTest('persistence first, then fewest connections', t => {
	const b = balancer(t, [{at: VIP, backends: [A, B], scheduler: 'wlc', persistenceS: 300}]);
	const connect = (from: string): string => {
		const connection = new Connection(b, from, VIP);
		connection.fromClient('S');
		return connection.backend;
	};
	t.deepEqual(['172.16.0.1:1', '172.16.0.1:2', '172.16.0.2:1', '172.16.0.3:1', '172.16.0.1:3'].map(connect), [
		A,
		A,
		B,
		B,
		A,
	]);
});

packetTest('a service that nobody counts for pays nothing', t => {
	const b = balancer(t, [{at: VIP, backends: [A, B], scheduler: 'wrr'}]);
	deal(b, 10);
	t.is(b.maps.opened(1), 0n);
});

packetTest('1,024 backends are compared, and the last may be the best', t => {
	const backends = Array.from({length: 1024}, (_, n) => `10.1.${n >> 8}.${n & 255}:80`);
	const b = balancer(t, [{at: VIP, backends, weights: backends.map((_, n) => n + 1), scheduler: 'fo'}]);
	t.deepEqual(deal(b, 1), ['10.1.3.255:80']);
	t.log(`${b.run('lb', new Connection(b, '172.30.0.1:1', VIP).request('S'), 'external').durationNs} ns`);
});
