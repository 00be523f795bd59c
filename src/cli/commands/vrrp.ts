import type {InstanceReport, TrackedReport} from '../../control/protocol.js';
import {ExitCode} from '../../errors.js';
import type {LeaseView} from '../../xdp/view.js';
import {count, duration} from '../format.js';
import type {Report, Session} from '../session.js';
import {type Style, stateTone, type Tone} from '../style.js';
import {type Column, renderTable} from '../table.js';

/** An instance with its lease; null: it has none. */
interface InstanceRow extends InstanceReport {
	readonly lease: LeaseView | null;
}

/** `lbctl vrrp`: the instances as the daemon knows them, or their leases, which are all that there is without it. */
export async function vrrp(session: Session): Promise<Report> {
	const report = await session.vrrp();
	const leases = await session.withView(view => view.leases());
	if (report === null) return {json: leases, text: style => renderTable(leaseColumns, leases, style)};
	const rows = report.instances.map(instance => ({...instance, lease: leaseOf(instance, leases)}));
	return {
		json: rows,
		text: style => [renderInstances, renderCounts, renderTrackers].map(render => render(rows, style)).join('\n'),
	};
}

/**
 * `lbctl vrrp release`: returns when another router has taken over. Not a success when none has, and the instances are
 * master as before.
 */
export async function release(session: Session, name: string): Promise<Report> {
	const {instances} = await session.daemon.call('release', name);
	const kept = instances.filter(({state}) => state === 'master').map(({instance}) => instance);
	if (kept.length > 0) session.note(`nobody has taken over, so ${kept.join(', ')} went on as master`);
	return {...reportOf(instances), exitCode: kept.length > 0 ? ExitCode.failure : ExitCode.ok};
}

/** `lbctl vrrp reclaim`: competes for mastership again. */
export async function reclaim(session: Session, name: string): Promise<Report> {
	const {instances} = await session.daemon.call('reclaim', name);
	return reportOf(instances);
}

function reportOf(instances: readonly InstanceReport[]): Report {
	return {json: instances, text: style => renderInstances(instances, style)};
}

function leaseOf({interface: nic, family, vrid}: InstanceReport, leases: readonly LeaseView[]): LeaseView | null {
	return leases.find(lease => lease.interface === nic && lease.family === family && lease.vrid === vrid) ?? null;
}

function renderCounts(instances: readonly InstanceRow[], style: Style): string {
	return renderTable(countColumns, instances, style);
}

function renderTrackers(instances: readonly InstanceReport[], style: Style): string {
	const rows = instances.flatMap(({instance, trackers}) => trackers.map(tracked => ({instance, ...tracked})));
	return rows.length === 0 ? '' : renderTable(trackerColumns, rows, style);
}

export function renderInstances(instances: readonly InstanceReport[], style: Style): string {
	return renderTable(stateColumns, instances, style);
}

const instanceColumn: Column<InstanceReport> = {title: 'INSTANCE', cell: row => row.instance};

const stateColumns: readonly Column<InstanceReport>[] = [
	instanceColumn,
	{title: 'STATE', cell: state, tone: row => stateTone(row.state)},
	{title: 'FOR', align: 'right', cell: row => duration(row.sinceS)},
	{title: 'NIC', cell: row => row.interface},
	{title: 'PRIO', align: 'right', cell: priority},
	{title: 'MASTER', cell: masters, tone: row => (row.rival === null ? null : 'bad')},
	{title: 'ADDRESSES', cell: row => row.addresses.join(' ')},
];

const countColumns: readonly Column<InstanceRow>[] = [
	instanceColumn,
	{title: 'GROUP', cell: row => row.syncGroup ?? '-'},
	{title: 'VRID', align: 'right', cell: row => String(row.vrid)},
	{title: 'SENT', align: 'right', cell: row => count(row.advertsSent)},
	{title: 'RECEIVED', align: 'right', cell: row => count(row.advertsReceived)},
	{title: 'CHANGES', align: 'right', cell: row => count(row.transitions)},
	{title: 'LEASE', cell: ({lease}) => lease?.state ?? '-', tone: ({lease}) => leaseTone(lease)},
	{title: 'WHY', cell: row => row.reason},
];

/** With what keeps it from being what its priority says: a backup that would preempt may wait for the master's connections. */
function state({state, released, lingers, waits}: InstanceReport): string {
	const name = state.toUpperCase();
	if (lingers) return `${name} (leaving)`;
	if (released) return `${name} (released)`;
	return waits ? `${name} (syncing)` : name;
}

/** Who it is, and who else. */
function masters({master, rival}: InstanceReport): string {
	return rival === null ? (master ?? '-') : `${master} and ${rival.address}!`;
}

const leaseColumns: readonly Column<LeaseView>[] = [
	{title: 'NIC', cell: row => row.interface},
	{title: 'FAMILY', cell: row => `IPv${row.family}`},
	{title: 'VRID', align: 'right', cell: row => String(row.vrid)},
	{title: 'LEASE', cell: row => row.state, tone: leaseTone},
	{title: 'OUR ADVERT', align: 'right', cell: row => ago(row.sentS)},
	{title: "OTHERS' ADVERT", align: 'right', cell: row => ago(row.heardS)},
];

function leaseTone(lease: LeaseView | null): Tone | null {
	if (lease === null || lease.state === 'none') return null;
	return lease.state === 'held' ? 'good' : 'bad';
}

function ago(seconds: number | null): string {
	return seconds === null ? 'never' : `${duration(seconds)} ago`;
}

/** In effect, and as configured where trackers have changed it. */
function priority({priority: effective, basePriority}: InstanceReport): string {
	return effective === basePriority ? String(effective) : `${effective} (${basePriority})`;
}

type TrackerRow = TrackedReport & {readonly instance: string};

const trackerColumns: readonly Column<TrackerRow>[] = [
	{title: 'INSTANCE', cell: row => row.instance},
	{title: 'TRACKS', cell: row => `${row.kind} ${row.name}`},
	{title: 'STATE', cell: row => String(row.result ?? 'unknown'), tone: row => (row.fault ? 'bad' : 'good')},
	{title: 'WEIGHT', align: 'right', cell: row => `${row.weight}${row.reverse ? ' reverse' : ''}`},
	{title: 'EFFECT', cell: effect},
];

function effect({fault, adds}: TrackerRow): string {
	if (fault) return 'fault';
	return adds === 0 ? '-' : `${adds > 0 ? '+' : ''}${adds}`;
}
