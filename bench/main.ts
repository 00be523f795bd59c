/** `node build/bench/main.js [--json] [--svg FILE]`: measures, and prints what came of it. Needs root. */
import {spawn} from 'node:child_process';
import {writeFileSync} from 'node:fs';
import {cpus} from 'node:os';
import {fileURLToPath} from 'node:url';
import {parseArgs} from 'node:util';
import type {Figure} from '../src/bench/figure.js';
import {describe, machine} from '../src/bench/machine.js';
import {ExitCode} from '../src/errors.js';
import {chart} from './chart.js';
import {enlargeConntrack} from './conntrack.js';
import {report} from './report.js';

const INSIDE = fileURLToPath(new URL('inside.js', import.meta.url));
const TABLE_COLUMNS = 160;

/** Measures in a new network namespace on the last CPU, which has the fewest interrupts; politely ahead of other programs. */
function measure(): Promise<Figure[]> {
	const argv = ['-n', '-10', 'unshare', '--net', 'taskset', '-c', String(cpus().length - 1), process.execPath, INSIDE];
	return new Promise((resolve, reject) => {
		const child = spawn('nice', argv, {stdio: ['ignore', 'pipe', 'inherit']});
		let output = '';
		child.stdout.setEncoding('utf8').on('data', (text: string) => {
			output += text;
		});
		child.once('error', reject);
		child.once('close', code => {
			if (output === '') reject(new Error(`the measurement ended with ${code}: see above`));
			else resolve(JSON.parse(output));
			process.exitCode = code ?? 1;
		});
	});
}

/** What was asked for; ends the program where that cannot be understood. */
function wanted(): {readonly json?: boolean; readonly svg?: string} {
	try {
		return parseArgs({options: {json: {type: 'boolean'}, svg: {type: 'string'}}}).values;
	} catch (error) {
		process.stderr.write(`bench: ${(error as Error).message}\nusage: make bench BENCH='[--json] [--svg FILE]'\n`);
		process.exit(ExitCode.usage);
	}
}

async function main(): Promise<void> {
	const values = wanted();
	const where = machine();
	const lines = [
		...describe(where),
		'mode: native XDP on veth and BPF_PROG_TEST_RUN; one CPU, medians of interleaved rounds',
	];
	process.stderr.write(lines.map(line => `bench: ${line}\n`).join(''));
	process.once('exit', enlargeConntrack());
	const figures = await measure();
	if (values.json) process.stdout.write(`${JSON.stringify({machine: where, figures}, null, '\t')}\n`);
	else process.stdout.write(report(figures, TABLE_COLUMNS, process.stdout.isTTY));
	if (values.svg !== undefined) {
		const note = `${where.cpus} vCPUs, ${where.cpu}, Linux ${where.kernel}, mitigations on; native XDP on veth, one CPU`;
		writeFileSync(values.svg, chart(panels(figures), note));
	}
}

function panels(figures: readonly Figure[]) {
	const of = (prefix: string): readonly Figure[] => figures.filter(({section}) => section.startsWith(prefix));
	const isOurs = ({name}: Figure): boolean => !/MAC swap|nftables|one cold line|HAProxy/.test(name);
	return [
		{heading: 'Program time a packet (less is better)', figures: of('program time'), isOurs},
		{
			heading: 'Delivered over veth, millions of packets a second on one CPU (more is better)',
			figures: of('delivered'),
			isOurs,
		},
		{heading: "The balancer's CPU time of an HTTP request (less is better)", figures: of("the balancer's"), isOurs},
	];
}

for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
await main();
