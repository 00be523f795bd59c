/** IPv6 beside IPv4: cases that both benches have. */
import type {Row} from './figure.js';
import type {Load} from './load.js';
import {FIRST_CLIENT} from './plane.js';
import type {Case} from './statistics.js';
import type {Flows} from './traffic.js';

const ONE: Flows = {count: 1, firstClient: FIRST_CLIENT};
const FLOWS_64K: Flows = {count: 2 ** 16, firstClient: FIRST_CLIENT};

/** What a load of these cases is opened with. */
export const IPV6 = {family: 6, connections: FLOWS_64K.count} as const;

/** What is measured, and by which case of IPv4. */
const COMPARED = [
	{name: 'established, 1 flow, IPv6', ipv4: 'established, 1 flow', flows: ONE},
	{name: 'established, 64K flows, IPv6', ipv4: 'established, 64K flows', flows: FLOWS_64K},
] as const;

export const IPV6_ROWS: readonly Row[] = COMPARED.map(({name, ipv4}) => ({
	name,
	yardsticks: [ipv4],
	goals: [{ratio: ipv4, bound: 'at most', value: 1.35}],
}));

/** Opens the load's connections. The cases of IPv4 belong in the same rounds. */
export function ipv6Cases(load: Load): Case[] {
	load.establish(FLOWS_64K);
	return COMPARED.map(({name, flows}) => ({name, sample: () => load.timeEstablished(flows)}));
}
