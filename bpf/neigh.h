/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Next hops: a MAC address and a NIC in one word. Decided before anything is rewritten, because a packet that was
 * already rewritten would be a martian to the kernel. */
#ifndef SLUICE_NEIGH_H
#define SLUICE_NEIGH_H

#include "flows.h"
#include "parse.h"

/* The MAC lies in the word as it lies in the frame: its first byte is the lowest. */
static __always_inline __u64 next_hop_of(const __u8 *mac, __u32 nic, __u32 generation)
{
	const __u16 *half = (const __u16 *)mac;

	return half[0] | (__u64)half[1] << 16 | (__u64)half[2] << 32 | (__u64)nic << NEXT_HOP_NIC_SHIFT |
	       (__u64)generation << NEXT_HOP_GENERATION_SHIFT;
}

/* 0: it is not known. */
static __always_inline __u64 next_hop_mac(__u64 next_hop)
{
	return next_hop << (64 - NEXT_HOP_NIC_SHIFT) >> (64 - NEXT_HOP_NIC_SHIFT);
}

static __always_inline __u32 next_hop_nic(__u64 next_hop)
{
	return next_hop >> NEXT_HOP_NIC_SHIFT & (NICS - 1);
}

/*
 * The next hop towards a client by the kernel's routes and neighbours, or 0. The kernel has no neighbour entry for a
 * client whose packets it never sees, so 0 is nothing unusual.
 */
static __always_inline __u64 route_to_client(struct xdp_md *ctx, const struct flow_key *key, const struct settings *set)
{
	struct bpf_fib_lookup fib = {.family = IP_FIB_FAMILY, .ifindex = ctx->ingress_ifindex};

	ask_route(&fib, key_service(key), key_client(key));
	if (bpf_fib_lookup(ctx, &fib, sizeof(fib), 0) != BPF_FIB_LKUP_RET_SUCCESS)
		return 0;
	__u32 index;
	return find_nic(set, fib.ifindex, &index) ? next_hop_of(fib.dmac, index, set->route_generation) : 0;
}

/*
 * A flow's next hop, looked up for its first reply and again when routes have changed since: what was good then is better
 * than nothing. Not for the packet that opens it: the lookup would be a fifth of its cost, and a flood is never answered.
 */
__noinline __u64 refresh_next_hop(struct xdp_md *ctx, const struct flow_key *key, const struct flow_hit *hit,
				  __u32 service)
{
	struct settings *set = get_settings();

	if (!key || !hit || !set)
		return 0;
	__u64 next_hop = route_to_client(ctx, key, set);
	if (!next_hop) {
		count_event(service, EVENT_ROUTE_UNKNOWN);
		next_hop = hit->next_hop << 8 >> 8 | (__u64)set->route_generation << NEXT_HOP_GENERATION_SHIFT;
	}
	replace_next_hop(key, hit, next_hop);
	return next_hop;
}

static __always_inline __u64 client_next_hop(struct xdp_md *ctx, const struct flow_key *key, const struct flow_hit *hit,
					     __u32 service, const struct settings *set)
{
	if ((__u8)set->route_generation != hit->next_hop >> NEXT_HOP_GENERATION_SHIFT)
		return refresh_next_hop(ctx, key, hit, service);
	return hit->next_hop;
}

#endif
