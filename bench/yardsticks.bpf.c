/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the bench compares with: the least that a program of a kind must cost on this very machine. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <bpf/bpf_helpers.h>

#include "../bpf/flow_table.h"

/* Of a flow-table bucket's size each, and as many as the flow table that it stands beside has buckets. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct flow_bucket);
} lines SEC(".maps");

struct search {
	__u64 mask; /* of an index in `lines` */
	__u64 said; /* by the line of the packet before: 0, but who does not know has to wait for it */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct search);
} searches SEC(".maps");

/* Frames that `sink` has seen. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} delivered SEC(".maps");

static __always_inline void swap_macs(struct ethhdr *eth)
{
	__u16 *mac = (__u16 *)eth;

#pragma unroll
	for (int i = 0; i < 3; i++) {
		__u16 destination = mac[i];

		mac[i] = mac[i + 3];
		mac[i + 3] = destination;
	}
}

/* The least that forwarding takes. */
SEC("xdp.frags") int mac_swap(struct xdp_md *ctx)
{
	struct ethhdr *eth = (void *)(long)ctx->data;

	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	swap_macs(eth);
	return XDP_TX;
}

/*
 * The least that forwarding with a table of flows takes: the flow's line, cold or not, and something that depends on it.
 *
 * The processor looks some hundred instructions ahead while it waits for memory. Here, where packets follow one another without
 * a driver between them, this program is so short that the next packet's line is loaded meanwhile, and the one after it. One
 * that `waits` does not know its line before it has that of the packet before: it takes as long as one line does.
 */
static __always_inline int look_at_line(struct xdp_md *ctx, const int waits)
{
	__u32 zero = 0;
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct iphdr *ip = (void *)(eth + 1);
	struct tcphdr *tcp = (void *)(ip + 1);
	struct search *search = bpf_map_lookup_elem(&searches, &zero);

	if ((void *)(tcp + 1) > (void *)(long)ctx->data_end || !search)
		return XDP_ABORTED;
	struct flow_key key = {
		.addrs = {ip->saddr | (__u64)ip->daddr << 32},
		.ports = tcp->source | (__u32)tcp->dest << 16 | (__u64)IPPROTO_TCP << 32,
	};
	__u32 index = (flow_hash(&key) >> 32 ^ (waits ? search->said : 0)) & search->mask;
	struct flow_bucket *line = bpf_map_lookup_elem(&lines, &index);
	if (!line)
		return XDP_ABORTED;
	swap_macs(eth);
	eth->h_dest[0] ^= line->slots[0].word;
	if (waits)
		search->said = line->slots[0].word;
	return XDP_TX;
}

SEC("xdp.frags") int cold_line(struct xdp_md *ctx)
{
	return look_at_line(ctx, 0);
}

SEC("xdp.frags") int cold_line_awaited(struct xdp_md *ctx)
{
	return look_at_line(ctx, 1);
}

/* The end of the wire. */
SEC("xdp.frags") int sink(struct xdp_md *ctx __attribute__((unused)))
{
	__u32 zero = 0;
	__u64 *count = bpf_map_lookup_elem(&delivered, &zero);

	if (count)
		(*count)++;
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
