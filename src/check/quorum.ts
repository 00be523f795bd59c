import type {Service} from '../conf/model.js';

type Thresholds = Pick<Service, 'quorum' | 'hysteresis'>;

/**
 * Whether a service has its quorum when the weights of its live backends add up to `weight` (keepalived, ipwrapper.c):
 * gained at quorum + hysteresis, lost below quorum - hysteresis or when nothing is left.
 */
export function hasQuorum(had: boolean, weight: number, {quorum, hysteresis}: Thresholds): boolean {
	if (!had) return weight >= quorum + hysteresis;
	return weight > 0 && weight >= quorum - hysteresis;
}
