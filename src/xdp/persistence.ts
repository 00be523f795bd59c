import type {Maps} from './maps.js';

/**
 * Removes persistence entries whose time is over; the program itself only ever replaces them. Returns how many are left.
 * An entry that its client renews meanwhile stays.
 */
export async function sweepPersistence(maps: Maps, jiffies: bigint): Promise<number> {
	let left = 0;
	for (const [key, {expires}] of await maps.persistence.entries()) {
		const over = expires <= jiffies && maps.persistence.get(key)?.expires === expires;
		if (over) maps.persistence.delete(key);
		else left++;
	}
	return left;
}
