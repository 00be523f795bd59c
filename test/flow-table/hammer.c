/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Threads hammer one small flow table and check what they see:
 *
 *   private keys   belong to one thread, which takes them through whole lives: once established, such a flow must never
 *                  be lost, never change its backend and never lose an update, however much the others fight for slots.
 *                  Half as many as the table has slots make flows move all the time
 *   shared keys    are looked up, inserted, advanced and closed by everybody: no key may hold two slots
 *   flood keys     are only ever inserted, to keep victims scarce
 *
 * Every flow's next hop is a signature of its key and backend, so a reader that is handed another flow's words notices.
 * At the end no lock and no BUSY slot may be left and tickets must equal inserts. Exit code 1 if anything was wrong.
 *
 *   hammer [-t threads] [-n million operations] [-b log2 of buckets] [-p private keys] [-c hook delays per 8192 accesses]
 *          [-s seed]
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void widen_race(void);
#define FLOW_TABLE_HOOK() widen_race()
#include "flow_table.h"

#define THREADS_MAX 16
#define BACKENDS 7
#define PRIVATE_KEYS_MAX 64
#define SHARED_KEYS 64
#define FLOOD_KEYS 4096
#define ESTABLISHED_TICKS 400
#define OTHER_TICKS 8
#define HALF_OPEN_TICKS 40
#define LOOKUP_ATTEMPTS 16
/* Puts the coarse clock just before 2^32, so that every run crosses the wrap; the fine clock wraps all the time. */
#define COARSE_START (0u - 1000u)

enum violation { FOREIGN_WORDS, FLOW_LOST, RESET_LOST, STAMP_WENT_BACK, BACKEND_CHANGED, KEY_IN_TWO_SLOTS, LOCK_LEFT, BUSY_LEFT, TICKETS_DIFFER, VIOLATIONS };
static const char *const violation_names[VIOLATIONS] = {
	"another flow's words", "live flow lost",   "reset lost",     "stamp went back",             "backend changed",
	"key in two slots",     "lock left behind", "busy slot left", "tickets differ from inserts",
};

static struct flow_bucket *table;
static __u32 bucket_mask;
static struct flow_timeouts timeouts;
static int delays_per_8192;
static __u64 seed;
static long operations_per_thread;
static __u32 private_keys;
static __u64 tickets, inserts, hits, refusals, moves;
static __u64 violations[VIOLATIONS];
static __u32 ticks;

static __thread __u64 random_state = 1;

static __u64 next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state * 0x2545f4914f6cdd1dull >> 16;
}

static void pause_a_little(__u64 length)
{
	for (volatile __u64 i = 0; i < length; i++)
		;
}

static void widen_race(void)
{
	__u64 roll;

	if (!delays_per_8192)
		return;
	roll = next_random();
	if ((roll & 8191) >= (__u64)delays_per_8192)
		return;
	if (roll & 0x10000)
		sched_yield();
	else
		pause_a_little(roll >> 20 & 1023);
}

static void report(enum violation violation)
{
	__atomic_fetch_add(&violations[violation], 1, __ATOMIC_RELAXED);
}

