/** The reference job with signed adverts: they are on the wire, keys are changed under the running pair, and mistakes are told. */
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import anyTest from 'ava';
import type {HeldConnection} from '../../lab/client.js';
import {Pings} from '../../lab/pings.js';
import {externalVip} from '../../lab/topology.js';
import {waitFor} from '../../lab/wait.js';
import {inVersion3, reference} from './jobs.js';
import {labOfFile, startPrimary, test} from './lab-test.js';
import {daemonOf, external, lbctl, onlyMaster, sharing} from './observe.js';

const SECRETS = ['5a', 'c3', 'ff'].map(digits => digits.repeat(32));
const directory = mkdtempSync(join(tmpdir(), 'lbd-keys-'));
const KEYS = SECRETS.map((secret, index) => {
	const file = join(directory, `key-${index + 1}`);
	writeFileSync(file, `hex:${secret}\n`, {mode: 0o600});
	return `file:${file}`;
});
anyTest.after.always(() => rmSync(directory, {recursive: true}));

/** Short, as most of what is awaited here is that adverts come, or do not. */
const ADVERT_S = 0.25;

/** The file of a balancer with other rules than its passwords; '' for none. */
function signed(balancer: 'primary' | 'backup', rules: string): string {
	const block = rules === '' ? '' : `auth_hmac {\n${rules}\n}`;
	return inVersion3(reference[balancer], ADVERT_S).replaceAll('version 3', `$&\n${block}`);
}

const OLD = `key 1 ${KEYS[0]}\nactive_key 1`;
const lab = labOfFile({configs: {lb1: signed('primary', OLD), lb2: signed('backup', OLD)}}, async built => {
	await Promise.all([startPrimary(built), built.lb2.start()]);
	await alone('lb1');
});

/** Resolves when one of the two has the addresses, and the other one none. */
async function alone(name: 'lb1' | 'lb2'): Promise<void> {
	const other = name === 'lb1' ? lab().lb2 : lab().lb1;
	await onlyMaster(lab()[name], other);
}

function seen(): string {
	return `${lab().lb1.log()}\n${lab().lb2.log()}`;
}

/** A connection that is open across tests. */
let held: HeldConnection | null = null;

async function reload(name: 'lb1' | 'lb2', rules: string): Promise<void> {
	lab()[name].configure(signed(name === 'lb1' ? 'primary' : 'backup', rules));
	const {applied, summary} = await daemonOf(lab()[name]).call('reload', null);
	if (!applied) throw new Error(summary);
}

/** The reasons for which a balancer has refused adverts for its first instance since its start. */
async function refusals(name: 'lb1' | 'lb2'): Promise<string[]> {
	const page = await lab().run(name, 'curl', '-s', 'http://127.0.0.1:9633/metrics');
	const lines = page.matchAll(/adverts_refused_total\{instance="external",reason="([^"]*)"\} [1-9]/g);
	return Array.from(lines, ([, reason = '']) => reason);
}

/** Both believe in two masters, each for a reason; null: the other one is believed. */
async function estranged(...reasons: readonly [lb1: string | null, lb2: string | null]): Promise<void> {
	const look = async () => {
		const told = await Promise.all([external(lab().lb1), external(lab().lb2)]);
		return told.every((report, index) => report?.rival?.refused === reasons[index]);
	};
	await waitFor(`two masters, ${reasons.join(' and ')}`, look, {seen});
}

test('an advert has 28 bytes behind it, which say key and time', async t => {
	const wire = await lab().capture('client', 'eth0', 'vrrp and src host 192.168.1.10');
	const {text} = await wire.frame(/vrid 91/);
	await wire.close();
	// Those of the IP header and of version 3 before them, with one address.
	t.regex(text, new RegExp(`length ${14 + 20 + 12 + 28}: .* VRRPv3`));
});

test('the pair shares connections by its internal network, of which its files say nothing: VRRP has a secret', async t => {
	const {client, lb1, lb2} = lab();
	const areInSync = async () => {
		const found = await Promise.all([sharing(lb1), sharing(lb2)]);
		return found.every(report => report?.state === 'in-sync');
	};
	await waitFor('both are in sync', areInSync, {seen});
	t.like(await sharing(lb2), {interface: 'eth1', keyFrom: 'vrrp', refusals: {}});
	held = await client.hold();
	const isKnown = async () => JSON.stringify(await lb2.lbctl('flows')).includes(`"${held?.from}:`);
	await waitFor('the backup knows a connection of the master', isKnown, {seen});
});

