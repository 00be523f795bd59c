/**
 * The reference job while one half of the pair still is Debian's keepalived: people move over one box at a time. Each test has
 * a pair of its own.
 */
import type {Lab, LabOptions} from '../../lab/lab.js';
import {externalVip, internalVip, macOf, type NodeName, nodes, vips} from '../../lab/topology.js';
import {waitFor} from '../../lab/wait.js';
import {reference, variant} from './jobs.js';
import {answers, inLab, inTurn, sideBySide as test} from './lab-test.js';

const WRONG_PASSWORD = {lb1: reference.primary, lb2: reference.backup.replaceAll('auth_pass 1215', 'auth_pass 5121')};

const withHeaders = (text: string): string => variant(text, {auth_type: 'AH'});
const HEADERS = {lb1: withHeaders(reference.primary), lb2: withHeaders(reference.backup)};
const OTHER_HEADERS = {...HEADERS, lb2: withHeaders(WRONG_PASSWORD.lb2)};

/** The reference job, unless `options` say otherwise, its primary master. */
function inPair(options: LabOptions, act: (lab: Lab) => Promise<void>): Promise<void> {
	const configs = {lb1: reference.primary, lb2: reference.backup};
	return inLab({configs, ...options}, lab => mastery(lab, 'lb1'), act);
}

async function mastery(lab: Lab, name: 'lb1' | 'lb2'): Promise<void> {
	const seen = () => `${lab.lb1.log()}\n${lab.lb2.log()}`;
	await waitFor(`${name} is master`, () => lab[name].isMaster(), {seen});
}

async function loses(lab: Lab, name: 'lb1' | 'lb2'): Promise<void> {
	await waitFor(`${name} is not master`, async () => (await lab[name].vips()).length === 0);
}

/** The page of the first balancer. */
function metrics(lab: Lab): Promise<string> {
	return lab.run('lb1', 'curl', '-s', 'http://127.0.0.1:9633/metrics');
}

/** Who talks to a virtual address, and the machine's own address there. */
const NEIGHBOURS = [
	{node: 'client', vip: externalVip, nic: 0},
	{node: 'web1', vip: internalVip, nic: 1},
	{node: 'web2', vip: internalVip, nic: 1},
] as const satisfies readonly {node: NodeName; vip: string; nic: number}[];

/** Resolves when all who ask for a virtual address know of it where it is now, which keepalived left behind as well. */
async function known(lab: Lab, name: 'lb1' | 'lb2'): Promise<void> {
	for (const {node, vip, nic} of NEIGHBOURS) {
		const mac = macOf(nodes[name].nics[nic]?.address ?? '');
		const look = async () => (await lab.run(node, 'ip', 'neighbour', 'show', vip)).includes(mac);
		await waitFor(`${node} knows ${vip} at ${mac}`, look);
	}
}

test('lbd is master, keepalived its backup: takes over on priority 0, and gives way again', async t => {
	await inPair({programs: {lb2: 'keepalived'}}, async lab => {
		// It was master if it was quicker to start.
		await loses(lab, 'lb2');
		t.deepEqual(answers(await lab.client.sequence(4)), inTurn('web1', 4));
		await lab.lb1.stop();
		await mastery(lab, 'lb2');
		await lab.lb1.start();
		await mastery(lab, 'lb1');
		await loses(lab, 'lb2');
		await known(lab, 'lb1');
		t.deepEqual(answers(await lab.client.sequence(4)), inTurn('web1', 4), 'the turn goes on over the restart');
	});
});

test('keepalived is master, lbd its backup: takes over when it is killed, and serves', async t => {
	await inPair({programs: {lb1: 'keepalived'}}, async lab => {
		// It was master if it was quicker to start.
		await loses(lab, 'lb2');
		// Whoever asks for an address that a killed keepalived has left may hear it; whoever knows it hears of its successor.
		for (const {node, vip} of NEIGHBOURS) await lab.run(node, 'ping', '-nc', '1', '-W', '10', vip);
		await known(lab, 'lb1');
		await lab.lb1.kill('SIGKILL');
		await mastery(lab, 'lb2');
		await known(lab, 'lb2');
		t.deepEqual(answers(await lab.client.sequence(6)), inTurn('web1', 6));
		await lab.lb1.start();
		await mastery(lab, 'lb1');
		await loses(lab, 'lb2');
	});
});

test('auth_type AH: each believes the other as a master, before and after a restart', async t => {
	await inPair({programs: {lb2: 'keepalived'}, configs: HEADERS}, async lab => {
		// It was master if it was quicker to start.
		await loses(lab, 'lb2');
		await lab.lb1.stop();
		await mastery(lab, 'lb2');
		await lab.lb1.start();
		await mastery(lab, 'lb1');
		await loses(lab, 'lb2');
		t.notRegex(await metrics(lab), /adverts_refused_total\{[^}]*reason="(?:bad-|replayed)[^}]*\} [1-9]/);
		t.false(lab.lb1.log(Number.POSITIVE_INFINITY).includes('1215'), 'the password is not in the log');
	});
});

for (const [type, configs] of [
	['PASS', WRONG_PASSWORD],
	['AH', OTHER_HEADERS],
] as const) {
	test(`${type}, another password on the same VRID is another router: each of the two goes its own way`, async t => {
		await inPair({programs: {lb2: 'keepalived'}, configs}, async lab => {
			await mastery(lab, 'lb2');
			t.deepEqual((await lab.lb1.vips()).toSorted(), [...vips].toSorted());
			t.deepEqual((await lab.lb2.vips()).toSorted(), [...vips].toSorted());
			const refused = /lbd_vrrp_adverts_refused_total\{instance="external",reason="bad-password"\} [1-9]/;
			await waitFor('lbd has refused it', async () => refused.test(await metrics(lab)));
		});
	});
}
