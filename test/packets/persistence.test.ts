/** A client returns to its backend, for as long as the persistence timeout says. */
import {addressBytes, endpointName, formatAddress} from '../../src/net/address.js';
import type {Entry} from '../../src/xdp/flows.js';
import {BackendState, Event} from '../../src/xdp/layout.gen.js';
import {deleteEntry, putEntry} from '../../src/xdp/persistence.js';
import {tickShifts} from '../../src/xdp/time.js';
import {type Balancer, balancer, HZ, packetTest} from './balancer.js';
import {Connection} from './connection.js';

const VIP = '192.168.1.1:80';
const [A, B] = ['10.0.0.71:80', '10.0.0.72:80'] as const;
const JOB = [{at: VIP, backends: [A, B], persistenceS: 7200}];

const TICK_JIFFIES = 2 ** tickShifts(HZ).coarse;

let port = 1024;

/** A new connection of a client; the backend it got. */
function connect(b: Balancer, address: string, service = VIP): string {
	const connection = new Connection(b, endpointName(address, port++, 'tcp'), service);
	connection.fromClient('S');
	return connection.backend;
}

/** The only entry of a client, or of its network. */
function entryOf(b: Balancer, address: string): Entry {
	const [entry, second] = b.entries().filter(({client}) => formatAddress(client) === address);
	if (entry === undefined || second !== undefined) throw new Error(`not one entry of ${address}`);
	return entry;
}

/** Lets time pass for an entry. */
function age(b: Balancer, entry: Entry, seconds: number): void {
	const lastTick = entry.lastTick - Math.floor((seconds * HZ) / TICK_JIFFIES);
	if (!putEntry(b.entryChangers, entry, {...entry, lastTick})) throw new Error('not put');
}

packetTest('a client sticks to its backend, others are dealt in turn', t => {
	const b = balancer(t, JOB);
	t.deepEqual(
		['10.1.0.1', '10.1.0.2', '10.1.0.1', '10.1.0.1', '10.1.0.3', '10.1.0.2'].map(address => connect(b, address)),
		[A, B, A, A, A, B],
	);
	t.is(b.maps.ticket(1), 3n);
});

packetTest('an entry whose time is up is dealt anew, and each new connection restarts it', t => {
	const b = balancer(t, JOB);
	connect(b, '10.1.0.1');
	const entry = entryOf(b, '10.1.0.1');
	t.true(entry.leftJiffies > 7199 * HZ && entry.leftJiffies <= 7200 * HZ + TICK_JIFFIES);
	age(b, entry, 7198);
	t.is(connect(b, '10.1.0.1'), A);
	t.true(entryOf(b, '10.1.0.1').lastTick >= entry.lastTick);
	age(b, entry, 7202);
	t.deepEqual(b.entries(), []);
	t.is(connect(b, '10.1.0.1'), B);
	t.is(connect(b, '10.1.0.1'), B);
	t.is(entryOf(b, '10.1.0.1').backend, 2);
});

packetTest('the client of a failed backend is dealt anew, of a drained one not', t => {
	const b = balancer(t, JOB);
	t.is(connect(b, '10.1.0.1'), A);
	b.setState('10.0.0.71', BackendState.BACKEND_DRAIN);
	t.is(connect(b, '10.1.0.1'), A);
	t.is(connect(b, '10.1.0.2'), B);
	b.setState('10.0.0.71', BackendState.BACKEND_DOWN);
	t.is(connect(b, '10.1.0.1'), B);
	b.setState('10.0.0.71', BackendState.BACKEND_UP);
	t.is(connect(b, '10.1.0.1'), B);
});

packetTest('clients under one mask count as one', t => {
	const b = balancer(t, [{at: VIP, backends: [A, B], persistenceS: 360, granularity: 24}]);
	t.deepEqual(
		['10.1.0.1', '10.1.0.200', '10.1.1.1', '10.1.0.77'].map(address => connect(b, address)),
		[A, A, B, A],
	);
});

packetTest('IPv6 clients: each its own entry, or all of one network the same', t => {
	const [A6, B6] = ['[fd00:10::47]:80', '[fd00:10::48]:80'];
	const [single, network] = ['[2001:db8:1::1]:80', '[2001:db8:1::2]:80'];
	const b = balancer(t, [
		...JOB,
		{at: single, backends: [A6, B6], persistenceS: 360},
		{at: network, backends: [A6, B6], persistenceS: 360, granularity: 64},
	]);
	const clients = [
		'2001:db8:a:1::1',
		'2001:db8:a:1:ffff::1',
		'2001:db8:a:2::1',
		'2001:db8:a:1::1',
		'2001:db8:a:1:8000::9',
	];
	t.deepEqual(
		clients.map(address => connect(b, address, single)),
		[A6, B6, A6, A6, B6],
	);
	t.deepEqual(
		clients.map(address => connect(b, address, network)),
		[A6, A6, B6, A6, A6],
	);
	t.is(entryOf(b, '2001:db8:a:1::').service, 3);
	t.deepEqual(
		b.entries().map(entry => entry.family),
		[6, 6, 6, 6, 6, 6],
	);
});

packetTest('an entry can be put, extended and deleted from outside', t => {
	const b = balancer(t, JOB);
	const name = {family: 4, client: addressBytes('10.1.0.9'), service: 1} as const;
	connect(b, '10.1.0.1');
	const {lastTick} = entryOf(b, '10.1.0.1');
	t.true(putEntry(b.entryChangers, name, {backend: 1, lastTick}));
	t.deepEqual([connect(b, '10.1.0.9'), connect(b, '10.1.0.2'), connect(b, '10.1.0.9')], [A, B, A]);
	t.true(putEntry(b.entryChangers, name, {backend: 2, lastTick: lastTick + 60}), 'in place of the one that there is');
	t.like(entryOf(b, '10.1.0.9'), {backend: 2, lastTick: lastTick + 60});
	t.is(connect(b, '10.1.0.9'), B);
	t.true(deleteEntry(b.entryChangers, name));
	t.false(deleteEntry(b.entryChangers, name));
	t.is(connect(b, '10.1.0.9'), A);
	t.is(b.entries().length, 3);
});

packetTest('a full table is counted, and the connection is served', t => {
	const b = balancer(t, JOB, {persistenceEntries: 1});
	const outcomes = Array.from({length: 300}, (_, n) => connect(b, `10.1.1.${n % 250}`));
	t.true(outcomes.every(backend => backend === A || backend === B));
	t.true(b.events(Event.EVENT_PERSISTENCE_FULL) > 0n);
});

packetTest('with no backend up, the entry outlives the refusal', t => {
	const b = balancer(t, JOB);
	t.is(connect(b, '10.1.0.1'), A);
	b.setState('10.0.0.71', BackendState.BACKEND_DOWN);
	b.setState('10.0.0.72', BackendState.BACKEND_DOWN);
	t.is(new Connection(b, '10.1.0.1:9', VIP).fromClient('S').verdict, 'V_DROP_NO_BACKEND');
	b.setState('10.0.0.71', BackendState.BACKEND_UP);
	t.is(connect(b, '10.1.0.1'), A);
});

packetTest('an entry whose backend id was given to another service is dealt anew', t => {
	const b = balancer(t, [...JOB, {at: '192.168.1.2:80', backends: ['10.0.0.73:80']}]);
	t.is(connect(b, '10.1.0.1'), A);
	const entry = entryOf(b, '10.1.0.1');
	putEntry(b.entryChangers, entry, {...entry, backend: 3});
	t.is(connect(b, '10.1.0.1'), B);
});
