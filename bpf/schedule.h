/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* New connections: service, persistence, scheduler, backend. Only packets without a flow come here. */
#ifndef SLUICE_SCHEDULE_H
#define SLUICE_SCHEDULE_H

#include "least.h"
#include "limit.h"
#include "neigh.h"
#include "persist.h"
#include "ring.h"
#include "turn.h"

#define AMBIGUITY_ATTEMPTS 8

/*
 * Whether the service of an endpoint's entry has a flow of the same client to the same backend and port: of the n-th
 * entry in the bucket of that port, and from ENDPOINTS_PER_BUCKET on in the bucket of all ports.
 */
__noinline int is_rival(const struct flow_key *key, __u32 backend, __u32 n)
{
	struct backend *ours = get_backend(backend);
	struct settings *set = get_settings();
	struct flow_hit hit = {};

	if (!key || !ours || !set)
		return 0;
	__be16 port = backend_port(ours, key_service_port(key));
	__be16 listed = n < ENDPOINTS_PER_BUCKET ? port : 0;
	__u32 index = endpoint_bucket_of(local_hash(address_in(ours->addr), listed, ours->proto));
	struct endpoint_bucket *bucket = bpf_map_lookup_elem(&endpoints, &index);
	if (!bucket)
		return 0;
	struct endpoint *endpoint = &bucket->slots[n & (ENDPOINTS_PER_BUCKET - 1)];
	if (!same_address(address_in(endpoint->addr), address_in(ours->addr)) || endpoint->port != listed ||
	    endpoint->proto != ours->proto)
		return 0;
	__be16 service_port = endpoint->service_port ?: port;
	const struct address *service = address_in(endpoint->service_addr);
	if (same_address(service, key_service(key)) && service_port == key_service_port(key))
		return 0; /* the very flow */
	struct flow_key rival =
		flow_key_of(key_client(key), key_client_port(key), service, service_port, endpoint->proto);
	struct flow_buckets buckets = buckets_of(&rival, set);
	enum flow_lookup found = look_in(&buckets, &rival, &hit);
	if (found != FLOW_HIT)
		return found == FLOW_MOVING; /* another CPU opens it just now, most likely: not worth a wait */
	if (has_expired(hit.word))
		return 0;
	struct backend *theirs = get_backend(flow_backend(hit.word));
	return theirs && same_address(address_in(theirs->addr), address_in(ours->addr)) &&
	       backend_port(theirs, service_port) == port;
}

/* Whether several services have a backend's address and port. */
static __always_inline int is_shared(__u32 id)
{
	struct backend *backend = get_backend(id);

	return backend && backend->shared;
}

/*
 * Whether this client port reaches the same backend through another service already: a reply could then belong to
 * either. Looked for after our own flow is published, so of two CPUs that do so at once at least one sees the other.
 */
static __always_inline int is_ambiguous(const struct flow_key *key, __u32 backend)
{
	struct settings *set = get_settings();

	if (!key || !set || !is_shared(backend))
		return 0;
	int entries = set->flags & SETTING_ALL_PORTS ? 2 * ENDPOINTS_PER_BUCKET : ENDPOINTS_PER_BUCKET;
	for (int n = 0; n < 2 * ENDPOINTS_PER_BUCKET && n < entries; n++)
		if (is_rival(key, backend, n))
			return 1;
	return 0;
}

/* Moves a new flow on to a backend whose replies are its own; 0: there is none, and the flow is gone. */
__noinline int disambiguate(struct new_flow *new)
{
	if (!new)
		return 0;
	for (int attempt = 0; attempt < AMBIGUITY_ATTEMPTS; attempt++) {
		if (!is_ambiguous(&new->key, flow_backend(new->hit.word)))
			return 1;
		count_event(new->service, EVENT_AMBIGUOUS);
		const struct service *service = get_service(new->service);
		int backend = service ? take_turn(new->service, service) : NO_BACKEND;
		if (!redirect_flow(&new->key, &new->hit, backend) || backend < 0)
			return 0;
	}
	redirect_flow(&new->key, &new->hit, NO_BACKEND);
	return 0;
}

