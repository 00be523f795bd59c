import type {Cancel, Clock} from '../host.js';

/** Longer waits make Node fire at once; they are taken in several steps. */
const WAIT_MAX_MS = 0x7fff_ffff;

/** CLOCK_MONOTONIC and Node's timers, which are made to never fire early. */
export const realClock: Clock = {
	nowUs: () => {
		const [seconds, nanoseconds] = process.hrtime();
		return seconds * 1_000_000 + Math.floor(nanoseconds / 1000);
	},
	wall: () => new Date(),
	after: (us, _name, fn) => waitUntil(realClock.nowUs() + us, fn),
};

function waitUntil(dueUs: number, fn: () => void): Cancel {
	let timer: NodeJS.Timeout;
	const wait = (): void => {
		const leftMs = Math.ceil((dueUs - realClock.nowUs()) / 1000);
		timer = setTimeout(() => (dueUs > realClock.nowUs() ? wait() : fn()), Math.min(leftMs, WAIT_MAX_MS));
	};
	wait();
	return () => clearTimeout(timer);
}
