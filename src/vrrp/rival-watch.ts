import type {RefusalReason} from '../net/vrrp-packet.js';

/** Another master of the same virtual router, as a master hears it. */
export interface OtherMaster {
	readonly address: string;
	/** Why its adverts are not believed, or null. */
	readonly refused: RefusalReason | null;
}

/** Of its advert intervals: an honest master is given up after three. */
const SILENT_INTERVALS = 3.5;

/** Refused adverts that a router of our own VRID sends which is master by other rules, another key or another clock. */
const REFUSED_MASTERS: ReadonlySet<RefusalReason> = new Set([
	'bad-version',
	'bad-auth-type',
	'bad-password',
	'bad-auth-header',
	'missing-trailer',
	'unexpected-trailer',
	'bad-trailer',
	'stale',
	'unknown-key',
	'bad-hmac',
	'replayed',
	'advert-interval',
	'address-list',
]);

export function isRefusedMaster(reason: RefusalReason): boolean {
	return REFUSED_MASTERS.has(reason);
}

/**
 * Whether two masters are there, from the adverts that one of them hears. A single advert is the farewell of a master that
 * has just been outranked; who advertises again half an interval later has not left. Times are in microseconds.
 */
export class RivalWatch {
	#heard: {readonly firstUs: number; readonly lastUs: number; readonly rival: OtherMaster} | null = null;
	#isAlarmed = false;
	#count = 0;

	/** How often two masters have been there. */
	get count(): number {
		return this.#count;
	}

	/** The other master, while there are two. */
	get rival(): OtherMaster | null {
		return this.#isAlarmed && this.#heard !== null ? this.#heard.rival : null;
	}

	/** Takes in an advert; whether now there are two, and were not before. */
	hears(rival: OtherMaster, nowUs: number, intervalUs: number): boolean {
		const firstUs = this.#heard?.firstUs ?? nowUs;
		this.#heard = {firstUs, lastUs: nowUs, rival};
		if (this.#isAlarmed || nowUs - firstUs < intervalUs / 2) return false;
		this.#isAlarmed = true;
		this.#count++;
		return true;
	}

	/** Whether the other one has fallen silent, and there were two until now. */
	passes(nowUs: number, intervalUs: number): boolean {
		if (this.#heard === null || nowUs - this.#heard.lastUs < SILENT_INTERVALS * intervalUs) return false;
		return this.ends();
	}

	/** We are master no more, or the other one says so of itself; whether there were two until now. */
	ends(): boolean {
		const wereTwo = this.#isAlarmed;
		this.#heard = null;
		this.#isAlarmed = false;
		return wereTwo;
	}
}
