/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* New connections: service, persistence, turn, backend. Only packets without a flow come here. */
#ifndef SLUICE_SCHEDULE_H
#define SLUICE_SCHEDULE_H

#include "neigh.h"

#define NO_BACKEND (-1)
#define AMBIGUITY_ATTEMPTS 8

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
	struct backend *backend = id ? get_backend(*id) : NULL;
	if (!backend || backend->state != BACKEND_UP || !backend->next_hop)
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
	struct service *entry = bpf_map_lookup_elem(&services, &service);

	if (!entry)
		return NO_BACKEND;
	__u64 turn = entry->turn;
	struct turn_search search = {
		.offset = turn >> 32,
		.length = (__u32)turn,
		.service = service,
		.backend = NO_BACKEND,
	};
	if (!try_turn(&search, 1))
		bpf_loop(2 * search.length - 1, try_next_turn, &search, 0);
	return search.backend;
}

/* Whether a persistence entry may go on naming this backend; one that is only drained keeps its clients. An entry that
 * is older than its backend may name an id that has been given to another service since. */
static __always_inline int keeps_clients(__u32 id, __u32 service)
{
	struct backend *backend = get_backend(id);

	return backend && backend->service == service &&
	       (backend->state == BACKEND_UP || backend->state == BACKEND_DRAIN);
}

/* Deals a client anew whose entry is used up: by the turn, or as another CPU has just decided. */
static __always_inline int deal_again(__u32 service, struct persistence_entry *entry)
{
	__u64 *dealt = (__u64 *)&entry->backend;
	__u64 old = flow_load(dealt);
	int backend = take_turn(service);

	if (backend < 0)
		return NO_BACKEND;
	__u64 new = (__u16)backend | (__u64)(__u16)((old >> 16) + 1) << 16;
	__u64 seen = flow_cas(dealt, old, new);
	return seen == old ? backend : (__u16)seen;
}

/* Deals to a client who has no entry. Of two CPUs that do so at once, the first to insert decides for both. */
static __always_inline int deal_first(__u32 service, const struct persistence_key *key, __u64 expires)
{
	int backend = take_turn(service);

	if (backend < 0)
		return NO_BACKEND;
	struct persistence_entry fresh = {.expires = expires, .backend = backend};
	long error = bpf_map_update_elem(&persistence, key, &fresh, BPF_NOEXIST);
	if (!error)
		return backend;
	struct persistence_entry *winner = bpf_map_lookup_elem(&persistence, key);
	if (winner)
		return winner->backend;
	count_event(service, EVENT_PERSISTENCE_FULL);
	return backend;
}

/* The backend for a new connection, or NO_BACKEND. */
__noinline int schedule(__u32 service, __u32 client)
{
	struct service *entry = bpf_map_lookup_elem(&services, &service);

	if (!entry)
		return NO_BACKEND;
	if (!entry->persistence_jiffies)
		return take_turn(service);

	struct persistence_key key = {.client = client & entry->persistence_mask, .service = service};
	struct persistence_entry *known = bpf_map_lookup_elem(&persistence, &key);
	__u64 now = bpf_jiffies64();
	__u64 expires = now + entry->persistence_jiffies;
	if (!known)
		return deal_first(service, &key, expires);
	int backend = known->backend;
	if (known->expires <= now || !keeps_clients(backend, service))
		backend = deal_again(service, known);
	if (backend >= 0)
		known->expires = expires;
	return backend;
}

/*
 * Whether this client port reaches the same backend through another service already: a reply could then belong to
 * either. Looked for after our own flow is published, so of two CPUs that do so at once at least one sees the other.
 */
__noinline int is_ambiguous(const struct flow_key *key, __u32 backend)
{
	struct backend *ours = get_backend(backend);

	if (!key || !ours || !ours->shared)
		return 0;
	__u32 index = endpoint_bucket_of(local_hash(ours->addr, ours->port, ours->proto));
	struct endpoint_bucket *bucket = bpf_map_lookup_elem(&endpoints, &index);
	if (!bucket)
		return 0;
	for (int i = 0; i < ENDPOINTS_PER_BUCKET; i++) {
		struct endpoint *endpoint = &bucket->endpoints[i];

		if (endpoint->addr != ours->addr || endpoint->port != ours->port || endpoint->proto != ours->proto ||
		    endpoint->service == ours->service)
			continue;
		struct flow_key rival = flow_key_of(key->addrs, key->ports, endpoint->service_addr,
						    endpoint->service_port, endpoint->proto);
		struct flow_hit hit = {};
		if (find_flow(&rival, &hit) != FLOW_HIT)
			continue;
		struct backend *theirs = get_backend(flow_backend(hit.word));
		if (theirs && theirs->addr == ours->addr && theirs->port == ours->port)
			return 1;
	}
	return 0;
}

/* Moves a new flow on to a backend whose replies are its own. Returns the backend; or NO_BACKEND, and the flow is gone. */
static __always_inline int disambiguate(const struct flow_key *key, struct flow_hit *hit, __u32 service, int backend)
{
	for (int attempt = 0; attempt < AMBIGUITY_ATTEMPTS; attempt++) {
		if (!is_ambiguous(key, backend))
			return backend;
		count_event(service, EVENT_AMBIGUOUS);
		backend = take_turn(service);
		if (!redirect_flow(key, hit, backend) || backend < 0)
			return NO_BACKEND;
	}
	redirect_flow(key, hit, NO_BACKEND);
	return NO_BACKEND;
}

/* A packet to a service that has no flow: what open_flow needs to know, and what it finds out. */
struct new_flow {
	struct flow_key key;
	struct flow_hit hit;
	__u64 came_from; /* next hop back to the sender of this very frame */
	__u32 events;    /* enum flow_event */
	__u32 service;   /* out: set as soon as it is known */
};

static __always_inline __u32 service_of(const struct flow_key *key)
{
	struct service_key at = {
		.addr = key->addrs >> 32,
		.port = (__u32)key->ports >> 16,
		.proto = flow_proto(key),
	};
	__u32 *service = bpf_map_lookup_elem(&services_by_key, &at);

	return service ? *service : 0;
}

/* Opens a flow for a packet that may; enum verdict. The ticket is taken between claim and publish, by the insert that has won. */
__noinline int open_flow(struct xdp_md *ctx, struct new_flow *new)
{
	struct settings *set = get_settings();

	if (!new || !set)
		return V_DROP_LAYOUT;
	new->service = service_of(&new->key);
	if (!new->service)
		return V_PASS_NOT_OURS;
	if (!(new->events & FLOW_OPENS))
		return V_PASS_NO_FLOW;
	__u64 next_hop = route_to_client(ctx, &new->key, set->route_generation);
	if (!next_hop) {
		count_event(new->service, EVENT_ROUTE_UNKNOWN);
		next_hop = new->came_from;
	}
	switch (claim_flow(&new->key, &new->hit, set)) {
	case FLOW_CLAIMED:
		break;
	case FLOW_KEPT:
		return V_FORWARD;
	case FLOW_FULL:
		return V_DROP_TABLE_FULL;
	default:
		return V_DROP_CONTENDED;
	}
	int backend = schedule(new->service, new->key.addrs);
	settle_flow(&new->key, &new->hit, next_hop, backend);
	if (backend < 0)
		return V_DROP_NO_BACKEND;
	backend = disambiguate(&new->key, &new->hit, new->service, backend);
	if (backend < 0)
		return V_DROP_AMBIGUOUS;
	count_connection(set, backend);
	return V_FORWARD_NEW;
}

#endif
