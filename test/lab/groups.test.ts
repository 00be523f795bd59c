/** A `virtual_server_group`: each of its addresses is a service, and its real servers are checked once for all. */
import {externalVip} from '../../lab/topology.js';
import {waitFor} from '../../lab/wait.js';
import type {BackendRow} from '../../src/cli/commands/backends.js';
import {inVersion3, reference, variant} from './jobs.js';
import {answers, inTurn, labOfFile, only, startPrimary, test} from './lab-test.js';
import {allServe, backendName, sentences} from './observe.js';

const SECOND_VIP = '192.168.1.2';
const SERVICES = [`${externalVip}:80`, `${SECOND_VIP}:80`, `${externalVip}:8080`] as const;

const job = variant(inVersion3(reference.primary, 0.1), {delay_loop: 1, connect_timeout: 1})
	.replace(`${externalVip}/24`, `${externalVip}/24\n${SECOND_VIP}/24`)
	.replace(`virtual_server ${externalVip} 80`, 'virtual_server group WEB')
	.concat(`virtual_server_group WEB {\n${externalVip}-2 80\n${externalVip} 8080\n}\n`);

const lab = labOfFile({configs: {lb1: job}}, async built => {
	await startPrimary(built);
	await allServe(built.lb1);
});

async function statesOf(server: string): Promise<Record<string, string>> {
	const rows = (await lab().lb1.lbctl('backends')) as BackendRow[];
	const own = rows.filter(({backend}) => backend === backendName(server));
	return Object.fromEntries(own.map(({service, state}) => [service, state]));
}

function all(state: string): Record<string, string> {
	return Object.fromEntries(SERVICES.map(service => [service, state]));
}

test('each address and port has a turn of its own', async t => {
	for (const service of SERVICES) {
		const [to = '', port] = service.split(':');
		t.deepEqual(answers(await lab().client.sequence(6, {to, port: Number(port)})), inTurn('web1', 6), service);
	}
});

test('a failed server leaves all services of the group at once, by one check', async t => {
	const {client, lb1, web1} = lab();
	t.deepEqual(await statesOf('web1'), all('up'));
	await web1.stop();
	await waitFor('web1 is out', async () => (await statesOf('web1'))[SERVICES[0]] === 'down');
	t.deepEqual(await statesOf('web1'), all('down'));
	t.deepEqual(answers(await client.sequence(4, {to: SECOND_VIP})), only('web2', 4));
	const removals = sentences(lb1).filter(sentence => sentence.startsWith('Removing service'));
	t.deepEqual(removals, ['Removing service [10.0.0.71]:tcp:80 from VS [WEB]:0']);
});
