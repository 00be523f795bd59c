/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* All that the program knows of IPv4 and ICMP; ipv6.h is its counterpart. */
#ifndef SLUICE_IPV4_H
#define SLUICE_IPV4_H

#include "packet.h"

#define IP_ETHERTYPE ETH_P_IP
#define IP_VERSION 4
#define IP_OFFSET 0x1fff   /* of a fragment */
#define IP_DONT_FRAGMENT 0x4000
#define IP_FRAGMENT 0x3fff /* that, and the more-fragments bit; don't-fragment and the reserved bit are not part of it */
#define IP_INNER IPPROTO_IPIP /* what a tunnel calls a packet inside */
#define FRAGMENT_UNIT 8    /* bytes, of an offset */
#define IP_HEADER_WORDS 5  /* without options */
#define IP_INTERNETWORK_CONTROL 0xc0
#define IP_FIB_FAMILY 2    /* AF_INET */

#define IP_ICMP IPPROTO_ICMP
#define ICMP_DEST_UNREACH 3
#define ICMP_PORT_UNREACH 3 /* code */
#define ICMP_FRAG_NEEDED 4  /* code */
#define ICMP_TIME_EXCEEDED 11
#define ERROR_MAX 576       /* bytes of an error that we make, with its IP header (RFC 1812, 4.3.2.3) */

static __always_inline struct address *source_of(ip_header *ip)
{
	return (struct address *)&ip->saddr;
}

static __always_inline struct address *dest_of(ip_header *ip)
{
	return (struct address *)&ip->daddr;
}

/* Writes source and destination as put_addresses() does: they lie side by side. */
static __always_inline void put_ends(__u64 *words, ip_header *ip)
{
	words[0] = word_at(source_of(ip));
}

static __always_inline __u8 hops_left(const ip_header *ip)
{
	return ip->ttl;
}

/* Of the whole packet, with its header. */
static __always_inline __u32 packet_bytes(const ip_header *ip)
{
	return bpf_ntohs(ip->tot_len);
}

static __always_inline __u8 next_protocol(const ip_header *ip)
{
	return ip->protocol;
}

/* What the first byte of a header without options is, as far as a mask goes. */
#define IP_PLAIN (IP_VERSION << 4 | IP_HEADER_WORDS)
#define IP_PLAIN_MASK 0xff

static __always_inline int is_fragment(const ip_header *ip)
{
	return ip->frag_off & bpf_htons(IP_FRAGMENT);
}

/* Takes the IP header and its options; `proto` becomes what follows. */
static __always_inline enum verdict parse_ip(struct xdp_md *ctx __attribute__((unused)), struct cursor *cursor,
					     struct packet *p, __u8 *proto)
{
	struct iphdr *ip = cursor->at;

	p->ip = TAKE(cursor, struct iphdr);
	if (!p->ip || ip->version != IP_VERSION || ip->ihl < IP_HEADER_WORDS)
		return V_PASS_MALFORMED;
	cursor->at = (void *)ip + ip->ihl * 4; /* not a step of what remains: 6.1 would see a difference without bounds */
	*proto = ip->protocol;
	return is_fragment(ip) ? V_PASS_FRAGMENT : V_UNDECIDED;
}

/* Where a fragment belongs, after parse_ip(). A datagram's number is its ends' and its protocol's (RFC 791, 3.2). */
static __always_inline int take_fragment(struct xdp_md *ctx __attribute__((unused)),
					 struct cursor *cursor __attribute__((unused)), const struct packet *p,
					 __u8 *proto, struct fragment *fragment)
{
	fragment->datagram = p->ip->id | (__u64)*proto << 32;
	fragment->offset = (bpf_ntohs(p->ip->frag_off) & IP_OFFSET) * FRAGMENT_UNIT;
	return 1;
}

#define HOP_CHANGE 0xfffe /* what one hop less adds to the checksum */

/* One hop less, and so much else that changes the checksum. The time to live, not 0, is the lower byte of a word that is
 * written as it was read: a read that spans a narrower write waits until that is done, for some 4 ns. */
static __always_inline void take_hop(ip_header *ip, __u32 change)
{
	--*(__u16 *)&ip->ttl;
	ip->check = csum_apply(ip->check, change + HOP_CHANGE);
}

/* DSCP and ECN; RFC 6040 (normal mode) copies both to a tunnel's outer header. */
static __always_inline __u8 traffic_class_of(const ip_header *ip)
{
	return ip->tos;
}

