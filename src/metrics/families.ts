/** Every metric: its name, what it means, and how it is read from a snapshot. docs and dashboards quote this table. */
import type {BackendSample, ServiceSample, Snapshot} from './snapshot.js';

type Labels = Readonly<Record<string, string>>;
export type Sample = readonly [labels: Labels, value: number];

export interface Family {
	readonly name: string;
	readonly help: string;
	readonly type: 'counter' | 'gauge';
	readonly labels: readonly string[];
	samples(snapshot: Snapshot): readonly Sample[];
}

const NONE: Labels = {};
const VRRP_STATES = ['init', 'backup', 'master', 'fault'];

export const FAMILIES: readonly Family[] = [
	{
		name: 'lbd_build_info',
		help: 'Always 1; the labels say which lbd runs.',
		type: 'gauge',
		labels: ['version', 'layout_version', 'node_version'],
		samples: ({build}) => [
			[{version: build.version, layout_version: String(build.layoutVersion), node_version: process.version}, 1],
		],
	},
	{
		name: 'lbd_nic_native',
		help: 'Whether the driver of the NIC runs the program (1), or the kernel does in its slower generic receive path (0).',
		type: 'gauge',
		labels: ['nic'],
		samples: ({nics}) => nics.map(({name: nic, mode}) => [{nic}, Number(mode === 'native')]),
	},
	{
		name: 'lbd_packets_total',
		help: 'Packets by service and verdict, that is by the way they left the program. Service "none": of no service.',
		type: 'counter',
		labels: ['service', 'verdict'],
		samples: ({services, otherVerdicts}) => [
			...byLabel({service: 'none'}, 'verdict', otherVerdicts),
			...services.flatMap(({service, verdicts}) => byLabel({service}, 'verdict', verdicts)),
		],
	},
	{
		name: 'lbd_service_quorum_up',
		help: 'Whether the live backends of the service reach its quorum (1) or not (0).',
		type: 'gauge',
		labels: ['service'],
		samples: ({services}) => services.map(({service, quorumUp}) => [{service}, Number(quorumUp)]),
	},
	backendFamily('up', 'gauge', 'Whether the checks of the backend pass (1) or not (0).', ({up}) => Number(up)),
	backendFamily('weight', 'gauge', 'Configured weight of the backend.', ({weight}) => weight),
	backendFamily('flows', 'gauge', 'Live flows of the backend.', ({liveFlows}) => liveFlows),
	backendFamily('connections_total', 'counter', 'Connections dealt to the backend.', ({connections}) => connections),
	trafficFamily('packets', 'Packets', 'packetsIn', 'packetsOut'),
	trafficFamily('bytes', 'Bytes, from the IP header on,', 'bytesIn', 'bytesOut'),
	{
		name: 'lbd_checks_total',
		help: 'Health checks that were completed, by result.',
		type: 'counter',
		labels: ['service', 'backend', 'check', 'result'],
		samples: ({services}) =>
			ofChecks(services, (labels, {passed, failed}) => byLabel(labels, 'result', {passed, failed})),
	},
	{
		name: 'lbd_check_duration_seconds',
		help: 'How long the last health check took.',
		type: 'gauge',
		labels: ['service', 'backend', 'check'],
		samples: ({services}) =>
			ofChecks(services, (labels, {durationS}) => (durationS === null ? [] : [[labels, durationS]])),
	},
	{
		name: 'lbd_flows',
		help: 'Live flows by connection state.',
		type: 'gauge',
		labels: ['state'],
		samples: ({flows}) => byLabel(NONE, 'state', flows),
	},
	{
		name: 'lbd_flow_slots',
		help: 'Flows that the tables of both address families have room for.',
		type: 'gauge',
		labels: [],
		samples: ({flowSlots}) => [[NONE, flowSlots]],
	},
	{
		name: 'lbd_persistence_entries',
		help: 'Clients that are bound to a backend by persistence.',
		type: 'gauge',
		labels: [],
		samples: ({persistenceEntries}) => [[NONE, persistenceEntries]],
	},
	{
		name: 'lbd_persistence_entries_max',
		help: 'Persistence entries that there is room for, of both address families.',
		type: 'gauge',
		labels: [],
		samples: ({persistenceEntriesMax}) => [[NONE, persistenceEntriesMax]],
	},
	{
		name: 'lbd_vrrp_state',
		help: '1 for the state that the VRRP instance is in, 0 for the others.',
		type: 'gauge',
		labels: ['instance', 'state'],
		samples: ({instances}) =>
			instances.flatMap(({instance, state: current}) =>
				VRRP_STATES.map((state): Sample => [{instance, state}, Number(state === current)]),
			),
	},
	{
		name: 'lbd_vrrp_priority',
		help: 'Priority of the VRRP instance, as in effect now.',
		type: 'gauge',
		labels: ['instance'],
		samples: ({instances}) => instances.map(({instance, priority}) => [{instance}, priority]),
	},
	{
		name: 'lbd_vrrp_base_priority',
		help: 'Priority of the VRRP instance as configured, without what trackers add.',
		type: 'gauge',
		labels: ['instance'],
		samples: ({instances}) => instances.map(({instance, basePriority}) => [{instance}, basePriority]),
	},
	{
		name: 'lbd_vrrp_tracker',
		help: 'What a tracker of the VRRP instance found: 1 up, 0 down, or the number in a file. Absent before the first result.',
		type: 'gauge',
		labels: ['instance', 'kind', 'tracker'],
		samples: ({instances}) =>
			instances.flatMap(({instance, trackers}) =>
				trackers.map(({kind, tracker, value}): Sample => [{instance, kind, tracker}, value]),
			),
	},
	{
		name: 'lbd_vrrp_released',
		help: '1 while the VRRP instance leaves mastership to others, as it was told to.',
		type: 'gauge',
		labels: ['instance'],
		samples: ({instances}) => instances.map(({instance, released}) => [{instance}, Number(released)]),
	},
	{
		name: 'lbd_vrrp_timer_lateness_max_seconds',
		help: 'How late the latest timer of the VRRP instance came since lbd-vrrp began.',
		type: 'gauge',
		labels: ['instance'],
		samples: ({instances}) => instances.map(({instance, timerLatenessMaxS}) => [{instance}, timerLatenessMaxS]),
	},
	{
		name: 'lbd_vrrp_transitions_total',
		help: 'State changes of the VRRP instance.',
		type: 'counter',
		labels: ['instance'],
		samples: ({instances}) => instances.map(({instance, transitions}) => [{instance}, transitions]),
	},
	{
		name: 'lbd_vrrp_adverts_total',
		help: 'VRRP advertisements that were sent or accepted.',
		type: 'counter',
		labels: ['instance', 'direction'],
		samples: ({instances}) =>
			instances.flatMap(({instance, advertsSent: sent, advertsReceived: received}) =>
				byLabel({instance}, 'direction', {sent, received}),
			),
	},
	{
		name: 'lbd_vrrp_adverts_refused_total',
		help: 'VRRP advertisements that were refused, by reason.',
		type: 'counter',
		labels: ['instance', 'reason'],
		samples: ({instances}) =>
			instances.flatMap(({instance, advertsRefused}) => byLabel({instance}, 'reason', advertsRefused)),
	},
	{
		name: 'lbd_vrrp_rival_master_seconds',
		help: 'For how long another master of the VRRP instance has been heard while this one is master; 0 while there is none.',
		type: 'gauge',
		labels: ['instance'],
		samples: ({instances}) => instances.map(({instance, rivalS}) => [{instance}, rivalS]),
	},
	{
		name: 'lbd_vrrp_rival_masters_total',
		help: 'How often another master of the VRRP instance was heard while this one was master.',
		type: 'counter',
		labels: ['instance'],
		samples: ({instances}) => instances.map(({instance, rivals}) => [{instance}, rivals]),
	},
	{
		name: 'lbd_notifications_total',
		help: 'Scripts that were run, FIFO lines and mails, by outcome. Lost: there was no room to let it wait.',
		type: 'counter',
		labels: ['channel', 'outcome'],
		samples: ({notifications}) =>
			Object.entries(notifications).flatMap(([channel, counts]) => byLabel({channel}, 'outcome', counts)),
	},
	{
		name: 'lbd_drift_total',
		help: 'What somebody else had changed and was put right: map entries by map; links, pins, addresses, routes and rules.',
		type: 'counter',
		labels: ['map'],
		samples: ({drift}) => byLabel(NONE, 'map', drift),
	},
	{
		name: 'lbd_sharing_in_sync',
		help: 'Whether what the other balancers know of connections is known here (1), or is still being told (0). Absent where nothing is shared.',
		type: 'gauge',
		labels: [],
		samples: ({sharing}) => (sharing === null ? [] : [[NONE, Number(sharing.state !== 'joining')]]),
	},
	{
		name: 'lbd_sharing_records_total',
		help: 'Flows, persistence entries and turns told to the other balancers: sent, unsent (the network took none) or overwritten (too many at once). What did not leave is told again by the next round.',
		type: 'counter',
		labels: ['outcome'],
		samples: ({sharing}) =>
			sharing === null
				? []
				: byLabel(NONE, 'outcome', {
						sent: sharing.sent,
						unsent: sharing.unsent,
						overwritten: sharing.overwritten,
					}),
	},
	{
		name: 'lbd_sharing_copies_total',
		help: 'Flows and persistence entries that other balancers told of: taken, known better here, refused (no room) or strange (of no service and backend here).',
		type: 'counter',
		labels: ['fate'],
		samples: ({sharing}) => (sharing === null ? [] : byLabel(NONE, 'fate', sharing.fates)),
	},
	{
		name: 'lbd_sharing_lost_total',
		help: 'Datagrams of another balancer that did not come.',
		type: 'counter',
		labels: ['peer'],
		samples: ({sharing}) => (sharing?.peers ?? []).map(({address: peer, lost}) => [{peer}, lost]),
	},
	{
		name: 'lbd_sharing_refused_total',
		help: 'Datagrams that were not believed, by reason.',
		type: 'counter',
		labels: ['reason'],
		samples: ({sharing}) => (sharing === null ? [] : byLabel(NONE, 'reason', sharing.refusals)),
	},
	{
		name: 'lbd_reloads_total',
		help: 'Reloads that were asked for, by outcome.',
		type: 'counter',
		labels: ['outcome'],
		samples: ({reloads: {applied, refused}}) => byLabel(NONE, 'outcome', {applied, refused}),
	},
	{
		name: 'lbd_last_reload_applied',
		help: 'Whether the last configuration that was read is in force (1) or was refused (0).',
		type: 'gauge',
		labels: [],
		samples: ({reloads}) => [[NONE, Number(reloads.lastApplied)]],
	},
	{
		name: 'process_cpu_seconds_total',
		help: 'User and system CPU time of the daemon in seconds.',
		type: 'counter',
		labels: [],
		samples: () => [[NONE, cpuSeconds(process.cpuUsage())]],
	},
	{
		name: 'process_resident_memory_bytes',
		help: 'Resident memory of the daemon.',
		type: 'gauge',
		labels: [],
		samples: () => [[NONE, process.memoryUsage.rss()]],
	},
	{
		name: 'lbd_uptime_seconds',
		help: 'How long the daemon has been running. Forwarding may have gone on for longer.',
		type: 'gauge',
		labels: [],
		samples: () => [[NONE, process.uptime()]],
	},
];

