import type {Maps} from './maps.js';

/**
 * Removes persistence entries whose time is over; the program itself only ever replaces them. Returns how many are left.
 * An entry that its client renews meanwhile stays.
 */
export async function sweepPersistence(maps: Maps, jiffies: bigint): Promise<number> {
	let left = 0;
	for (const persistence of Object.values(maps.persistence)) {
		for (const [key, {expires}] of await persistence.entries()) {
			const over = expires <= jiffies && persistence.get(key)?.expires === expires;
			if (over) persistence.delete(key);
			else left++;
		}
	}
	return left;
}
