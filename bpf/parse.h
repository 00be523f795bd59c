/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From bytes to struct packet. */
#ifndef SLUICE_PARSE_H
#define SLUICE_PARSE_H

#include "count.h"
#if FAMILY == 6
#include "ipv6.h"
#else
#include "ipv4.h"
#endif

#define VLAN_TAGS 2        /* IEEE 802.1ad: a service tag around a customer tag */
#define VLAN_ID 0x0fff     /* the rest of a tag is priority; an ID of 0 means no VLAN */

static __always_inline const struct nic *nic_at(const struct settings *set, __u32 index)
{
	return &set->nics[index & (NICS - 1)];
}

/* One of our NICs, and its index in `nics`; NULL: it is none. */
static __always_inline const struct nic *find_nic(const struct settings *set, __u32 ifindex, __u32 *index)
{
	for (__u32 probe = 0; probe < NIC_PROBES; probe++) {
		*index = (ifindex + probe) % NICS;
		const struct nic *nic = nic_at(set, *index);
		if (nic->ifindex == ifindex)
			return nic;
	}
	return NULL;
}

/* Whether a frame is to a NIC's own MAC address. Both are read with the two bytes behind them. */
static __always_inline int is_to_nic(const struct nic *nic, const struct ethhdr *eth)
{
	return !((word_at(eth->h_dest) ^ word_at(nic->mac)) << 16);
}

static __always_inline __be16 ethertype_of(const struct ethhdr *eth)
{
	return half_at(&eth->h_proto);
}

/* The role in the virtual router whose MAC address this is. */
static __always_inline enum router_role router_role(__u32 nic, const __u8 *mac)
{
	const __u16 *half = (const __u16 *)mac;
	__u32 router = bpf_ntohs(half[2]) - ROUTERS; /* the families count from 1 */

	if (half[0] != 0 || half[1] != bpf_htons(0x5e00) || router >= ROUTER_FAMILIES * ROUTERS)
		return ROUTER_NONE;
	struct router_roles *here = bpf_map_lookup_elem(&router_roles, &nic);
	return here ? here->roles[router] : ROUTER_NONE;
}

/* Whether a frame is this NIC's own. Its answers leave with the NIC's MAC address: nobody learns where a virtual router is
 * from them, but from the adverts and announcements, which have the virtual one. */
static __always_inline enum verdict for_us(const struct nic *nic, __u32 index, const struct ethhdr *eth)
{
	if (is_to_nic(nic, eth))
		return V_UNDECIDED;
	switch (router_role(index, eth->h_dest)) {
	case ROUTER_MASTER:
		return V_UNDECIDED;
	case ROUTER_BACKUP:
		return V_DROP_BACKUP;
	case ROUTER_NONE:
		break;
	}
	return V_PASS_OTHER_MAC;
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
	p->in = find_nic(p->set, ctx->ingress_ifindex, &p->nic);
	p->eth = TAKE(cursor, struct ethhdr);
	if (!p->eth)
		return V_PASS_MALFORMED;
	if (!p->in)
		return V_PASS_UNKNOWN_NIC;
	enum verdict verdict = for_us(p->in, p->nic, p->eth);
	if (verdict)
		return verdict;
	__be16 type = ethertype_of(p->eth);
	verdict = parse_vlan(cursor, p, &type);
	if (verdict)
		return verdict;
	switch (type) {
	case bpf_htons(IP_ETHERTYPE):
		return V_UNDECIDED;
#if FAMILY == 4
	case bpf_htons(ETH_P_IPV6):
		bpf_tail_call(ctx, &programs, PROGRAM_IPV6);
		return V_DROP_LAYOUT; /* it is not there */
#endif
	case bpf_htons(ETH_P_8021Q):
	case bpf_htons(ETH_P_8021AD):
		return V_PASS_VLAN;
	default:
		return V_PASS_ETHERTYPE;
	}
}

/* Length of the frame, without the padding of a short one. */
static __always_inline __u64 frame_bytes(const struct packet *p)
{
	return (void *)p->ip - (void *)p->eth + packet_bytes(p->ip);
}

/* Whether the packet holds so many bytes at the cursor. The rest of a short frame is padding. A jumbo frame lies in
 * several buffers, of which only the first, with the headers, is before the cursor's end. */
