/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Persistence entries: cases built by hand, then threads that remember and recall clients in one small table. A client's
 * backends are its own eight numbers, so a thread that is told another client's backend notices. Of clients that all threads
 * share, one deals for all; a client of one thread alone keeps its backend until its time is over, however scarce slots are.
 * Exit code 1 if anything was wrong.
 *
 *   entries [-t threads] [-n million operations] [-s seed]
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void between_accesses(void);
#define FLOW_TABLE_HOOK() between_accesses()
#include "persistence_table.h"

#define THREADS_MAX 16
#define BUCKETS 4
#define BACKENDS_OF_CLIENT 8
#define SHARED_CLIENTS 12
#define FLOOD_CLIENTS 512
/* In coarse ticks; a private client is looked up more often, a flood's never again. A tick is so long that no slot is reused 256
 * times, when its generation comes round, while a thread waits for a CPU. */
#define LASTS 10
#define FLOOD_LASTS 1
#define OPERATIONS_PER_TICK 4096

static struct flow_bucket table[BUCKETS];
static struct flow_timeouts timeouts;
static __u32 ticks = 0u - 100u; /* every run crosses the wrap */
static long operations;
static __u64 seed = 1, wrong, recalled, dealt_again, refused;
static __thread __u64 random_state = 1;
/* What somebody else does, once, before an access. */
static __thread void (*interruption)(void);

#define EXPECT(condition)                                                              \
	do {                                                                           \
		if (!(condition) && !__atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED))  \
			printf("  WRONG: %s:%d: %s\n", __func__, __LINE__, #condition); \
	} while (0)

static __u64 next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state * 0x2545f4914f6cdd1dull >> 16;
}

static void between_accesses(void)
{
	void (*other)(void) = interruption;

	interruption = NULL;
	if (other)
		other();
	else if (operations && !(next_random() & 255))
		sched_yield();
}

static __u32 now(void)
{
	return __atomic_load_n(&ticks, __ATOMIC_RELAXED);
}

static struct flow_key key_of(__u32 client)
{
	return (struct flow_key){.addrs = {0x0a000000ull + client}, .ports = 1};
}

static struct flow_bucket *primary_of(const struct flow_key *key)
{
	return &table[flow_hash(key) >> 32 & (BUCKETS - 1)];
}

static struct flow_bucket *secondary_of(const struct flow_key *key)
{
	return &table[flow_hash(key) & (BUCKETS - 1)];
}

/* As find_entry() of bpf/persist.h. */
static struct flow_slot *find(__u32 client, struct flow_hit *hit)
{
	struct flow_key key = key_of(client);

	if (flow_find(primary_of(&key), secondary_of(&key), &key, hit) != FLOW_HIT || entry_is_over(hit->word, now()))
		return NULL;
	EXPECT(flow_backend(hit->word) / BACKENDS_OF_CLIENT == client);
	return flow_slot_at(primary_of(&key), secondary_of(&key), hit->slot);
}

/* As insert_entry(); -1: no room. */
static int insert(__u32 client, __u16 backend, __u32 last_tick)
{
	struct flow_key key = key_of(client);
	struct flow_clock clock = {.coarse = now()};
	enum flow_claim claim = FLOW_RACED;
	struct flow_hit hit;

	if (!flow_lock(primary_of(&key)))
		return -1;
	for (int attempt = 0; claim == FLOW_RACED && attempt < FLOW_CLAIM_ATTEMPTS; attempt++)
		claim = flow_claim(primary_of(&key), secondary_of(&key), &key, &clock, &timeouts, &hit);
	if (claim == FLOW_CLAIMED) {
		flow_publish(primary_of(&key), flow_slot_at(primary_of(&key), secondary_of(&key), hit.slot), &hit, &key, 0,
			     entry_beginning(backend, last_tick));
		return backend;
	}
	flow_unlock(primary_of(&key));
	return claim == FLOW_KEPT ? flow_backend(hit.word) : -1;
}

