/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* In turn: rr and wrr, which differ in the sequence alone. */
#ifndef SLUICE_TURN_H
#define SLUICE_TURN_H

#include "candidate.h"

/* A search along the turn of a service for a backend that can be dealt to. */
struct turn_search {
	__u64 turn;
	__u64 position;
	__u32 service;
	int backend;
};

/* The backend at a place of a turn, which has one; NO_BACKEND: it takes no new connections. */
static __always_inline int backend_at(__u64 turn, __u64 position)
{
	__u32 place = stretch_offset(turn) + position % stretch_length(turn);
	__u32 *id = bpf_map_lookup_elem(&turns, &place);

	return id && is_dealt_to(*id, get_backend(*id)) ? (int)*id : NO_BACKEND;
}

/*
 * For bpf_loop: the rest of a whole turn of tickets; then, since other CPUs may have taken the good ones all the time, a
 * whole turn without. Returns 1 when the search is over.
 */
static long try_next_turn(__u32 step, void *context)
{
	struct turn_search *search = context;
	struct ticket *ticket = bpf_map_lookup_elem(&tickets, &search->service);

	if (!ticket)
		return 1;
	if (step + 1 < stretch_length(search->turn))
		search->position = __sync_fetch_and_add(&ticket->next, 1);
	else
		search->position++;
	search->backend = backend_at(search->turn, search->position);
	return search->backend >= 0;
}

/* The rest of the search, after a first ticket. */
__noinline int search_turn(__u64 turn, __u64 position, __u32 service)
{
	struct turn_search search = {.turn = turn, .position = position, .service = service, .backend = NO_BACKEND};

	bpf_loop(2 * stretch_length(turn) - 1, try_next_turn, &search, 0);
	return search.backend;
}

/*
 * The backend whose turn it is, or NO_BACKEND. The sequence holds all backends, up or not, and one shared ticket deals
 * it: so the turn is exact over all CPUs and goes on where it was when backends come and go. The first ticket is a good one
 * as a rule.
 */
static __always_inline int take_turn(__u32 service, const struct service *entry)
{
	__u64 turn = entry->turn; /* read once: it changes at once */
	struct ticket *ticket = bpf_map_lookup_elem(&tickets, &service);

	if (!ticket || !stretch_length(turn))
		return NO_BACKEND;
	__u64 position = __sync_fetch_and_add(&ticket->next, 1);
	int backend = backend_at(turn, position);
	return backend < 0 ? search_turn(turn, position, service) : backend;
}

#endif
