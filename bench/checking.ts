/**
 * The measured half of checks.ts, a process of its own: checks BACKENDS backends on loopback, all the time, and tells its
 * parent once a window what that took.
 */
import {checkerFor} from '../src/check/checkers.js';
import {CheckRunner} from '../src/check/runner.js';
import type {Check, Service} from '../src/conf/model.js';
import {readConfig} from '../src/conf/read.js';
import {realClock} from '../src/host/real/clock.js';
import {keepHeapSmall} from '../src/host/real/heap.js';
import {realLog} from '../src/host/real/log.js';
import {realScripts} from '../src/host/real/scripts.js';
import {realSmallFiles} from '../src/host/real/small-files.js';
import {BACKENDS, INTERVAL_S, type Window} from './checks.js';

const PER_SERVICE = 100;

/** Each backend at an address of its own, 127.1.0.0 and up, so that no two connections are one. */
function configuration(port: number): string {
	const realServer = (index: number): string =>
		`real_server 127.1.${index >> 8}.${index & 0xff} ${port} {\nTCP_CHECK {\n}\n}`;
	const virtualServer = (_: unknown, index: number): string => {
		const servers = Array.from({length: PER_SERVICE}, (_, one) => realServer(index * PER_SERVICE + one));
		const options = `delay_loop ${INTERVAL_S}\nprotocol TCP\nlb_algo rr\nlb_kind NAT`;
		return `virtual_server 192.0.2.1 ${index + 1} {\n${options}\n${servers.join('\n')}\n}`;
	};
	return Array.from({length: BACKENDS / PER_SERVICE}, virtualServer).join('\n');
}

function services(port: number): readonly Service[] {
	const bytes = Buffer.from(configuration(port));
	const {config} = readConfig('bench', {read: () => bytes, isExposed: () => false, list: () => []});
	if (config === null) throw new Error('the configuration of the bench has errors');
	return config.services;
}

/** Of the current window. */
const seen = {latestUs: 0, looks: 0, failed: 0};
/** When each check ended last. */
const ended = new Map<Check, number>();

const runner = new CheckRunner({
	clock: realClock,
	log: realLog({debug: false}),
	random: Math.random,
	onChange() {},
	isHere: () => true,
	onWeight() {},
	checkerFor(check) {
		const checker = checkerFor(check, {scripts: realScripts(), smallFiles: realSmallFiles});
		return {
			...checker,
			async check(look) {
				const before = ended.get(check);
				const due = before === undefined ? null : before + check.delayLoopUs;
				if (due !== null) seen.latestUs = Math.max(seen.latestUs, realClock.nowUs() - due);
				const result = await checker.check(look);
				ended.set(check, realClock.nowUs());
				seen.looks++;
				if (!result.ok) seen.failed++;
				return result;
			},
		};
	},
});

function report(): void {
	const begun = {cpu: process.cpuUsage(), us: realClock.nowUs()};
	Object.assign(seen, {latestUs: 0, looks: 0, failed: 0});
	realClock.after(INTERVAL_S * 1_000_000, 'window', () => {
		const {user, system} = process.cpuUsage(begun.cpu);
		const window: Window = {
			cpuPercent: ((user + system) * 100) / (realClock.nowUs() - begun.us),
			residentMb: process.memoryUsage.rss() / 1e6,
			latestMs: seen.latestUs / 1000,
			looks: seen.looks,
			failed: seen.failed,
		};
		process.send?.(window);
		report();
	});
}

keepHeapSmall();
runner.configure(services(Number(process.argv[2])));
// The first looks are spread over the second before and the warm-up.
realClock.after((INTERVAL_S + 2) * 1_000_000, 'warm-up', report);
process.once('disconnect', () => process.exit());
