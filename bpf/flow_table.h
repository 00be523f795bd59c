/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The flow table: one slot per connection, found from both sides.
 *
 * A set-associative table without pointers: a key hashes to a primary and a secondary bucket of four slots each, so it
 * has eight candidate slots. FLOW_ADDR_WORDS says how wide addresses are: 1 for IPv4, 4 for IPv6. A slot is four 64-bit
 * words (IPv6: eight), a bucket 128 bytes (256), and every access is one whole word:
 *
 *   addrs     client address | service address << 32              as the packet carries them; written only while BUSY;
 *             IPv6: two words of client, two of service address
 *   ports     client port | service port << 16 | protocol << 32   likewise
 *   word      stamp:32 | backend:16 | state:4 | copy:1 | unused:1 | client:1 | lock:1 | generation:8   changed only atomically
 *   next_hop  towards the client: MAC:48 | nic:8 | route generation:8; written while BUSY, a stale one replaced by CAS
 *
 * The stamp says when the flow was last heard of: in half-open states 16 bits of the fine clock below 16 bits of the
 * server's initial sequence number, in all others 32 bits of the coarse clock. A half-open slot that nobody touches for
 * 2^15 fine ticks (9 minutes) looks young again; harmless, because a half-open slot is never safe from eviction. The client bit
 * says of an established flow that its client was heard of in the tick of the stamp, and not its server alone.
 *
 * Protocol
 *   read     as a seqlock whose sequence is the generation: word, key, next hop, word again
 *   update   compare-and-swap of the word; another generation means that the slot was reused: look the flow up again, it
 *            may have moved
 *   insert   under the lock bit of the primary bucket (kept in its slot 0), hence one insert per key at a time: claim a
 *            victim by CAS to BUSY with the next generation, write key and next hop, publish the state. The caller takes
 *            its ticket of the turn between claim and publish, so only an insert that has won takes one
 *   move     where an insert finds eight live flows, one of them leaves its primary bucket for its secondary one. Under the
 *            lock of the bucket that it leaves, which is its own primary bucket, so nobody inserts its key meanwhile:
 *            claim a victim there, write key and next hop, claim the flow's slot as the insert's own (an update since it
 *            was read makes this fail), publish the copy. A reader looks at the primary bucket first and flows never move
 *            back, so it finds the flow, the slot BUSY with the flow's key, or the copy
 *   expiry   an expired slot is free: nobody collects garbage
 *   copy     a flow that the peer told of is marked as a copy until a packet changes its word: it is not ours to tell of
 *
 * A victim is empty, else expired, else closed, else the oldest half-open one, else a UDP flow, which proves nothing about
 * its sender, or a one-sided one. Any other live TCP flow is never evicted. The primary bucket is preferred while it holds
 * fewer than three flows, then the less occupied one: who is in the secondary one costs a second cold page. With live flows
 * only, the very first insert is refused at a load of 0.69 (128K slots), 0.66 (4M) or 0.64 (16M), one in a hundred at 0.81;
 * 2 % of the flows are in their secondary bucket at a load of 0.25, 6 % at 0.4. Fewer than two would put 9 % and 16 % there,
 * fewer than four would have the first insert refused at 0.53. Moving begins at 0.25 (16M) to 0.39 (128K), but even at 0.4 it is
 * some twenty inserts in a million that move a flow, so a table for that load is a fast one.
 *
 * Of equal victims a key prefers the slot that two bits of its hash name, so who looks for a flow finds it with one look and a
 * branch that the processor foresees, where slots taken in their order make it guess: four in five flows are there at a load of
 * 0.4. That is a habit and no rule: a flow may be in any of its eight slots.
 *
 * A flow is one-sided if its server answers its client past us (DR and tunnels). Nobody here sees the server's sequence
 * number, so any acknowledgement of the client's makes it established, as in IPVS's table for input alone: two forged
 * packets are enough. Hence it gives way like UDP, and a flood of such pairs costs no other service a slot.
 *
 * The order of loads that reading relies on, and of stores that publishing does, is x86-64's; read-modify-write operations are
 * full barriers everywhere.
 * Plain C: test/flow-table/ hammers this file with host threads. FLOW_TABLE_FAULT=n puts a deliberate fault in, to prove
 * that the hammer sees it.
 */
#ifndef SLUICE_FLOW_TABLE_H
#define SLUICE_FLOW_TABLE_H

#include <linux/in.h>
#include <linux/types.h>

#ifndef FLOW_ADDR_WORDS
#define FLOW_ADDR_WORDS 1
#endif

#ifndef FLOW_TABLE_FAULT
#define FLOW_TABLE_FAULT 0
#endif

#ifdef __bpf__
#define flow_inline static __always_inline
#define flow_load(address) (*(volatile __u64 *)(address))
#define flow_store(address, value) (*(volatile __u64 *)(address) = (value))
#define flow_cas(address, old, new) __sync_val_compare_and_swap(address, old, new)
#define flow_fetch_xor(address, bits) __sync_fetch_and_xor(address, bits)
#define flow_fetch_or(address, bits) __sync_fetch_and_or(address, bits)
#define flow_fetch_and(address, bits) __sync_fetch_and_and(address, bits)
/* Calls a step with 0, 1, … until it returns 1: a loop that the verifier walks once and not for each turn. */
#define flow_repeat(times, step, context) bpf_loop(times, step, context, 0)
/* Checked by the verifier once, on its own, and not for each path that leads to it; hence it must expect NULL. */
#define flow_function __noinline
/* Keeps clang from turning arithmetic back into a branch: eight branches in a row are 256 paths for the verifier. */
#define flow_opaque(value) asm volatile("" : "+r"(value))
#else
#include "flow_table_host.h"
#endif

