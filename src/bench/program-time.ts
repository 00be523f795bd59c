/** What a packet costs in the program on this machine, measured beside whatever the machine does: no traffic is touched. */
import {freemem} from 'node:os';
import {KernelError} from '../errors.js';
import type {Clock} from '../host/host.js';
import {type Figure, figures} from './figure.js';
import {IPV6, IPV6_ROWS, ipv6Cases} from './ipv6.js';
import {Load} from './load.js';
import {type Machine, machine} from './machine.js';
import {FIRST_CLIENT, type PlaneOptions, type Wires} from './plane.js';
import {type Case, interleave} from './statistics.js';
import type {Flows} from './traffic.js';

export interface Measurement {
	readonly machine: Machine;
	/** In ns a packet. */
	readonly figures: readonly Figure[];
}

const flows = (count: number): Flows => ({count, firstClient: FIRST_CLIENT});
const ONE = flows(1);
const FLOWS_64K = flows(2 ** 16);
const FLOWS_1M = flows(2 ** 20);
/** More than there will be packets of; others than those above, and few enough to find room beside them. */
const STRANGERS: Flows = {count: 2 ** 24, firstClient: FIRST_CLIENT + 2 ** 24};

const ROUNDS = 5;
/** No round begins later; one takes a second, or a few on a busy machine. */
const BUDGET_US = 10_000_000;
/** The flow tables take 152 MiB; who has less to spare has other worries. */
const BYTES_NEEDED = 512 * 2 ** 20;

/** Packets are offered as if they came in on loopback, the one interface that every machine has; the program is not on it. */
export const LOOPBACK: Wires = {
	client: {name: 'client', ifindex: 0, mac: '02:00:00:00:00:01'},
	external: {name: 'lo', ifindex: 1, mac: '02:00:00:00:00:02'},
};

/** Measures with copies of the program that nobody else uses, in some ten seconds. Throws KernelError when that is refused. */
export async function measureProgramTime(clock: Clock): Promise<Measurement> {
	const available = freemem();
	if (available < BYTES_NEEDED) {
		const hint = `${mebibytes(BYTES_NEEDED)} must be free, ${mebibytes(available)} are`;
		throw new KernelError('bench', 'memory', 'ENOMEM', hint);
	}
	const end = clock.nowUs() + BUDGET_US;
	const where = machine();
	const loads: Load[] = [];
	const open = async (options: Omit<PlaneOptions, 'clock'>): Promise<Load> => {
		const load = await Load.open(LOOPBACK, {clock, ...options});
		loads.push(load);
		return load;
	};
	try {
		const [few, many] = [await open({connections: FLOWS_64K.count}), await open({connections: FLOWS_1M.count})];
		const measured = [...cases(few, many), ...ipv6Cases(await open(IPV6))];
		const samples = await interleave(measured, ROUNDS, () => clock.nowUs() >= end);
		const rows = measured.map(({name}) => IPV6_ROWS.find(row => row.name === name) ?? {name});
		return {machine: where, figures: figures('program time', 'ns', samples, rows)};
	} finally {
		for (const load of loads) load.close();
	}
}

function cases(few: Load, many: Load): Case[] {
	few.establish(FLOWS_64K);
	many.establish(FLOWS_1M);
	return [
		{name: 'not ours', sample: () => few.timeForeign(ONE)},
		{name: 'established, 1 flow', sample: () => few.timeEstablished(ONE)},
		{name: 'established, 64K flows', sample: () => few.timeEstablished(FLOWS_64K)},
		{name: 'established, 1M flows', sample: () => many.timeEstablished(FLOWS_1M)},
		{name: 'reply, 1 flow', sample: () => few.timeReply(ONE)},
		{name: 'new connection', sample: () => many.timeNew(STRANGERS)},
	];
}

function mebibytes(bytes: number): string {
	return `${Math.floor(bytes / 2 ** 20)} MiB`;
}
