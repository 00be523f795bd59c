/** What the plan writes by hashes of its own must be what the program looks for. */
import type {ExecutionContext} from 'ava';
import {formatAddress} from '../../src/net/address.js';
import {packetTest, XDP} from '../packets/balancer.js';
import {ETHERNET, tcpFrame, transportOffset} from '../packets/frame.js';
import {backend, Seeded, service} from '../plan/random-job.js';
import {freshName, LOOPBACK_MAC, open, send, serve} from './plane.js';

const SERVICES = 200;
const CLIENT = '172.16.0.1:40000';

interface Pair {
	readonly service: string;
	readonly backend: string;
}

/** Any unicast address and port. */
function randomEndpoint(seeded: Seeded): string {
	const address = [1 + seeded.below(126), seeded.below(256), seeded.below(256), seeded.below(256)].join('.');
	return `${address}:${1 + seeded.below(65_535)}`;
}

function randomPairs(seeded: Seeded): Pair[] {
	const endpoints = new Set<string>();
	while (endpoints.size < 2 * SERVICES) endpoints.add(randomEndpoint(seeded));
	const list = [...endpoints];
	return list.slice(0, SERVICES).map((name, index) => ({service: name, backend: list[SERVICES + index] ?? ''}));
}

function asService(pair: Pair) {
	const [address = '', port] = pair.service.split(':');
	const [backendAddress = '', backendPort] = pair.backend.split(':');
	const only = backend(backendAddress, {name: pair.backend, port: Number(backendPort)});
	return service(address, [only], {name: pair.service, port: Number(port)});
}

function frame(from: string, to: string, flags: string): Uint8Array {
	return tcpFrame({toMac: LOOPBACK_MAC, fromMac: '02:00:00:00:00:99', from, to, flags});
}

/** Source and destination of an IPv4 TCP frame. */
function ends(frame: Uint8Array): [string, string] {
	const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
	const tcp = transportOffset(frame);
	const address = (offset: number): string => formatAddress(frame.subarray(ETHERNET + offset, ETHERNET + offset + 4));
	return [`${address(12)}:${view.getUint16(tcp)}`, `${address(16)}:${view.getUint16(tcp + 2)}`];
}

function assertServed(t: ExecutionContext, through: ReturnType<typeof send>, pair: Pair): void {
	const request = through(frame(CLIENT, pair.service, 'S'));
	t.is(request.retval, XDP.tx, `${pair.service} is in the filter`);
	t.deepEqual(ends(request.data), [CLIENT, pair.backend]);
	const reply = through(frame(pair.backend, CLIENT, 'SA'));
	t.is(reply.retval, XDP.tx, `${pair.backend} is in the filter and in its bucket`);
	t.deepEqual(ends(reply.data), [pair.service, CLIENT]);
}

packetTest('hundreds of random services and backends are recognised, whatever their addresses and ports', async t => {
	const name = freshName(t);
	const plane = await open(t, {name});
	const seeded = new Seeded(1611);
	const pairs = randomPairs(seeded);
	serve(plane, pairs.map(asService));
	const through = send(t, name);
	for (const pair of pairs) assertServed(t, through, pair);
	t.is(plane.countFlows().byBackend.size, SERVICES);
	for (let stranger = 0; stranger < SERVICES; stranger++) {
		t.is(through(frame(CLIENT, randomEndpoint(seeded), 'S')).retval, XDP.pass);
	}
});