static __u32 slots_of(__u32 client)
{
	struct flow_key key = key_of(client);
	__u32 slots = 0;

	for (__u32 i = 0; i < BUCKETS * FLOW_SLOTS_PER_BUCKET; i++) {
		struct flow_slot *slot = &table[i / FLOW_SLOTS_PER_BUCKET].slots[i % FLOW_SLOTS_PER_BUCKET];
		struct flow_hit hit;

		slots += flow_read(slot, &key, &hit, 1) == FLOW_HIT && !entry_is_over(hit.word, now());
	}
	return slots;
}

/* One connection of a client that everybody knows: now and then its backend is used up, or somebody deletes its entry. */
static void connect_shared(__u32 client, __u64 roll)
{
	__u16 backend = client * BACKENDS_OF_CLIENT + (roll & (BACKENDS_OF_CLIENT - 1));
	struct flow_hit hit;
	struct flow_slot *slot = find(client, &hit);
	int named = backend;

	if (!slot) {
		named = insert(client, backend, now() + LASTS);
		__atomic_fetch_add(&refused, named < 0, __ATOMIC_RELAXED);
	} else if (!(roll >> 8 & 1023)) {
		flow_withdraw(slot, &hit);
	} else if (!(roll >> 24 & 7)) {
		named = entry_deal_again(slot, hit.word, backend, now() + LASTS);
		__atomic_fetch_add(&dealt_again, 1, __ATOMIC_RELAXED);
	} else {
		entry_restart(slot, &hit, now() + LASTS);
		__atomic_fetch_add(&recalled, 1, __ATOMIC_RELAXED);
	}
	EXPECT(named < 0 || (__u32)named / BACKENDS_OF_CLIENT == client);
}

/* A client of one thread alone. */
struct life {
	int backend; /* -1: none */
	__u32 last_tick;
};

static void connect_private(__u32 client, struct life *life, __u64 roll)
{
	struct flow_hit hit;
	struct flow_slot *slot = find(client, &hit);

	if (slot) {
		EXPECT(flow_backend(hit.word) == life->backend && entry_last_tick(hit.word) == life->last_tick);
		life->last_tick = now() + LASTS;
		EXPECT(entry_restart(slot, &hit, life->last_tick));
		return;
	}
	/* asked after the look: who waits for a CPU sees time fly */
	EXPECT(life->backend < 0 || (__s32)(now() - life->last_tick) > 0);
	life->last_tick = now() + LASTS;
	life->backend = insert(client, client * BACKENDS_OF_CLIENT + (roll & (BACKENDS_OF_CLIENT - 1)), life->last_tick);
}

static void *hammer(void *argument)
{
	__u32 thread = (__u32)(long)argument;
	struct life life = {.backend = -1};

	random_state = seed * 0x9e3779b97f4a7c15ull + thread + 1;
	for (long i = 0; i < operations; i++) {
		__u64 roll = next_random();

		if (thread == 0 && i % OPERATIONS_PER_TICK == 0)
			__atomic_fetch_add(&ticks, 1, __ATOMIC_RELAXED);
		if ((roll & 7) < 2)
			connect_private(SHARED_CLIENTS + thread, &life, roll >> 8);
		else if ((roll & 7) < 7)
			connect_shared((roll >> 3) % SHARED_CLIENTS, roll >> 16);
		else
			insert(2 * SHARED_CLIENTS + THREADS_MAX + (roll >> 3) % FLOOD_CLIENTS, 0, now() + FLOOD_LASTS);
	}
	return NULL;
}

static void hammer_with(int threads, long millions)
{
	pthread_t ids[THREADS_MAX];

	memset(table, 0, sizeof(table));
	operations = millions * 1000000 / threads;
	for (long i = 0; i < threads; i++)
		pthread_create(&ids[i], NULL, hammer, (void *)i);
	for (int i = 0; i < threads; i++)
		pthread_join(ids[i], NULL);
	for (__u32 client = 0; client < SHARED_CLIENTS + (__u32)threads; client++)
		EXPECT(slots_of(client) <= 1);
	for (__u32 i = 0; i < BUCKETS * FLOW_SLOTS_PER_BUCKET; i++) {
		__u64 word = table[i / FLOW_SLOTS_PER_BUCKET].slots[i % FLOW_SLOTS_PER_BUCKET].word;

		EXPECT(!(word & FLOW_LOCK) && flow_state(word) != FLOW_BUSY);
	}
}

