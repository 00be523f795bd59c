/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is taken from whom: the block list, and the limits of new connections.
 *
 * A limit is a token bucket in one word that all CPUs share, changed by compare-and-swap, so it is exact. Whoever finds
 * it empty only reads, so a flood, however many CPUs it meets, writes no more often than connections are admitted.
 */
#ifndef SLUICE_LIMIT_H
#define SLUICE_LIMIT_H

#include "persist.h"
#include "service.h"

/*
 * The word of a bucket: debt << 28 | low 28 bits of the jiffies at which that was so. A connection costs as much as a
 * second has jiffies, and a jiffy pays back the rate; a debt of 0, as of a word of 0, is a full bucket. 36 bits hold the
 * largest burst; the stamp comes round after 74 hours at most, when all that can happen is that less was paid back.
 */
#define TOKEN_DEBT_SHIFT 28
#define TOKEN_STAMP_MASK ((1ull << TOKEN_DEBT_SHIFT) - 1)
#define TOKEN_ATTEMPTS 8

/* Whether the sender is under a prefix of the block list. A function of its own for the sake of its callers' stack. */
__noinline int is_blocked(const struct address *source)
{
	struct settings *set = get_settings();
	struct blocked_prefix prefix = {.length = 8 * ADDRESS_BYTES};

	if (!source || !set || !(set->flags & SETTING_BLOCKED))
		return 0;
	put_address(prefix.addr, source);
	return bpf_map_lookup_elem(&blocked, &prefix) != NULL;
}

/* The service that a blocked client's packet is for, or 0: it is not blocked, or for none, and so not ours to drop. */
__noinline int blocked_from(const struct flow_key *key)
{
	if (!key || !is_blocked(key_client(key)))
		return 0;
	return service_of(key);
}

struct rate {
	__u32 per_second;
	__u32 burst;
};

/* What a bucket still owes. A stamp less than a second ahead is of a CPU that saw the clock a little later. */
static __always_inline __u64 debt_of(__u64 word, __u64 now, __u32 per_second, __u32 hz)
{
	__u64 elapsed = (now - word) & TOKEN_STAMP_MASK;
	__u64 debt = word >> TOKEN_DEBT_SHIFT;
	__u64 paid = elapsed > TOKEN_STAMP_MASK - hz ? 0 : elapsed * per_second;

	return debt > paid ? debt - paid : 0;
}

/* Takes a token; 0: there is none. When other CPUs are always first, they have taken what there was. */
static __always_inline int take_token(__u64 *bucket, const struct rate *rate, __u32 hz)
{
	for (int attempt = 0; attempt < TOKEN_ATTEMPTS; attempt++) {
		__u64 word = flow_load(bucket);
		__u64 now = bpf_jiffies64();
		__u64 debt = debt_of(word, now, rate->per_second, hz) + hz;

		if (debt > (__u64)rate->burst * hz)
			return 0;
		if (flow_cas(bucket, word, debt << TOKEN_DEBT_SHIFT | (now & TOKEN_STAMP_MASK)) == word)
			return 1;
	}
	return 0;
}

/* A client as its limit counts it, different for different services. */
static __always_inline __u64 source_number(const struct address *client, __u32 service)
{
	__u64 number = ((network_number(client) * 0xc2b2ae3d27d4eb4full) ^ service) * 0x9fb21c651e98df25ull;

	return (number ^ number >> 32) * 0x9e3779b97f4a7c15ull;
}

/*
 * The bucket of a source: its own, or the one in its set that owes least, which is that of a source long silent as long
 * as there is one. So those who owe most are the last to be forgotten, and who is forgotten begins with a full bucket.
 * NULL: another CPU has just given it to another source.
 */
static __always_inline __u64 *source_bucket(struct source_set *set, __u64 source, const struct rate *rate, __u32 hz)
{
	__u64 now = bpf_jiffies64();
	__u64 least = ~0ull;
	struct source_tokens *victim = &set->sources[0];

	for (int i = 0; i < SOURCES_PER_SET; i++) {
		struct source_tokens *known = &set->sources[i];
		__u64 debt = debt_of(known->tokens, now, rate->per_second, hz);

		if (known->source == source)
			return &known->tokens;
		if (debt < least) {
			least = debt;
			victim = known;
		}
	}
	__u64 before = victim->source;
	__u64 owed = flow_load(&victim->tokens);
	__u64 seen = flow_cas(&victim->source, before, source);
	if (seen != before && seen != source)
		return NULL;
	if (seen == before)
		flow_cas(&victim->tokens, owed, 0); /* unless another CPU has met the source meanwhile, and charged it */
	return &victim->tokens;
}

/* Whether a new connection is within its source's limit. Who cannot be counted is let in. */
__noinline int source_may_connect(const struct new_flow *new, __u32 per_second, __u32 burst)
{
	struct settings *set = get_settings();
	struct rate rate = {per_second, burst};

	if (!new || !set)
		return 1;
	__u64 source = source_number(key_client(&new->key), new->service);
	__u32 index = source >> 32 & (SOURCE_SETS - 1);
	struct source_set *sources = bpf_map_lookup_elem(&source_limits, &index);
	if (!sources)
		return 1;
	__u64 *bucket = source_bucket(sources, source, &rate, set->hz);
	return !bucket || take_token(bucket, &rate, set->hz);
}

/* Whether a new connection is within its service's limit. */
__noinline int service_may_connect(__u32 service, __u32 per_second, __u32 burst)
{
	struct settings *set = get_settings();
	struct service_tokens *bucket = bpf_map_lookup_elem(&service_limits, &service);
	struct rate rate = {per_second, burst};

	return !bucket || !set || take_token(&bucket->tokens, &rate, set->hz);
}

/* Whether a new connection is one too many. The source's limit goes first, so that one source alone cannot use up its
 * service's. */
static __always_inline enum verdict check_limits(const struct new_flow *new, const struct service *service)
{
	if (service->source_rate && !source_may_connect(new, service->source_rate, service->source_burst))
		return V_DROP_RATE_SOURCE;
	if (service->service_rate && !service_may_connect(new->service, service->service_rate, service->service_burst))
		return V_DROP_RATE_SERVICE;
	return V_UNDECIDED;
}

#endif
