/** Program time under every load, beside the least that programs of a kind must take. */
import type {BpfProgram} from 'libbpf-ts';
import {type Figure, figures, type Row} from '../src/bench/figure.js';
import {IPV6, IPV6_ROWS, ipv6Cases} from '../src/bench/ipv6.js';
import {Load} from '../src/bench/load.js';
import {FIRST_CLIENT, PERSISTENT_SERVICE, type PlaneOptions, SERVICE} from '../src/bench/plane.js';
import {type Case, interleave} from '../src/bench/statistics.js';
import {ANSWER, type Flows, REQUEST, type Step} from '../src/bench/traffic.js';
import {realClock} from '../src/host/real/clock.js';
import type {Wiring} from './wiring.js';
import {Yardsticks} from './yardsticks.js';

const K64 = 2 ** 16;
const M1 = 2 ** 20;
/** More flows than any run has packets. */
const ENDLESS = 2 ** 24;
const KNOWN_CLIENTS = K64;
const FIRST_KNOWN_CLIENT = 0x0b_00_00_00;
/** A network in every /16, so that the clients' addresses, which are in none, are told apart from them late. */
const BLOCKED = Array.from({length: K64}, (_, network) => `${network >> 8}.${network & 255}.7.0/24`);
const FIRST_BLOCKED_CLIENT = FIRST_CLIENT + (7 << 8);

const ROWS: readonly Row[] = [
	{name: 'MAC swap (XDP_TX)'},
	{name: 'one cold line, 64K flows'},
	{name: 'one cold line, 1M flows'},
	{name: 'one cold line awaited, 64K flows'},
	{name: 'one cold line awaited, 1M flows'},
	{name: 'not ours', goals: [{bound: 'at most', value: 6}]},
	{name: 'established, 1 flow', goals: [{bound: 'at most', value: 20}]},
	{name: 'established, 1 flow, to another NIC'},
	{name: 'established, 1 flow, 64K networks blocked', yardsticks: ['established, 1 flow']},
	{name: 'blocked, 1 flow'},
	{name: 'first fragment, 1 flow', yardsticks: ['established, 1 flow']},
	{name: 'later fragment, 1 flow', yardsticks: ['established, 1 flow']},
	{
		name: 'established, 64K flows',
		yardsticks: ['one cold line, 64K flows', 'one cold line awaited, 64K flows'],
		goals: [
			{bound: 'at most', value: 160},
			{ratio: 'one cold line awaited, 64K flows', bound: 'at most', value: 1.3},
		],
	},
	{
		name: 'established, 1M flows',
		yardsticks: ['one cold line, 1M flows', 'one cold line awaited, 1M flows'],
		goals: [
			{bound: 'at most', value: 190},
			{ratio: 'one cold line awaited, 1M flows', bound: 'at most', value: 1.5},
		],
	},
	...IPV6_ROWS,
	{name: 'reply, 1 flow', goals: [{bound: 'at most', value: 25}]},
	{name: 'forward and reply in turn, 64K flows', yardsticks: ['one cold line awaited, 64K flows']},
	{
		name: 'forward and reply in turn, 1M flows',
		yardsticks: ['one cold line awaited, 1M flows'],
		goals: [{bound: 'at most', value: 120}],
	},
	{name: 'new connection', goals: [{bound: 'at most', value: 350}]},
	{name: 'new connection, persistence, new client', goals: [{bound: 'at most', value: 500}]},
	{name: 'new connection, persistence, known client', goals: [{bound: 'at most', value: 500}]},
];

/** Measures all program times. */
export async function packets(wiring: Wiring, rounds: number): Promise<Figure[]> {
	const opened: {close(): void}[] = [];
	const load = async (options: Omit<PlaneOptions, 'clock'>): Promise<Load> => {
		const made = await Load.open(wiring, {clock: realClock, ...options});
		opened.push(made);
		return made;
	};
	try {
		const [few, many] = [await load({connections: K64}), await load({connections: M1})];
		const fresh = await load({connections: M1, persistentClients: M1});
		const cases = [
			...yardsticks(few, many, opened),
			...established(few, many, wiring),
			...(await blocking(await load({connections: 1}))),
			...ipv6Cases(await load(IPV6)),
			...opening(fresh),
		];
		return figures('program time', 'ns', await interleave(cases, rounds), ROWS);
	} finally {
		for (const closeable of opened) closeable.close();
	}
}