static __always_inline int has_room(struct xdp_md *ctx, const struct packet *p, const struct cursor *cursor,
				    __u32 size)
{
	__u32 length = packet_bytes(p->ip);
	__u32 begin = cursor->at - (void *)p->ip;
	__u32 available = cursor->end - (void *)p->ip;

	if (length < begin + size)
		return 0;
	return length <= available || frame_bytes(p) <= bpf_xdp_get_buff_len(ctx);
}

static __always_inline enum verdict parse_tcp(struct xdp_md *ctx, struct cursor *cursor, struct packet *p)
{
	if (!has_room(ctx, p, cursor, sizeof(struct tcphdr)))
		return V_PASS_MALFORMED;
	p->tcp = TAKE(cursor, struct tcphdr);
	p->ports = (struct ports *)p->tcp;
	p->proto = IPPROTO_TCP;
	return p->tcp ? V_UNDECIDED : V_PASS_MALFORMED;
}

static __always_inline enum verdict parse_udp(struct xdp_md *ctx, struct cursor *cursor, struct packet *p)
{
	if (!has_room(ctx, p, cursor, sizeof(struct udphdr)))
		return V_PASS_MALFORMED;
	p->ports = (struct ports *)TAKE(cursor, struct udphdr);
	p->proto = IPPROTO_UDP;
	return p->ports ? V_UNDECIDED : V_PASS_MALFORMED;
}

static __always_inline enum verdict parse_transport(struct xdp_md *ctx, struct cursor *cursor, struct packet *p,
						    __u8 proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return parse_tcp(ctx, cursor, p);
	case IPPROTO_UDP:
		return parse_udp(ctx, cursor, p);
	case IP_ICMP:
		p->ports = (struct ports *)TAKE(cursor, struct icmp_header);
		return V_PASS_ICMP;
	default:
		return V_PASS_PROTOCOL;
	}
}

static __always_inline enum verdict parse(struct xdp_md *ctx, struct packet *p)
{
	struct cursor cursor = {(void *)(long)ctx->data, (void *)(long)ctx->data_end};
	__u8 proto = 0;
	enum verdict verdict;

	verdict = parse_ethernet(ctx, &cursor, p);
	if (verdict)
		return verdict;
	verdict = parse_ip(ctx, &cursor, p, &proto);
	if (verdict)
		return verdict;
	return parse_transport(ctx, &cursor, p, proto);
}

/* Whether a frame is untagged and of our family, and its IP header as nearly all are, by one look at where the one meets the
 * other: the EtherType and the first byte behind it. */
static __always_inline int is_plain(const struct ethhdr *eth)
{
	__u32 joint = single_at(&eth->h_proto) & (0xffff | IP_PLAIN_MASK << 16);

	return joint == (bpf_htons(IP_ETHERTYPE) | IP_PLAIN << 16);
}

/*
 * Takes the headers of a frame as nearly all are: no shorter than a TCP header needs, untagged, to one of our NICs, TCP or UDP right
 * behind an IP header without options, whole, in one buffer, and with nothing cut off. All of them lie at constant offsets then, and the program that goes on
 * takes four fifths of the time of one that goes through parse(), which finds the very same. 0: it is another one.
 */
static __always_inline int take_plain(struct xdp_md *ctx, struct packet *p)
{
	void *frame = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 ifindex = ctx->ingress_ifindex;

	p->eth = frame;
	p->ip = frame + sizeof(struct ethhdr);
	p->ports = (void *)(p->ip + 1);
	if ((void *)p->ports + sizeof(struct tcphdr) > end)
		return 0;
	if (!is_plain(p->eth) || is_fragment(p->ip))
		return 0;
	p->set = get_settings();
	if (!p->set) /* cannot be: the map has one entry */
		return 0;
	__u32 header = sizeof(struct udphdr);
	p->proto = next_protocol(p->ip);
	if (p->proto == IPPROTO_TCP) {
		p->tcp = (void *)p->ports;
		header = sizeof(struct tcphdr);
	} else if (p->proto != IPPROTO_UDP) {
		return 0;
	}
	__u32 length = packet_bytes(p->ip);
	if (length < sizeof(*p->ip) + header || length > (__u32)(end - (void *)p->ip))
		return 0;
	p->nic = ifindex % NICS;
	p->in = nic_at(p->set, p->nic);
	return p->in->ifindex == ifindex && for_us(p->in, p->nic, p->eth) == V_UNDECIDED;
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
