import {isDeepStrictEqual} from 'node:util';
import type {Check} from '../conf/model.js';
import type {Cancel, Clock} from '../host/host.js';
import type {Log} from '../log.js';
import {attempt} from './attempt.js';
import {type Checker, isTelling, type Result, type WeightChange} from './checker.js';
import {type CheckState, firstDelayUs, initialState, step} from './machine.js';
import type {Slots} from './slots.js';
import {giveUpWords, resultWords, targetName} from './words.js';

/** What one check of a backend has to say. Times are of the host's monotonic clock. */
export interface CheckHealth {
	readonly kind: Check['kind'];
	readonly state: 'up' | 'down' | 'untested';
	readonly lastResult: Result | null;
	readonly lastAtUs: number | null;
	readonly lastDurationUs: number | null;
	/** Failures in a row, up to now. */
	readonly failures: number;
	/** Results since the check was configured. */
	readonly totals: {readonly passed: number; readonly failed: number};
}

/** What probes need from outside, the same for all of them. */
export interface ProbeSetting {
	readonly clock: Clock;
	/** Uniform in [0, 1). */
	readonly random: () => number;
	/** Whether this machine has an address. */
	isHere(address: string): boolean;
	/** The places of all checks of a kind. */
	slotsFor(kind: Check['kind']): Slots;
	checkerFor(check: Check): Checker;
}

/** Whose check it is. */
export interface ProbeOwner {
	/** Whether there is nothing to check for now. */
	isSuspended(): boolean;
	/** A result changes what the check says of the backend, or of its weight. */
	onChange(reason: string): void;
}

/** The life of one configured check: wait, take a slot, look, decide, wait again. */
export class Probe {
	readonly check: Check;
	readonly #setting: ProbeSetting;
	readonly #checker: Checker;
	readonly #log: Log;
	readonly #owner: ProbeOwner;
	#weight: WeightChange | null = null;
	#state: CheckState;
	#cancel: Cancel = () => {};
	#last: {readonly result: Result; readonly atUs: number; readonly durationUs: number} | null = null;
	#failures = 0;
	#totals = {passed: 0, failed: 0};

	/** `up` is what the backend counts as until the first result. */
	constructor(setting: ProbeSetting, check: Check, up: boolean, log: Log, owner: ProbeOwner) {
		this.check = check;
		this.#setting = setting;
		this.#checker = setting.checkerFor(check);
		this.#log = log;
		this.#owner = owner;
		this.#state = initialState(up, check);
		this.#wait(firstDelayUs(check, setting.random()));
	}

	get up(): boolean {
		return this.#state.up;
	}

	/** What it makes of the backend's weight; null: nothing. */
	get weight(): WeightChange | null {
		return this.#weight;
	}

	get #name(): string {
		return `check ${targetName(this.check)}`;
	}

	health(): CheckHealth {
		return {
			kind: this.check.kind,
			state: this.#state.proven ? (this.#state.up ? 'up' : 'down') : 'untested',
			lastResult: this.#last?.result ?? null,
			lastAtUs: this.#last?.atUs ?? null,
			lastDurationUs: this.#last?.durationUs ?? null,
			failures: this.#failures,
			totals: {...this.#totals},
		};
	}

	stop(): void {
		this.#cancel();
	}

	#wait(us: number): void {
		const {clock, slotsFor} = this.#setting;
		this.#cancel = clock.after(us, this.#name, () => {
			if (this.#owner.isSuspended()) this.#wait(this.check.delayLoopUs);
			else this.#cancel = slotsFor(this.check.kind).run(done => this.#look(done));
		});
	}

	#look(done: () => void): Cancel {
		const {clock} = this.#setting;
		const startUs = clock.nowUs();
		return attempt(clock, this.#name, {checker: this.#checker, stage: this.#state.stage}, result => {
			this.#conclude(result, startUs);
			done();
		});
	}

	#conclude(result: Result, startUs: number): void {
		const atUs = this.#setting.clock.nowUs();
		this.#last = {result, atUs, durationUs: atUs - startUs};
		this.#failures = result.ok ? 0 : this.#failures + 1;
		this.#totals[result.ok ? 'passed' : 'failed']++;
		const before = this.#state;
		const next = step(before, result, this.check);
		this.#state = next.state;
		this.#wait(next.delayUs);
		this.#report(before, result);
		const isReweighed = this.#reweigh(result);
		if (before.up !== this.#state.up || isReweighed) this.#owner.onChange(reasonText(this.check, result));
	}

	#reweigh(result: Result): boolean {
		if (!result.ok || result.weight === undefined || isDeepStrictEqual(result.weight, this.#weight)) return false;
		this.#weight = result.weight;
		return true;
	}

	/** State changes and first results at info, each once; everything else is for who asks for it. */
	#report(before: CheckState, result: Result): void {
		const news = before.up !== this.#state.up || before.proven !== this.#state.proven;
		const fields = result.ok ? {} : {reason: result.reason, detail: result.detail};
		const words = resultWords(this.check, result);
		if (!isTelling(result)) this.#log.warn(fields, `${words} The check could not be made; nothing follows from it`);
		else if (news || (this.check.logAllFailures && !result.ok)) this.#log.info(fields, words);
		else this.#log.debug(fields, words);
		if (before.up && !this.#state.up) this.#log.info(fields, giveUpWords(this.check, before));
	}
}

function reasonText(check: Check, result: Result): string {
	return `${check.kind} check: ${result.ok ? 'passed' : result.reason} (${targetName(check)})`;
}
