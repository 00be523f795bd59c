/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The flow table as the program sees it: buckets are map entries, time is jiffies.
 *
 * What loops over slots is a global function: the verifier checks it once, on its own, instead of once for every path
 * that leads to it. Such a function must expect NULL for every pointer.
 */
#ifndef SLUICE_FLOWS_H
#define SLUICE_FLOWS_H

#include "share.h"

static __always_inline struct backend *get_backend(__u32 id)
{
	return bpf_map_lookup_elem(&backends, &id);
}

/* The port at which a backend is reached: one of a service of all ports is reached at the one that the client asked for. */
static __always_inline __be16 backend_port(const struct backend *backend, __be16 asked)
{
	return backend->port ?: asked;
}

/* States of a backend whose flows go on. */
#define SERVING_STATES (1u << BACKEND_UP | 1u << BACKEND_DRAIN | 1u << BACKEND_KEPT)

static __always_inline int is_serving(__u8 backend_state)
{
	return backend_state == BACKEND_UP || SERVING_STATES >> (backend_state & 31) & 1;
}

static __always_inline const struct service *get_service(__u32 id)
{
	return bpf_map_lookup_elem(&services, &id);
}

/*
 * What becomes of flows of a backend; enum failed_backend, FAILED_KEEP as long as they go on. One that is down although its
 * service keeps flows is UDP's, or that of a service that has not kept them until now.
 */
__noinline int fate_of_flows(__u32 backend_id)
{
	struct backend *backend = get_backend(backend_id);
	const struct service *service = backend ? get_service(backend->service) : NULL;

	if (!backend || is_serving(backend->state))
		return FAILED_KEEP;
	return service && service->failed_backend != FAILED_KEEP ? service->failed_backend : FAILED_DROP;
}

/* Whether a client's packet of a TCP flow with this fate is answered with a reset. */
static __always_inline int is_reset(__u32 fate)
{
	return fate == FAILED_RESET || fate == FAILED_RESCHEDULE;
}

#define SLOTS_PER_LINE (64 / sizeof(struct flow_slot))

/* Both candidate buckets of a key; NULL where the mask and the map's size disagree. */
struct flow_buckets {
	struct flow_bucket *primary;
	struct flow_bucket *secondary;
};

static __always_inline __u32 bucket_mask(const struct settings *set)
{
	return OF_FAMILY(set->flow_bucket_mask, set->flow6_bucket_mask);
}

static __always_inline struct flow_bucket *bucket_at(__u32 index)
{
	return bpf_map_lookup_elem(&flows, &index);
}

static __always_inline struct flow_buckets buckets_in(void *table, const struct flow_key *key, __u32 mask)
{
	__u64 hash = flow_hash(key);
	__u32 primary = hash >> 32 & mask;
	__u32 secondary = hash & mask;

	return (struct flow_buckets){bpf_map_lookup_elem(table, &primary), bpf_map_lookup_elem(table, &secondary)};
}

static __always_inline struct flow_buckets buckets_of(const struct flow_key *key, const struct settings *set)
{
	return buckets_in(&flows, key, bucket_mask(set));
}

static __always_inline struct flow_clock flow_now(const struct settings *set)
{
	__u64 jiffies = bpf_jiffies64();

	return (struct flow_clock){.fine = jiffies >> set->fine_shift, .coarse = jiffies >> set->coarse_shift};
}

/*
 * Begins to load buckets that are looked into later. They are cold as a rule, and the processor does not wait for a load that
 * nobody uses: it works on meanwhile, for some two hundred instructions, and several such loads take the time of one if no more
 * than that lies between them.
 */
static __always_inline void expect(const struct flow_buckets *buckets)
{
	if (!buckets->primary || !buckets->secondary)
		return;
#pragma unroll
	for (int i = 0; i < FLOW_SLOTS_PER_BUCKET; i += SLOTS_PER_LINE) {
		flow_load(&buckets->primary->slots[i].word);
		flow_load(&buckets->secondary->slots[i].word);
	}
}

