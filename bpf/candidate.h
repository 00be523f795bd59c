/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whether a backend can be given a new connection, and how many it has: what schedulers ask. */
#ifndef SLUICE_CANDIDATE_H
#define SLUICE_CANDIDATE_H

#include "flows.h"

#define NO_BACKEND (-1)

/* Where a service's stretch of `turns` begins, and how long it is. */
static __always_inline __u32 stretch_offset(__u64 turn)
{
	return turn >> 32;
}

/* bpf_loop takes 32 bits and the kernel judges all 64 of the register; clang would leave the offset in the upper half. */
static __always_inline __u64 stretch_length(__u64 turn)
{
	__u64 length = turn & 0xffffffff;

	flow_opaque(length);
	return length;
}

/* Connections of a backend, see struct openings. */
struct load {
	__u64 active;
	__u64 inactive;
};

static __always_inline struct load load_of(const struct openings *ours, const struct census *census)
{
	__u64 since = ours->opened - census->opened;

	return (struct load){.active = census->active + since, .inactive = census->inactive};
}

static __always_inline int is_valid(const struct census *census)
{
	struct settings *set = get_settings();

	return set && bpf_jiffies64() - census->taken < (__u64)CENSUS_VALID_S * set->hz;
}

/*
 * IPVS's rule (net/netfilter/ipvs/ip_vs_conn.c): too much from the upper threshold on, and until there is less than the
 * lower one. Without a recent census, connections that have ended would count for ever, so nobody is refused.
 */
static __always_inline int is_overloaded(__u32 id, const struct backend *backend)
{
	if (!backend->upper_threshold)
		return 0;
	struct openings *ours = bpf_map_lookup_elem(&openings, &id);
	struct census *known = bpf_map_lookup_elem(&census, &id);
	if (!ours || !known || !is_valid(known))
		return 0;
	struct load load = load_of(ours, known);
	__u64 all = load.active + load.inactive;
	if (all >= backend->upper_threshold)
		ours->overloaded = 1;
	else if (all < backend->lower_threshold)
		ours->overloaded = 0;
	return ours->overloaded;
}

/* Whether packets can reach it at all. */
static __always_inline int is_reachable(const struct backend *backend)
{
	return (backend->state == BACKEND_UP || backend->state == BACKEND_DRAIN) && backend->next_hop;
}

static __always_inline int is_dealt_to(__u32 id, const struct backend *backend)
{
	return backend && backend->state == BACKEND_UP && backend->next_hop && !is_overloaded(id, backend);
}

/* Notes that a backend of a counted service was dealt a connection. */
__noinline int count_opening(__u32 id)
{
	struct openings *ours = bpf_map_lookup_elem(&openings, &id);
	struct backend *backend = get_backend(id);
	if (!ours || !backend)
		return 0;
	__sync_fetch_and_add(&ours->opened, 1);
	is_overloaded(id, backend); /* this one may have been the last */
	return 0;
}

#endif
