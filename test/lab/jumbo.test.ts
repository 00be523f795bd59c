/** Jumbo frames: native XDP has them in several buffers, and they go through the program like others. */
import {createHash, randomBytes} from 'node:crypto';
import {readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import type {ExecutionContext} from 'ava';
import {inside} from '../../lab/namespace.js';
import {run} from '../../lab/run.js';
import {externalVip} from '../../lab/topology.js';
import {waitFor} from '../../lab/wait.js';
import {reference, withoutBackend} from './jobs.js';
import {labOfFile, startPrimary, test} from './lab-test.js';
import {service} from './observe.js';

const MTU = 9000;
const BYTES = 16 * 2 ** 20;
/** A packet of this size is in two buffers at least: the first one is a page, and has more than the packet in it. */
const SEVERAL_BUFFERS = 4096;
const LIMIT_S = 60;

const lab = labOfFile({configs: {lb1: withoutBackend(reference.primary, '10.0.0.71')}, mtu: MTU}, async built => {
	await startPrimary(built);
	const isReachable = async () => (await service(built.lb1)).backends.some(({nextHop}) => nextHop !== null);
	await waitFor('the backend is reachable', isReachable);
});

/** curl to the virtual server as one of the clients. */
function curl(path: string, ...options: string[]): Promise<string> {
	const argv = ['curl', '-sS', '--fail', '--max-time', String(LIMIT_S), '--interface', lab().client.freshAddress()];
	return run([...inside(lab().namespace('client')), ...argv, ...options, `http://${externalVip}${path}`]);
}

function digest(file: string): string {
	return createHash('sha256').update(readFileSync(file)).digest('hex');
}

test('the program is in the drivers, in spite of the MTU', async t => {
	for (const device of ['eth0', 'eth1']) {
		const [link] = JSON.parse(await lab().run('lb1', 'ip', '-json', 'link', 'show', device));
		t.is(link.mtu, MTU);
		t.is(link.xdp?.mode, 1, `${device}: native (XDP_ATTACHED_DRV)`);
	}
});

/** That a body has gone through the program in several buffers a frame. */
function assertJumbo(t: ExecutionContext, bytes: number, packets: number): void {
	t.true(bytes > BYTES, `${bytes} bytes counted, with their headers`);
	t.true(bytes / packets > SEVERAL_BUFFERS, 'as jumbo frames');
}

test('a download in jumbo frames arrives as it was sent, through the program', async t => {
	const [sent, received] = [join(lab().web2.directory, 'big'), join(lab().directory, 'received')];
	writeFileSync(sent, randomBytes(BYTES));
	const before = await service(lab().lb1);
	await curl('/big', '--output', received);
	t.is(digest(received), digest(sent));
	const after = await service(lab().lb1);
	assertJumbo(t, after.bytesOut - before.bytesOut, after.packetsOut - before.packetsOut);
});

test('and so does an upload', async t => {
	const [sent, received] = [join(lab().directory, 'sent'), join(lab().web2.directory, 'put/received')];
	writeFileSync(sent, randomBytes(BYTES));
	const before = await service(lab().lb1);
	await curl('/put/received', '--upload-file', sent);
	t.is(digest(received), digest(sent));
	const after = await service(lab().lb1);
	assertJumbo(t, after.bytesIn - before.bytesIn, after.packetsIn - before.packetsIn);
});

test('not one packet was dropped on the way', async t => {
	t.deepEqual(await lab().lb1.lbctl('drops'), []);
});
