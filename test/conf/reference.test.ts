import {readFileSync} from 'node:fs';
import test from 'ava';
import {exitCodeOf, formatDiagnostic} from '../../src/conf/diagnostics.js';
import type {Config} from '../../src/conf/model.js';
import {readConfig} from '../../src/conf/read.js';
import {ExitCode} from '../../src/errors.js';
import {MemoryFiles} from './memory-files.js';

/** What the two files of the reference job mean; they differ in who is the master. */
function reference(file: string, role: {email: string; state: 'master' | 'backup'; priority: number}): Config {
	const at = (line: number, column: number) => ({file, line, column});
	const instance = (name: string, line: number, device: string, vrid: number, address: string) =>
		({
			place: at(line, 1),
			name,
			initialState: role.state,
			interface: device,
			vrid,
			priority: role.priority,
			family: 4,
			version: 2,
			advertUs: 1_000_000,
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
				},
			],
			excludedAddresses: [],
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
			trackPrimary: true,
			tracks: [],
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
		}) as const;
	return {
		file,
		globals: {
			routerId: null,
			notificationEmail: ['root@mydomain.com'],
			notificationEmailFrom: role.email,
			smtpServer: {host: 'localhost', port: 25},
			smtpConnectTimeoutUs: 30_000_000,
			timeoutsS: {tcp: 900, tcpFin: 120, udp: 300},
			multicastGroups: {4: '224.0.0.18', 6: 'ff02::12'},
		},
		settings: {
			flows: 262_144,
			flows6: 1024,
			persistenceEntries: 65_536,
			fragments: 16_384,
			blocked: [],
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
				sorryServer: null,
				backends: [backend(61, '10.0.0.71'), backend(69, '10.0.0.72')],
			},
		],
		instances: [
			instance('external', 18, 'eth0', 91, '192.168.1.1'),
			instance('internal', 34, 'eth1', 92, '10.0.0.100'),
		],
		syncGroups: [{place: at(10, 1), name: 'VRRP1', instances: ['external', 'internal']}],
		trackers: {scripts: [], files: [], processes: []},
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
		t.deepEqual(diagnostics.map(formatDiagnostic), [
			`${file}:2:4: warning: notification_email, notification_email_from, smtp_server, smtp_connect_timeout ` +
				'have no effect here: no mail is sent yet',
		]);
		t.is(exitCodeOf(diagnostics), ExitCode.ok);
	});
}
