import {readFileSync} from 'node:fs';
import test from 'ava';
import {exitCodeOf, formatDiagnostic} from '../../src/conf/diagnostics.js';
import type {Config} from '../../src/conf/model.js';
import {readConfig} from '../../src/conf/read.js';
import {ExitCode} from '../../src/errors.js';
import {MemoryFiles} from './memory-files.js';

const untold = {
	master: null,
	backup: null,
	fault: null,
	stop: null,
	every: null,
	mail: false,
	priorityChanges: false,
} as const;

/** What the two files of the reference job mean; they differ in who is the master. */
function reference(file: string, role: {email: string; state: 'master' | 'backup'; priority: number}): Config {
	const at = (line: number, column: number) => ({file, line, column});
	const instance = (name: string, line: number, device: string, vrid: number, address: string) =>
		({
			place: at(line, 1),
			name,
			initialState: role.state,
			interface: device,
			virtualMac: null,
			vrid,
			priority: role.priority,
			family: 4,
			version: 2,
			advertUs: 1_000_000,
			usesAuthHeader: false,
			authHmac: null,
			password: '1215',
			addresses: [
				{
					place: at(line + 12, 9),
					address,
					prefix: 24,
					device,
					label: null,
					scope: 0,
					broadcast: null,
					preferredS: null,
					peer: null,
					flags: [],
					detectDuplicates: false,
					tracked: true,
					trackGroup: null,
				},
			],
			excludedAddresses: [],
			routes: [],
			rules: [],
			promoteSecondaries: false,
			accept: true,
			preempt: true,
			preemptDelayUs: 0,
			garp: {
				masterRepeat: 5,
				masterDelayUs: 5_000_000,
				masterRefreshUs: 0,
				masterRefreshRepeat: 1,
				lowerPriorityRepeat: 5,
				lowerPriorityDelayUs: 5_000_000,
			},
			sourceAddress: null,
			trackSourceAddress: false,
			multicastGroup: null,
			unicast: null,
			trackPrimary: true,
			tracks: [],
			notify: {...untold, deleted: null, lowerPriority: null},
		}) as const;
	const backend = (line: number, address: string) =>
		({
			place: at(line, 5),
			name: `${address}:80`,
			realServer: `${address}:80`,
			address,
			port: 80,
			forwarding: {method: 'nat'},
			weight: 1,
			inhibitOnFailure: false,
			upperThreshold: 0,
			lowerThreshold: 0,
			alpha: false,
			checks: [
				{
					place: at(line + 2, 9),
					kind: 'tcp',
					connectAddress: address,
					connectPort: 80,
					bindAddress: null,
					bindPort: 0,
					connectTimeoutUs: 5_000_000,
					delayLoopUs: 10_000_000,
					retry: 1,
					delayBeforeRetryUs: 1_000_000,
					warmupUs: 10_000_000,
					logAllFailures: false,
				},
			],
			notify: {up: null, down: null, mail: true},
		}) as const;
	return {
		file,
		sharing: null,
		notSharing:
			'VRRP has no secret to use as a key, as auth_type PASS sends its password in the clear: write \'sync { key "…" }\' ' +
			"into the lbd block of all balancers, or 'sync { off }'",
		globals: {
			routerId: null,
			mail: {
				to: ['root@mydomain.com'],
				from: role.email,
				server: {host: 'localhost', port: 25},
				heloName: null,
				timeoutUs: 30_000_000,
				faults: true,
				everyCheck: true,
			},
			fifos: {all: null, vrrp: null, lvs: null},
			startup: null,
			shutdown: null,
			rsInitNotifies: false,
			fifoStatesOnReload: false,
			timeoutsS: {tcp: 900, tcpFin: 120, udp: 300},
			multicastGroups: {4: '224.0.0.18', 6: 'ff02::12'},
			dynamicInterfaces: false,
		},
		settings: {
			services: 1023,
			backends: 16_383,
			flows: 262_144,
			flows6: 1024,
			persistenceEntries: 65_536,
			fragments: 16_384,
			blocked: [],
			notifyTimeoutUs: 60_000_000,
			vrrpGraceUs: 10_000_000,
			nics: [],
			metrics: {address: '127.0.0.1', port: 9633},
		},
		services: [
			{
				place: at(51, 1),
				name: '192.168.1.1:80',
				group: null,
				address: '192.168.1.1',
				port: 80,
				protocol: 'tcp',
				scheduler: 'rr',
				hashPort: false,
				hashFallback: false,
				persistence: {timeoutS: 7200, granularity: 32},
				policy: {failedBackend: 'drop', noBackend: 'reject'},
				limits: {perSource: null, perService: null},
				quorum: 1,
				hysteresis: 0,
				haSuspend: false,
				sorryServer: null,
				notify: {quorumUp: null, quorumDown: null, mail: false, atShutdown: false},
				backends: [backend(61, '10.0.0.71'), backend(69, '10.0.0.72')],
			},
		],
		instances: [
			instance('external', 18, 'eth0', 91, '192.168.1.1'),
			instance('internal', 34, 'eth1', 92, '10.0.0.100'),
		],
		syncGroups: [{place: at(10, 1), name: 'VRRP1', instances: ['external', 'internal'], notify: untold}],
		statics: {addresses: [], routes: [], rules: []},
		trackGroups: [],
		trackers: {scripts: [], files: [], processes: []},
		linkDelays: [],
	};
}

for (const [file, role] of [
	['reference-primary.conf', {email: 'svr1@mydomain.com', state: 'master', priority: 200}],
	['reference-backup.conf', {email: 'svr2@mydomain.com', state: 'backup', priority: 100}],
] as const) {
	test(`${file} means what it should`, t => {
		const bytes = readFileSync(new URL(`../../../test/conf/${file}`, import.meta.url));
		const {config, diagnostics} = readConfig(file, new MemoryFiles({[file]: bytes}));
		t.deepEqual(config, reference(file, role));
		t.deepEqual(diagnostics.map(formatDiagnostic), []);
		t.is(exitCodeOf(diagnostics), ExitCode.ok);
	});
}
