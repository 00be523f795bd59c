/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * By comparison: lc, wlc, sed, nq, fo and ovf look at all backends and take the best; of equals, the first in the file.
 * What they compare is IPVS's (net/netfilter/ipvs/ip_vs_{lc,wlc,sed,nq,fo,ovf}.c).
 */
#ifndef SLUICE_LEAST_H
#define SLUICE_LEAST_H

#include "candidate.h"

/* What a backend costs, and against which weight; the lowest quotient is best. */
struct bid {
	__u64 cost;
	__u64 weight;
};

/* A comparison of all backends of a service. */
struct auction {
	__u64 offset;
	struct bid best;
	enum scheduler scheduler;
	int backend;
};

/* IPVS counts an active connection for as much as 256 inactive ones. */
static __always_inline __u64 overhead(const struct load *load)
{
	return (load->active << 8) + load->inactive;
}

/* 0: this backend does not take part. */
static __always_inline int make_bid(enum scheduler scheduler, const struct load *load, __u64 weight, struct bid *bid)
{
	switch (scheduler) {
	case SCHED_LC:
		*bid = (struct bid){overhead(load), 1};
		return 1;
	case SCHED_WLC:
		*bid = (struct bid){overhead(load), weight};
		return 1;
	case SCHED_NQ:
		*bid = (struct bid){load->active ? load->active + 1 : 0, weight};
		return 1;
	case SCHED_SED:
		*bid = (struct bid){load->active + 1, weight};
		return 1;
	case SCHED_OVF:
		*bid = (struct bid){1, weight};
		return load->active <= weight;
	case SCHED_FO:
		*bid = (struct bid){1, weight};
		return 1;
	case SCHED_RR:
	case SCHED_WRR:
	case SCHED_SH:
	case SCHED_DH:
	case SCHED_MH:
		break;
	}
	return 0;
}

/* For bpf_loop: compares the next backend with the best so far. */
static long compare_next(__u32 step, void *context)
{
	struct auction *auction = context;
	__u32 place = auction->offset + step;
	__u32 *id = bpf_map_lookup_elem(&turns, &place);
	struct backend *backend = id ? get_backend(*id) : NULL;
	struct openings *ours = id ? bpf_map_lookup_elem(&openings, id) : NULL;
	struct census *known = id ? bpf_map_lookup_elem(&census, id) : NULL;

	if (!id || !backend || !ours || !known || !is_dealt_to(*id, backend))
		return 0;
	struct load load = load_of(ours, known);
	struct bid bid;
	if (!make_bid(auction->scheduler, &load, backend->weight, &bid))
		return 0;
	if (auction->backend >= 0 && auction->best.cost * bid.weight <= bid.cost * auction->best.weight)
		return 0;
	auction->best = bid;
	auction->backend = *id;
	return 0;
}

/* The backend that the service's scheduler thinks best, or NO_BACKEND. */
__noinline int take_best(__u32 service)
{
	const struct service *entry = get_service(service);

	if (!entry)
		return NO_BACKEND;
	__u64 turn = entry->turn;
	struct auction auction = {
		.offset = stretch_offset(turn),
		.scheduler = entry->scheduler,
		.backend = NO_BACKEND,
	};
	__u64 length = stretch_length(turn);

	bpf_loop(length < COMPARED_BACKENDS ? length : COMPARED_BACKENDS, compare_next, &auction, 0);
	return auction.backend;
}

#endif
