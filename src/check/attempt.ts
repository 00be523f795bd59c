import type {Cancel, Clock} from '../host/host.js';
import {type Checker, failed, type Look, type Result} from './checker.js';

/** What is looked at and how. */
interface Subject {
	readonly checker: Checker;
	readonly stage: number;
}

/**
 * Runs a checker once and reports exactly one result: its own, or what it means that a step is not done in time. What a
 * checker does after that, or after the cancel, no longer counts: a stuck one holds up nobody else.
 */
export function attempt(clock: Clock, name: string, subject: Subject, onResult: (result: Result) => void): Cancel {
	const look = new TimedLook(clock, name, subject, onResult);
	look.begin();
	return () => look.end();
}

/** With fields and one listener: closures and an AbortSignal for each of a thousand looks a second were a third of the garbage. */
class TimedLook implements Look {
	readonly stage: number;
	readonly #clock: Clock;
	readonly #name: string;
	readonly #checker: Checker;
	readonly #onResult: (result: Result) => void;
	#onOver: (() => void) | null = null;
	#cancelDeadline: Cancel = () => {};
	#isOver = false;

	constructor(clock: Clock, name: string, {checker, stage}: Subject, onResult: (result: Result) => void) {
		this.#clock = clock;
		this.#name = name;
		this.#checker = checker;
		this.stage = stage;
		this.#onResult = onResult;
	}

	begin(): void {
		this.advance();
		examine(this.#checker, this).then(result => this.#settle(result));
	}

	advance(): void {
		this.#cancelDeadline();
		if (this.#isOver) return;
		const {timeoutUs} = this.#checker;
		this.#cancelDeadline = this.#clock.after(timeoutUs, `${this.#name}: timeout`, () => {
			this.#settle(this.#checker.late ?? failed('timeout', `no answer within ${timeoutUs / 1_000_000} s`));
		});
	}

	onOver(listener: () => void): void {
		if (this.#isOver) listener();
		else this.#onOver = listener;
	}

	end(): void {
		this.#isOver = true;
		this.#cancelDeadline();
		this.#onOver?.();
	}

	#settle(result: Result): void {
		if (this.#isOver) return;
		this.end();
		this.#onResult(result);
	}
}

async function examine(checker: Checker, look: Look): Promise<Result> {
	try {
		return await checker.check(look);
	} catch (error) {
		return failed('error', String(error));
	}
}