static void count(__u64 *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

static struct flow_clock read_clock(void)
{
	__u32 now = __atomic_load_n(&ticks, __ATOMIC_RELAXED);

	return (struct flow_clock){.fine = now >> 1, .coarse = COARSE_START + (now >> 2)};
}

static struct flow_key key_of(__u32 id)
{
	struct flow_key key = {.ports = (id * 40503u & 0xffff) | 80ull << 16 | 6ull << 32};

	for (__u32 i = 0; i < FLOW_ADDR_WORDS; i++)
		key.addrs[i] = (0x0a000000ull + id) | (0xc0a80101ull + i) << 32;
	return key;
}

static __u64 signature(const struct flow_key *key, __u16 backend)
{
	struct flow_key mixed = *key;

	mixed.addrs[0] ^= backend;
	mixed.ports += backend * 77ull;
	return flow_hash(&mixed);
}

static struct flow_bucket *primary_of(const struct flow_key *key)
{
	return &table[flow_hash(key) >> 32 & bucket_mask];
}

static struct flow_bucket *secondary_of(const struct flow_key *key)
{
	return &table[flow_hash(key) & bucket_mask];
}

static int at_home(const struct flow_key *key, const struct flow_bucket *bucket)
{
	return primary_of(key) == bucket && secondary_of(key) != bucket;
}

static struct flow_slot *slot_of(const struct flow_key *key, const struct flow_hit *hit)
{
	return flow_slot_at(primary_of(key), secondary_of(key), hit->slot);
}

static void check_signature(const struct flow_key *key, const struct flow_hit *hit)
{
	if (hit->next_hop != signature(key, flow_backend(hit->word)))
		report(FOREIGN_WORDS);
}

static enum flow_lookup look_up(const struct flow_key *key, struct flow_hit *hit)
{
	for (int attempt = 0; attempt < LOOKUP_ATTEMPTS; attempt++) {
		enum flow_lookup found = flow_glance(primary_of(key), flow_hash(key), key, hit, 1);

		if (found != FLOW_HIT)
			found = flow_find(primary_of(key), secondary_of(key), key, hit);

		if (found == FLOW_HIT) {
			check_signature(key, hit);
			count(&hits);
		}
		if (found != FLOW_MOVING)
			return found;
	}
	return FLOW_MOVING;
}

/* A key that is published in this slot must not be published in another candidate slot at the same time. */
static void check_single(struct flow_slot *slot)
{
	__u64 word = flow_load(&slot->word);
	struct flow_key key = {.ports = flow_load(&slot->ports)};
	struct flow_hit hit, other;

	for (__u32 i = 0; i < FLOW_ADDR_WORDS; i++)
		key.addrs[i] = flow_load(&slot->addrs[i]);
	if (flow_state(word) <= FLOW_BUSY || flow_read(slot, &key, &hit, 1) != FLOW_HIT)
		return;
	for (__u32 i = 0; i < FLOW_CANDIDATES; i++) {
		struct flow_slot *candidate = flow_slot_at(primary_of(&key), secondary_of(&key), i);

		if (candidate == slot || flow_read(candidate, &key, &other, 1) != FLOW_HIT)
			continue;
		if (!((flow_load(&slot->word) ^ hit.word) & FLOW_GENERATION_MASK))
			report(KEY_IN_TWO_SLOTS);
	}
}

/* As move_resident() and make_room() of bpf/flows.h. */
static enum flow_claim move_resident(struct flow_bucket *bucket, __u32 candidate, const struct flow_clock *now,
				     struct flow_hit *hit)
{
	struct flow_slot *slot = &bucket->slots[candidate & (FLOW_SLOTS_PER_BUCKET - 1)];
	struct flow_key leaving;
	struct flow_hit resident;

	if (!flow_read_resident(slot, &leaving, &resident, now, &timeouts) || !at_home(&leaving, bucket))
		return FLOW_FULL;
	hit->slot = candidate;
	return flow_move(slot, secondary_of(&leaving), &leaving, &resident, now, &timeouts, hit);
}

static enum flow_claim make_room(const struct flow_key *key, const struct flow_clock *now, struct flow_hit *hit)
{
	enum flow_claim claim = FLOW_FULL;

	for (__u32 i = 0; claim != FLOW_CLAIMED && i < FLOW_SLOTS_PER_BUCKET; i++)
		claim = move_resident(primary_of(key), i, now, hit);
	if (claim == FLOW_CLAIMED)
		return claim;
	if (FLOW_TABLE_FAULT != 9 && !flow_try_lock(secondary_of(key))) /* 9: the resident's lock is not taken */
		return FLOW_FULL;
	for (__u32 i = FLOW_SLOTS_PER_BUCKET; claim != FLOW_CLAIMED && i < FLOW_CANDIDATES; i++)
		claim = move_resident(secondary_of(key), i, now, hit);
	if (FLOW_TABLE_FAULT != 9)
		flow_unlock(secondary_of(key));
	return claim;
}

static enum flow_claim insert(const struct flow_key *key, struct flow_hit *hit)
{
	struct flow_bucket *primary = primary_of(key);
	struct flow_clock now = read_clock();
	enum flow_claim claim = FLOW_RACED;

	if (!flow_lock(primary))
		return FLOW_RACED;
	for (int attempt = 0; claim == FLOW_RACED && attempt < FLOW_CLAIM_ATTEMPTS; attempt++)
		claim = flow_claim(primary, secondary_of(key), key, &now, &timeouts, hit);
	if (claim == FLOW_FULL && (claim = make_room(key, &now, hit)) == FLOW_CLAIMED)
		count(&moves);
	if (claim != FLOW_CLAIMED)
		flow_unlock(primary);
	if (claim == FLOW_CLAIMED) {
		widen_race();
		if (!(next_random() & 255))
			pause_a_little(3000);
		if (!(next_random() & 63)) { /* no backend: the slot goes back, no ticket is taken */
			flow_release(primary, slot_of(key, hit), hit);
			return FLOW_FULL;
		}
		__u16 backend = __atomic_fetch_add(&tickets, 1, __ATOMIC_RELAXED) % BACKENDS;
		struct flow_start start = {.backend = backend, .now = now};

		flow_publish(primary, slot_of(key, hit), hit, key, signature(key, backend), flow_beginning(key, &start));
		count(&inserts);
		check_single(slot_of(key, hit));
	} else if (claim == FLOW_KEPT) {
		check_signature(key, hit);
	} else {
		count(&refusals);
	}
	return claim;
}

static __u64 send(const struct flow_key *key, struct flow_hit *hit, __u32 event, __u16 number)
{
	struct flow_clock now = read_clock();

	hit->word = flow_track(primary_of(key), secondary_of(key), key, hit, event, number, &now);
	return hit->word;
}

enum stage { ABSENT, OPENING, LIVE, RESET };

struct life {
	enum stage stage;
	__u16 backend;
	__u32 heard; /* coarse tick */
};

/* Whether a flow may have expired by now; asked after what it is to excuse, because who waits for a CPU sees time fly. */
static int aged(const struct life *life)
{
	return (__s32)(read_clock().coarse - life->heard) >= ESTABLISHED_TICKS - 4;
}

/* One step in the life of a private key. */
static void live(const struct flow_key *key, struct life *life, __u64 roll)
{
	struct flow_hit hit;
	enum flow_lookup found = look_up(key, &hit);

	if (found == FLOW_MOVING)
		return;
	switch (life->stage) {
	case RESET:
		if (found == FLOW_HIT && flow_state(hit.word) == FLOW_ESTABLISHED)
			report(RESET_LOST);
		/* fall through */
	case ABSENT:
		if (found == FLOW_HIT && !(FLOW_DEAD_STATES >> flow_state(hit.word) & 1)) {
			life->stage = OPENING;
		} else {
			enum flow_claim claim = insert(key, &hit);
			life->stage = claim == FLOW_CLAIMED || claim == FLOW_KEPT ? OPENING : ABSENT;
		}
		return;
	case OPENING:
		life->stage = ABSENT;
		if (found != FLOW_HIT || !send(key, &hit, FLOW_FROM_SERVER | FLOW_SYN | FLOW_ACK, 41))
			return;
		if (!send(key, &hit, FLOW_ACK, 42) || flow_state(hit.word) != FLOW_ESTABLISHED)
			return;
		*life = (struct life){LIVE, flow_backend(hit.word), (__u32)hit.word};
		return;
	case LIVE:
		life->stage = ABSENT;
		if (found != FLOW_HIT || flow_state(hit.word) != FLOW_ESTABLISHED) {
			if (!aged(life))
				report(FLOW_LOST);
			return;
		}
		if (flow_backend(hit.word) != life->backend)
			report(BACKEND_CHANGED);
		if ((__s32)((__u32)hit.word - life->heard) < 0)
			report(STAMP_WENT_BACK);
		if (!(roll >> 5 & 7)) { /* its SYN comes again */
			int again = insert(key, &hit) == FLOW_CLAIMED;

			if (again && !aged(life))
				report(FLOW_LOST);
			life->stage = again ? ABSENT : LIVE;
			return;
		}
		if (!send(key, &hit, roll & 31 ? FLOW_ACK : FLOW_RST, 0)) {
			if (!aged(life))
				report(FLOW_LOST);
			return;
		}
		life->heard = (__u32)hit.word;
		/* While a mover waits for a CPU, or others change the word too often, an update is given up: its word says so. */
		life->stage = flow_state(hit.word) == FLOW_CLOSED ? RESET : LIVE;
	}
}

/* Any packet of a connection that everybody shares. */
static void jostle(const struct flow_key *key, __u64 roll)
{
	static const __u32 events[8] = {
		FLOW_SYN, FLOW_FROM_SERVER | FLOW_SYN | FLOW_ACK, FLOW_ACK, FLOW_ACK,
		FLOW_RST, FLOW_FIN | FLOW_ACK, FLOW_FROM_SERVER | FLOW_FIN | FLOW_ACK, FLOW_FROM_SERVER | FLOW_RST,
	};
	__u32 event = events[roll & 7];
	__u16 number = event & FLOW_FROM_SERVER ? 41 : 42;
	struct flow_hit hit;
	enum flow_lookup found = event == FLOW_SYN && roll & 8 ? FLOW_MISS : look_up(key, &hit);

	if (found == FLOW_HIT && !(event == FLOW_SYN && FLOW_DEAD_STATES >> flow_state(hit.word) & 1))
		send(key, &hit, event, number);
	else if (found != FLOW_MOVING)
		insert(key, &hit);
}

static void *hammer(void *argument)
{
	__u32 thread = (__u32)(long)argument;
	struct life lives[PRIVATE_KEYS_MAX] = {0};

	random_state = seed * 0x9e3779b97f4a7c15ull + thread + 1;
	for (long i = 0; i < operations_per_thread; i++) {
		__u64 roll = next_random();
		__u32 kind = roll & 15;
		struct flow_key key;

		if (thread == 0 && i % 64 == 0)
			__atomic_fetch_add(&ticks, 1, __ATOMIC_RELAXED);
		if (kind < 7) {
			__u32 which = (roll >> 4 & 0xffff) % private_keys;
			key = key_of(100000 + thread * PRIVATE_KEYS_MAX + which);
			live(&key, &lives[which], roll >> 20);
		} else if (kind < 14) {
			key = key_of(roll >> 4 & (SHARED_KEYS - 1));
			jostle(&key, roll >> 16);
		} else if (kind == 14) {
			struct flow_hit hit;
			key = key_of(500000 + (roll >> 4) % FLOOD_KEYS);
			insert(&key, &hit);
		} else {
			check_single(&table[roll >> 8 & bucket_mask].slots[roll >> 4 & 3]);
		}
	}
	return NULL;
}

static void inspect_remains(void)
{
	for (__u32 i = 0; i <= bucket_mask; i++) {
		for (__u32 j = 0; j < FLOW_SLOTS_PER_BUCKET; j++) {
			struct flow_slot *slot = &table[i].slots[j];

			if (slot->word & FLOW_LOCK)
				report(LOCK_LEFT);
			if (flow_state(slot->word) == FLOW_BUSY)
				report(BUSY_LEFT);
			check_single(slot);
		}
	}
	if (tickets != inserts)
		report(TICKETS_DIFFER);
}

int main(int argc, char **argv)
{
	int threads = 2, millions = 4, log2_buckets = 3, keys = 4, option;
	pthread_t ids[THREADS_MAX];
	struct timespec start, end;
	__u64 wrong = 0;

	delays_per_8192 = 40;
	seed = (__u64)time(NULL);
	while ((option = getopt(argc, argv, "t:n:b:p:c:s:")) != -1) {
		long value = atol(optarg ? optarg : "");
		switch (option) {
		case 't': threads = value; break;
		case 'n': millions = value; break;
		case 'b': log2_buckets = value; break;
		case 'p': keys = value; break;
		case 'c': delays_per_8192 = value; break;
		case 's': seed = value; break;
		default: return 64;
		}
	}
	if (threads < 1 || threads > THREADS_MAX || millions < 1 || keys < 1 || keys > PRIVATE_KEYS_MAX ||
	    log2_buckets < 0 || log2_buckets > 20)
		return 64;
	bucket_mask = (1u << log2_buckets) - 1;
	private_keys = keys;
	operations_per_thread = millions * 1000000l / threads;
	table = aligned_alloc(sizeof(*table), sizeof(*table) << log2_buckets);
	if (!table)
		return 1;
	memset(table, 0, sizeof(*table) << log2_buckets);
	for (int state = FLOW_SYN_RECV; state < FLOW_STATES_MAX; state++)
		timeouts.ticks[state] = OTHER_TICKS;
	timeouts.ticks[FLOW_SYN_RECV] = timeouts.ticks[FLOW_SYN_ACK] = HALF_OPEN_TICKS;
	timeouts.ticks[FLOW_ESTABLISHED] = ESTABLISHED_TICKS;

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (long i = 0; i < threads; i++)
		pthread_create(&ids[i], NULL, hammer, (void *)i);
	for (int i = 0; i < threads; i++)
		pthread_join(ids[i], NULL);
	clock_gettime(CLOCK_MONOTONIC, &end);
	inspect_remains();

	printf("IPv%d: %d threads, %d M operations in %.1f s, %u slots, seed %llu: hits %llu, inserts %llu, tickets %llu, moves %llu, refusals %llu\n",
	       FLOW_ADDR_WORDS == 1 ? 4 : 6, threads, millions, end.tv_sec - start.tv_sec + (end.tv_nsec - start.tv_nsec) / 1e9,
	       (bucket_mask + 1) * FLOW_SLOTS_PER_BUCKET, seed, hits, inserts, tickets, moves, refusals);
	for (int i = 0; i < VIOLATIONS; i++) {
		wrong += violations[i];
		if (violations[i])
			printf("  WRONG: %s: %llu\n", violation_names[i], violations[i]);
	}
	return wrong != 0;
}
