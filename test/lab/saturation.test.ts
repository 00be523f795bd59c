/** Everything happens to lbd at once, and VRRP beside it goes on in time. */

import {externalVip} from '../../lab/topology.js';
import {waitFor} from '../../lab/wait.js';
import {ExitCode} from '../../src/errors.js';
import {Limits} from '../../src/xdp/layout.gen.js';
import {SharingPlane} from '../../src/xdp/sharing.js';
import {reference} from './jobs.js';
import {labOfFile, startPrimary, test} from './lab-test.js';
import {finish, lbctl, program, sentences} from './observe.js';
import {isAlone, unnoticed} from './unnoticed.js';

/** Room for a million flows, and for some more, as the last places of a table are hard to find. */
const FLOW_SLOTS = 2_097_152;
const primary = `${reference.primary}\nlbd {\n\tvrrp_grace 30\n\tflows ${FLOW_SLOTS}\n}\n`;

const lab = labOfFile({configs: {lb1: primary, lb2: reference.backup}}, async built => {
	await Promise.all([startPrimary(built), built.lb2.start()]);
	await isAlone(built);
});

const SERVICES = 1000;
const BACKENDS = 10;

/** A thousand services, each backend checked once a second; a start beside all that takes its time. */
const many = [primary, ...Array.from({length: SERVICES}, (_, n) => manyBackends(10_000 + n))].join('\n');

function manyBackends(port: number): string {
	const check = 'TCP_CHECK {\nconnect_port 80\nconnect_timeout 1\n}';
	const backends = Array.from(
		{length: BACKENDS},
		(_, n) => `real_server 10.0.0.${71 + (n % 2)} ${8000 + n} {\n${check}\n}`,
	);
	return `virtual_server ${externalVip} ${port} {
		delay_loop 1
		protocol TCP
		lb_algo rr
		lb_kind NAT
		${backends.join('\n')}
	}`;
}

const FLOWS = 1_000_000;
const COPIES = Limits.LIMIT_COPIES_MAX;
/** Of a flow's record (struct flow_copy): its bytes, and where the client's address is. */
const RECORD = {bytes: 32, client: 0} as const;
/** Clients of the flows that a test makes up have addresses from here on. */
const FIRST_CLIENT = 0x0b00_0000;

/** Fills lb1's table with copies of a flow that it has, each of a client of its own. */
function fillFlowTable(): void {
	const plane = SharingPlane.open(lab().lb1.daemonName);
	try {
		const records = Buffer.concat(Array(COPIES).fill(oneFlow(plane)));
		for (let n = 0; n < FLOWS; n++) {
			records.writeUInt32BE(FIRST_CLIENT + n, (n % COPIES) * RECORD.bytes + RECORD.client);
			if (n % COPIES === COPIES - 1) plane.takeFlows(4, records, COPIES);
		}
	} finally {
		plane.close();
	}
}

function oneFlow(plane: SharingPlane): Uint8Array {
	const found: Uint8Array[] = [];
	const emit = (words: Uint32Array, at: number) => {
		found.push(new Uint8Array(words.slice(at, at + RECORD.bytes / 4).buffer));
	};
	plane.scanFlows(4, 0, {everything: false, slots: plane.slots(4)}, emit);
	const [flow] = found;
	if (flow === undefined) throw new Error('lb1 has no flow');
	return flow;
}

/** `lbctl flows`, all of them; resolves to how many. */
async function dumpFlows(): Promise<number> {
	const {lb1} = lab();
	const command = [...program('lbctl'), '--name', lb1.daemonName, 'flows', '--limit', '0'].join(' ');
	const {stdout} = await finish(lb1, ['sh', '-c', `${command} | wc -l`]);
	return Number(stdout) - 1;
}

test('10,000 checks, a dump of 1M flows, a reload of 1,000 services, a restart amid all that: adverts keep their time', async t => {
	const {client, lb1} = lab();
	const held = await client.hold();
	fillFlowTable();
	let dumped = 0;
	await unnoticed(t, lab(), async () => {
		lb1.configure(many);
		const dump = dumpFlows();
		t.is((await lbctl(lb1, 'reload')).code, ExitCode.ok);
		await lab().run('lb1', 'curl', '-s', '-o', '/dev/null', 'http://127.0.0.1:9633/metrics');
		await lb1.killAlone();
		const before = sentences(lb1).length;
		await lb1.start();
		await waitFor('lbd is ready', () => sentences(lb1, before).includes('lbd is ready'));
		dumped = await dump;
	});
	t.log(`${dumped} flows in the dump`);
	t.true(dumped > 0.99 * FLOWS);
	t.is((await held.ask()).body, held.first.body);
	await held.close();
});
