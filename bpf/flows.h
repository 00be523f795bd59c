/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The flow table as the program sees it: buckets are map entries, time is jiffies.
 *
 * What loops over slots is a global function: the verifier checks it once, on its own, instead of once for every path
 * that leads to it. Such a function must expect NULL for every pointer.
 */
#ifndef SLUICE_FLOWS_H
#define SLUICE_FLOWS_H

#include "count.h"

#define FIND_ATTEMPTS 4

static __always_inline struct backend *get_backend(__u32 id)
{
	return bpf_map_lookup_elem(&backends, &id);
}

/* Whether flows of this backend go on. A failed one's are dropped, as IPVS does: its clients must not hang on a ghost. */
static __always_inline int is_serving(const struct backend *backend)
{
	return backend->state == BACKEND_UP || backend->state == BACKEND_DRAIN;
}

/* Both candidate buckets of a key; NULL where the mask and the map's size disagree. */
struct flow_buckets {
	struct flow_bucket *primary;
	struct flow_bucket *secondary;
};

static __always_inline struct flow_buckets buckets_of(const struct flow_key *key, const struct settings *set)
{
	__u64 hash = flow_hash(key);
	__u32 mask = OF_FAMILY(set->flow_bucket_mask, set->flow6_bucket_mask);
	__u32 primary = hash >> 32 & mask;
	__u32 secondary = hash & mask;

	return (struct flow_buckets){bpf_map_lookup_elem(&flows, &primary), bpf_map_lookup_elem(&flows, &secondary)};
}

static __always_inline struct flow_clock flow_now(const struct settings *set)
{
	__u64 jiffies = bpf_jiffies64();

	return (struct flow_clock){.fine = jiffies >> set->fine_shift, .coarse = jiffies >> set->coarse_shift};
}

/* The key of a connection, from the client's side. */
static __always_inline struct flow_key flow_key_of(const struct address *client, __be16 client_port,
						   const struct address *service, __be16 service_port, __u8 proto)
{
	struct flow_key key = {.ports = client_port | (__u32)service_port << 16 | (__u64)proto << 32};
	struct address *ends = (struct address *)key.addrs;

	ends[0] = *client;
	ends[1] = *service;
	return key;
}

static __always_inline const struct address *key_client(const struct flow_key *key)
{
	return (const struct address *)key->addrs;
}

static __always_inline const struct address *key_service(const struct flow_key *key)
{
	return key_client(key) + 1;
}

static __always_inline void set_key_service(struct flow_key *key, const struct address *addr, __be16 port)
{
	((struct address *)key->addrs)[1] = *addr;
	key->ports = (key->ports & ~(0xffffull << 16)) | (__u32)port << 16;
}

static __always_inline __be16 key_client_port(const struct flow_key *key)
{
	return key->ports;
}

static __always_inline __be16 key_service_port(const struct flow_key *key)
{
	return (__u32)key->ports >> 16;
}

/* An established flow, one-sided or not, or a UDP flow both ways, that was heard of in this very tick, as all but one packet
 * a second of a busy flow find it; the numbers of these states make it one comparison, which takes in CLOSE_WAIT. */
static __always_inline int is_current(__u64 word, __u32 now)
{
	__u64 current = (__u64)FLOW_ESTABLISHED << FLOW_STATE_SHIFT | now;
	__u64 kinds = (__u64)(FLOW_ESTABLISHED ^ FLOW_ONE_SIDED_ESTABLISHED) << FLOW_STATE_SHIFT;

	return !((word ^ current) & ((FLOW_STATE_MASK & ~kinds) | FLOW_STAMP_MASK));
}

/* Whether a flow's timeout has passed. A function of its own, because its values would cost the hot path stack. */
__noinline int has_expired(__u64 word)
{
	struct settings *set = get_settings();

	if (!set)
		return 1;
	struct flow_clock now = flow_now(set);
	return flow_expired(word, &now, &set->timeouts);
}

/* One look at both buckets. */
static __always_inline enum flow_lookup look_up(const struct flow_buckets *buckets, const struct flow_key *key,
						struct flow_hit *hit)
{
	enum flow_lookup first = flow_probe(buckets->primary, 0, key, hit);

	if (first == FLOW_HIT)
		return FLOW_HIT;
	enum flow_lookup second = flow_probe(buckets->secondary, FLOW_SLOTS_PER_BUCKET, key, hit);
	return second == FLOW_MISS ? first : second;
}

/* Looks a flow up that another CPU was changing a moment ago, a few times; enum flow_lookup. */
__noinline int find_moving_flow(const struct flow_key *key, struct flow_hit *hit)
{
	struct settings *set = get_settings();
	enum flow_lookup found = FLOW_MOVING;

	if (!key || !hit || !set)
		return FLOW_MISS;
	struct flow_buckets buckets = buckets_of(key, set);
	if (!buckets.primary || !buckets.secondary)
		return FLOW_MISS;
	for (int attempt = 0; attempt < FIND_ATTEMPTS && found == FLOW_MOVING; attempt++)
		found = look_up(&buckets, key, hit);
	return found;
}

/* Looks a flow up; `now` is the coarse clock. An expired flow is a miss. Inlined where every packet comes by: it saves 11 ns. */
static __always_inline enum flow_lookup find_flow_now(const struct flow_key *key, struct flow_hit *hit,
						      const struct settings *set, __u32 now)
{
	struct flow_buckets buckets = buckets_of(key, set);

	if (!buckets.primary || !buckets.secondary)
		return FLOW_MISS;
	enum flow_lookup found = look_up(&buckets, key, hit);
	if (found == FLOW_MOVING)
		found = find_moving_flow(key, hit);
	if (found == FLOW_HIT && !is_current(hit->word, now) && has_expired(hit->word))
		return FLOW_MISS;
	return found;
}

