/** What the schedulers differ in, as far as the maps are concerned. Pure. */
import type {Scheduler as ConfScheduler} from '../conf/model.js';
import {type Backend, Limits, Scheduler} from '../xdp/layout.gen.js';
import type {BackendId, ServiceId} from '../xdp/tables.js';
import {maglevRing} from './maglev.js';
import {isSame} from './same.js';
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

/** What was laid out, so that a look at the backends that changes none of them lays out nothing anew: a ring takes 5 ms. */
export class Sequences {
	#known: ReadonlyMap<ServiceId, Layout> = new Map();
	#next = new Map<ServiceId, Layout>();

	/** The sequence of a service's backends, by its scheduler. */
	of(service: ServiceId, scheduler: ConfScheduler, members: readonly Member[]): readonly BackendId[] {
		const known = this.#known.get(service);
		const layout =
			known !== undefined && known.scheduler === scheduler && isSame(known.members, members)
				? known
				: {scheduler, members, ids: SCHEDULERS[scheduler].sequence(members).map(({id}) => id)};
		this.#next.set(service, layout);
		return layout.ids;
	}

	/** For a look of which nothing is to be remembered. */
	branch(): Sequences {
		const branch = new Sequences();
		branch.#known = this.#known;
		return branch;
	}

	/** A look is over: services that it has not asked for are forgotten. */
	settle(): void {
		this.#known = this.#next;
		this.#next = new Map();
	}
}

interface Layout {
	readonly scheduler: ConfScheduler;
	readonly members: readonly Member[];
	readonly ids: readonly BackendId[];
}

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