/* What a packet that may open a flow is for, and where that is looked for. */
struct expected {
	const struct service *service; /* NULL: there is none */
	struct flow_buckets flow;
	struct flow_buckets client; /* of its persistence entry, if the service has persistence */
};

/* Chooses a backend by the service's scheduler, or NO_BACKEND. */
static __always_inline int deal(const struct service *service, const struct new_flow *new)
{
	switch ((enum scheduler)service->scheduler) {
	case SCHED_RR:
	case SCHED_WRR:
		return take_turn(new->service, service);
	case SCHED_SH:
	case SCHED_MH:
		return take_place(new->service, hash_of_client(&new->key, service->flags));
	case SCHED_DH:
		return take_place(new->service, hash_of_service(&new->key));
	case SCHED_LC:
	case SCHED_WLC:
	case SCHED_SED:
	case SCHED_NQ:
	case SCHED_FO:
	case SCHED_OVF:
		return take_best(new->service);
	}
	return NO_BACKEND;
}

/* The backend for a new connection: the one that its client is remembered with, or the scheduler's; or NO_BACKEND. */
static __always_inline int schedule(struct new_flow *new, const struct expected *expected, const struct settings *set)
{
	const struct service *service = expected->service;
	__u64 recalled = service->persistence_jiffies ? recall(new, &expected->client, service, set) : 0;

	if (recalled & REMEMBERED_WELL)
		return flow_backend(recalled);
	int backend = deal(service, new);
	if (backend < 0 || !service->persistence_jiffies)
		return backend;
	return remember(new, recalled, backend, service, set);
}

/* Finds out which service a packet is for, while the buckets of its flow come, and then those of its client's entry. */
static __always_inline struct expected expect_flow(struct new_flow *new, const struct settings *set)
{
	struct expected expected = {.flow = buckets_of(&new->key, set)};

	expect(&expected.flow);
	new->service = service_of(&new->key);
	if (new->service)
		expected.service = get_service(new->service);
	if (expected.service && expected.service->persistence_jiffies) {
		name_entry(&new->client, expected.service, new->service, key_client(&new->key));
		expected.client = entry_buckets_of(&new->client, set);
		expect(&expected.client);
	}
	return expected;
}

/* Opens a flow for a packet that may. The ticket is taken between claim and publish, by the insert that has won. */
static __always_inline enum verdict open_flow(struct new_flow *new, const struct expected *expected,
					      const struct settings *set)
{
	if (!expected->service)
		return new->service ? V_DROP_LAYOUT : V_PASS_NOT_OURS;
	if (!(new->events & FLOW_OPENS))
		return V_PASS_NO_FLOW;
	enum verdict verdict = check_limits(new, expected->service);
	if (verdict)
		return verdict;
	switch (claim_flow(&expected->flow, &new->key, &new->hit)) {
	case FLOW_CLAIMED:
		break;
	case FLOW_KEPT:
		return V_FORWARD;
	case FLOW_FULL:
		return V_DROP_TABLE_FULL;
	default:
		return V_DROP_CONTENDED;
	}
	int backend = schedule(new, expected, set);
	new->hit.next_hop = new->came_from;
	settle_flow(&expected->flow, &new->key, &new->hit, backend, set);
	return backend < 0 ? V_DROP_NO_BACKEND : V_FORWARD_NEW;
}

/* Counts a flow that was opened, once its first packet has a way. */
static __always_inline void count_new(const struct settings *set, __u32 service, __u32 backend)
{
	const struct service *entry = get_service(service);

	count_connection(set, backend);
	if (entry && entry->flags & SERVICE_COUNTED)
		count_opening(backend);
}

#endif