/* The same for those who are not in a hurry; enum flow_lookup. */
__noinline int find_flow(const struct flow_key *key, struct flow_hit *hit)
{
	struct settings *set = get_settings();

	if (!key || !hit || !set)
		return FLOW_MISS;
	return find_flow_now(key, hit, set, flow_now(set).coarse);
}

/* The slot that a flow was found in; NULL where there is no bucket. */
static __always_inline struct flow_slot *slot_of(const struct flow_key *key, const struct flow_hit *hit,
						 const struct settings *set)
{
	struct flow_buckets buckets = buckets_of(key, set);

	if (!buckets.primary || !buckets.secondary)
		return NULL;
	return flow_slot_at(buckets.primary, buckets.secondary, hit->slot);
}

/* Carries an event into a flow that was found. Returns the word now in force, or 0 if the slot was reused meanwhile. */
__noinline __u64 update_flow(const struct flow_key *key, const struct flow_hit *hit, __u32 event, __u32 number)
{
	struct settings *set = get_settings();

	if (!key || !hit || !set)
		return 0;
	struct flow_slot *slot = slot_of(key, hit, set);
	if (!slot)
		return 0;
	struct flow_clock now = flow_now(set);
	return flow_update(slot, hit->word, event, number, &now);
}

/* As update_flow, but spares the slot's line a write as long as the packet says nothing new. */
static __always_inline __u64 track_flow(const struct flow_key *key, const struct flow_hit *hit, __u32 event,
					__u32 number, __u32 now)
{
	if (is_current(hit->word, now) && !(event & (FLOW_FIN | FLOW_SYN | FLOW_RST)))
		return hit->word;
	return update_flow(key, hit, event, number);
}

/* Replaces a flow's next hop if it is still the one that was found. A slot that was reused meanwhile has another one. */
static __always_inline void replace_next_hop(const struct flow_key *key, const struct flow_hit *hit, __u64 next_hop)
{
	struct settings *set = get_settings();

	if (!set)
		return;
	struct flow_slot *slot = slot_of(key, hit, set);
	if (slot)
		flow_cas(&slot->next_hop, hit->next_hop, next_hop);
}

__noinline int lock_bucket(struct flow_bucket *primary)
{
	return primary ? flow_lock(primary) : 0;
}

/* One attempt to claim a slot, the primary bucket being locked; enum flow_claim. */
__noinline int try_claim(const struct flow_key *key, struct flow_hit *hit)
{
	struct settings *set = get_settings();

	if (!key || !hit || !set)
		return FLOW_FULL;
	struct flow_buckets buckets = buckets_of(key, set);
	if (!buckets.primary || !buckets.secondary)
		return FLOW_FULL;
	struct flow_clock now = flow_now(set);
	return flow_claim(buckets.primary, buckets.secondary, key, &now, &set->timeouts, hit);
}

/* Claims a slot for a new connection; enum flow_claim. After FLOW_CLAIMED the lock is held, for settle_flow. */
static __always_inline enum flow_claim claim_flow(const struct flow_key *key, struct flow_hit *hit,
						  const struct settings *set)
{
	struct flow_bucket *primary = buckets_of(key, set).primary;
	int claim = FLOW_RACED;

	if (!primary || !lock_bucket(primary))
		return FLOW_RACED;
	for (int attempt = 0; claim == FLOW_RACED && attempt < FLOW_CLAIM_ATTEMPTS; attempt++)
		claim = try_claim(key, hit);
	if (claim != FLOW_CLAIMED)
		flow_unlock(primary);
	return claim;
}

/* Where a flow to a backend begins. */
static __always_inline struct flow_start flow_start_at(__u32 id, const struct settings *set)
{
	struct backend *backend = get_backend(id);

	return (struct flow_start){
		.backend = id,
		.one_sided = backend && backend->method != METHOD_NAT,
		.now = flow_now(set),
	};
}

/* Makes the claimed slot a flow, or gives it back if there is no backend (negative). */
__noinline int settle_flow(const struct flow_key *key, struct flow_hit *hit, __u64 next_hop, int backend)
{
	struct settings *set = get_settings();

	if (!key || !hit || !set)
		return 0;
	struct flow_buckets buckets = buckets_of(key, set);
	if (!buckets.primary || !buckets.secondary)
		return 0;
	struct flow_slot *slot = flow_slot_at(buckets.primary, buckets.secondary, hit->slot);
	if (backend < 0) {
		flow_release(buckets.primary, slot, hit);
		return 0;
	}
	struct flow_start start = flow_start_at(backend, set);
	flow_publish(buckets.primary, slot, hit, key, next_hop, &start);
	return 0;
}

/* Points a new flow at another backend, or takes it back if there is none (negative). 0 if its slot was reused meanwhile. */
__noinline int redirect_flow(const struct flow_key *key, struct flow_hit *hit, int backend)
{
	struct settings *set = get_settings();

	if (!key || !hit || !set)
		return 0;
	struct flow_slot *slot = slot_of(key, hit, set);
	if (!slot)
		return 0;
	if (backend < 0)
		return flow_withdraw(slot, hit);
	struct flow_start start = flow_start_at(backend, set);
	return flow_redirect(slot, hit, key, &start);
}

/* Ends a flow whose backend is down, unless its slot was reused meanwhile. Whoever opens it anew first, opens it for all. */
__noinline int close_flow(const struct flow_key *key, struct flow_hit *hit)
{
	struct settings *set = get_settings();

	if (!key || !hit || !set)
		return 0;
	struct flow_slot *slot = slot_of(key, hit, set);
	return slot ? flow_close(slot, hit) : 0;
}

#endif
