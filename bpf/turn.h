/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* In turn: rr and wrr, which differ in the sequence alone. */
#ifndef SLUICE_TURN_H
#define SLUICE_TURN_H

#include "candidate.h"

/* A search along the turn of a service for a backend that can be dealt to. */
struct turn_search {
	__u64 offset;
	__u64 length;
	__u64 position;
	__u32 service;
	int backend;
};

/* Looks at the next place of the turn, with a ticket or without. Returns 1 when the search is over. */
static __always_inline int try_turn(struct turn_search *search, int with_ticket)
{
	struct ticket *ticket = bpf_map_lookup_elem(&tickets, &search->service);

	if (!ticket || !search->length)
		return 1;
	if (with_ticket)
		search->position = __sync_fetch_and_add(&ticket->next, 1);
	else
		search->position++;
	__u32 place = search->offset + search->position % search->length;
	__u32 *id = bpf_map_lookup_elem(&turns, &place);
	if (!id || !is_dealt_to(*id, get_backend(*id)))
		return 0;
	search->backend = *id;
	return 1;
}

/* For bpf_loop: the rest of a whole turn of tickets; then, since other CPUs may have taken the good ones all the time,
 * a whole turn without. */
static long try_next_turn(__u32 step, void *search)
{
	return try_turn(search, step + 1 < ((struct turn_search *)search)->length);
}

/*
 * The backend whose turn it is, or NO_BACKEND. The sequence holds all backends, up or not, and one shared ticket deals
 * it: so the turn is exact over all CPUs and goes on where it was when backends come and go.
 */
__noinline int take_turn(__u32 service)
{
	const struct service *entry = get_service(service);

	if (!entry)
		return NO_BACKEND;
	__u64 turn = entry->turn; /* read once: it changes at once */
	struct turn_search search = {
		.offset = stretch_offset(turn),
		.length = stretch_length(turn),
		.service = service,
		.backend = NO_BACKEND,
	};
	if (!try_turn(&search, 1))
		bpf_loop(2 * search.length - 1, try_next_turn, &search, 0);
	return search.backend;
}

#endif
