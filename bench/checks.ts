/** What it takes to check ten thousand backends: a process that does, and servers that answer it here. */
import {type ChildProcess, fork} from 'node:child_process';
import {once} from 'node:events';
import {readFileSync} from 'node:fs';
import {type AddressInfo, createServer} from 'node:net';
import {fileURLToPath} from 'node:url';
import {type Figure, figures} from '../src/bench/figure.js';

/** What one window took. */
export interface Window {
	/** Of one CPU. */
	readonly cpuPercent: number;
	readonly residentMb: number;
	/** The latest look, behind the time when it was due. */
	readonly latestMs: number;
	readonly looks: number;
	readonly failed: number;
}

export const BACKENDS = 10_000;
export const INTERVAL_S = 10;

const LBD = new URL('../../bin/lbd', import.meta.url);
const CHECKING = fileURLToPath(new URL('checking.js', import.meta.url));
const NAME = `${BACKENDS} backends, TCP_CHECK every ${INTERVAL_S} s`;
/** Of one CPU, resident, and late by less than what anybody would notice of 10 s. */
const GOALS = {cpuPercent: 15, residentMb: 150, latestMs: 1000};

export async function checks(rounds: number): Promise<Figure[]> {
	const windows = await measured(rounds);
	const of = (section: string, unit: 'percent' | 'MB' | 'ms', value: keyof typeof GOALS): Figure[] =>
		figures(section, unit, new Map([[NAME, windows.map(window => window[value])]]), [
			{name: NAME, goals: [{bound: 'at most', value: GOALS[value]}]},
		]);
	return [
		...of('CPU time of checks', 'percent', 'cpuPercent'),
		...of('memory of checks', 'MB', 'residentMb'),
		...of('the latest check', 'ms', 'latestMs'),
	];
}

/** A window is measured a round. */
async function measured(rounds: number): Promise<Window[]> {
	const server = createServer(socket => socket.on('error', () => {}).resume());
	server.listen(0, '0.0.0.0');
	await once(server, 'listening');
	const {port} = server.address() as AddressInfo;
	// Its log is on standard output, as our figures are.
	const stdio = ['ignore', 'ignore', 'inherit', 'ipc'] as const;
	const child = fork(CHECKING, [String(port)], {stdio: [...stdio], execArgv: flagsOfLbd()});
	try {
		const windows: Window[] = [];
		while (windows.length < rounds) windows.push(await nextWindow(child));
		return windows;
	} finally {
		child.disconnect();
		server.close();
	}
}

async function nextWindow(child: ChildProcess): Promise<Window> {
	const ended = once(child, 'exit').then(([code]) => {
		throw new Error(`the checking process ended with ${code}`);
	});
	const [window] = (await Promise.race([once(child, 'message'), ended])) as [Window];
	if (window.failed > 0) throw new Error(`${window.failed} of ${window.looks} checks failed`);
	return window;
}

/** The options that `lbd` gives Node in its first line, for the sake of its memory. */
function flagsOfLbd(): string[] {
	const [first = ''] = readFileSync(LBD, 'utf8').split('\n');
	return first.split(' ').filter(word => word.startsWith('--'));
}
