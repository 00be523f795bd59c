/**
 * Other versions of the program forward under load, and this one takes over from them: nothing is lost, reset or moved, or
 * nothing is touched. One balancer, alone; its lbd is killed and lbd-vrrp goes on, as operators do it.
 */
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {BpfLink, RawMap} from 'libbpf-ts';
import type {Daemon} from '../../lab/daemon.js';
import type {InstanceReport} from '../../src/control/protocol.js';
import {ExitCode} from '../../src/errors.js';
import {Pins} from '../../src/xdp/pins.js';
import type {FlowView, PersistenceView} from '../../src/xdp/view.js';
import {edited, kept, NEWER} from '../xdp/versions.js';
import {reference} from './jobs.js';
import {labOfFile, startPrimary, test} from './lab-test.js';
import {CONNECTIONS, Load, NO_HARM} from './load.js';
import {finish, program} from './observe.js';
import {otherBuild, startOtherBuild} from './other-build.js';

const lab = labOfFile({configs: {lb1: `${reference.primary}\nlbd {\nvrrp_grace 60\n}\n`}}, startPrimary);

const OTHER_VERSION = fileURLToPath(new URL('./other-version.js', import.meta.url));

/** The program in a directory takes the place of lb1's, whose lbd is gone. */
async function forwardBy(directory: string): Promise<void> {
	await lab().run('lb1', process.execPath, OTHER_VERSION, lab().lb1.daemonName, directory);
}

interface LinkInfo {
	readonly id: number;
	readonly programId: number;
}

function links(): LinkInfo[] {
	return new Pins(lab().lb1.daemonName).links().map(({path}) => {
		const link = BpfLink.openPinned(path);
		const {id, programId} = link.info();
		link.close();
		return {id, programId};
	});
}

function pinnedMap(name: string): RawMap {
	return RawMap.openPinned(new Pins(lab().lb1.daemonName).map(name));
}

/** The kernel's number of a map. */
function idOf(name: string): number {
	const map = pinnedMap(name);
	const {id} = map;
	map.close();
	return id;
}

/** What is as it was after a start, whatever version was there before. */
interface Scene {
	readonly links: readonly LinkInfo[];
	readonly flows: number;
}

function scene(): Scene {
	return {links: links(), flows: idOf('flows')};
}

/** What this version says of the connections that it has taken over. */
async function known(): Promise<{readonly flows: number; readonly clients: number; readonly masters: number}> {
	const {lb1} = lab();
	const flows = (await lb1.lbctl('flows', '--state', 'established', '--limit', '0')) as FlowView[];
	const clients = (await lb1.lbctl('persistence', '--limit', '0')) as PersistenceView[];
	const instances = (await lb1.lbctl('vrrp')) as InstanceReport[];
	return {
		flows: flows.length,
		clients: clients.length,
		masters: instances.filter(({state}) => state === 'master').length,
	};
}

const linkIds = (of: Scene): number[] => of.links.map(({id}) => id);
const programIds = (of: Scene): number[] => of.links.map(({programId}) => programId);

let other: Daemon | null = null;

test('an earlier version, as it was released, is upgraded', async t => {
	const {lb1} = lab();
	await lb1.killAlone();
	await forwardBy(kept('layout5'));
	const load = await Load.begin(lab());
	const before = scene();
	await lb1.start();
	const after = scene();
	t.deepEqual(linkIds(after), linkIds(before), 'the links are never detached');
	t.true(programIds(after).every(id => !programIds(before).includes(id)));
	t.is(after.flows, before.flows, 'the table of flows goes on');
	const {flows, clients, masters} = await known();
	t.true(flows >= CONNECTIONS && clients >= CONNECTIONS, `${flows} connections, ${clients} persistence entries`);
	t.is(masters, 2);
	t.deepEqual(await load.end(), NO_HARM);
});

test('a later version is downgraded: what it alone can hold is refused aloud before anything is touched, the rest goes on', async t => {
	const {lb1, directory} = lab();
	const lbd = otherBuild(directory);
	await lb1.killAlone();
	await forwardBy(edited('newer', NEWER));
	const load = await Load.begin(lab());
	const novelties = pinnedMap('novelties');
	novelties.update(new Uint8Array(4), new Uint8Array(4));
	const before = scene();
	const refused = await finish(lb1, [...program('lbd'), '--name', lb1.daemonName, '-f', lb1.configFile]);
	t.is(refused.code, ExitCode.kernel);
	t.regex(
		refused.stderr,
		/^lbd: open maps: .*novelties: what it holds \(this version has no such map\).*--accept-loss/m,
	);
	t.deepEqual(scene(), before);

	novelties.delete(new Uint8Array(4));
	novelties.close();
	other = await startOtherBuild(lbd, lb1, join(directory, 'lb1.log'));
	const after = scene();
	t.deepEqual(linkIds(after), linkIds(before));
	t.is(after.flows, before.flows);
	const {flows, masters} = await known();
	t.true(flows >= CONNECTIONS);
	t.is(masters, 2);
	t.deepEqual(await load.end(), NO_HARM);
});

test('a version that differs in its program only: all maps go on', async t => {
	const {lb1} = lab();
	await other?.killAlone();
	await forwardBy(
		edited('slower', [['answer.h', '#define ANSWERS_PER_SECOND 1000', '#define ANSWERS_PER_SECOND 999']]),
	);
	const load = await Load.begin(lab());
	const before = scene();
	const pins = new Pins(lb1.daemonName);
	const ids = () => pins.mapNames().map(name => [name, idOf(name)]);
	const maps = ids();
	await lb1.start();
	t.deepEqual(ids(), maps);
	const after = scene();
	t.deepEqual(linkIds(after), linkIds(before));
	t.true(programIds(after).every(id => !programIds(before).includes(id)));
	t.deepEqual(await load.end(), NO_HARM);
});
