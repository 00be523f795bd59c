import type {Snapshot} from '../../src/metrics/snapshot.js';

/** A balancer with one service, a live backend and a dead one. */
export function snapshot(changes: Partial<Snapshot> = {}): Snapshot {
	const backend = {
		weight: 1,
		liveFlows: 42,
		connections: 750,
		packetsIn: 6000,
		packetsOut: 12_000,
		bytesIn: 600_000,
		bytesOut: 49_000_000,
	};
	return {
		build: {version: '0.1.0', layoutVersion: 1},
		nics: [
			{name: 'eth0', mode: 'native'},
			{name: 'eth1', mode: 'generic'},
		],
		services: [
			{
				service: '192.168.1.1:80',
				verdicts: {forward: 6000, 'drop-no-backend': 3},
				quorumUp: true,
				backends: [
					{
						...backend,
						backend: '10.0.0.71:80',
						up: true,
						checks: [{kind: 'tcp', passed: 10, failed: 1, durationS: 0.0005}],
					},
					{
						...backend,
						backend: '10.0.0.72:80',
						up: false,
						checks: [
							{kind: 'tcp', passed: 0, failed: 3, durationS: null},
							{kind: 'tcp', passed: 1, failed: 0, durationS: 0.25},
						],
					},
				],
			},
		],
		otherVerdicts: {'pass-not-ours': 99},
		flows: {established: 40, 'syn-received': 2},
		flowSlots: 262_144,
		persistenceEntries: 7,
		persistenceEntriesMax: 65_536,
		instances: [
			{
				instance: 'external',
				state: 'master',
				priority: 140,
				basePriority: 200,
				trackers: [
					{kind: 'script', tracker: 'check', value: 0},
					{kind: 'file', tracker: 'load', value: -7},
				],
				advertsSent: 100,
				advertsReceived: 2,
				released: false,
				timerLatenessMaxS: 0.0012,
				advertsRefused: {'bad-password': 4},
				transitions: 2,
				rivalS: 1.5,
				rivals: 3,
			},
		],
		drift: {backends: 2, links: 1},
		sharing: {
			state: 'in-sync',
			peers: [{address: '10.0.0.11', lost: 2}],
			sent: 100,
			unsent: 1,
			overwritten: 0,
			fates: {taken: 7, strange: 1},
			refusals: {authentication: 3},
		},
		notifications: {script: {delivered: 3, failed: 1}, mail: {lost: 2}},
		reloads: {applied: 1, refused: 2, lastApplied: false},
		...changes,
	};
}
