/** What the plan writes by hashes of its own must be what the program looks for. */
import type {ExecutionContext} from 'ava';
import {addressBits, endpointName, FAMILIES, type Family, formatAddress} from '../../src/net/address.js';
import {packetTest, XDP} from '../packets/balancer.js';
import {destinationOf, endpoint, sourceOf, tcpFrame} from '../packets/frame.js';
import {Seeded} from '../seeded.js';
import {backend, service} from '../services.js';
import {freshName, LOOPBACK_MAC, open, send, serve} from './plane.js';

const SERVICES = 200;
const CLIENT = {4: '172.16.0.1:40000', 6: '[2001:db8:c::1]:40000'} as const;

interface Pair {
	readonly service: string;
	readonly backend: string;
}

/** Any unicast address and port. */
function randomEndpoint(seeded: Seeded, of: Family): string {
	const first = of === 4 ? 1 + seeded.below(126) : 0x20 + seeded.below(32);
	const address = Uint8Array.from({length: addressBits(of) / 8}, (_, n) => (n === 0 ? first : seeded.below(256)));
	return endpointName(formatAddress(address), 1 + seeded.below(65_535), 'tcp');
}

function randomPairs(seeded: Seeded, of: Family): Pair[] {
	const endpoints = new Set<string>();
	while (endpoints.size < 2 * SERVICES) endpoints.add(randomEndpoint(seeded, of));
	const list = [...endpoints];
	return list.slice(0, SERVICES).map((name, index) => ({service: name, backend: list[SERVICES + index] ?? ''}));
}

function asService(pair: Pair) {
	const [address, port] = endpoint(pair.service);
	const [backendAddress, backendPort] = endpoint(pair.backend);
	const only = backend(backendAddress, {name: pair.backend, port: backendPort});
	return service(address, [only], {name: pair.service, port});
}

function frame(from: string, to: string, flags: string): Uint8Array {
	return tcpFrame({toMac: LOOPBACK_MAC, fromMac: '02:00:00:00:00:99', from, to, flags});
}

function assertServed(t: ExecutionContext, through: ReturnType<typeof send>, pair: Pair, client: string): void {
	const request = through(frame(client, pair.service, 'S'));
	t.is(request.retval, XDP.tx, `${pair.service} is in the filter`);
	t.deepEqual([sourceOf(request.data), destinationOf(request.data)], [client, pair.backend]);
	const reply = through(frame(pair.backend, client, 'SA'));
	t.is(reply.retval, XDP.tx, `${pair.backend} is in the filter and in its bucket`);
	t.deepEqual([sourceOf(reply.data), destinationOf(reply.data)], [pair.service, client]);
}

for (const family of FAMILIES)
	packetTest(
		`hundreds of random services and backends of IPv${family} are recognised, whatever their names`,
		async t => {
			const name = freshName(t);
			const plane = await open(t, {name});
			const seeded = new Seeded(1611);
			const pairs = randomPairs(seeded, family);
			serve(plane, pairs.map(asService));
			const through = send(t, name);
			for (const pair of pairs) assertServed(t, through, pair, CLIENT[family]);
			t.is(plane.countFlows().byBackend.size, SERVICES);
			for (let stranger = 0; stranger < SERVICES; stranger++) {
				t.is(through(frame(CLIENT[family], randomEndpoint(seeded, family), 'S')).retval, XDP.pass);
			}
		},
	);
