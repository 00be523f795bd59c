/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What peers are told of flows (see struct shared_flow), and when: only where a flow's word changes its state. */
#ifndef SLUICE_SHARE_H
#define SLUICE_SHARE_H

#include "count.h"

/*
 * Whether a flow's change of state is worth telling: it has opened, which half-open ones that are reset never do, or it
 * is over. What lies between changes nothing but its timeout, of which the next round of all flows tells.
 */
static __always_inline int is_news(__u64 before, __u64 word)
{
	__u32 state = flow_state(word);

	if (state < FLOW_SYN_RECV || state == flow_state(before))
		return 0;
	if (flow_is_half_open(before))
		return !flow_is_half_open(word) && state != FLOW_CLOSED;
	return FLOW_DEAD_STATES >> state & 1;
}

/* Writes a flow into this CPU's ring. */
__noinline int share_flow(const struct flow_key *key, __u64 next_hop, __u64 word)
{
	struct settings *set = get_settings();
	__u32 cpu = bpf_get_smp_processor_id();
	struct share_head *head = bpf_map_lookup_elem(&share_heads, &cpu);

	if (!key || !set || !head)
		return 0;
	__u32 index = cpu * set->shared_per_cpu + (head->next & (set->shared_per_cpu - 1));
	struct shared_flow *shared = bpf_map_lookup_elem(&shared_flows, &index);
	if (!shared)
		return 0;
#pragma GCC unroll 4
	for (__u32 i = 0; i < FLOW_ADDR_WORDS; i++)
		flow_store(&shared->addrs[i], key->addrs[i]);
	flow_store(&shared->ports, key->ports);
	flow_store(&shared->word, word);
	flow_store(&shared->next_hop, next_hop);
	flow_store(&head->next, head->next + 1);
	return 0;
}

#endif
