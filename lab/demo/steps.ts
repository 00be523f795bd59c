import {setTimeout as pause} from 'node:timers/promises';
import {type Interruption, interruption} from '../interruption.js';
import type {Lab} from '../lab.js';
import type {Outcome} from '../protocol.js';
import {vips} from '../topology.js';
import {monotonicMs, waitFor} from '../wait.js';

/** What a step works with. */
export interface Stage {
	readonly lab: Lab;
	/** Says what is going on; `detail` is appended where the line can be redrawn. */
	progress(text: string, detail?: string): void;
	/** Counts answers in the picture; a list that grows is counted as it grows. */
	count(outcomes: readonly Outcome[]): void;
}

export interface Step {
	readonly title: string;
	/** Resolves to the figures it found, rejects when it did not find what the title says. */
	run(stage: Stage): Promise<string>;
}

const ADVERT_MS = 1000; // advert_int of the reference files
const BACKUP_PRIORITY = 100;
/** RFC 3768 6.1: how long a backup waits for a silent master. */
const MASTER_DOWN_MS = 3 * ADVERT_MS + ((256 - BACKUP_PRIORITY) / 256) * 1000;
/** For the machine's own slowness and for looking only every 20 ms. */
const MARGIN_MS = 1500;
/** delay_loop 10 twice over, connect_timeout 5 and the check's retries. */
const CHECK_MS = 40_000;

function demand(holds: boolean, otherwise: string): asserts holds {
	if (!holds) throw new Error(otherwise);
}

function seconds(ms: number): string {
	return `${(ms / 1000).toFixed(1)} s`;
}

/** Which servers answered, in order, e.g. `web1 web2 ECONNREFUSED`. */
function answers(outcomes: readonly Outcome[]): string {
	return outcomes.map(outcome => outcome.error ?? outcome.body).join(' ');
}

function alternates(outcomes: readonly Outcome[]): boolean {
	return outcomes.every((outcome, n) => outcome.status === 200 && outcome.body !== outcomes[n - 1]?.body);
}

function answeredBy(outcomes: readonly Outcome[], server: string): number {
	return outcomes.filter(outcome => outcome.body === server).length;
}

const bothStart: Step = {
	title: 'both balancers start with the reference files, and the primary becomes master',
	async run({lab, progress}) {
		progress('starting lbd on lb1 and lb2');
		await Promise.all([lab.lb1.start(), lab.lb2.start()]);
		const startedMs = monotonicMs();
		progress('waiting for lb1 to become master');
		const settled = async () => (await lab.lb1.isMaster()) && (await lab.lb2.vips()).length === 0;
		await waitFor('lb1 is master and lb2 is not', settled);
		return `lb1 owns ${vips.join(' and ')} after ${seconds(monotonicMs() - startedMs)}`;
	},
};

const inTurn: Step = {
	title: 'new connections are dealt in turn',
	async run({lab, progress, count}) {
		progress('20 clients one after the other');
		const sequence = await lab.client.sequence(20);
		count(sequence);
		demand(alternates(sequence), `not in turn: ${answers(sequence)}`);
		progress('1,000 clients at once, on all CPUs');
		const burst = await lab.client.burst(1000);
		count(burst);
		const dealt = [answeredBy(burst, 'web1'), answeredBy(burst, 'web2')] as const;
		demand(dealt[0] === 500 && dealt[1] === 500, `web1 ${dealt[0]}, web2 ${dealt[1]} of 1,000`);
		return `20 alternate; 1,000 at once: web1 ${dealt[0]}, web2 ${dealt[1]}`;
	},
};

const sticks: Step = {
	title: 'one client sticks to its server (persistence_timeout 7200)',
	async run({lab, progress, count}) {
		const from = lab.client.freshAddress();
		progress(`20 connections from ${from}, others in between`);
		const own: Outcome[] = [];
		for (let n = 0; n < 20; n++) {
			own.push(await lab.client.get({from}));
			count([await lab.client.get()]);
		}
		count(own);
		const server = own[0]?.body ?? '';
		demand(own[0]?.status === 200 && answeredBy(own, server) === own.length, answers(own));
		return `20 of 20 connections from ${from} to ${server}`;
	},
};

/** Lets rounds of fresh clients connect until `isOver` likes a round; resolves to how long that took, in milliseconds. */
async function roundsUntil(stage: Stage, why: string, isOver: (round: readonly Outcome[]) => boolean): Promise<number> {
	const startedMs = monotonicMs();
	for (;;) {
		const roundMs = monotonicMs();
		const round = await stage.lab.client.sequence(6);
		stage.count(round);
		if (isOver(round)) return roundMs - startedMs;
		const elapsedMs = monotonicMs() - startedMs;
		demand(elapsedMs < CHECK_MS, `not after ${seconds(elapsedMs)}: ${answers(round)}`);
		stage.progress(`${why} (delay_loop 10)`, `: ${Math.round(elapsedMs / 1000)} s`);
		await pause(250);
	}
}

