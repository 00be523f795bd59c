/** Counting the connections of backends, for schedulers and thresholds: the daemon's half of what bpf/maps.h describes. */
import type {Cancel, Clock} from '../host/host.js';
import type {Log} from '../log.js';
import {countFlows} from './flows.js';
import {ServiceFlag, type Settings} from './layout.gen.js';
import type {Maps} from './maps.js';
import type {Tables} from './tables.js';

/** The program counts a connection that has ended until the next census. */
const CENSUS_US = 1_000_000;

/**
 * Writes how many connections each backend of a counted service has: some 10 ms for a million slots, nothing without such
 * a service. What opens meanwhile may count twice, until the next census.
 */
export function takeCensus(maps: Maps, tables: Tables, settings: Settings, jiffies: bigint): void {
	const counted = [...tables.backends].filter(([, {service}]) => isCounted(tables, service));
	if (counted.length === 0) return;
	const opened = new Map(counted.map(([id]) => [id, maps.opened(id)]));
	const {byBackend, activeByBackend} = countFlows(maps.flows, settings, jiffies);
	for (const [id, before] of opened) {
		const active = activeByBackend.get(id) ?? 0;
		const inactive = (byBackend.get(id) ?? 0) - active;
		maps.census.set(id, {active: BigInt(active), inactive: BigInt(inactive), opened: before, taken: jiffies});
	}
}

function isCounted({services}: Tables, service: number): boolean {
	return ((services.get(service)?.flags ?? 0) & ServiceFlag.SERVICE_COUNTED) !== 0;
}

export interface CensusSeams {
	readonly dataPlane: {takeCensus(): void};
	readonly clock: Clock;
	readonly log: Log;
}

/** Takes a census now and every second, until it is cancelled. */
export function keepCounting({dataPlane, clock, log}: CensusSeams): Cancel {
	let cancel: Cancel = () => {};
	const count = (): void => {
		try {
			dataPlane.takeCensus();
		} catch (error) {
			log.error({error}, 'the connections of the backends could not be counted');
		}
		cancel = clock.after(CENSUS_US, 'count connections', count);
	};
	count();
	return () => cancel();
}
