import type {NameLock} from '../../control/lock.js';
import {ControlError} from '../../errors.js';
import type {Report} from '../session.js';

/**
 * `lbctl unload`: takes the program of a stopped daemon off its NICs and removes its maps. Takes the daemon's own lock
 * meanwhile, so a running one is refused and none can start halfway.
 */
export async function unload(
	name: string,
	lock: (name: string) => NameLock,
	remove: (name: string) => Promise<void>,
): Promise<Report> {
	const held = takeLock(name, lock);
	try {
		await remove(name);
	} finally {
		held.release();
	}
	return {
		json: {name, unloaded: true},
		text: () => `"${name}" is unloaded: its program is off the NICs, its maps, flows and counters are gone\n`,
	};
}

function takeLock(name: string, lock: (name: string) => NameLock): NameLock {
	try {
		return lock(name);
	} catch (cause) {
		if (!(cause instanceof ControlError) || cause.code !== 'already-running') throw cause;
		throw new ControlError(
			'still-running',
			`unload: the daemon named "${name}" is running (stop it first: systemctl stop lbd)`,
			{
				cause,
				exitCode: cause.exitCode,
			},
		);
	}
}