#define FLOW_SLOTS_PER_BUCKET 4
#define FLOW_CANDIDATES 8
#define FLOW_STATES_MAX 16
#define FLOW_LOCK_SPINS 2048
#define FLOW_CLAIM_ATTEMPTS 6
#define FLOW_UPDATE_ATTEMPTS 8
#define FLOW_FIND_ATTEMPTS 16
/* Flows in the primary bucket from which on the secondary one is considered. */
#define FLOW_PRIMARY_PREFERRED 3

/* UDP's states are TCP's of the same kind plus this bit, so that one comparison recognises a busy flow of either. */
#define FLOW_UDP 8

/* Names and timeouts are IPVS's, seen from the client's side; the first two are not states of a flow. */
enum flow_state {
	FLOW_EMPTY,
	FLOW_BUSY,        /* claimed by an insert, not yet published */
	FLOW_SYN_RECV,    /* half-open: the client's SYN was forwarded */
	FLOW_SYN_ACK,     /* half-open: the server answered; its sequence number is in the stamp */
	FLOW_ESTABLISHED, /* the client acknowledged that very number, which a spoofer cannot know */
	FLOW_FIN_WAIT,    /* the server closed first */
	FLOW_CLOSE_WAIT,  /* the client closed first */
	FLOW_TIME_WAIT,   /* both closed */
	FLOW_CLOSED,      /* reset */
	FLOW_UDP_ONE_WAY = FLOW_UDP | FLOW_SYN_RECV,      /* half-open: the client has sent, nobody has answered */
	FLOW_UDP_BOTH_WAYS = FLOW_UDP | FLOW_ESTABLISHED, /* the server has answered, as it does a spoofer, too */
	FLOW_ONE_SIDED_SYN_RECV = 11,    /* half-open: the client's SYN was forwarded, its answer goes another way */
	FLOW_ONE_SIDED_CLOSE_WAIT = 13,  /* the client closed; what the server does is not known */
	FLOW_ONE_SIDED_ESTABLISHED = 14, /* the client acknowledged something */
};

/* Where the parts of `word` and `next_hop` begin. */
enum flow_shift {
	FLOW_BACKEND_SHIFT = 32,
	FLOW_STATE_SHIFT = 48,
	FLOW_COPY_SHIFT = 52,
	FLOW_CLIENT_SHIFT = 54,
	FLOW_LOCK_SHIFT = 55,
	FLOW_GENERATION_SHIFT = 56,
	NEXT_HOP_NIC_SHIFT = 48,
	NEXT_HOP_GENERATION_SHIFT = 56,
};

#define FLOW_STAMP_MASK 0xffffffffull
#define FLOW_BACKEND_MASK (0xffffull << FLOW_BACKEND_SHIFT)
#define FLOW_STATE_MASK (15ull << FLOW_STATE_SHIFT)
#define FLOW_COPY (1ull << FLOW_COPY_SHIFT)
#define FLOW_CLIENT (1ull << FLOW_CLIENT_SHIFT)
#define FLOW_LOCK (1ull << FLOW_LOCK_SHIFT)
#define FLOW_GENERATION_MASK (255ull << FLOW_GENERATION_SHIFT)
#define FLOW_HALF_OPEN_STATES                                                                                   \
	(1u << FLOW_SYN_RECV | 1u << FLOW_SYN_ACK | 1u << FLOW_UDP_ONE_WAY | 1u << FLOW_ONE_SIDED_SYN_RECV)
/* A fresh SYN begins them anew. Of a one-sided flow that the client has closed nobody here sees the end. */
#define FLOW_DEAD_STATES (1u << FLOW_TIME_WAIT | 1u << FLOW_CLOSED | 1u << FLOW_ONE_SIDED_CLOSE_WAIT)

struct flow_key {
	__u64 addrs[FLOW_ADDR_WORDS];
	__u64 ports;
};

struct flow_slot {
	__u64 addrs[FLOW_ADDR_WORDS];
	__u64 ports;
	__u64 word;
	__u64 next_hop;
#if FLOW_ADDR_WORDS > 1
	__u64 pad; /* a slot is a cache line */
#endif
};

struct flow_bucket {
	struct flow_slot slots[FLOW_SLOTS_PER_BUCKET];
} __attribute__((aligned(FLOW_SLOTS_PER_BUCKET * sizeof(struct flow_slot))));

/* Both clocks come from jiffies; see struct settings for their ticks. */
struct flow_clock {
	__u32 fine;
	__u32 coarse;
};

/* By state, in ticks of that state's clock (half-open: fine, below 2^15); 0: never. */
struct flow_timeouts {
	__u32 ticks[FLOW_STATES_MAX];
};

/* A slot as it was read, consistent in itself. */
struct flow_hit {
	__u64 word;
	__u64 next_hop; /* 0 if it was not asked for */
	__u64 slot; /* 0..3 in the primary bucket, 4..7 in the secondary one */
};

enum flow_lookup {
	FLOW_MISS,
	FLOW_HIT,
	FLOW_MOVING, /* somebody was changing the slot: look again */
};

