import {type Args, offOnly, one, oneOnly} from '../args.js';
import type {Garp} from '../model.js';
import {fixed, full, type Keywords, rows} from '../table.js';
import {integer, oneOf, wholeSeconds} from '../values.js';
import * as because from './because.js';

/** What `global_defs` and `vrrp_instance` say in the same way. */

export const vrrpVersion = oneOf<2 | 3>({2: 2, 3: 3});

/** The announcement settings that were written. */
export type GarpDraft = {-readonly [K in keyof Garp]?: Garp[K]};

const count = one(integer(1, 65_535));
const delay = one(wholeSeconds(0));

/** `garp_*` of an instance, or `vrrp_garp_*` for all instances. */
export function garpKeywords<D extends {readonly garp: GarpDraft}>(prefix: '' | 'vrrp_'): Keywords<D> {
	return {
		[`${prefix}garp_master_repeat`]: full(count, ({garp}: D, value) => {
			garp.masterRepeat = value;
		}),
		[`${prefix}garp_master_delay`]: full(delay, ({garp}: D, value) => {
			garp.masterDelayUs = value;
		}),
		[`${prefix}garp_master_refresh`]: full(delay, ({garp}: D, value) => {
			garp.masterRefreshUs = value;
		}),
		[`${prefix}garp_master_refresh_repeat`]: full(count, ({garp}: D, value) => {
			garp.masterRefreshRepeat = value;
		}),
		[`${prefix}garp_lower_prio_repeat`]: full(one(integer(0, 65_535)), ({garp}: D, value) => {
			garp.lowerPriorityRepeat = value;
		}),
		[`${prefix}garp_lower_prio_delay`]: full(delay, ({garp}: D, value) => {
			garp.lowerPriorityDelayUs = value;
		}),
	};
}

/** Announcements from time to time on interfaces with a virtual MAC address, or on all. */
export interface ExtraDraft {
	readonly everywhere: boolean;
	readonly us: number;
}

const interval = wholeSeconds(0, 86_400);

const extraArgs: Args<ExtraDraft> = {
	usage: `[all] ${interval.usage}`,
	read(words) {
		const everywhere = words.peek()?.text === 'all';
		if (everywhere) words.shift();
		const us = words.take(interval);
		return us === undefined ? undefined : {everywhere, us};
	},
};

export function extraKeywords<D extends {garpExtra: ExtraDraft | null}>(words: string): Keywords<D> {
	return rows(
		words,
		full(extraArgs, (draft: D, extra) => {
			draft.garpExtra = extra;
		}),
	);
}

/** A refresh at the shorter of the two intervals: what keeps the caches of switches warm refreshes those of hosts, too. */
export function withExtra(garp: Garp, extra: ExtraDraft | null, hasVirtualMac: boolean): Garp {
	if (extra === null || extra.us === 0 || !(extra.everywhere || hasVirtualMac)) return garp;
	const {masterRefreshUs: refreshUs} = garp;
	return {...garp, masterRefreshUs: refreshUs === 0 ? extra.us : Math.min(refreshUs, extra.us)};
}

/** Where keepalived can leave the RFC. */
export function rfcKeywords<D>(prefix: '' | 'vrrp_'): Keywords<D> {
	return {
		[`${prefix}down_timer_adverts`]: fixed(because.rfcVrrp, why => oneOnly(integer(1, 100), 3, why)),
		[`${prefix}lower_prio_no_advert`]: fixed(because.rfcVrrp, offOnly),
		[`${prefix}higher_prio_send_advert`]: fixed(because.rfcVrrp, offOnly),
		[`${prefix}owner_ignore_adverts`]: fixed(because.rfcVrrp, offOnly),
	};
}

/** keepalived's defaults: what the instance says, else `global_defs`, else five rounds, and five more after 5 s. */
export function toGarp(instance: GarpDraft, globals: GarpDraft): Garp {
	const said = {...globals, ...instance};
	const masterRepeat = said.masterRepeat ?? 5;
	const masterDelayUs = said.masterDelayUs ?? 5_000_000;
	return {
		masterRepeat,
		masterDelayUs,
		masterRefreshUs: said.masterRefreshUs ?? 0,
		masterRefreshRepeat: said.masterRefreshRepeat ?? 1,
		lowerPriorityRepeat: said.lowerPriorityRepeat ?? masterRepeat,
		lowerPriorityDelayUs: said.lowerPriorityDelayUs ?? masterDelayUs,
	};
}
