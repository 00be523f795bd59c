/** What the schedulers differ in, as far as the maps are concerned. Pure. */
import type {Scheduler as ConfScheduler} from '../conf/model.js';
import {type Backend, Limits, Scheduler} from '../xdp/layout.gen.js';
import type {BackendId} from '../xdp/tables.js';
import {maglevRing} from './maglev.js';
import {proportion, smoothSequence} from './smooth.js';

/** A backend of a service, by its id in the maps. */
export interface Member extends Pick<Backend, 'addr' | 'port' | 'weight'> {
	readonly id: BackendId;
}

export interface SchedulerTraits {
	/** As the program knows it. */
	readonly number: Scheduler;
	/**
	 * What its stretch of `turns` holds. Backends that are not up are in it all the same, so that health changes nothing
	 * here; those of weight 0 have no share that could be laid out.
	 */
	readonly sequence: (members: readonly Member[]) => readonly Member[];
	/** How many backends it can choose among. */
	readonly most: number;
	/** Whether it asks how many connections they have. */
	readonly counts: boolean;
}

const inTurn = {most: Number.POSITIVE_INFINITY, counts: false} as const;
const byHash = {...inTurn, sequence: (members: readonly Member[]) => maglevRing(weighty(members))} as const;
const byComparison = {sequence: inOrder, most: Limits.LIMIT_COMPARED_BACKENDS, counts: true} as const;

export const SCHEDULERS: Readonly<Record<ConfScheduler, SchedulerTraits>> = {
	rr: {...inTurn, number: Scheduler.SCHED_RR, sequence: inOrder},
	wrr: {...inTurn, number: Scheduler.SCHED_WRR, sequence: smoothly},
	sh: {...byHash, number: Scheduler.SCHED_SH},
	dh: {...byHash, number: Scheduler.SCHED_DH},
	mh: {...byHash, number: Scheduler.SCHED_MH},
	lc: {...byComparison, number: Scheduler.SCHED_LC},
	wlc: {...byComparison, number: Scheduler.SCHED_WLC},
	sed: {...byComparison, number: Scheduler.SCHED_SED},
	nq: {...byComparison, number: Scheduler.SCHED_NQ},
	fo: {...byComparison, number: Scheduler.SCHED_FO, counts: false},
	ovf: {...byComparison, number: Scheduler.SCHED_OVF},
};

function inOrder(members: readonly Member[]): readonly Member[] {
	return members;
}

function smoothly(members: readonly Member[]): readonly Member[] {
	const dealt = weighty(members);
	const order = smoothSequence(proportion(dealt.map(({weight}) => weight)));
	return order.flatMap(index => dealt[index] ?? []);
}

function weighty(members: readonly Member[]): readonly Member[] {
	return members.filter(({weight}) => weight > 0);
}
