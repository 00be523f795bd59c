/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Taking over what a peer tells: its flows, and its persistence entries. A copy is inserted as a new connection is, so it
 * evicts no live TCP flow, and packets that come meanwhile find it or do not. What we know ourselves and have heard of more
 * lately stays as it is.
 */
#ifndef SLUICE_COPY_H
#define SLUICE_COPY_H

#include "persist.h"

/* States that a peer tells of; all of them keep the coarse clock. */
#define COPIED_STATES                                                                                           \
	(1u << FLOW_ESTABLISHED | 1u << FLOW_FIN_WAIT | 1u << FLOW_CLOSE_WAIT | 1u << FLOW_TIME_WAIT |           \
	 1u << FLOW_CLOSED | 1u << FLOW_UDP_BOTH_WAYS | 1u << FLOW_ONE_SIDED_ESTABLISHED |                       \
	 1u << FLOW_ONE_SIDED_CLOSE_WAIT)
/* Ticks by which a peer's flow must be the younger one, to be sure of it: its age was rounded twice. */
#define COPY_SLACK 1

static __always_inline __u64 jiffies_of_ms(const struct settings *set, __u32 ms)
{
	return (__u64)ms * set->hz / 1000;
}

/* The service of a backend, as far as both are in use. */
static __always_inline const struct service *service_of_backend(__u32 id)
{
	struct backend *backend = get_backend(id);
	const struct service *service =
		backend && backend->state != BACKEND_UNUSED ? get_service(backend->service) : NULL;

	return service && service->family == FAMILY ? service : NULL;
}

/* Whether a flow of this key may go to this backend. */
static __always_inline int is_served_by(const struct flow_key *key, __u32 backend)
{
	const struct service *service = service_of_backend(backend);

	return service && service->proto == flow_proto(key) && !(key->ports >> 40) &&
	       (!service->port || service->port == key_service_port(key)) &&
	       same_address(address_in(service->addr), key_service(key));
}

/*
 * Remembers a client, unless our entry is by a later connection of its; enum copy_fate. Which is the later one is told by
 * their ends. None ends later than one that begins now, but for those from before the service's time was shortened. `news`:
 * it is of a connection, which a round that repeats an older entry must not undo in the same tick.
 */
__noinline int take_client(const struct flow_key *client, __u32 backend, __u64 left, int news)
{
	struct settings *set = get_settings();
	struct flow_hit hit = {};

	if (!client || !set)
		return COPY_STRANGE;
	const struct service *service = service_of_backend(backend);
	__u32 last_tick = (bpf_jiffies64() + left) >> set->coarse_shift;
	struct flow_slot *slot = find_entry(client, &hit, set);
	if (!slot)
		return insert_entry(client, &hit, backend, last_tick) < 0 ? COPY_REFUSED : COPY_TAKEN;
	__u32 ours = entry_last_tick(hit.word);
	__u32 latest = service ? last_tick_of(service, set) : ours;
	if ((__s32)(ours - latest) > 0)
		ours = latest;
	if ((__s32)(last_tick - ours) < !news)
		return COPY_KNOWN;
	__u64 bits = entry_beginning(backend, last_tick);
	return flow_replace(slot, &hit, FLOW_BACKEND_MASK | FLOW_STAMP_MASK, bits) ? COPY_TAKEN : COPY_REFUSED;
}

/* Restarts the persistence of a flow's client as of when the flow opened, some jiffies ago. */
__noinline int take_client_of(const struct flow_key *key, __u32 backend, __u64 age)
{
	struct backend *theirs = get_backend(backend);
	const struct service *service = service_of_backend(backend);
	struct flow_key entry = {};

	if (!key || !theirs || !service || service->persistence_jiffies <= age)
		return COPY_KNOWN;
	name_entry(&entry, service, theirs->service, key_client(key));
	return take_client(&entry, backend, service->persistence_jiffies - age, 1);
}

/*
 * Whether a flow of ours gives way to a peer's word about it. Half-open, ours is another connection. One that the peer has
 * dealt anew was ours before, however lately: a tick later is enough, and in the same tick neither can tell. Of packets in
 * the same tick, the one that has ended the flow was the last.
 */
static __always_inline int gives_way(__u64 word, __u64 theirs, __u32 age, const struct flow_clock *now)
{
	if (word & FLOW_COPY)
		return 1;
	if (flow_is_half_open(word))
		return 0;
	if (flow_backend(word) != flow_backend(theirs))
		return flow_age(word, now) > (__s32)age;
	if (FLOW_DEAD_STATES >> flow_state(theirs) & 1)
		return flow_age(word, now) + COPY_SLACK >= (__s32)age;
	return flow_age(word, now) > (__s32)age + COPY_SLACK;
}

