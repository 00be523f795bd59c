import type {InstanceReport} from '../../control/protocol.js';
import {count, duration} from '../format.js';
import type {Report, Session} from '../session.js';
import {type Style, stateTone} from '../style.js';
import {type Column, renderTable} from '../table.js';

/** `lbctl vrrp`: needs the daemon, because VRRP has no maps. */
export async function vrrp(session: Session): Promise<Report> {
	const {instances} = await session.daemon.call('vrrp', null);
	return {
		json: instances,
		text: style => `${renderInstances(instances, style)}\n${renderTable(countColumns, instances, style)}`,
	};
}

export function renderInstances(instances: readonly InstanceReport[], style: Style): string {
	return renderTable(stateColumns, instances, style);
}

const instanceColumn: Column<InstanceReport> = {title: 'INSTANCE', cell: row => row.instance};

const stateColumns: readonly Column<InstanceReport>[] = [
	instanceColumn,
	{title: 'STATE', cell: row => row.state.toUpperCase(), tone: row => stateTone(row.state)},
	{title: 'FOR', align: 'right', cell: row => duration(row.sinceS)},
	{title: 'NIC', cell: row => row.interface},
	{title: 'PRIO', align: 'right', cell: row => String(row.priority)},
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
