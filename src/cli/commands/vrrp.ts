import type {InstanceReport, TrackedReport} from '../../control/protocol.js';
import {count, duration} from '../format.js';
import type {Report, Session} from '../session.js';
import {type Style, stateTone} from '../style.js';
import {type Column, renderTable} from '../table.js';

/** `lbctl vrrp`: needs the daemon, because VRRP has no maps. */
export async function vrrp(session: Session): Promise<Report> {
	const {instances} = await session.daemon.call('vrrp', null);
	return {
		json: instances,
		text: style => [renderInstances, renderCounts, renderTrackers].map(render => render(instances, style)).join('\n'),
	};
}

function renderCounts(instances: readonly InstanceReport[], style: Style): string {
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
	{title: 'MASTER', cell: row => row.master ?? '-'},
	{title: 'ADDRESSES', cell: row => row.addresses.join(' ')},
];

const countColumns: readonly Column<InstanceReport>[] = [
	instanceColumn,
	{title: 'GROUP', cell: row => row.syncGroup ?? '-'},
	{title: 'VRID', align: 'right', cell: row => String(row.vrid)},
	{title: 'SENT', align: 'right', cell: row => count(row.advertsSent)},
	{title: 'RECEIVED', align: 'right', cell: row => count(row.advertsReceived)},
	{title: 'CHANGES', align: 'right', cell: row => count(row.transitions)},
	{title: 'WHY', cell: row => row.reason},
];

/** A backup that would preempt, but waits for the master's connections, says so. */
function state({state: name, waits}: InstanceReport): string {
	return waits ? `${name.toUpperCase()} (syncing)` : name.toUpperCase();
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
