/** A soak: episodes of disturbances under load, after each of which all must be well again. */
import {copyFileSync, mkdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {interruption} from '../../lab/interruption.js';
import {Lab} from '../../lab/lab.js';
import {monotonicMs} from '../../lab/wait.js';
import {startServer} from '../lab/datagrams.js';
import {configurationOf, DATAGRAM_PORT} from './configuration.js';
import type {Sample} from './growth.js';
import {type Allowance, allowances, DOUBLE_MASTER_MS, isAllowed, type Trouble} from './judge.js';
import {Lateness} from './lateness.js';
import {type Counts, Load, type LoadSize} from './load.js';
import {describeEpisode, type Episode} from './plan.js';
import {summary} from './report.js';
import {Stage, writeHealthPage} from './stage.js';
import {Watch} from './watch.js';

export interface SoakOptions {
	readonly episodes: Iterable<Episode>;
	/** No episode begins later. */
	readonly durationMs: number;
	readonly size: LoadSize;
	/** Is told each line of the story as it happens. */
	readonly tell: (line: string) => void;
	/** Logs, the story and all samples go there when something was wrong. */
	readonly keepIn: string;
}

export interface EpisodeReport {
	readonly episode: Episode;
	/** From its first disturbance until all was well. */
	readonly ms: number;
	/** The longest time in which no new request was served in time, and how many never were. */
	readonly gapMs: number;
	readonly lost: number;
	readonly doubleMs: number;
	/** What was allowed, and what was not. */
	readonly allowed: number;
	readonly faults: readonly string[];
}

export interface SoakReport {
	readonly episodes: readonly EpisodeReport[];
	readonly counts: Readonly<Counts>;
	readonly held: number;
	readonly samples: readonly Sample[];
	/** Outside any episode, or what ended the soak. */
	readonly faults: readonly string[];
	readonly latenessMs: number;
}

/** So long after all is well, what was lost by then has been missed. */
const CALM_MS = 1000;
/** Of one episode; more say nothing new. */
const FAULTS_TOLD = 8;

class Soak {
	readonly #options: SoakOptions;
	readonly #lab: Lab;
	readonly #stage: Stage;
	readonly #watch: Watch;
	readonly #load: Load;
	readonly #lateness = new Lateness();
	readonly #story: string[] = [];
	readonly #startMs = monotonicMs();
	/** Of all episodes: a download tells of its troubles when it ends. */
	readonly #allowed: Allowance[] = [];
	readonly reports: EpisodeReport[] = [];
	readonly samples: Sample[] = [];
	readonly faults: string[] = [];

	private constructor(options: SoakOptions, lab: Lab, parts: {watch: Watch; load: Load}) {
		this.#options = options;
		this.#lab = lab;
		this.#watch = parts.watch;
		this.#load = parts.load;
		this.#stage = new Stage(lab, what => this.#tell(what));
	}

	/** Resolves when both balancers run, all is well and the clients are there. */
	static async begin(options: SoakOptions, lab: Lab): Promise<Soak> {
		for (const server of ['web1', 'web2'] as const) {
			writeHealthPage(lab, server);
			await startServer(lab, server, DATAGRAM_PORT);
		}
		await Promise.all([lab.lb1.start(), lab.lb2.start()]);
		const watch = await Watch.begin(lab);
		await watch.settled();
		const load = await Load.begin(lab, options.size);
		return new Soak(options, lab, {watch, load});
	}

	async run(): Promise<SoakReport> {
		await this.#rest();
		try {
			for (const episode of this.#options.episodes) {
				if (monotonicMs() - this.#startMs >= this.#options.durationMs) break;
				await this.#play(episode);
			}
			await this.#load.end();
			await this.#rest();
		} catch (error) {
			this.#wrong(this.faults, (error as Error).message);
		}
		const latenessMs = this.#lateness.end();
		await Promise.all([this.#load.leave(), this.#watch.end()]);
		const {reports: episodes, samples, faults} = this;
		const {counts, held} = this.#load;
		const report = {episodes, counts, held, samples, faults, latenessMs};
		if (summary(report).faults.length > 0) this.#keep();
		return report;
	}

	async #play(episode: Episode): Promise<void> {
		this.#tell(describeEpisode(episode));
		const beganMs = monotonicMs();
		const performed = await this.#stage.play(episode);
		await this.#watch.settled();
		const settledMs = monotonicMs();
		this.#allowed.push(...allowances(performed.map(action => ({...action, settledMs}))));
		await this.#rest({episode, ms: settledMs - beganMs});
	}

	/** All is well: what did clients feel since the last time, and what is there now? */
	async #rest(of?: {episode: Episode; ms: number}): Promise<void> {
		await pause(CALM_MS);
		const latenessMs = this.#lateness.worstMs();
		const {troubles, stream} = await this.#load.look(latenessMs);
		const {sample, faults: found} = await this.#watch.look();
		this.samples.push(sample);
		const doubleMs = this.#watch.doubleMs();
		const wrong = troubles.filter(trouble => !isAllowed(trouble, this.#allowed, latenessMs));
		const faults = [...this.#stage.faults(), ...found, ...this.#words(wrong)];
		if (doubleMs > DOUBLE_MASTER_MS + latenessMs) faults.push(`two masters for ${Math.round(doubleMs)} ms`);
		const {ms: gapMs, lost} = interruption(stream);
		const felt = `gap ${gapMs} ms, ${lost} of ${stream.length} requests lost, ${troubles.length - wrong.length} troubles allowed`;
		this.#tell(
			`  ${of === undefined ? 'calm' : `well after ${(of.ms / 1000).toFixed(1)} s`}: ${felt}, lateness ${Math.round(latenessMs)} ms`,
		);
		if (of === undefined) for (const fault of faults) this.#wrong(this.faults, fault);
		else {
			const kept: string[] = [];
			for (const fault of faults) this.#wrong(kept, fault);
			const {episode, ms} = of;
			this.reports.push({episode, ms, gapMs, lost, doubleMs, allowed: troubles.length - wrong.length, faults: kept});
		}
	}

	#words(wrong: readonly Trouble[]): string[] {
		const told = wrong.slice(0, FAULTS_TOLD).map(({who, what, fromMs, untilMs, openedMs, text}) => {
			const at = (ms: number) => ((ms - this.#startMs) / 1000).toFixed(3);
			return `${who} ${what} at ${at(fromMs)} s for ${Math.round(untilMs - fromMs)} ms (opened at ${at(openedMs)} s): ${text}`;
		});
		return wrong.length > told.length ? [...told, `and ${wrong.length - told.length} troubles more`] : told;
	}

	#wrong(faults: string[], fault: string): void {
		faults.push(fault);
		this.#tell(`  WRONG: ${fault}`);
	}

	#tell(line: string): void {
		const text = `${((monotonicMs() - this.#startMs) / 1000).toFixed(1).padStart(6)} s  ${line}`;
		this.#story.push(text);
		this.#options.tell(text);
	}

	#keep(): void {
		const {keepIn} = this.#options;
		mkdirSync(keepIn, {recursive: true});
		for (const name of ['lb1', 'lb2'])
			copyFileSync(join(this.#lab.directory, `${name}.log`), join(keepIn, `${name}.log`));
		writeFileSync(join(keepIn, 'story'), `${this.#story.join('\n')}\n`);
		writeFileSync(join(keepIn, 'samples.json'), JSON.stringify(this.samples));
	}
}

/** Builds a laboratory, soaks it and removes it. */
export async function soak(options: SoakOptions): Promise<SoakReport> {
	const lab = await Lab.create({configs: {lb1: configurationOf('lb1'), lb2: configurationOf('lb2')}});
	try {
		return await (await Soak.begin(options, lab)).run();
	} finally {
		await lab.destroy();
	}
}
