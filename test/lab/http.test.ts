/** HTTP as it is used: large bodies both ways, many requests on a connection, a server that restarts in the middle of it. */
import {createHash, randomBytes} from 'node:crypto';
import {existsSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {externalVip, type WebServerName} from '../../lab/topology.js';
import {monotonicMs, waitFor} from '../../lab/wait.js';
import {SLOW_BYTES_PER_SECOND} from '../../lab/web-server.js';
import type {FlowView} from '../../src/xdp/view.js';
import {inVersion3, reference, variant} from './jobs.js';
import {answers, inTurn, labOfFile, only, other, startPrimary, test} from './lab-test.js';
import {allServe, backend, backendName, type Finished, finish, isServing} from './observe.js';

const BODY_BYTES = 32 * 2 ** 20;
const REQUESTS = 2000;
/** What a client with a broken connection may take to hear of it; without a word it would wait for LIMIT_S. */
const BROKEN_MS = 5000;
/** Long enough to see a server go and return meanwhile. */
const SLOW_S = 12;
const LIMIT_S = 60;

const WEB_SERVERS: readonly WebServerName[] = ['web1', 'web2'];

const fast = variant(inVersion3(reference.primary, 0.1), {delay_loop: 1, connect_timeout: 1});

const lab = labOfFile({configs: {lb1: fast}}, async built => {
	await startPrimary(built);
	await allServe(built.lb1);
});

function becomes(name: WebServerName, state: 'up' | 'down'): Promise<true> {
	const look = async () => {
		const row = await backend(lab().lb1, name);
		return state === 'up' ? isServing(row) : row.state === 'down';
	};
	return waitFor(`${name} is ${state}`, look, {seen: () => lab().lb1.log()});
}

/** curl as one of the clients, to whatever end; `path` is below the virtual server. */
function curl(from: string, path: string, ...options: string[]): Promise<Finished> {
	const argv = ['curl', '-sS', '--fail', '--max-time', String(LIMIT_S), '--interface', from, ...options];
	return finish({namespace: lab().namespace('client')}, [...argv, `http://${externalVip}${path}`]);
}

function digest(bytes: Uint8Array): string {
	return createHash('sha256').update(bytes).digest('hex');
}

/** Where a client's files are. */
function clientFile(name: string): string {
	return join(lab().directory, name);
}

/** Another body for each server. */
function serve(bytes: number): Record<WebServerName, Buffer> {
	const bodies = {web1: randomBytes(bytes), web2: randomBytes(bytes)};
	for (const name of WEB_SERVERS) writeFileSync(join(lab()[name].directory, 'big'), bodies[name]);
	return bodies;
}

/** What was sent to `/put/NAME`, from the server that has it. */
function kept(name: string): Buffer {
	const files = WEB_SERVERS.map(server => join(lab()[server].directory, 'put', name));
	const found = files.filter(file => existsSync(file));
	if (found[0] === undefined || found.length > 1) throw new Error(`${name} is on ${found.length} servers`);
	return readFileSync(found[0]);
}

test('large bodies of several clients at once arrive as they were sent, both ways', async t => {
	const bodies = serve(BODY_BYTES);
	const upload = randomBytes(BODY_BYTES);
	writeFileSync(clientFile('upload'), upload);
	const clients = ['a', 'b'].map(name => ({name, from: lab().client.freshAddress()}));
	const ends = await Promise.all(
		clients.flatMap(({name, from}) => [
			curl(from, '/big', '--output', clientFile(name)),
			curl(lab().client.freshAddress(), `/put/${name}`, '--upload-file', clientFile('upload')),
		]),
	);
	t.deepEqual(
		ends.map(({code, stderr}) => ({code, stderr})),
		ends.map(() => ({code: 0, stderr: ''})),
	);
	const sent = WEB_SERVERS.map(name => digest(bodies[name]));
	for (const {name} of clients) {
		t.true(sent.includes(digest(readFileSync(clientFile(name)))), `${name} has what a server sent`);
		t.is(digest(kept(name)), digest(upload));
	}
});

test(`${REQUESTS} requests on one connection have one server, whatever else is dealt`, async t => {
	const from = lab().client.freshAddress();
	const [many, others] = await Promise.all([
		curl(from, `/?[1-${REQUESTS}]`, '--write-out', '%{num_connects}\n'),
		lab().client.burst(200),
	]);
	t.is(many.code, 0, many.stderr);
	const lines = many.stdout.trimEnd().split('\n');
	const [server = '', opened] = lines;
	t.is(opened, '1');
	t.deepEqual(
		lines.filter((_, n) => n % 2 === 0),
		only(server, REQUESTS),
	);
	t.true(
		lines.every((line, n) => n < 2 || n % 2 === 0 || line === '0'),
		'no other connection was opened',
	);
	const dealt = [server, ...answers(others)];
	const [web1 = 0, web2 = 0] = WEB_SERVERS.map(name => dealt.filter(answer => answer === name).length);
	t.is(web1 + web2, 201);
	t.is(Math.abs(web1 - web2), 1, 'it is one of the connections that are dealt in turn');
});

/** A transfer that takes SLOW_S, and which server it is with. */
interface Transfer {
	readonly server: string;
	readonly end: Promise<Finished & {readonly atMs: number}>;
}

async function transfer(path: string, ...options: string[]): Promise<Transfer> {
	const from = lab().client.freshAddress();
	const end = curl(from, path, ...options).then(finished => ({...finished, atMs: monotonicMs()}));
	const look = async () => ((await lab().lb1.lbctl('flows', '--client', from)) as FlowView[])[0]?.backend;
	const found = await waitFor(`${path} is under way`, look);
	return {server: WEB_SERVERS.find(name => backendName(name) === found) ?? found, end};
}

test('a server that restarts ends its own transfers at once, no others, and gets its turn again', async t => {
	const bytes = SLOW_S * SLOW_BYTES_PER_SECOND;
	const bodies = serve(bytes);
	const upload = randomBytes(bytes);
	writeFileSync(clientFile('slow-upload'), upload);
	const rate = ['--limit-rate', String(SLOW_BYTES_PER_SECOND), '--upload-file', clientFile('slow-upload')];
	const downloads = [
		await transfer('/slow', '--output', clientFile('down-a')),
		await transfer('/slow', '--output', clientFile('down-b')),
	];
	const uploads = [await transfer('/put/up-a', ...rate), await transfer('/put/up-b', ...rate)];
	const transfers = [...downloads, ...uploads];
	const [stopped = '', left = ''] = downloads.map(({server}) => server);
	t.deepEqual([stopped, left].toSorted(), ['web1', 'web2']);
	t.deepEqual(uploads.map(({server}) => server).toSorted(), ['web1', 'web2']);

	const stoppedMs = monotonicMs();
	await lab()[stopped as WebServerName].stop();
	for (const {end} of transfers.filter(({server}) => server === stopped)) {
		const {code, stderr, atMs} = await end;
		t.not(code, 0);
		t.regex(stderr, /bytes remaining|reset by peer|Send failure|Recv failure/);
		t.true(atMs - stoppedMs < BROKEN_MS, `${atMs - stoppedMs} ms after the end of the server`);
	}
	await becomes(stopped as WebServerName, 'down');
	t.deepEqual(answers(await lab().client.sequence(4)), only(left, 4));
	await lab()[stopped as WebServerName].start();
	await becomes(stopped as WebServerName, 'up');
	const [first = '', ...more] = answers(await lab().client.sequence(4));
	t.deepEqual([first, ...more], inTurn(first, 4));

	t.is(left, other(stopped));
	for (const {end} of transfers.filter(({server}) => server === left)) t.is((await end).code, 0);
	t.is(digest(readFileSync(clientFile('down-b'))), digest(bodies[left as WebServerName]));
	t.is(digest(kept(uploads[0]?.server === left ? 'up-a' : 'up-b')), digest(upload));
});
