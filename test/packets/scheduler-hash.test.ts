/** sh, dh and mh: the same client, the same backend, on every balancer. */

import type {ExecutionContext} from 'ava';
import {addressBytes, type Family} from '../../src/net/address.js';
import {maglevRing} from '../../src/plan/maglev.js';
import {BackendState} from '../../src/xdp/layout.gen.js';
import {type Balancer, balancer, type JobService, packetTest} from './balancer.js';
import {Connection, client, deal} from './connection.js';
import {endpoint} from './frame.js';
import {walk} from './ring.js';

const VIP = '192.168.1.1:80';
const BACKENDS = ['10.0.0.71:80', '10.0.0.72:80', '10.0.0.73:80', '10.0.0.74:80'];
const NETWORK = {
	4: {vip: VIP, backends: BACKENDS},
	6: {
		vip: '[2001:db8:1::1]:80',
		backends: ['[fd00:10::47]:80', '[fd00:10::48]:80', '[fd00:10::49]:80', '[fd00:10::4a]:80'],
	},
} as const;
/** So that neither the service nor its stretch is the first. */
const OTHER = {at: '192.168.1.2:80', backends: ['10.0.0.81:80', '10.0.0.82:80']};
const MAGLEV = {at: VIP, backends: BACKENDS, scheduler: 'mh'} as const;
const CLIENTS = 400;

type Health = 'up' | 'drain' | 'down';

/** The slow and obvious way: build the ring, find the client's place, walk on. */
class RingModel {
	readonly health = new Map<string, Health>();
	readonly #ring: readonly {readonly name: string}[];

	constructor(backends: readonly string[], weights: readonly number[] = []) {
		const members = backends.map((name, index) => {
			const [address, port] = endpoint(name);
			return {name, addr: addressBytes(address), port, weight: weights[index] ?? 1};
		});
		this.#ring = maglevRing(members.filter(({weight}) => weight > 0));
	}

