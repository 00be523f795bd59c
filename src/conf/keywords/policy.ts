import {type Args, one} from '../args.js';
import type {ConnectionLimits, Policy, Rate} from '../model.js';
import {full, type Keywords} from '../table.js';
import {integer, oneOf} from '../values.js';

/** What `lbd { … }` says for all services and `service … { … }` in it for one; what neither writes is undefined. */
export interface PolicyDraft {
	failedBackend?: Policy['failedBackend'];
	noBackend?: Policy['noBackend'];
	/** null: without limit. */
	perSource?: Rate | null;
	perService?: Rate | null;
}

/** New connections a second; far more than one machine takes. */
const RATE_MAX = 10_000_000;
const burst = integer(1, RATE_MAX);

/** `100`, `100 500`, or `0` for no limit. Without a burst, a second's worth may come at once. */
const rateArgs: Args<Rate | null> = {
	usage: 'RATE [BURST]',
	read(words) {
		const perSecond = words.take(integer(0, RATE_MAX));
		if (perSecond === undefined) return undefined;
		if (perSecond === 0) return null;
		const atOnce = words.peek() === undefined ? perSecond : words.take(burst);
		return atOnce === undefined ? undefined : {perSecond, burst: atOnce};
	},
};

export function policyKeywords<D extends PolicyDraft>(): Keywords<D> {
	return {
		failed_backend: full(
			one(oneOf({keep: 'keep', drop: 'drop', reset: 'reset', reschedule: 'reschedule'})),
			(draft: D, failedBackend) => {
				draft.failedBackend = failedBackend;
			},
		),
		no_backend: full(one(oneOf({reject: 'reject', reset: 'reset', drop: 'drop'})), (draft: D, noBackend) => {
			draft.noBackend = noBackend;
		}),
		new_connections_per_source: full(rateArgs, (draft: D, rate) => {
			draft.perSource = rate;
		}),
		new_connections_per_service: full(rateArgs, (draft: D, rate) => {
			draft.perService = rate;
		}),
	};
}

/** What IPVS does, where the drafts, the most particular one first, say nothing. */
export function toPolicy(...drafts: readonly PolicyDraft[]): {
	readonly policy: Policy;
	readonly limits: ConnectionLimits;
} {
	const said: PolicyDraft = Object.assign({}, ...drafts.toReversed());
	return {
		policy: {failedBackend: said.failedBackend ?? 'drop', noBackend: said.noBackend ?? 'reject'},
		limits: {perSource: said.perSource ?? null, perService: said.perService ?? null},
	};
}
