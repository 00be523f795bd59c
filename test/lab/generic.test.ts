/**
 * A NIC whose driver has no native XDP: the program runs in the kernel's generic receive path, slower, and says so. Here it
 * is a macvlan over the external NIC.
 */
import {randomBytes} from 'node:crypto';
import {readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import type {Lab} from '../../lab/lab.js';
import {externalVip, externalVip6, nodes} from '../../lab/topology.js';
import {PATIENCE_MS, waitFor} from '../../lab/wait.js';
import type {BackendRow} from '../../src/cli/commands/backends.js';
import {endpointName, FAMILIES} from '../../src/net/address.js';
import {bothFamilies, reference} from './jobs.js';
import {labOfFile, startPrimary, test} from './lab-test.js';
import {lbctl, sentences} from './observe.js';

const BYTES = 2 ** 20;
const LIMIT_S = 20;
const VIPS = {4: externalVip, 6: externalVip6} as const;

const lab = labOfFile({configs: {lb1: bothFamilies(reference.primary)}}, async built => {
	await putMacvlanInPlace(built);
	await startPrimary(built);
	const reachable = async () =>
		((await built.lb1.lbctl('backends')) as BackendRow[]).every(({nextHop}) => nextHop !== null);
	await waitFor('the backends are reachable', reachable, {timeoutMs: PATIENCE_MS});
});

/** The external NIC gets another name, and a macvlan has its name, its addresses and its routes. */
async function putMacvlanInPlace(built: Lab): Promise<void> {
	const [external] = nodes.lb1.nics;
	if (external === undefined) throw new Error('lb1 has no external NIC');
	const ip = (...argv: string[]) => built.run('lb1', 'ip', ...argv);
	await ip('link', 'set', 'eth0', 'down');
	await ip('link', 'set', 'eth0', 'name', 'wire');
	// What this one merges would be too big for a program that runs above it.
	await built.run('lb1', 'ethtool', '-K', 'wire', 'gro', 'off');
	await ip('address', 'flush', 'dev', 'wire');
	await ip('link', 'set', 'wire', 'up');
	await ip('link', 'add', 'eth0', 'link', 'wire', 'type', 'macvlan', 'mode', 'private');
	await built.run('lb1', 'ethtool', '-K', 'eth0', 'tx', 'off', 'gro', 'off');
	await ip('link', 'set', 'eth0', 'up');
	await ip('address', 'add', `${external.address}/24`, 'dev', 'eth0');
	await ip('address', 'add', `${external.address6}/64`, 'dev', 'eth0', 'nodad');
	for (const gateway of nodes.lb1.gateways ?? []) await ip('route', 'add', 'default', 'via', gateway, 'dev', 'eth0');
}

for (const family of FAMILIES) {
	test(`IPv${family}: a body arrives whole through a NIC without native XDP`, async t => {
		const body = randomBytes(BYTES);
		for (const {directory} of [lab().web1, lab().web2]) writeFileSync(join(directory, 'big'), body);
		const url = `http://${endpointName(VIPS[family], 80, 'tcp')}/big`;
		const file = join(lab().directory, `received-${family}`);
		const from = lab().client.freshAddress(VIPS[family]);
		const limits = ['--fail', '-g', '--max-time', String(LIMIT_S)];
		await lab().run('client', 'curl', '-sS', ...limits, '--interface', from, '--output', file, url);
		t.true(readFileSync(file).equals(body));
	});
}

test('the log, lbctl and the metrics say it, and that the other NIC follows', async t => {
	const warnings = sentences(lab().lb1).filter(line => line.includes('generic mode'));
	t.deepEqual(warnings, [
		'no native XDP on this NIC: attached in generic mode, which is slower',
		'this NIC has the program in generic mode, where no driver can redirect to: all others get it so, too',
	]);
	t.regex((await lbctl(lab().lb1, 'status')).stdout, /^ *NICs: eth0 \(generic: slow\), eth1 \(generic: slow\)$/m);
	const page = await lab().run('lb1', 'curl', '-s', 'http://127.0.0.1:9633/metrics');
	t.deepEqual(page.match(/^lbd_nic_native.*$/gm), ['lbd_nic_native{nic="eth0"} 0', 'lbd_nic_native{nic="eth1"} 0']);
});

test('not one packet was dropped on the way', async t => {
	t.deepEqual(await lab().lb1.lbctl('drops'), []);
});
