import {constants} from 'node:os';
import {isDeepStrictEqual} from 'node:util';
import type {TrackedScript, TrackerResult} from '../conf/model.js';
import type {Cancel, Clock, ScriptEnd, Scripts} from '../host/host.js';
import type {Log} from '../log.js';

type ScriptResult = Exclude<TrackerResult, number>;

/** What a script has come to, and how many runs in a row have said otherwise since. */
export interface Judgement {
	readonly result: ScriptResult | null;
	readonly against: number;
}

/** keepalived §1.8: the first run decides by itself; later `fall` failures or `rise` successes in a row do. */
export function judge(
	{result, against}: Judgement,
	success: boolean,
	{rise, fall}: Pick<TrackedScript, 'rise' | 'fall'>,
): Judgement {
	const says = success ? 'up' : 'down';
	if (result === null || result === 'absent' || result === says) return {result: says, against: 0};
	const enough = against + 1 >= (success ? rise : fall);
	return enough ? {result: says, against: 0} : {result, against: against + 1};
}

export interface ScriptSetting {
	readonly clock: Clock;
	readonly scripts: Scripts;
	readonly log: Log;
	readonly onResult: (result: TrackerResult) => void;
}

/** Runs one script forever, at fixed times, never twice at once, and says when its result changes. */
export class ScriptWatch {
	readonly #setting: ScriptSetting;
	#tracked: TrackedScript;
	#judgement: Judgement = {result: null, against: 0};
	#lastStatus = 0;
	#run: AbortController | null = null;
	#dueUs = 0;
	/** A run was due while the one before went on. */
	#isLate = false;
	#cancel: Cancel = () => {};

	constructor(tracked: TrackedScript, setting: ScriptSetting) {
		this.#setting = setting;
		this.#tracked = tracked;
		this.#begin();
	}

	/** Another script of the same name begins at once and inherits the result; the same one keeps its rhythm, too. */
	configure(tracked: TrackedScript): void {
		const same = isDeepStrictEqual({...tracked, place: null}, {...this.#tracked, place: null});
		this.#tracked = tracked;
		if (same) return;
		this.stop();
		this.#begin();
	}

	/** Ends the run in flight, too. */
	stop(): void {
		this.#cancel();
		this.#run?.abort();
		this.#run = null;
	}

	#begin(): void {
		this.#dueUs = this.#setting.clock.nowUs();
		this.#due();
	}

	/** The next run is due at its own time, whatever this one takes; times that have passed in a stall are left out. */
	#due(): void {
		const {clock, log} = this.#setting;
		const {name, intervalUs} = this.#tracked;
		const nowUs = clock.nowUs();
		this.#dueUs = Math.max(this.#dueUs + intervalUs, nowUs);
		this.#cancel = clock.after(this.#dueUs - nowUs, `script ${name}`, () => this.#due());
		this.#isLate = this.#run !== null;
		if (this.#isLate) log.info({}, `Track script ${name} is already running, expect idle - skipping run`);
		else void this.#runOnce();
	}

	async #runOnce(): Promise<void> {
		const run = new AbortController();
		this.#run = run;
		this.#isLate = false;
		const {script, timeoutUs} = this.#tracked;
		const end = await this.#setting.scripts.run(script, {timeoutUs, signal: run.signal});
		if (this.#run !== run) return;
		this.#run = null;
		this.#ended(end);
		// One that always takes too long fails at every interval, as in keepalived, not at every other one.
		if (end.kind === 'timeout' && this.#isLate) void this.#runOnce();
	}

	#ended(end: ScriptEnd): void {
		const {name} = this.#tracked;
		this.#reportStatus(end);
		const before = this.#judgement.result;
		const isAbsent = end.kind === 'failed' && (before === null || before === 'absent');
		this.#judgement = isAbsent
			? {result: 'absent', against: 0}
			: judge(this.#judgement, end.kind === 'exited' && end.status === 0, this.#tracked);
		const {result} = this.#judgement;
		if (result === before || result === null) return;
		this.#setting.log[isAbsent ? 'warn' : 'info']({}, `VRRP_Script(${name}) ${endWords(end, isAbsent)}`);
		this.#setting.onResult(result);
	}

	#reportStatus(end: ScriptEnd): void {
		if (end.kind !== 'exited' || end.status === this.#lastStatus) return;
		this.#lastStatus = end.status;
		this.#setting.log.info({}, `Script \`${this.#tracked.name}\` now returning ${end.status}`);
	}
}

/** keepalived's, but for a script that cannot be run, which it disables when it starts. */
function endWords(end: ScriptEnd, isAbsent: boolean): string {
	switch (end.kind) {
		case 'exited':
			return end.status === 0 ? 'succeeded' : `failed (exited with status ${end.status})`;
		case 'signalled':
			return `failed (due to signal ${constants.signals[end.signal as NodeJS.Signals]})`;
		case 'timeout':
			return 'timed_out';
		case 'failed':
			return isAbsent ? `counts for nothing, as it cannot be run: ${end.reason}` : `failed (${end.reason})`;
		default:
			return end satisfies never;
	}
}
