/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Persistence: a client returns to its backend. Asking and remembering are two functions, with the choice between them,
 * because the choice needs what the 512 bytes of all stacks together have left.
 */
#ifndef SLUICE_PERSIST_H
#define SLUICE_PERSIST_H

#include "candidate.h"

/* What recall() knows of a client: the word of its entry, with this bit of no meaning there if its backend still takes it; or
 * 0. */
#define REMEMBERED_WELL FLOW_CLIENT

/* Whether a persistence entry may go on naming this backend; one that is only drained keeps its clients. An entry that
 * is older than its backend may name an id that has been given to another service since. */
static __always_inline int keeps_clients(__u32 id, __u32 service)
{
	struct backend *backend = get_backend(id);

	return backend && backend->service == service &&
	       (backend->state == BACKEND_UP || backend->state == BACKEND_DRAIN);
}

/* The key of a client's entry. */
static __always_inline void name_entry(struct flow_key *key, const struct service *service, __u32 id,
				       const struct address *client)
{
	struct address network = masked(client, address_in(service->persistence_mask));

	put_addresses(key->addrs, &network, &(struct address){});
	key->ports = id;
}

static __always_inline struct flow_buckets entry_buckets_of(const struct flow_key *key, const struct settings *set)
{
	return buckets_in(&persistence, key, set->persistence_bucket_mask);
}

/* When an entry ends that begins now. */
static __always_inline __u32 last_tick_of(const struct service *service, const struct settings *set)
{
	return (bpf_jiffies64() + service->persistence_jiffies) >> set->coarse_shift;
}

/* The slot of an entry that was found, if it holds still; or NULL. */
static __always_inline struct flow_slot *entry_slot(const struct flow_buckets *buckets, const struct flow_hit *hit,
						    const struct settings *set)
{
	if (!buckets->primary || !buckets->secondary || entry_is_over(hit->word, flow_now(set).coarse))
		return NULL;
	return flow_slot_at(buckets->primary, buckets->secondary, hit->slot);
}

/* Looks for a live entry in its buckets; NULL: there is none. */
static __always_inline struct flow_slot *find_entry_in(const struct flow_buckets *buckets, const struct flow_key *key,
						       struct flow_hit *hit, const struct settings *set)
{
	return find_in(buckets, key, hit) == FLOW_HIT ? entry_slot(buckets, hit, set) : NULL;
}

static __always_inline struct flow_slot *find_entry(const struct flow_key *key, struct flow_hit *hit,
						    const struct settings *set)
{
	struct flow_buckets buckets = entry_buckets_of(key, set);

	return find_entry_in(&buckets, key, hit, set);
}

/* Looks a client up, and restarts its entry if it holds. */
static __always_inline __u64 recall(struct new_flow *new, const struct flow_buckets *buckets, const struct service *service,
				    const struct settings *set)
{
	struct flow_slot *slot = find_entry_in(buckets, &new->client, &new->remembered, set);

	if (!slot)
		return 0;
	__u64 word = new->remembered.word;
	if (!keeps_clients(flow_backend(word), new->service))
		return word;
	__u32 last_tick = last_tick_of(service, set);
	if (entry_last_tick(word) != last_tick)
		entry_restart(slot, &new->remembered, last_tick);
	return word | REMEMBERED_WELL;
}

/* Makes an entry. Returns the backend that it names, which is another one if there is a live entry, or NO_BACKEND: there is
 * no room. */
static __always_inline int insert_entry(const struct flow_key *key, struct flow_hit *hit, __u32 backend, __u32 last_tick)
{
	struct settings *set = get_settings();

	if (!key || !hit || !set)
		return NO_BACKEND;
	struct flow_buckets buckets = entry_buckets_of(key, set);
	if (!buckets.primary || !buckets.secondary || !lock_bucket(buckets.primary))
		return NO_BACKEND;
	int claim = FLOW_RACED; /* not claim_in(): the stack has no room for another function here */
	for (int attempt = 0; claim == FLOW_RACED && attempt < FLOW_CLAIM_ATTEMPTS; attempt++)
		claim = claim_once(buckets.primary, buckets.secondary, key, hit);
	if (claim == FLOW_CLAIMED) {
		flow_publish(buckets.primary, flow_slot_at(buckets.primary, buckets.secondary, hit->slot), hit, key, 0,
			     entry_beginning(backend, last_tick));
		return backend;
	}
	flow_unlock(buckets.primary);
	return claim == FLOW_KEPT ? flow_backend(hit->word) : NO_BACKEND;
}

/* Gives an entry whose backend is used up another one, see entry_deal_again(); NO_BACKEND: it is gone. One look will do: one
 * that is being changed gives way to another client's. */
__noinline int replace_entry(struct new_flow *new, __u64 used_up, __u32 backend, __u32 last_tick)
{
	struct settings *set = get_settings();

	if (!new || !set)
		return NO_BACKEND;
	struct flow_buckets buckets = entry_buckets_of(&new->client, set);
	if (look_in(&buckets, &new->client, &new->remembered) != FLOW_HIT)
		return NO_BACKEND;
	struct flow_slot *slot = entry_slot(&buckets, &new->remembered, set);
	return slot ? entry_deal_again(slot, used_up, backend, last_tick) : NO_BACKEND;
}

/* Makes the entry of a client, see insert_entry(). */
__noinline int enter_client(struct new_flow *new, __u32 backend, __u32 last_tick)
{
	return new ? insert_entry(&new->client, &new->remembered, backend, last_tick) : NO_BACKEND;
}

/*
 * Remembers a client's new backend, in place of what recall() knew. Of two CPUs that do so at once, the first decides for
 * both; returns its backend.
 */
static __always_inline int remember(struct new_flow *new, __u64 recalled, __u32 backend, const struct service *service,
				    const struct settings *set)
{
	__u32 last_tick = last_tick_of(service, set);
	int named = recalled ? replace_entry(new, recalled, backend, last_tick) : NO_BACKEND;

	if (named < 0)
		named = enter_client(new, backend, last_tick);
	if (named >= 0)
		return named;
	count_event(new->service, EVENT_PERSISTENCE_FULL);
	return backend;
}

/* Changes an entry on behalf of the daemon or of lbctl: whether that was done. `was` is when it is thought to end. */
static __always_inline int change_entry_of(const struct flow_key *key, enum entry_change change, __u16 backend,
					   __u32 last_tick, __u32 was)
{
	struct settings *set = get_settings();
	struct flow_hit hit = {};

	if (!set || (change == ENTRY_PUT && insert_entry(key, &hit, backend, last_tick) < 0))
		return 0;
	struct flow_slot *slot = find_entry(key, &hit, set);
	if (!slot)
		return 0;
	switch (change) {
	case ENTRY_PUT:
		return flow_replace(slot, &hit, FLOW_BACKEND_MASK | FLOW_STAMP_MASK, entry_beginning(backend, last_tick));
	case ENTRY_EXTEND:
		return entry_last_tick(hit.word) == was && entry_restart(slot, &hit, last_tick);
	case ENTRY_DELETE:
		return flow_withdraw(slot, &hit);
	}
	return 0;
}

#endif
