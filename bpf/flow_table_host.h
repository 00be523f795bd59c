/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * flow_table.h on the host: the same word accesses as C11 atomics, so that ThreadSanitizer understands them, with a hook
 * before each, where the hammer waits at random to widen the races.
 */
#ifndef SLUICE_FLOW_TABLE_HOST_H
#define SLUICE_FLOW_TABLE_HOST_H

#ifndef FLOW_TABLE_HOOK
#define FLOW_TABLE_HOOK() ((void)0)
#endif

#define flow_inline static inline __attribute__((always_inline, unused))
#define flow_function static inline __attribute__((unused))
#define flow_opaque(value) ((void)0)
#define flow_load(address) (FLOW_TABLE_HOOK(), __atomic_load_n(address, __ATOMIC_ACQUIRE))
#define flow_store(address, value) (FLOW_TABLE_HOOK(), __atomic_store_n(address, value, __ATOMIC_RELEASE))
#define flow_fetch_xor(address, bits) (FLOW_TABLE_HOOK(), __atomic_fetch_xor(address, bits, __ATOMIC_ACQ_REL))
#define flow_fetch_or(address, bits) (FLOW_TABLE_HOOK(), __atomic_fetch_or(address, bits, __ATOMIC_ACQ_REL))
#define flow_fetch_and(address, bits) (FLOW_TABLE_HOOK(), __atomic_fetch_and(address, bits, __ATOMIC_ACQ_REL))

static inline __u64 flow_cas(__u64 *address, __u64 old, __u64 new)
{
	FLOW_TABLE_HOOK();
	__atomic_compare_exchange_n(address, &old, new, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
	return old;
}

static inline void flow_repeat(__u32 times, long (*step)(__u32 turn, void *context), void *context)
{
	for (__u32 turn = 0; turn < times && !step(turn, context);)
		turn++;
}

#endif