#define CLIENT 3u
#define BACKEND(n) ((__u16)(CLIENT * BACKENDS_OF_CLIENT + (n)))

static void an_entry_holds_up_to_its_last_tick(void)
{
	struct flow_hit hit;

	for (__u32 age = 0; age < 3; age++) {
		memset(table, 0, sizeof(table));
		ticks = age; /* the last tick is that before the wrap, the wrap and the one after */
		EXPECT(insert(CLIENT, BACKEND(1), 1) == BACKEND(1));
		EXPECT(!find(CLIENT, &hit) == (age > 1));
		EXPECT(insert(CLIENT, BACKEND(2), 1) == (age > 1 ? BACKEND(2) : BACKEND(1)));
		EXPECT(slots_of(CLIENT) == (age <= 1));
	}
	ticks = 0u - 1;
	EXPECT(!entry_is_over(entry_beginning(1, 0), now()) && entry_is_over(entry_beginning(1, 0u - 2), now()));
}

static void somebody_deals_again(void)
{
	struct flow_hit hit;
	struct flow_slot *slot = find(CLIENT, &hit);

	EXPECT(slot && entry_deal_again(slot, hit.word, BACKEND(5), 9) == BACKEND(5));
}

static void somebody_restarts(void)
{
	struct flow_hit hit;
	struct flow_slot *slot = find(CLIENT, &hit);

	EXPECT(slot && entry_restart(slot, &hit, 8));
}

static void who_deals_again_first_decides_for_all(void)
{
	static void (*const others[])(void) = {NULL, somebody_deals_again, somebody_restarts};

	for (__u32 i = 0; i < 3; i++) {
		struct flow_hit hit;

		memset(table, 0, sizeof(table));
		ticks = 0;
		insert(CLIENT, BACKEND(1), 7);
		struct flow_slot *slot = find(CLIENT, &hit);
		interruption = others[i];
		__u16 named = entry_deal_again(slot, hit.word, BACKEND(2), 9);
		EXPECT(named == (others[i] == somebody_deals_again ? BACKEND(5) : BACKEND(2)));
		EXPECT(find(CLIENT, &hit) && flow_backend(hit.word) == named && entry_last_tick(hit.word) == 9);
	}
}

static void an_entry_that_is_gone_is_nobodys_to_deal(void)
{
	struct flow_hit hit, other;

	memset(table, 0, sizeof(table));
	ticks = 0;
	insert(CLIENT, BACKEND(1), 0);
	struct flow_slot *slot = find(CLIENT, &hit);
	ticks = 1;
	EXPECT(insert(CLIENT, BACKEND(3), 5) == BACKEND(3)); /* in place, with another generation */
	EXPECT(entry_deal_again(slot, hit.word, BACKEND(2), 9) == BACKEND(2));
	EXPECT(find(CLIENT, &other) && flow_backend(other.word) == BACKEND(3) && entry_last_tick(other.word) == 5);
}

int main(int argc, char **argv)
{
	int threads = 2, millions = 4, option;

	while ((option = getopt(argc, argv, "t:n:s:")) != -1) {
		long value = atol(optarg);
		switch (option) {
		case 't': threads = value; break;
		case 'n': millions = value; break;
		case 's': seed = value; break;
		default: return 64;
		}
	}
	if (threads < 1 || threads > THREADS_MAX || millions < 1)
		return 64;
	for (int state = 0; state < FLOW_STATES_MAX; state++)
		timeouts.ticks[state] = 1000;
	timeouts.ticks[ENTRY_LIVE] = ENTRY_TIMEOUT;
	an_entry_holds_up_to_its_last_tick();
	who_deals_again_first_decides_for_all();
	an_entry_that_is_gone_is_nobodys_to_deal();
	ticks = 0u - 100u;
	hammer_with(threads, millions);
	printf("IPv%d entries: %d threads, %d M operations: recalled %llu, dealt again %llu, refused %llu, wrong %llu\n",
	       FLOW_ADDR_WORDS == 1 ? 4 : 6, threads, millions, recalled, dealt_again, refused, wrong);
	return wrong != 0;
}
