/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From bytes to struct packet. A cursor takes one header after the other, so bounds and step are in one place. */
#ifndef SLUICE_PARSE_H
#define SLUICE_PARSE_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>

#include "maps.h"

#define IP_FRAGMENT 0x3fff /* offset and the more-fragments bit; don't-fragment and the reserved bit are not part of it */
#define IP_HEADER_WORDS 5  /* without options */
#define VLAN_TAGS 2        /* IEEE 802.1ad: a service tag around a customer tag */
#define VLAN_ID 0x0fff     /* the rest of a tag is priority; an ID of 0 means no VLAN */

struct cursor {
	void *at;
	void *end;
};

/* NULL: the frame ends before. */
static __always_inline void *take(struct cursor *cursor, __u32 size)
{
	void *taken = cursor->at;

	if (taken + size > cursor->end)
		return NULL;
	cursor->at = taken + size;
	return taken;
}
#define TAKE(cursor, type) ((type *)take(cursor, sizeof(type)))

/* What TCP and UDP headers begin with. */
struct ports {
	__be16 source;
	__be16 dest;
};

/* A TCP or UDP packet over IPv4, and what becomes of it. */
struct packet {
	struct ethhdr *eth;
	struct iphdr *ip;
	struct ports *ports; /* where the TCP or UDP header begins */
	struct tcphdr *tcp;  /* NULL: it is UDP */
	const struct settings *set;
	__u32 nic;      /* index in `nics` of the NIC it came in on */
	__u32 vlan;     /* not 0: it is in a VLAN */
	__u32 service;  /* for the counters; 0 until it is known */
	int action;     /* of a forwarded packet: XDP_TX or XDP_REDIRECT */
};

/* Length of the frame. */
static __always_inline __u64 frame_bytes(const struct xdp_md *ctx, const struct packet *p)
{
	return (void *)(long)ctx->data_end - (void *)p->eth;
}

/* The index in `nics` of an interface, or -1. */
static __always_inline int nic_index(__u32 ifindex)
{
	for (__u32 probe = 0; probe < NIC_PROBES; probe++) {
		__u32 index = (ifindex + probe) % NICS;
		struct nic *nic = bpf_map_lookup_elem(&nics, &index);

		if (nic && nic->ifindex == ifindex)
			return index;
	}
	return -1;
}

/* Both start at an even address. */
static __always_inline int same_mac(const __u8 *a, const __u8 *b)
{
	const __u16 *x = (const __u16 *)a, *y = (const __u16 *)b;

	return !((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]));
}

struct vlan_tag {
	__be16 control;
	__be16 inner_type;
};

/* Takes the tags of a frame; `type` becomes the EtherType behind them. The frame keeps them. */
static __always_inline enum verdict parse_vlan(struct cursor *cursor, struct packet *p, __be16 *type)
{
	for (int i = 0; i < VLAN_TAGS; i++) {
		if (*type != bpf_htons(ETH_P_8021Q) && *type != bpf_htons(ETH_P_8021AD))
			return V_UNDECIDED;
		struct vlan_tag *tag = TAKE(cursor, struct vlan_tag);
		if (!tag)
			return V_PASS_MALFORMED;
		p->vlan |= tag->control & bpf_htons(VLAN_ID);
		*type = tag->inner_type;
	}
	return V_UNDECIDED;
}

static __always_inline enum verdict parse_ethernet(struct xdp_md *ctx, struct cursor *cursor, struct packet *p)
{
	int index = nic_index(ctx->ingress_ifindex);
	struct nic *nic = bpf_map_lookup_elem(&nics, &index);

	p->eth = TAKE(cursor, struct ethhdr);
	if (!p->eth)
		return V_PASS_MALFORMED;
	if (index < 0 || !nic)
		return V_PASS_UNKNOWN_NIC;
	p->nic = index;
	if (!same_mac(p->eth->h_dest, nic->mac))
		return V_PASS_OTHER_MAC;
	__be16 type = p->eth->h_proto;
	enum verdict verdict = parse_vlan(cursor, p, &type);
	if (verdict)
		return verdict;
	switch (type) {
	case bpf_htons(ETH_P_IP):
		return V_UNDECIDED;
	case bpf_htons(ETH_P_IPV6):
		return V_PASS_IPV6;
	case bpf_htons(ETH_P_8021Q):
	case bpf_htons(ETH_P_8021AD):
		return V_PASS_VLAN;
	default:
		return V_PASS_ETHERTYPE;
	}
}

/* Whether the IPv4 packet holds a header of this size. The rest of a short frame is padding, which is no header. */
static __always_inline int has_room(const struct packet *p, const struct cursor *cursor, __u32 size)
{
	__u32 length = bpf_ntohs(p->ip->tot_len);
	__u32 available = cursor->end - (void *)p->ip;

	return length >= p->ip->ihl * 4 + size && length <= available;
}

static __always_inline enum verdict parse_tcp(struct cursor *cursor, struct packet *p)
{
	if (!has_room(p, cursor, sizeof(struct tcphdr)))
		return V_PASS_MALFORMED;
	p->tcp = TAKE(cursor, struct tcphdr);
	p->ports = (struct ports *)p->tcp;
	return p->tcp ? V_UNDECIDED : V_PASS_MALFORMED;
}

static __always_inline enum verdict parse_udp(struct cursor *cursor, struct packet *p)
{
	if (!has_room(p, cursor, sizeof(struct udphdr)))
		return V_PASS_MALFORMED;
	p->ports = (struct ports *)TAKE(cursor, struct udphdr);
	return p->ports ? V_UNDECIDED : V_PASS_MALFORMED;
}

static __always_inline enum verdict parse_ipv4(struct cursor *cursor, struct packet *p)
{
	struct iphdr *ip = cursor->at;

	p->ip = TAKE(cursor, struct iphdr);
	if (!p->ip || ip->version != 4 || ip->ihl < IP_HEADER_WORDS)
		return V_PASS_MALFORMED;
	cursor->at = (void *)ip + ip->ihl * 4; /* not a step of what remains: 6.1 would see a difference without bounds */
	if (ip->frag_off & bpf_htons(IP_FRAGMENT))
		return V_PASS_FRAGMENT;
	switch (ip->protocol) {
	case IPPROTO_TCP:
		return parse_tcp(cursor, p);
	case IPPROTO_UDP:
		return parse_udp(cursor, p);
	case IPPROTO_ICMP:
		return V_PASS_ICMP;
	default:
		return V_PASS_PROTOCOL;
	}
}

static __always_inline enum verdict parse(struct xdp_md *ctx, struct packet *p)
{
	struct cursor cursor = {(void *)(long)ctx->data, (void *)(long)ctx->data_end};
	enum verdict verdict;

	verdict = parse_ethernet(ctx, &cursor, p);
	if (verdict)
		return verdict;
	return parse_ipv4(&cursor, p);
}

/* What the packet itself tells its flow; enum flow_event. */
static __always_inline __u32 packet_events(const struct packet *p)
{
	if (!p->tcp)
		return FLOW_OPENS;
	__u32 flags = ((const __u8 *)p->tcp)[13] & FLOW_TCP_FLAGS;
	return flags == FLOW_SYN ? FLOW_SYN | FLOW_OPENS : flags;
}

#endif
