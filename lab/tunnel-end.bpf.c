/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The end of a tunnel for a machine of the laboratory, whose kernel may have been built without tunnel devices: takes the
 * outer headers of IPIP, GRE and GUE off, of either family, and gives the packet inside to the kernel. What is no tunnel
 * passes as it is. Checksums of GRE and UDP are not looked at: test/packets does that.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/types.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define IPV6_HEADER 40
#define IPV6_NEXT_HEADER 6
#define GRE_HEADER 4
#define GRE_CHECKSUM bpf_htons(0x8000)
#define GUE_PORT bpf_htons(6080)
#define GUE_HEADER 4

/* Where the packet inside begins, behind an outer IP header of so many bytes and what follows it; 0: it is no tunnel. */
static __always_inline int inner_at(void *outer, void *end, __u32 header, __u8 protocol)
{
	__be16 *next = outer + header;

	if ((void *)next + sizeof(struct udphdr) > end)
		return 0;
	switch (protocol) {
	case IPPROTO_IPIP:
	case IPPROTO_IPV6:
		return header;
	case IPPROTO_GRE:
		return header + GRE_HEADER + (next[0] == GRE_CHECKSUM ? 4 : 0);
	case IPPROTO_UDP:
		return next[1] == GUE_PORT ? header + sizeof(struct udphdr) + GUE_HEADER : 0;
	default:
		return 0;
	}
}

SEC("xdp") int tunnel_end(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = (void *)(long)ctx->data;
	__u8 *outer = (void *)(eth + 1);
	int inner = 0;

	if ((void *)(outer + IPV6_HEADER) > end)
		return XDP_PASS;
	if (eth->h_proto == bpf_htons(ETH_P_IP) && outer[0] == 0x45)
		inner = inner_at(outer, end, sizeof(struct iphdr), ((struct iphdr *)outer)->protocol);
	else if (eth->h_proto == bpf_htons(ETH_P_IPV6))
		inner = inner_at(outer, end, IPV6_HEADER, outer[IPV6_NEXT_HEADER]);
	if (!inner)
		return XDP_PASS;
	struct ethhdr before = *eth;
	if (bpf_xdp_adjust_head(ctx, inner))
		return XDP_DROP;
	eth = (void *)(long)ctx->data;
	__u8 *version = (void *)(eth + 1);
	if ((void *)(version + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	*eth = before;
	eth->h_proto = *version >> 4 == 6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