function backendFamily(
	suffix: string,
	type: Family['type'],
	help: string,
	value: (backend: BackendSample) => number,
): Family {
	return {
		name: `lbd_backend_${suffix}`,
		help,
		type,
		labels: ['service', 'backend'],
		samples: ({services}) => ofBackends(services, (labels, backend) => [[labels, value(backend)]]),
	};
}

type Traffic = 'packetsIn' | 'packetsOut' | 'bytesIn' | 'bytesOut';

function trafficFamily(unit: string, noun: string, towards: Traffic, from: Traffic): Family {
	return {
		name: `lbd_backend_${unit}_total`,
		help: `${noun} forwarded to the backend (in) and back to clients (out).`,
		type: 'counter',
		labels: ['service', 'backend', 'direction'],
		samples: ({services}) =>
			ofBackends(services, (labels, backend) =>
				byLabel(labels, 'direction', {in: backend[towards], out: backend[from]}),
			),
	};
}

function ofBackends(
	services: readonly ServiceSample[],
	samples: (labels: Labels, backend: BackendSample) => readonly Sample[],
): readonly Sample[] {
	return services.flatMap(({service, backends}) =>
		backends.flatMap(backend => samples({service, backend: backend.backend}, backend)),
	);
}

/** A backend may have several checks of one kind; the first is `tcp`, the next `tcp 2`. */
function ofChecks(
	services: readonly ServiceSample[],
	samples: (labels: Labels, check: BackendSample['checks'][number]) => readonly Sample[],
): readonly Sample[] {
	return ofBackends(services, (labels, {checks}) =>
		checks.flatMap((check, index) =>
			samples({...labels, check: index === 0 ? check.kind : `${check.kind} ${index + 1}`}, check),
		),
	);
}

function byLabel(labels: Labels, label: string, values: Readonly<Record<string, number>>): readonly Sample[] {
	return Object.entries(values).map(([word, value]) => [{...labels, [label]: word}, value]);
}

function cpuSeconds({user, system}: NodeJS.CpuUsage): number {
	return (user + system) / 1_000_000;
}
