/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is about virtual addresses as such, on its way to the kernel: the questions where they are, the adverts of other
 * routers, and what is sent to closed ones.
 *
 * A lease. A daemon that is killed, or hangs, leaves its addresses on the NIC, and the kernel goes on answering for them, so
 * the segment learns of two places. Therefore lbd-vrrp notes with each advert that it sends as a master how long that one
 * keeps backups quiet. When this time is over and another router has advertised since, the other one has taken over, and
 * nobody may ask here any more. As long as no other one does, nothing changes: a lone balancer serves on without its daemon.
 *
 * Adverts are believed by their headers alone. Whoever forges them can only silence a machine whose daemon is dead.
 */
#ifndef SLUICE_VIRTUAL_H
#define SLUICE_VIRTUAL_H

#include "parse.h"

#define NS_PER_SECOND 1000000000ull
#define NS_PER_CENTISECOND 10000000ull

#define ARP_ETHERNET 1
#define ARP_REQUEST 1
#define VRRP_PROTOCOL 112
#define VRRP_ADVERTISEMENT 1
#define VRRP_HOPS 255   /* of one that no router has passed on */
#define DOWN_INTERVALS 3 /* silent ones after which a master is given up (RFC 9568, 6.1) */
#define AH_WORD 4
#define ICMPV6_SOLICITATION 135 /* RFC 4861, 4.3 */
#define ICMPV6_ADVERTISEMENT 136

/* RFC 826, for IPv4 over Ethernet. */
struct arp_packet {
	__be16 hardware;
	__be16 protocol;
	__u8 hardware_length;
	__u8 protocol_length;
	__be16 operation;
	__u8 sender_mac[ETH_ALEN];
	__u8 sender[4];
	__u8 target_mac[ETH_ALEN];
	__u8 target[4];
};

/* What an advert begins with, of version 2 (RFC 3768, 5.1) or 3 (RFC 9568, 5.1). */
struct advert {
	__u8 version_and_type;
	__u8 vrid;
	__u8 priority; /* 0: its sender resigns */
	__u8 addresses;
	union {
		struct {
			__u8 authentication;
			__u8 seconds;
		};
		__be16 centiseconds; /* the lower 12 bits */
	};
	__be16 check;
};

/* An authentication header (RFC 4302, 2). */
struct authentication {
	__u8 next_header;
	__u8 words; /* of 4 bytes, without the first two */
	__be16 reserved;
};

static __always_inline struct virtual_address *virtual_at(const struct xdp_md *ctx, const struct address *address)
{
	struct virtual_key key = {
		.ifindex = is_link_local(address) ? ctx->ingress_ifindex : 0,
		.family = FAMILY,
	};

	put_address(key.addr, address);
	return bpf_map_lookup_elem(&virtual_addresses, &key);
}

/* Whether whoever held the lease is dead or hangs, and another router is master now. */
static __always_inline int is_taken_over(const struct lease *lease)
{
	__u64 until = lease->sent_until_ns;
	__u64 now = bpf_ktime_get_ns();

	return until && now > until && lease->heard_ns > until && now < lease->heard_until_ns;
}

/* Where a question for an address goes: nowhere, if another machine has to answer it. */
static __always_inline enum verdict asked_for(const struct xdp_md *ctx, const struct address *address,
					      enum verdict verdict)
{
	const struct virtual_address *known = virtual_at(ctx, address);

	if (!known)
		return verdict;
	const struct lease *lease = bpf_map_lookup_elem(&leases, &known->lease);
	return lease && is_taken_over(lease) ? V_DROP_LEASE : verdict;
}

#if FAMILY == 4
static __always_inline enum verdict judge_arp(const struct xdp_md *ctx, struct cursor *cursor, enum verdict verdict)
{
	struct arp_packet *arp = TAKE(cursor, struct arp_packet);
	struct address target;

	if (!arp || arp->hardware != bpf_htons(ARP_ETHERNET) || arp->protocol != bpf_htons(ETH_P_IP) ||
	    arp->hardware_length != ETH_ALEN || arp->protocol_length != sizeof(target) ||
	    arp->operation != bpf_htons(ARP_REQUEST))
		return verdict;
	__builtin_memcpy(&target, arp->target, sizeof(target));
	return asked_for(ctx, &target, verdict);
}
#endif

