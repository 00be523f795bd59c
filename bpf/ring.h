/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * By hash: sh, dh and mh. The ring holds every backend of the configuration, up or not, so a client's place is the same
 * on every balancer and at any time, and only the clients of a failed backend move: each on a walk of its own over the
 * ring, so that they spread over all the others.
 */
#ifndef SLUICE_RING_H
#define SLUICE_RING_H

#include "candidate.h"

/* A walk over the ring of a service from a client's place. The ring's length is prime, so any stride meets every place. */
struct ring_walk {
	__u64 offset;
	__u64 length;
	__u64 start;
	__u64 stride;
	int fallback;
	int backend;
};

static __always_inline __u64 hash_of_client(const struct flow_key *key, __u32 flags)
{
	return ring_hash(key_client(key), flags & SERVICE_HASH_PORT ? key_client_port(key) : 0);
}

static __always_inline __u64 hash_of_service(const struct flow_key *key)
{
	return ring_hash(key_service(key), 0);
}

/* Looks at one place. Returns 1 when the walk is over: at a backend, or at one that takes nothing new. */
static long try_place(__u32 step, void *context)
{
	struct ring_walk *walk = context;
	__u32 place = walk->offset + (walk->start + step * walk->stride) % walk->length;
	__u32 *id = bpf_map_lookup_elem(&turns, &place);
	struct backend *backend = id ? get_backend(*id) : NULL;

	if (!id || !backend || !is_reachable(backend))
		return 0;
	if (!is_dealt_to(*id, backend))
		return !walk->fallback;
	walk->backend = *id;
	return 1;
}

/*
 * The backend at the place of a hash, or NO_BACKEND. One that failed or is gone is passed over, as IPVS does once
 * keepalived has removed it; one that is only drained or overloaded has its clients refused, unless the service falls back.
 */
__noinline int take_place(__u32 service, __u64 hash)
{
	const struct service *entry = get_service(service);

	if (!entry)
		return NO_BACKEND;
	__u64 turn = entry->turn;
	__u64 length = stretch_length(turn);
	struct ring_walk walk = {
		.offset = stretch_offset(turn),
		.length = length,
		.start = hash >> 32,
		.stride = length > 1 ? (__u32)hash % (length - 1) + 1 : 1,
		.fallback = entry->flags & SERVICE_HASH_FALLBACK,
		.backend = NO_BACKEND,
	};
	if (length)
		bpf_loop(length, try_place, &walk, 0);
	return walk.backend;
}

#endif
