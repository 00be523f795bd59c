/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Situations of the flow table that the hammer meets too seldom, built by hand. Exit code 1 if one of them fails. */
#include <stdio.h>
#include <string.h>

/* Whatever somebody else does on his CPU, at once, before the access that `countdown` says. */
static void (*interruption)(void);
static int countdown;

static void interrupt(void)
{
	if (interruption && !countdown--) {
		void (*other)(void) = interruption;

		interruption = NULL;
		other();
	}
}
#define FLOW_TABLE_HOOK() interrupt()
#include "flow_table.h"

static const struct flow_key key = {.addrs = {5}, .ports = 7};
static const struct flow_clock now = {.fine = 1000, .coarse = 1000};
static struct flow_timeouts timeouts;
/* The key's primary and secondary one, and one more. */
static struct flow_bucket buckets[3];
static int failures;

#define EXPECT(condition)                                                              \
	do {                                                                           \
		if (!(condition)) {                                                    \
			failures++;                                                    \
			printf("  WRONG: %s:%d: %s\n", __func__, __LINE__, #condition); \
		}                                                                      \
	} while (0)

static void clear_table(void)
{
	memset(buckets, 0, sizeof(buckets));
	for (int state = FLOW_SYN_RECV; state < FLOW_STATES_MAX; state++)
		timeouts.ticks[state] = 100;
}

static struct flow_slot *slot_at(__u32 number)
{
	return flow_slot_at(&buckets[0], &buckets[1], number);
}

static __u64 word_of(enum flow_state state, __u32 stamp)
{
	return 3ull << FLOW_GENERATION_SHIFT | (__u64)state << FLOW_STATE_SHIFT | stamp;
}

/* Of two free slots the one that our key prefers. */
static __u32 nearer(__u32 a, __u32 b)
{
	__u32 preferred = flow_preferred(flow_hash(&key));

	return (a ^ preferred) < (b ^ preferred) ? a : b;
}

/* Puts a stranger's flow into a slot. */
static void occupy(__u32 number, enum flow_state state, __u32 stamp)
{
	*slot_at(number) = (struct flow_slot){.addrs = {100 + number}, .ports = 9, .word = word_of(state, stamp)};
}

/* Puts our key into a slot. */
static void hold(__u32 number, __u64 word, __u64 next_hop)
{
	struct flow_slot *slot = slot_at(number);

	*slot = (struct flow_slot){.ports = key.ports, .word = word, .next_hop = next_hop};
	memcpy(slot->addrs, key.addrs, sizeof(key.addrs));
}

/* One insert without rivals; the lock is held after FLOW_CLAIMED. */
static enum flow_claim claim(struct flow_hit *hit)
{
	enum flow_claim claim;

	*hit = (struct flow_hit){0};
	if (!flow_lock(&buckets[0]))
		return FLOW_RACED;
	claim = flow_claim(&buckets[0], &buckets[1], &key, &now, &timeouts, hit);
	if (claim != FLOW_CLAIMED)
		flow_unlock(&buckets[0]);
	return claim;
}

/* Our key's closed flow is in one slot; another slot, which carried our key before, is just being taken over for
 * somebody else. The new connection must start in place, in every placement of the two. */
static void busy_slot_does_not_hide_our_own(void)
{
	for (__u32 own = 0; own < FLOW_CANDIDATES; own++) {
		for (__u32 leaving = 0; leaving < FLOW_CANDIDATES; leaving++) {
			struct flow_hit hit;

			if (own == leaving)
				continue;
			clear_table();
			hold(own, word_of(FLOW_CLOSED, 999), 0);
			hold(leaving, word_of(FLOW_BUSY, 0), 0);
			EXPECT(claim(&hit) == FLOW_CLAIMED && hit.slot == own);
		}
	}
}

/* We insert into slot 0 of a bucket that is secondary to us; meanwhile somebody locks it, being its primary. */
static void publishing_leaves_a_strangers_lock_alone(void)
{
	struct flow_hit hit;

	clear_table();
	for (__u32 i = 0; i < FLOW_CANDIDATES; i++)
		occupy(i, FLOW_ESTABLISHED, 1000);
	slot_at(4)->word = 0;
	EXPECT(claim(&hit) == FLOW_CLAIMED && hit.slot == 4);
	EXPECT(flow_lock(&buckets[1]));
	flow_publish(&buckets[0], slot_at(4), &hit, &key, 1, flow_beginning(&key, &(struct flow_start){.backend = 2, .now = now}));
	EXPECT(slot_at(4)->word & FLOW_LOCK);
	EXPECT(!(slot_at(0)->word & FLOW_LOCK));
	EXPECT(flow_backend(slot_at(4)->word) == 2 && flow_state(slot_at(4)->word) == FLOW_SYN_RECV);
}

static void victims_go_in_order(void)
{
	static const struct { enum flow_state state; __u32 stamp; } order[] = {
		{FLOW_EMPTY, 0}, {FLOW_ESTABLISHED, 900}, {FLOW_CLOSED, 999}, {FLOW_SYN_RECV, 950}, {FLOW_SYN_ACK, 990},
		{FLOW_ONE_SIDED_SYN_RECV, 993}, {FLOW_UDP_ONE_WAY, 995}, {FLOW_UDP_BOTH_WAYS, 950},
	};

	for (__u32 best = 0; best < sizeof(order) / sizeof(order[0]); best++) {
		struct flow_hit hit;

		clear_table();
		for (__u32 i = 0; i < FLOW_CANDIDATES; i++)
			occupy(i, FLOW_ESTABLISHED, 1000);
		for (__u32 i = best; i < sizeof(order) / sizeof(order[0]); i++)
			occupy(7 - i, order[i].state, order[i].stamp);
		EXPECT(claim(&hit) == FLOW_CLAIMED);
		EXPECT(hit.slot == 7 - best);
	}
}

static void live_flows_are_never_victims(void)
{
	static const enum flow_state live[] = {FLOW_ESTABLISHED, FLOW_FIN_WAIT, FLOW_CLOSE_WAIT, FLOW_BUSY};

	for (__u32 i = 0; i < sizeof(live) / sizeof(live[0]); i++) {
		struct flow_hit hit;

		clear_table();
		for (__u32 j = 0; j < FLOW_CANDIDATES; j++)
			occupy(j, live[i], 1001); /* stamped by a CPU that is a tick ahead */
		EXPECT(claim(&hit) == FLOW_FULL);
	}
}

/* Whose server is not heard proves less, and gives way; one that its client has closed begins anew in its place. */
static void one_sided_flows_give_way(void)
{
	static const enum flow_state one_sided[] = {FLOW_ONE_SIDED_ESTABLISHED, FLOW_ONE_SIDED_CLOSE_WAIT};
	struct flow_hit hit;

	for (__u32 i = 0; i < 2; i++) {
		clear_table();
		for (__u32 j = 0; j < FLOW_CANDIDATES; j++)
			occupy(j, j == 5 ? one_sided[i] : FLOW_ESTABLISHED, 1000);
		EXPECT(claim(&hit) == FLOW_CLAIMED && hit.slot == 5);
	}
	clear_table();
	hold(6, word_of(FLOW_ONE_SIDED_ESTABLISHED, 1000), 77);
	EXPECT(claim(&hit) == FLOW_KEPT && hit.slot == 6);
	slot_at(6)->word = word_of(FLOW_ONE_SIDED_CLOSE_WAIT, 1000);
	flow_unlock(&buckets[0]);
	EXPECT(claim(&hit) == FLOW_CLAIMED && hit.slot == 6);
}

/* A redirected flow begins as its new backend's flows do, whatever it was on the way to the old one. */
static void redirected_flow_begins_anew(void)
{
	struct flow_slot slot = {.word = word_of(FLOW_SYN_ACK, 41u << 16 | 990)};
	struct flow_start start = {.backend = 9, .one_sided = 1, .now = now};
	struct flow_hit hit = {.word = slot.word};
	struct flow_key tcp = {.ports = (__u64)IPPROTO_TCP << 32};

	EXPECT(flow_redirect(&slot, &hit, &tcp, &start));
	EXPECT(slot.word == (word_of(FLOW_ONE_SIDED_SYN_RECV, 1000) | 9ull << FLOW_BACKEND_SHIFT));
	start.one_sided = 0;
	EXPECT(flow_redirect(&slot, &hit, &tcp, &start) && flow_state(slot.word) == FLOW_SYN_RECV);
}

static void primary_is_preferred_while_sparse(void)
{
	struct flow_hit hit;

	clear_table();
	occupy(0, FLOW_ESTABLISHED, 1000);
	occupy(1, FLOW_ESTABLISHED, 1000);
	EXPECT(claim(&hit) == FLOW_CLAIMED && hit.slot == nearer(2, 3));
	clear_table();
	for (__u32 i = 0; i < 3; i++)
		occupy(i, FLOW_ESTABLISHED, 1000);
	EXPECT(claim(&hit) == FLOW_CLAIMED && hit.slot == nearer(nearer(4, 5), nearer(6, 7)));
	clear_table();
	for (__u32 i = 0; i < 6; i++)
		occupy(i, FLOW_ESTABLISHED, 1000);
	slot_at(3)->word = 0;
	EXPECT(claim(&hit) == FLOW_CLAIMED && hit.slot == nearer(6, 7));
}

static void preferred_slot_comes_first(void)
{
	__u64 hash = flow_hash(&key);
	__u32 preferred = flow_preferred(hash);
	struct flow_hit hit;

	clear_table();
	EXPECT(claim(&hit) == FLOW_CLAIMED && hit.slot == preferred);
	clear_table();
	occupy(preferred, FLOW_ESTABLISHED, 1000);
	EXPECT(claim(&hit) == FLOW_CLAIMED && hit.slot == (preferred ^ 1));
	for (__u32 i = 0; i < FLOW_CANDIDATES; i++) {
		clear_table();
		hold(i, word_of(FLOW_ESTABLISHED, 1000), 77);
		EXPECT(flow_glance(&buckets[0], hash, &key, &hit, 1) == (i == preferred ? FLOW_HIT : FLOW_MISS));
		EXPECT(flow_look(&buckets[0], &buckets[1], &key, &hit) == FLOW_HIT && hit.slot == i);
	}
}

static void own_live_flow_is_kept(void)
{
	struct flow_hit hit;

	clear_table();
	hold(6, word_of(FLOW_ESTABLISHED, 1000), 77);
	EXPECT(claim(&hit) == FLOW_KEPT && hit.slot == 6 && hit.next_hop == 77);
	slot_at(6)->word = word_of(FLOW_ESTABLISHED, 900); /* its timeout is over */
	EXPECT(claim(&hit) == FLOW_CLAIMED && hit.slot == 6);
	flow_release(&buckets[0], slot_at(6), &hit);
	EXPECT(flow_probe(&buckets[1], 4, &key, &hit) == FLOW_MISS);
	EXPECT(!(slot_at(0)->word & FLOW_LOCK));
}

/* A flow whose key differs from ours in any one word is another one, and hashes elsewhere. */
static void every_word_of_the_key_counts(void)
{
	for (__u32 word = 0; word <= FLOW_ADDR_WORDS; word++) {
		for (__u32 bit = 0; bit < 64; bit++) {
			struct flow_key other = key;
			struct flow_hit hit;

			*(word < FLOW_ADDR_WORDS ? &other.addrs[word] : &other.ports) ^= 1ull << bit;
			clear_table();
			hold(2, word_of(FLOW_ESTABLISHED, 1000), 77);
			EXPECT(flow_probe(&buckets[0], 0, &key, &hit) == FLOW_HIT);
			EXPECT(flow_probe(&buckets[0], 0, &other, &hit) == FLOW_MISS);
			EXPECT(flow_hash(&other) >> 32 != flow_hash(&key) >> 32);
			EXPECT((__u32)flow_hash(&other) != (__u32)flow_hash(&key));
		}
	}
}

static void timeout_zero_means_never(void)
{
	clear_table();
	timeouts.ticks[FLOW_ESTABLISHED] = 0;
	EXPECT(!flow_expired(word_of(FLOW_ESTABLISHED, 1), &now, &timeouts));
	timeouts.ticks[FLOW_ESTABLISHED] = 999;
	EXPECT(flow_expired(word_of(FLOW_ESTABLISHED, 1), &now, &timeouts));
	timeouts.ticks[FLOW_ESTABLISHED] = 1000;
	EXPECT(!flow_expired(word_of(FLOW_ESTABLISHED, 1), &now, &timeouts));
}

static void update_of_a_reused_slot_is_a_miss(void)
{
	struct flow_slot slot = {.word = word_of(FLOW_ESTABLISHED, 900) + (1ull << FLOW_GENERATION_SHIFT)};

	EXPECT(!flow_update(&slot, word_of(FLOW_ESTABLISHED, 900), FLOW_RST, 0, &now));
	EXPECT(flow_state(slot.word) == FLOW_ESTABLISHED);
}

/*
 * Moving: our key's flow, established, leaves slot 0 of its primary bucket, which is the one and only way to make room for
 * a stranger. Of its secondary bucket the last slot is empty and the one before has expired.
 */
static enum flow_claim moved;
static enum flow_lookup found;
static struct flow_hit found_hit;
static __u64 updated;

static void about_to_move(void)
{
	clear_table();
	for (__u32 i = 1; i < 7; i++)
		occupy(i, FLOW_ESTABLISHED, i == 6 ? 900 : 1000);
	hold(0, word_of(FLOW_ESTABLISHED, 990) | 5ull << FLOW_BACKEND_SHIFT, 77);
}

static void move_away(void)
{
	struct flow_key leaving;
	struct flow_hit resident, hit = {0};

	moved = FLOW_RACED;
	if (FLOW_TABLE_FAULT != 9 && !flow_try_lock(&buckets[0])) /* 9: the resident's lock is not taken */
		return;
	if (flow_read_resident(slot_at(0), &leaving, &resident, &now, &timeouts))
		moved = flow_move(slot_at(0), &buckets[1], &leaving, &resident, &now, &timeouts, &hit);
	if (moved == FLOW_CLAIMED) { /* for a stranger, whose primary bucket is another one */
		struct flow_key stranger = {.addrs = {9}, .ports = 9};

		flow_publish(&buckets[2], slot_at(0), &hit, &stranger, 1, flow_beginning(&key, &(struct flow_start){.backend = 2, .now = now}));
	}
	if (FLOW_TABLE_FAULT != 9)
		flow_unlock(&buckets[0]);
}

static void look_up(void)
{
	found = flow_find(&buckets[0], &buckets[1], &key, &found_hit);
}

static void reset(void)
{
	look_up();
	updated = found == FLOW_HIT ? flow_track(&buckets[0], &buckets[1], &key, &found_hit, FLOW_RST, 0, &now) : 0;
}

static void insert_ours(void)
{
	struct flow_hit hit;

	if (claim(&hit) == FLOW_CLAIMED)
		flow_publish(&buckets[0], slot_at(hit.slot), &hit, &key, 1, flow_beginning(&key, &(struct flow_start){.backend = 2, .now = now}));
}

static int slots_of_ours(void)
{
	int slots = 0;

	for (__u32 i = 0; i < FLOW_CANDIDATES; i++)
		slots += flow_state(slot_at(i)->word) > FLOW_BUSY && !flow_differs(slot_at(i), &key);
	return slots;
}

/* What must be true however a move ended. */
static void expect_one_sound_flow(void)
{
	struct flow_hit hit = {0};

	EXPECT(slots_of_ours() == 1);
	EXPECT(flow_find(&buckets[0], &buckets[1], &key, &hit) == FLOW_HIT);
	EXPECT(hit.next_hop == 77 && flow_backend(hit.word) == 5);
	for (__u32 i = 0; i < FLOW_CANDIDATES; i++)
		EXPECT(!(slot_at(i)->word & FLOW_LOCK) && flow_state(slot_at(i)->word) != FLOW_BUSY);
}

static void a_flow_moves_to_its_secondary_bucket(void)
{
	struct flow_hit hit = {0};

	about_to_move();
	slot_at(4)->word |= FLOW_LOCK; /* somebody is inserting there */
	move_away();
	EXPECT(moved == FLOW_CLAIMED);
	EXPECT(flow_find(&buckets[0], &buckets[1], &key, &hit) == FLOW_HIT && hit.slot == 7);
	EXPECT((hit.word & ~FLOW_GENERATION_MASK) == (word_of(FLOW_ESTABLISHED, 990) & ~FLOW_GENERATION_MASK) + (5ull << 32));
	EXPECT(slot_at(4)->word & FLOW_LOCK);
	slot_at(4)->word &= ~FLOW_LOCK;
	expect_one_sound_flow();
}

static void nothing_moves_where_nothing_is_free(void)
{
	static const enum flow_state unmoved[] = {FLOW_SYN_RECV, FLOW_CLOSED, FLOW_UDP_BOTH_WAYS, FLOW_BUSY, FLOW_EMPTY};

	about_to_move();
	occupy(6, FLOW_ESTABLISHED, 1000);
	occupy(7, FLOW_ESTABLISHED, 1000);
	move_away();
	EXPECT(moved == FLOW_FULL);
	expect_one_sound_flow();
	for (__u32 i = 0; i < sizeof(unmoved) / sizeof(unmoved[0]); i++) {
		about_to_move();
		hold(0, word_of(unmoved[i], 1000), 77);
		move_away();
		EXPECT(moved == FLOW_RACED && slots_of_ours() == (unmoved[i] > FLOW_BUSY));
	}
}

/* Lets somebody else come in between: before the first access, the second, … until it is too late for him. */
static void interleave(void (*steps)(void), void (*other)(void), void (*check)(void))
{
	int too_late = 0;

	for (int access = 0; !too_late; access++) {
		about_to_move();
		countdown = access;
		interruption = other;
		steps();
		too_late = interruption != NULL;
		interruption = NULL;
		if (!too_late)
			check();
	}
}

static void was_not_missed(void)
{
	EXPECT(found != FLOW_MISS);
	expect_one_sound_flow();
}

static void was_found(void)
{
	EXPECT(found == FLOW_HIT && found_hit.next_hop == 77 && flow_backend(found_hit.word) == 5);
	expect_one_sound_flow();
}

/* Unless the flow could not be found: then the packet is dropped, and comes again. */
static void was_reset(void)
{
	EXPECT(found != FLOW_MISS);
	EXPECT(found == FLOW_MOVING || flow_state(updated) == FLOW_CLOSED);
	EXPECT(found == FLOW_MOVING || flow_state(slot_at(0)->word) == FLOW_CLOSED ||
	       flow_state(slot_at(7)->word) == FLOW_CLOSED);
	expect_one_sound_flow();
}

static void a_moving_flow_is_never_missed_nor_doubled_nor_loses_an_update(void)
{
	interleave(move_away, look_up, was_not_missed);
	interleave(look_up, move_away, was_found);
	interleave(move_away, reset, was_reset);
	interleave(reset, move_away, was_reset);
	interleave(move_away, insert_ours, expect_one_sound_flow);
	interleave(insert_ours, move_away, expect_one_sound_flow);
}

/* Every state and event, by IPVS's table and the rule of the server's sequence number. */
static void states_follow_the_packets(void)
{
	static const struct {
		enum flow_state from;
		__u32 event;
		__u16 number;
		enum flow_state to;
	} steps[] = {
		{FLOW_SYN_RECV, FLOW_SYN, 0, FLOW_SYN_RECV},
		{FLOW_SYN_RECV, FLOW_ACK, 1, FLOW_SYN_RECV},
		{FLOW_SYN_RECV, FLOW_RST, 0, FLOW_SYN_RECV},
		{FLOW_SYN_RECV, FLOW_FROM_SERVER | FLOW_ACK, 0, FLOW_SYN_RECV},
		{FLOW_SYN_RECV, FLOW_FROM_SERVER | FLOW_RST, 0, FLOW_CLOSED},
		{FLOW_SYN_RECV, FLOW_FROM_SERVER | FLOW_SYN | FLOW_ACK, 41, FLOW_SYN_ACK},
		{FLOW_SYN_ACK, FLOW_ACK, 41, FLOW_SYN_ACK},
		{FLOW_SYN_ACK, FLOW_ACK, 42, FLOW_ESTABLISHED},
		{FLOW_SYN_ACK, FLOW_ACK | FLOW_FIN, 42, FLOW_CLOSE_WAIT},
		{FLOW_SYN_ACK, FLOW_ACK | FLOW_RST, 42, FLOW_SYN_ACK},
		{FLOW_UDP_ONE_WAY, 0, 0, FLOW_UDP_ONE_WAY},
		{FLOW_UDP_ONE_WAY, FLOW_FROM_SERVER, 0, FLOW_UDP_BOTH_WAYS},
		{FLOW_UDP_BOTH_WAYS, 0, 0, FLOW_UDP_BOTH_WAYS},
		{FLOW_UDP_BOTH_WAYS, FLOW_FROM_SERVER, 0, FLOW_UDP_BOTH_WAYS},
		{FLOW_ESTABLISHED, FLOW_ACK, 0, FLOW_ESTABLISHED},
		{FLOW_ESTABLISHED, FLOW_SYN, 0, FLOW_ESTABLISHED},
		{FLOW_ESTABLISHED, FLOW_FIN, 0, FLOW_CLOSE_WAIT},
		{FLOW_ESTABLISHED, FLOW_FROM_SERVER | FLOW_FIN, 0, FLOW_FIN_WAIT},
		{FLOW_ESTABLISHED, FLOW_RST, 0, FLOW_CLOSED},
		{FLOW_CLOSE_WAIT, FLOW_FIN, 0, FLOW_CLOSE_WAIT},
		{FLOW_CLOSE_WAIT, FLOW_FROM_SERVER | FLOW_FIN, 0, FLOW_TIME_WAIT},
		{FLOW_FIN_WAIT, FLOW_FROM_SERVER | FLOW_FIN, 0, FLOW_FIN_WAIT},
		{FLOW_FIN_WAIT, FLOW_FIN, 0, FLOW_TIME_WAIT},
		{FLOW_FIN_WAIT, FLOW_FROM_SERVER | FLOW_RST, 0, FLOW_CLOSED},
		{FLOW_TIME_WAIT, FLOW_FIN, 0, FLOW_TIME_WAIT},
		{FLOW_TIME_WAIT, FLOW_RST, 0, FLOW_CLOSED},
		{FLOW_CLOSED, FLOW_FIN, 0, FLOW_CLOSED},
		{FLOW_ONE_SIDED_SYN_RECV, FLOW_SYN, 0, FLOW_ONE_SIDED_SYN_RECV},
		{FLOW_ONE_SIDED_SYN_RECV, FLOW_RST, 0, FLOW_ONE_SIDED_SYN_RECV},
		{FLOW_ONE_SIDED_SYN_RECV, FLOW_ACK, 7, FLOW_ONE_SIDED_ESTABLISHED},
		{FLOW_ONE_SIDED_SYN_RECV, FLOW_ACK | FLOW_FIN, 7, FLOW_ONE_SIDED_CLOSE_WAIT},
		{FLOW_ONE_SIDED_ESTABLISHED, FLOW_ACK, 0, FLOW_ONE_SIDED_ESTABLISHED},
		{FLOW_ONE_SIDED_ESTABLISHED, FLOW_FIN, 0, FLOW_ONE_SIDED_CLOSE_WAIT},
		{FLOW_ONE_SIDED_ESTABLISHED, FLOW_RST, 0, FLOW_CLOSED},
		{FLOW_ONE_SIDED_CLOSE_WAIT, FLOW_ACK, 0, FLOW_ONE_SIDED_CLOSE_WAIT},
		{FLOW_ONE_SIDED_CLOSE_WAIT, FLOW_FIN, 0, FLOW_ONE_SIDED_CLOSE_WAIT},
		{FLOW_ONE_SIDED_CLOSE_WAIT, FLOW_RST, 0, FLOW_CLOSED},
	};

	for (__u32 i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		__u32 stamp = steps[i].from == FLOW_SYN_ACK ? 41u << 16 | 990 : 990;
		__u64 next = flow_next(word_of(steps[i].from, stamp), steps[i].event, steps[i].number, &now);

		if (flow_state(next) != steps[i].to) {
			failures++;
			printf("  WRONG: step %u leads to state %u\n", i, flow_state(next));
		}
	}
}

/* What a packet of either side makes of a stamp and of the client bit. */
static void the_client_bit_is_of_the_stamps_tick(void)
{
	static const struct {
		__u32 stamp;
		__u64 bit;
		__u32 event;
		__u32 next_stamp;
		__u64 next_bit;
	} cases[] = {
		{999, 0, FLOW_ACK, 1000, FLOW_CLIENT},
		{999, FLOW_CLIENT, FLOW_ACK | FLOW_FROM_SERVER, 1000, 0},
		{1000, 0, FLOW_ACK, 1000, FLOW_CLIENT},
		{1000, FLOW_CLIENT, FLOW_ACK | FLOW_FROM_SERVER, 1000, FLOW_CLIENT},
		{1001, 0, FLOW_ACK, 1001, 0}, /* another CPU is a tick ahead */
	};

	for (__u32 i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		__u64 next = flow_next(word_of(FLOW_ESTABLISHED, cases[i].stamp) | cases[i].bit, cases[i].event, 0, &now);

		EXPECT(next == (word_of(FLOW_ESTABLISHED, cases[i].next_stamp) | cases[i].next_bit));
	}
}

int main(void)
{
	busy_slot_does_not_hide_our_own();
	publishing_leaves_a_strangers_lock_alone();
	victims_go_in_order();
	live_flows_are_never_victims();
	one_sided_flows_give_way();
	redirected_flow_begins_anew();
	primary_is_preferred_while_sparse();
	preferred_slot_comes_first();
	own_live_flow_is_kept();
	every_word_of_the_key_counts();
	timeout_zero_means_never();
	update_of_a_reused_slot_is_a_miss();
	states_follow_the_packets();
	the_client_bit_is_of_the_stamps_tick();
	a_flow_moves_to_its_secondary_bucket();
	nothing_moves_where_nothing_is_free();
	a_moving_flow_is_never_missed_nor_doubled_nor_loses_an_update();
	printf("directed cases: %d failures\n", failures);
	return failures != 0;
}