/* Takes an advert, behind an authentication header or not; NULL: it is none. */
static __always_inline struct advert *take_advert(struct cursor *cursor, __u8 proto)
{
	if (proto == IPPROTO_AH) {
		struct authentication *header = TAKE(cursor, struct authentication);

		if (!header)
			return NULL;
		proto = header->next_header;
		cursor->at = (void *)header + (header->words + 2) * AH_WORD;
	}
	if (proto != VRRP_PROTOCOL)
		return NULL;
	struct advert *advert = TAKE(cursor, struct advert);
	return advert && (advert->version_and_type & 0xf) == VRRP_ADVERTISEMENT ? advert : NULL;
}

/* Of the sender; 0: no version that there is. */
static __always_inline __u64 interval_ns(const struct advert *advert)
{
	switch (advert->version_and_type >> 4) {
	case 2:
		return advert->seconds * NS_PER_SECOND;
	case 3:
		return (bpf_ntohs(advert->centiseconds) & 0xfff) * NS_PER_CENTISECOND;
	default:
		return 0;
	}
}

static __always_inline struct lease *lease_of(const struct xdp_md *ctx, __u8 vrid)
{
	struct virtual_router router = {.ifindex = ctx->ingress_ifindex, .family = FAMILY, .vrid = vrid};
	__u32 *lease = bpf_map_lookup_elem(&lease_of_router, &router);

	return lease ? bpf_map_lookup_elem(&leases, lease) : NULL;
}

/* Another router says that it is master, or no longer: our own adverts do not come in. */
static __always_inline void note_advert(const struct xdp_md *ctx, const struct packet *p, const struct advert *advert)
{
	struct lease *lease = lease_of(ctx, advert->vrid);
	__u64 interval = interval_ns(advert);

	if (!lease || !interval || (is_multicast(dest_of(p->ip)) && hops_left(p->ip) != VRRP_HOPS))
		return;
	__u64 now = bpf_ktime_get_ns();
	lease->heard_ns = now;
	lease->heard_until_ns = advert->priority ? now + DOWN_INTERVALS * interval : now;
}

/* What the kernel would get at a virtual address: nothing where that is closed, but what finds neighbours. */
static __always_inline enum verdict sent_to(const struct xdp_md *ctx, const struct packet *p, enum verdict verdict)
{
	const struct virtual_address *known = virtual_at(ctx, dest_of(p->ip));

	return known && known->flags & VIRTUAL_CLOSED ? V_DROP_CLOSED : verdict;
}

static __always_inline enum verdict judge_icmp(const struct xdp_md *ctx, struct cursor *cursor, const struct packet *p,
					       enum verdict verdict)
{
	struct icmp_header *icmp = TAKE(cursor, struct icmp_header);

	if (FAMILY == 6 && icmp && icmp->type == ICMPV6_SOLICITATION) {
		struct address *target = TAKE(cursor, struct address);

		return target ? asked_for(ctx, target, verdict) : verdict;
	}
	if (FAMILY == 6 && icmp && icmp->type == ICMPV6_ADVERTISEMENT)
		return verdict;
	return sent_to(ctx, p, verdict);
}

static __always_inline enum verdict judge_packet(struct xdp_md *ctx, struct cursor *cursor, struct packet *p,
						 enum verdict verdict)
{
	__u8 proto = 0;
	enum verdict found = parse_ip(ctx, cursor, p, &proto);

	if (found == V_PASS_MALFORMED)
		return verdict;
	if (found == V_PASS_FRAGMENT)
		return sent_to(ctx, p, verdict);
	if (proto == IP_ICMP)
		return judge_icmp(ctx, cursor, p, verdict);
	struct advert *advert = take_advert(cursor, proto);
	if (!advert)
		return sent_to(ctx, p, verdict);
	note_advert(ctx, p, advert);
	return verdict;
}

/* A frame that would leave with `verdict`, which is one of settings.virtual_verdicts. V_UNDECIDED: it is for the program of
 * IPv6. */
static __always_inline enum verdict judge_frame(struct xdp_md *ctx, struct packet *p, enum verdict verdict)
{
	struct cursor cursor = {(void *)(long)ctx->data, (void *)(long)ctx->data_end};
	struct ethhdr *eth = TAKE(&cursor, struct ethhdr);

	if (!eth)
		return verdict;
	__be16 type = eth->h_proto;
	if (parse_vlan(&cursor, p, &type))
		return verdict;
	switch (type) {
	case bpf_htons(IP_ETHERTYPE):
		return judge_packet(ctx, &cursor, p, verdict);
#if FAMILY == 4
	case bpf_htons(ETH_P_ARP):
		return judge_arp(ctx, &cursor, verdict);
	case bpf_htons(ETH_P_IPV6):
		return V_UNDECIDED;
#endif
	default:
		return verdict;
	}
}

#endif
