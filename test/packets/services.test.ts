/** Which service a packet is for, where the program has noted what it was the last time. */
import type {Service} from '../../src/xdp/layout.gen.js';
import {familyOf} from '../../src/xdp/tables.js';
import {type Balancer, balancer, packetTest} from './balancer.js';
import {Connection} from './connection.js';

interface Names {
	readonly family: string;
	readonly vip: string;
	readonly backend: string;
	/** The nth client. */
	client(n: number): string;
}

const NAMES: readonly Names[] = [
	{family: 'IPv4', vip: '192.168.1.1:80', backend: '10.0.0.71:80', client: n => `192.168.1.50:${5000 + n}`},
	{
		family: 'IPv6',
		vip: '[2001:db8:1::1]:80',
		backend: '[fd00:10::71]:80',
		client: n => `[2001:db8:c::50]:${5000 + n}`,
	},
];
const [BEFORE, SUCCESSOR] = [1, 2];

for (const {family, vip, backend, client} of NAMES) {
	/** The verdict on a SYN of the nth client. */
	const opened = (b: Balancer, n: number): string => new Connection(b, client(n), vip).fromClient('S').verdict;

	packetTest(`${family}: a service that the configuration no longer has takes no new connection`, t => {
		const b = balancer(t, [{at: vip, backends: [backend]}]);
		t.is(opened(b, 1), 'V_FORWARD_NEW');
		const entry = end(b);
		t.is(opened(b, 2), 'V_PASS_NOT_OURS');
		b.maps.services.set(BEFORE, {...entry, port: entry.port + 1});
		t.is(opened(b, 3), 'V_PASS_NOT_OURS', 'nor does another one with its id');
	});

	packetTest(`${family}: a service that comes back with another id takes the connections`, t => {
		const b = balancer(t, [{at: vip, backends: [backend]}]);
		t.is(opened(b, 1), 'V_FORWARD_NEW');
		const entry = end(b);
		b.maps.services.set(SUCCESSOR, entry);
		for (const {key} of b.tables.serviceKeys.values()) b.maps.servicesByKey[familyOf(key.addr)].set(key, SUCCESSOR);
		t.is(opened(b, 2), 'V_FORWARD_NEW');
		t.is(opened(b, 3), 'V_FORWARD_NEW');
		t.deepEqual([b.maps.ticket(BEFORE), b.maps.ticket(SUCCESSOR)], [1n, 2n]);
	});
}

/** Ends the only service as the daemon does while backends of it are left; returns what it was. */
function end({maps, tables}: Balancer): Service {
	const entry = tables.services.get(BEFORE);
	if (entry === undefined) throw new Error('no service');
	maps.services.set(BEFORE, {...entry, turn: 0n});
	for (const {key} of tables.serviceKeys.values()) maps.servicesByKey[familyOf(key.addr)].delete(key);
	return entry;
}