/* The key of a connection, from the client's side. */
static __always_inline struct flow_key flow_key_of(const struct address *client, __be16 client_port,
						   const struct address *service, __be16 service_port, __u8 proto)
{
	struct flow_key key = {.ports = client_port | (__u32)service_port << 16 | (__u64)proto << 32};

	put_addresses(key.addrs, client, service);
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
	struct address client = *key_client(key);
	__u64 ports = (key->ports & ~(0xffffull << 16)) | (__u32)port << 16;

	put_addresses(key->addrs, &client, addr);
	flow_opaque(ports); /* clang would write the port alone, see put_addresses() */
	key->ports = ports;
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

/* Looks for a key that another CPU was changing a moment ago, a few times; enum flow_lookup. */
__noinline int find_moving(struct flow_bucket *primary, struct flow_bucket *secondary, const struct flow_key *key,
			   struct flow_hit *hit)
{
	return primary && secondary && key && hit ? flow_find(primary, secondary, key, hit) : FLOW_MISS;
}

/* One look for a key, which may have expired. */
static __always_inline enum flow_lookup look_in(const struct flow_buckets *buckets, const struct flow_key *key,
						struct flow_hit *hit)
{
	if (!buckets->primary || !buckets->secondary)
		return FLOW_MISS;
	return flow_look(buckets->primary, buckets->secondary, key, hit);
}

/* The same, and again while another CPU is changing it. */
static __always_inline enum flow_lookup find_in(const struct flow_buckets *buckets, const struct flow_key *key,
						struct flow_hit *hit)
{
	enum flow_lookup found = look_in(buckets, key, hit);

	return found == FLOW_MOVING ? find_moving(buckets->primary, buckets->secondary, key, hit) : found;
}

/* Looks for a flow that is not where it is as a rule; enum flow_lookup. */
__noinline int look_everywhere(const struct flow_key *key, struct flow_hit *hit)
{
	struct settings *set = get_settings();

	if (!key || !hit || !set)
		return FLOW_MISS;
	struct flow_buckets buckets = buckets_of(key, set);
	return find_in(&buckets, key, hit);
}

/* Looks a flow up; `now` is the coarse clock. An expired flow is a miss. The next hop is looked at `to_client` only, see
 * flow_read(). Inlined where every packet comes by: it saves 11 ns. */
static __always_inline enum flow_lookup find_flow_now(const struct flow_key *key, struct flow_hit *hit,
						      const struct settings *set, __u32 now, const int to_client)
{
	__u64 hash = flow_hash(key);
	struct flow_bucket *primary = bucket_at(hash >> 32 & bucket_mask(set));

	if (!primary)
		return FLOW_MISS;
	enum flow_lookup found = flow_glance(primary, hash, key, hit, to_client);
	if (found != FLOW_HIT) {
		*hit = (struct flow_hit){};
		found = look_everywhere(key, hit);
	}
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
	return find_flow_now(key, hit, set, flow_now(set).coarse, 1);
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

/* Carries an event into a flow that was found. Returns the word now in force, or 0 if the flow is gone. */
__noinline __u64 update_flow(const struct flow_key *key, struct flow_hit *hit, __u32 event, __u32 number)
{
	struct settings *set = get_settings();

	if (!key || !hit || !set)
		return 0;
	struct flow_buckets buckets = buckets_of(key, set);
	if (!buckets.primary || !buckets.secondary)
		return 0;
	struct flow_clock now = flow_now(set);
	__u64 before = hit->word;
	__u64 word = flow_track(buckets.primary, buckets.secondary, key, hit, event, number, &now);
	if (set->flags & SETTING_SHARING && is_news(before, word))
		share_flow(key, flow_load(&flow_slot_at(buckets.primary, buckets.secondary, hit->slot)->next_hop), word);
	return word;
}

/* Whether the client of a flow has been looked for in the block list, if there is one, in this very tick, and the list has not
 * changed since. */
static __always_inline int is_cleared(__u64 word, __u32 now, const struct settings *set)
{
	if (!(set->flags & SETTING_BLOCKED))
		return 1;
	return word & FLOW_CLIENT && is_current(word, now) && set->blocks_changed != now;
}

/* Whether a packet changes anything in its flow: else the slot's line is spared a write. */
static __always_inline int changes_flow(__u64 word, __u32 event, __u32 now)
{
	return !is_current(word, now) || event & (FLOW_FIN | FLOW_SYN | FLOW_RST);
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

/* Waits for the lock of a bucket that another CPU holds. */
__noinline int await_lock(struct flow_bucket *primary)
{
	return primary ? flow_lock(primary) : 0;
}

static __always_inline int lock_bucket(struct flow_bucket *primary)
{
	return flow_try_lock(primary) || await_lock(primary);
}

/* One attempt to claim a slot, the primary bucket being locked; enum flow_claim. Inlined, as a call costs 8 ns. */
static __always_inline int claim_once(struct flow_bucket *primary, struct flow_bucket *secondary,
				      const struct flow_key *key, struct flow_hit *hit)
{
	struct settings *set = get_settings();

	if (!primary || !secondary || !key || !hit || !set)
		return FLOW_FULL;
	struct flow_clock now = flow_now(set);
	return flow_claim(primary, secondary, key, &now, &set->timeouts, hit);
}

/* Further ones, where somebody else has touched the slot. */
__noinline int claim_again(struct flow_bucket *primary, struct flow_bucket *secondary, const struct flow_key *key,
			   struct flow_hit *hit)
{
	return claim_once(primary, secondary, key, hit);
}

/* The same, a few times while others touch the slot. */
static __always_inline int claim_in(const struct flow_buckets *buckets, const struct flow_key *key, struct flow_hit *hit)
{
	int claim = claim_once(buckets->primary, buckets->secondary, key, hit);

	for (int attempt = 1; claim == FLOW_RACED && attempt < FLOW_CLAIM_ATTEMPTS; attempt++)
		claim = claim_again(buckets->primary, buckets->secondary, key, hit);
	return claim;
}

static __always_inline __u32 bucket_index(const struct flow_key *key, __u32 secondary, const struct settings *set)
{
	return flow_hash(key) >> (secondary ? 0 : 32) & bucket_mask(set);
}

/* Moves a live flow out of a candidate slot, which is ours then, if it is at home there; enum flow_claim. */
__noinline int move_resident(const struct flow_key *key, struct flow_hit *hit, __u32 candidate)
{
	struct settings *set = get_settings();

	if (!key || !hit || !set)
		return FLOW_FULL;
	__u32 home = bucket_index(key, candidate >= FLOW_SLOTS_PER_BUCKET, set);
	struct flow_bucket *bucket = bpf_map_lookup_elem(&flows, &home);
	if (!bucket)
		return FLOW_FULL;
	struct flow_slot *slot = &bucket->slots[candidate & (FLOW_SLOTS_PER_BUCKET - 1)];
	struct flow_clock now = flow_now(set);
	struct flow_key leaving;
	struct flow_hit resident;
	if (!flow_read_resident(slot, &leaving, &resident, &now, &set->timeouts))
		return FLOW_FULL;
	__u32 away = bucket_index(&leaving, 1, set);
	if (bucket_index(&leaving, 0, set) != home || away == home)
		return FLOW_FULL;
	struct flow_bucket *secondary = bpf_map_lookup_elem(&flows, &away);
	if (!secondary)
		return FLOW_FULL;
	hit->slot = candidate;
	return flow_move(slot, secondary, &leaving, &resident, &now, &set->timeouts, hit);
}

/* Makes room where all candidates are live, the primary bucket being locked; enum flow_claim. */
__noinline int make_room(const struct flow_key *key, struct flow_hit *hit)
{
	struct settings *set = get_settings();
	int claim = FLOW_FULL;

	if (!key || !hit || !set)
		return FLOW_FULL;
	for (__u32 i = 0; i < FLOW_SLOTS_PER_BUCKET; i++) {
		claim = move_resident(key, hit, i);
		if (claim == FLOW_CLAIMED)
			return claim;
	}
	struct flow_bucket *secondary = buckets_of(key, set).secondary;
	if (!secondary || !flow_try_lock(secondary))
		return FLOW_FULL;
	for (__u32 i = FLOW_SLOTS_PER_BUCKET; i < FLOW_CANDIDATES; i++) {
		claim = move_resident(key, hit, i);
		if (claim == FLOW_CLAIMED)
			break;
	}
	flow_unlock(secondary);
	return claim;
}

/* Claims a slot for a new connection; enum flow_claim. After FLOW_CLAIMED the lock is held, for settle_flow. */
static __always_inline enum flow_claim claim_flow(const struct flow_buckets *buckets, const struct flow_key *key,
						  struct flow_hit *hit)
{
	if (!buckets->primary || !lock_bucket(buckets->primary))
		return FLOW_RACED;
	int claim = claim_in(buckets, key, hit);
	if (claim == FLOW_FULL)
		claim = make_room(key, hit);
	if (claim != FLOW_CLAIMED)
		flow_unlock(buckets->primary);
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

/* Makes the claimed slot a flow with `hit->next_hop`, or gives it back if there is no backend (negative). */
static __always_inline void settle_flow(const struct flow_buckets *buckets, const struct flow_key *key,
					struct flow_hit *hit, int backend, const struct settings *set)
{
	if (!buckets->primary || !buckets->secondary) /* cannot be: it has been claimed */
		return;
	struct flow_slot *slot = flow_slot_at(buckets->primary, buckets->secondary, hit->slot);
	if (backend < 0) {
		flow_release(buckets->primary, slot, hit);
		return;
	}
	struct flow_start start = flow_start_at(backend, set);
	flow_publish(buckets->primary, slot, hit, key, hit->next_hop, flow_beginning(key, &start));
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
