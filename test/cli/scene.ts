import type {ExecutionContext} from 'ava';
import {figures} from '../../src/bench/figure.js';
import type {Measurement} from '../../src/bench/program-time.js';
import {type Environment, run} from '../../src/cli/program.js';
import {reference} from '../../src/conf/reference.js';
import {ControlClient} from '../../src/control/client.js';
import {lockName} from '../../src/control/lock.js';
import type {Status} from '../../src/control/protocol.js';
import {socketPath} from '../../src/control/protocol.js';
import {type Handlers, serveControl} from '../../src/control/server.js';
import {type ExitCode, KernelError} from '../../src/errors.js';
import type {MapView} from '../../src/xdp/view.js';
import {HANDLERS, runDirectory} from '../control/scene.js';
import {FakeClock} from '../fake/clock.js';
import {FakeLog} from '../fake/log.js';
import {FakeView} from './fake-view.js';

const instance = {
	state: 'master',
	family: 4,
	sinceS: 11_520,
	reason: 'no advert within 3.609 s',
	released: false,
	lingers: false,
	priority: 200,
	basePriority: 200,
	trackers: [],
	waits: false,
	syncGroup: 'VRRP1',
	advertsReceived: 0,
	transitions: 2,
	rival: null,
} as const;

export const STATUS: Status = {
	name: 'default',
	version: '0.1.0',
	pid: 4321,
	uptimeS: 11_525,
	file: '/etc/keepalived/keepalived.conf',
	loadedAt: '2026-01-02T03:04:05.000Z',
	nics: [
		{name: 'eth0', mode: 'native'},
		{name: 'eth1', mode: 'generic'},
	],
	sharing: null,
	notSharing: null,
	lastReload: null,
	health: {
		services: [
			{
				service: '192.168.1.1:80',
				scheduler: 'rr',
				forwarding: 'nat',
				persistenceS: 7200,
				quorumUp: true,
				backends: [
					{
						backend: '10.0.0.71:80',
						up: true,
						weight: 1,
						reason: 'at start',
						sinceS: 11_525,
						checks: [{kind: 'tcp', state: 'up', lastResult: 'passed', lastS: 4, durationS: 0.0005, failures: 0}],
					},
					{
						backend: '10.0.0.72:80',
						up: false,
						weight: 1,
						reason: 'tcp check: refused (10.0.0.72:80)',
						sinceS: 65,
						checks: [{kind: 'tcp', state: 'down', lastResult: 'refused', lastS: 5, durationS: 0.0004, failures: 8}],
					},
				],
			},
		],
	},
	vrrp: {
		instances: [
			{
				...instance,
				instance: 'external',
				interface: 'eth0',
				vrid: 91,
				addresses: ['192.168.1.1/24'],
				master: '192.168.1.10',
				advertsSent: 11_521,
			},
			{
				...instance,
				instance: 'internal',
				interface: 'eth1',
				vrid: 92,
				addresses: ['10.0.0.100/24'],
				priority: 143,
				trackers: [
					{kind: 'script', name: 'check', weight: -60, reverse: false, result: 'down', adds: -60, fault: false},
					{kind: 'file', name: 'load', weight: 1, reverse: true, result: -3, adds: 3, fault: false},
					{kind: 'interface', name: 'eth2', weight: 0, reverse: false, result: 'down', adds: 0, fault: true},
					{kind: 'process', name: 'proxy', weight: 0, reverse: false, result: null, adds: 0, fault: false},
				],
				master: '10.0.0.10',
				advertsSent: 11_520,
			},
		],
	},
};

const MEASUREMENT: Measurement = {
	machine: {
		cpu: 'Some CPU @ 3 GHz',
		cpus: 8,
		kernel: '6.1.0-32-amd64',
		system: 'Debian GNU/Linux 12 (bookworm)',
		mitigations: {spectre_v2: 'Mitigation: Retpolines; STIBP: disabled'},
		jit: 'on, hardening off',
		load: 0.25,
	},
	figures: figures(
		'program time',
		'ns',
		new Map([
			['not ours', [-0.4, 3.6, 5]],
			['established, 1 flow', [23.6, 24.2, 31]],
			['established, 1 flow, IPv6', [29.5, 30.25, 37.2]],
		]),
		[
			{name: 'not ours'},
			{name: 'established, 1 flow'},
			{name: 'established, 1 flow, IPv6', yardsticks: ['established, 1 flow']},
		],
	),
};

export interface Outcome {
	readonly code: ExitCode;
	readonly out: string;
	readonly err: string;
}

export interface Scene {
	readonly view: FakeView;
	readonly directory: string;
	/** Names that were unloaded. */
	readonly unloaded: string[];
	lbctl(...argv: string[]): Promise<Outcome>;
}

interface Setting {
	/** What the daemon answers; null: there is no daemon. */
	readonly daemon?: Partial<Handlers> | null;
	/** False: nothing is pinned. */
	readonly pinned?: boolean;
	readonly style?: Environment['style'];
	readonly diagnose?: Environment['diagnose'];
}

/** lbctl before fake maps and, on a real socket, a fake daemon. */
export async function scene(t: ExecutionContext, setting: Setting = {}): Promise<Scene> {
	const directory = runDirectory(t);
	const {daemon = {}, pinned = true} = setting;
	if (daemon !== null) await serve(t, directory, daemon);
	const view = new FakeView();
	const unloaded: string[] = [];
	const lbctl = async (...argv: string[]): Promise<Outcome> => {
		let out = '';
		let err = '';
		const code = await run(argv, {
			out: text => {
				out += text;
			},
			err: text => {
				err += text;
			},
			style: setting.style ?? {colour: false, width: 100},
			daemon: name => new ControlClient(name, {directory}),
			openView: async () => (pinned ? view : nothingPinned()),
			lock: name => lockName(name, directory),
			unload: async name => void unloaded.push(name),
			diagnose: setting.diagnose ?? (async () => ({diagnostics: [], excerpt: () => []})),
			reference: async () => reference(),
			measure: async () => MEASUREMENT,
		});
		return {code, out, err: err.replaceAll(directory, '/run/lbd')};
	};
	return {view, directory, unloaded, lbctl};
}

function nothingPinned(): MapView {
	throw new KernelError('open pin', '/sys/fs/bpf/lbd/default/services', 'ENOENT', 'no maps are pinned');
}

async function serve(t: ExecutionContext, directory: string, handlers: Partial<Handlers>): Promise<void> {
	const server = await serveControl({
		path: socketPath('default', directory),
		clock: new FakeClock(),
		log: new FakeLog(),
		handlers: {
			...HANDLERS,
			status: () => STATUS,
			health: () => STATUS.health,
			vrrp: () => STATUS.vrrp,
			...handlers,
		},
	});
	t.teardown(() => server.close());
}
