/** Services of all ports: the client's port goes on to the backend, and its reply comes back from there. */
import {endpointName} from '../../src/net/address.js';
import {balancer, type JobService, packetTest} from './balancer.js';
import {Connection} from './connection.js';
import {endpoint, icmpErrorFrame, translated} from './frame.js';

interface Names {
	readonly family: string;
	readonly vip: string;
	readonly other: string;
	readonly backends: readonly [string, string];
	readonly client: string;
	readonly router: string;
}

const NAMES: readonly Names[] = [
	{
		family: 'IPv4',
		vip: '192.168.1.1',
		other: '192.168.1.2',
		backends: ['10.0.0.71', '10.0.0.72'],
		client: '192.168.1.50',
		router: '203.0.113.9',
	},
	{
		family: 'IPv6',
		vip: '2001:db8:1::1',
		other: '2001:db8:1::2',
		backends: ['fd00:10::71', 'fd00:10::72'],
		client: '2001:db8:c::50',
		router: '2001:db8:9::9',
	},
];
const at = (address: string, port: number): string => endpointName(address, port, 'tcp');

for (const {family, vip, other, backends, client, router} of NAMES) {
	const [first, second] = backends;
	const allPorts: JobService = {at: at(vip, 0), backends: backends.map(name => at(name, 0)), persistenceS: 360};

	packetTest(`${family}: any port reaches the same port of a backend, and back`, t => {
		const b = balancer(t, [allPorts]);
		for (const port of [21, 80, 65_535]) {
			const connection = new Connection(b, at(client, 40_000), at(vip, port));
			connection.assertForwarded(t, connection.request('S'), 'V_FORWARD_NEW');
			t.is(connection.backend, at(first, port), 'one entry for all ports of a client');
			connection.assertReplied(t, connection.answer('SA'));
			connection.assertForwarded(t, connection.request('A'));
		}
		const stranger = new Connection(b, at(router, 40_000), at(vip, 21));
		stranger.assertForwarded(t, stranger.request('S'), 'V_FORWARD_NEW');
		t.is(stranger.backend, at(second, 21));
		t.is(b.maps.ticket(1), 2n);
	});

	packetTest(`${family}: a service of the very port goes first, and shares a backend with the one of all ports`, t => {
		const b = balancer(t, [
			allPorts,
			{at: at(vip, 80), backends: [at(first, 80)]},
			{at: at(other, 80), backends: [at(first, 80)]},
		]);
		const web = new Connection(b, at(client, 40_000), at(vip, 80));
		web.assertForwarded(t, web.request('S'), 'V_FORWARD_NEW');
		t.is(b.maps.ticket(2), 1n);
		web.assertReplied(t, web.answer('SA'));
		const mail = new Connection(b, at(client, 40_000), at(vip, 25));
		mail.assertForwarded(t, mail.request('S'), 'V_FORWARD_NEW');
		mail.assertReplied(t, mail.answer('SA'));
		t.is(new Connection(b, at(client, 40_000), at(other, 80)).fromClient('S').verdict, 'V_DROP_AMBIGUOUS');
		t.is(new Connection(b, at(client, 40_001), at(other, 80)).fromClient('S').verdict, 'V_FORWARD_NEW');
	});

	packetTest(`${family}: a client port that another service has at a backend is ambiguous there`, t => {
		const b = balancer(t, [
			{...allPorts, backends: [at(first, 0)]},
			{at: at(other, 80), backends: [at(first, 80), at(second, 80)]},
		]);
		t.is(new Connection(b, at(client, 40_000), at(vip, 80)).fromClient('S').verdict, 'V_FORWARD_NEW');
		t.is(new Connection(b, at(client, 40_000), at(vip, 8080)).fromClient('S').verdict, 'V_FORWARD_NEW');
		const moved = new Connection(b, at(client, 40_000), at(other, 80));
		moved.fromClient('S');
		t.is(moved.backend, at(second, 80));
		const free = new Connection(b, at(client, 40_001), at(other, 80));
		free.fromClient('S');
		t.is(free.backend, at(first, 80));
		t.is(new Connection(b, at(client, 40_001), at(vip, 80)).fromClient('S').verdict, 'V_DROP_AMBIGUOUS');
	});

	packetTest(`${family}: what is no part of a connection is left to the kernel`, t => {
		const b = balancer(t, [allPorts]);
		const connection = new Connection(b, at(client, 40_000), at(vip, 80));
		t.is(connection.fromClient('A').verdict, 'V_PASS_NO_FLOW');
		connection.backend = at(first, 80);
		t.is(connection.fromServer('SA').verdict, 'V_PASS_BACKEND_NO_FLOW');
		t.is(new Connection(b, at(client, 40_000), at(other, 80)).fromClient('S').verdict, 'V_PASS_NOT_OURS');
		t.is(new Connection(b, at(client, 40_000), at(vip, 80), 'udp').fromClient().verdict, 'V_PASS_NOT_OURS');
	});

	packetTest(`${family}: an error about a reply names the port that the backend knows`, t => {
		const b = balancer(t, [allPorts]);
		const connection = new Connection(b, at(client, 40_000), at(vip, 81)).establish();
		const {external} = b.ports;
		const about = translated(connection.answer('A'), {
			toMac: '02:00:00:00:00:99',
			fromMac: external.mac,
			from: connection.service,
		});
		const unreachable = family === 'IPv4' ? {type: 3, code: 4} : {type: 2, code: 0};
		const error = icmpErrorFrame({
			toMac: external.mac,
			fromMac: '02:00:00:00:00:99',
			from: at(router, 0),
			to: at(vip, 0),
			about,
			...unreachable,
		});
		const outcome = b.send(error);
		t.is(outcome.verdict, 'V_FORWARD_ICMP');
		const port = new DataView(outcome.frame.buffer).getUint16(outcome.frame.length - 8);
		t.is(port, endpoint(connection.backend)[1]);
	});
}