enum flow_claim {
	FLOW_CLAIMED,   /* ours and BUSY: publish or release it */
	FLOW_KEPT,      /* the key has a live slot already */
	FLOW_FULL,      /* eight live flows */
	FLOW_RACED,     /* somebody touched the slot: try again, up to FLOW_CLAIM_ATTEMPTS */
};

/* What a packet tells its flow: TCP's own flag bits, and two of ours in the place of URG and ECE. */
enum flow_event {
	FLOW_FIN = 0x01,
	FLOW_SYN = 0x02,
	FLOW_RST = 0x04,
	FLOW_ACK = 0x10,
	FLOW_FROM_SERVER = 0x20,
	FLOW_OPENS = 0x40, /* it may open a flow: a SYN and nothing else, or any datagram */
};
#define FLOW_TCP_FLAGS (FLOW_FIN | FLOW_SYN | FLOW_RST | FLOW_ACK)

flow_inline __u32 flow_state(__u64 word)
{
	return (__u32)(word >> FLOW_STATE_SHIFT) & (FLOW_STATES_MAX - 1);
}

flow_inline __u16 flow_backend(__u64 word)
{
	return word >> FLOW_BACKEND_SHIFT;
}

flow_inline __u64 flow_with_state(__u64 word, enum flow_state state)
{
	return (word & ~FLOW_STATE_MASK) | (__u64)state << FLOW_STATE_SHIFT;
}

flow_inline __u64 flow_with_stamp(__u64 word, __u32 stamp)
{
	return (word & ~FLOW_STAMP_MASK) | stamp;
}

/*
 * Primary bucket: the high half, secondary: the low half, each under the table's mask. Multiplications carry entropy
 * upwards only, hence the shifts between them, and before those of IPv6's further words: the bytes in which addresses
 * differ most are the highest of two words, where they would meet.
 */
flow_inline __u64 flow_hash(const struct flow_key *key)
{
	static const __u64 multipliers[] = {0x9e3779b97f4a7c15ull, 0x165667b19e3779f9ull, 0x85ebca77c2b2ae63ull,
					    0x27d4eb2f165667c5ull};
	__u64 hash = key->addrs[0] * multipliers[0] ^ key->ports * 0xc2b2ae3d27d4eb4full;

#pragma GCC unroll 4
	for (__u32 i = 1; i < FLOW_ADDR_WORDS; i++)
		hash ^= (key->addrs[i] ^ key->addrs[i] >> 32) * multipliers[i];
	hash = (hash ^ hash >> 32) * 0xd6e8feb86659fd93ull;
	hash = (hash ^ hash >> 29) * 0x9e3779b97f4a7c15ull;
	return hash ^ hash >> 32;
}

/* The slot of its primary bucket in which a flow is looked for first, and put if it is free: most are there. */
flow_inline __u32 flow_preferred(__u64 hash)
{
	return hash >> 62;
}

flow_inline struct flow_slot *flow_slot_at(struct flow_bucket *primary, struct flow_bucket *secondary, __u32 slot)
{
	return slot < FLOW_SLOTS_PER_BUCKET ? &primary->slots[slot & 3] : &secondary->slots[slot & 3];
}

/* Compares a slot's key; not 0 if it is another one. No branch in here. */
flow_inline __u64 flow_differs(struct flow_slot *slot, const struct flow_key *key)
{
	__u64 differs = flow_load(&slot->ports) ^ key->ports;

#pragma GCC unroll 4
	for (__u32 i = 0; i < FLOW_ADDR_WORDS; i++)
		differs |= flow_load(&slot->addrs[i]) ^ key->addrs[i];
	return differs;
}

/* Reads one slot as a seqlock. Who is not on the way `to_client` has no use for the next hop, and 0 for it: what waits for a cold
 * line is to be little, or else the processor cannot go on meanwhile. */
flow_inline enum flow_lookup flow_read(struct flow_slot *slot, const struct flow_key *key, struct flow_hit *hit,
				       const int to_client)
{
	__u64 before = flow_load(&slot->word);

	if (flow_differs(slot, key))
		return FLOW_MISS;
	__u64 next_hop = to_client ? flow_load(&slot->next_hop) : 0;
	__u64 after = flow_load(&slot->word);
	int moving = (before ^ after) >> FLOW_GENERATION_SHIFT || flow_state(before) == FLOW_BUSY;

	if (moving && FLOW_TABLE_FAULT != 2) /* 2: readers trust what they see */
		return FLOW_MOVING;
	if (flow_state(before) == FLOW_EMPTY)
		return FLOW_MISS;
	hit->word = before;
	hit->next_hop = next_hop;
	return FLOW_HIT;
}

/* A look at that slot alone. Who does not find a flow there has to look everywhere. */
flow_inline enum flow_lookup flow_glance(struct flow_bucket *primary, __u64 hash, const struct flow_key *key,
					 struct flow_hit *hit, const int to_client)
{
	__u32 slot = flow_preferred(hash);
	enum flow_lookup found = flow_read(&primary->slots[slot], key, hit, to_client);

	hit->slot = slot;
	return found;
}

/*
 * Choices without branches: 1 if the value is negative, else 0; then one of two values. A factor of 0 or 1 and not a mask
 * of all ones, because verifiers of 6.18 and later follow both values of such a mask, as if it were a branch.
 */