	choose(text: string, {port, fallback}: {port: boolean; fallback: boolean}): string {
		for (const {name} of walk(this.#ring, text, {port})) {
			const health = this.health.get(name) ?? 'up';
			if (health === 'up') return name;
			if (health === 'drain' && !fallback) return '';
		}
		return '';
	}
}

function setHealth(b: Balancer, model: RingModel, name: string, health: Health): void {
	const states = {up: BackendState.BACKEND_UP, drain: BackendState.BACKEND_DRAIN, down: BackendState.BACKEND_DOWN};
	b.setState(endpoint(name)[0], states[health]);
	model.health.set(name, health);
}

function assertAsModel(
	t: ExecutionContext,
	ring: Pick<JobService, 'scheduler' | 'hashPort' | 'hashFallback'>,
	of: Family,
) {
	const {vip, backends} = NETWORK[of];
	const {hashPort: port = false, hashFallback: fallback = false} = ring;
	const weights = [3, 1, 1, 0];
	const b = balancer(t, [OTHER, {at: vip, backends, weights, ...ring}]);
	const model = new RingModel(backends, weights);
	const [first = '', second = '', third = ''] = backends;
	let from = 0;
	const compare = (what: string): void => {
		const expected = Array.from({length: CLIENTS}, (_, n) => model.choose(client(from + n, of), {port, fallback}));
		t.deepEqual(deal(b, CLIENTS, from, vip), expected, what);
		from += CLIENTS;
	};
	compare('all up');
	setHealth(b, model, first, 'drain');
	compare('one drained');
	setHealth(b, model, second, 'down');
	compare('one drained, one down');
	setHealth(b, model, third, 'down');
	compare('one drained, all others down');
	setHealth(b, model, first, 'up');
	compare('one left');
	t.is(b.maps.ticket(2), 0n, 'nobody takes a ticket');
}

for (const scheduler of ['sh', 'mh'] as const)
	for (const hashPort of [false, true])
		for (const hashFallback of [false, true])
			packetTest(
				`${scheduler}${hashPort ? ' by port' : ''}${hashFallback ? ' with fallback' : ''} does as the model`,
				t => assertAsModel(t, {scheduler, hashPort, hashFallback}, 4),
			);

for (const scheduler of ['sh', 'mh'] as const)
	packetTest(`${scheduler} by IPv6 address and port does as the model`, t =>
		assertAsModel(t, {scheduler, hashPort: true, hashFallback: true}, 6),
	);

packetTest('a client comes to the same backend whatever its port; with mh-port it need not', t => {
	const ports = (b: Balancer): Set<string> =>
		new Set(
			Array.from({length: 50}, (_, n) => {
				const connection = new Connection(b, `172.16.9.9:${2000 + n}`, VIP);
				connection.fromClient('S');
				return connection.backend;
			}),
		);
	t.is(ports(balancer(t, [MAGLEV])).size, 1);
	t.is(ports(balancer(t, [{...MAGLEV, hashPort: true}])).size, BACKENDS.length);
});

packetTest('two balancers whose files differ in the order of backends agree', t => {
	const one = balancer(t, [MAGLEV]);
	const other = balancer(t, [{...MAGLEV, backends: BACKENDS.toReversed()}]);
	t.deepEqual(deal(other, CLIENTS), deal(one, CLIENTS));
});

packetTest('only the clients of a failed backend move, and they come back', t => {
	const [failed = ''] = BACKENDS;
	const b = balancer(t, [MAGLEV]);
	const before = deal(b, CLIENTS);
	b.setState(endpoint(failed)[0], BackendState.BACKEND_DOWN);
	b.fillFlows(Array.from({length: 4}, () => ({addrs: [0n], ports: 0n, word: 0n, nextHop: 0n})));
	const meanwhile = deal(b, CLIENTS);
	const heirs = BACKENDS.slice(1).map(
		heir => meanwhile.filter((now, n) => before[n] === failed && now === heir).length,
	);
	t.true(
		heirs.every(share => share > CLIENTS / 24),
		`they spread over all the others: ${heirs}`,
	);
	for (const [n, backend] of before.entries()) {
		if (backend === failed) t.not(meanwhile[n], failed);
		else t.is(meanwhile[n], backend);
	}
	b.setState(endpoint(failed)[0], BackendState.BACKEND_UP);
	b.fillFlows(Array.from({length: 4}, () => ({addrs: [0n], ports: 0n, word: 0n, nextHop: 0n})));
	t.deepEqual(deal(b, CLIENTS), before);
});

packetTest('dh: one service address, one backend', t => {
	const services = Array.from({length: 12}, (_, n) => `192.168.1.${n + 1}:80`);
	const b = balancer(
		t,
		services.map((at, n) => ({
			at,
			backends: BACKENDS.map(name => name.replace(':80', `:${8000 + n}`)),
			scheduler: 'dh',
		})),
	);
	const chosen = services.map((at, n) => new Set(deal(b, 5, n * 5, at)));
	t.true(chosen.every(backends => backends.size === 1));
	t.true(new Set(chosen.flatMap(backends => [...backends].map(name => endpoint(name)[0]))).size > 1);
});

packetTest('dh by IPv6 address: the backend that the ring has for the service', t => {
	const services = Array.from({length: 12}, (_, n) => `[2001:db8:1::${n + 1}]:80`);
	const backendsOf = (n: number): string[] => NETWORK[6].backends.map(name => name.replace(':80', `:${8000 + n}`));
	const b = balancer(
		t,
		services.map((at, n) => ({at, backends: backendsOf(n), scheduler: 'dh'})),
	);
	const model = (at: string, n: number): string =>
		new RingModel(backendsOf(n)).choose(at, {port: false, fallback: false});
	t.deepEqual(
		services.map((at, n) => deal(b, 3, n * 3, at)),
		services.map((at, n) => Array(3).fill(model(at, n))),
	);
	t.true(new Set(services.map(model).map(name => endpoint(name)[0])).size > 1);
});

packetTest('persistence remembers the hashed choice, also while its backend is drained', t => {
	const b = balancer(t, [{...MAGLEV, persistenceS: 300}]);
	const connect = (port: number): string => {
		const connection = new Connection(b, `172.16.5.5:${port}`, VIP);
		connection.fromClient('S');
		return connection.backend;
	};
	const chosen = connect(1);
	b.setState(endpoint(chosen)[0], BackendState.BACKEND_DRAIN);
	t.is(connect(2), chosen);
	b.setState(endpoint(chosen)[0], BackendState.BACKEND_DOWN);
	const heir = connect(3);
	t.not(heir, chosen);
	b.setState(endpoint(chosen)[0], BackendState.BACKEND_UP);
	t.is(connect(4), heir, 'until its entry ends');
});
