/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* New connections: service, persistence, turn, backend. Only SYNs without a flow come here. */
#ifndef SLUICE_SCHEDULE_H
#define SLUICE_SCHEDULE_H

#include "neigh.h"
#include "ring.h"
#include "turn.h"

#define AMBIGUITY_ATTEMPTS 8

/* Chooses a backend by the service's scheduler, or NO_BACKEND. */
__noinline int deal(__u32 service, const struct flow_key *key)
{
	struct service *entry = bpf_map_lookup_elem(&services, &service);

	if (!entry || !key)
		return NO_BACKEND;
	switch ((enum scheduler)entry->scheduler) {
	case SCHED_RR:
	case SCHED_WRR:
		return take_turn(service);
	case SCHED_SH:
	case SCHED_MH:
		return take_place(service, hash_of_client(key, entry->flags));
	case SCHED_DH:
		return take_place(service, hash_of_service(key));
	}
	return NO_BACKEND;
}

/* Whether a persistence entry may go on naming this backend; one that is only drained keeps its clients. An entry that
 * is older than its backend may name an id that has been given to another service since. */
static __always_inline int keeps_clients(__u32 id, __u32 service)
{
	struct backend *backend = get_backend(id);

	return backend && backend->service == service &&
	       (backend->state == BACKEND_UP || backend->state == BACKEND_DRAIN);
}

/* Deals a client anew whose entry is used up; or as another CPU has just decided. */
static __always_inline int deal_again(__u32 service, const struct flow_key *key, struct persistence_entry *entry)
{
	__u64 *dealt = (__u64 *)&entry->backend;
	__u64 old = flow_load(dealt);
	int backend = deal(service, key);

	if (backend < 0)
		return NO_BACKEND;
	__u64 new = (__u16)backend | (__u64)(__u16)((old >> 16) + 1) << 16;
	__u64 seen = flow_cas(dealt, old, new);
	return seen == old ? backend : (__u16)seen;
}

/* Deals to a client who has no entry. Of two CPUs that do so at once, the first to insert decides for both. */
static __always_inline int deal_first(__u32 service, const struct flow_key *flow, const struct persistence_key *key,
				      __u64 expires)
{
	int backend = deal(service, flow);

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
__noinline int schedule(__u32 service, const struct flow_key *flow)
{
	struct service *entry = bpf_map_lookup_elem(&services, &service);

	if (!entry || !flow)
		return NO_BACKEND;
	if (!entry->persistence_jiffies)
		return deal(service, flow);

	struct persistence_key key = {.client = (__u32)flow->addrs & entry->persistence_mask, .service = service};
	struct persistence_entry *known = bpf_map_lookup_elem(&persistence, &key);
	__u64 now = bpf_jiffies64();
	__u64 expires = now + entry->persistence_jiffies;
	if (!known)
		return deal_first(service, flow, &key, expires);
	int backend = known->backend;
	if (known->expires <= now || !keeps_clients(backend, service))
		backend = deal_again(service, flow, known);
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

		if (endpoint->addr != ours->addr || endpoint->port != ours->port || endpoint->service == ours->service)
			continue;
		struct flow_key rival = flow_key_of(key->addrs, key->ports, endpoint->service_addr, endpoint->service_port);
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
	__u32 flags;     /* enum flow_event */
	__u32 service;   /* out: set as soon as it is known */
};

static __always_inline __u32 service_of(const struct flow_key *key)
{
	struct service_key at = {
		.addr = key->addrs >> 32,
		.port = (__u32)key->ports >> 16,
		.proto = key->ports >> 32,
	};
	__u32 *service = bpf_map_lookup_elem(&services_by_key, &at);

	return service ? *service : 0;
}

static __always_inline int is_fresh_syn(__u32 flags)
{
	return (flags & FLOW_TCP_FLAGS) == FLOW_SYN;
}

/* Opens a flow for a SYN; enum verdict. The ticket is taken between claim and publish, by the insert that has won. */
__noinline int open_flow(struct xdp_md *ctx, struct new_flow *new)
{
	struct settings *set = get_settings();

	if (!new || !set)
		return V_DROP_LAYOUT;
	new->service = service_of(&new->key);
	if (!new->service)
		return V_PASS_NOT_OURS;
	if (!is_fresh_syn(new->flags))
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
	int backend = schedule(new->service, &new->key);
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