flow_inline __u64 flow_is_negative(__s64 value)
{
	__u64 sign = (__u64)value >> 63;

	flow_opaque(sign);
	return sign;
}

flow_inline __u64 flow_choose(__u64 condition, __u64 if_one, __u64 if_zero)
{
	return if_zero + (if_one - if_zero) * condition;
}

/* Looks for a key in one bucket; `first` is the number of its first slot, 0 or 4. */
flow_inline enum flow_lookup flow_probe(struct flow_bucket *bucket, __u32 first, const struct flow_key *key,
					struct flow_hit *hit)
{
	enum flow_lookup found = FLOW_MISS;

#pragma GCC unroll 4
	for (__u32 i = 0; i < FLOW_SLOTS_PER_BUCKET; i++) {
		struct flow_slot *slot = &bucket->slots[i];

		if (flow_load(&slot->ports) != key->ports)
			continue;
		enum flow_lookup read = flow_read(slot, key, hit, 1);
		if (read == FLOW_HIT) {
			hit->slot = first + i;
			return FLOW_HIT;
		}
		if (read == FLOW_MOVING)
			found = FLOW_MOVING;
		if (read == FLOW_MOVING && FLOW_TABLE_FAULT == 7) /* a slot that is being taken over hides those behind it */
			break;
	}
	return found;
}

/* One look at both buckets of a key, the primary one first: a flow that is moving is then never missed. */
flow_inline enum flow_lookup flow_look(struct flow_bucket *primary, struct flow_bucket *secondary,
				       const struct flow_key *key, struct flow_hit *hit)
{
	enum flow_lookup first = flow_probe(primary, 0, key, hit);

	if (first == FLOW_HIT)
		return FLOW_HIT;
	enum flow_lookup second = flow_probe(secondary, FLOW_SLOTS_PER_BUCKET, key, hit);
	return second == FLOW_MISS ? first : second;
}

/* A search for a flow that moves. */
struct flow_search {
	struct flow_bucket *primary;
	struct flow_bucket *secondary;
	const struct flow_key *key;
	struct flow_hit *hit;
	enum flow_lookup found;
};

static long flow_look_again(__u32 attempt __attribute__((unused)), void *context)
{
	struct flow_search *search = context;

	search->found = flow_look(search->primary, search->secondary, search->key, search->hit);
	return search->found != FLOW_MOVING;
}

/* The same, again and again while another CPU is changing a slot of this key. */
flow_inline enum flow_lookup flow_find(struct flow_bucket *primary, struct flow_bucket *secondary,
				       const struct flow_key *key, struct flow_hit *hit)
{
	struct flow_search search = {primary, secondary, key, hit, FLOW_MOVING};

	flow_repeat(FLOW_FIND_ATTEMPTS, flow_look_again, &search);
	return search.found;
}

flow_inline __u64 flow_is_half_open(__u64 word)
{
	__u64 half_open = FLOW_HALF_OPEN_STATES >> flow_state(word) & 1;

	flow_opaque(half_open);
	return half_open;
}

/* Ticks of the state's own clock since the stamp; signed, because another CPU may be a tick ahead of us. */
flow_inline __s32 flow_age(__u64 word, const struct flow_clock *now)
{
	__u32 fine = (__s16)(now->fine - (__u32)word);
	__u32 coarse = now->coarse - (__u32)word;

	if (FLOW_TABLE_FAULT == 3) /* ages taken for unsigned: who is a tick ahead looks ancient */
		coarse &= 0x7fffffff;
	return flow_choose(flow_is_half_open(word), fine, coarse);
}

/* 1 or 0. A timeout of 0 becomes 2^32 - 1 ticks, which no age reaches. */
flow_inline __u64 flow_is_late(__u64 word, __s32 age, const struct flow_timeouts *timeouts)
{
	__u32 last_tick = timeouts->ticks[flow_state(word)] - 1;

	return flow_is_negative((__s64)last_tick - age);
}

/* Whether a flow's timeout has passed: it is no longer there, whoever may still find its slot. */
flow_inline int flow_expired(__u64 word, const struct flow_clock *now, const struct flow_timeouts *timeouts)
{
	return flow_is_late(word, flow_age(word, now), timeouts);
}

/* Whether a fresh SYN may take over the slot of its own former connection. */
flow_inline int flow_over(__u64 word, const struct flow_clock *now, const struct flow_timeouts *timeouts)
{
	return (FLOW_DEAD_STATES >> flow_state(word) & 1) || flow_expired(word, now, timeouts);
}

