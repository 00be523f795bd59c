/** Jumbo frames: native XDP has them in several buffers, and they go through the program like others. */
import {createHash, randomBytes} from 'node:crypto';
import {readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
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
const LIMIT_S = 20;

const lab = labOfFile({configs: {lb1: withoutBackend(reference.primary, '10.0.0.71')}, mtu: MTU}, async built => {
	await startPrimary(built);
	const isUp = async () => (await service(built.lb1)).backends[0]?.nextHop !== null;
	await waitFor('the backend is up and reachable', isUp, {timeoutMs: 5000});
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

test('a download in jumbo frames arrives as it was sent, through the program', async t => {
	const [sent, received] = [join(lab().web2.directory, 'big'), join(lab().directory, 'received')];
	writeFileSync(sent, randomBytes(BYTES));
	const before = await service(lab().lb1);
	await curl('/big', '--output', received);
	t.is(digest(received), digest(sent));
	const after = await service(lab().lb1);
	const bytes = after.bytesOut - before.bytesOut;
	t.true(bytes > BYTES, `${bytes} bytes counted, with their headers`);
	t.true(bytes / (after.packetsOut - before.packetsOut) > SEVERAL_BUFFERS, 'as jumbo frames');
});

test('and so does an upload', async t => {
	const [sent, received] = [join(lab().directory, 'sent'), join(lab().web2.directory, 'put/received')];
	writeFileSync(sent, randomBytes(BYTES));
	const before = await service(lab().lb1);
	await curl('/put/received', '--upload-file', sent);
	t.is(digest(received), digest(sent));
	const after = await service(lab().lb1);
	const bytes = after.bytesIn - before.bytesIn;
	t.true(bytes > BYTES, `${bytes} bytes counted, with their headers`);
	t.true(bytes / (after.packetsIn - before.packetsIn) > SEVERAL_BUFFERS, 'as jumbo frames');
});

test('not one packet was dropped on the way', async t => {
	t.deepEqual(await lab().lb1.lbctl('drops'), []);
});
