import {once} from 'node:events';
import {mkdtempSync, rmSync} from 'node:fs';
import {connect, type Socket} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {ExecutionContext} from 'ava';
import {socketPath} from '../../src/control/protocol.js';
import {type ControlServer, type Handlers, serveControl} from '../../src/control/server.js';
import {ExitCode} from '../../src/errors.js';
import {FakeClock} from '../fake/clock.js';
import {FakeLog} from '../fake/log.js';

/** A directory in the place of /run/lbd. */
export function runDirectory(t: ExecutionContext): string {
	const directory = mkdtempSync(join(tmpdir(), 'lbd-control-'));
	t.teardown(() => rmSync(directory, {recursive: true, force: true}));
	return directory;
}

export const HANDLERS: Handlers = {
	status: () => {
		throw new Error('not asked here');
	},
	health: () => ({services: []}),
	vrrp: () => ({instances: []}),
	plan: ({file}) => ({
		accepted: true,
		file,
		summary: 'would be put in force (0 changes, 0 map entries)',
		diagnostics: [],
		changes: [],
		mapEntries: 0,
		exitCode: ExitCode.ok,
	}),
	reload: () => ({
		applied: true,
		summary: 'no change',
		at: '',
		diagnostics: [],
		exitCode: ExitCode.ok,
		changes: [],
		mapEntries: 0,
	}),
	metrics: () => '# metrics\n',
	release: () => ({instances: []}),
	reclaim: () => ({instances: []}),
	stop: () => null,
};

export interface Scene {
	readonly directory: string;
	readonly path: string;
	readonly clock: FakeClock;
	readonly log: FakeLog;
	readonly server: ControlServer;
	/** A client that says what it likes. */
	client(): Promise<RawClient>;
}

export interface RawClient {
	readonly socket: Socket;
	/** Everything that the server has said when it ends the connection. */
	readonly said: Promise<string>;
	/** The next line that it says. */
	line(): Promise<unknown>;
}

/** A control server called `default` on a real socket. */
export async function scene(t: ExecutionContext, handlers: Partial<Handlers> = {}): Promise<Scene> {
	const directory = runDirectory(t);
	const path = socketPath('default', directory);
	const clock = new FakeClock();
	const log = new FakeLog();
	const server = await serveControl({path, clock, log, handlers: {...HANDLERS, ...handlers}});
	t.teardown(() => server.close());
	return {directory, path, clock, log, server, client: () => rawClient(path)};
}

async function rawClient(path: string): Promise<RawClient> {
	const socket = connect(path);
	await once(socket, 'connect');
	socket.on('error', () => {});
	let text = '';
	let read = 0;
	socket.on('data', bytes => {
		text += bytes;
	});
	const said = new Promise<string>(resolve => socket.once('close', () => resolve(text)));
	const line = async (): Promise<unknown> => {
		while (!text.slice(read).includes('\n')) await once(socket, 'data');
		const end = text.indexOf('\n', read);
		const found = text.slice(read, end);
		read = end + 1;
		return JSON.parse(found);
	};
	return {socket, said, line};
}