/* How good a victim a slot is: lower is better. Half-open ones differ by age within their rank. */
#define FLOW_RANK_SHIFT 20
#define FLOW_RANK_EXPIRED 1u
#define FLOW_RANK_DEAD 2u
#define FLOW_RANK_HALF_OPEN 3u
#define FLOW_RANK_UNPROVEN 4u
#define FLOW_RANK_LIVE 15u
#define FLOW_SCORE_LIVE (FLOW_RANK_LIVE << FLOW_RANK_SHIFT)
#define FLOW_SCORE_OCCUPIED (FLOW_RANK_HALF_OPEN << FLOW_RANK_SHIFT)
/* Four bits of rank by state: a table in a register. States without a line of their own are hands off. */
#define FLOW_RANK(state, rank) ((__u64)(FLOW_RANK_LIVE ^ (rank)) << 4 * (state))
#define FLOW_RANKS                                                                                              \
	(~0ull ^ FLOW_RANK(FLOW_EMPTY, 0u) ^ FLOW_RANK(FLOW_SYN_RECV, FLOW_RANK_HALF_OPEN) ^                    \
	 FLOW_RANK(FLOW_SYN_ACK, FLOW_RANK_HALF_OPEN) ^ FLOW_RANK(FLOW_TIME_WAIT, FLOW_RANK_DEAD) ^             \
	 FLOW_RANK(FLOW_CLOSED, FLOW_RANK_DEAD) ^ FLOW_RANK(FLOW_UDP_ONE_WAY, FLOW_RANK_HALF_OPEN) ^               \
	 FLOW_RANK(FLOW_UDP_BOTH_WAYS, FLOW_RANK_UNPROVEN) ^                                                      \
	 FLOW_RANK(FLOW_ONE_SIDED_SYN_RECV, FLOW_RANK_HALF_OPEN) ^                                               \
	 FLOW_RANK(FLOW_ONE_SIDED_ESTABLISHED, FLOW_RANK_UNPROVEN) ^                                             \
	 FLOW_RANK(FLOW_ONE_SIDED_CLOSE_WAIT, FLOW_RANK_UNPROVEN))

/* No branch in here, nor in what it calls: eight of these in a row must not multiply the verifier's paths. */
flow_inline __u32 flow_score(__u64 word, const struct flow_clock *now, const struct flow_timeouts *timeouts)
{
	__s32 age = flow_age(word, now);
	__u64 rank = FLOW_RANKS >> 4 * flow_state(word) & 15;
	__u64 score = (rank << FLOW_RANK_SHIFT) + (0x8000 - age) * flow_is_half_open(word);

	return flow_choose(flow_is_late(word, age, timeouts), FLOW_RANK_EXPIRED << FLOW_RANK_SHIFT, score);
}

/* What a bucket has for a new flow. */
struct flow_scan {
	__u32 best;     /* the best victim, score << 3 | slot */
	__u32 occupied; /* half-open and live flows */
};

/* Branch-free as well; `first` is the number of the bucket's first slot, 0 or 4. Of equal victims the nearest to the preferred
 * slot is the best. */
flow_inline struct flow_scan flow_scan_bucket(struct flow_bucket *bucket, __u32 first, __u32 preferred,
					      const struct flow_clock *now, const struct flow_timeouts *timeouts)
{
	__u64 best = ~0u, occupied = 0;

#pragma GCC unroll 4
	for (__u32 i = 0; i < FLOW_SLOTS_PER_BUCKET; i++) {
		__u64 score = flow_score(flow_load(&bucket->slots[i].word), now, timeouts);
		__u64 candidate = score << 3 | ((first + i) ^ preferred);
		best = flow_choose(flow_is_negative(candidate - best), candidate, best);
		occupied += flow_is_negative(FLOW_SCORE_OCCUPIED - 1 - score);
	}
	best ^= preferred;
	flow_opaque(best); /* or clang would mask it before: 6.1 knows no bounds of an exclusive or */
	return (struct flow_scan){.best = best, .occupied = occupied};
}

/* The best victim as score << 3 | slot. Between equally occupied buckets the better victim decides. */
flow_inline __u32 flow_victim(struct flow_bucket *primary, struct flow_bucket *secondary, const struct flow_key *key,
			      const struct flow_clock *now, const struct flow_timeouts *timeouts)
{
	__u32 preferred = flow_preferred(flow_hash(key));
	struct flow_scan here = flow_scan_bucket(primary, 0, preferred, now, timeouts);

	if (here.occupied < FLOW_PRIMARY_PREFERRED)
		return here.best;
	struct flow_scan there = flow_scan_bucket(secondary, FLOW_SLOTS_PER_BUCKET, preferred, now, timeouts);
	if (here.occupied != there.occupied)
		return here.occupied < there.occupied ? here.best : there.best;
	return here.best <= there.best ? here.best : there.best;
}

/* Takes the lock of a bucket if it is free: all that one may do who holds another lock already. */
flow_inline int flow_try_lock(struct flow_bucket *bucket)
{
	if (FLOW_TABLE_FAULT == 1) /* inserts are not serialised */
		return 1;
	return !(flow_fetch_or(&bucket->slots[0].word, FLOW_LOCK) & FLOW_LOCK);
}

/* Somebody's wait for the lock of a bucket. */
struct flow_wait {
	struct flow_bucket *bucket;
	int locked;
};

static long flow_lock_again(__u32 attempt __attribute__((unused)), void *context)
{
	struct flow_wait *wait = context;

	wait->locked = !(flow_load(&wait->bucket->slots[0].word) & FLOW_LOCK) && flow_try_lock(wait->bucket);
	return wait->locked;
}

/* Takes the lock of a primary bucket, or gives up after a bounded spin. */
flow_inline int flow_lock(struct flow_bucket *primary)
{
	struct flow_wait wait = {.bucket = primary};

	if (flow_try_lock(primary))
		return 1;
	flow_repeat(FLOW_LOCK_SPINS, flow_lock_again, &wait);
	return wait.locked;
}

flow_inline void flow_unlock(struct flow_bucket *bucket)
{
	if (FLOW_TABLE_FAULT != 1)
		flow_fetch_and(&bucket->slots[0].word, ~FLOW_LOCK);
}