test('a key is changed one balancer and one step at a time, and nobody notices', async t => {
	const before = await Promise.all([external(lab().lb1), external(lab().lb2)]);
	const pings = await Pings.start(lab().namespace('client'), externalVip);
	const both = `key 1 ${KEYS[0]}\nkey 2 ${KEYS[1]}`;
	for (const rules of [`${both}\nactive_key 1`, `${both}\nactive_key 2`, `key 2 ${KEYS[1]}\nactive_key 2`]) {
		await reload('lb2', rules);
		await reload('lb1', rules);
		const {advertsReceived = 0} = (await external(lab().lb2)) ?? {};
		const look = async () => ((await external(lab().lb2))?.advertsReceived ?? 0) > advertsReceived;
		await waitFor('lb2 believes the next advert', look, {seen});
	}
	const {sent, lost} = await pings.stop();
	t.log(`${lost} of ${sent} pings lost`);
	t.is(lost, 0);
	const after = await Promise.all([external(lab().lb1), external(lab().lb2)]);
	t.deepEqual(
		after.map(report => [report?.state, report?.transitions]),
		before.map(report => [report?.state, report?.transitions]),
	);
	t.deepEqual([await refusals('lb1'), await refusals('lb2')], [[], []]);
});

test('the pair hands over, and back; a connection goes on', async t => {
	await lab().lb1.stop();
	await alone('lb2');
	t.is((await held?.ask())?.body, held?.first.body, 'at the other one');
	await lab().lb1.start();
	await alone('lb1');
	t.is((await held?.ask())?.body, held?.first.body, 'and back');
	await held?.close();
	t.deepEqual([await refusals('lb1'), await refusals('lb2')], [[], []]);
});

for (const [title, rules, ...reasons] of [
	['another key of the same id', `key 2 ${KEYS[2]}\nactive_key 2`, 'bad-hmac', 'bad-hmac'],
	['no auth_hmac at all', '', 'missing-trailer', 'unexpected-trailer'],
] as const) {
	test(`${title} makes two routers of the pair, which say so; put right, it is a pair again`, async t => {
		await reload('lb2', rules);
		await estranged(reasons[0], reasons[1]);
		await reload('lb2', `key 2 ${KEYS[1]}\nactive_key 2`);
		await alone('lb1');
		t.is((await external(lab().lb1))?.state, 'master');
	});
}

test('a master that is permissive believes one without trailers, which does not believe it', async t => {
	await reload('lb1', `key 2 ${KEYS[1]}\nactive_key 2\nmode permissive`);
	await reload('lb2', '');
	await estranged(null, 'unexpected-trailer');
	t.is((await external(lab().lb1))?.state, 'master');
	await reload('lb1', `key 2 ${KEYS[1]}\nactive_key 2\nmode receive-only`);
	await alone('lb1');
});

test('no key is in a log, a status or a plan', async t => {
	lab().lb1.configure(signed('primary', `key 2 ${KEYS[2]}\nactive_key 2`));
	const file = join(directory, 'lb1.conf');
	writeFileSync(file, signed('primary', `key 2 hex:${SECRETS[2]}\nactive_key 2`));
	const outputs = await Promise.all([
		lbctl(lab().lb1, 'plan', file),
		lbctl(lab().lb1, '--json', 'plan', file),
		lbctl(lab().lb1, '--json', 'status'),
		lbctl(lab().lb1, '--json', 'vrrp'),
		lbctl(lab().lb1, 'check', file),
	]);
	t.regex(outputs[0]?.stdout ?? '', /auth_hmac key id 2 \(secret\)/);
	const said = JSON.stringify([
		outputs,
		lab().lb1.log(Number.POSITIVE_INFINITY),
		lab().lb2.log(Number.POSITIVE_INFINITY),
	]);
	for (const secret of SECRETS) t.false(said.includes(secret));
	t.true((await refusals('lb1')).includes('bad-hmac'));
});
