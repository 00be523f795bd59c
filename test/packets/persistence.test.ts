/** A client returns to its backend, for as long as the persistence timeout says. */
import {addressBytes, endpointName} from '../../src/net/address.js';
import {BackendState, Event} from '../../src/xdp/layout.gen.js';
import {type Balancer, balancer, packetTest} from './balancer.js';
import {Connection} from './connection.js';

const VIP = '192.168.1.1:80';
const [A, B] = ['10.0.0.71:80', '10.0.0.72:80'] as const;
const JOB = [{at: VIP, backends: [A, B], persistenceS: 7200}];

let port = 1024;

/** A new connection of a client; the backend it got. */
function connect(b: Balancer, address: string, service = VIP): string {
	const connection = new Connection(b, endpointName(address, port++, 'tcp'), service);
	connection.fromClient('S');
	return connection.backend;
}

function entryOf(b: Balancer, address: string) {
	const key = {client: addressBytes(address), service: 1};
	const entry = b.maps.persistence[4].get(key);
	if (entry === undefined) throw new Error(`no entry of ${address}`);
	return {key, entry};
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
	const {key, entry} = entryOf(b, '10.1.0.1');
	b.maps.persistence[4].set(key, {...entry, expires: entry.expires - 7199n * 250n});
	t.is(connect(b, '10.1.0.1'), A);
	t.true(entryOf(b, '10.1.0.1').entry.expires >= entry.expires);
	b.maps.persistence[4].set(key, {...entry, expires: entry.expires - 7201n * 250n});
	t.is(connect(b, '10.1.0.1'), B);
	t.is(connect(b, '10.1.0.1'), B);
	t.is(entryOf(b, '10.1.0.1').entry.deals, 1);
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
	const entry = b.maps.persistence[6].get({client: addressBytes('2001:db8:a:1::'), service: 3});
	t.is(entry?.deals, 0);
	t.is(b.maps.all().get('persistence')?.nextKey(), undefined, 'nothing among those of IPv4');
});

packetTest('a full map is counted, and the connection is served', t => {
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
	const {key, entry} = entryOf(b, '10.1.0.1');
	b.maps.persistence[4].set(key, {...entry, backend: 3});
	t.is(connect(b, '10.1.0.1'), B);
});