const ONE: Flows = {count: 1, firstClient: FIRST_CLIENT};
const FLOWS_64K: Flows = {count: K64, firstClient: FIRST_CLIENT};
const FLOWS_1M: Flows = {count: M1, firstClient: FIRST_CLIENT};

/** They are added to what is to be closed. */
function yardsticks(few: Load, many: Load, opened: {close(): void}[]): Case[] {
	const beside = ({plane}: Load): Yardsticks => {
		const made = new Yardsticks(plane.buckets);
		opened.push(made);
		return made;
	};
	const [ofFew, ofMany] = [beside(few), beside(many)];
	const few64K = (program: BpfProgram) => () => few.time(program, FLOWS_64K, SERVICE, [REQUEST]);
	const many1M = (program: BpfProgram) => () => many.time(program, FLOWS_1M, SERVICE, [REQUEST]);
	return [
		{name: 'MAC swap (XDP_TX)', sample: () => few.time(ofFew.macSwap, ONE, SERVICE, [REQUEST])},
		{name: 'one cold line, 64K flows', sample: few64K(ofFew.coldLine)},
		{name: 'one cold line, 1M flows', sample: many1M(ofMany.coldLine)},
		{name: 'one cold line awaited, 64K flows', sample: few64K(ofFew.coldLineAwaited)},
		{name: 'one cold line awaited, 1M flows', sample: many1M(ofMany.coldLineAwaited)},
	];
}

function established(few: Load, many: Load, wiring: Wiring): Case[] {
	few.establish(FLOWS_64K);
	many.establish(FLOWS_1M);
	const inTurn: readonly Step[] = [REQUEST, ANSWER];
	return [
		{name: 'not ours', sample: () => few.timeForeign(ONE)},
		{name: 'established, 1 flow', sample: () => few.timeEstablished(ONE)},
		{
			name: 'established, 1 flow, to another NIC',
			sample: () => {
				few.plane.serveThrough(wiring.internal, wiring.server);
				const ns = few.timeEstablished(ONE);
				few.plane.serveThrough(wiring.external, wiring.client);
				return ns;
			},
		},
		{name: 'first fragment, 1 flow', sample: () => few.timeFragment(ONE, 'first')},
		{name: 'later fragment, 1 flow', sample: () => few.timeFragment(ONE, 'later')},
		{name: 'established, 64K flows', sample: () => few.timeEstablished(FLOWS_64K)},
		{name: 'established, 1M flows', sample: () => many.timeEstablished(FLOWS_1M)},
		{name: 'reply, 1 flow', sample: () => few.timeReply(ONE)},
		{
			name: 'forward and reply in turn, 64K flows',
			sample: () => few.timeBusy(FLOWS_64K, inTurn, 'V_REPLY', 0.5),
		},
		{
			name: 'forward and reply in turn, 1M flows',
			sample: () => many.timeBusy(FLOWS_1M, inTurn, 'V_REPLY', 0.5),
		},
	];
}

/** With a block list in force, which a client on it proves. */
async function blocking(load: Load): Promise<Case[]> {
	load.establish(ONE);
	await load.plane.block(BLOCKED);
	return [
		{name: 'established, 1 flow, 64K networks blocked', sample: () => load.timeEstablished(ONE)},
		{name: 'blocked, 1 flow', sample: () => load.timeBlocked({count: 1, firstClient: FIRST_BLOCKED_CLIENT})},
	];
}

/** New connections: each of a flow that has not been before. */
function opening(load: Load): Case[] {
	const strangers: Flows = {count: ENDLESS, firstClient: FIRST_CLIENT};
	const known: Flows = {count: ENDLESS, firstClient: FIRST_KNOWN_CLIENT, clients: KNOWN_CLIENTS};
	load.timeNew(known, PERSISTENT_SERVICE);
	return [
		{name: 'new connection', sample: () => load.timeNew(strangers)},
		{name: 'new connection, persistence, new client', sample: () => load.timeNew(strangers, PERSISTENT_SERVICE)},
		{name: 'new connection, persistence, known client', sample: () => load.timeNew(known, PERSISTENT_SERVICE)},
	];
}
