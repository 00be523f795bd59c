/**
 * The measuring half of `make bench`, in a network namespace of its own and on one CPU; writes the figures as JSON, also
 * those of the other parts when one fails, and exits with 1 then.
 */
import type {Figure} from '../src/bench/figure.js';
import {checks} from './checks.js';
import {configuration} from './configuration.js';
import {flood} from './flood.js';
import {http} from './http.js';
import {memory} from './memory.js';
import {packets} from './packets.js';
import {reload} from './reload.js';
import {sharing} from './sharing.js';
import {wires} from './wires.js';
import {type Wiring, wire} from './wiring.js';

interface Part {
	readonly title: string;
	readonly rounds: number;
	measure(wiring: Wiring, rounds: number): Promise<Figure[]>;
}

const PARTS: readonly Part[] = [
	{title: 'program time', rounds: 7, measure: packets},
	{title: 'delivered packets', rounds: 5, measure: wires},
	{title: 'SYN flood', rounds: 5, measure: flood},
	{title: 'memory', rounds: 3, measure: memory},
	{title: 'sharing', rounds: 3, measure: sharing},
	{title: 'checks', rounds: 3, measure: (_, rounds) => checks(rounds)},
	{title: 'configuration', rounds: 7, measure: configuration},
	{title: 'reload', rounds: 7, measure: reload},
	// Last: it moves the ends of the wires to network namespaces of their own.
	{title: 'HTTP', rounds: 7, measure: http},
];

for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
const wiring = wire();
const figures: Figure[] = [];
for (const {title, rounds, measure} of PARTS) {
	process.stderr.write(`bench: ${title}, ${rounds} rounds\n`);
	try {
		figures.push(...(await measure(wiring, rounds)));
	} catch (error) {
		process.exitCode = 1;
		process.stderr.write(`bench: ${title}: ${(error as Error).stack}\n`);
	}
}
process.stdout.write(JSON.stringify(figures));
