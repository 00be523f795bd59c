/** What a service's stretch of `turns` holds, which depends on its scheduler. Pure. */
import type {Scheduler as ConfScheduler} from '../conf/model.js';
import {type Backend, Scheduler} from '../xdp/layout.gen.js';
import type {BackendId} from '../xdp/tables.js';
import {maglevRing} from './maglev.js';
import {proportion, smoothSequence} from './smooth.js';

const SCHEDULERS: Readonly<Record<ConfScheduler, Scheduler>> = {
	rr: Scheduler.SCHED_RR,
	wrr: Scheduler.SCHED_WRR,
	sh: Scheduler.SCHED_SH,
	dh: Scheduler.SCHED_DH,
	mh: Scheduler.SCHED_MH,
};

/** The scheduler as the program knows it. */
export function schedulerNumber(scheduler: ConfScheduler): Scheduler {
	return SCHEDULERS[scheduler];
}

/** A backend of a service, by its id in the maps. */
export interface Member extends Pick<Backend, 'addr' | 'port' | 'weight'> {
	readonly id: BackendId;
}

/**
 * The sequence of ids for a scheduler. Backends that are not up are in it all the same, so that health changes nothing
 * here; those of weight 0 have no share that could be laid out.
 */
export function sequenceOf(scheduler: ConfScheduler, members: readonly Member[]): BackendId[] {
	const weighty = members.filter(({weight}) => weight > 0);
	switch (scheduler) {
		case 'rr':
			return ids(members);
		case 'wrr': {
			const order = smoothSequence(proportion(weighty.map(({weight}) => weight)));
			return ids(order.flatMap(index => weighty[index] ?? []));
		}
		case 'sh':
		case 'dh':
		case 'mh':
			return ids(maglevRing(weighty));
	}
}

function ids(members: readonly Member[]): BackendId[] {
	return members.map(({id}) => id);
}
