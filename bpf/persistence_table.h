/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Persistence entries: which backend a client returns to. They lie in a table of the same kind as flows, in slots of the same
 * form, and so by the same protocol (flow_table.h), but in maps of their own and with one state only:
 *
 *   addrs     the client's address under the mask of its service's granularity; the words of the service's address are 0
 *   ports     the service's number
 *   word      as a flow's, but its stamp says when the entry ends: the last coarse tick in which it holds
 *   next_hop  unused
 *
 * An entry ends when its stamp is over, hence its state has a timeout of one tick. A live one is never evicted; entries do not
 * move, so the table is made twice as large as asked for. Test: test/flow-table/.
 */
#ifndef SLUICE_PERSISTENCE_TABLE_H
#define SLUICE_PERSISTENCE_TABLE_H

#include "flow_table.h"

/* Beside enum flow_state. */
enum entry_state {
	ENTRY_LIVE = 15,
};

/* Ticks that a live entry holds on after its stamp, as a timeout of its state. */
enum entry_timeout {
	ENTRY_TIMEOUT = 1,
};

/* The state, backend and stamp of a new entry. */
flow_inline __u64 entry_beginning(__u16 backend, __u32 last_tick)
{
	return (__u64)ENTRY_LIVE << FLOW_STATE_SHIFT | (__u64)backend << FLOW_BACKEND_SHIFT | last_tick;
}

flow_inline __u32 entry_last_tick(__u64 word)
{
	return word;
}

/* Whether an entry holds no more. Signed, because another CPU may be a tick ahead. */
flow_inline int entry_is_over(__u64 word, __u32 now)
{
	return (__s32)(now - entry_last_tick(word)) > 0;
}

/* Lets an entry end at another time. 0: it is gone. */
flow_inline int entry_restart(struct flow_slot *slot, struct flow_hit *hit, __u32 last_tick)
{
	return flow_replace(slot, hit, FLOW_STAMP_MASK, last_tick);
}

/*
 * Gives an entry whose backend is used up another one, and a new end; `found` is its word as it was when that was judged. Of
 * two CPUs that do so at once, the first decides for both: returns the backend that the entry names now, or the given one if
 * the entry is gone.
 */
flow_inline __u16 entry_deal_again(struct flow_slot *slot, __u64 found, __u16 backend, __u32 last_tick)
{
	__u64 word = found;

	for (int attempt = 0; attempt < FLOW_UPDATE_ATTEMPTS; attempt++) {
		__u64 next = (word & ~(FLOW_BACKEND_MASK | FLOW_STAMP_MASK)) | (__u64)backend << FLOW_BACKEND_SHIFT | last_tick;
		__u64 seen = flow_cas(&slot->word, word, next);

		if (FLOW_TABLE_FAULT == 12) /* the last one decides */
			flow_store(&slot->word, next);
		if (seen == word || (seen ^ word) & FLOW_GENERATION_MASK)
			return backend;
		if ((seen ^ word) & FLOW_BACKEND_MASK)
			return flow_backend(seen);
		word = seen; /* restarted, or its bucket locked */
	}
	return backend;
}

#endif