/* Makes the slot that was found or opened what the peer says; enum copy_fate. */
__noinline int settle_copy(const struct flow_key *key, struct flow_hit *hit, __u64 bits)
{
	struct settings *set = get_settings();

	if (!key || !hit || !set)
		return COPY_REFUSED;
	struct flow_slot *slot = slot_of(key, hit, set);
	if (!slot || !flow_replace(slot, hit, FLOW_STATE_MASK | FLOW_BACKEND_MASK | FLOW_STAMP_MASK | FLOW_COPY, bits))
		return COPY_REFUSED;
	return COPY_TAKEN;
}

/* Finds the slot of a peer's flow, or opens one; enum copy_fate. `bits`: its word. */
__noinline int take_flow(const struct flow_key *key, __u64 next_hop, __u64 bits, __u32 age)
{
	struct settings *set = get_settings();
	struct flow_hit hit = {};

	if (!key || !set)
		return COPY_REFUSED;
	struct flow_clock now = flow_now(set);
	enum flow_lookup found = find_flow(key, &hit);
	if (found == FLOW_HIT)
		return gives_way(hit.word, bits, age, &now) ? settle_copy(key, &hit, bits) : COPY_KNOWN;
	if (FLOW_DEAD_STATES >> flow_state(bits) & 1)
		return COPY_KNOWN;
	struct flow_buckets buckets = buckets_of(key, set);
	if (found == FLOW_MOVING || claim_flow(&buckets, key, &hit) != FLOW_CLAIMED)
		return COPY_REFUSED;
	hit.next_hop = next_hop;
	settle_flow(&buckets, key, &hit, flow_backend(bits), set);
	return settle_copy(key, &hit, bits);
}

/* Takes the nth flow of a frame; enum copy_fate. */
__noinline int take_nth_flow(struct xdp_md *ctx, __u32 n)
{
	struct settings *set = get_settings();
	struct flow_copy *copy = (void *)(long)ctx->data + sizeof(__u64) + (__u64)(n & (COPIES_MAX - 1)) * sizeof(*copy);

	if (!set || (void *)(copy + 1) > (void *)(long)ctx->data_end)
		return COPY_STRANGE;
	struct flow_key key = {.ports = copy->ports};
#pragma GCC unroll 4
	for (__u32 i = 0; i < FLOW_ADDR_WORDS; i++)
		key.addrs[i] = copy->addrs[i];
	__u32 backend = copy->backend, state = copy->state, opened = copy->flags & COPY_OPENED;
	if (state >= FLOW_STATES_MAX || !(COPIED_STATES >> state & 1) || !is_served_by(&key, backend))
		return COPY_STRANGE;
	/* of a generation that is over, so that the first reply looks the route up */
	__u64 next_hop = (copy->next_hop & ~(255ull << NEXT_HOP_GENERATION_SHIFT)) |
			 (__u64)(__u8)(set->route_generation - 1) << NEXT_HOP_GENERATION_SHIFT;
	__u32 age = jiffies_of_ms(set, copy->age_ms) >> set->coarse_shift;
	__u64 bits = FLOW_COPY | (__u64)state << FLOW_STATE_SHIFT | (__u64)backend << FLOW_BACKEND_SHIFT |
		     (__u32)(flow_now(set).coarse - age);
	int fate = take_flow(&key, next_hop, bits, age);
	if (opened && fate != COPY_REFUSED)
		take_client_of(&key, backend, (__u64)age << set->coarse_shift);
	return fate;
}

/* Takes the nth persistence entry of a frame; enum copy_fate. */
__noinline int take_nth_client(struct xdp_md *ctx, __u32 n)
{
	struct settings *set = get_settings();
	struct client_copy *copy = (void *)(long)ctx->data + sizeof(__u64) + (__u64)(n & (COPIES_MAX - 1)) * sizeof(*copy);

	if (!set || (void *)(copy + 1) > (void *)(long)ctx->data_end)
		return COPY_STRANGE;
	__u32 id = copy->backend;
	struct backend *backend = get_backend(id);
	const struct service *service = service_of_backend(id);
	if (!backend || !service || !service->persistence_jiffies)
		return COPY_STRANGE;
	__u64 left = jiffies_of_ms(set, copy->left_ms);
	struct flow_key entry = {};
	name_entry(&entry, service, backend->service, address_in(copy->client));
	return take_client(&entry, id, left < service->persistence_jiffies ? left : service->persistence_jiffies, 0);
}

/* How many copies a frame says it has: its first eight bytes. */
static __always_inline __u32 count_of_copies(struct xdp_md *ctx)
{
	struct cursor cursor = {(void *)(long)ctx->data, (void *)(long)ctx->data_end};
	__u64 *count = TAKE(&cursor, __u64);

	return count ? *count : 0;
}

static __always_inline __u32 counted(int fate)
{
	return 1u << 8 * (fate & 3);
}

#endif