const serverDies: Step = {
	title: 'a web server dies and is left out',
	async run(stage) {
		const {lab, progress, count} = stage;
		const held = await Promise.all([lab.client.hold(), lab.client.hold()]);
		const onWeb1 = held.find(connection => connection.first.body === 'web1');
		demand(onWeb1 !== undefined, `no connection to web1: ${answers(held.map(connection => connection.first))}`);
		progress('killing nginx on web2');
		await lab.web2.stop();
		const allToWeb1 = (round: readonly Outcome[]) => answeredBy(round, 'web1') === round.length;
		const tookMs = await roundsUntil(stage, 'waiting for the health check to notice', allToWeb1);
		const later = await onWeb1.ask();
		count([later]);
		demand(later.body === 'web1', `the connection to web1 moved or broke: ${answers([later])}`);
		await Promise.all(held.map(connection => connection.close()));
		return `left out after ${seconds(tookMs)}; an open connection to web1 never noticed`;
	},
};

const serverReturns: Step = {
	title: 'it comes back and gets its turn again',
	async run(stage) {
		stage.progress('starting nginx on web2');
		await stage.lab.web2.start();
		const tookMs = await roundsUntil(stage, 'waiting for the health check to notice', alternates);
		return `dealt in turn again after ${seconds(tookMs)}`;
	},
};

/** Runs `event` under a steady stream of new connections; resolves to what the clients felt until `isOver`, and to its delay. */
async function underLoad(
	{lab, count}: Stage,
	event: () => Promise<void>,
	isOver: () => Promise<boolean>,
): Promise<{readonly felt: Interruption; readonly tookMs: number}> {
	const stream = lab.client.stream();
	count(stream.outcomes);
	const answered = (more: number) => {
		const target = stream.outcomes.length + more;
		return waitFor(`${more} more requests`, () => stream.outcomes.length >= target);
	};
	try {
		await answered(25);
		const eventMs = monotonicMs();
		await event();
		await waitFor('the VIPs have moved', isOver);
		const tookMs = monotonicMs() - eventMs;
		await answered(75);
		return {felt: interruption(stream.outcomes), tookMs};
	} finally {
		await stream.stop();
	}
}

function describeFelt(felt: Interruption): string {
	return `clients interrupted for ${felt.ms} ms, ${felt.lost} of ${felt.requests} requests lost`;
}

const masterDies: Step = {
	title: 'the master dies (SIGKILL) and the backup takes over',
	async run(stage) {
		const {lab, progress} = stage;
		const announcements = await lab.capture('client', 'eth0', 'arp');
		progress('killing lbd and lbd-vrrp on lb1, 50 new connections a second');
		const {felt, tookMs} = await underLoad(
			stage,
			() => lab.lb1.kill('SIGKILL'),
			() => lab.lb2.isMaster(),
		);
		const gratuitous = announcements.matching(
			/^02:00:c0:a8:01:0b .*Request who-has 192\.168\.1\.1 .*tell 192\.168\.1\.1,/,
		);
		await announcements.close();
		demand(gratuitous.length > 0, 'lb2 announced nothing by gratuitous ARP');
		const limitMs = MASTER_DOWN_MS + MARGIN_MS;
		const figures = `both VIPs moved after ${seconds(tookMs)}; ${describeFelt(felt)}`;
		demand(tookMs <= limitMs && felt.ms <= limitMs, `${figures}; allowed: ${seconds(limitMs)}`);
		return figures;
	},
};

const masterReturns: Step = {
	title: 'the first balancer returns and is master again',
	async run(stage) {
		const {lab, progress} = stage;
		progress('starting lbd on lb1');
		const {felt, tookMs} = await underLoad(
			stage,
			() => lab.lb1.start(),
			async () => (await lab.lb1.isMaster()) && (await lab.lb2.vips()).length === 0,
		);
		const figures = `both VIPs are back after ${seconds(tookMs)}; ${describeFelt(felt)}`;
		demand(felt.ms <= MASTER_DOWN_MS + MARGIN_MS, figures);
		return figures;
	},
};

/** The first is a condition for all the others. */
export const steps: readonly Step[] = [bothStart, inTurn, sticks, serverDies, serverReturns, masterDies, masterReturns];