/* Puts a slot into BUSY for us. Any touch since we judged it makes this fail. */
flow_inline int flow_take(struct flow_slot *slot, __u64 judged, struct flow_hit *hit)
{
	__u64 generation = (judged & FLOW_GENERATION_MASK) + (1ull << FLOW_GENERATION_SHIFT);

	hit->word = generation | (judged & FLOW_LOCK) | (__u64)FLOW_BUSY << FLOW_STATE_SHIFT;
	if (FLOW_TABLE_FAULT == 4) { /* claimed by a plain store */
		flow_store(&slot->word, hit->word);
		return 1;
	}
	return flow_cas(&slot->word, judged, hit->word) == judged;
}

/*
 * Tries to claim a slot for a new connection, with the primary bucket's lock held. A key never has two slots: if it has
 * a live one, that one is kept (`hit` as after a lookup); if its connection is over, the new one starts in place.
 * After FLOW_CLAIMED comes flow_publish or flow_release, after every other answer flow_unlock.
 */
flow_inline enum flow_claim flow_claim(struct flow_bucket *primary, struct flow_bucket *secondary,
				       const struct flow_key *key, const struct flow_clock *now,
				       const struct flow_timeouts *timeouts, struct flow_hit *hit)
{
	__u64 judged;

	if (flow_look(primary, secondary, key, hit) == FLOW_HIT) {
		judged = hit->word;
		if (!flow_over(judged, now, timeouts))
			return FLOW_KEPT;
	} else {
		/* if our key is in a slot that changes, it leaves, and nobody else can insert it under our lock */
		__u32 victim = flow_victim(primary, secondary, key, now, timeouts);
		if (victim >> 3 >= FLOW_SCORE_LIVE)
			return FLOW_FULL;
		hit->slot = victim & (FLOW_CANDIDATES - 1);
		judged = flow_load(&flow_slot_at(primary, secondary, hit->slot)->word);
		if (flow_score(judged, now, timeouts) >= FLOW_SCORE_LIVE)
			return FLOW_RACED;
	}
	return flow_take(flow_slot_at(primary, secondary, hit->slot), judged, hit) ? FLOW_CLAIMED : FLOW_RACED;
}

/*
 * Ends what flow_take began: replaces everything but the lock, which somebody else may take or hold meanwhile: hence an
 * exclusive or. Where no lock is, nobody changes the word of a BUSY slot but who has taken it, and a store does.
 */
flow_inline void flow_settle(struct flow_slot *slot, struct flow_hit *hit, __u64 word)
{
	if (hit->slot & (FLOW_SLOTS_PER_BUCKET - 1) || FLOW_TABLE_FAULT == 6) /* 6: over somebody's lock as well */
		flow_store(&slot->word, word);
	else
		flow_fetch_xor(&slot->word, (hit->word ^ word) & ~FLOW_LOCK);
	hit->word = word;
}

/* Gives a slot that was taken its key and next hop. */
flow_inline void flow_write(struct flow_slot *slot, const struct flow_key *key, __u64 next_hop)
{
#pragma GCC unroll 4
	for (__u32 i = 0; i < FLOW_ADDR_WORDS; i++)
		flow_store(&slot->addrs[i], key->addrs[i]);
	flow_store(&slot->ports, key->ports);
	flow_store(&slot->next_hop, next_hop);
}

/* Empties a slot that was taken. */
flow_inline void flow_vacate(struct flow_slot *slot, struct flow_hit *hit)
{
	flow_settle(slot, hit, hit->word & FLOW_GENERATION_MASK);
}

/* Reads a flow that may move: a live one, consistent in itself. Its bucket's lock is held. */
flow_inline int flow_read_resident(struct flow_slot *slot, struct flow_key *key, struct flow_hit *resident,
				   const struct flow_clock *now, const struct flow_timeouts *timeouts)
{
	resident->word = flow_load(&slot->word);
	if (flow_state(resident->word) == FLOW_BUSY || flow_score(resident->word, now, timeouts) < FLOW_SCORE_LIVE)
		return 0;
#pragma GCC unroll 4
	for (__u32 i = 0; i < FLOW_ADDR_WORDS; i++)
		key->addrs[i] = flow_load(&slot->addrs[i]);
	key->ports = flow_load(&slot->ports);
	resident->next_hop = flow_load(&slot->next_hop);
	return 1; /* if it has changed since, flow_take() fails */
}

/*
 * Moves a flow that was read into a slot of its secondary bucket, and claims its own for whoever needs it: `hit` becomes
 * that claim. FLOW_CLAIMED, FLOW_FULL (the secondary bucket holds live flows only) or FLOW_RACED, and it stays.
 */
