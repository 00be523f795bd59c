/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Persistence: a client returns to its backend. Asking and remembering are two functions, with the choice between them,
 * because the choice needs what the 512 bytes of all stacks together have left.
 */
#ifndef SLUICE_PERSIST_H
#define SLUICE_PERSIST_H

#include "candidate.h"

/* What recall() knows of a client: `backend` and `deals` of its entry, with this bit if the entry still holds; or 0. */
#define REMEMBERED_WELL (1ull << 32)

/* A packet to a service that has no flow: what open_flow needs to know, and what it finds out. */
struct new_flow {
	struct flow_key key;
	struct flow_hit hit;
	__u64 came_from; /* next hop back to the sender of this very frame */
	__u32 events;    /* enum flow_event */
	__u32 service;   /* out: set as soon as it is known */
};

/* Whether a persistence entry may go on naming this backend; one that is only drained keeps its clients. An entry that
 * is older than its backend may name an id that has been given to another service since. */
static __always_inline int keeps_clients(__u32 id, __u32 service)
{
	struct backend *backend = get_backend(id);

	return backend && backend->service == service &&
	       (backend->state == BACKEND_UP || backend->state == BACKEND_DRAIN);
}

static __always_inline struct persistence_key persistence_key_of(const struct service *service,
								 const struct new_flow *new)
{
	struct address client = masked(key_client(&new->key), address_in(service->persistence_mask));
	struct persistence_key key = {.service = new->service};

	put_address(key.client, &client);
	return key;
}

/* Looks a client up, and restarts its entry if it holds. */
__noinline __u64 recall(const struct new_flow *new)
{
	if (!new)
		return 0;
	__u32 id = new->service;
	const struct service *service = get_service(id);
	if (!service)
		return 0;
	struct persistence_key key = persistence_key_of(service, new);
	struct persistence_entry *known = bpf_map_lookup_elem(&persistence, &key);
	if (!known)
		return 0;
	__u64 now = bpf_jiffies64();
	__u64 dealt = flow_load((__u64 *)&known->backend);
	if (known->expires <= now || !keeps_clients((__u16)dealt, id))
		return dealt;
	known->expires = now + service->persistence_jiffies;
	return dealt | REMEMBERED_WELL;
}

/* Deals an entry anew whose backend is used up; or as another CPU has just decided. */
static __always_inline int deal_again(struct persistence_entry *entry, __u64 used_up, __u32 backend)
{
	__u64 *dealt = (__u64 *)&entry->backend;
	__u64 new = (__u16)backend | (__u64)(__u16)((used_up >> 16) + 1) << 16;
	__u64 seen = flow_cas(dealt, used_up, new);

	return seen == used_up ? backend : (__u16)seen;
}

/*
 * Remembers a client's new backend, in place of what recall() knew. Of two CPUs that do so at once, the first decides for
 * both; returns its backend.
 */
__noinline int remember(const struct new_flow *new, __u64 recalled, __u32 backend)
{
	if (!new)
		return NO_BACKEND;
	__u32 id = new->service;
	const struct service *service = get_service(id);
	if (!service)
		return NO_BACKEND;
	struct persistence_key key = persistence_key_of(service, new);
	struct persistence_entry fresh = {
		.expires = bpf_jiffies64() + service->persistence_jiffies,
		.backend = backend,
	};
	struct persistence_entry *known = recalled ? bpf_map_lookup_elem(&persistence, &key) : NULL;
	if (!known && !bpf_map_update_elem(&persistence, &key, &fresh, BPF_NOEXIST))
		return backend;
	if (!known)
		known = bpf_map_lookup_elem(&persistence, &key);
	if (!known) {
		count_event(id, EVENT_PERSISTENCE_FULL);
		return backend;
	}
	backend = deal_again(known, recalled, backend);
	known->expires = fresh.expires;
	return backend;
}

#endif
