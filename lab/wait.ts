import {setTimeout as pause} from 'node:timers/promises';

/**
 * How long to wait for what takes part of a second on an idle machine and is no claim about time. A wait that ends earlier
 * fails where the machine is busy, and a longer one only costs time where something is broken.
 */
export const PATIENCE_MS = 20_000;

/** CLOCK_MONOTONIC in milliseconds with microsecond resolution: comparable between all programs on this machine. */
export function monotonicMs(): number {
	return Number(process.hrtime.bigint() / 1000n) / 1000;
}

export interface WaitOptions {
	/** PATIENCE_MS unless told. */
	readonly timeoutMs?: number;
	/** How often to look; 20 ms is well below everything that the laboratory measures. */
	readonly everyMs?: number;
	/** Adds to the error what was seen instead. */
	readonly seen?: () => string;
}

/** Polls until `look` returns something truthy and resolves to it; rejects at the deadline, saying what was awaited. */
export async function waitFor<T>(
	description: string,
	look: () => T | Promise<T>,
	options: WaitOptions = {},
): Promise<Exclude<T, false | null | undefined>> {
	const timeoutMs = options.timeoutMs ?? PATIENCE_MS;
	const deadlineMs = monotonicMs() + timeoutMs;
	for (;;) {
		const found = await look();
		if (found) return found as Exclude<T, false | null | undefined>;
		if (monotonicMs() >= deadlineMs) {
			const seen = options.seen === undefined ? '' : `\n${options.seen()}`;
			throw new Error(`waited ${timeoutMs} ms in vain: ${description}${seen}`);
		}
		await pause(options.everyMs ?? 20);
	}
}