flow_inline enum flow_claim flow_move(struct flow_slot *slot, struct flow_bucket *secondary, const struct flow_key *key,
				      const struct flow_hit *resident, const struct flow_clock *now,
				      const struct flow_timeouts *timeouts, struct flow_hit *hit)
{
	__u32 preferred = flow_preferred(flow_hash(key));
	__u32 victim = flow_scan_bucket(secondary, FLOW_SLOTS_PER_BUCKET, preferred, now, timeouts).best;
	struct flow_slot *target = &secondary->slots[victim & (FLOW_SLOTS_PER_BUCKET - 1)];
	struct flow_hit copy = {.slot = victim & (FLOW_CANDIDATES - 1)};

	if (victim >> 3 >= FLOW_SCORE_LIVE)
		return FLOW_FULL;
	__u64 judged = flow_load(&target->word);
	if (flow_score(judged, now, timeouts) >= FLOW_SCORE_LIVE || !flow_take(target, judged, &copy))
		return FLOW_RACED;
	if (FLOW_TABLE_FAULT == 8) /* the original is cleared before there is a copy */
		flow_store(&slot->word, resident->word & FLOW_LOCK);
	flow_write(target, key, resident->next_hop);
	if (FLOW_TABLE_FAULT == 10) { /* an update since the flow was read is lost */
		flow_take(slot, flow_load(&slot->word), hit);
	} else if (!flow_take(slot, FLOW_TABLE_FAULT == 8 ? flow_load(&slot->word) : resident->word, hit)) {
		flow_vacate(target, &copy);
		return FLOW_RACED;
	}
	flow_settle(target, &copy,
		    (copy.word & FLOW_GENERATION_MASK) | (resident->word & ~(FLOW_GENERATION_MASK | FLOW_LOCK)));
	return FLOW_CLAIMED;
}

/* The protocol of a key, as IP numbers it. */
flow_inline __u8 flow_proto(const struct flow_key *key)
{
	return key->ports >> 32;
}

/* Where a flow begins. */
struct flow_start {
	__u16 backend;
	__u16 one_sided; /* 1: the backend answers past us */
	struct flow_clock now;
};

/* The state, backend and stamp of a new flow: half-open. */
flow_inline __u64 flow_beginning(const struct flow_key *key, const struct flow_start *start)
{
	enum flow_state state = start->one_sided ? FLOW_ONE_SIDED_SYN_RECV : FLOW_SYN_RECV;

	if (flow_proto(key) == IPPROTO_UDP)
		state = FLOW_UDP_ONE_WAY;
	return (__u64)state << FLOW_STATE_SHIFT | (__u64)start->backend << FLOW_BACKEND_SHIFT | (__u16)start->now.fine;
}

/*
 * Makes a claimed slot that of `key`; `beginning`: its state, backend and stamp. In the slot that holds the lock, which is
 * ours, one store does both: as long as it is BUSY, others do no more to its word than to ask for the lock in vain.
 */
flow_inline void flow_publish(struct flow_bucket *primary, struct flow_slot *slot, struct flow_hit *hit,
			      const struct flow_key *key, __u64 next_hop, __u64 beginning)
{
	__u64 word = (hit->word & FLOW_GENERATION_MASK) | beginning;

	flow_write(slot, key, next_hop);
	hit->next_hop = next_hop;
	if (hit->slot == 0) {
		flow_store(&slot->word, word);
		hit->word = word;
		return;
	}
	flow_settle(slot, hit, word);
	flow_unlock(primary);
}

/* Gives a claimed slot back, empty. */
flow_inline void flow_release(struct flow_bucket *primary, struct flow_slot *slot, struct flow_hit *hit)
{
	flow_vacate(slot, hit);
	flow_unlock(primary);
}

/* The word of a UDP flow that nobody has answered yet: its stamp is the fine clock alone. */
flow_inline __u64 flow_next_one_way(__u64 word, __u32 event, const struct flow_clock *now)
{
	if (event & FLOW_FROM_SERVER)
		return flow_with_stamp(flow_with_state(word, FLOW_UDP_BOTH_WAYS), now->coarse);
	return (__s16)(now->fine - (__u32)word) > 0 ? flow_with_stamp(word, (__u16)now->fine) : word;
}

/* Next word of a half-open flow. A client's SYN or RST changes nothing: anybody can forge them. */
flow_inline __u64 flow_next_half_open(__u64 word, __u32 event, __u16 number, const struct flow_clock *now)
{
	if (event & FLOW_FROM_SERVER) {
		if (event & FLOW_RST)
			return flow_with_stamp(flow_with_state(word, FLOW_CLOSED), now->coarse);
		if ((event & (FLOW_SYN | FLOW_ACK)) == (FLOW_SYN | FLOW_ACK))
			return flow_with_stamp(flow_with_state(word, FLOW_SYN_ACK),
					       (__u32)number << 16 | (__u16)now->fine);
		return word;
	}
	if (flow_state(word) == FLOW_SYN_RECV || (event & (FLOW_SYN | FLOW_RST | FLOW_ACK)) != FLOW_ACK)
		return word;
	if (flow_state(word) == FLOW_ONE_SIDED_SYN_RECV)
		return flow_with_stamp(flow_with_state(word, event & FLOW_FIN ? FLOW_ONE_SIDED_CLOSE_WAIT
									      : FLOW_ONE_SIDED_ESTABLISHED),
				       now->coarse);
	if ((__u16)(number - 1) != (__u16)(word >> 16))
		return word;
	return flow_with_stamp(flow_with_state(word, event & FLOW_FIN ? FLOW_CLOSE_WAIT : FLOW_ESTABLISHED), now->coarse);
}