/* What a tunnel's IPv4 header says of fragments: whether routers may make some is the sender's choice (RFC 2003, 3.1). */
static __always_inline __be16 fragment_policy_of(const ip_header *ip)
{
	return ip->frag_off & bpf_htons(IP_DONT_FRAGMENT);
}

/* What an error says: type and code, and the MTU of one about it. */
static __always_inline struct icmp_header time_exceeded(void)
{
	return (struct icmp_header){.type = ICMP_TIME_EXCEEDED};
}

static __always_inline struct icmp_header too_big(__u32 mtu)
{
	return (struct icmp_header){.type = ICMP_DEST_UNREACH, .code = ICMP_FRAG_NEEDED, .rest = bpf_htonl(mtu)};
}

static __always_inline struct icmp_header port_unreachable(void)
{
	return (struct icmp_header){.type = ICMP_DEST_UNREACH, .code = ICMP_PORT_UNREACH};
}

/* Whether only its sender can make it smaller. */
static __always_inline int is_unfragmentable(const ip_header *ip)
{
	return ip->frag_off & bpf_htons(IP_DONT_FRAGMENT);
}

/* Whether an address is one machine's, so that it may be answered (RFC 1812, 4.3.2.7): neither of network 0 nor 127, nor
 * multicast, broadcast or reserved. */
static __always_inline int is_host(const struct address *address)
{
	__u8 network = bpf_ntohl(address->words[0]) >> 24;

	return network && network != 127 && network < 224;
}

static __always_inline int is_multicast(const struct address *address)
{
	return (address->words[0] & bpf_htonl(0xf0000000)) == bpf_htonl(0xe0000000);
}

/* Whether each link has such an address of its own: of IPv4, other machines route those all the same. */
static __always_inline int is_link_local(const struct address *address __attribute__((unused)))
{
	return 0;
}

/* Errors have the precedence of internetwork control (RFC 1812, 4.3.2.5). What is never fragmented needs no
 * identification (RFC 6864). */
static __always_inline void write_ip(ip_header *ip, __u8 proto, __u32 payload, const struct address *from,
				     const struct address *to)
{
	*ip = (struct iphdr){
		.version = IP_VERSION,
		.ihl = IP_HEADER_WORDS,
		.tos = proto == IP_ICMP ? IP_INTERNETWORK_CONTROL : 0,
		.tot_len = bpf_htons(sizeof(*ip) + payload),
		.frag_off = bpf_htons(IP_DONT_FRAGMENT),
		.ttl = IP_HOPS,
		.protocol = proto,
		.saddr = from->words[0],
		.daddr = to->words[0],
	};
	__u64 sum = 0;
#pragma unroll
	for (int i = 0; i < IP_HEADER_WORDS; i++)
		sum += ((__u32 *)ip)[i];
	ip->check = csum_of_sum(sum);
}

static __always_inline void ask_route(struct bpf_fib_lookup *fib, const struct address *from, const struct address *to)
{
	fib->ipv4_src = from->words[0];
	fib->ipv4_dst = to->words[0];
}

static __always_inline int is_icmp_error(const struct icmp_header *icmp)
{
	return icmp->type == ICMP_DEST_UNREACH || icmp->type == ICMP_TIME_EXCEEDED;
}

/* Takes the IP header that an error quotes, of a packet whose transport header follows; NULL: it is none. */
static __always_inline ip_header *take_quoted(struct xdp_md *ctx __attribute__((unused)), struct cursor *cursor,
						 __u8 *proto)
{
	struct iphdr *ip = TAKE(cursor, struct iphdr);

	if (!ip || ip->version != IP_VERSION || ip->ihl < IP_HEADER_WORDS || ip->frag_off & bpf_htons(IP_OFFSET))
		return NULL;
	*proto = ip->protocol;
	cursor->at = (void *)ip + ip->ihl * 4;
	return ip;
}

/* Changes an address of a quoted header. Returns what that adds to the ICMP checksum: nothing, because the quoted
 * header's own checksum makes up for it. */
static __always_inline __u32 rewrite_quoted(ip_header *ip, struct address *at, const struct address *addr)
{
	ip->check = csum_apply(ip->check, address_change(at, addr));
	*at = *addr;
	return 0;
}

/* What of a change of the packet's own address its ICMP checksum sees: nothing, for it covers no pseudo header. */
static __always_inline __u32 icmp_change(__u32 change __attribute__((unused)))
{
	return 0;
}

#endif