/* State after a FIN or RST, as IPVS's table has it (net/netfilter/ipvs/ip_vs_proto_tcp.c). */
flow_inline enum flow_state flow_next_state(enum flow_state state, __u32 event)
{
	if (event & FLOW_RST)
		return FLOW_CLOSED;
	if (!(event & FLOW_FIN))
		return state;
	switch (state) {
	case FLOW_ESTABLISHED:
		return event & FLOW_FROM_SERVER ? FLOW_FIN_WAIT : FLOW_CLOSE_WAIT;
	case FLOW_FIN_WAIT:
		return event & FLOW_FROM_SERVER ? FLOW_FIN_WAIT : FLOW_TIME_WAIT;
	case FLOW_CLOSE_WAIT:
		return event & FLOW_FROM_SERVER ? FLOW_TIME_WAIT : FLOW_CLOSE_WAIT;
	case FLOW_ONE_SIDED_ESTABLISHED:
		return FLOW_ONE_SIDED_CLOSE_WAIT;
	default:
		return state;
	}
}

/* The word of an established flow, or of one that closes, that is heard of now. */
flow_inline __u64 flow_heard(__u64 word, __u32 event, const struct flow_clock *now)
{
	__u64 client = event & FLOW_FROM_SERVER ? 0 : FLOW_CLIENT;
	__s32 age = now->coarse - (__u32)word;

	if (age > 0)
		return (flow_with_stamp(word, now->coarse) & ~FLOW_CLIENT) | client;
	return age < 0 ? word : word | client;
}

/* The word after a packet; the same word where nothing changes. `number`: the low half of the sequence number of a
 * server's packet, of the acknowledgement of a client's. */
flow_function __u64 flow_next(__u64 word, __u32 event, __u16 number, const struct flow_clock *now)
{
	if (!now)
		return word;
	if (flow_state(word) == FLOW_UDP_ONE_WAY)
		return flow_next_one_way(word, event, now);
	if (FLOW_HALF_OPEN_STATES >> flow_state(word) & 1)
		return flow_next_half_open(word, event, number, now);
	return flow_heard(flow_with_state(word, flow_next_state(flow_state(word), event)), event, now);
}

/* Carries a packet's event into its slot. Returns the word now in force, or 0 if the slot was reused: a miss. */
flow_inline __u64 flow_update(struct flow_slot *slot, __u64 word, __u32 event, __u16 number,
			      const struct flow_clock *now)
{
	for (int attempt = 0; attempt < FLOW_UPDATE_ATTEMPTS; attempt++) {
		__u64 next = flow_next(word, event, number, now);

		if (next == word)
			return word;
		next &= ~FLOW_COPY;
		if (FLOW_TABLE_FAULT == 5) { /* updated by a plain store */
			flow_store(&slot->word, next);
			return next;
		}
		__u64 seen = flow_cas(&slot->word, word, next);
		if (seen == word)
			return next;
		if ((seen ^ word) & FLOW_GENERATION_MASK)
			return 0;
		word = seen;
	}
	return word; /* others keep it fresh */
}

/*
 * Carries a packet's event into its flow, which may have moved since it was found, but only once: `hit` says where it is
 * now. Returns the word now in force, or 0 if it is gone. One that has come back with another backend is another connection.
 */
flow_inline __u64 flow_track(struct flow_bucket *primary, struct flow_bucket *secondary, const struct flow_key *key,
			     struct flow_hit *hit, __u32 event, __u16 number, const struct flow_clock *now)
{
	__u16 backend = flow_backend(hit->word);
	__u64 word = flow_update(flow_slot_at(primary, secondary, hit->slot), hit->word, event, number, now);

	if (word || FLOW_TABLE_FAULT == 11) /* 11: who has moved is given up */
		return word;
	enum flow_lookup found = flow_find(primary, secondary, key, hit);
	if (found == FLOW_MOVING) /* only live flows move; the slot of a half-open one is being taken over */
		return flow_is_half_open(hit->word) ? 0 : hit->word;
	if (found == FLOW_MISS || flow_backend(hit->word) != backend)
		return 0;
	return flow_update(flow_slot_at(primary, secondary, hit->slot), hit->word, event, number, now);
}

/* Replaces some bits of a published flow's word. Returns 0 if the slot was reused meanwhile. */
flow_inline int flow_replace(struct flow_slot *slot, struct flow_hit *hit, __u64 mask, __u64 bits)
{
	__u64 word = hit->word;

	for (int attempt = 0; attempt < FLOW_UPDATE_ATTEMPTS; attempt++) {
		__u64 next = (word & ~mask) | bits;
		__u64 seen = flow_cas(&slot->word, word, next);

		if (seen == word) {
			hit->word = next;
			return 1;
		}
		if ((seen ^ word) & FLOW_GENERATION_MASK)
			return 0;
		word = seen;
	}
	return 0;
}

/* Points a flow at another backend, with which it begins anew. */
flow_inline int flow_redirect(struct flow_slot *slot, struct flow_hit *hit, const struct flow_key *key,
			      const struct flow_start *start)
{
	return flow_replace(slot, hit, FLOW_STATE_MASK | FLOW_BACKEND_MASK | FLOW_STAMP_MASK | FLOW_COPY,
			    flow_beginning(key, start));
}

/* Ends a flow, so that the next insert of its key starts anew in its slot. */
flow_inline int flow_close(struct flow_slot *slot, struct flow_hit *hit)
{
	return flow_replace(slot, hit, FLOW_STATE_MASK, (__u64)FLOW_CLOSED << FLOW_STATE_SHIFT);
}

/* Takes a flow back, as if it had never been. */
flow_inline int flow_withdraw(struct flow_slot *slot, struct flow_hit *hit)
{
	return flow_replace(slot, hit, FLOW_STATE_MASK, (__u64)FLOW_EMPTY << FLOW_STATE_SHIFT);
}

#endif
